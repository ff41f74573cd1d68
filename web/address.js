// What the page shows, as its address keeps it: a stream, a filter, a health, an order. The API's keys of streams are
// percent-encoded already, since they may be any bytes, so they are in the address as they are.

import { ORDERS } from "./list.js";
import { HEALTHS } from "./values.js";

/** @typedef {{ stream: string | null, filter: string, health: string, sort: string }} Wanted */

const DEFAULT_ORDER = "health";
// RFC 3986's unreserved characters: what a key leaves as it is.
const UNRESERVED = /[A-Za-z0-9._~-]/;

/** @type {(hash: string) => Wanted} */
export function parse(hash) {
  const text = hash.slice(1);
  const parameters = new URLSearchParams(text);
  /** @type {(name: string, all: string[], otherwise: string) => string} */
  const oneOf = (name, all, otherwise) => all.find((it) => it === parameters.get(name)) ?? otherwise;
  const stream = text.split("&").find((part) => part.startsWith("stream="));
  return {
    stream: stream ? keyOf(stream.slice("stream=".length)) : null,
    filter: parameters.get("filter") ?? "",
    health: oneOf("health", HEALTHS, ""),
    sort: oneOf("sort", Object.keys(ORDERS), DEFAULT_ORDER),
  };
}

/** @type {(wanted: Wanted) => string} */
export function format({ stream, filter, health, sort }) {
  const rest = Object.entries({ filter, health, sort: sort === DEFAULT_ORDER ? "" : sort }).filter(([, value]) => value);
  return `#${[stream && `stream=${stream}`, new URLSearchParams(rest).toString()].filter(Boolean).join("&")}`;
}

// A key as the API writes it, from what a person or a template wrote.
/** @param {string} text */
function keyOf(text) {
  return text.replace(/%[0-9a-f]{2}|./giu, (part) => {
    if (part === "+") return "%20";
    if (part.length === 3 && part.startsWith("%")) {
      const character = String.fromCharCode(parseInt(part.slice(1), 16));
      return UNRESERVED.test(character) ? character : part.toUpperCase();
    }
    if (UNRESERVED.test(part)) return part;
    return [...new TextEncoder().encode(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
  });
}

// The stream that an address means which has no stream's key: its name as the page shows it, or a key that was encoded
// once more, as the page's own addresses were.
/**
 * @template {{ key: string, name: string }} S
 * @param {string} key
 * @param {S[]} streams
 */
export function meant(key, streams) {
  const name = decoded(key);
  return streams.find((it) => it.key === name || it.name === name);
}

/** @param {string} key */
function decoded(key) {
  try {
    return decodeURIComponent(key);
  } catch {
    // Its bytes are not UTF-8.
    return undefined;
  }
}

// Numbers, times and states as people read them. What is not known is never a number.

/** A number that may be unknown.
 * @typedef {number | null | undefined} Known */
/** @typedef {(number: number) => string} Words */

import { h } from "./dom.js";

const grouped = new Intl.NumberFormat("en");
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const small = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

// From the worst to the best.
/** @type {Api.Stream["health"][]} */
export const HEALTHS = ["critical", "warning", "unknown", "healthy"];

/** @type {Record<string, string>} */
const FAILURES = {
  refused: "nobody listens at its address",
  closed: "the connection was closed",
  timeout: "it did not answer in time",
  dns: "its host name has no address",
  tls: "TLS failed: a certificate, or only one side speaks it",
  io: "the network could not be used",
  protocol: "what answers does not speak Redis's protocol",
  address: "its address or password could not be read",
  noauth: "it wants a password",
  wrongpass: "the user or the password is wrong",
  maxclients: "it takes no more clients",
  quota: "the plan's quota is used up, so it answers nothing; it is asked again every few minutes",
  loading: "it is loading its data",
  busy: "a script is running there",
  masterdown: "it is a replica without its primary",
  replica_link_down: "it is a replica, and its link to its primary is down",
  replica: "it is a replica, and only a primary is to be read",
  role_changed: "its role changed while it was read",
  clusterdown: "the cluster is down",
  noperm: "the user may not do that there",
};

/** @type {Record<string, string>} */
const OUTCOMES = {
  reached: "the limit was reached",
  blocked: "blocked before the limit was reached",
  incomplete: "out of time, more to remove at the next run",
  failed: "failed, the log says why",
};

// A reason of the closed set, in words and as it is.
/** @type {(reason: string | null) => string} */
export const failure = (reason) => (reason !== null && FAILURES[reason] ? `${FAILURES[reason]} (${reason})` : (reason ?? "unknown"));
/** @type {(outcome: string | null) => string} */
export const outcome = (outcome) => OUTCOMES[outcome ?? ""] ?? outcome ?? "unknown";
/** @type {Words} */
export const count = (number) => grouped.format(number);
/** @type {(number: number, one: string, many?: string) => string} */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

// Entries a second, with no more digits than mean something.
/** @param {number} perSecond */
export function rate(perSecond) {
  const format = perSecond < 1 ? small : perSecond < 100 ? tenths : grouped;
  return `${format.format(perSecond < 100 ? perSecond : Math.round(perSecond))}/s`;
}

// The two greatest units, and below a minute one, as in the reasons.
/** @param {number} seconds */
export function duration(seconds) {
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)}ms`;
  const whole = Math.floor(seconds);
  /** @type {[string, number][]} */
  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0s";
  const parts = units.slice(first, first + 2).map(([unit, size], index) => {
    const within = index === 0 ? whole : whole % units[first][1];
    return { number: Math.floor(within / size), unit };
  });
  return parts.filter(({ number }) => number > 0).map(({ number, unit }) => number + unit).join(" ");
}

// How long ago something was, or how old it is: below a second nobody cares, and it would flicker.
/** @type {Words} */
export const passed = (seconds) => (seconds < 1 ? "<1s" : duration(seconds));
/** @type {Words} */
export const ago = (seconds) => `${passed(seconds)} ago`;

// A time of this machine's clock: the hour for today, the day too for others.
/** @param {number} unixMs */
export function clock(unixMs) {
  const time = new Date(unixMs);
  const isToday = time.toDateString() === new Date().toDateString();
  return isToday ? time.toLocaleTimeString("en-GB") : time.toLocaleString("en-GB");
}

// A value in words with the exact one in its title; where there is none, a dash that says why.
/**
 * @param {Known} number
 * @param {Words} words
 * @param {{ exact?: Words, why?: string }} title
 */
export function value(number, words, { exact, why }) {
  if (number == null) {
    return h("span", { class: "none", title: `Unknown: ${why}` }, "–", h("span", { class: "unseen" }, `unknown: ${why}`));
  }
  return h("span", { title: exact?.(number) }, words(number));
}

/** @type {Words} */
export const exactSeconds = (seconds) => `${count(seconds)} seconds`;
/** @type {Words} */
export const exactRate = (perSecond) => `${count(perSecond)} entries a second`;

// A health or status: a shape, a colour and a word.
/**
 * @param {Api.Stream["health"]} health
 * @param {string} word
 */
export function badge(health, word = health) {
  const shape = h("svg", { class: "shape", "aria-hidden": "true" }, h("use", { href: `#${health}` }));
  return h("span", { class: `badge ${health}` }, shape, word.charAt(0).toUpperCase() + word.slice(1));
}

// The time in an entry's ID, where it is one.
/** @param {string | null} id */
export function idTime(id) {
  const ms = Number(id?.split("-")[0]);
  const isTime = ms > Date.UTC(2001, 0) && ms < Date.UTC(2200, 0);
  return isTime ? new Date(ms).toISOString() : null;
}

// A small line: values over their ages, with a gap where one is not known, and a dot for what is now. It is stretched to
// the room that it gets. From `floor` up where one is given, else from the least value up.
/**
 * @param {Known[]} values
 * @param {number[]} ages
 * @param {{ floor?: number, label?: (least: number, most: number) => string }} options
 */
export function line(values, ages, { floor, label }) {
  const known = values.filter((it) => it != null);
  const attributes = { class: "line", viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" };
  if (known.length < 2) return h("svg", attributes);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const bottom = floor ?? least;
  const span = ages[0] || 1;
  const points = values.map((value, index) => {
    if (value == null) return null;
    const x = 100 * (1 - ages[ages.length - values.length + index] / span);
    const y = most === bottom ? 90 : 90 - 80 * (value - bottom) / (most - bottom);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const path = points.map((point, index) => point && (points[index - 1] ? "L" : "M") + point).filter(Boolean).join("");
  const heard = label ? { role: "img", "aria-label": label(least, most), "aria-hidden": null } : {};
  return h("svg", { ...attributes, ...heard }, h("path", { d: path }), points.at(-1) && h("path", { class: "now", d: `M${points.at(-1)}h.01` }));
}

// How full something is; over its limit it is full and looks so.
/**
 * @param {number} part
 * @param {number} whole
 */
export function bar(part, whole) {
  const share = Math.min(1, part / whole);
  return h("svg", { class: part > whole ? "bar over" : "bar", viewBox: "0 0 100 3", preserveAspectRatio: "none", "aria-hidden": "true" },
    h("rect", { class: "rest", width: 100, height: 3 }), h("rect", { width: (share * 100).toFixed(1), height: 3 }));
}

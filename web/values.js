// Numbers, times and states as people read them. What is unknown is never shown as a number.

/** A number that may be unknown.
 * @typedef {number | null | undefined} Known */
/** @typedef {(number: number) => string} Words */
/** @import { Child, Described } from "./dom.js" */
/** @import { Key } from "./language.js" */

import { h } from "./dom.js";
import { locale, t, tOr } from "./language.js";

const grouped = new Intl.NumberFormat("en");
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const small = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

// From the worst to the best.
/** @type {Api.Stream["health"][]} */
export const HEALTHS = ["critical", "warning", "unknown", "healthy"];

// Why a poll failed, in words and as the metrics' label has it.
/** @type {(reason: string | null) => string} */
export function failure(reason) {
  if (reason === null) return t("unknown");
  const words = tOr(`failure_${reason}`, "");
  return words ? t("failure", { words, reason }) : reason;
}

/** @type {(outcome: string | null) => string} */
export const outcome = (outcome) => tOr(`outcome_${outcome}`, outcome ?? t("unknown"));
/** @type {Words} */
export const count = (number) => grouped.format(number);
/** @type {Words} */
export const entries = (n) => t("entries", { n });

// Entries a second, with no more digits than mean something.
/** @param {number} perSecond */
export function rate(perSecond) {
  const format = perSecond < 1 ? small : perSecond < 100 ? tenths : grouped;
  return t("per_second", { number: format.format(perSecond < 100 ? perSecond : Math.round(perSecond)) });
}

// The two greatest units, and below a minute one, as in the reasons.
// Bytes, with no more digits than mean something.
/** @type {Words} */
export function bytes(n) {
  const [size, unit] = Math.abs(n) < 2 ** 20 ? [n / 2 ** 10, "KiB"] : Math.abs(n) < 2 ** 30 ? [n / 2 ** 20, "MiB"] : [n / 2 ** 30, "GiB"];
  return `${(Math.abs(size) < 100 ? tenths : grouped).format(Math.abs(size) < 100 ? size : Math.round(size))} ${unit}`;
}
/** @param {number} seconds */
export function duration(seconds) {
  if (seconds > 0 && seconds < 1) return t("milliseconds", { n: Math.round(seconds * 1000) });
  const whole = Math.floor(seconds);
  /** @type {["days" | "hours" | "minutes" | "seconds", number][]} */
  const units = [["days", 86400], ["hours", 3600], ["minutes", 60], ["seconds", 1]];
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return t("seconds", { n: 0 });
  const parts = units.slice(first, first + 2).map(([unit, size], index) => {
    const within = index === 0 ? whole : whole % units[first][1];
    return { number: Math.floor(within / size), unit };
  });
  return parts.filter(({ number }) => number > 0).map(({ number, unit }) => t(unit, { n: number })).join(t("between_units"));
}

// How long ago something was, or how old it is. Below a second it would flicker.
/** @type {Words} */
export const passed = (seconds) => (seconds < 1 ? `<${t("seconds", { n: 1 })}` : duration(seconds));
/** @type {Words} */
export const ago = (seconds) => t("ago", { time: passed(seconds) });

// A time by this machine's clock, with the day where that is not today.
/** @param {number} unixMs */
export function clock(unixMs) {
  const time = new Date(unixMs);
  const isToday = time.toDateString() === new Date().toDateString();
  return isToday ? time.toLocaleTimeString(locale(), { hour12: false }) : time.toLocaleString(locale(), { hour12: false });
}

// A value in words with the exact one in its title; where it is unknown, a dash whose title says why.
/**
 * @param {Known} number
 * @param {Words} words
 * @param {{ exact?: Words, why?: string }} title
 */
export function value(number, words, { exact, why }) {
  if (number == null) {
    const words = t("unknown_because", { why: why ?? "" });
    return h("span", { class: "none", title: words }, "–", h("span", { class: "unseen" }, words));
  }
  return h("span", { title: exact?.(number) }, words(number));
}

// The same where there is room: the reason for an unknown value is text that everybody sees.
/**
 * @param {Known} number
 * @param {Words} words
 * @param {{ exact?: Words, why?: string }} title
 */
export function explained(number, words, { exact, why }) {
  if (number != null) return value(number, words, { exact });
  return h("span", { class: "none" }, "–", why && [" ", h("span", { class: "why" }, why)]);
}

// A table whose rows become cards on a narrow screen; roles keep it a table for those who listen.
/**
 * @param {string[]} titles
 * @param {{ key: string, cells: Child[] }[]} rows
 */
export function cards(titles, rows) {
  /** @type {(cell: Child, index: number) => Described} */
  const cell = (cell, index) => index === 0 ? h("th", { role: "rowheader", scope: "row" }, cell) : h("td", { role: "cell", "data-label": titles[index] }, cell);
  return h("table", { role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, titles.map((it) => h("th", { role: "columnheader", scope: "col" }, it)))),
    h("tbody", { role: "rowgroup" }, rows.map(({ key, cells }) => h("tr", { key, role: "row" }, cells.map(cell)))));
}

/** @type {Words} */
export const exactSeconds = (n) => t("exact_seconds", { n });
/** @type {Words} */
export const exactRate = (n) => t("exact_rate", { n });

/** @type {Record<Api.Stream["health"], Key>} */
const HEALTH_WORDS = { critical: "critical", warning: "warning", unknown: "status_unknown", healthy: "healthy" };
/** @type {(health: Api.Stream["health"]) => string} */
export const healthWord = (health) => t(HEALTH_WORDS[health]);
/** @type {(of: { status: Api.Group["status"] }) => string} */
export const statusWord = ({ status }) => tOr(`status_${status}`, status);

// A health or status: a shape, a colour and a word.
/**
 * @param {Api.Stream["health"]} health
 * @param {string} word
 */
export function badge(health, word = healthWord(health)) {
  const shape = h("svg", { class: "shape", "aria-hidden": "true" }, h("use", { href: `#${health}` }));
  return h("span", { class: `badge ${health}` }, shape, word);
}

// The time in an entry's ID, if it is one: 13 digits, as the sidecar judges it (`src/evaluate/age.rs`).
/** @param {string | null} id */
export function idTime(id) {
  const ms = Number(id?.split("-")[0]);
  const isTime = ms >= 1e12 && ms < 1e13;
  return isTime ? new Date(ms).toISOString() : null;
}

// Why the age of an entry with this ID is unknown.
/** @type {(id: string, isClockKnown: boolean) => Key} */
export function whyNoAge(id, isClockKnown) {
  if (!isClockKnown) return "why_clock";
  return idTime(id) === null ? "why_not_a_time" : "why_ahead";
}

// Why the age of a stream's oldest entry is unknown.
/** @type {(stream: Api.Stream, isClockKnown: boolean) => Key} */
export function whyNoEntryAge({ length, first_entry_id: first }, isClockKnown) {
  if (length === null) return "why_unread";
  if (length === 0) return "why_empty";
  return first === null ? "why_first_unread" : whyNoAge(first, isClockKnown);
}

// Why the rate at which entries are added is unknown.
/** @type {(stream: Api.Stream) => Key} */
export function whyNoRate({ length, entries_added: added }) {
  if (length === null) return "why_unread";
  return added === null ? "why_redis_7" : "why_two_readings";
}

// The time over which rates are averages: less than the whole window after a start.
/** @type {(document: Api.Streams) => number} */
export const rateSpan = ({ rate_window_seconds: window, history_ages_seconds: [oldest] }) => Math.min(window, oldest ?? window);

// A small line: values over their ages, with gaps where they are unknown and a dot for the last one. CSS stretches it. It
// starts at `floor`, or without one at the least value.
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

// How full something is. Over its limit it has another colour.
/**
 * @param {number} part
 * @param {number} whole
 */
export function bar(part, whole) {
  const share = Math.min(1, part / whole);
  return h("svg", { class: part > whole ? "bar over" : "bar", viewBox: "0 0 100 3", preserveAspectRatio: "none", "aria-hidden": "true" },
    h("rect", { class: "rest", width: 100, height: 3 }), h("rect", { width: (share * 100).toFixed(1), height: 3 }));
}

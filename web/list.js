// All streams, worst first: what is wrong in words, and the numbers in a table.

import { h } from "./dom.js";
import { HEALTHS, badge, bar, count, exactRate, exactSeconds, line, passed, plural, rate, value } from "./values.js";

/** @import { Child, Described } from "./dom.js" */
/** @import { Known, Words } from "./values.js" */
/** @typedef {{ ages: number[], now: number, address: (key: string) => string }} View */

// A document that is filtered to fewer is quicker to read, too.
const MOST_ROWS = 1000;

const WHY = {
  unread: "the stream could not be read",
  rate: "not before two readings, and not before Redis 7.0",
  age: "the stream is empty, its IDs are not times or ahead of Redis's clock, or Redis's clock may not be read",
  lag: "Redis does not say, and nothing proves it",
};

// The greatest lag among a stream's groups: exact, or at least bounded.
/** @param {Api.Stream} stream */
export function worstLag(stream) {
  const groups = stream.groups.filter((group) => group.present);
  if (groups.length === 0) return { lag: null, bound: null, age: null, none: stream.groups.length === 0 };
  /** @type {(values: Known[]) => number | null} */
  const greatest = (values) => (values.some((it) => it == null) ? null : Math.max(...values.map(Number)));
  return {
    lag: greatest(groups.map((group) => group.lag)),
    bound: greatest(groups.map((group) => group.lag_upper_bound)),
    age: greatest(groups.map((group) => group.lag_seconds)),
    none: false,
  };
}

// What all groups have not acknowledged; null where the stream could not be read.
/** @param {Api.Stream} stream */
export function pending(stream) {
  const known = stream.groups.map((group) => group.pending).filter((it) => it != null);
  return stream.length === null ? null : known.reduce((sum, it) => sum + it, 0);
}

/** @type {(health: Api.Stream["health"]) => number} */
const order = (health) => HEALTHS.indexOf(health);
/** @type {(of: (stream: Api.Stream) => Known) => (one: Api.Stream, other: Api.Stream) => number} */
const down = (of) => (one, other) => (of(other) ?? -1) - (of(one) ?? -1);
/** @type {(stream: Api.Stream) => number} */
const oldestPending = (stream) => stream.groups.reduce((most, group) => Math.max(most, group.oldest_pending_age_seconds ?? -1), -1);

// What the table can be ordered by; streams that are equal stay by name.
/** @type {Record<string, (one: Api.Stream, other: Api.Stream) => number>} */
export const ORDERS = {
  health: (one, other) => order(one.health) - order(other.health),
  name: () => 0,
  length: down((stream) => stream.length),
  rate: down((stream) => stream.rate_in_per_second),
  lag: down((stream) => worstLag(stream).lag ?? worstLag(stream).bound),
  pending: down(pending),
  oldest: down((stream) => stream.oldest_entry_age_seconds),
};

/** @type {[string, string | null][]} */
const COLUMNS = [
  ["Health", "health"], ["Stream", "name"], ["Length", "length"], ["In", "rate"], ["Lag", "lag"],
  ["Pending", "pending"], ["Oldest entry", "oldest"], ["Retention", null],
];

// The streams that the filter leaves, in order.
/**
 * @param {Api.Stream[]} streams
 * @param {{ filter: string, health: string, sort: string }} wanted
 */
export function chosen(streams, { filter, health, sort }) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  /** @type {(stream: Api.Stream) => string} */
  const text = (stream) => [stream.name, stream.reason, stream.health, ...stream.groups.flatMap((group) => [group.name, group.status])].join("\n").toLowerCase();
  /** @type {(stream: Api.Stream) => boolean} */
  const fits = (stream) => (!health || stream.health === health) && (words.length === 0 || words.every((word) => text(stream).includes(word)));
  return streams.filter(fits).sort(ORDERS[sort] ?? ORDERS.health);
}

// Buttons that show only what is of one health, with how many there are.
/**
 * @param {Api.Streams} document
 * @param {boolean} hasReading
 * @param {string} selected
 */
export function healthButtons({ summary }, hasReading, selected) {
  const all = HEALTHS.reduce((sum, health) => sum + summary[health], 0);
  /** @type {(health: string, label: Child, number: number) => Described} */
  const button = (health, label, number) => h("button", { key: health || "all", type: "button", "data-health": health, "aria-pressed": String(selected === health), class: number ? "some" : "" },
    label, h("span", { class: "number" }, hasReading ? count(number) : "–"));
  return [button("", "All", all), ...HEALTHS.map((health) => button(health, badge(health), summary[health]))];
}

// All streams in short.
/** @param {Api.Stream[]} streams */
export function totals(streams) {
  const there = streams.filter((stream) => stream.present !== false);
  /** @type {(of: (stream: Api.Stream) => Known) => { total: number | null, sign: string }} */
  const sum = (of) => {
    const known = there.map(of).filter((it) => it != null);
    const total = known.reduce((sum, it) => sum + it, 0);
    return { total: known.length ? total : null, sign: known.length < there.length ? "≥ " : "" };
  };
  /** @type {(label: string, sum: { total: number | null, sign: string }, words: Words, why: string) => Described} */
  const item = (label, { total, sign }, words, why) => h("span", { class: "total" }, label, " ", h("b", null, total == null ? "" : sign, value(total, words, { why })));
  return [
    item("In", sum((stream) => stream.rate_in_per_second), rate, WHY.rate),
    item("Entries", sum((stream) => stream.length), count, WHY.unread),
    item("Pending", sum(pending), count, WHY.unread),
  ];
}

/**
 * @param {Api.Stream[]} streams
 * @param {View & { sort: string }} view
 */
export function table(streams, { sort, address, ages, now }) {
  const head = COLUMNS.map(([label, key]) => h("th", { role: "columnheader", scope: "col", "aria-sort": key && key === sort ? (key === "name" || key === "health" ? "ascending" : "descending") : null },
    key ? h("button", { type: "button", "data-sort": key, title: `Order by ${label.toLowerCase()}` }, label) : label));
  const rows = streams.slice(0, MOST_ROWS).map((stream) => row(stream, { address, ages, now }));
  const rest = streams.length - MOST_ROWS;
  return [
    h("table", { role: "table", "aria-label": "Streams" }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), h("tbody", { role: "rowgroup" }, rows)),
    rest > 0 && h("p", { class: "note" }, `${plural(rest, "more stream is", "more streams are")} not drawn: filter, or order by something else.`),
  ];
}

/**
 * @param {Api.Stream} stream
 * @param {View} view
 */
function row(stream, { address, ages, now }) {
  /** @type {(label: string, content: Child, name?: string) => Described} */
  const cell = (label, content, name = "") => h("td", { role: "cell", "data-label": label, class: name }, content);
  return h("tr", { key: stream.key, role: "row", class: stream.health },
    cell("Health", badge(stream.health)),
    h("th", { role: "rowheader", scope: "row" }, h("a", { href: address(stream.key) }, h("bdi", null, stream.name)), h("p", { class: "reason" }, stream.reason)),
    cell("Length", [figure(value(stream.length, count, { why: WHY.unread }), small(line(stream.history.length, ages, {}))), limitOf(stream)]),
    cell("In", figure(value(stream.rate_in_per_second, rate, { exact: exactRate, why: stream.length === null ? WHY.unread : WHY.rate }), small(line(stream.history.rate_in_per_second, ages, { floor: 0 })))),
    cell("Lag", figure(lagOf(stream), small(line(stream.history.worst_lag, ages, { floor: 0 })))),
    cell("Pending", pendingOf(stream)),
    cell("Oldest entry", age(stream.oldest_entry_age_seconds, stream)),
    cell("Retention", retentionOf(stream, now), "retention"));
}

/** @type {(line: Described) => Described | null} */
const small = (line) => (line.children.length ? line : null);
// A number and its line, and what is said under both.
/**
 * @param {Child} words
 * @param {Child} drawing
 */
function figure(words, drawing) {
  const [number, ...rest] = [words].flat();
  return [h("div", { class: "figure" }, number, drawing), rest];
}

/** @type {(words: Child) => Described} */
const under = (words) => h("div", { class: "under" }, words);

/**
 * @param {Known} seconds
 * @param {Api.Stream} stream
 */
function age(seconds, stream) {
  return value(seconds, passed, { exact: exactSeconds, why: stream.length === null ? WHY.unread : WHY.age });
}

// How much of the limit is used.
/** @param {Api.Stream} stream */
export function limitOf({ length, max_length: most }) {
  if (length == null || most == null) return null;
  return [bar(length, most), under(`of ${count(most)} (${Math.floor((length / most) * 100)}%)`)];
}

// A lag as it is known: exact, bounded, or not at all.
/**
 * @param {Known} lag
 * @param {Known} bound
 */
export function lagWords(lag, bound, why = WHY.lag) {
  if (lag == null && bound != null) return h("span", { title: `Not known exactly: ${why}. It is no more than this.` }, `≤ ${count(bound)}`);
  return value(lag, count, { why });
}

/** @param {Api.Stream} stream */
function lagOf(stream) {
  const { lag, bound, age: seconds, none } = worstLag(stream);
  if (none) return stream.length === null ? value(null, count, { why: WHY.unread }) : h("span", { class: "quiet" }, "no group");
  const why = stream.length === null ? WHY.unread : stream.groups.some((group) => group.present) ? WHY.lag : "its groups are not there";
  return [lagWords(lag, bound, why), seconds != null && seconds > 0 && under(`oldest ${passed(seconds)}`)];
}

/** @param {Api.Stream} stream */
function pendingOf(stream) {
  const oldest = oldestPending(stream);
  return [value(pending(stream), count, { why: WHY.unread }), oldest > 0 && under(`oldest ${passed(oldest)}`)];
}

/**
 * @param {Api.Stream} stream
 * @param {number} now
 */
function retentionOf({ retention, mode }, now) {
  if (!retention) return h("span", { class: "quiet" }, "no limit");
  const [blocked] = retention.blocked_by;
  if (blocked) return h("span", { class: "blocked" }, `${mode}, blocked: ${blocked.detail}`);
  if (retention.last_run_unix_ms === null) return h("span", { class: "quiet" }, `${mode}, no run yet`);
  const ran = `${mode}, ran ${passed((now - retention.last_run_unix_ms) / 1000)} ago`;
  return [ran, retention.trimmed_entries > 0 && under(`${plural(retention.trimmed_entries, "entry", "entries")} removed`)];
}

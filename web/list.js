// All streams in a table, worst first.

import { OF_STREAMS, blockerWords, effectWords, streamReason } from "./cause.js";
import { h } from "./dom.js";
import { rich, t } from "./language.js";
import { HEALTHS, ago, badge, bar, count, duration, exactRate, exactSeconds, healthWord, line, passed, rate, statusWord, value, whyNoEntryAge, whyNoRate } from "./values.js";

/** @import { Child, Described } from "./dom.js" */
/** @import { Key } from "./language.js" */
/** @import { Known, Words } from "./values.js" */
/** `span`: over how many seconds rates are averages.
 * @typedef {{ ages: number[], now: number, span: number, isClockKnown: boolean, faults: Api.Fault[], address: (key: string) => string }} View */

// More rows take long to draw; a filter finds the others.
const MOST_ROWS = 1000;
// Streams that the sentence above the list names; the list has the others.
const MOST_NAMED = 5;

// The greatest lag among a stream's groups, exact or as an upper bound.
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

// Pending entries of all groups; null if the stream could not be read.
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

// The orders of the table. Equal streams stay in the order of their names.
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

// The words of each column, and the order that it stands for.
/** @type {[Key, string | null][]} */
const COLUMNS = [
  ["health", "health"], ["stream", "name"], ["length", "length"], ["rate_in", "rate"], ["lag", "lag"],
  ["pending", "pending"], ["oldest_entry", "oldest"], ["retention", null],
];

// The streams that match the filter, in order.
/**
 * @param {Api.Stream[]} streams
 * @param {{ filter: string, health: string, sort: string }} wanted
 */
export function chosen(streams, { filter, health, sort }) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  /** @type {(stream: Api.Stream) => string} */
  const text = (stream) => {
    const groups = stream.groups.flatMap((group) => [group.name, group.status, statusWord(group)]);
    return [stream.name, stream.reason, stream.health, healthWord(stream.health), ...groups].join("\n").toLowerCase();
  };
  /** @type {(stream: Api.Stream) => boolean} */
  const fits = (stream) => (!health || stream.health === health) && (words.length === 0 || words.every((word) => text(stream).includes(word)));
  return streams.filter(fits).sort(ORDERS[sort] ?? ORDERS.health);
}

// Buttons that show the streams of one health, with their numbers.
/**
 * @param {Api.Streams} document
 * @param {boolean} hasReading
 * @param {string} selected
 */
export function healthButtons({ summary, faults }, hasReading, selected) {
  const all = HEALTHS.reduce((sum, health) => sum + summary[health], 0);
  /** @type {(health: string, label: Child, number: number) => Described} */
  const button = (health, label, number) => h("button", { key: health || "all", type: "button", "data-health": health, "aria-pressed": String(selected === health), class: number ? "some" : "" },
    label, h("span", { class: "number" }, hasReading ? count(number) : "–"));
  // The numbers are of streams, which stay healthy while their server refuses writes.
  const worst = HEALTHS.find((health) => faults?.some((fault) => fault.health === health));
  const ofServer = worst && [h("span", { key: "server", class: "server" }, t("server"), badge(worst)), h("span", { key: "streams", class: "quiet" }, t("streams"))];
  return [...(ofServer ?? []), button("", t("all"), all), ...HEALTHS.map((health) => button(health, badge(health), summary[health]))];
}

// What is wrong, in a sentence for each health that someone should look at.
/** @type {(streams: Api.Stream[]) => Child} */
export function worst(streams) {
  /** @type {(health: "critical" | "warning") => Child} */
  const sentence = (health) => {
    const names = streams.filter((stream) => stream.health === health).map((stream) => stream.name);
    if (names.length === 0) return null;
    const named = names.slice(0, MOST_NAMED).map((name, index) => [index > 0 && t("between_items"), h("bdi", null, name)]);
    const rest = names.length - MOST_NAMED;
    return h("p", { key: health, class: `worst ${health}` }, t(`${health}_streams`, { n: names.length }), t("before_names"), named, rest > 0 && [" ", t("and_more_streams", { n: rest })]);
  };
  return [sentence("critical"), sentence("warning")];
}

// Sums over all streams.
/**
 * @param {Api.Stream[]} streams
 * @param {number} span
 */
export function totals(streams, span) {
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
    item(span > 0 ? t("rate_in_over", { time: duration(span) }) : t("rate_in"), sum((stream) => stream.rate_in_per_second), rate, t("why_no_rates")),
    item(t("total_entries"), sum((stream) => stream.length), count, t("why_unread")),
    item(t("pending"), sum(pending), count, t("why_unread")),
  ];
}

/**
 * @param {Api.Stream[]} streams
 * @param {View & { sort: string }} view
 */
export function table(streams, { sort, ...view }) {
  const head = COLUMNS.map(([words, key]) => h("th", { role: "columnheader", scope: "col", "aria-sort": key && key === sort ? (key === "name" || key === "health" ? "ascending" : "descending") : null },
    key ? h("button", { type: "button", "data-sort": key, title: t("order_by", { column: t(words).toLowerCase() }) }, t(words)) : t(words)));
  const rows = streams.slice(0, MOST_ROWS).map((stream) => row(stream, view));
  const rest = streams.length - MOST_ROWS;
  return [
    h("table", { role: "table", "aria-label": t("streams") }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), h("tbody", { role: "rowgroup" }, rows)),
    rest > 0 && h("p", { class: "note" }, t("not_drawn", { n: rest })),
  ];
}

/**
 * @param {Api.Stream} stream
 * @param {View} view
 */
function row(stream, { address, ages, now, span, isClockKnown, faults }) {
  /** @type {(label: Key, content: Child, name?: string) => Described} */
  const cell = (label, content, name = "") => h("td", { role: "cell", "data-label": t(label), class: name }, content);
  return h("tr", { key: stream.key, role: "row", class: stream.health },
    cell("health", badge(stream.health)),
    h("th", { role: "rowheader", scope: "row" }, h("a", { href: address(stream.key) }, h("bdi", null, stream.name)), reasonOf(stream), effects(stream, faults)),
    cell("length", [figure(value(stream.length, count, { why: t("why_unread") }), small(line(stream.history.length, ages, {}))), limitOf(stream)]),
    cell("rate_in", figure([value(stream.rate_in_per_second, rate, { exact: exactRate, why: t(whyNoRate(stream)) }), averageOver(stream.rate_in_per_second, span)], small(line(stream.history.rate_in_per_second, ages, { floor: 0 })))),
    cell("lag", figure(lagOf(stream), small(line(stream.history.worst_lag, ages, { floor: 0 })))),
    cell("pending", pendingOf(stream)),
    cell("oldest_entry", value(stream.oldest_entry_age_seconds, passed, { exact: exactSeconds, why: t(whyNoEntryAge(stream, isClockKnown)) })),
    cell("retention", retentionOf(stream, now), "retention"));
}

/** @type {(line: Described) => Described | null} */
const small = (line) => (line.children.length ? line : null);
// A number and its line, and what goes under both.
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

// Over which time a rate is an average: it may still be above zero when nothing is added any more.
/** @type {(rate: Known, seconds: number) => Described | null} */
export const averageOver = (rate, seconds) => (rate == null ? null : under(t("average_over", { time: duration(seconds) })));

// What the faults of its server mean for a stream whose own health does not show them.
/** @type {(stream: Api.Stream, faults: Api.Fault[]) => Described[]} */
export function effects(stream, faults) {
  const isHere = faults.filter((fault) => fault.node == null || fault.node === stream.node);
  // A recreated stream says so itself.
  const own = isHere.filter((fault) => !OF_STREAMS.has(fault.cause?.kind ?? ""));
  return own.map((fault) => h("p", { key: fault.cause?.kind, class: `effect ${fault.health}` }, effectWords(fault)));
}

// How much of the limit the stream uses.
/** @param {Api.Stream} stream */
export function limitOf({ length, max_length: most }) {
  if (length == null || most == null) return null;
  return [bar(length, most), under(t("of_limit", { limit: most, percent: Math.floor((length / most) * 100) }))];
}

// A lag: exact, an upper bound, or unknown.
/**
 * @param {Known} lag
 * @param {Known} bound
 */
export function lagWords(lag, bound, why = t("why_lag")) {
  if (lag == null && bound != null) return h("span", { title: t("lag_at_most", { why }) }, `≤ ${count(bound)}`, h("span", { class: "unseen" }, ` ${t("lag_at_most", { why })}`));
  return value(lag, count, { why });
}

/** @param {Api.Stream} stream */
function lagOf(stream) {
  const { lag, bound, age: seconds, none } = worstLag(stream);
  if (none) return stream.length === null ? value(null, count, { why: t("why_unread") }) : h("span", { class: "quiet" }, t("no_group"));
  const why = stream.length === null ? "why_unread" : stream.groups.some((group) => group.present) ? "why_lag" : "why_no_groups";
  return [lagWords(lag, bound, t(why)), seconds != null && seconds > 0 && under(t("oldest", { time: passed(seconds) }))];
}

/** @param {Api.Stream} stream */
function pendingOf(stream) {
  const oldest = oldestPending(stream);
  return [value(pending(stream), count, { why: t("why_unread") }), oldest > 0 && under(t("oldest", { time: passed(oldest) }))];
}

/**
 * @param {Api.Stream} stream
 * @param {number} now
 */
function retentionOf({ retention, mode }, now) {
  if (!retention) return h("span", { class: "quiet" }, t("no_limit"));
  const [blocked] = retention.blocked_by;
  if (blocked) return h("span", { class: "blocked" }, rich("retention_blocked", { mode, why: blockerWords(blocked) }));
  const holder = retention.lease_holder;
  if (holder) return h("span", { class: "quiet" }, t("retention_elsewhere", { mode: mode ?? "", elsewhere: t("lease_elsewhere", { holder }) }));
  if (retention.last_run_unix_ms === null) return h("span", { class: "quiet" }, t("retention_waits", { mode: mode ?? "" }));
  const ran = t("retention_ran", { mode: mode ?? "", ago: ago((now - retention.last_run_unix_ms) / 1000) });
  return [ran, retention.trimmed_entries > 0 && under(t("removed", { n: retention.trimmed_entries }))];
}

/** @type {(stream: Api.Stream) => Described} */
export const reasonOf = (stream) => h("p", { class: "reason" }, streamReason(stream));

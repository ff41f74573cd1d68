// All streams, worst first: what is wrong in words, and the numbers in a table.

import { h } from "./dom.js";
import { HEALTHS, badge, bar, count, exactRate, exactSeconds, line, passed, plural, rate, value } from "./words.js";

// A document that is filtered to fewer is quicker to read, too.
const MOST_ROWS = 1000;

const WHY = {
  unread: "the stream could not be read",
  rate: "not before two readings, and not before Redis 7.0",
  age: "the stream is empty, its IDs are not times or ahead of Redis's clock, or Redis's clock may not be read",
  lag: "Redis does not say, and nothing proves it",
};

// The greatest lag among a stream's groups: exact, or at least bounded.
export function worstLag(stream) {
  const groups = stream.groups.filter((group) => group.present);
  if (groups.length === 0) return { lag: null, bound: null, age: null, none: stream.groups.length === 0 };
  const greatest = (values) => (values.some((it) => it == null) ? null : Math.max(...values));
  return {
    lag: greatest(groups.map((group) => group.lag)),
    bound: greatest(groups.map((group) => group.lag_upper_bound)),
    age: greatest(groups.map((group) => group.lag_seconds)),
    none: false,
  };
}

// What all groups have not acknowledged; null where the stream could not be read.
export function pending(stream) {
  const known = stream.groups.map((group) => group.pending).filter((it) => it != null);
  return stream.length === null ? null : known.reduce((sum, it) => sum + it, 0);
}

const order = (health) => HEALTHS.indexOf(health);
const down = (of) => (one, other) => (of(other) ?? -1) - (of(one) ?? -1);
const oldestPending = (stream) => stream.groups.reduce((most, group) => Math.max(most, group.oldest_pending_age_seconds ?? -1), -1);

// What the table can be ordered by; streams that are equal stay by name.
export const ORDERS = {
  health: (one, other) => order(one.health) - order(other.health),
  name: () => 0,
  length: down((stream) => stream.length),
  rate: down((stream) => stream.rate_in_per_second),
  lag: down((stream) => worstLag(stream).lag ?? worstLag(stream).bound),
  pending: down(pending),
  oldest: down((stream) => stream.oldest_entry_age_seconds),
};

const COLUMNS = [
  ["Health", "health"], ["Stream", "name"], ["Length", "length"], ["In", "rate"], ["Lag", "lag"],
  ["Pending", "pending"], ["Oldest entry", "oldest"], ["Retention", null],
];

// The streams that the filter leaves, in order.
export function chosen(streams, { filter, health, sort }) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (stream) => [stream.name, stream.reason, stream.health, ...stream.groups.flatMap((group) => [group.name, group.status])].join("\n").toLowerCase();
  const fits = (stream) => (!health || stream.health === health) && (words.length === 0 || words.every((word) => text(stream).includes(word)));
  return streams.filter(fits).sort(ORDERS[sort] ?? ORDERS.health);
}

// Buttons that show only what is of one health, with how many there are.
export function healthButtons({ summary }, hasReading, selected) {
  const all = HEALTHS.reduce((sum, health) => sum + summary[health], 0);
  const button = (health, label, number) => h("button", { key: health || "all", type: "button", "data-health": health, "aria-pressed": String(selected === health), class: number ? "some" : "" },
    label, h("span", { class: "number" }, hasReading ? count(number) : "–"));
  return [button("", "All", all), ...HEALTHS.map((health) => button(health, badge(health), summary[health]))];
}

// All streams in short.
export function totals(streams) {
  const there = streams.filter((stream) => stream.present !== false);
  const sum = (of) => {
    const known = there.map(of).filter((it) => it != null);
    const total = known.reduce((sum, it) => sum + it, 0);
    return { total: known.length ? total : null, sign: known.length < there.length ? "≥ " : "" };
  };
  const item = (label, { total, sign }, words, why) => h("span", { class: "total" }, label, " ", h("b", null, total == null ? "" : sign, value(total, words, { why })));
  return [
    item("In", sum((stream) => stream.rate_in_per_second), rate, WHY.rate),
    item("Entries", sum((stream) => stream.length), count, WHY.unread),
    item("Pending", sum(pending), count, WHY.unread),
  ];
}

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

function row(stream, { address, ages, now }) {
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

const small = (line) => (line.children.length ? line : null);
// A number and its line, and what is said under both.
function figure(words, drawing) {
  const [number, ...rest] = [words].flat();
  return [h("div", { class: "figure" }, number, drawing), rest];
}

const under = (words) => h("div", { class: "under" }, words);

function age(seconds, stream) {
  return value(seconds, passed, { exact: exactSeconds, why: stream.length === null ? WHY.unread : WHY.age });
}

// How much of the limit is used.
export function limitOf({ length, max_length: most }) {
  if (length == null || most == null) return null;
  return [bar(length, most), under(`of ${count(most)} (${Math.floor((length / most) * 100)}%)`)];
}

// A lag as it is known: exact, bounded, or not at all.
export function lagWords(lag, bound, why = WHY.lag) {
  if (lag == null && bound != null) return h("span", { title: `Not known exactly: ${why}. It is no more than this.` }, `≤ ${count(bound)}`);
  return value(lag, count, { why });
}

function lagOf(stream) {
  const { lag, bound, age: seconds, none } = worstLag(stream);
  if (none) return stream.length === null ? value(null, count, { why: WHY.unread }) : h("span", { class: "quiet" }, "no group");
  const why = stream.length === null ? WHY.unread : stream.groups.some((group) => group.present) ? WHY.lag : "its groups are not there";
  return [lagWords(lag, bound, why), seconds > 0 && under(`oldest ${passed(seconds)}`)];
}

function pendingOf(stream) {
  const oldest = oldestPending(stream);
  return [value(pending(stream), count, { why: WHY.unread }), oldest > 0 && under(`oldest ${passed(oldest)}`)];
}

function retentionOf({ retention, mode }, now) {
  if (!retention) return h("span", { class: "quiet" }, "no limit");
  const [blocked] = retention.blocked_by;
  if (blocked) return h("span", { class: "blocked" }, `${mode}, blocked: ${blocked.detail}`);
  if (retention.last_run_unix_ms === null) return h("span", { class: "quiet" }, `${mode}, no run yet`);
  const ran = `${mode}, ran ${passed((now - retention.last_run_unix_ms) / 1000)} ago`;
  return [ran, retention.trimmed_entries > 0 && under(`${plural(retention.trimmed_entries, "entry", "entries")} removed`)];
}

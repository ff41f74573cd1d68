// One stream in depth: its numbers and their past, what retention does, its groups and their consumers.

import { h } from "./dom.js";
import { lagWords, limitOf } from "./list.js";
import { badge, count, duration, exactRate, exactSeconds, idTime, line, outcome, passed, plural, rate, value } from "./values.js";

/** @import { Child, Described } from "./dom.js" */
/** @import { Known, Words } from "./values.js" */
/** @typedef {[string, ...Child[]]} Fact */
/** @typedef {false | null | undefined} Absent */

const UNREAD = "the stream could not be read";
const NOT_TIMES = "there is none, its IDs are not times or ahead of Redis's clock, or Redis's clock may not be read";

/**
 * @param {Api.Stream} stream
 * @param {{ home: string, ages: number[], now: number }} view
 */
export function detail(stream, { home, ages, now }) {
  return [
    h("p", { class: "back" }, h("a", { href: home }, "← All streams")),
    h("div", { class: "title" }, h("h2", { tabindex: "-1" }, h("bdi", null, stream.name)), badge(stream.health)),
    h("p", { class: "reason" }, stream.reason),
    h("div", { class: "charts" }, charts(stream, ages)),
    h("div", { class: "panels" }, panel("Stream", facts(streamFacts(stream))), panel("Retention", retention(stream, now)), panel("Thresholds", thresholds(stream))),
    stream.last_entries && lastEntries(stream.last_entries, now),
    h("h3", null, `Groups (${count(stream.groups.length)})`),
    stream.groups.length === 0
      ? h("p", { class: "note" }, stream.length === null ? `Its groups are not known: ${UNREAD}.` : "It has no group: nobody reads it as a group, and none is expected.")
      : h("div", { class: "groups" }, stream.groups.map((group) => groupCard(group, ages))),
  ];
}

// In place of a stream that is not there.
/**
 * @param {string} key
 * @param {string} home
 */
export function nothing(key, home) {
  return [
    h("p", { class: "back" }, h("a", { href: home }, "← All streams")),
    h("h2", { tabindex: "-1" }, "No such stream"),
    h("p", null, "No stream of the key ", h("code", null, key), " is watched. It may have been deleted since, or the configuration leaves it out."),
  ];
}

/** @type {(title: string, content: Child) => Described} */
const panel = (title, content) => h("section", { class: "panel", "aria-label": title }, h("h3", null, title), content);
// What is absent is left out.
/** @type {(pairs: (Fact | Absent)[]) => Described} */
const facts = (pairs) => h("dl", null, pairs.filter((pair) => pair != null && pair !== false).map(([term, ...content]) => h("div", { key: term }, h("dt", null, term), h("dd", null, content))));
// What is only shown where there is some of it.
/** @type {<T>(number: Known, show: (number: number) => T) => T | null} */
const ifSome = (number, show) => (number != null && number > 0 ? show(number) : null);
/** @type {(number: Known, why?: string) => Described} */
const old = (number, why) => value(number, passed, { exact: exactSeconds, why });
/** @type {(number: Known, why?: string) => Described} */
const ago = (number, why) => value(number, (it) => `${passed(it)} ago`, { exact: exactSeconds, why });
/** @type {(text: string | null, why?: string) => Described} */
const id = (text, why) => (text == null ? value(null, count, { why }) : h("code", { title: idTime(text) ?? "Not a time" }, text));

/**
 * @param {Api.Stream} stream
 * @param {number[]} ages
 */
function charts({ history, length, rate_in_per_second: rateIn, groups }, ages) {
  return [
    chart("Length", history.length, ages, { words: count, now: length }),
    chart("In", history.rate_in_per_second, ages, { words: rate, now: rateIn, floor: 0 }),
    groups.length > 0 && chart("Lag, worst group", history.worst_lag, ages, { words: count, now: history.worst_lag.at(-1), floor: 0 }),
  ];
}

/**
 * @param {string} title
 * @param {Known[]} values
 * @param {number[]} ages
 * @param {{ words: Words, now: Known, floor?: number }} options
 */
function chart(title, values, ages, { words, now, floor }) {
  const known = values.filter((it) => it != null);
  const span = duration(ages[ages.length - values.length] ?? 0);
  /** @type {(least: number, most: number) => string} */
  const label = (least, most) => `${title} over the last ${span}: from ${words(least)} to ${words(most)}, now ${now == null ? "unknown" : words(now)}`;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const range = known.length < 2 ? "too few readings yet" : least === most ? `${words(most)} for ${span}` : `${words(least)} to ${words(most)} in ${span}`;
  return h("figure", null, h("figcaption", null, h("span", null, title), h("span", { class: "quiet" }, range)), line(values, ages, { floor, label }));
}

/**
 * @param {Api.Stream} stream
 * @returns {(Fact | Absent)[]}
 */
function streamFacts(stream) {
  const why = stream.length === null ? UNREAD : "Redis tells it from 7.0 on";
  const ageWhy = stream.length === null ? UNREAD : NOT_TIMES;
  return [
    ["Length", value(stream.length, count, { why: UNREAD }), limitOf(stream)],
    ["In", value(stream.rate_in_per_second, rate, { exact: exactRate, why: stream.length === null ? UNREAD : "not before two readings, and not before Redis 7.0" })],
    ["Last write", ago(stream.last_write_age_seconds, ageWhy)],
    ["Oldest entry", ago(stream.oldest_entry_age_seconds, ageWhy)],
    ["First ID", id(stream.first_entry_id, stream.length === 0 ? "the stream is empty" : UNREAD)],
    ["Last ID", id(stream.last_generated_id, UNREAD)],
    ["Ever added", value(stream.entries_added, count, { why })],
    ifSome(stream.recreations, (times) => ["Made anew", plural(times, "time")]),
  ];
}

/**
 * @param {Api.Stream} stream
 * @param {number} now
 */
function retention({ retention, mode, max_length: length, max_age_seconds: age }, now) {
  if (!retention) return h("p", { class: "quiet" }, "No limit is configured: nothing is ever removed.");
  const limits = [length != null && plural(length, "entry", "entries"), age != null && `${duration(age)} of age`].filter(Boolean).join(", ");
  const ran = retention.last_run_unix_ms;
  return facts([
    ["Limit", limits],
    ["Mode", mode],
    ["Last run", ran === null ? "none since the sidecar started" : h("span", { title: new Date(ran).toISOString() }, `${passed((now - ran) / 1000)} ago: ${outcome(retention.outcome)}`)],
    ["Removed", `${plural(retention.trimmed_entries, "entry", "entries")} by this sidecar`],
    length != null && ["Over the limit", value(retention.excess, count, { why: UNREAD })],
    ["Blocked by", retention.blocked_by.length === 0 ? "nothing" : h("ul", null, retention.blocked_by.map((it) => h("li", { class: "blocked" }, it.detail)))],
  ]);
}

/** @param {Api.Stream} stream */
function thresholds({ thresholds: set }) {
  /** @type {[string, Known, Words][]} */
  const list = [
    ["Lag", set.lag, count], ["Lag age", set.lag_age_seconds, duration], ["Lag age", set.default_lag_age_seconds, byDefault],
    ["Pending", set.pending, count], ["Pending age", set.pending_age_seconds, duration], ["Pending age", set.default_pending_age_seconds, byDefault],
    ["Deliveries", set.deliveries, count], ["Silence", set.silence_seconds, duration],
  ];
  return facts(list.map(([term, number, words]) => number != null && [term, words(number)]));
}

/** @type {Words} */
const byDefault = (seconds) => `${duration(seconds)}, the default`;

// Keyed by ID, so that new ones come in above the rest.
/**
 * @param {Api.Entry[]} entries
 * @param {number} now
 */
function lastEntries(entries, now) {
  /** @type {(entry: Api.Entry) => Described} */
  const row = ({ id: text, type }) => h("tr", { key: text }, h("th", { scope: "row" }, id(text)), h("td", null, type ?? value(null, count, { why: "it has no such field" })),
    h("td", null, value(idAge(text, now), (it) => `${passed(it)} ago`, { exact: () => idTime(text) ?? text, why: "its ID is not a time" })));
  return h("details", { open: true, key: "entries" }, h("summary", null, `Last ${plural(entries.length, "entry", "entries")}`),
    h("div", { class: "scroll panel", tabindex: "0", role: "group", "aria-label": "Last entries" },
      h("table", null, h("thead", null, h("tr", null, ["ID", "Type", "Added"].map((it) => h("th", { scope: "col" }, it)))), h("tbody", null, entries.map(row)))));
}

/** @param {string} id
 * @param {number} now */
function idAge(id, now) {
  const time = idTime(id);
  return time === null ? null : Math.max(0, (now - Date.parse(time)) / 1000);
}

/**
 * @param {Api.Group} group
 * @param {number[]} ages
 */
function groupCard(group, ages) {
  const head = h("div", { class: "title" }, h("h4", null, h("bdi", null, group.name)), badge(group.health, group.status.replaceAll("_", " ")));
  const rest = group.present ? [facts(groupFacts(group)), chart("Lag", group.history.lag, ages, { words: count, now: group.lag, floor: 0 }), consumers(group)] : [];
  return h("article", { key: group.key, class: group.health }, head, h("p", { class: "reason" }, group.reason), rest);
}

/**
 * @param {Api.Group} group
 * @returns {(Fact | Absent)[]}
 */
function groupFacts(group) {
  const waits = group.pending !== null && group.pending > 0;
  /** @type {Words} */
  const often = (number) => `${plural(number, "time")} delivered`;
  return [
    ["Lag", lagWords(group.lag, group.lag_upper_bound), ifSome(group.lag_seconds, (seconds) => h("div", { class: "under" }, "oldest ", old(seconds)))],
    ["Out", value(group.rate_out_per_second, rate, { exact: exactRate, why: "its lag is not known, or there were not two readings yet" })],
    ["Pending", value(group.pending, count, { why: UNREAD })],
    waits && ["Oldest pending", ago(group.oldest_pending_age_seconds, "it is not in the stream any more, or its ID is not a time"), h("div", { class: "under" }, id(group.oldest_pending_id, "it could not be read"))],
    waits && ["Last delivered", ago(group.oldest_pending_idle_seconds, "it was given back since, or could not be read"), h("div", { class: "under" }, value(group.oldest_pending_deliveries, often, { why: "a consumer declared it fatal, or it could not be read" }))],
    ["Lost unread", value(group.entries_lost, count, { why: "its IDs are not times, or Redis is older than 7.0" }), ifSome(group.entries_suspected_lost, (more) => h("div", { class: "under" }, `maybe ${plural(more, "more entry", "more entries")}`))],
    ifSome(group.nacked_entries, (number) => ["Given back", plural(number, "entry", "entries")]),
    ifSome(group.poison_entries, (number) => ["Delivered too often", plural(number, "entry", "entries")]),
    ifSome(group.dangling_pending, (number) => ["Pending, but gone", `at least ${plural(number, "entry", "entries")}`]),
    ifSome(group.pending_dropped, (number) => ["Dropped with a consumer", `at most ${plural(number, "entry", "entries")}`]),
    ifSome(group.rewinds, (times) => ["Went back", plural(times, "time")]),
    ["Position", id(group.last_delivered_id, UNREAD)],
  ];
}

/** @param {Api.Group} group */
function consumers(group) {
  const number = group.consumer_count;
  const stuck = ifSome(group.stuck_consumers, (stuck) => h("span", { class: "blocked" }, `, ${count(stuck)} stuck`));
  if (number === 0) return h("p", { class: "note" }, "No consumer");
  if (number === null) return h("p", { class: "note" }, "Consumers unknown");
  if (!group.consumers) return h("p", { class: "note" }, `${plural(number, "consumer")}, not read one by one`);
  const rest = number - group.consumers.length;
  const inactive = "it was never given one, or Redis is older than 7.2";
  const read = ifSome(group.consumers_age_seconds, (seconds) => `, as they were ${duration(seconds)} ago`);
  /** @type {(consumer: Api.Consumer) => Described} */
  const row = (consumer) => h("tr", { key: consumer.key }, h("th", { scope: "row" }, h("bdi", null, consumer.name)),
    h("td", null, count(consumer.pending)), h("td", null, ago(consumer.idle_seconds, "Redis's clock may not be read")), h("td", null, ago(consumer.inactive_seconds, inactive)));
  return h("details", { open: true }, h("summary", null, plural(number, "consumer"), stuck, read),
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Consumers of ${group.name}` },
      h("table", null, h("thead", null, h("tr", null, ["Consumer", "Pending", "Last asked", "Last given one"].map((it) => h("th", { scope: "col" }, it)))), h("tbody", null, group.consumers.map(row)))),
    ifSome(rest, (more) => h("p", { class: "note" }, plural(more, "more consumer"), group.unlisted_pending !== null && `, with ${plural(group.unlisted_pending, "pending entry", "pending entries")} in all`)));
}

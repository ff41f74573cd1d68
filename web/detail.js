// One stream in detail: its numbers and their history, its retention, its groups and their consumers.

import { blockerWords, groupReason } from "./cause.js";
import { h } from "./dom.js";
import { rich, t, tOr } from "./language.js";
import { took } from "./latency.js";
import { averageOver, effects, limitOf, reasonOf } from "./list.js";
import { help, pendingEntries } from "./pending.js";
import { ago, badge, bytes, cards, clock, count, duration, entries, exactRate, exactSeconds, explained, failure, idTime, line, outcome, passed, rate, statusWord, whyNoAge, whyNoEntryAge, whyNoRate } from "./values.js";

/** @import { Child, Described } from "./dom.js" */
/** @import { Key } from "./language.js" */
/** @import { Known, Words } from "./values.js" */
/** @typedef {{ home: string, ages: number[], now: number, span: number, isClockKnown: boolean, faults: Api.Fault[] }} View */
/** @typedef {[string, ...Child[]]} Fact */
/** @typedef {false | null | undefined} Absent */

/**
 * @param {Api.Stream} stream
 * @param {View} view
 */
export function detail(stream, view) {
  const { home, ages, now, faults } = view;
  return [
    back(home),
    h("div", { class: "title" }, h("h2", { tabindex: "-1" }, h("bdi", null, stream.name)), badge(stream.health)),
    reasonOf(stream),
    effects(stream, faults),
    h("div", { class: "charts" }, charts(stream, ages)),
    h("div", { class: "panels" }, panel(t("stream"), facts(streamFacts(stream, view))), panel(t("retention"), retention(stream, now)), panel(t("thresholds"), thresholds(stream)), stream.dead_letter && panel(t("dead_letters"), deadLetters(stream.dead_letter)), stream.reap_consumers && panel(t("reaping"), reaping(stream.reap_consumers))),
    stream.last_entries && lastEntries(stream.last_entries, now),
    h("h3", null, t("groups", { n: stream.groups.length })),
    stream.groups.length === 0
      ? h("p", { class: "note" }, stream.length === null ? t("groups_unknown", { why: t("why_unread") }) : t("groups_none"))
      : h("div", { class: "groups" }, stream.groups.map((group) => groupCard(group, stream, view))),
  ];
}

// What is shown for a stream that does not exist.
/**
 * @param {string} key
 * @param {string} home
 */
export function nothing(key, home) {
  return [
    back(home),
    h("h2", { tabindex: "-1" }, t("no_such_stream")),
    h("p", null, rich("no_such_stream_text", { key: h("code", null, key) })),
  ];
}

/** @type {(home: string) => Described} */
const back = (home) => h("p", { class: "back" }, h("a", { href: home }, `← ${t("all_streams")}`));
/** @type {(title: string, content: Child) => Described} */
const panel = (title, content) => h("section", { class: "panel", "aria-label": title }, h("h3", null, title), content);
// A list of facts without those that are absent.
/** @type {(pairs: (Fact | Absent)[]) => Described} */
const facts = (pairs) => h("dl", null, pairs.filter((pair) => pair != null && pair !== false).map(([term, ...content]) => h("div", { key: term }, h("dt", null, term), h("dd", null, content))));
// What is shown only for a number above zero.
/** @type {<T>(number: Known, show: (number: number) => T) => T | null} */
const ifSome = (number, show) => (number != null && number > 0 ? show(number) : null);
/** @type {(number: Known, why?: string) => Described} */
const since = (number, why) => explained(number, ago, { exact: exactSeconds, why });
/** @type {(text: string | null, why?: string) => Described} */
const id = (text, why) => (text == null ? explained(null, count, { why }) : h("code", { title: idTime(text) ?? t("not_a_time") }, text));

// When something was noticed last.
/** @type {(unixMs: Known, now: number) => Described | null} */
const noticed = (unixMs, now) => (unixMs == null ? null : h("div", { class: "under" }, t("last_noticed", { time: clock(unixMs), ago: ago(Math.max(0, now - unixMs) / 1000) })));

/**
 * @param {Api.Stream} stream
 * @param {number[]} ages
 */
function charts({ history, length, rate_in_per_second: rateIn, groups }, ages) {
  return [
    chart(t("length"), history.length, ages, { words: count, now: length }),
    chart(t("rate_in"), history.rate_in_per_second, ages, { words: rate, now: rateIn, floor: 0 }),
    groups.length > 0 && chart(t("worst_lag"), history.worst_lag, ages, { words: count, now: history.worst_lag.at(-1), floor: 0 }),
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
  const time = duration(ages[ages.length - values.length] ?? 0);
  /** @type {(least: number, most: number) => string} */
  const label = (least, most) => t("chart", { title, time, least: words(least), most: words(most), now: now == null ? t("unknown") : words(now) });
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const range = known.length < 2 ? "chart_short" : least === most ? "chart_constant" : "chart_range";
  const rangeWords = t(range, { time, least: words(least), most: words(most) });
  return h("figure", null, h("figcaption", null, h("span", null, title), h("span", { class: "quiet" }, rangeWords)), line(values, ages, { floor, label }));
}

/**
 * @param {Api.Stream} stream
 * @param {View} view
 * @returns {(Fact | Absent)[]}
 */
function streamFacts(stream, { now, span, isClockKnown }) {
  const unread = t("why_unread");
  /** @type {(why: Key) => string} */
  const or = (why) => (stream.length === null ? unread : t(why));
  const last = stream.last_generated_id;
  const noLastWrite = or(last === null || last === "0-0" ? "why_never_added" : whyNoAge(last, isClockKnown));
  return [
    [t("length"), explained(stream.length, count, { why: unread }), limitOf(stream)],
    [t("rate_in"), explained(stream.rate_in_per_second, rate, { exact: exactRate, why: t(whyNoRate(stream)) }), averageOver(stream.rate_in_per_second, span)],
    [t("last_write"), since(stream.last_write_age_seconds, noLastWrite)],
    [t("oldest_entry"), since(stream.oldest_entry_age_seconds, t(whyNoEntryAge(stream, isClockKnown)))],
    [t("first_id"), id(stream.first_entry_id, or(stream.length === 0 ? "why_empty" : "why_first_unread"))],
    [t("last_id"), id(stream.last_generated_id, unread)],
    [t("entries_added"), explained(stream.entries_added, count, { why: or("why_redis_7") })],
    [t("memory"), explained(stream.memory?.bytes, stream.memory?.is_estimate ? (n) => t("about", { size: bytes(n) }) : bytes, { exact: count, why: or("why_no_memory") }), memoryGrowth(stream.memory)],
    stream.node != null && [t("node"), h("bdi", null, stream.node)],
    ifSome(stream.recreations, (n) => [t("recreated"), t("times", { n }), noticed(stream.last_recreation_unix_ms, now)]),
  ];
}

// How fast its memory grows, and until when there is room.
/** @param {Api.Stream["memory"]} memory */
function memoryGrowth(memory) {
  const growth = memory?.growth_bytes_per_day;
  if (!memory || growth == null) return null;
  const left = Math.min(memory.size_limit_reached_seconds ?? Infinity, memory.maxmemory_reached_seconds ?? Infinity);
  const sentence = growth > 0 ? t("memory_grows", { size: bytes(growth) }) : growth < 0 ? t("memory_shrinks", { size: bytes(-growth) }) : t("memory_is_constant");
  return h("div", { class: "under" }, sentence, left < Infinity && `${t("between_items")}${t("memory_full", { time: duration(left) })}`);
}

/**
 * @param {Api.Stream} stream
 * @param {number} now
 */
function retention({ retention, mode, max_length: length, max_age_seconds: age }, now) {
  if (!retention) return h("p", { class: "quiet" }, t("nothing_removed"));
  const limits = [length != null && entries(length), age != null && t("limit_age", { time: duration(age) })].filter(Boolean).join(t("between_items"));
  const ran = retention.last_run_unix_ms;
  return facts([
    [t("limit"), limits],
    [t("mode"), mode],
    [t("last_run"), ran === null ? t("no_run") : h("span", { title: new Date(ran).toISOString() }, t("run", { ago: ago((now - ran) / 1000), outcome: outcome(retention.outcome) }))],
    retention.lease_holder != null && [t("lease"), t("lease_elsewhere", { holder: retention.lease_holder })],
    [t("removed_term"), t("removed_here", { n: retention.trimmed_entries })],
    length != null && [t("excess"), explained(retention.excess, count, { why: t("why_unread") })],
    [t("blocked_by"), retention.blocked_by.length === 0 ? t("nothing") : h("ul", null, retention.blocked_by.map((it) => h("li", { class: "blocked" }, blockerWords(it))))],
  ]);
}

/** @param {Api.DeadLetter} of */
function deadLetters(of) {
  return facts([
    [t("dead_letters_in"), of.key == null ? t("dead_letters_no_key") : h("a", { href: `#stream=${of.key}` }, h("bdi", null, of.name))],
    [t("length"), explained(of.length, count, { why: t("why_unread") })],
    [t("limit"), entries(of.max_length)],
    of.oldest_age_seconds != null && [t("oldest_entry"), since(of.oldest_age_seconds)],
    [t("moved_when"), t("moved_when_text", { n: of.after_deliveries, time: duration(of.idle_seconds) })],
    [t("moved"), t("moved_here", { n: of.moved_entries })],
    of.stopped != null && [t("moving_stopped"), h("span", { class: "blocked" }, tOr(`stopped_${of.stopped}`, failure(of.stopped)))],
  ]);
}

/** @param {Api.ReapConsumers} of */
function reaping(of) {
  return facts([
    [t("reaped_when"), t("reaped_when_text", { time: duration(of.idle_seconds) })],
    [t("reaped"), t("reaped_here", { n: of.deleted })],
  ]);
}

/** @param {Api.Stream} stream */
function thresholds({ thresholds: set }) {
  /** @type {[string, Known, Words][]} */
  const list = [
    [t("lag"), set.lag, count], [t("lag_age"), set.lag_age_seconds, duration], [t("lag_age"), set.default_lag_age_seconds, byDefault],
    [t("pending"), set.pending, count], [t("pending_age"), set.pending_age_seconds, duration], [t("pending_age"), set.default_pending_age_seconds, byDefault],
    [t("deliveries"), set.deliveries, count], [t("silence"), set.silence_seconds, duration],
  ];
  return facts(list.map(([term, number, words]) => number != null && [term, words(number)]));
}

// As in `src/evaluate/age.rs`.
const AHEAD_S = 5;

/** @type {Words} */
const byDefault = (seconds) => t("by_default", { time: duration(seconds) });

// Keyed by ID, so that new entries appear above the rest.
/**
 * @param {Api.Entry[]} last
 * @param {number} now
 */
function lastEntries(last, now) {
  /** @type {(entry: Api.Entry) => { key: string, cells: Child[] }} */
  const row = ({ id: text, type }) => ({ key: text, cells: [id(text), type ?? explained(null, count, { why: t("why_no_type") }),
    explained(idAge(text, now), ago, { exact: () => idTime(text) ?? text, why: t(whyNoAge(text, true)) })] });
  return h("details", { open: true, key: "entries" }, h("summary", null, t("last_entries", { n: last.length })),
    h("div", { class: "scroll panel", tabindex: "0", role: "group", "aria-label": t("last_entries", { n: last.length }) },
      cards([t("id"), t("type"), t("added")], last.map(row))));
}

/** @param {string} id
 * @param {number} now */
function idAge(id, now) {
  const time = idTime(id);
  const age = time === null ? null : (now - Date.parse(time)) / 1000;
  // An ID of the time of the reading may be slightly ahead of another machine's clock.
  return age === null || age < -AHEAD_S ? null : Math.max(0, age);
}

/**
 * @param {Api.Group} group
 * @param {Api.Stream} stream
 * @param {View} view
 */
function groupCard(group, stream, view) {
  const head = h("div", { class: "title" }, h("h4", null, h("bdi", null, group.name)), badge(group.health, statusWord(group)));
  const rest = group.present ? [facts(groupFacts(group, stream, view)), help(group), chart(t("lag"), group.history.lag, view.ages, { words: count, now: group.lag, floor: 0 }), consumers(group), ifSome(group.pending, () => pendingEntries(group, view.isClockKnown))] : [];
  return h("article", { key: group.key, class: group.health }, head, h("p", { class: "reason" }, groupReason(group)), rest);
}

/**
 * @param {Api.Group} group
 * @param {Api.Stream} stream
 * @param {View} view
 * @returns {(Fact | Absent)[]}
 */
function groupFacts(group, stream, { now, span, isClockKnown }) {
  const oldest = group.oldest_pending_id;
  /** @type {(why: Key) => string} */
  const ofOldest = (why) => t(oldest === null ? "why_unread_pending" : why);
  const waits = group.pending !== null && group.pending > 0;
  /** @type {Words} */
  const often = (n) => t("delivered_times", { n });
  return [
    [t("lag"), lag(group), ifSome(group.lag_seconds, (seconds) => h("div", { class: "under" }, t("oldest", { time: passed(seconds) })))],
    [t("rate_out"), explained(group.rate_out_per_second, rate, { exact: exactRate, why: t(group.lag === null ? "why_rate_of_lag" : "why_two_readings") }), averageOver(group.rate_out_per_second, span)],
    [t("pending"), explained(group.pending, count, { why: t("why_unread") })],
    waits && [t("oldest_pending"), since(group.oldest_pending_age_seconds, oldest === null ? undefined : t(whyNoAge(oldest, isClockKnown))), h("div", { class: "under" }, id(oldest, t("why_unread_pending")))],
    waits && [t("last_delivered"), since(group.oldest_pending_idle_seconds, ofOldest("why_released")), h("div", { class: "under" }, explained(group.oldest_pending_deliveries, often, { why: ofOldest("why_fatal") }))],
    [t("lost"), explained(group.entries_lost, count, { why: t(stream.entries_added === null ? "why_redis_7" : "why_lost") }), ifSome(group.entries_suspected_lost, (n) => h("div", { class: "under" }, t("maybe_more", { n })))],
    ifSome(group.nacked_entries, (n) => [t("returned"), entries(n)]),
    ifSome(group.poison_entries, (n) => [t("poison"), group.pending !== null && group.pending > 100 ? t("at_least", { n }) : entries(n)]),
    ifSome(group.dangling_pending, (n) => [t("dangling"), t("at_least", { n })]),
    ifSome(group.pending_dropped, (n) => [t("dropped"), t("at_most", { n })]),
    ifSome(group.rewinds, (n) => [t("rewound"), t("times", { n }), noticed(group.last_rewind_unix_ms, now)]),
    ...took(group),
    [t("position"), id(group.last_delivered_id, t("why_unread"))],
  ];
}

// A lag: exact, an upper bound with the reason, or unknown.
/** @param {Api.Group} group */
function lag({ lag, lag_upper_bound: bound }) {
  if (lag != null || bound == null) return explained(lag, count, { why: t("why_lag") });
  return [`≤ ${count(bound)}`, h("div", { class: "under" }, t("lag_at_most", { why: t("why_lag") }))];
}

/** @param {Api.Group} group */
function consumers(group) {
  const number = group.consumer_count;
  const stuck = ifSome(group.stuck_consumers, (n) => h("span", { class: "blocked" }, t("stuck", { n })));
  if (number === 0) return h("p", { class: "note" }, t("no_consumer"));
  if (!group.consumers || (number === null && group.consumers.length === 0)) {
    return h("p", { class: "note" }, number === null ? t("consumers_unknown") : t("consumers_not_read", { n: number }));
  }
  const rest = number === null ? null : number - group.consumers.length;
  const read = ifSome(group.consumers_age_seconds, (seconds) => t("as_of", { ago: ago(seconds) }));
  const title = number === null ? t("consumers_of_replica", { n: group.consumers.length }) : t("consumers", { n: number });
  /** @type {(words: "why_no_idle" | "why_no_inactive") => string} */
  const why = (words) => t(number === null ? "why_replica" : words);
  /** @type {(consumer: Api.Consumer) => { key: string, cells: Child[] }} */
  const row = (consumer) => ({ key: consumer.key, cells: [h("bdi", null, consumer.name), count(consumer.pending),
    since(consumer.idle_seconds, why("why_no_idle")), since(consumer.inactive_seconds, why("why_no_inactive"))] });
  return h("details", { open: true }, h("summary", null, title, stuck, read),
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("consumers_of", { group: group.name }) },
      cards([t("consumer"), t("pending"), t("last_asked"), t("last_received")], group.consumers.map(row))),
    ifSome(rest, (n) => h("p", { class: "note" }, moreConsumers(n, group.unlisted_pending))));
}

/** @type {(n: number, pending: number | null) => string} */
function moreConsumers(n, pending) {
  const consumers = t("consumers_more", { n });
  return pending === null ? consumers : t("consumers_more_pending", { consumers, n: pending });
}

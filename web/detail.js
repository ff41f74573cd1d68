// One stream in depth: its numbers and their past, what retention does, its groups and their consumers.

import { h } from "./dom.js";
import { lagWords, limitOf } from "./list.js";
import { badge, count, duration, exactRate, exactSeconds, idTime, line, outcome, passed, plural, rate, value } from "./words.js";

const UNREAD = "the stream could not be read";
const NOT_TIMES = "there is none, its IDs are not times or ahead of Redis's clock, or Redis's clock may not be read";

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
export function nothing(key, home) {
  return [
    h("p", { class: "back" }, h("a", { href: home }, "← All streams")),
    h("h2", { tabindex: "-1" }, "No such stream"),
    h("p", null, "No stream of the key ", h("code", null, key), " is watched. It may have been deleted since, or the configuration leaves it out."),
  ];
}

const panel = (title, content) => h("section", { class: "panel", "aria-label": title }, h("h3", null, title), content);
const facts = (pairs) => h("dl", null, pairs.map(([term, ...content]) => h("div", { key: term }, h("dt", null, term), h("dd", null, content))));
const old = (number, why) => value(number, passed, { exact: exactSeconds, why });
const ago = (number, why) => value(number, (it) => `${passed(it)} ago`, { exact: exactSeconds, why });
const id = (text, why) => (text == null ? value(null, count, { why }) : h("code", { title: idTime(text) ?? "Not a time" }, text));

function charts({ history, length, rate_in_per_second: rateIn, groups }, ages) {
  return [
    chart("Length", history.length, ages, { words: count, now: length }),
    chart("In", history.rate_in_per_second, ages, { words: rate, now: rateIn, floor: 0 }),
    groups.length > 0 && chart("Lag, worst group", history.worst_lag, ages, { words: count, now: history.worst_lag.at(-1), floor: 0 }),
  ];
}

function chart(title, values, ages, { words, now, floor }) {
  const known = values.filter((it) => it != null);
  const span = duration(ages[ages.length - values.length] ?? 0);
  const label = (least, most) => `${title} over the last ${span}: from ${words(least)} to ${words(most)}, now ${now == null ? "unknown" : words(now)}`;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const range = known.length < 2 ? "too few readings yet" : least === most ? `${words(most)} for ${span}` : `${words(least)} to ${words(most)} in ${span}`;
  return h("figure", null, h("figcaption", null, h("span", null, title), h("span", { class: "quiet" }, range)), line(values, ages, { floor, label }));
}

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
    stream.recreations > 0 && ["Made anew", plural(stream.recreations, "time")],
  ].filter(Boolean);
}

function retention({ retention, mode, max_length: length, max_age_seconds: age }, now) {
  if (!retention) return h("p", { class: "quiet" }, "No limit is configured: nothing is ever removed.");
  const limits = [length != null && plural(length, "entry", "entries"), age != null && `${duration(age)} of age`].filter(Boolean).join(", ");
  const ran = retention.last_run_unix_ms;
  const list = [
    ["Limit", limits],
    ["Mode", mode],
    ["Last run", ran === null ? "none since the sidecar started" : h("span", { title: new Date(ran).toISOString() }, `${passed((now - ran) / 1000)} ago: ${outcome(retention.outcome)}`)],
    ["Removed", `${plural(retention.trimmed_entries, "entry", "entries")} by this sidecar`],
    length != null && ["Over the limit", value(retention.excess, count, { why: UNREAD })],
    ["Blocked by", retention.blocked_by.length === 0 ? "nothing" : h("ul", null, retention.blocked_by.map((it) => h("li", { class: "blocked" }, it.detail)))],
  ];
  return facts(list.filter(Boolean));
}

function thresholds({ thresholds: set }) {
  const list = [
    ["Lag", set.lag, count], ["Lag age", set.lag_age_seconds, duration], ["Lag age", set.default_lag_age_seconds, byDefault],
    ["Pending", set.pending, count], ["Pending age", set.pending_age_seconds, duration], ["Pending age", set.default_pending_age_seconds, byDefault],
    ["Deliveries", set.deliveries, count], ["Silence", set.silence_seconds, duration],
  ].filter(([, number]) => number != null);
  return facts(list.map(([term, number, words]) => [term, words(number)]));
}

const byDefault = (seconds) => `${duration(seconds)}, the default`;

// Keyed by ID, so that new ones come in above the rest.
function lastEntries(entries, now) {
  const row = ({ id: text, type }) => h("tr", { key: text }, h("th", { scope: "row" }, id(text)), h("td", null, type ?? value(null, count, { why: "it has no such field" })),
    h("td", null, value(idAge(text, now), (it) => `${passed(it)} ago`, { exact: () => idTime(text), why: "its ID is not a time" })));
  return h("details", { open: true, key: "entries" }, h("summary", null, `Last ${plural(entries.length, "entry", "entries")}`),
    h("div", { class: "scroll panel", tabindex: "0", role: "group", "aria-label": "Last entries" },
      h("table", null, h("thead", null, h("tr", null, ["ID", "Type", "Added"].map((it) => h("th", { scope: "col" }, it)))), h("tbody", null, entries.map(row)))));
}

const idAge = (id, now) => (idTime(id) === null ? null : Math.max(0, (now - Date.parse(idTime(id))) / 1000));

function groupCard(group, ages) {
  const head = h("div", { class: "title" }, h("h4", null, h("bdi", null, group.name)), badge(group.health, group.status.replaceAll("_", " ")));
  const rest = group.present ? [facts(groupFacts(group)), chart("Lag", group.history.lag, ages, { words: count, now: group.lag, floor: 0 }), consumers(group)] : [];
  return h("article", { key: group.key, class: group.health }, head, h("p", { class: "reason" }, group.reason), rest);
}

function groupFacts(group) {
  const waits = group.pending > 0;
  const often = (number) => `${plural(number, "time")} delivered`;
  return [
    ["Lag", lagWords(group.lag, group.lag_upper_bound), group.lag_seconds > 0 && h("div", { class: "under" }, "oldest ", old(group.lag_seconds))],
    ["Out", value(group.rate_out_per_second, rate, { exact: exactRate, why: "its lag is not known, or there were not two readings yet" })],
    ["Pending", value(group.pending, count, { why: UNREAD })],
    waits && ["Oldest pending", ago(group.oldest_pending_age_seconds, "it is not in the stream any more, or its ID is not a time"), h("div", { class: "under" }, id(group.oldest_pending_id, "it could not be read"))],
    waits && ["Last delivered", ago(group.oldest_pending_idle_seconds, "it was given back since, or could not be read"), h("div", { class: "under" }, value(group.oldest_pending_deliveries, often, { why: "a consumer declared it fatal, or it could not be read" }))],
    ["Lost unread", value(group.entries_lost, count, { why: "its IDs are not times, or Redis is older than 7.0" }), group.entries_suspected_lost > 0 && h("div", { class: "under" }, `maybe ${plural(group.entries_suspected_lost, "more entry", "more entries")}`)],
    group.nacked_entries > 0 && ["Given back", plural(group.nacked_entries, "entry", "entries")],
    group.poison_entries > 0 && ["Delivered too often", plural(group.poison_entries, "entry", "entries")],
    group.dangling_pending > 0 && ["Pending, but gone", `at least ${plural(group.dangling_pending, "entry", "entries")}`],
    group.pending_dropped > 0 && ["Dropped with a consumer", `at most ${plural(group.pending_dropped, "entry", "entries")}`],
    group.rewinds > 0 && ["Went back", plural(group.rewinds, "time")],
    ["Position", id(group.last_delivered_id, UNREAD)],
  ].filter(Boolean);
}

function consumers(group) {
  const number = group.consumer_count;
  const stuck = group.stuck_consumers > 0 && h("span", { class: "blocked" }, `, ${count(group.stuck_consumers)} stuck`);
  if (number === 0) return h("p", { class: "note" }, "No consumer");
  if (!group.consumers) return h("p", { class: "note" }, number == null ? "Consumers unknown" : `${plural(number, "consumer")}, not read one by one`);
  const rest = number - group.consumers.length;
  const inactive = "it was never given one, or Redis is older than 7.2";
  const read = group.consumers_age_seconds > 0 && `, as they were ${duration(group.consumers_age_seconds)} ago`;
  const row = (consumer) => h("tr", { key: consumer.key }, h("th", { scope: "row" }, h("bdi", null, consumer.name)),
    h("td", null, count(consumer.pending)), h("td", null, ago(consumer.idle_seconds, "Redis's clock may not be read")), h("td", null, ago(consumer.inactive_seconds, inactive)));
  return h("details", { open: true }, h("summary", null, plural(number, "consumer"), stuck, read),
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Consumers of ${group.name}` },
      h("table", null, h("thead", null, h("tr", null, ["Consumer", "Pending", "Last asked", "Last given one"].map((it) => h("th", { scope: "col" }, it)))), h("tbody", null, group.consumers.map(row)))),
    rest > 0 && h("p", { class: "note" }, `${plural(rest, "more consumer")}, with ${plural(group.unlisted_pending, "pending entry", "pending entries")} in all`));
}

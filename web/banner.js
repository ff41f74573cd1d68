// Whether the numbers are fresh, and if not, since when and why.

import { OF_STREAMS, faultWords } from "./cause.js";
import { h } from "./dom.js";
import { t, tOr } from "./language.js";
import { ago, clock, duration, failure, value } from "./values.js";

/** @import { Feed } from "./feed.js" */

// What goes above everything, or null: a title, a text, and how bad it is.
/**
 * @param {Feed} feed
 * @returns {{ kind: "bad" | "odd" | "calm", title: string, text: string } | null}
 */
export function banner(feed) {
  const document = feed.document;
  if (feed.problem) {
    const { why, values, since } = feed.problem;
    const times = { time: clock(since), ago: ago((Date.now() - since) / 1000) };
    return { kind: "bad", title: t("unreachable"), text: t("unreachable_text", { ...times, why: t(why, values), numbers: numbers(feed) }) };
  }
  if (!document) return null;
  const { poll, sidecar } = document;
  if (!sidecar.enabled) return { kind: "calm", title: t("disabled"), text: t("disabled_text") };
  if (poll.last_success_unix_ms === null) {
    return poll.up === null
      ? { kind: "calm", title: t("starting"), text: t("starting_text") }
      : { kind: "bad", title: t("never_reached"), text: t("never_reached_text", { why: lastFailure(poll) }) };
  }
  if (feed.isStale()) {
    const seconds = (feed.age() ?? 0) - poll.stale_after_seconds;
    const times = { time: clock(Date.now() - seconds * 1000), ago: ago(seconds) };
    return { kind: "bad", title: t("stale"), text: t("stale_text", { ...times, why: whyNotNewer(poll), numbers: numbers(feed) }) };
  }
  if (poll.up === false) {
    const text = t("poll_failed_text", { why: whyNotNewer(poll), numbers: numbers(feed), time: duration(poll.stale_after_seconds) });
    return { kind: "odd", title: t("poll_failed"), text };
  }
  return faulty(feed, document.faults ?? []);
}

// What is wrong with the server although its streams can be read.
/**
 * @param {Feed} feed
 * @param {Api.Fault[]} faults
 */
function faulty(feed, faults) {
  if (faults.length === 0) return null;
  const isBad = faults.some((fault) => fault.health === "critical");
  /** @type {"bad" | "odd"} */
  const kind = isBad ? "bad" : "odd";
  const text = faults.flatMap((fault) => [t(fault.node ? "fault_of_node" : "fault", { node: fault.node ?? "", fault: faultWords(fault) }), seenSince(feed, fault)]);
  return { kind, title: t(isBad ? "writes_refused" : titleOf(faults)), text: text.filter(Boolean).join(t("between_sentences")) };
}

// Streams that are gone say more than those of them that are back.
/** @type {(faults: Api.Fault[]) => "server_at_risk" | "streams_vanished" | "streams_lost"} */
function titleOf(faults) {
  const kinds = new Set(faults.map((fault) => fault.cause?.kind));
  const isOfStreams = [...kinds].every((kind) => kind && OF_STREAMS.has(kind));
  if (!isOfStreams) return "server_at_risk";
  return kinds.has("streams_vanished") ? "streams_vanished" : "streams_lost";
}

// By the clock of the sidecar, which may differ from the browser's.
/**
 * @param {Feed} feed
 * @param {Api.Fault} fault
 */
function seenSince(feed, { seen_since_unix_ms: since }) {
  const read = feed.document?.poll.last_success_unix_ms;
  if (since == null || read == null) return "";
  return t("seen_since", { time: clock(since), ago: ago(Math.max(0, read - since) / 1000 + (feed.age() ?? 0)) });
}

/** @param {Api.Poll} poll */
function whyNotNewer(poll) {
  if (poll.last_failure === null) return t("no_poll_since");
  const why = lastFailure(poll);
  const since = poll.last_failure_since_unix_ms;
  return since == null ? t("last_poll_failed", { why }) : t("last_poll_failed_since", { why, time: clock(since) });
}

// Why the last poll failed, with the server's words if there are any.
/** @type {(poll: Api.Poll) => string} */
function lastFailure({ last_failure, last_failure_words: words }) {
  const why = failure(last_failure);
  return words ? t("server_says", { why, words }) : why;
}

/** @param {Feed} feed */
function numbers(feed) {
  const age = feed.age();
  return age === null ? t("no_reading") : t("numbers_from", { time: clock(Date.now() - age * 1000), ago: ago(age) });
}

/** @param {{ title: string, text: string }} banner */
export function renderable({ title, text }) {
  return [h("strong", null, title), " ", h("span", null, text)];
}

// Which server is read.
/** @param {Api.Streams} document */
export function server({ name, server, cluster, database, sidecar }) {
  if (!server) return [name ?? h("span", { class: "quiet" }, `v${sidecar.version}`)];
  const flavour = { redis: "Redis", valkey: "Valkey", upstash: "Upstash" }[server.flavour];
  const link = server.primary_link === "unknown" && t("primary_link_unknown");
  // Of a cluster all primaries are read, and the address may be that of any node.
  const role = !cluster && server.role && tOr(`role_${server.role}`, server.role);
  const words = [name, `${flavour} ${server.version ?? ""}`.trim(), role, link, server.mode !== "standalone" && server.mode, database];
  return [words.filter(Boolean).join(" · ")];
}

// The age of the reading, in a few words.
/**
 * @param {Feed} feed
 * @param {Api.Streams} document
 */
export function freshness(feed, { poll, sidecar }) {
  if (!sidecar.enabled) return [t("not_polling")];
  const state = feed.isStale() || feed.problem ? "bad" : poll.up === false ? "odd" : "good";
  const read = value(feed.age(), (age) => t("read_ago", { ago: ago(age) }), {
    exact: () => new Date(poll.last_success_unix_ms ?? 0).toISOString(),
    why: t("no_poll_succeeded"),
  });
  return [h("span", { class: `pulse ${state}`, "aria-hidden": "true" }), read, h("span", { class: "quiet" }, " ", t("every", { time: duration(poll.interval_seconds) }))];
}

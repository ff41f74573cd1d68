// What there is to say of all that is shown: whether it is fresh, and if not, since when and why.

import { h } from "./dom.js";
import { ago, clock, duration, failure, value } from "./values.js";

/** @import { Feed } from "./feed.js" */

// The one thing to say above everything, or null: a title, a text, and whether it is bad.
/**
 * @param {Feed} feed
 * @returns {{ kind: "bad" | "odd" | "calm", title: string, text: string } | null}
 */
export function banner(feed) {
  const document = feed.document;
  if (feed.problem) {
    const since = `since ${clock(feed.problem.since)} (${ago((Date.now() - feed.problem.since) / 1000)})`;
    return { kind: "bad", title: "Sidecar unreachable", text: `This page can't ask the sidecar ${since}: ${feed.problem.why}. ${numbers(feed)}` };
  }
  if (!document) return null;
  const { poll, sidecar } = document;
  if (!sidecar.enabled) {
    return { kind: "calm", title: "Switched off", text: "The configuration says enabled: false (or STREAMS_ENABLED=false). No Redis is read." };
  }
  if (poll.last_success_unix_ms === null) {
    return poll.up === null
      ? { kind: "calm", title: "Starting", text: "The first poll has not ended yet." }
      : { kind: "bad", title: "Redis never reached", text: `No poll has succeeded since the sidecar started. The last one failed: ${last(poll)}.` };
  }
  const since = poll.last_failure_since_unix_ms == null ? "" : ` since ${clock(poll.last_failure_since_unix_ms)}`;
  const why = poll.last_failure === null ? "No poll has ended since." : `The last poll failed: ${last(poll)}${since}.`;
  if (feed.isStale()) {
    const stale = (feed.age() ?? 0) - poll.stale_after_seconds;
    return { kind: "bad", title: "Stale", text: `Since ${clock(Date.now() - stale * 1000)} (${ago(stale)}). ${why} ${numbers(feed)}` };
  }
  if (poll.up === false) {
    return { kind: "odd", title: "Poll failed", text: `${why} ${numbers(feed)} They count as stale ${duration(poll.stale_after_seconds)} after that.` };
  }
  return null;
}

// Why the last poll failed, with the server's words where there are some.
/** @type {(poll: Api.Poll) => string} */
const last = ({ last_failure, last_failure_words }) =>
  failure(last_failure) + (last_failure_words ? `. The server says: \u201c${last_failure_words}\u201d` : "");

/** @param {Feed} feed */
function numbers(feed) {
  const age = feed.age();
  return age === null ? "Nothing was read yet." : `The numbers shown are from ${clock(Date.now() - age * 1000)} (${ago(age)}).`;
}

/** @param {{ title: string, text: string }} banner */
export function renderable({ title, text }) {
  return [h("strong", null, title), " ", h("span", null, text)];
}

// Which server is read.
/** @param {Api.Streams} document */
export function server({ name, server, database, sidecar }) {
  if (!server) return [name ?? h("span", { class: "quiet" }, `v${sidecar.version}`)];
  const flavour = { redis: "Redis", valkey: "Valkey", upstash: "Upstash" }[server.flavour];
  const link = server.primary_link === "unknown" && "link to its primary unknown";
  const words = [name, `${flavour} ${server.version ?? ""}`.trim(), server.role, link, server.mode !== "standalone" && server.mode, database];
  return [words.filter(Boolean).join(" · ")];
}

// How fresh the reading is, in a few words that tick.
/**
 * @param {Feed} feed
 * @param {Api.Streams} document
 */
export function freshness(feed, { poll, sidecar }) {
  if (!sidecar.enabled) return ["Not polling"];
  const state = feed.isStale() || feed.problem ? "bad" : poll.up === false ? "odd" : "good";
  const read = value(feed.age(), (age) => `Read ${ago(age)}`, {
    exact: () => new Date(poll.last_success_unix_ms ?? 0).toISOString(),
    why: "no poll has succeeded yet",
  });
  return [h("span", { class: `pulse ${state}`, "aria-hidden": "true" }), read, h("span", { class: "quiet" }, ` every ${duration(poll.interval_seconds)}`)];
}

// The cause of a status or a health, in the reader's language: from its kind and numbers, not from the API's sentence. In
// English the result is that sentence, which a test holds for every kind.

import { english, isEnglish, t, tOr } from "./language.js";
import { clock, duration, statusWord } from "./values.js";

/** @import { Child } from "./dom.js" */
/** @import { Values } from "./language.js" */
/** @typedef {Api.StreamCause | Api.GroupCause | Api.FaultCause} Cause */

// Why a group has its status.
/** @type {(group: Api.Group) => Child} */
export const groupReason = ({ cause, reason }) => sentence(cause, reason, cause && groupWords(cause));

// Why a stream has its health; of one over its limit also what keeps it there.
/** @type {(stream: Api.Stream) => Child} */
export function streamReason(stream) {
  const { cause, reason, retention } = stream;
  if (!cause) return reason;
  const words = cause.kind === "group" ? worstGroup(cause, stream) : kindWords(cause);
  const since = stream.unreadable_since_unix_ms;
  if (words && since != null) return t("unreadable_since", { cause: words, time: clock(since) });
  const isOver = cause.kind === "too_long" || cause.kind === "too_old";
  return sentence(cause, reason, words && isOver && retention ? heldBack(words, retention) : words);
}

// A fault of the server.
/** @type {(fault: Api.Fault) => string} */
export const faultWords = ({ cause, reason }) => (cause && kindWords(cause)) || reason;

// The faults that say what became of the streams, not what the server may do to those that it has.
export const OF_STREAMS = new Set(["streams_recreated", "streams_vanished"]);

// What a fault of the server means for its streams.
/** @type {(fault: Api.Fault) => string} */
export const effectWords = (fault) => tOr(`effect_${fault.cause?.kind}`, faultWords(fault));

// Of a stream over its limit: what keeps it there, and which other sidecar trims.
/** @type {(words: string, retention: Api.Retention) => string} */
function heldBack(words, { blocked_by: [blocker], lease_holder: holder }) {
  const why = blocker ? t("with_blocker", { cause: words, blocker: blockerText(blocker) }) : words;
  return holder ? [why, t("lease_elsewhere", { holder })].join(t("between_clauses")) : why;
}

// What blocks retention.
/** @type {(blocker: Api.BlockedBy) => Child} */
export const blockerWords = (blocker) => blockerText(blocker) || english(blocker.detail);
/** @type {(blocker: Api.BlockedBy) => string} */
const blockerText = ({ group, reason }) => tOr(`blocked_${reason}`, "", { group: group ?? "" });

// Where the reading is stale there is no cause, and the page's own words are in `reason`. The API's sentence, which is
// English, where only a newer page knows the kind.
/** @type {(cause: Cause | null | undefined, reason: string, words: string | null | undefined) => Child} */
const sentence = (cause, reason, words) => words || (cause ? english(reason) : reason);

/** @type {(cause: Api.StreamCause & { kind: "group" }, stream: Api.Stream) => string} */
function worstGroup({ group: name, others }, { groups }) {
  const group = groups.find((it) => it.name === name);
  const cause = group?.cause && groupWords(group.cause);
  if (!group || !cause) return "";
  const one = t("cause_group", { group: name, status: isEnglish() ? group.status : statusWord(group), cause });
  return others > 0 ? t("and_more", { first: one, n: others }) : one;
}

/** @type {(cause: Api.GroupCause) => string} */
export function groupWords(cause) {
  if (cause.kind === "standing") return standing(cause);
  if (cause.kind === "stuck_consumers") return stuckConsumers(cause);
  if (cause.kind === "ignored") return t("cause_ignored", { status: isEnglish() ? cause.status : statusWord(cause) });
  if (cause.kind !== "no_progress") return kindWords(cause);
  const { backlog, consumers, idle_seconds: idle, still_seconds: still, consumer_limit: limit } = cause;
  const alive = idle == null ? "" : t("consumers_alive", { n: consumers, idle_seconds: duration(idle) });
  const words = t("cause_no_progress", { backlog: backlogWords(backlog), alive, still_seconds: duration(still) });
  return limit ? [words, t("cause_consumer_limit", limit)].join(t("between_clauses")) : words;
}

/** @type {(cause: Api.GroupCause & { kind: "standing" }) => string} */
function standing({ backlog, ago_seconds: ago, watched_seconds: watched }) {
  const waiting = { backlog: backlogWords(backlog) };
  return ago == null ? t("cause_standing_unseen", { ...waiting, watched_seconds: duration(watched) }) : t("cause_standing", { ...waiting, ago_seconds: duration(ago) });
}

/** @type {(cause: Api.GroupCause & { kind: "stuck_consumers" }) => string} */
function stuckConsumers({ worst, consumers, after_seconds: after }) {
  if (!worst) return t("cause_stuck_unnamed", { n: consumers, after_seconds: duration(after) });
  const first = t("cause_stuck_consumers", { name: worst.name, n: worst.entries, silent_seconds: duration(worst.silent_seconds) });
  return consumers > 1 ? t("and_more_consumers", { first, n: consumers - 1 }) : first;
}

// The words of a kind, with its fields for the placeholders of the same names.
/** @type {(cause: Cause) => string} */
export function kindWords(cause) {
  if (cause.kind === "fine" && cause.groups === 0) return t("cause_no_groups");
  if (cause.kind === "recreated" && !cause.entries) return t(cause.entries === 0 ? "cause_recreated_empty" : "cause_recreated_unknown", { ago_seconds: duration(cause.ago_seconds) });
  if (cause.kind === "streams_recreated") return streamsRecreated(cause);
  /** @type {Values} */
  const values = {};
  for (const [field, value] of Object.entries(cause)) {
    if (field === "backlog") values.backlog = backlogWords(value);
    else if (field === "reason") values.reason = unreadWords(value, "refused_command" in cause ? cause.refused_command : null);
    else if (field.endsWith("_bytes")) values[field.replace("_bytes", "_mib")] = Math.floor(value / 2 ** 20);
    else values[field] = field.endsWith("_seconds") ? duration(value) : value;
  }
  const counted = ["entries", "groups", "consumers", "found"].find((field) => field in values);
  const kind = "is_lower_bound" in cause && cause.is_lower_bound ? `${cause.kind}_at_least` : isBlocked(cause) ? `${cause.kind}_blocked` : cause.kind;
  return tOr(`cause_${kind}`, "", counted ? { ...values, n: Number(values[counted]) } : values);
}

// Whether a limit is exceeded that retention had no time for yet: it is reported since retention is blocked.
/** @type {(cause: Cause) => boolean} */
const isBlocked = (cause) => "exceeded_seconds" in cause && cause.exceeded_seconds === 0;

// Why a stream could not be read, and what helps where the user may not.
/** @type {(reason: string, command: string | null) => string} */
function unreadWords(reason, command) {
  const why = isEnglish() ? reason : tOr(`failure_${reason}`, reason);
  if (command) return t("with_refused_command", { why, command });
  return reason === "noperm" ? t("with_rule_needed", { why }) : why;
}

/** @type {(cause: Api.FaultCause & { kind: "streams_recreated" }) => string} */
function streamsRecreated({ recreated, streams, restarted_seconds: ago }) {
  const why = ago == null ? t("as_after_flush") : t("after_restart", { ago: duration(ago) });
  return t("cause_streams_recreated", { recreated, streams, why });
}

/** @type {(backlog: Api.Backlog) => string} */
export function backlogWords({ lag, lag_known: isKnown, pending }) {
  if (isKnown && lag === 0) return t("entries_pending", { n: pending });
  const waiting = t(isKnown ? "entries_wait" : "entries_wait_at_most", { n: lag });
  return pending > 0 ? t("and_pending", { waiting, n: pending }) : waiting;
}

// Fetches the last reading from the API: shortly after each poll should have finished, sooner after a failure, and never
// while the tab is hidden.

/** @import { Key, Values } from "./language.js" */
/** Its words, looked up when they are drawn: the language may change.
 * @typedef {{ why: Key, values: Values }} Problem */

const STREAMS = "/api/v1/streams";
const TIMEOUT_MS = 10_000;
// How long after its time a poll may still take.
const GRACE_S = 0.3;
const LEAST_PAUSE_S = 1;
// While a poll is overdue, and after failures.
const MOST_PAUSE_S = 15;

export class Feed {
  // The last document, and when it was received; null before the first.
  /** @type {Api.Streams | null} */
  document = null;
  /** @type {string | null} */
  #tag = null;
  #takenAt = 0;
  // Why the sidecar cannot be reached, and since when; null while it can.
  /** @type {Problem & { since: number } | null} */
  problem = null;
  #failures = 0;
  #timer = 0;
  #asking = false;
  #changed;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(this.#timer) : this.ask()));
  }

  // The age of the reading now, in seconds; null without one. It depends on no other machine's clock.
  age() {
    const age = this.document?.poll.age_seconds;
    return age == null ? null : age + (performance.now() - this.#takenAt) / 1000;
  }

  // Whether the reading is too old: the sidecar says so, or nothing newer arrived in time.
  isStale() {
    const poll = this.document?.poll;
    return Boolean(poll && (poll.stale || (this.age() ?? 0) >= poll.stale_after_seconds));
  }

  async ask() {
    if (this.#asking) return;
    clearTimeout(this.#timer);
    this.#asking = true;
    try {
      const isNew = await this.#fetch();
      const isBack = this.problem !== null;
      this.problem = null;
      this.#failures = 0;
      if (isNew || isBack) this.#changed();
    } catch (error) {
      this.problem = { ...describe(error), since: this.problem?.since ?? Date.now() };
      this.#failures += 1;
      this.#changed();
    }
    this.#asking = false;
    if (!document.hidden) this.#timer = setTimeout(() => this.ask(), this.#pause() * 1000);
  }

  // Returns whether the document is new.
  async #fetch() {
    /** @type {Record<string, string>} */
    const headers = this.#tag ? { "If-None-Match": this.#tag } : {};
    const answer = await fetch(STREAMS, { headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status === 304) return false;
    if (!answer.ok) throw new BadAnswer(`${answer.status} ${answer.statusText}`.trim());
    this.document = await answer.json();
    this.#takenAt = performance.now();
    this.#tag = answer.headers.get("ETag");
    return true;
  }

  #pause() {
    if (this.#failures) return Math.min(MOST_PAUSE_S, 2 ** (this.#failures - 1));
    const age = this.age();
    if (this.document === null || age === null) return LEAST_PAUSE_S;
    const interval = this.document.poll.interval_seconds;
    const next = interval + GRACE_S - age;
    const overdue = Math.min(interval, MOST_PAUSE_S) / 2;
    return Math.max(LEAST_PAUSE_S, next > 0 ? Math.min(next, interval) : overdue);
  }
}

class BadAnswer extends Error {}

/** @type {(error: unknown) => Problem} */
function describe(error) {
  if (error instanceof BadAnswer) return { why: "bad_answer", values: { status: error.message } };
  const isLate = error instanceof Error && error.name === "TimeoutError";
  return { why: isLate ? "no_answer_in_time" : "cannot_connect", values: {} };
}

// Asks the API for the last reading: a little after each poll should have ended, sooner again after a failure, and not
// at all while nobody looks.

const STREAMS = "/api/v1/streams";
const TIMEOUT_MS = 10_000;
// After a poll that should have ended, for it to end.
const GRACE_S = 0.3;
const LEAST_PAUSE_S = 1;
// While a poll is overdue, and after failures.
const MOST_PAUSE_S = 15;

export class Feed {
  // The last document, and when it was taken over; null before the first.
  /** @type {Api.Streams | null} */
  document = null;
  /** @type {string | null} */
  #tag = null;
  #takenAt = 0;
  // Why the sidecar can't be asked, and since when; null while it can.
  /** @type {{ why: string, since: number } | null} */
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

  // The age of the reading now, in seconds; null without one. No clock of another machine takes part.
  age() {
    const age = this.document?.poll.age_seconds;
    return age == null ? null : age + (performance.now() - this.#takenAt) / 1000;
  }

  // Whether the reading is too old to be relied upon: by the sidecar's word, or because nothing came since.
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
      this.problem = { why: describe(error), since: this.problem?.since ?? Date.now() };
      this.#failures += 1;
      this.#changed();
    }
    this.#asking = false;
    if (!document.hidden) this.#timer = setTimeout(() => this.ask(), this.#pause() * 1000);
  }

  // Whether there is something new.
  async #fetch() {
    /** @type {Record<string, string>} */
    const headers = this.#tag ? { "If-None-Match": this.#tag } : {};
    const answer = await fetch(STREAMS, { headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status === 304) return false;
    if (!answer.ok) throw new Error(`it answered ${answer.status} ${answer.statusText}`);
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

/** @param {unknown} error */
function describe(error) {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "it did not answer in time";
  if (error instanceof TypeError) return "it can't be connected to";
  return error.message;
}

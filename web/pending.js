// Pending entries of a group, one by one. The page asks for them only when the reader does: each question is one for Redis.

import { h } from "./dom.js";
import { t, tOr } from "./language.js";
import { ago, cards, count, exactSeconds, explained, idTime, whyNoAge } from "./values.js";

/** @import { Child, Described } from "./dom.js" */
/** What is shown of a group: a page, or why it is missing; `null` while it is on its way.
 * @typedef {{ from: string, page: Api.PendingEntries | null, problem: string | null, at: number }} Shown */

const TIMEOUT_MS = 30_000;

// What was asked for of the stream that is shown, by the keys of its groups.
/** @type {Map<string, Shown>} */
const shown = new Map();
let stream = "";
// The command that was copied last.
let copied = "";

// Forgets everything about other streams.
/** @param {string | null} key */
export function showing(key) {
  if (key === stream) return;
  stream = key ?? "";
  shown.clear();
}

// Asks for the pending entries of a group of the stream that is shown, from this ID on.
/**
 * @param {string} group
 * @param {string} from
 * @param {() => void} changed
 */
export async function ask(group, from, changed) {
  const of = stream;
  const path = `/api/v1/groups/${of}/${group}/pending${from && `?from=${from}`}`;
  /** @type {Shown} */
  const asked = { from, page: null, problem: null, at: 0 };
  shown.set(group, asked);
  changed();
  try {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = await answer.json();
    if (answer.ok) asked.page = body;
    else asked.problem = body.detail;
  } catch {
    asked.problem = t("cannot_connect");
  }
  asked.at = Date.now();
  if (of === stream) changed();
}

// The pending entries of a group, or the button that asks for them.
/** @type {(group: Api.Group, isClockKnown: boolean) => Described} */
export function pendingEntries({ key, name }, isClockKnown) {
  const it = shown.get(key);
  /** @type {(words: string, from: string) => Described} */
  const button = (words, from) => h("button", { key: words, type: "button", "data-pending": key, "data-from": from }, words);
  if (!it) return h("p", { class: "pending", key: "pending" }, button(t("pending_show"), ""));
  const { page, problem, from, at } = it;
  const buttons = [from !== "" && button(t("pending_first"), ""), page?.next != null && button(t("pending_next"), page.next), button(t("pending_again"), from)];
  return h("section", { class: "pending", key: "pending", "aria-label": t("pending_of", { group: name }) },
    problem !== null && h("p", { class: "note", role: "alert" }, t("pending_failed", { why: problem })),
    page === null && problem === null && h("p", { class: "note" }, t("pending_asked")),
    page && [h("p", { class: "note" }, t("pending_as_of", { n: page.pending, time: new Date(at).toLocaleTimeString("en-GB") })), page.entries.length > 0 && table(page, name, isClockKnown)],
    at > 0 && h("p", null, buttons));
}

/**
 * @param {Api.PendingEntries} page
 * @param {string} group
 * @param {boolean} isClockKnown
 */
function table(page, group, isClockKnown) {
  /** @type {(entry: Api.PendingEntry) => { key: string, cells: Child[] }} */
  const row = (entry) => ({ key: entry.id, cells: [h("code", { title: idTime(entry.id) ?? t("not_a_time") }, entry.id),
    explained(entry.age_seconds, ago, { exact: exactSeconds, why: t(whyNoAge(entry.id, isClockKnown)) }),
    explained(entry.idle_seconds, ago, { exact: exactSeconds, why: t("why_released") }),
    explained(entry.deliveries, count, { why: t("why_fatal") }), h("bdi", null, entry.consumer),
    entry.exists ? t("entry_exists") : h("span", { class: "blocked" }, t("entry_gone"))] });
  const titles = [t("id"), t("added"), t("last_delivered"), t("deliveries"), t("consumer"), t("entry")];
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("pending_of", { group }) }, cards(titles, page.entries.map(row)));
}

// Commands that may help a group, each to be copied.
/** @type {(group: Api.Group) => Child} */
export function help({ commands }) {
  /** @type {(it: Api.Help) => Described} */
  const item = ({ kind, about, command }) => h("li", { key: kind }, h("span", null, tOr(`help_${kind}`, kind, { about: about ?? "" })),
    h("div", { class: "command" }, h("code", null, command), h("button", { type: "button", "data-copy": command }, t(command === copied ? "copied" : "copy"))));
  return commands.length > 0 && h("ul", { class: "help", "aria-label": t("may_help") }, commands.map(item));
}

// Copies a command; where the browser refuses, selects it, so that the reader can.
/**
 * @param {HTMLElement} button
 * @param {() => void} changed
 */
export async function copy(button, changed) {
  const code = button.parentElement?.querySelector("code");
  try {
    await navigator.clipboard.writeText(button.dataset.copy ?? "");
    copied = button.dataset.copy ?? "";
    changed();
  } catch {
    if (code) getSelection()?.selectAllChildren(code);
  }
}

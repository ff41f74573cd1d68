// The page. The address says what to show, the feed has the data, and each change of either redraws what differs. The page
// cannot write: it sends only GET requests.

import { format, meant, parse } from "./address.js";
import { banner, freshness, renderable, server } from "./banner.js";
import { cluster } from "./cluster.js";
import { detail, nothing } from "./detail.js";
import { element as $, h, render } from "./dom.js";
import { Feed } from "./feed.js";
import { keys } from "./keys.js";
import { label, switchLanguage, t } from "./language.js";
import { chosen, healthButtons, table, totals, worst } from "./list.js";
import * as pending from "./pending.js";
import { ago, rateSpan } from "./values.js";

/** @import { Wanted } from "./address.js" */
/** The document, at the moment of its reading.
 * @typedef {Api.Streams & { now: number }} Shown */

const TICK_MS = 1000;

/** @type {(changes: Partial<Wanted>) => string} */
const address = (changes) => format({ ...state, ...changes });

let state = parse(location.hash);
const filter = /** @type {HTMLInputElement} */ ($("filter"));
let announced = "";
let listScroll = 0;
const feed = new Feed(draw);

// The document as it may be shown: every health of a stale reading is unknown. All ages are those at the time of the
// reading, by the sidecar's clock.
/**
 * @param {Api.Streams} document
 * @returns {Shown}
 */
function shown(document) {
  const last = { ...document, now: document.poll.last_success_unix_ms ?? 0 };
  if (!feed.isStale()) return last;
  const unknown = { health: /** @type {const} */ ("unknown"), reason: t("last_read", { ago: ago(feed.age() ?? 0) }), cause: null };
  const streams = last.streams.map((stream) => ({
    ...stream, ...unknown, stale: true, groups: stream.groups.map((group) => ({ ...group, ...unknown, commands: [], status: /** @type {const} */ ("unknown") })),
  }));
  const cluster = last.cluster && { ...last.cluster, slots_unserved: null, nodes: last.cluster.nodes.map((node) => ({ ...node, up: null })) };
  return { ...last, streams, cluster, faults: [], summary: { health: "unknown", critical: 0, warning: 0, unknown: streams.length, healthy: 0 } };
}

function draw() {
  drawBanner();
  if (!feed.document) return;
  const shows = shown(feed.document);
  if (state.stream !== null && !shows.streams.some((it) => it.key === state.stream)) {
    const stream = meant(state.stream, shows.streams);
    if (stream) return refine({ stream: stream.key });
  }
  const isStale = feed.isStale() || feed.problem !== null;
  document.body.classList.toggle("stale", isStale);
  render($("server"), server(shows));
  announce(shows);
  $("list").hidden = state.stream !== null;
  $("detail").hidden = state.stream === null;
  if (state.stream === null) drawList(shows);
  else drawDetail(shows, state.stream);
}

function drawBanner() {
  const says = banner(feed);
  $("banner").hidden = says === null;
  $("banner").className = says?.kind ?? "";
  render($("banner"), says && renderable(says));
  if (feed.document) render($("poll"), freshness(feed, feed.document));
}

/** @param {Shown} shows */
function drawList(shows) {
  const hasReading = shows.poll.last_success_unix_ms !== null;
  render($("healths"), healthButtons(shows, hasReading, state.health));
  render($("totals"), hasReading && shows.streams.length > 0 && totals(shows.streams, rateSpan(shows)));
  render($("worst"), worst(shows.streams));
  render($("cluster"), cluster(shows));
  const streams = chosen(shows.streams, state);
  const empty = emptiness(shows, hasReading);
  if (document.activeElement !== filter) filter.value = state.filter;
  const list = table(streams, { ...seen(shows), sort: state.sort, address: (key) => address({ stream: key }) });
  render($("streams"), streams.length > 0 ? list : h("p", { class: "note" }, empty));
}

// What the numbers of all streams have in common.
/** @param {Shown} shows */
const seen = (shows) => ({ ages: shows.history_ages_seconds, now: shows.now, span: rateSpan(shows), isClockKnown: shows.poll.clock_error_seconds !== null, faults: shows.faults ?? [] });

/**
 * @param {Shown} shows
 * @param {boolean} hasReading
 */
function emptiness({ streams, sidecar }, hasReading) {
  if (!sidecar.enabled) return t("disabled_list");
  if (!hasReading) return t("no_reading");
  if (streams.length === 0) return t("no_stream");
  return t("no_match");
}

/**
 * @param {Shown} shows
 * @param {string} key
 */
function drawDetail(shows, key) {
  const stream = shows.streams.find((it) => it.key === key);
  pending.showing(key);
  const home = address({ stream: null });
  const view = stream ? detail(stream, { ...seen(shows), home }) : nothing(key, home);
  render($("detail"), view);
}

// Announces changes of health to screen readers and in the tab's title, and no other numbers.
/** @param {Shown} shows */
function announce({ summary }) {
  const says = banner(feed);
  const bad = [summary.critical && t("count_critical", { n: summary.critical }), summary.warning && t("count_warning", { n: summary.warning })].filter(Boolean);
  const short = says && says.kind !== "calm" ? says.title : bad.join(t("between_items")) || (summary.unknown ? t("count_unknown", { n: summary.unknown }) : t("all_healthy"));
  document.title = `${short} – Streamwarden`;
  const counts = { critical: t("critical_streams", { n: summary.critical }), warning: t("warning_streams", { n: summary.warning }) };
  const aloud = says ? t("announce_title", { title: says.title }) : t("announce", counts);
  if (aloud !== announced) $("announcer").textContent = aloud;
  announced = aloud;
}

// Shows what the address asks for, and moves focus and scroll position there.
function navigate() {
  const before = state.stream;
  if (before === null) listScroll = scrollY;
  state = parse(location.hash);
  draw();
  if (state.stream === before) return;
  if (state.stream !== null) {
    scrollTo(0, 0);
    $("detail").querySelector("h2")?.focus({ preventScroll: true });
  } else {
    scrollTo(0, listScroll);
    if (before !== null) rowOf(before)?.focus({ preventScroll: true });
  }
}

/** @type {() => HTMLAnchorElement[]} */
const rows = () => [.../** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("#streams tbody a"))];
/** @type {(key: string) => HTMLAnchorElement | undefined} */
const rowOf = (key) => rows().find((link) => link.hash === address({ stream: key }));

// Changes the address without a new step in the browser's history.
/** @param {Partial<Wanted>} changes */
function refine(changes) {
  history.replaceState(null, "", address(changes));
  state = parse(location.hash);
  draw();
}

// From one stream to the next in the list's order.
/** @param {number} by */
function step(by) {
  if (!feed.document) return;
  const streams = chosen(shown(feed.document).streams, state);
  const next = streams[streams.findIndex((it) => it.key === state.stream) + by];
  if (!next) return;
  history.replaceState(null, "", address({ stream: next.key }));
  navigate();
}

addEventListener("hashchange", navigate);
filter.addEventListener("input", () => refine({ filter: filter.value }));
document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  /** @type {HTMLElement | null} */
  const button = target.closest("button[data-health], button[data-sort]");
  if (button?.dataset.health !== undefined) return refine({ health: button.dataset.health });
  if (button) return refine({ sort: button.dataset.sort });
  /** @type {HTMLElement | null} */
  const asks = target.closest("button[data-pending], button[data-copy]");
  if (asks?.dataset.pending !== undefined) return void pending.ask(asks.dataset.pending, asks.dataset.from ?? "", draw);
  if (asks) return void pending.copy(asks, draw);
  const row = target.closest("#streams tbody tr");
  if (row && !target.closest("a") && getSelection()?.isCollapsed) row.querySelector("a")?.click();
});
keys({
  isDetail: () => state.stream !== null,
  home: () => {
    history.pushState(null, "", address({ stream: null }));
    navigate();
  },
  step,
});
$("language-button").addEventListener("click", () => {
  switchLanguage();
  label();
  draw();
});
// Ages grow without a new document, and it may become stale.
let wasStale = false;
setInterval(() => {
  if (document.hidden) return;
  const isStale = feed.isStale();
  if (isStale !== wasStale) draw();
  else drawBanner();
  wasStale = isStale;
}, TICK_MS);
label();
filter.value = state.filter;
feed.ask();

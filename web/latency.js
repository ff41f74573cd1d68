// How long a group's entries take, beside its other facts: for streams with an objective.

import { h } from "./dom.js";
import { t } from "./language.js";
import { count, duration } from "./values.js";

/** @import { Child } from "./dom.js" */
/** @typedef {Api.LatencyStage} Stage */

const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });

// The facts of both stages; none without an objective.
/** @type {(group: Api.Group) => [string, ...Child[]][]} */
export function took({ latency }) {
  if (latency == null) return [];
  return [[t("delivered_in"), ...stage(latency.delivery)], [t("handled_in"), ...stage(latency.handled)]];
}

/** @type {(stage: Stage) => Child[]} */
function stage({ p50, p95, p99, entries, error_budget_left: budget, followed }) {
  const isOutOfOrder = followed != null && !followed.is_in_order;
  const none = t(isOutOfOrder ? "out_of_order" : entries === 0 ? "none_measured" : "none_of_late");
  /** @type {(name: string, of: Api.Quantile) => Child} */
  const quantile = (name, of) => h("div", { title: t("between_times", { least: short(of.at_least_seconds), most: short(of.at_most_seconds) }) }, `${name} ${short(of.seconds)}`);
  return [
    p50 && p95 && p99 ? [quantile("p50", p50), quantile("p95", p95), quantile("p99", p99)] : h("span", { class: "quiet" }, none),
    budget != null && h("div", { class: "under" }, budget < 0 ? h("span", { class: "blocked" }, t("budget_spent", { share: percent.format(-budget) })) : t("budget_left", { share: percent.format(budget) })),
    followed != null && followed.bad > 0 && h("div", { class: "under" }, t("followed_bad", { bad: count(followed.bad), all: count(followed.good + followed.bad) })),
  ];
}

// To the millisecond, or a hundredth of a second.
/** @type {(seconds: number) => string} */
const short = (seconds) => (seconds > 0 && seconds < 1 ? duration(seconds) : seconds < 60 ? t("seconds", { n: Number(seconds.toFixed(2)) }) : duration(seconds));

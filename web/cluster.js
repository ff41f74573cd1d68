// The primaries of a cluster: a line, which opens into a table.

import { h } from "./dom.js";
import { t, tOr } from "./language.js";
import { clock, count, duration, failure, value } from "./values.js";

/** @import { Child, Described } from "./dom.js" */

// Nothing for a server that is not in cluster mode. It is open while something is wrong.
/** @param {Api.Streams} document */
export function cluster({ cluster }) {
  if (!cluster) return null;
  const { nodes, slots_unserved: unserved } = cluster;
  const down = nodes.filter((node) => node.up === false).length;
  const isBad = down > 0 || (unserved ?? 0) > 0;
  const wrong = [down > 0 && t("nodes_down", { n: down }), unserved != null && unserved > 0 && t("slots_unserved", { n: unserved })].filter(Boolean);
  const columns = [t("node"), t("node_state"), t("version"), t("role"), t("slots"), t("streams"), t("poll_took")];
  return h("details", { open: isBad, key: "cluster" },
    h("summary", null, t("cluster_of", { n: nodes.length }), wrong.length > 0 && h("span", { class: "blocked" }, t("between_items"), wrong.join(t("between_items")))),
    h("div", { class: "scroll panel", tabindex: "0", role: "group", "aria-label": t("cluster_of", { n: nodes.length }) },
      h("table", null, h("thead", null, h("tr", null, columns.map((it) => h("th", { scope: "col" }, it)))), h("tbody", null, nodes.map(row)))));
}

/** @type {(node: Api.Node) => Described} */
function row(node) {
  const unknown = t("node_unknown");
  const role = node.role && tOr(`role_${node.role}`, node.role);
  return h("tr", { key: node.address }, h("th", { scope: "row" }, h("bdi", null, node.address)), h("td", null, state(node)),
    h("td", null, node.version ?? value(null, count, { why: unknown })), h("td", null, role ?? value(null, count, { why: unknown })),
    h("td", null, count(node.slots)), h("td", null, count(node.streams)), h("td", null, value(node.poll_duration_seconds, duration, { why: unknown })));
}

/** @type {(node: Api.Node) => Child} */
function state({ up, failure: reason, failure_since_unix_ms: since }) {
  if (up == null) return value(null, count, { why: t("why_node_unknown") });
  if (up) return t("node_up");
  const why = failure(reason ?? null);
  return h("span", { class: "blocked" }, since == null ? t("node_down", { why }) : t("node_down_since", { why, time: clock(since) }));
}

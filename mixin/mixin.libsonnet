// Streamwarden's alerts, recording rules and dashboards as a monitoring mixin. They are those of ../alerts and ../dashboards:
// nothing is written twice. What can be set is in config.libsonnet.
local dashboards = {
  'overview.json': import '../dashboards/overview.json',
  'retention.json': import '../dashboards/retention.json',
  'sidecar.json': import '../dashboards/sidecar.json',
  'stream.json': import '../dashboards/stream.json',
};
local source = std.parseYaml(importstr '../alerts/streamwarden.rules.yml');
local alertNames = std.set([rule.alert for group in source.groups for rule in group.rules if 'alert' in rule]);

(import 'config.libsonnet') + {
  local config = $._config,

  local disabled =
    local unknown = std.setDiff(std.set(config.disabledAlerts), alertNames);
    assert unknown == [] : '_config.disabledAlerts: no such alert: ' + std.join(', ', unknown);
    config.disabledAlerts,

  // An address of a runbook, where they are served.
  local served(url) =
    if config.runbooksUrl == null then url
    else std.strReplace(url, 'https://streamwarden.example/runbooks', std.rstripChars(config.runbooksUrl, '/')),
  local alert(rule) = rule {
    labels+: config.alertLabels,
    annotations+: { runbook_url: served(super.runbook_url) },
  },
  local dashboard(board) = board {
    tags: config.dashboardTags,
    refresh: config.dashboardRefresh,
    links: [link { url: served(super.url) } for link in super.links],
  },

  // The groups with what `change` makes of their rules; those that are left empty are left out.
  local groups(change) = [
    group { rules: rules }
    for group in source.groups
    for rules in [std.flatMap(change, group.rules)]
    if rules != []
  ],

  prometheusRules+:: {
    groups+: groups(function(rule) if 'record' in rule then [rule] else []),
  },
  prometheusAlerts+:: {
    groups+: groups(function(rule) if 'alert' in rule && !std.member(disabled, rule.alert) then [alert(rule)] else []),
  },
  grafanaDashboardFolder:: config.dashboardFolder,
  grafanaDashboards+:: {
    [name]: dashboard(dashboards[name])
    for name in std.objectFields(dashboards)
  },
}

// The alerts, the recording rules and the dashboard as a mixin, for those who have their
// monitoring in jsonnet (https://monitoring.mixins.dev):
//
//   local vmhuge = import 'vmhuge/mixin.libsonnet';
//   vmhuge { _config+:: { job: 'hypervisors' } }
local groups = std.parseYaml(importstr 'rules.yml').groups;
local of(key) = [
  group { rules: [rule for rule in group.rules if std.objectHas(rule, key)] }
  for group in groups
  if std.length([rule for rule in group.rules if std.objectHas(rule, key)]) > 0
];

{
  _config:: {
    job: 'vmhuge',  // of the exporter, in prometheus.yml
  },

  local named(groups) = [
    group { rules: [rule { expr: std.strReplace(rule.expr, 'job="vmhuge"', 'job="%s"' % $._config.job) } for rule in group.rules] }
    for group in groups
  ],

  prometheusAlerts+:: { groups+: named(of('alert')) },
  prometheusRules+:: { groups+: named(of('record')) },
  grafanaDashboards+:: { 'vmhuge.json': import 'dashboard.json' },
}

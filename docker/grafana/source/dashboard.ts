/** What both dashboards are alike in: variables, links, time. */
import { DATASOURCE, panelsOf, type Row } from './panel.ts'

/** Grafana of the compose file serves the file itself; elsewhere this variable leads to where the runbook is read. */
const RUNBOOK = '/public/RUNBOOK.md'

export function dashboard(about: {
  uid: string
  title: string
  description: string
  variables: object[]
  rows: Row[]
}): object {
  return {
    uid: about.uid,
    title: about.title,
    description: about.description,
    tags: ['cdc'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-30m', to: 'now' },
    timezone: 'browser',
    links: [
      { type: 'link', title: 'Runbook', url: `\${runbook}`, icon: 'doc', targetBlank: true },
      {
        type: 'dashboards',
        title: 'Other dashboards',
        tags: ['cdc'],
        asDropdown: false,
        keepTime: true,
        includeVars: true,
      },
    ],
    templating: {
      list: [
        query('stream', 'Stream', 'label_values(cdc_build_info, stream)'),
        query('worker', 'Worker', 'label_values(cdc_build_info{stream=~"$stream"}, worker)'),
        ...about.variables,
        {
          name: 'runbook',
          type: 'constant',
          hide: 2,
          query: RUNBOOK,
          current: { text: RUNBOOK, value: RUNBOOK },
        },
      ],
    },
    annotations: { list: [alertAnnotation()] },
    panels: panelsOf(about.rows),
  }
}

/** A variable of which all values are chosen at first. */
export function query(name: string, label: string, expression: string): object {
  return {
    name,
    label,
    type: 'query',
    datasource: DATASOURCE,
    query: { query: expression, refId: name },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  }
}

/** Where an alert fired, across every panel. */
function alertAnnotation(): object {
  return {
    name: 'Alerts',
    datasource: DATASOURCE,
    enable: true,
    iconColor: 'red',
    expr: 'ALERTS{alertstate="firing", alertname=~"Cdc.*"}',
    step: '30s',
    titleFormat: '{{alertname}}',
    textFormat: '{{shard}} {{worker}} {{reason}}',
  }
}

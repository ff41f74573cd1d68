{
  _config+:: {
    // Where the runbooks are served, without the file's name; null keeps the addresses in the rules.
    runbooksUrl: null,
    // Labels that each alert gets beside `severity` and `component`; for example { team: 'events' }.
    alertLabels: {},
    // Names of alerts that are left out. An unknown name is an error.
    disabledAlerts: [],
    dashboardFolder: 'Redis Streams',
    dashboardTags: ['streamwarden'],
    dashboardRefresh: '30s',
  },
}

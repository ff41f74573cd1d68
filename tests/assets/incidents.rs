//! The matrix of incidents: side by side, each with a Redis, a sidecar and an application of its own, under one Prometheus and
//! one Alertmanager with the shipped files. Who is notified of each, when, how often, and that nothing else is.
//!
//! In `make test-assets` all durations are divided; `make incidents` takes them as they are shipped.

mod expected;
mod lab;
mod record;
mod stories;

use std::{thread, time::Duration};

use expected::INCIDENTS;
use lab::Lab;

use crate::{
    monitoring::{Alertmanager, Prometheus, Webhook},
    pace::Pace,
};

/// The defaults of what is shipped for Prometheus.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);
/// Until statuses, which look back over five minutes, are known.
const WARM_UP: Duration = minutes(6);
/// How long each fault is there.
const FAULT: Duration = minutes(18);
/// What alerts are kept for, and a little more.
const AFTERMATH: Duration = minutes(14);

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[test]
fn each_incident_notifies_once_and_in_time_and_nothing_else_does() {
    run(Pace::times(15));
}

#[test]
#[ignore = "takes forty minutes: make incidents"]
fn each_incident_notifies_once_and_in_time_at_default_intervals() {
    run(Pace::REAL);
}

fn run(pace: Pace) {
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&pace.alertmanager(), &webhook.url());
    let mut labs: Vec<Lab> = INCIDENTS.iter().map(|incident| Lab::start(incident, pace)).collect();
    let jobs = labs.iter().map(|lab| (lab.incident.name.to_owned(), vec![lab.address()])).collect();
    let prometheus = Prometheus::start(&pace.rules(), alertmanager.address(), pace.of(SCRAPE_INTERVAL), jobs);
    pace.pass(WARM_UP);
    let before = webhook.received();
    thread::scope(|scope| {
        for lab in &mut labs {
            scope.spawn(|| lab.live(FAULT, &prometheus));
        }
    });
    pace.pass(AFTERMATH);
    let report = record::judge(&labs, &webhook.received(), pace);
    record::keep(&report, &webhook.received());
    assert!(before.is_empty(), "notified of what is healthy: {before:?}");
    let wrong = report.wrong();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

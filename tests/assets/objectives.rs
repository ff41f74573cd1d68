//! Objectives in a real Prometheus: what the alerts about error budgets say of a consumer that is deployed, and of one that slows down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use redis::{Connection, Pipeline, Value as Reply};

use support::{Redis, Sidecar, command};

use crate::{
    activity::Activity,
    monitoring::{Alertmanager, Jobs, Prometheus, Webhook, eventually_within},
    pace::Pace,
};

const OBJECTIVE: &str = "streams: [{match: orders, slo: {delivery: 500ms, target: 99%}}]";
const FAST: &str = "RedisStreamErrorBudgetBurningFast";
const SLOWLY: &str = "RedisStreamErrorBudgetBurningSlowly";
/// Entries that arrive, and that the consumer takes at most, in each step.
const ARRIVE: usize = 4;
const TAKEN: usize = 10;

/// A consumer as the test steers it.
struct Consumer {
    taken: Arc<AtomicUsize>,
    _producer: Activity,
    _reader: Activity,
}

impl Consumer {
    fn start(redis: &Redis) -> Self {
        let (taken, step) = (Arc::new(AtomicUsize::new(TAKEN)), Duration::from_millis(20));
        let mut producing = redis.connect();
        let adds = "XADD orders * field value";
        let producer = Activity::start(step, move || send(&mut producing, &[adds; ARRIVE]));
        let (mut reading, count) = (redis.connect(), Arc::clone(&taken));
        let reader = Activity::start(step, move || {
            let count = count.load(SeqCst);
            if count > 0 {
                let read = format!("XREADGROUP GROUP readers one COUNT {count} NOACK STREAMS orders >");
                send(&mut reading, &[&read]);
            }
        });
        Self { taken, _producer: producer, _reader: reader }
    }

    fn takes(&self, count: usize) {
        self.taken.store(count, SeqCst);
    }
}

fn send(connection: &mut Connection, all: &[&str]) {
    let mut pipe = Pipeline::new();
    for words in all {
        pipe.add_command(command(words));
    }
    drop(pipe.query::<Vec<Reply>>(connection));
}

#[test]
fn a_slowed_consumer_burns_the_budget_fast_and_a_deployment_does_not() {
    // An hour becomes a minute, so that polls, ticks and scrapes come often.
    let short = "poll: {interval: 250ms}\nlatency: {tick: 50ms}\nstatus: {window: 10m, stopped_after: 10m}";
    told_within_ten_minutes(Pace::times(60), Duration::from_millis(250), &format!("{short}\n{OBJECTIVE}"));
}

#[test]
#[ignore = "takes seventy minutes: make slo-hour"]
fn a_slowed_consumer_burns_the_budget_fast_in_real_time() {
    told_within_ten_minutes(Pace::REAL, Duration::from_secs(15), OBJECTIVE);
}

/// After an hour of good history with a deployment of a minute in it, a consumer that takes ten times as long is reported within ten
/// minutes, and the deployment is not.
#[expect(clippy::disallowed_methods, reason = "how soon the alert comes is measured")]
fn told_within_ten_minutes(pace: Pace, scrape: Duration, config: &str) {
    let redis = Redis::start();
    redis.add("orders", 1);
    redis.run::<()>("XGROUP CREATE orders readers 0");
    redis.read("orders", "readers", "one", 1);
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&pace.alertmanager(), &webhook.url());
    let prometheus = Prometheus::start(&pace.rules(), alertmanager.address(), scrape, Jobs::new());
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    prometheus.scrape(&[sidecar.address()]);
    let consumer = Consumer::start(&redis);
    let told = |name: &str| prometheus.alerts().iter().any(|alert| alert["labels"]["alertname"] == name);

    let minutes = |count: u64| Duration::from_secs(60 * count);
    pace.pass(minutes(30));
    consumer.takes(0);
    pace.pass(minutes(1));
    consumer.takes(TAKEN);
    for _ in 0..30 {
        pace.pass(minutes(1));
        assert!(!told(FAST) && !told(SLOWLY), "of a deployment: {:?}", prometheus.alerts());
    }

    consumer.takes(TAKEN / 10);
    let began = Instant::now();
    let alert =
        eventually_within(pace.of(minutes(10)) + Duration::from_secs(60), "the fast alert to fire", || {
            let alerts = prometheus.alerts();
            alerts
                .into_iter()
                .find(|alert| alert["labels"]["alertname"] == FAST && alert["state"] == "firing")
        });
    let of = (&alert["labels"]["stream"], &alert["labels"]["objective"]);
    assert_eq!(of, (&"orders".into(), &"delivery".into()));
    // What no pace divides: the shortest time for which an alert holds, and scrapes.
    let undivided = Duration::from_millis(500) + 4 * scrape;
    let took = if pace == Pace::REAL {
        began.elapsed()
    } else {
        pace.undone(began.elapsed().saturating_sub(undivided))
    };
    println!("the fast alert fired after {took:.0?}");
    assert!(took <= minutes(10), "after {took:?}");
}

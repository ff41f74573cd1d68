//! What an enforcer does with a server that refuses scripts, is too old, closes the connection or answers nonsense.

use std::time::{Duration, Instant};

use redis::Value;
use streamwarden::{
    actions::{Enforcer, Trim},
    app::self_stats,
    config::{Config, Mode, Policy, Sources},
    model::{Failure, Name, Reason, StreamId},
    removals,
    retention::{BlockReason, Outcome, Run, Step},
};
use tokio::runtime::Runtime;

use super::{
    cases::{Case, cases},
    trimming,
};
use support::{Act, Direction, Need, Proxy, Redis, wait_for};

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) fn config(uri: &str, more: &str) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("redis: {{uri: '{uri}'}}\n{more}")).unwrap();
    Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().unwrap()
}

/// A user `plain` who may not run scripts.
fn allow_no_scripts(redis: &Redis) {
    redis.run::<()>("ACL SETUSER plain on nopass ~* +@all -eval");
}

/// A configuration for that user.
pub(super) fn without_scripts(redis: &Redis, more: &str) -> Config {
    allow_no_scripts(redis);
    config(&redis.uri().replace("redis://", "redis://plain:any@"), more)
}

/// An enforcer, the thread that it works on, and what it works by, on the stream `s`.
struct Trimmer {
    enforcer: Enforcer,
    runtime: Runtime,
    config: Config,
}

impl Trimmer {
    fn new(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { enforcer: Enforcer::new(self_stats()), runtime, config }
    }

    fn step(&mut self, policy: &Policy, cutoff: Option<StreamId>) -> Result<Step, Failure> {
        self.runtime.block_on(self.enforcer.step(&self.config, &"s".into(), policy, cutoff))
    }

    /// A run; after each step `between` happens, and then it pauses.
    fn run(&mut self, policy: &Policy, between: impl Fn()) -> Run {
        let (config, stream) = (&self.config, &"s".into());
        let trim = Trim { config, stream, policy, budget: HOUR, is_over: || false };
        self.runtime.block_on(trim.run(&mut self.enforcer, |_| between()))
    }
}

fn policy(mode: Mode, max_length: Option<u64>) -> Policy {
    let config = config("redis://h", "");
    Policy { max_length, ..Policy::by_hand(&config, &"s".into(), 0, mode, false) }
}

/// Takes the step of a case, and tells what came of it.
fn play(case: &Case, trimmer: &mut Trimmer, redis: &Redis) -> String {
    case.set_up(&mut redis.connect());
    let [mode, max_length, cutoff, ceiling, step, _, spares, ignored, ref groups @ ..] = case.step[..] else {
        panic!("{}: not a step", case.name)
    };
    let (ignored, expected) = groups.split_at(ignored.parse().unwrap());
    let names = |groups: &[&str]| groups.iter().map(|group| Name::from(*group)).collect();
    let policy = Policy {
        ceiling: ceiling.parse().ok(),
        spares_dead_letters: spares == "1",
        ignore_groups: names(ignored),
        groups: names(expected),
        ..policy(if mode == "safe" { Mode::Safe } else { Mode::Strict }, max_length.parse().ok())
    };
    trimmer.config.retention.step = step.parse().unwrap();
    match trimmer.step(&policy, cutoff.parse().ok()) {
        Ok(step) => told(&step, redis),
        Err(failure) => format!("error {}", failure.reason.as_str()),
    }
}

fn told(step: &Step, redis: &Redis) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let first: Vec<(String, Value)> = redis.run("XRANGE s - + COUNT 1");
    let group = step.blocked_by.as_ref().and_then(|blocker| blocker.group.as_ref());
    format!(
        "gone {}, left {} from {}, floor {}, group {}, why {}, forced {}",
        step.removed,
        or_none(step.length.map(|length| length.to_string())),
        or_none(first.into_iter().next().map(|(id, _)| id)),
        or_none(step.floor.map(|floor| floor.to_string())),
        or_none(group.map(ToString::to_string)),
        step.blocked_by.as_ref().map_or("-", |blocker| blocker.reason.as_str()),
        u8::from(step.is_forced)
    )
}

#[test]
fn a_step_without_scripts_does_what_its_case_says() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let mut trimmer = Trimmer::new(without_scripts(&redis, ""));
    let wrong = cases(include_str!("fallback_cases.txt")).into_iter().filter_map(|case| {
        let outcome = play(&case, &mut trimmer, &redis);
        (outcome != case.outcome).then(|| format!("{}\n  {outcome}\n  {}", case.name, case.outcome))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "what is, and what should be:\n{}", wrong.join("\n"));
    assert_eq!(redis.calls("eval"), 0);
}

#[test]
fn without_scripts_groups_that_are_not_watched_hold_everything() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 300);
    for group in ["a", "b"] {
        redis.run::<()>(&format!("XGROUP CREATE s {group} $"));
    }
    let mut trimmer = Trimmer::new(without_scripts(&redis, "limits: {groups_per_stream: 1}"));
    for (limit, reason) in [(Some(10), Some(BlockReason::UnwatchedGroups)), (Some(300), None)] {
        let step = trimmer.step(&policy(Mode::Safe, limit), Some(StreamId::ZERO)).unwrap();
        assert_eq!((step.removed, step.blocked_by.map(|blocker| blocker.reason)), (0, reason), "{limit:?}");
    }
}

/// A proxy behind which the server says that it is this version of Redis.
fn of_version(redis: &Redis, version: &'static str) -> Option<Proxy> {
    let info: String = redis.run("INFO server");
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    if field("server_name:").is_some_and(|name| name == "valkey") {
        support::skip("Redis, and not Valkey");
        return None;
    }
    let is = field("redis_version:").unwrap();
    let (is, says) = (format!("${}\r\n{is}\r\n", is.len()), format!("${}\r\n{version}\r\n", version.len()));
    let proxy = Proxy::to(redis.port());
    proxy.rule(move |direction, bytes| {
        if direction == Direction::ToClient {
            *bytes = String::from_utf8_lossy(bytes).replace(&is, &says).into_bytes();
        }
        Act::Pass
    });
    Some(proxy)
}

#[test]
fn a_server_whose_trim_by_id_is_wrong_is_trimmed_by_length_alone() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let aged = |policy: Policy| Policy { max_age: Some(HOUR), ..policy };
    let (safe, strict) = (policy(Mode::Safe, Some(100)), policy(Mode::Strict, Some(100)));
    for (version, policy, removed, is_unsupported) in [
        ("6.2.6", safe.clone(), 0, true),
        ("6.2.6", aged(policy(Mode::Strict, None)), 0, true),
        ("6.2.6", strict.clone(), 900, false),
        // The length is kept first; that age can't be is said when nothing more goes.
        ("6.2.6", aged(strict.clone()), 900, false),
        ("6.2.6", aged(policy(Mode::Strict, Some(1_000))), 0, true),
        ("6.2.6", policy(Mode::Strict, Some(1_000)), 0, false),
        ("6.2.7", safe, 900, false),
        // All entries are older than a moment that is yet to come.
        ("6.2.7", aged(policy(Mode::Strict, None)), 1_000, false),
    ] {
        let Some(proxy) = of_version(&redis, version) else { return };
        redis.run::<u64>("DEL s");
        redis.add("s", 1_000);
        let (now, _): (u64, u64) = redis.run("TIME");
        let cutoff = policy.max_age.map(|_| StreamId::new((now + 60) * 1_000, 0));
        let what = format!("{version} {policy:?}");
        let step = Trimmer::new(config(&proxy.uri(), "")).step(&policy, cutoff).unwrap();
        assert_eq!((step.removed, redis.run::<u64>("XLEN s")), (removed, 1_000 - removed), "{what}");
        let reason = step.blocked_by.map(|blocker| blocker.reason);
        assert_eq!(reason, is_unsupported.then_some(BlockReason::Unsupported), "{what}");
    }
}

#[test]
fn a_step_is_not_sent_to_another_server_than_the_one_that_was_checked() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 3_000);
    let slow = config(&redis.uri(), "retention: {step: 1000, pause: 50ms}");
    let (mut trimmer, policy) = (Trimmer::new(slow), policy(Mode::Safe, Some(100)));
    let run = trimmer.run(&policy, || {
        redis.kill_clients();
        let clients = || redis.run::<String>("CLIENT LIST TYPE normal").lines().count();
        wait_for("the connection to be closed", || (clients() == 1).then_some(()));
    });
    let failure = run.failure.unwrap();
    assert!(failure.detail.contains("after the state that this write depends on was read"), "{failure}");
    assert_eq!((run.removed, redis.run::<u64>("XLEN s"), redis.calls("eval")), (1_000, 2_000, 1));
    // The next run checks it again.
    let run = trimmer.run(&policy, || ());
    assert_eq!((run.outcome(), redis.run::<u64>("XLEN s")), (Outcome::Reached, 100));
}

#[test]
fn without_the_clock_the_length_is_kept_and_the_age_is_not() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("ACL SETUSER timeless on nopass ~* +@all -time");
    let uri = redis.uri().replace("redis://", "redis://timeless:any@");
    let (mut trimmer, policy) = (Trimmer::new(config(&uri, "")), policy(Mode::Safe, Some(100)));
    let run = trimmer.run(&Policy { max_age: Some(HOUR), ..policy.clone() }, || ());
    assert_eq!(run.failure.map(|failure| failure.reason), Some(Reason::NoPermission));
    assert_eq!(redis.run::<u64>("XLEN s"), 1_000);
    assert_eq!(trimmer.run(&policy, || ()).outcome(), Outcome::Reached);
    assert_eq!(redis.run::<u64>("XLEN s"), 100);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it rests is what is tested")]
fn between_two_steps_the_server_rests() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 3_000);
    let mut trimmer = Trimmer::new(config(&redis.uri(), "retention: {step: 1000, pause: 100ms}"));
    let began = Instant::now();
    let run = trimmer.run(&policy(Mode::Safe, Some(100)), || ());
    // After each of the three steps that removed something.
    assert_eq!((run.removed, run.outcome()), (2_900, Outcome::Reached));
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_server_that_fails_otherwise_is_not_trimmed_without_its_script() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    let proxy = Proxy::to(redis.port());
    proxy.rule(|direction, bytes| {
        // The script's own answer is the only list of eight.
        if direction == Direction::ToClient && bytes.starts_with(b"*8\r\n") {
            *bytes = b"-ERR nobody knows why\r\n".to_vec();
        }
        Act::Pass
    });
    let step = Trimmer::new(config(&proxy.uri(), "")).step(&policy(Mode::Safe, Some(1_000)), None);
    assert_eq!(step.unwrap_err().reason, Reason::Other);
    assert_eq!(redis.calls("xtrim"), 0);
}

#[test]
fn a_step_reports_what_it_removed_to_polls() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    let (sender, mut receiver) = removals::channel();
    let mut trimmer = Trimmer::new(config(&redis.uri(), ""));
    trimmer.enforcer = trimmer.enforcer.reporting_to(sender);
    let step = trimmer.step(&policy(Mode::Safe, Some(100)), None).unwrap();
    let removed = (step.removal, trimmer.runtime.block_on(receiver.receive()));
    let (Some(removal), received) = removed else {
        assert!(!redis.supports(Need::COUNTED_ADDITIONS), "losses are unknown");
        return;
    };
    assert_eq!(removal.entries, 900);
    assert_eq!(received, [(Name::from("s"), removal)]);
}

#[test]
fn an_enforcer_that_lets_its_connections_go_makes_new_ones() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 10);
    allow_no_scripts(&redis);
    let proxy = Proxy::to(redis.port());
    let uri = proxy.uri().replace("redis://", "redis://plain:any@");
    let mut trimmer = Trimmer::new(config(&uri, ""));
    let mut connections = || {
        trimmer.step(&policy(Mode::Safe, Some(10)), None).unwrap();
        trimmer.enforcer.reconnect();
        proxy.connections()
    };
    // One that writes, and one that reads what the script would.
    assert_eq!((connections(), connections()), (2, 4));
}

//! Suggested commands: only one that helps, and what is counted up to a bound is said to be at least so much.

use redis::{Value, pipe};

use super::{printed, redeliver, run, stream};
use crate::process::config_file;
use support::{Need, Redis, wait_for};

const HOUR: u64 = 3_600_000;

fn status(redis: &Redis, config: &[&str]) -> String {
    run(redis, &[&["status", "s"][..], config].concat()).1
}

#[test]
fn an_entry_that_may_be_worked_on_is_not_to_be_set_aside() {
    let redis = stream(30);
    redis.read("s", "g", "c", 10);
    let file = config_file("streams: [{match: '*', retention: {max_length: 5}}]");
    let config = ["--config", file.path().to_str().unwrap()];
    for (deliveries, idle, is_suggested, is_retried) in [
        (1, 8_000, false, false),
        (1, HOUR, false, false),
        // A consumer retries it all the time, so that it is never idle for long.
        (9, 8_000, false, true),
        (4, HOUR, false, false),
        (5, HOUR, true, false),
    ] {
        redeliver(&redis, "g", "1-0", deliveries, idle);
        let shown = status(&redis, &config);
        let what = format!("{deliveries} deliveries, {idle} ms: {shown}");
        assert!(shown.contains("blocked"), "{what}");
        assert_eq!(shown.contains("streamwarden dead-letter --id 1-0"), is_suggested || is_retried, "{what}");
        assert_eq!(shown.contains("streamwarden dead-letter --deliveries"), is_suggested, "{what}");
        let (_, trim, _) = run(&redis, &[&["trim", "s", "--dry-run"][..], &config].concat());
        assert_eq!(trim.contains("to set that entry aside"), is_suggested, "{trim}");
    }
}

#[test]
fn what_a_consumer_holds_that_was_just_active_is_not_to_be_handed_over() {
    let Some(redis) = stream(30).if_meets(Need::CREATED_CONSUMERS) else { return };
    let file = config_file("consumers: {stuck_after: 1s}");
    redis.read("s", "g", "slow", 5);
    // So long that it counts as stuck. The command would refuse it: it asks for ten minutes.
    let idle = || redis.run::<Vec<std::collections::HashMap<String, Value>>>("XINFO CONSUMERS s g");
    wait_for("the consumer to be idle", || {
        let idle = redis::from_redis_value::<u64>(idle()[0]["idle"].clone()).unwrap();
        (idle > 1_500).then_some(())
    });
    redis.run::<Value>("XGROUP CREATECONSUMER s g never");
    let shown = status(&redis, &["--config", file.path().to_str().unwrap()]);
    assert!(shown.contains("1 stuck consumer"), "{shown}");
    assert!(!shown.contains("streamwarden claim"), "{shown}");
}

#[test]
fn what_is_counted_among_the_oldest_entries_is_said_to_be_at_least_so_many() {
    let redis = stream(400);
    redis.read("s", "g", "c", 400);
    let ids: Vec<String> = (1..=250).map(|number| format!("{number}-0")).collect();
    redeliver(&redis, "g", &ids.join(" "), 7, HOUR);
    let shown = status(&redis, &[]);
    assert!(shown.contains("at least 100 poison"), "{shown}");
    assert!(shown.contains("at least 100 pending entries were delivered 5 times or more"), "{shown}");
    let mut rest = pipe();
    rest.cmd("XACK").arg("s").arg("g");
    rest.arg((51..=400).map(|number| format!("{number}-0")).collect::<Vec<_>>());
    rest.query::<Value>(&mut redis.connect()).unwrap();
    let shown = status(&redis, &[]);
    assert!(shown.contains(" 50 poison"), "{shown}");
    assert!(!shown.contains("at least"), "{shown}");
    assert!(printed(&redis, &["pending", "s", "g"]).contains("50 pending"));
}

#[test]
fn entries_that_are_retried_all_the_time_are_named_with_what_would_help() {
    let redis = stream(30);
    redis.read("s", "g", "c", 10);
    redeliver(&redis, "g", "1-0", 13, 1_000);
    redeliver(&redis, "g", "2-0", 3, HOUR);
    let says = |arguments: &[&str]| {
        let both = ["--deliveries", "5", "--idle", "10m", "--dry-run"];
        let (code, shown, _) = run(&redis, &[&["dead-letter", "s", "g"], arguments, &both].concat());
        assert!(shown.contains("  1-0, deliveries: 13, the last "), "{shown}");
        assert!(shown.contains("give a shorter --idle, or only the ID: --id 1-0\n"), "{shown}");
        (code, shown)
    };
    let (code, shown) = says(&[]);
    assert!(shown.contains("at least 1 entry, delivered so often, but not so long ago\n"), "{shown}");
    assert!(!shown.contains("  2-0, deliveries"), "{shown}");
    assert_eq!(code, 0);
    let (_, shown) = says(&["--id", "1-0", "--id", "2-0"]);
    assert!(shown.contains("would leave   2 entries, not delivered so often"), "{shown}");
    assert!(shown.contains("  2-0, deliveries: 3, the last 1h ago\n"), "{shown}");
    // Without a number of deliveries nothing shows that it fails: somebody may work on it.
    let (_, shown, _) = run(&redis, &["dead-letter", "s", "g", "--id", "1-0", "--idle", "10m", "--dry-run"]);
    assert!(shown.contains("would leave   1 entry") && !shown.contains("retries"), "{shown}");
    // What the sentence proposes.
    let (code, shown, _) = run(&redis, &["dead-letter", "s", "g", "--id", "1-0", "--yes"]);
    assert_eq!(code, 0, "{shown}");
    assert!(printed(&redis, &["pending", "s", "g"]).contains("9 pending"));
}

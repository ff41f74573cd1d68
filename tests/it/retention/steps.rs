//! Nothing that a group needs ever goes, by the script or without it; and mutants of the script, each of which the
//! stories must catch.
//!
//! `STREAMWARDEN_TEST_CASES` and `STREAMWARDEN_TEST_SEED` make it longer and different by hand.

use std::{collections::BTreeMap, sync::Mutex};

use redis::{Cmd, cmd};
use streamwarden::{actions::Enforcer, app::self_stats, config::Policy};

use super::{
    enforcer::without_scripts,
    oracle::Answer,
    stories::{Checks, Stepper, encode, run},
    trimming,
};
use support::Redis;

use crate::truth::number;

#[test]
fn nothing_that_a_group_needs_ever_goes() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let cases = number("STREAMWARDEN_TEST_CASES", 300);
    let removed = run(&redis, cases, Checks::All, &|connection, policy, step, _| {
        encode(policy, step).query(connection)
    });
    let removed = removed.unwrap_or_else(|fault| panic!("{fault}"));
    eprintln!("{cases} stories, {removed} entries removed");
    assert!(removed > cases, "the stories remove next to nothing: {removed}");
}

#[test]
fn without_scripts_nothing_that_a_group_needs_goes_either() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let config = without_scripts(&redis, "");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let enforcer = Mutex::new(Enforcer::new(self_stats()));
    let cases = number("STREAMWARDEN_TEST_CASES", 300);
    let removed = run(&redis, cases, Checks::Harm, &move |_, policy, step, _| {
        let mut config = config.clone();
        config.retention.step = step;
        let stream = "s".into();
        let mut enforcer = enforcer.lock().unwrap();
        let taken = runtime.block_on(enforcer.step(&config, &stream, policy, None));
        let taken = taken.map_err(|failure| (redis::ErrorKind::Client, "a step", failure.to_string()))?;
        Ok((
            taken.removed,
            taken.length.unwrap(),
            String::new(),
            String::new(),
            String::new(),
            taken.is_forced,
            -1,
            BTreeMap::new(),
        ))
    });
    let removed = removed.unwrap_or_else(|fault| panic!("{fault}"));
    eprintln!("{cases} stories, {removed} entries removed");
    assert!(removed > cases, "the stories remove next to nothing: {removed}");
    assert_eq!(redis.calls("eval"), 0);
}

/// The step with a part of its script replaced.
fn mutate(policy: &Policy, step: u64, from: &str, to: &str) -> Cmd {
    let mut mutated = Cmd::new();
    for (index, argument) in encode(policy, step).args_iter().enumerate() {
        let redis::Arg::Simple(bytes) = argument else { panic!("not an argument: {argument:?}") };
        if index == 1 {
            let script = std::str::from_utf8(bytes).unwrap();
            assert!(script.contains(from), "the script has no {from}");
            mutated.arg(script.replace(from, to));
        } else {
            mutated.arg(bytes);
        }
    }
    mutated
}

#[track_caller]
fn assert_caught(redis: &Redis, checks: Checks, stepper: &Stepper) {
    let fault = run(redis, 3_000, checks, stepper).expect_err("the mutant survives");
    assert!(!fault.contains("ResponseError"), "the mutant does not even run: {fault}");
    eprintln!("caught: {:.60}", fault);
}

/// The cases show every fault in the script; this shows that the stories would.
#[test]
fn the_stories_catch_a_script_that_is_wrong() {
    let Some(redis) = trimming(Redis::start()) else { return };
    for (from, to) in [
        // A step has no limit.
        ("'LIMIT', most - removed)", "'LIMIT', 0)"),
        // What is pending is ignored, ...
        ("local pending = group.pending > 0", "local pending = false"),
        // ... what was not delivered, ...
        ("hold(after(group['last-delivered-id']), group.name, 'unread')", ""),
        // ... or both.
        ("'MINID', '~', target, 'LIMIT', most - removed)", "'MAXLEN', '~', length - most)"),
        // A group that is not there is passed over.
        ("if not ignored[group] then hold(first, group, 'missing_group') end", ""),
        // IDs are compared as texts.
        ("return less(a_seq, b_seq)", "return a_seq < b_seq"),
        // Losses: nothing is counted in the node that a position is in.
        ("delivered[position], from = removed + rest,", "delivered[position], from = removed,"),
        // The count of that node begins again at its start for the next position.
        ("from = removed + rest, '(' .. position", "from = removed + rest, '-'"),
        // The count of one node goes on in the next.
        ("if gone > 0 then rest, from = 0, '-' end", ""),
        // The nodes before it are forgotten.
        ("delivered[position], from = removed + rest,", "delivered[position], from = gone + rest,"),
        // The entry at the position is taken for undelivered.
        ("#ids(from, position,", "#ids(from, '(' .. position,"),
        // A group that was given nothing is taken for one that was given everything.
        (
            "(delivered[group['last-delivered-id']] or removed)",
            "(delivered[group['last-delivered-id']] or 0)",
        ),
        // Positions come in the order of groups.
        ("table.sort(found, before)", ""),
        // What the script removed itself counts as removed before.
        ("return ever_before + removed, lost", "return ever_before, lost"),
    ] {
        eprintln!("{to}");
        assert_caught(&redis, Checks::All, &move |connection, policy, step, _| {
            mutate(policy, step, from, to).query(connection)
        });
    }
}

#[test]
fn floor_and_trim_as_two_acts_are_caught() {
    let Some(redis) = trimming(Redis::start()) else { return };
    assert_caught(&redis, Checks::Harm, &|connection, policy, step, between| {
        let nothing_goes = ("local removed = trim(", "if true then return 0 end\n  local removed = trim(");
        let found: Answer = mutate(policy, step, nothing_goes.0, nothing_goes.1).query(connection)?;
        let excess = policy.excess(found.1).min(step);
        if excess == 0 || found.2.is_empty() {
            return encode(policy, step).query(connection);
        }
        between();
        let trim =
            cmd("XTRIM").arg("s").arg("MINID").arg("~").arg(&found.2).arg("LIMIT").arg(excess).to_owned();
        let removed: u64 = trim.query(connection)?;
        let length = cmd("XLEN").arg("s").query(connection)?;
        // Only what went is of interest: who is named is not this mutant's fault.
        if removed > 0 {
            Ok((removed, length, found.2, found.3, found.4, false, -1, BTreeMap::new()))
        } else {
            encode(policy, step).query(connection)
        }
    });
}

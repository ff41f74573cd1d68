//! Blocks that act on entries that are pending: none is lost, none handled twice, and no other one touched.

use super::{
    lab::{GROUP, IDLE_MS, Lab, Pending, STREAM},
    pages::Block,
};
use support::{Redis, Sidecar, wait_for};

const LOOK_HAND_OVER: Block = Block { page: "RedisStreamConsumersStuck", words: "\"$IDLE\" --dry-run" };
pub(super) const HAND_OVER: Block = Block { page: "RedisStreamConsumersStuck", words: "\"$IDLE\" --yes" };
const LOOK_DELETE: Block = Block { page: "RedisStreamConsumersStuck", words: "1d --dry-run" };
pub(super) const DELETE_CONSUMERS: Block = Block { page: "RedisStreamConsumersStuck", words: "1d --yes" };
const FIND_POISON: Block = Block { page: "RedisStreamPoisonEntries", words: "pending" };
const LOOK_SET_ASIDE: Block = Block { page: "RedisStreamPoisonEntries", words: "\"$IDLE\" --dry-run" };
pub(super) const SET_ASIDE: Block = Block { page: "RedisStreamPoisonEntries", words: "\"$IDLE\" --yes" };
const SHOW_DEAD: Block = Block { page: "RedisStreamPoisonEntries", words: "dead-letters show" };
const LOOK_REPLAY: Block = Block { page: "RedisStreamPoisonEntries", words: "2h}\" --dry-run" };
pub(super) const REPLAY: Block = Block { page: "RedisStreamPoisonEntries", words: "2h}\" --yes" };
const LOOK_GONE: Block = Block { page: "RedisStreamPendingDangling", words: "--dry-run" };
pub(super) const DROP_GONE: Block = Block { page: "RedisStreamPendingDangling", words: "--yes" };

/// Where the block puts entries that it sets aside.
const DEAD_LETTERS: &str = "dead:{events:session}";

/// What must not change about entries that a block is not about; they only get older.
#[track_caller]
fn assert_untouched(before: &[Pending], after: &[Pending]) {
    assert_eq!(before.len(), after.len(), "{before:?} {after:?}");
    for (before, after) in before.iter().zip(after) {
        let expected = Pending { idle: before.idle, ..after.clone() };
        assert!(expected == *before && after.idle >= before.idle, "{before:?} {after:?}");
    }
}

fn without(pending: &[Pending], ids: &[String]) -> Vec<Pending> {
    pending.iter().filter(|row| !ids.contains(&row.id)).cloned().collect()
}

/// Runs a block that looks: it succeeds, prints these words, and changes nothing.
#[track_caller]
fn looks(lab: &Lab, block: Block, words: &str) {
    let before = lab.changes();
    let said = lab.runs(block).join("\n");
    assert!(said.contains(words), "{block:?}: {said}");
    assert_eq!(lab.changes(), before, "{block:?}: looking changes nothing");
}

/// A sidecar that keeps the stream at 100 entries, and waits for what a group needs.
fn retaining(lab: &Lab) -> Sidecar {
    let config = "retention: {interval: 1s, lease_ttl: 1s}\n\
                  streams: [{match: 'events:*', retention: {max_length: 100, exact: true}}]";
    let sidecar = Sidecar::with_config(&lab.redis.uri(), config);
    sidecar.wait("retention to be blocked", |page| {
        page.get("streamwarden_retention_blocked", &[("stream", STREAM), ("group", GROUP)]).is_some()
    });
    sidecar
}

fn trimmed(lab: &Lab) {
    wait_for("retention to go on", || (lab.redis.run::<u64>(&format!("XLEN {STREAM}")) == 100).then_some(()));
}

/// A consumer that reads its history when it starts, and then new entries; it handles and acknowledges all of them.
fn restart(lab: &Lab, consumer: &str) -> Vec<String> {
    let handled = [lab.read(consumer, "0"), lab.read(consumer, ">")].concat();
    lab.redis.run::<()>(&format!("XACK {STREAM} {GROUP} {}", handled.join(" ")));
    handled
}

#[test]
pub(super) fn entries_of_a_dead_consumer_are_handed_over_and_handled_after_a_restart() {
    let Some(lab) = Lab::start() else { return };
    lab.redis.read(STREAM, GROUP, "slow", 5);
    lab.redis.run::<()>(&format!("XGROUP CREATECONSUMER {STREAM} {GROUP} living"));
    lab.set("STUCK=consumer-1 CONSUMER=nobody");
    lab.wait_until_idle("consumer-1");
    lab.wait_until_idle("slow");
    let (held, before) = (lab.held_by("consumer-1"), lab.pending());
    lab.refuses(LOOK_HAND_OVER, "has no consumer nobody; it has: ");
    lab.refuses(HAND_OVER, "has no consumer nobody");
    lab.set("CONSUMER=living");
    looks(&lab, LOOK_HAND_OVER, "would hand over  20 entries to living");

    assert_eq!(lab.runs(HAND_OVER).last().unwrap(), "20 handed over");
    assert_eq!(lab.held_by("living"), held);
    assert!(lab.held_by("consumer-1").is_empty());
    assert!(lab.pending().iter().all(|row| row.deliveries == 1), "a hand-over is no delivery");
    assert_untouched(&without(&before, &held), &without(&lab.pending(), &held));

    assert!(lab.read("living", ">").iter().all(|id| !held.contains(id)), "a claim alone handles nothing");
    looks(&lab, HAND_OVER, "nothing to do");
    lab.set("STUCK=living CONSUMER=slow IDLE=1h");
    lab.refuses(HAND_OVER, "it may be working on its entries");

    let _sidecar = retaining(&lab);
    let handled = restart(&lab, "living");
    assert!(handled.starts_with(&held), "after a restart it reads its history");
    assert_untouched(&without(&before, &held), &lab.pending());
    restart(&lab, "slow");
    trimmed(&lab);
}

#[test]
pub(super) fn only_consumers_that_hold_nothing_are_deleted() {
    let Some(lab) = Lab::start() else { return };
    lab.redis.read(STREAM, GROUP, "other", 5);
    lab.redis.run::<()>(&format!("XACK {STREAM} {GROUP} {}", lab.held_by("consumer-1").join(" ")));
    // Both were active today.
    looks(&lab, LOOK_DELETE, "would delete  0 consumers");
    looks(&lab, DELETE_CONSUMERS, "nothing to do");
    let before = lab.pending();
    let at_once = DELETE_CONSUMERS.text().replace("--idle 1d", "--idle 0s --force");
    let (is_done, said) = lab.run(&at_once);
    assert!(
        is_done && said.contains("would keep    1 idle consumer, holding pending entries: other"),
        "{said}"
    );
    let consumers: Vec<Vec<redis::Value>> = lab.redis.run(&format!("XINFO CONSUMERS {STREAM} {GROUP}"));
    assert_eq!(consumers.len(), 1, "{consumers:?}");
    assert_untouched(&before, &lab.pending());
}

#[test]
pub(super) fn a_poison_entry_is_set_aside_whole_and_played_back_after_the_fix() {
    let Some(lab) = Lab::start() else { return };
    let poison = {
        let mut add = redis::cmd("XADD");
        add.arg(STREAM).arg("*").arg("payload").arg(b"two\nlines, \0 and \xff").arg("").arg("'\" $HOME");
        add.query::<String>(&mut lab.redis.connect()).unwrap()
    };
    lab.redis.add(STREAM, 3);
    lab.redis.read(STREAM, GROUP, "consumer-2", 1_000);
    let deliver = |id: &str, times: u64| {
        let claim = format!("XCLAIM {STREAM} {GROUP} consumer-2 0 {id} RETRYCOUNT {times} JUSTID");
        lab.redis.run::<redis::Value>(&claim);
    };
    deliver(&poison, 6);
    lab.set(&format!("ID={poison} IDLE=1h SINCE=2h"));
    lab.refuses(SET_ASIDE, "would leave   1 entry, not delivered so often, or delivered since");
    lab.set(&format!("IDLE={IDLE_MS}ms"));
    lab.wait_until_idle("consumer-2");

    looks(&lab, FIND_POISON, &poison);
    assert_eq!(lab.runs(FIND_POISON).len(), 4, "the oldest ones are healthy");
    looks(&lab, LOOK_SET_ASIDE, "would move    1 entry");
    let (entries, before) = (lab.entries(STREAM), lab.pending());
    lab.set(&format!("ID={}", before[0].id));
    lab.refuses(SET_ASIDE, "would leave   1 entry, not delivered so often");
    lab.set(&format!("ID={}", poison.split('-').next().unwrap()));
    lab.refuses(SET_ASIDE, "");
    lab.set(&format!("ID={poison}"));
    lab.redis.run::<()>(&format!("SET {DEAD_LETTERS} text"));
    lab.refuses(SET_ASIDE, "is not a stream");
    lab.redis.run::<()>(&format!("DEL {DEAD_LETTERS}"));
    lab.redis.run::<()>("CONFIG SET maxmemory 1");
    lab.refuses(SET_ASIDE, "the server refuses the copy");
    lab.redis.run::<()>("CONFIG SET maxmemory 0");
    assert_untouched(&before, &lab.pending());

    assert_eq!(lab.runs(SET_ASIDE).last().unwrap(), "1 moved to the dead letters");
    let fields = &entries.iter().find(|(id, _)| *id == poison).unwrap().1;
    let dead = lab.entries(DEAD_LETTERS);
    assert!(dead.len() == 1 && dead[0].1.starts_with(fields), "{dead:?}");
    assert_eq!(lab.entries(STREAM), entries, "other groups still have it");
    assert_untouched(&without(&before, std::slice::from_ref(&poison)), &lab.pending());
    looks(&lab, SHOW_DEAD, &poison);
    lab.refuses(SET_ASIDE, "not pending in group");

    // What holds retention up now are healthy entries, which living consumers handle.
    let sidecar = retaining(&lab);
    ["consumer-1", "consumer-2"].iter().for_each(|consumer| drop(restart(&lab, consumer)));
    trimmed(&lab);
    // Its lease is a change too.
    drop(sidecar);
    looks(&lab, LOOK_REPLAY, &format!("all of its groups see them again: {GROUP}"));
    assert_eq!(lab.runs(REPLAY).last().unwrap(), "1 replayed");
    let replayed = lab.entries(STREAM).pop().unwrap();
    assert!(replayed.1.starts_with(fields), "{replayed:?}");
    assert_eq!(restart(&lab, "consumer-2"), [replayed.0], "the fixed handler gets it");
    assert!(lab.pending().is_empty() && lab.entries(DEAD_LETTERS).is_empty());
}

#[test]
fn dead_letters_are_on_the_stream_s_node_of_a_cluster() {
    let redis = Redis::with_settings("cluster-enabled yes");
    let slot = |key: &str| redis.run::<u64>(&format!("CLUSTER KEYSLOT {key}"));
    assert_eq!(slot(DEAD_LETTERS), slot(STREAM));
    assert_eq!(slot("dead:{shop}:events"), slot("{shop}:events"));
}

#[test]
pub(super) fn only_entries_that_are_gone_leave_the_pending_list() {
    let Some(lab) = Lab::start() else { return };
    lab.redis.read(STREAM, GROUP, "other", 5);
    let before = lab.pending();
    let id = |at: usize| before[at].id.clone();
    lab.redis.run::<()>(&format!("XTRIM {STREAM} MINID = {}", id(3)));
    lab.redis.run::<()>(&format!("XDEL {STREAM} {}", id(10)));
    let gone = [id(0), id(1), id(2), id(10)];
    looks(&lab, LOOK_GONE, "would acknowledge 4 entries, gone from the stream");
    assert_eq!(lab.runs(DROP_GONE).last().unwrap(), "4 no longer existed, and acknowledged");
    assert_untouched(&without(&before, &gone), &lab.pending());
    looks(&lab, DROP_GONE, "nothing to do");
}

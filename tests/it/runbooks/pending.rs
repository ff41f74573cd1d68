//! Blocks that act on entries that are pending: none is lost, none handled twice, and no other one touched.

use super::{
    lab::{GROUP, IDLE_MS, Lab, Pending, STREAM},
    pages::Block,
};
use support::Redis;

const LOOK_HAND_OVER: Block = Block { page: "RedisStreamConsumersStuck", words: "\"$IDLE_MS\" look" };
pub(super) const HAND_OVER: Block = Block { page: "RedisStreamConsumersStuck", words: "\"$IDLE_MS\" act" };
pub(super) const DELETE_CONSUMER: Block = Block { page: "RedisStreamConsumersStuck", words: "DELCONSUMER" };
const FIND_POISON: Block = Block { page: "RedisStreamPoisonEntries", words: "local found" };
pub(super) const SET_ASIDE: Block = Block { page: "RedisStreamPoisonEntries", words: "XADD" };
const LOOK_GONE: Block = Block { page: "RedisStreamPendingDangling", words: "\"$GROUP\" look" };
pub(super) const DROP_GONE: Block = Block { page: "RedisStreamPendingDangling", words: "\"$GROUP\" act" };

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

#[test]
pub(super) fn entries_of_a_dead_consumer_are_handed_over_and_handled_after_a_restart() {
    let Some(lab) = Lab::start() else { return };
    lab.redis.read(STREAM, GROUP, "slow", 5);
    lab.redis.run::<()>(&format!("XGROUP CREATECONSUMER {STREAM} {GROUP} living"));
    lab.set("STUCK=consumer-1 CONSUMER=nobody");
    lab.wait_until_idle("consumer-1");
    lab.wait_until_idle("slow");
    let (held, before) = (lab.held_by("consumer-1"), lab.pending());
    lab.refuses(LOOK_HAND_OVER, "nothing done: STUCK and CONSUMER must be two consumers");
    lab.refuses(HAND_OVER, "");
    lab.set("CONSUMER=living");
    let changes = lab.changes();
    assert_eq!(lab.runs(LOOK_HAND_OVER), held);
    assert_eq!(lab.changes(), changes, "looking changes nothing");

    assert_eq!(lab.runs(HAND_OVER), held);
    assert_eq!(lab.held_by("living"), held);
    assert!(lab.held_by("consumer-1").is_empty());
    assert!(lab.pending().iter().all(|row| row.deliveries == 1), "a hand-over is no delivery");
    assert_untouched(&without(&before, &held), &without(&lab.pending(), &held));

    assert!(lab.read("living", ">").iter().all(|id| !held.contains(id)), "a claim alone handles nothing");
    lab.redis.run::<()>(&format!("XACK {STREAM} {GROUP} {}", lab.read("living", "0")[20..].join(" ")));
    assert_eq!(lab.read("living", "0"), held, "after a restart it reads its history");
    lab.redis.run::<()>(&format!("XACK {STREAM} {GROUP} {}", held.join(" ")));
    assert_untouched(&without(&before, &held), &lab.pending());

    assert!(lab.runs(HAND_OVER).is_empty(), "nothing is left");
    lab.set("STUCK=living CONSUMER=slow IDLE_MS=3600000");
    lab.refuses(HAND_OVER, "nothing done: it is alive");
}

#[test]
pub(super) fn a_consumer_is_deleted_only_when_it_holds_nothing() {
    let Some(lab) = Lab::start() else { return };
    lab.redis.read(STREAM, GROUP, "other", 5);
    lab.set("STUCK=consumer-1");
    lab.refuses(DELETE_CONSUMER, "nothing done: it holds entries");
    lab.redis.run::<()>(&format!("XACK {STREAM} {GROUP} {}", lab.held_by("consumer-1").join(" ")));
    let before = lab.pending();
    assert_eq!(lab.runs(DELETE_CONSUMER), ["the group has no such consumer any more"]);
    let consumers: Vec<Vec<redis::Value>> = lab.redis.run(&format!("XINFO CONSUMERS {STREAM} {GROUP}"));
    assert_eq!(consumers.len(), 1, "{consumers:?}");
    assert_untouched(&before, &lab.pending());
}

#[test]
pub(super) fn a_poison_entry_is_set_aside_whole_and_its_neighbours_stay() {
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
    lab.set(&format!("ID={poison} IDLE_MS=3600000"));
    lab.refuses(SET_ASIDE, "so it may be at work");
    lab.set(&format!("IDLE_MS={IDLE_MS}"));
    lab.wait_until_idle("consumer-2");

    let found = lab.runs(FIND_POISON);
    let expected = [poison.as_str(), "consumer-2", found[2].as_str(), "6"];
    assert_eq!(found, expected, "the oldest ones are healthy");
    let (entries, before) = (lab.entries(STREAM), lab.pending());
    lab.set(&format!("ID={}", before[0].id));
    lab.refuses(SET_ASIDE, "nothing done: delivered only 1 times");
    lab.set(&format!("ID={}", poison.split('-').next().unwrap()));
    lab.refuses(SET_ASIDE, "nothing done: not pending");
    lab.set(&format!("ID={poison}"));
    lab.redis.run::<()>(&format!("SET {DEAD_LETTERS} text"));
    lab.refuses(SET_ASIDE, "WRONGTYPE");
    lab.redis.run::<()>(&format!("DEL {DEAD_LETTERS}"));
    lab.redis.run::<()>("CONFIG SET maxmemory 1");
    lab.refuses(SET_ASIDE, "OOM");
    lab.redis.run::<()>("CONFIG SET maxmemory 0");
    assert_untouched(&before, &lab.pending());

    assert!(lab.runs(SET_ASIDE)[0].starts_with(&format!("copied to {DEAD_LETTERS} as ")));
    let mut fields = entries.iter().find(|(id, _)| *id == poison).unwrap().1.clone();
    let origin = [
        ("dlq:stream", STREAM),
        ("dlq:group", GROUP),
        ("dlq:id", &poison),
        ("dlq:consumer", "consumer-2"),
        ("dlq:deliveries", "6"),
    ];
    fields.extend(
        origin.iter().flat_map(|(field, value)| [field.as_bytes().to_vec(), value.as_bytes().to_vec()]),
    );
    let dead: Vec<_> = lab.entries(DEAD_LETTERS).into_iter().map(|(_, fields)| fields).collect();
    assert_eq!(dead, [fields]);
    assert_eq!(lab.entries(STREAM), entries, "other groups still have it");
    assert_untouched(&without(&before, &[poison]), &lab.pending());

    lab.refuses(SET_ASIDE, "nothing done: not pending");
    let gone = lab.pending()[0].id.clone();
    deliver(&gone, 6);
    lab.redis.run::<()>(&format!("XDEL {STREAM} {gone}"));
    lab.wait_until_idle("consumer-2");
    lab.set(&format!("ID={gone}"));
    lab.refuses(SET_ASIDE, "nothing done: the entry is gone");
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
    let changes = lab.changes();
    assert_eq!(lab.runs(LOOK_GONE), gone);
    assert_eq!(lab.changes(), changes, "looking changes nothing");
    assert_eq!(lab.runs(DROP_GONE), gone);
    assert_untouched(&without(&before, &gone), &lab.pending());
    assert!(lab.runs(DROP_GONE).is_empty(), "nothing is left");
}

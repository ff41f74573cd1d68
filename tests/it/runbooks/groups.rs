//! Blocks that create or move groups, and those that trim: what a group has still to handle stays for it.

use super::{
    lab::{GROUP, Lab, STREAM},
    pages::Block,
};
use support::{Need, Redis, Sidecar};

pub(super) const CREATE_GROUP: Block = Block { page: "RedisStreamGroupMissing", words: "XGROUP CREATE" };
pub(super) const RECREATE_STREAM: Block = Block { page: "RedisStreamMissing", words: "MKSTREAM" };
const LOOK_SKIP: Block = Block { page: "RedisStreamGroupRewound", words: "from}\" look" };
pub(super) const SKIP: Block = Block { page: "RedisStreamGroupRewound", words: "from}\" act" };
pub(super) const TRIM: [Block; 3] = [
    Block { page: "RedisStreamGrowingUnbounded", words: "--yes" },
    Block { page: "RedisStreamLengthOverLimit", words: "--yes" },
    Block { page: "RedisStreamRetentionFailing", words: "--yes" },
];

fn ids(lab: &Lab) -> Vec<String> {
    lab.entries(STREAM).into_iter().map(|(id, _)| id).collect()
}

#[test]
pub(super) fn a_group_is_created_where_it_stood() {
    let Some(lab) = Lab::start() else { return };
    let ids = ids(&lab);
    lab.redis.run::<()>(&format!("XGROUP DESTROY {STREAM} {GROUP}"));
    lab.set(&format!("FROM={}", ids[49]));
    assert_eq!(lab.runs(CREATE_GROUP), ["OK"]);
    assert_eq!(lab.read("consumer-1", ">"), ids[50..], "nothing skipped, nothing twice");
    lab.refuses(CREATE_GROUP, "BUSYGROUP");
    lab.redis.run::<()>(&format!("DEL {STREAM}"));
    lab.refuses(CREATE_GROUP, "requires the key to exist");
}

#[test]
pub(super) fn a_stream_is_recreated_and_nothing_in_it_is_skipped() {
    let Some(lab) = Lab::start() else { return };
    lab.refuses(RECREATE_STREAM, "BUSYGROUP");
    for written_before in [0, 5] {
        lab.redis.run::<()>(&format!("DEL {STREAM}"));
        if written_before > 0 {
            lab.redis.add(STREAM, written_before);
        }
        assert_eq!(lab.runs(RECREATE_STREAM), ["OK"]);
        lab.redis.add(STREAM, 3);
        assert_eq!(lab.read("consumer-1", ">"), ids(&lab));
    }
    lab.redis.run::<()>(&format!("SET {STREAM} text"));
    lab.refuses(RECREATE_STREAM, "WRONGTYPE");
}

#[test]
pub(super) fn a_rewound_group_skips_forward_and_never_back() {
    let Some(lab) = Lab::start() else { return };
    let ids = ids(&lab);
    lab.redis.read(STREAM, GROUP, "consumer-2", 80);
    lab.redis.run::<()>(&format!("XACK {STREAM} {GROUP} {}", ids[20..100].join(" ")));
    lab.redis.run::<()>(&format!("XGROUP SETID {STREAM} {GROUP} {}", ids[9]));
    let held = lab.held_by("consumer-1");
    lab.set(&format!("ID={}", ids[99]));
    let expected = format!("90 entries, from {} to {}", ids[10], ids[99]);
    let changes = lab.changes();
    assert_eq!(lab.runs(LOOK_SKIP), [expected.as_str()]);
    assert_eq!(lab.changes(), changes, "looking changes nothing");
    assert_eq!(lab.runs(SKIP), [expected]);
    assert_eq!(lab.held_by("consumer-1"), held, "what is pending stays so");
    lab.refuses(SKIP, "nothing done: no entry between");
    lab.set(&format!("ID={}", ids[49]));
    lab.refuses(SKIP, "nothing done: no entry between");
    lab.set("ID='$'");
    lab.refuses(SKIP, "not a whole ID");
    assert_eq!(lab.read("consumer-2", ">"), ids[100..], "it goes on where it stood");
}

#[test]
pub(super) fn a_trim_by_hand_keeps_what_a_group_needs() {
    for block in TRIM {
        let Some(lab) = Lab::start() else { return };
        lab.redis.add(STREAM, 1_000);
        lab.redis.read(STREAM, GROUP, "consumer-2", 580);
        let all = ids(&lab);
        lab.redis.run::<()>(&format!("XACK {STREAM} {GROUP} {}", all[20..600].join(" ")));
        lab.set("MAX_LENGTH=100");
        let trim = || {
            let (is_done, said) = lab.run(&block.text());
            assert!(!is_done && said.contains("blocked"), "{block:?}: {said}");
            ids(&lab)
        };
        assert_eq!(trim(), all, "the oldest are pending");
        lab.redis.run::<()>(&format!("XACK {STREAM} {GROUP} {}", all[..20].join(" ")));
        lab.configure(&format!("streams: [{{match: \"events:*\", groups: [{GROUP}, tomorrow]}}]"));
        assert_eq!(trim(), all, "a group that must be there is not there");
        lab.configure("");
        let left = trim();
        assert!(left.len() < all.len() && left.ends_with(&all[600..]), "{} are left", left.len());
        lab.set("MAX_LENGTH=5000");
        let (is_done, said) = lab.run(&block.text());
        assert!(is_done && said.contains("nothing to remove"), "{block:?}: {said}");
    }
}

#[test]
fn the_sample_configuration_watches_dead_letters_and_never_trims_them() {
    let (_, sample) = include_str!("../../../docs/src/configuration.md").split_once("```yaml\n").unwrap();
    let redis = Redis::start();
    redis.add("events:session", 1);
    redis.add("events:other", 1);
    redis.add("dead:{events:session}", 1);
    let sidecar = Sidecar::with_config(&redis.uri(), sample.split_once("```").unwrap().0);
    let page = sidecar.wait("the streams to be seen", |page| page.stream("length", "events:other").is_some());
    assert_eq!(page.stream("length", "dead:{events:session}"), Some(1.0));
    let mut limited = page.label_values("streamwarden_retention_info", "stream");
    limited.sort_unstable();
    assert_eq!(limited, ["events:other", "events:session"]);
}

#[test]
fn past_a_ceiling_undelivered_entries_are_lost_and_pending_ones_dangle() {
    let Some(lab) = Lab::start() else { return };
    if !lab.redis.meets(Need::COUNTED_ADDITIONS) {
        return;
    }
    lab.redis.add(STREAM, 800);
    lab.redis.run::<()>(&format!("XGROUP CREATE {STREAM} unread 0"));
    let sidecar = Sidecar::start(&lab.redis);
    // What goes before the first poll would not be counted.
    sidecar.wait("the stream to be seen", |page| page.stream("length", STREAM) == Some(1_000.0));
    let limits = "retention: {max_length: 100, ceiling: 300}";
    sidecar.configure(&format!("retention: {{interval: 1s}}\nstreams: [{{match: \"events:*\", {limits}}}]"));
    sidecar.signal("HUP");
    let page = sidecar.wait("the ceiling to be reached", |page| {
        page.stream("length", STREAM).is_some_and(|length| length <= 400.0)
            && page.group("dangling_pending", STREAM, GROUP) > Some(0.0)
    });
    let removed = 1_000.0 - page.stream("length", STREAM).unwrap();
    assert_eq!(page.group("entries_lost_total", STREAM, "unread"), Some(removed));
    assert_eq!(page.group("entries_lost_total", STREAM, GROUP), Some(removed - 20.0));
    assert_eq!(page.group("dangling_pending", STREAM, GROUP), Some(20.0));
}

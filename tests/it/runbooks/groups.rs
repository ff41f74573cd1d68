//! Blocks that create or move groups, and those that trim: what a group has still to handle stays for it.

use super::{
    lab::{GROUP, Lab, STREAM},
    pages::Block,
};

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

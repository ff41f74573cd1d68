//! Every block of the runbooks is run: one that looks changes nothing, and one that acts does what its page says.

mod groups;
pub(crate) mod lab;
pub(crate) mod pages;
mod pending;

use std::collections::BTreeSet;

use lab::Lab;
use pages::{Block, blocks, fences, pages};

use support::Sidecar;

/// The blocks that change something, each with the test that runs it on the fault that its page is about.
const ACTS: [(Block, fn()); 11] = [
    (pending::HAND_OVER, pending::entries_of_a_dead_consumer_are_handed_over_and_handled_after_a_restart),
    (pending::DELETE_CONSUMERS, pending::only_consumers_that_hold_nothing_are_deleted),
    (pending::SET_ASIDE, pending::a_poison_entry_is_set_aside_whole_and_played_back_after_the_fix),
    (pending::REPLAY, pending::a_poison_entry_is_set_aside_whole_and_played_back_after_the_fix),
    (pending::DROP_GONE, pending::only_entries_that_are_gone_leave_the_pending_list),
    (groups::CREATE_GROUP, groups::a_group_is_created_where_it_stood),
    (groups::RECREATE_STREAM, groups::a_stream_is_recreated_and_nothing_in_it_is_skipped),
    (groups::SKIP, groups::a_rewound_group_skips_forward_and_never_back),
    (groups::TRIM[0], groups::a_trim_by_hand_keeps_what_a_group_needs),
    (groups::TRIM[1], groups::a_trim_by_hand_keeps_what_a_group_needs),
    (groups::TRIM[2], groups::a_trim_by_hand_keeps_what_a_group_needs),
];

fn is_act(page: &str, block: &str) -> bool {
    ACTS.iter().any(|(act, _)| act.page == page && act.is(block))
}

#[test]
fn every_block_is_run_here() {
    for page in pages() {
        let kinds: BTreeSet<String> = fences(&page).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, BTreeSet::from(["sh".to_owned()]), "{page}: what is not sh is not run");
    }
    for (act, _) in &ACTS {
        let (diagnosis, mitigation) = pages::halves(act.page);
        let block = act.text();
        assert!(mitigation.contains(&block) && !diagnosis.contains(&block), "{act:?} is under Mitigation");
    }
}

/// What servers and programs say when they refuse; redis-cli still succeeds.
pub(crate) const REFUSALS: [&str; 8] =
    ["ERR ", "NOGROUP", "BUSYGROUP", "WRONGTYPE", "NOPERM", "NOAUTH", "error:", "Usage:"];

#[test]
fn every_block_that_does_not_act_runs_as_it_is_written_and_changes_nothing() {
    [false, true].into_iter().for_each(looks_run);
}

fn looks_run(is_in_cluster: bool) {
    let Some(mut lab) = Lab::start() else { return };
    lab.is_in_cluster = is_in_cluster;
    let config = "streams: [{match: \"events:*\", retention: {max_length: 100, mode: observe}}]";
    lab.configure(config);
    let sidecar = Sidecar::with_config(&lab.redis.uri(), config);
    sidecar.wait("the stream to be seen", |page| page.stream("length", lab::STREAM).is_some());
    lab.redis.run::<()>(&format!("XGROUP CREATECONSUMER {} {} living", lab::STREAM, lab::GROUP));
    let oldest = lab.pending()[0].id.clone();
    lab.set(&format!(
        "SIDECAR=http://{} STUCK=consumer-1 CONSUMER=living ID={oldest} FROM={oldest} SINCE=2h IDLE=0s",
        sidecar.address()
    ));
    lab.set(&format!("UNUSED={}", lab::GROUP));
    // The fault of these two ends all that the others look at.
    let last = ["RedisStreamGroupMissing", "RedisStreamMissing"];
    let others = pages().into_iter().filter(|page| !last.contains(&page.as_str()));
    for page in others.chain(last.map(str::to_owned)) {
        match page.as_str() {
            "RedisStreamGroupMissing" => {
                lab.redis.run::<()>(&format!("XGROUP DESTROY {} {}", lab::STREAM, lab::GROUP));
            }
            "RedisStreamMissing" => lab.redis.run::<()>(&format!("DEL {}", lab::STREAM)),
            _ => {}
        }
        let looks: Vec<String> = blocks(&page).into_iter().filter(|block| !is_act(&page, block)).collect();
        assert!(!looks.is_empty(), "{page} has no command");
        for block in looks
            .iter()
            .filter(|block| !block.starts_with("export REDIS_URI=") && !block.starts_with("export CLUSTER="))
        {
            let before = lab.changes();
            let (is_done, said) = lab.run(block);
            assert!(is_done, "{page}: {block}{said}");
            assert!(!REFUSALS.iter().any(|word| said.contains(word)), "{page}: {block}{said}");
            assert_eq!(lab.changes(), before, "{page}: {block}changes something: it belongs into ACTS");
        }
    }
}

#[test]
fn a_block_that_acts_stops_without_the_names_it_acts_on() {
    let Some(lab) = Lab::start() else { return };
    lab.set("STREAMWARDEN_CONFIG=");
    // These need no more than the set-up.
    let all = [groups::RECREATE_STREAM, pending::DELETE_CONSUMERS, pending::DROP_GONE]
        .map(|act| (act.page, act.words));
    for (act, _) in ACTS.iter().filter(|(act, _)| !all.contains(&(act.page, act.words))) {
        let before = lab.changes();
        // As in a terminal, where a variable that is not set is an empty text.
        let (is_done, said) = lab.run(&format!("set +eu\n{}", act.text()));
        assert!(!is_done && lab.changes() == before, "{act:?}: {said}");
    }
}

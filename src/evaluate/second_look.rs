//! A second look before a stream of a cluster is called missing.
//!
//! Nodes are read one after the other, and a key moves from one to the next meanwhile, so that a reading may find it on
//! neither. The next reading decides. Until then the stream is unreadable, and nothing about it is forgotten.

use std::collections::BTreeMap;

use super::stream_history::StreamHistory;
use crate::{
    config::Watchlist,
    model::{Failure, InOrder, Name, Reason, Snapshot},
};

/// Marks the watched streams that this reading is the first one not to find.
pub(super) fn look_again(
    histories: &mut BTreeMap<Name, Box<StreamHistory>>,
    snapshot: &mut Snapshot,
    watchlist: &Watchlist,
) {
    let mut read = InOrder::new(&snapshot.streams);
    let mut watchlist = watchlist.in_order();
    let mut is_new = |name: &Name, history: &mut StreamHistory| {
        let is_missing = read.get(name).is_none_or(|state| state.as_ref().is_err_and(is_nokey));
        is_missing && watchlist.get(name).is_some() && history.miss()
    };
    let new: Vec<Name> = (histories.iter_mut().filter_map(|(name, history)| {
        let is_new = is_new(name, history);
        is_new.then(|| name.clone())
    }))
    .collect();
    for name in &new {
        if let Some(state) = snapshot.streams.get_mut(name) {
            *state = Err(unseen());
        }
    }
    let left_out: Vec<Name> = new.into_iter().filter(|name| !snapshot.streams.contains_key(name)).collect();
    if !left_out.is_empty() {
        snapshot.add_unread(left_out.into_iter().map(|name| (name, unseen())));
    }
}

fn is_nokey(failure: &Failure) -> bool {
    failure.reason == Reason::NoKey
}

fn unseen() -> Failure {
    Failure::new(Reason::TryAgain, "the cluster does not have the stream, unless it was being moved just now")
}

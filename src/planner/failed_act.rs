//! Why a step of an act failed, in a sentence with a hint.

use crate::{
    config::Config,
    model::{Failure, Reason},
    stuck::Act,
};

/// Why a step of an act failed, and what that means for its items.
#[must_use]
pub fn cannot_act(config: &Config, act: &Act, failure: &Failure) -> String {
    let keys: Vec<String> = act.keys.iter().map(ToString::to_string).collect();
    let keys = keys.join(" and ");
    let hint = HINTS
        .iter()
        .find(|(reason, _)| *reason == failure.reason)
        .map(|(_, hint)| hint.replace("KEYS", &keys));
    let hint = hint.map(|hint| format!("\n{hint}")).unwrap_or_default();
    format!("{}{hint}", config.redis.access.cannot("act on stuck work", failure))
}

const UNKNOWN: &str = "it is unknown whether the last step was executed. Run the command again: what was done is not done twice";
const NO_WRITES: &str = "the server accepts no writes now, so nothing of this step was changed";
const HINTS: [(Reason, &str); 14] = [
    (Reason::CrossSlot, "KEYS must be in one slot of the cluster: `to` needs the same hash tag"),
    (Reason::OutOfMemory, "the server refuses the copy, so nothing of this step was acknowledged or removed"),
    (
        Reason::NoKey,
        "the stream that gets the entries does not exist: XGROUP CREATE ... MKSTREAM creates it with a group",
    ),
    (Reason::WrongType, "one of KEYS is not a stream; nothing of this step was changed"),
    (Reason::ReadOnly, "this server is a replica, which accepts no writes: run the command on its primary"),
    (
        Reason::NoPermission,
        "`streamwarden acl --acting` prints the rule of a user that may do this, with watched streams and keys that begin with dead:; \
         for another key (`to`) add ~KEY",
    ),
    (
        Reason::TryAgain,
        "KEYS are moving to another node of the cluster; nothing of this step was changed. Run the command again in a moment",
    ),
    (Reason::Misconfigured, NO_WRITES),
    (Reason::NoReplicas, NO_WRITES),
    (Reason::Closed, UNKNOWN),
    (Reason::Timeout, UNKNOWN),
    (Reason::Io, UNKNOWN),
    (Reason::Protocol, UNKNOWN),
    (Reason::RoleChanged, UNKNOWN),
];

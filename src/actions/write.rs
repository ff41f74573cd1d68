//! All commands of the program that write to Redis.

use redis::Cmd;

use crate::{
    config::{Mode, Policy},
    model::{Name, StreamId},
    source::Request,
    stuck::{Act, Script},
};

const SCRIPT: &str =
    concat!(include_str!("script_head.lua"), include_str!("step.lua"), include_str!("script_tail.lua"));

/// The source of a script that acts on items.
const fn source(script: Script) -> &'static str {
    macro_rules! items {
        ($file:literal) => {
            concat!(
                include_str!("script_head.lua"),
                include_str!("items.lua"),
                include_str!($file),
                include_str!("script_tail.lua")
            )
        };
    }
    match script {
        Script::DeadLetter => items!("dead_letter.lua"),
        Script::Replay => items!("replay.lua"),
        Script::Reap => items!("reap.lua"),
        Script::Claim => items!("claim.lua"),
    }
}

/// A command that writes, and its arguments.
#[derive(Debug, Clone, Copy)]
pub enum Write<'a> {
    /// `EVAL`: a step of retention.
    Step(&'a Name, &'a Policy, Option<StreamId>, u64),
    /// `XTRIM key MINID ~ id LIMIT count`, where scripts are forbidden. The count must not be 0, which means no
    /// limit.
    TrimBelow(&'a Name, StreamId, u64),
    /// `XTRIM key MAXLEN ~ length`, where scripts are forbidden.
    TrimTo(&'a Name, u64),
    /// `SET key holder NX PX milliseconds`: takes a free lease.
    Take(&'a str, &'a str, u64),
    /// `PEXPIRE key milliseconds`: renews the lease.
    Renew(&'a str, u64),
    /// `DEL key`: releases the lease.
    Release(&'a str),
    /// `EVAL`: acts on these items.
    Act(&'a Act, &'a [Box<[u8]>]),
    /// `XACK key group 0-0`, which acknowledges nothing: whether it is permitted. A script that may copy and not acknowledge would copy
    /// again and again.
    TryAcknowledge(&'a Name, &'a Name),
    /// `XDEL key 0-0`, which removes nothing, for the same reason.
    TryDelete(&'a Name),
}

impl Write<'_> {
    /// All values of the `command` label.
    pub const LABELS: &'static [&'static str] = &["eval", "xtrim", "xack", "xdel", "set", "pexpire", "del"];
}

impl Request for Write<'_> {
    fn label(&self) -> &'static str {
        match self {
            Self::Step(..) | Self::Act(..) => "eval",
            Self::TrimBelow(..) | Self::TrimTo(..) => "xtrim",
            Self::Take(..) => "set",
            Self::Renew(..) => "pexpire",
            Self::Release(_) => "del",
            Self::TryAcknowledge(..) => "xack",
            Self::TryDelete(_) => "xdel",
        }
    }

    fn may_repeat(&self) -> bool {
        false
    }

    fn key(&self) -> Option<&[u8]> {
        Some(match self {
            Self::Step(stream, ..) | Self::TrimBelow(stream, ..) | Self::TrimTo(stream, _) => {
                stream.as_bytes()
            }
            Self::Take(key, ..) | Self::Renew(key, _) | Self::Release(key) => key.as_bytes(),
            Self::Act(act, _) => act.keys.first()?.as_bytes(),
            Self::TryAcknowledge(stream, _) | Self::TryDelete(stream) => stream.as_bytes(),
        })
    }

    fn checks_again(&self) -> bool {
        matches!(self, Self::Step(..) | Self::Act(..) | Self::TryAcknowledge(..) | Self::TryDelete(_))
    }

    fn has_long_names(&self) -> bool {
        matches!(self, Self::Step(..))
    }

    fn encode(&self) -> Cmd {
        let mut cmd = Cmd::new();
        match self {
            Self::Step(stream, policy, cutoff, step) => {
                cmd.arg("EVAL").arg(SCRIPT).arg(1).arg(stream.as_bytes());
                cmd.arg(if policy.mode == Mode::Safe { "safe" } else { "strict" });
                cmd.arg(optional(policy.max_length)).arg(optional(*cutoff)).arg(optional(policy.ceiling));
                cmd.arg(*step).arg(flag(policy.exact)).arg(flag(policy.spares_dead_letters));
                cmd.arg(policy.ignore_groups.len());
                for group in policy.ignore_groups.iter().chain(&policy.groups) {
                    cmd.arg(group.as_bytes());
                }
            }
            Self::TrimBelow(stream, id, limit) => {
                let key = cmd.arg("XTRIM").arg(stream.as_bytes());
                key.arg("MINID").arg("~").arg(id.to_string()).arg("LIMIT").arg(*limit);
            }
            Self::TrimTo(stream, length) => {
                cmd.arg("XTRIM").arg(stream.as_bytes()).arg("MAXLEN").arg("~").arg(*length);
            }
            Self::Take(key, holder, ms) => {
                cmd.arg("SET").arg(*key).arg(*holder).arg("NX").arg("PX").arg(*ms);
            }
            Self::Renew(key, ms) => {
                cmd.arg("PEXPIRE").arg(*key).arg(*ms);
            }
            Self::Release(key) => {
                cmd.arg("DEL").arg(*key);
            }
            Self::Act(act, items) => {
                cmd.arg("EVAL").arg(source(act.script)).arg(act.keys.len());
                act.keys.iter().for_each(|key| {
                    cmd.arg(key.as_bytes());
                });
                act.arguments.iter().chain(*items).for_each(|argument| {
                    cmd.arg(&**argument);
                });
            }
            Self::TryAcknowledge(stream, group) => {
                cmd.arg("XACK").arg(stream.as_bytes()).arg(group.as_bytes()).arg("0-0");
            }
            Self::TryDelete(key) => {
                cmd.arg("XDEL").arg(key.as_bytes()).arg("0-0");
            }
        }
        cmd
    }
}

const fn flag(is_set: bool) -> &'static str {
    if is_set { "1" } else { "" }
}

fn optional(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{model::Millis, retention::test_policy::policy};

    /// The words of a command.
    pub(in crate::actions) fn words(command: &Write<'_>) -> Vec<String> {
        let word = |word| {
            let redis::Arg::Simple(word) = word else { panic!("{word:?}") };
            std::str::from_utf8(word).unwrap().to_owned()
        };
        command.encode().args_iter().map(word).collect()
    }

    #[test]
    fn a_step_hands_the_script_its_limits_and_groups() {
        let stream = Name::from("s");
        let sent = |policy: &Policy, cutoff| {
            let command = Write::Step(&stream, policy, cutoff, 500);
            let words = words(&command);
            assert_eq!(words[..4], ["EVAL", SCRIPT, "1", "s"]);
            words[4..].join("|")
        };
        assert_eq!(sent(&policy(Mode::Strict), None), "strict|70|||500|||0");
        let names = |names: &[&str]| names.iter().map(|name| Name::from(*name)).collect();
        let all = Policy {
            max_length: None,
            ceiling: Some(90),
            exact: true,
            spares_dead_letters: true,
            ignore_groups: names(&["a", "b"]),
            groups: names(&["c"]),
            ..policy(Mode::Safe)
        };
        assert_eq!(sent(&all, Some(StreamId::new(5, 6))), "safe||5-6|90|500|1|1|2|a|b|c");
    }

    #[test]
    fn an_act_hands_its_script_the_keys_the_arguments_and_the_items() {
        let names = ["s", "g", "d", "c", "e"].map(Name::from);
        let [stream, group, dead, from, to] = &names;
        let idle = Millis::new(9);
        for (act, script, told) in [
            (
                Act::dead_letter((stream, group, dead), (5, idle), 7, ("dlq:", "me"), (true, true)),
                "dead_letter.lua",
                "2|s|d|g|5|9|7|dlq:|me|1|1|1-0",
            ),
            (
                Act::dead_letter((stream, group, dead), (0, idle), 7, ("x", "me"), (false, false)),
                "dead_letter.lua",
                "2|s|d|g|0|9|7|x|me|||1-0",
            ),
            (Act::acknowledge_gone(stream, group, "me"), "dead_letter.lua", "1|s|g|0|0|0||me|1||1-0"),
            (Act::replay(dead, stream, "dlq:", Some(group), 3), "replay.lua", "2|d|s|dlq:|g|3|1-0"),
            (Act::replay(dead, stream, "dlq:", None, 3), "replay.lua", "2|d|s|dlq:||3|1-0"),
            (Act::purge(dead, "dlq:"), "replay.lua", "1|d|dlq:||0|1-0"),
            (Act::reap(stream, group, idle, 1_000), "reap.lua", "1|s|g|9|1-0"),
            (Act::reap(stream, group, idle, 1_001), "reap.lua", "1|s|g||1-0"),
            (Act::claim((stream, group), (from, to), idle), "claim.lua", "1|s|g|c|e|9|1-0"),
        ] {
            let items = [b"1-0".as_slice().into()];
            let command = Write::Act(&act, &items);
            let words = words(&command);
            assert_eq!((words[0].as_str(), words[2..].join("|").as_str()), ("EVAL", told), "{script}");
            assert_eq!(command.key(), Some(act.keys[0].as_bytes()));
            let body = match script {
                "dead_letter.lua" => include_str!("dead_letter.lua"),
                "replay.lua" => include_str!("replay.lua"),
                "reap.lua" => include_str!("reap.lua"),
                _ => include_str!("claim.lua"),
            };
            assert!(words[1].contains(body), "{script}");
        }
    }

    #[test]
    fn every_write_is_labelled_by_its_command_and_sent_once() {
        let (stream, policy) = (Name::from("s"), policy(Mode::Safe));
        for (command, text) in [
            (Write::Step(&stream, &policy, None, 1), None),
            (Write::TrimBelow(&stream, StreamId::new(1, 2), 3), Some("XTRIM s MINID ~ 1-2 LIMIT 3")),
            (Write::TrimTo(&stream, 4), Some("XTRIM s MAXLEN ~ 4")),
            (Write::Take("key", "me", 5), Some("SET key me NX PX 5")),
            (Write::Renew("key", 6), Some("PEXPIRE key 6")),
            (Write::Release("key"), Some("DEL key")),
            (Write::TryAcknowledge(&stream, &stream), Some("XACK s s 0-0")),
            (Write::TryDelete(&stream), Some("XDEL s 0-0")),
        ] {
            let words = words(&command);
            assert_eq!(command.label(), words[0].to_lowercase());
            assert!(Write::LABELS.contains(&command.label()));
            assert!(!command.may_repeat(), "{command:?}");
            // The reply to a step contains group names.
            assert_eq!(command.has_long_names(), text.is_none(), "{command:?}");
            if let Some(text) = text {
                assert_eq!(words.join(" "), text);
            }
        }
    }
}

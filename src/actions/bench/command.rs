//! The commands of the bench. All of them are on its own key, but the one that asks for the memory.

use redis::Cmd;

use crate::{model::StreamId, source::Request};

const CREATE: &str = include_str!("create.lua");
const GROUP: &str = "bench";
/// Entries that a command reads: a usual batch of consumers.
pub(super) const BATCH: u32 = 10;

/// A command with its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) enum BenchCommand<'a> {
    /// A script: makes the stream with its group, to live for so many milliseconds. Returns 0 if there is such a key.
    Create(&'a str, u64),
    /// `PEXPIRE key milliseconds`. Returns 0 for a key that does not exist.
    Expire(&'a str, u64),
    /// `UNLINK key`.
    Remove(&'a str),
    /// `XADD key NOMKSTREAM MAXLEN length * payload ...`. Returns nil for a key that does not exist.
    Add { key: &'a str, length: u64, payload: &'a [u8] },
    /// `XRANGE key - + COUNT 10`.
    Range(&'a str),
    /// `XREADGROUP GROUP bench consumer COUNT 10 STREAMS key >`.
    Read(&'a str, usize),
    /// `XACK key bench id ...`.
    Acknowledge(&'a str, &'a [StreamId]),
    /// `XGROUP SETID key bench 0`: the group reads all entries again.
    Rewind(&'a str),
    /// `INFO memory`.
    Memory,
}

impl Request for BenchCommand<'_> {
    fn label(&self) -> &'static str {
        match self {
            Self::Create(..) => "eval",
            Self::Expire(..) => "pexpire",
            Self::Remove(_) => "unlink",
            Self::Add { .. } => "xadd",
            Self::Range(_) => "xrange",
            Self::Read(..) => "xreadgroup",
            Self::Acknowledge(..) => "xack",
            Self::Rewind(_) => "xgroup_setid",
            Self::Memory => "info",
        }
    }

    fn may_repeat(&self) -> bool {
        false
    }

    fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Create(key, _)
            | Self::Expire(key, _)
            | Self::Remove(key)
            | Self::Add { key, .. }
            | Self::Range(key)
            | Self::Read(key, _)
            | Self::Acknowledge(key, _)
            | Self::Rewind(key) => Some(key.as_bytes()),
            Self::Memory => None,
        }
    }

    fn encode(&self) -> Cmd {
        let mut cmd = Cmd::new();
        match self {
            Self::Create(key, ms) => {
                cmd.arg("EVAL").arg(CREATE).arg(1).arg(*key).arg(*ms);
            }
            Self::Expire(key, ms) => {
                cmd.arg("PEXPIRE").arg(*key).arg(*ms);
            }
            Self::Remove(key) => {
                cmd.arg("UNLINK").arg(*key);
            }
            Self::Add { key, length, payload } => {
                let key = cmd.arg("XADD").arg(*key).arg("NOMKSTREAM");
                key.arg("MAXLEN").arg(*length).arg("*").arg("payload").arg(*payload);
            }
            Self::Range(key) => {
                cmd.arg("XRANGE").arg(*key).arg("-").arg("+").arg("COUNT").arg(BATCH);
            }
            Self::Read(key, consumer) => {
                let group = cmd.arg("XREADGROUP").arg("GROUP").arg(GROUP).arg(*consumer);
                group.arg("COUNT").arg(BATCH).arg("STREAMS").arg(*key).arg(">");
            }
            Self::Acknowledge(key, ids) => {
                cmd.arg("XACK").arg(*key).arg(GROUP);
                ids.iter().for_each(|id| {
                    cmd.arg(id.to_string());
                });
            }
            Self::Rewind(key) => {
                cmd.arg("XGROUP").arg("SETID").arg(*key).arg(GROUP).arg("0");
            }
            Self::Memory => {
                cmd.arg("INFO").arg("memory");
            }
        }
        cmd
    }
}

//! The commands of the probe. All of them are on its own key.

use redis::Cmd;

use crate::{model::StreamId, source::Request};

/// The group that reads at once, and acknowledges.
pub(super) const READING: &str = "read";
/// The group that a reader waits in.
pub(super) const WAITING: &str = "wait";
const CONSUMER: &str = "streamwarden";
/// Entries that the stream holds. More than one is only for people who look at it.
const LENGTH: u64 = 16;

/// A command with its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ProbeCommand<'a> {
    /// `PEXPIRE key milliseconds`. Returns 0 for a key that does not exist.
    Expire(&'a str, u64),
    /// `XGROUP CREATE key group $ MKSTREAM`.
    Create(&'a str, &'static str),
    /// `XADD key MAXLEN 16 id probe 1`.
    Add(&'a str, StreamId),
    /// `XREADGROUP GROUP read streamwarden COUNT 16 STREAMS key >`.
    Read(&'a str),
    /// `XACK key read id`.
    Acknowledge(&'a str, StreamId),
    /// `XREADGROUP GROUP wait streamwarden COUNT 16 NOACK STREAMS key >`: takes what an earlier probe left, so that the next one
    /// waits.
    Drain(&'a str),
    /// `XREADGROUP GROUP wait streamwarden COUNT 1 BLOCK milliseconds NOACK STREAMS key >`.
    Wait(&'a str, u64),
}

impl ProbeCommand<'_> {
    pub(crate) const LABELS: &'static [&'static str] =
        &["pexpire", "xgroup_create", "xadd", "xreadgroup", "xack"];
}

impl Request for ProbeCommand<'_> {
    fn label(&self) -> &'static str {
        match self {
            Self::Expire(..) => "pexpire",
            Self::Create(..) => "xgroup_create",
            Self::Add(..) => "xadd",
            Self::Read(_) | Self::Drain(_) | Self::Wait(..) => "xreadgroup",
            Self::Acknowledge(..) => "xack",
        }
    }

    fn may_repeat(&self) -> bool {
        false
    }

    fn key(&self) -> Option<&[u8]> {
        let (Self::Expire(key, _)
        | Self::Create(key, _)
        | Self::Add(key, _)
        | Self::Read(key)
        | Self::Acknowledge(key, _)
        | Self::Drain(key)
        | Self::Wait(key, _)) = self;
        Some(key.as_bytes())
    }

    fn encode(&self) -> Cmd {
        let mut cmd = Cmd::new();
        match self {
            Self::Expire(key, ms) => {
                cmd.arg("PEXPIRE").arg(*key).arg(*ms);
            }
            Self::Create(key, group) => {
                cmd.arg("XGROUP").arg("CREATE").arg(*key).arg(*group).arg("$").arg("MKSTREAM");
            }
            Self::Add(key, id) => {
                let key = cmd.arg("XADD").arg(*key);
                key.arg("MAXLEN").arg(LENGTH).arg(id.to_string()).arg("probe").arg(1);
            }
            Self::Read(key) => {
                let group = cmd.arg("XREADGROUP").arg("GROUP").arg(READING).arg(CONSUMER);
                group.arg("COUNT").arg(LENGTH).arg("STREAMS").arg(*key).arg(">");
            }
            Self::Acknowledge(key, id) => {
                cmd.arg("XACK").arg(*key).arg(READING).arg(id.to_string());
            }
            Self::Drain(key) => {
                let group = cmd.arg("XREADGROUP").arg("GROUP").arg(WAITING).arg(CONSUMER);
                group.arg("COUNT").arg(LENGTH).arg("NOACK").arg("STREAMS").arg(*key).arg(">");
            }
            Self::Wait(key, ms) => {
                let group = cmd.arg("XREADGROUP").arg("GROUP").arg(WAITING).arg(CONSUMER);
                group.arg("COUNT").arg(1).arg("BLOCK").arg(*ms);
                group.arg("NOACK").arg("STREAMS").arg(*key).arg(">");
            }
        }
        cmd
    }
}

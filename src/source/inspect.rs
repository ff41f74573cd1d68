//! Commands that only `doctor` sends. None of them writes.
//!
//! `doctor` finds out whether a user may write without a write. The server checks permissions before arguments, so a
//! permitted command with invalid arguments fails with another error than a forbidden one.

use redis::Cmd;

use super::{Command, Request};
use crate::model::{Name, Permission, Section, Setting, StreamId};

/// Neither a number nor an ID, on any server.
const NONSENSE: &str = "none";
/// The name of no group.
const NO_GROUP: &[u8] = b"streamwarden:doctor:none";
/// Checks a permission without using it. Redis 7.0 and later.
const MAY_DELETE: &str = "return redis.acl_check_cmd('del', ARGV[1])";

/// A command with its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) enum Inspect<'a> {
    /// `INFO section`.
    Info(Section),
    /// `CONFIG GET setting`.
    Setting(Setting),
    /// `TTL key`.
    TimeToLive(&'a Name),
    /// `ACL DRYRUN user command`. Redis 7.0 and later.
    DryRun(&'a str, Trial<'a>),
    /// The command itself.
    Try(Trial<'a>),
}

impl Request for Inspect<'_> {
    fn label(&self) -> &'static str {
        match self {
            Self::Info(_) => "info",
            Self::Setting(_) => "config_get",
            Self::TimeToLive(_) => "ttl",
            Self::DryRun(..) => "acl_dryrun",
            Self::Try(trial) => trial.permission.as_str(),
        }
    }

    fn key(&self) -> Option<&[u8]> {
        None
    }

    fn may_repeat(&self) -> bool {
        true
    }

    fn encode(&self) -> Cmd {
        let mut cmd = Cmd::new();
        match self {
            Self::Info(section) => {
                cmd.arg("INFO").arg(section.as_str());
            }
            Self::Setting(setting) => {
                cmd.arg("CONFIG").arg("GET").arg(setting.as_str());
            }
            Self::TimeToLive(stream) => {
                cmd.arg("TTL").arg(stream.as_bytes());
            }
            Self::DryRun(user, trial) => {
                cmd.arg("ACL").arg("DRYRUN").arg(*user);
                for argument in trial.command().args_iter() {
                    if let redis::Arg::Simple(word) = argument {
                        cmd.arg(word);
                    }
                }
            }
            Self::Try(trial) if trial.permission == Permission::Del => {
                cmd.arg("EVAL").arg(MAY_DELETE).arg(0).arg(trial.key.as_bytes());
            }
            Self::Try(trial) => return trial.command(),
        }
        cmd
    }
}

/// A command whose permission is checked, on a key if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial<'a> {
    pub(super) permission: Permission,
    pub(super) key: &'a Name,
    pub(super) database: i64,
}

impl Trial<'_> {
    /// The command in a form that changes nothing. `DEL` has no such form: use it in a dry run only.
    #[expect(clippy::too_many_lines, reason = "a table of commands")]
    fn command(&self) -> Cmd {
        let key = self.key;
        let database = self.database.to_string();
        let words: &[&[u8]] = match self.permission {
            Permission::ClientSetName => return Command::SetName.encode(),
            Permission::ClientNoTouch => return Command::NoTouch.encode(),
            Permission::Hello => return Command::Hello.encode(),
            Permission::ClusterShards => return Command::ClusterShards.encode(),
            Permission::ClusterSlots => return Command::ClusterSlots.encode(),
            Permission::Asking => return Command::Asking.encode(),
            Permission::ReadOnly => return Command::ReadOnly.encode(),
            Permission::Role => return Command::Role.encode(),
            Permission::Time => return Command::Time.encode(),
            Permission::Info => return Command::Info.encode(),
            Permission::Scan => return Command::Scan(0).encode(),
            Permission::XinfoStream => return Command::StreamFull(key).encode(),
            Permission::XinfoGroups => return Command::Groups(key).encode(),
            Permission::Xlen => return Command::Length(key).encode(),
            // A group that cannot exist, and ranges without entries.
            Permission::Xpending => {
                return Command::Pending(key, &Name::from(""), StreamId::ZERO, 1).encode();
            }
            Permission::Xrange => return Command::First(key, StreamId::new(u64::MAX, u64::MAX)).encode(),
            Permission::Xrevrange => return Command::Newest(key, StreamId::ZERO, StreamId::ZERO, 1).encode(),
            Permission::Select => &[b"SELECT", database.as_bytes()],
            Permission::Eval => &[b"EVAL", b"return 1", b"1", key.as_bytes()],
            Permission::Xtrim => &[b"XTRIM", key.as_bytes(), b"MAXLEN", NONSENSE.as_bytes()],
            Permission::Xdel => &[b"XDEL", key.as_bytes(), NONSENSE.as_bytes()],
            // The ID of no entry, and a group that nobody has.
            Permission::Xack => &[b"XACK", key.as_bytes(), NO_GROUP, b"0-0"],
            Permission::Xadd => &[b"XADD", key.as_bytes(), NONSENSE.as_bytes(), b"field", b"value"],
            Permission::Xclaim => {
                &[b"XCLAIM", key.as_bytes(), NO_GROUP, NO_GROUP, NONSENSE.as_bytes(), NONSENSE.as_bytes()]
            }
            Permission::XgroupCreate => {
                &[b"XGROUP", b"CREATE", key.as_bytes(), NO_GROUP, NONSENSE.as_bytes()]
            }
            Permission::Xreadgroup => &[
                b"XREADGROUP",
                b"GROUP",
                NO_GROUP,
                NO_GROUP,
                b"COUNT",
                NONSENSE.as_bytes(),
                b"STREAMS",
                key.as_bytes(),
                b">",
            ],
            Permission::XgroupDelConsumer => &[b"XGROUP", b"DELCONSUMER", key.as_bytes(), NO_GROUP, NO_GROUP],
            Permission::XinfoConsumers => &[b"XINFO", b"CONSUMERS", key.as_bytes(), NO_GROUP],
            Permission::MemoryUsage => &[b"MEMORY", b"USAGE", key.as_bytes(), b"SAMPLES", b"1"],
            Permission::Get => &[b"GET", key.as_bytes()],
            Permission::Set => {
                &[b"SET", key.as_bytes(), NONSENSE.as_bytes(), b"NX", b"PX", NONSENSE.as_bytes()]
            }
            Permission::Pexpire => &[b"PEXPIRE", key.as_bytes(), NONSENSE.as_bytes()],
            Permission::Del => &[b"DEL", key.as_bytes()],
            Permission::Exists => &[b"EXISTS", key.as_bytes()],
            Permission::Unlink => &[b"UNLINK", key.as_bytes()],
            Permission::XgroupSetId => &[b"XGROUP", b"SETID", key.as_bytes(), NO_GROUP, NONSENSE.as_bytes()],
        };
        let mut cmd = Cmd::new();
        words.iter().for_each(|word| {
            cmd.arg(*word);
        });
        cmd
    }
}

//! What a test needs of its server. A test that can't run there says so and is counted: `make` lists what was skipped.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    thread,
};

use super::{Redis, project, redis_server::is_default_server};

type Version = (u32, u32, u32);

/// Something that came with a version of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    since: Version,
    /// What is needed, for people.
    name: &'static str,
}

/// Where the skipped tests are listed, one a line.
const LIST: &str = "target/skipped-tests.txt";
/// What `redis-server` is where all tests run: Debian 12 has 7.0.15. What it has can't be skipped there.
const DEFAULT_SERVER: Version = (7, 0, 15);

impl Need {
    /// An `XTRIM MINID` that can be trusted, without which nothing is trimmed in safe mode.
    pub const SAFE_TRIMS: Self = Self { since: (6, 2, 7), name: "Redis 6.2.7 or later, which trims by ID" };
    /// `XGROUP CREATECONSUMER`, by which a test makes a consumer that never read.
    pub const CREATED_CONSUMERS: Self =
        Self { since: (6, 2, 0), name: "Redis 6.2 or later, which has XGROUP CREATECONSUMER" };
    /// `XADD NOMKSTREAM`, which makes no stream.
    pub const NO_MKSTREAM: Self =
        Self { since: (6, 2, 0), name: "Redis 6.2 or later, which has XADD NOMKSTREAM" };
    /// The count of entries ever added, without which no loss is known.
    pub const COUNTED_ADDITIONS: Self =
        Self { since: (7, 0, 0), name: "Redis 7.0 or later, which counts additions" };
    /// `ACL DRYRUN`, by which an administrator asks what a user may do.
    pub const ACL_DRYRUN: Self = Self { since: (7, 0, 0), name: "Redis 7.0 or later, which has ACL DRYRUN" };
    /// `maxmemory-clients`, a limit on the memory of clients.
    pub const CLIENT_EVICTION: Self =
        Self { since: (7, 0, 0), name: "Redis 7.0 or later, which has maxmemory-clients" };
    /// `XADD ... IDMP`, which adds no entry twice.
    pub const IDEMPOTENCE: Self = Self { since: (8, 6, 0), name: "Redis 8.6 or later, which has XADD IDMP" };

    /// Whether a test may go without it on the server that was asked for.
    fn may_be_missing(self) -> bool {
        !is_default_server() || self.since > DEFAULT_SERVER
    }
}

impl Redis {
    /// Whether the server has what is needed, by its version. Valkey says which Redis it is like.
    pub fn supports(&self, need: Need) -> bool {
        let info: String = self.run("INFO server");
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).expect("a version");
        let mut parts = version.split('.').map(|part| part.parse().expect("a number"));
        let mut part = || parts.next().unwrap_or_default();
        (part(), part(), part()) >= need.since
    }

    /// The same for a test that ends, or leaves something out, where the server does not have it.
    #[must_use]
    pub fn meets(&self, need: Need) -> bool {
        let meets = self.supports(need);
        if !meets {
            assert!(need.may_be_missing(), "the default server must be {}", need.name);
            skip(need.name);
        }
        meets
    }

    /// The server, if it has what is needed.
    #[must_use]
    pub fn if_meets(self, need: Need) -> Option<Self> {
        self.meets(need).then_some(self)
    }
}

/// Says that this test is skipped, or a part of it, and counts it.
#[expect(clippy::print_stderr, reason = "it belongs in the test's output")]
pub fn skip(needs: &str) {
    let this = thread::current();
    let test = this.name().unwrap_or("a test");
    eprintln!("skipped: needs {needs}");
    let list = project(LIST);
    fs::create_dir_all(list.parent().expect("it is in a folder")).unwrap();
    let mut list = OpenOptions::new().append(true).create(true).open(list).unwrap();
    writeln!(list, "{test}: needs {needs}").expect("the list takes a line");
}

//! Known bugs of servers that affect streams. The sidecar avoids most of them; other tools show them.

use super::{Area::Server, Evidence, Finding, Level::Notice, server::is_replica};
use crate::model::Flavour::{self, Redis, Valkey};

type Version = (u16, u16, u16);
const NEWEST: Version = (u16::MAX, 0, 0);

/// A bug of `flavour`, from version `from` up to but not including `until`.
struct Bug {
    flavour: Flavour,
    from: Version,
    until: Version,
    is_of_replicas: bool,
    what: &'static str,
    meaning: &'static str,
}

const fn bug(
    (flavour, from, until): (Flavour, Version, Version),
    what: &'static str,
    meaning: &'static str,
) -> Bug {
    Bug { flavour, from, until, is_of_replicas: false, what, meaning }
}

const LAG: &str = "Redis's own lag includes entries that were trimmed before a group received them";
const LAG_MEANING: &str = "the sidecar does not use it: it proves a lag or omits it. redis_exporter and XINFO GROUPS show the wrong value";
const EMPTY_NODE: &str =
    "an exact XTRIM can leave an empty node behind, which newer servers may refuse to load (redis#15808)";
const EMPTY_NODE_MEANING: &str = "the sidecar uses XDEL for `exact` limits; do not run XTRIM with = by hand";

/// All known bugs: from tests on these versions, and from the projects' issues.
const BUGS: &[Bug] = &[
    bug(
        (Redis, (0, 0, 0), (7, 0, 0)),
        "the server does not count the entries ever added to a stream",
        "lost entries can't be counted, and a lag is known only if its entries are counted; upgrade to Redis 7.0 or later",
    ),
    bug(
        (Redis, (0, 0, 0), (7, 2, 0)),
        "MEMORY USAGE of a stream with pending entries is several times too high",
        "the sidecar does not use it; redis_exporter shows it as the key's size",
    ),
    // redis#13473, #13957, #13958; partly fixed in 7.4.2, completely in 8.0.
    bug((Redis, (7, 0, 0), (8, 0, 0)), LAG, LAG_MEANING),
    // valkey#1951.
    bug((Valkey, (0, 0, 0), NEWEST), LAG, LAG_MEANING),
    Bug {
        flavour: Redis,
        from: (7, 0, 0),
        until: (7, 4, 0),
        is_of_replicas: true,
        what: "Redis's own lag is wrong on a replica (redis#13336)",
        meaning: "the sidecar does not use it; check the primary if you need it",
    },
    // redis#14656, fixed by #14623.
    bug(
        (Redis, (8, 2, 0), (8, 6, 0)),
        "XTRIM ~ with ACKED or DELREF removes nothing (redis#14656)",
        "the sidecar does not use it; your own scripts that trim like this do nothing",
    ),
    bug(
        (Redis, (8, 2, 0), NEWEST),
        "XTRIM with ACKED removes everything from a stream without groups (redis#14769), and its cost is unbounded",
        "the sidecar does not use it: it finds what groups need itself, in steps of bounded size",
    ),
    bug((Redis, (0, 0, 0), NEWEST), EMPTY_NODE, EMPTY_NODE_MEANING),
    bug((Valkey, (0, 0, 0), NEWEST), EMPTY_NODE, EMPTY_NODE_MEANING),
];

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let server = &evidence.facts.server;
    let Some(version) = server.version else { return Vec::new() };
    let is_replica = is_replica(evidence) == Some(true);
    let met = BUGS.iter().filter(|bug| {
        bug.flavour == server.flavour
            && (bug.from..bug.until).contains(&version)
            && (is_replica || !bug.is_of_replicas)
    });
    met.map(|bug| Finding::new(Server, Notice, bug.what, bug.meaning)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::Case;
    use super::*;

    #[test]
    fn each_version_has_its_bugs_and_no_others() {
        for (flavour, version, words) in [
            (Redis, (6, 0, 16), vec!["ever added", "MEMORY USAGE", "empty node"]),
            (Redis, (7, 0, 15), vec!["MEMORY USAGE", "own lag includes", "empty node"]),
            (Redis, (7, 4, 2), vec!["own lag includes", "empty node"]),
            (Redis, (8, 0, 6), vec!["empty node"]),
            (Redis, (8, 4, 0), vec!["removes nothing", "without groups", "empty node"]),
            (Redis, (8, 6, 3), vec!["without groups", "empty node"]),
            (Valkey, (9, 1, 2), vec!["own lag includes", "empty node"]),
        ] {
            let mut case = Case::new("redis://h", "");
            case.facts.server.flavour = flavour;
            case.facts.server.version = Some(version);
            let found = findings(case.evidence());
            assert_eq!(found.len(), words.len(), "{version:?}: {found:?}");
            for (finding, word) in found.iter().zip(words) {
                assert!(finding.what.contains(word), "{version:?}: {}", finding.what);
            }
        }
        let mut case = Case::new("redis://h", "");
        case.facts.server.version = None;
        assert_eq!(findings(case.evidence()), [], "bugs of an unknown version are not guessed");
    }
}

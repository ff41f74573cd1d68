//! The streams of probes and of benches: they are nobody's to watch, also those of other processes.

use super::Config;
use crate::model::Name;

/// What the keys of all probes begin with.
pub const PROBE_PREFIX: &str = "streamwarden:probe:";
/// What the keys of all benches begin with.
pub const BENCH_PREFIX: &str = "streamwarden:bench:";

/// Whether a key is the stream of a probe or a bench, of this process or of another one.
pub fn is_of_probe(key: &Name) -> bool {
    [PROBE_PREFIX, BENCH_PREFIX].iter().any(|prefix| key.as_bytes().starts_with(prefix.as_bytes()))
}

impl Config {
    /// Whether this stream is never watched.
    pub(super) fn excludes(&self, stream: &Name) -> bool {
        is_of_probe(stream) || self.exclude.matches(stream)
    }
}

#[cfg(test)]
mod tests {
    use crate::{config::test_config::config, model::Name};

    #[test]
    fn the_streams_of_probes_are_never_watched() {
        let (probe, other) = (Name::from("streamwarden:probe:1:{2}"), Name::from("streamwarden:other"));
        for yaml in
            ["", "streams: [{match: '*'}]", "streams: [{match: 'streamwarden:probe:1:{2}'}, {match: '*'}]"]
        {
            let config = config(yaml);
            let bench = Name::from("streamwarden:bench:1:{2}");
            assert!(!config.watches(&bench), "{yaml}");
            assert!(!config.watches(&probe) && !config.expects(&probe), "{yaml}");
            assert_eq!(config.named_streams().next(), None, "{yaml}");
            assert!(config.watches(&other), "{yaml}");
        }
    }
}

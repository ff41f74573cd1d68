//! The streams of probes: they are nobody's to watch, whichever sidecar probes.

use super::Config;
use crate::model::Name;

/// What the keys of all probes begin with.
pub const PROBE_PREFIX: &str = "streamwarden:probe:";

/// Whether a key is the stream of a probe, of this sidecar or of another one.
pub fn is_of_probe(key: &Name) -> bool {
    key.as_bytes().starts_with(PROBE_PREFIX.as_bytes())
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
            assert!(!config.watches(&probe) && !config.expects(&probe), "{yaml}");
            assert_eq!(config.named_streams().next(), None, "{yaml}");
            assert!(config.watches(&other), "{yaml}");
        }
    }
}

//! Evidence for unit tests of rules: a server without problems, in which a test changes one thing.

use std::{collections::BTreeMap, time::Duration};

use super::Evidence;
use crate::{
    clock,
    config::{Address, Config, Discovered, Watchlist, check_in},
    evaluate::{History, MOST_QUESTIONS},
    model::{
        ClockSkew, ClusterFacts, Counted, Facts, Failure, Finding, Flavour, GroupState, Info, Lookup, Method,
        Name, NameMap, Node, Question, Reason, Rights, Role, Section, Server, Setting, Snapshot, StreamId,
        StreamState, test_snapshot,
    },
    reading::Reading,
    retention::RetentionStatuses,
};

/// A configuration that removes entries.
pub(super) const RETAIN: &str = "streams: [{match: s, retention: {max_length: 5}}]";

pub(super) struct Case {
    pub(super) config: Config,
    pub(super) address: Address,
    pub(super) facts: Facts,
    pub(super) streams: Result<Discovered, Failure>,
    pub(super) rights: Result<Rights, Failure>,
    pub(super) cluster: Result<Option<ClusterFacts>, Failure>,
    reading: Result<Reading, Failure>,
}

impl Case {
    pub(super) const NOW_MS: u64 = test_snapshot::NOW_MS;

    pub(super) fn new(uri: &str, yaml: &str) -> Self {
        let config = check_in(&format!("redis: {{uri: '{uri}'}}\n{yaml}"), &[]).unwrap();
        let server = Server {
            flavour: Flavour::Redis,
            version: Some((8, 0, 0)),
            role: Some(Role::Primary),
            mode: Some("standalone".into()),
        };
        let snapshot = Snapshot {
            nodes: vec![Node { server: server.clone(), ..test_snapshot::node() }],
            ..test_snapshot::snapshot([])
        };
        let facts = Facts {
            server,
            is_resp3: true,
            round_trips: vec![Duration::from_millis(1); 5],
            clock: Ok(ClockSkew { ms: 0, error: Duration::ZERO }),
            no_touch: Ok(()),
            info: Section::ALL.into_iter().map(|section| (section, Ok(Info::default()))).collect(),
            settings: BTreeMap::new(),
        };
        let rights = Rights { tried: Ok(Vec::new()), method: Method::DryRun, expiring: Ok(BTreeMap::new()) };
        let mut case = Self {
            address: Address::parse(&uri.into()).unwrap(),
            config,
            facts,
            streams: Ok(Discovered::default()),
            rights: Ok(rights),
            cluster: Ok(None),
            reading: Err(Failure::new(Reason::Other, "")),
        };
        case.read(snapshot);
        case
    }

    pub(super) fn evidence(&self) -> Evidence<'_> {
        let Self { config, address, facts, streams, rights, cluster, reading } = self;
        Evidence {
            config,
            address,
            away: None,
            sentinels: &[],
            user: None,
            facts,
            streams,
            rights,
            cluster,
            stuck_lease: None,
            reading,
        }
    }

    /// Sets a section of `INFO`, in the server's format.
    pub(super) fn info(&mut self, section: Section, text: &str) {
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        let info = fields.map(|(name, value)| (name.to_owned(), value.into())).collect();
        self.facts.info.insert(section, Ok(Info(info)));
    }

    /// Sets a setting; `refused` denies it.
    pub(super) fn set(&mut self, setting: Setting, value: &str) {
        let refused = || Failure::new(Reason::NoPermission, "");
        let value = if value == "refused" { Err(refused()) } else { Ok(value.into()) };
        self.facts.settings.insert(setting, value);
    }

    /// Adds a stream with the IDs 1 to `length`, and a group with the entries up to `delivered` delivered.
    pub(super) fn stream(&mut self, name: &str, length: u64, nodes: u64, delivered: Option<u64>) {
        let group = |delivered| GroupState::at(StreamId::new(delivered, 0));
        let state = StreamState {
            length,
            radix_tree_keys: Some(nodes),
            last_generated_id: Some(StreamId::new(length, 0)),
            first_entry_id: Some(StreamId::new(1, 0)),
            first_entry_bytes: 1,
            groups: delivered.map(|id| ("g".into(), group(id))).into_iter().collect::<NameMap<_>>(),
            ..StreamState::of_length(0)
        };
        self.insert(name, Ok(state));
    }

    /// Adds a stream that could not be read.
    pub(super) fn failed(&mut self, name: &str, reason: Reason) {
        self.insert(name, Err(Failure::new(reason, "words")));
    }

    pub(super) fn last_id(&mut self, name: &str, id: StreamId) {
        self.change(name, |stream| stream.last_generated_id = Some(id));
    }

    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut StreamState)) {
        let mut snapshot = Snapshot::clone(&self.reading.as_ref().unwrap().snapshot);
        change(snapshot.streams.get_mut(&Name::from(name)).unwrap().as_mut().unwrap());
        self.read(snapshot);
    }

    fn insert(&mut self, name: &str, state: Result<StreamState, Failure>) {
        let mut snapshot = Snapshot::clone(&self.reading.as_ref().unwrap().snapshot);
        let before = snapshot.streams.iter().map(|(name, state)| (name.clone(), state.clone()));
        snapshot.streams = before.chain([(name.into(), state)]).collect();
        let streams = snapshot.streams.keys().cloned().collect();
        self.streams = Ok(Discovered { streams, ..Discovered::default() });
        self.read(snapshot);
    }

    fn read(&mut self, snapshot: Snapshot) {
        let mut history = History::default();
        let watchlist = Watchlist::new(&self.config, snapshot.streams.keys().cloned());
        let open = history.begin(snapshot, &self.config, &watchlist, MOST_QUESTIONS);
        // The server would count the entries after the position. Their IDs are 1, 2, 3 and so on.
        let answer = |question: &Question| match question.lookup {
            Lookup::Count { after, up_to, .. } => {
                let entries = up_to.ms - after.ms;
                let counted = Counted { up_to, entries, lowest: None, is_complete: true };
                (question.stream.clone(), question.group.clone(), Finding::Counted(counted))
            }
            Lookup::FirstAfter(_) | Lookup::PendingFrom(_) | Lookup::PendingSample { .. } => {
                (question.stream.clone(), question.group.clone(), Finding::Nothing)
            }
        };
        let answers = open.asked().iter().map(answer).collect();
        let (snapshot, report) = open.finish(&answers, Duration::ZERO);
        let (statuses, now) = (RetentionStatuses::default(), clock::moment());
        self.reading = Ok(Reading::new(&watchlist, &statuses, snapshot, report, now));
    }
}

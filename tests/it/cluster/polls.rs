//! How many polls it takes until streams are read from the new owner of their slots. They come one right after the other, and the
//! address that was given is that of the node that dies.

use std::{
    sync::Arc,
    thread::{scope, sleep},
    time::Duration,
};

use streamwarden::{
    app::self_stats,
    config::{Config, Sources, Watchlist},
    reader::Reader,
    source::Link,
};
use support::{Cluster, wait_for};
use tokio::runtime::{Builder, Runtime};

use super::{STREAMS, fill, length, names};

/// Its neighbours close their connections to a node that does not answer for so long, so it hears of its successor late.
const STOOD_STILL: Duration = Duration::from_millis(650);
/// In so short a time nobody gives it up.
const END: Duration = Duration::from_millis(300);

/// Polls of all streams, which the test makes itself.
struct Polls {
    runtime: Runtime,
    reader: Reader,
    config: Arc<Config>,
    watchlist: Watchlist,
}

impl Polls {
    fn of(cluster: &Cluster) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let uri = cluster.node(0).uri();
        std::fs::write(file.path(), format!("redis: {{uri: '{uri}', command_timeout: 1s}}")).unwrap();
        let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
        let config = Arc::new(sources.load().unwrap());
        let watchlist = Watchlist::new(&config, names().iter().map(|name| name.as_str().into()));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, reader: Reader::new(Link::new(self_stats())), config, watchlist }
    }

    /// Polls, and returns which streams were not read, and why.
    fn unread(&mut self) -> Vec<String> {
        let reading = match self.runtime.block_on(self.reader.read(&self.config, &self.watchlist)) {
            Ok(reading) => reading,
            Err(failure) => return vec![failure.to_string(); STREAMS],
        };
        let why = |stream: &String| match reading.snapshot.streams.get(&stream.as_str().into()) {
            Some(Ok(_)) => None,
            Some(Err(failure)) => Some(format!("{stream}: {failure}")),
            None => Some(format!("{stream} was not asked for")),
        };
        names().iter().filter_map(why).collect()
    }
}

impl Polls {
    /// Polls while this node, which stands still, does so for a little longer, and returns the length of the first stream.
    fn length_while_it_stands_still(&mut self, cluster: &Cluster, node: usize) -> Option<u64> {
        let reading = scope(|threads| {
            threads.spawn(|| {
                sleep(END);
                cluster.node(node).resume();
            });
            self.runtime.block_on(self.reader.read(&self.config, &self.watchlist)).unwrap()
        });
        Some(reading.snapshot.streams.get(&"s0".into())?.as_ref().ok()?.length)
    }
}

/// The replica of the dead first node takes its place, and both others know.
fn take_over(cluster: &Cluster, successor: usize) {
    cluster.node(successor).run::<()>("CLUSTER FAILOVER TAKEOVER");
    let knows = |node: usize| {
        cluster.see_from(node).iter().any(|seen| seen.node == successor && seen.is_primary && seen.serves(0))
    };
    wait_for("the successor to be known", || [1, 2, successor].into_iter().all(knows).then_some(()));
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_successor_is_read_at_the_first_poll_after_the_whole_cluster_refused() {
    // No replica takes over by itself, however busy the machine is.
    let cluster = Cluster::with_settings(3, 3, "cluster-replica-no-failover yes");
    fill(&cluster);
    let mut polls = Polls::of(&cluster);
    assert_eq!(polls.unread(), none());
    let successor = wait_for("a replica", || cluster.replica_of(0));
    cluster.kill(0);
    for alive in [1, 2] {
        wait_for("it to refuse", || (cluster.info(alive, "cluster_state") == "fail").then_some(()));
    }
    // None of them answers for a key, and all of them know who has the slots.
    assert_eq!(polls.unread().len(), STREAMS);
    take_over(&cluster, successor);
    cluster.wait_until_served();
    assert_eq!(polls.unread(), none());
}

#[test]
fn a_successor_is_read_at_the_second_poll_after_no_node_answered() {
    // No node is given up, however long it stands still.
    let cluster = Cluster::steady();
    fill(&cluster);
    let mut polls = Polls::of(&cluster);
    assert_eq!(polls.unread(), none());
    let successor = wait_for("a replica", || cluster.replica_of(0));
    cluster.kill(0);
    [1, 2].into_iter().for_each(|node| cluster.freeze(node));
    assert_eq!(polls.unread().len(), STREAMS);
    [1, 2].into_iter().for_each(|node| cluster.thaw(node));
    take_over(&cluster, successor);
    polls.unread();
    assert_eq!(polls.unread(), none());
}

#[test]
fn a_primary_that_stood_still_is_doubted_although_only_the_end_of_it_is_seen() {
    // No replica takes over by itself, however busy the machine is.
    let settings =
        "cluster-node-timeout 400\ncluster-replica-no-failover yes\ncluster-require-full-coverage no";
    let cluster = Cluster::with_settings(3, 3, settings);
    fill(&cluster);
    let mut polls = Polls::of(&cluster);
    let old = cluster.owner("s0");
    let new = wait_for("a replica", || cluster.replica_of(old));
    let before = Some(length(0) as u64);
    let learn_its_pace = |polls: &mut Polls| (0..9).for_each(|_| assert_eq!(polls.unread(), none()));
    learn_its_pace(&mut polls);
    cluster.freeze(old);
    assert_eq!(polls.length_while_it_stands_still(&cluster, old), before, "nobody has replaced it");
    cluster.thaw(old);
    learn_its_pace(&mut polls);
    cluster.freeze(old);
    sleep(STOOD_STILL);
    cluster.node(new).run::<()>("CLUSTER FAILOVER TAKEOVER");
    wait_for("the successor", || cluster.node(new).try_run::<String>("XADD s0 * f v").ok());
    assert_ne!(polls.length_while_it_stands_still(&cluster, old), before, "the old number");
    cluster.thaw(old);
}

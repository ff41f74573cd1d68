//! Nothing that a group needs is removed while everything goes wrong: sidecars are killed, another server takes over or a
//! cluster's slots move and its primaries fail, one sidecar may run no scripts, and they do not agree on the limits. `make chaos` removes a million entries so, the suite a tenth of them.

use std::{sync::RwLock, thread::sleep, time::Duration};

use redis::{Connection, ConnectionLike, pipe};

use support::{Cluster, KeyConnection, Need, Proxy, Redis, Sidecar, wait_at_most, wait_for};

use super::world::{STREAMS, Servers, World};
use crate::{cluster::chaos::Chaos, truth::number};

const PATIENCE: Duration = Duration::from_secs(1_800);
/// Far longer than a lease lasts.
const TAKEOVER: Duration = Duration::from_secs(60);
const PROMPT: &str = "repl-diskless-sync-delay 0";
/// A user of each node, also of one that was restarted.
const NO_SCRIPTS: &str = "user noscripts on nopass ~* &* +@all -@scripting";

/// Two servers, of which one is the primary.
struct Pair {
    servers: [Redis; 2],
    name: Proxy,
    /// Which is the primary, and how often that has changed. Nobody works while it changes.
    primary: RwLock<(usize, u64)>,
}

impl Pair {
    fn start() -> Self {
        let settings = format!("{PROMPT}\n{NO_SCRIPTS}");
        let servers = [Redis::with_settings(&settings), Redis::with_settings(&settings)];
        follow(&servers[1], &servers[0]);
        let name = Proxy::to(servers[0].port());
        Self { servers, name, primary: RwLock::new((0, 0)) }
    }

    /// The other server takes over, with everything that was acknowledged to the application.
    fn promote(&self) {
        let mut primary = self.primary.write().unwrap();
        let (old, new) = (&self.servers[primary.0], &self.servers[1 - primary.0]);
        wait_for("the replica to have everything", || is_followed(old).then_some(()));
        new.run::<()>("REPLICAOF NO ONE");
        self.name.switch_to(new.port());
        follow(old, new);
        *primary = (1 - primary.0, primary.1 + 1);
    }
}

impl Servers for Pair {
    /// With the change of primary that it is of.
    type Client = (u64, Connection);

    fn with<T>(
        &self,
        client: &mut Option<Self::Client>,
        _: &str,
        work: impl FnOnce(&mut dyn ConnectionLike) -> T,
    ) -> T {
        let held = self.primary.read().unwrap();
        let (primary, changes) = *held;
        let connection = match client.take() {
            Some((of, connection)) if of == changes => connection,
            _ => self.servers[primary].connect(),
        };
        work(&mut client.insert((changes, connection)).1)
    }
}

impl Servers for &Chaos<'_> {
    type Client = KeyConnection;

    fn with<T>(
        &self,
        client: &mut Option<Self::Client>,
        stream: &str,
        work: impl FnOnce(&mut dyn ConnectionLike) -> T,
    ) -> T {
        let _quiet = self.quiet();
        work(client.get_or_insert_with(|| self.cluster.client().to_key(stream)))
    }
}

fn follow(replica: &Redis, primary: &Redis) {
    replica.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    wait_for("the replica to follow", || is_followed(primary).then_some(()));
}

/// Whether a replica has all that was written until now: `WAIT` waits for what its own connection wrote.
fn is_followed(primary: &Redis) -> bool {
    let mut written = pipe();
    written.cmd("SET").arg("written").arg(1).ignore().cmd("WAIT").arg(1).arg(1_000);
    written.query::<(u64,)>(&mut primary.connect()).unwrap().0 == 1
}

/// One of two sidecars, which do not agree: on the limit, and on whether scripts may be run.
fn sidecar(uri: &str, number: usize) -> Sidecar {
    let (user, limit) = [("", 1_000), ("noscripts@", 200)][number];
    let uri = uri.replace("redis://", &format!("redis://{user}"));
    let streams: String = STREAMS
        .iter()
        .map(|stream| format!("\n- {{match: {stream}, retention: {{max_length: {limit}}}}}"))
        .collect();
    let config =
        format!("poll: {{interval: 2s}}\nretention: {{interval: 1s, lease_ttl: 2s}}\nstreams:{streams}");
    Sidecar::with_config(&uri, &config)
}

/// Entries that a sidecar has trimmed since it started.
fn trimmed(sidecar: &Sidecar) -> f64 {
    let (page, family) = (sidecar.scrape(), "streamwarden_retention_trimmed_entries_total");
    STREAMS.iter().filter_map(|stream| page.get(family, &[("stream", stream)])).sum()
}

#[test]
fn nothing_needed_is_removed_while_sidecars_are_killed_and_servers_change_for_a_while() {
    remove(100_000);
}

#[test]
fn nothing_needed_is_removed_while_sidecars_are_killed_and_a_cluster_falls_apart_for_a_while() {
    remove_from_cluster(50_000);
}

#[test]
#[ignore = "minutes: make chaos"]
fn nothing_needed_is_removed_whatever_happens_to_sidecars_and_servers() {
    remove(number("STREAMWARDEN_TEST_ENTRIES", 1_000_000));
}

#[test]
#[ignore = "minutes: make cluster-chaos"]
fn nothing_needed_is_removed_whatever_happens_to_sidecars_and_a_cluster() {
    remove_from_cluster(number("STREAMWARDEN_TEST_ENTRIES", 500_000));
}

/// Has so many entries removed at least, by each of the sidecars, and another server take over at least once.
fn remove(least: u64) {
    let pair = Pair::start();
    if !pair.servers[0].meets(Need::COUNTED_ADDITIONS) {
        return;
    }
    let uri = pair.name.uri();
    let world = World::new(pair);
    remove_with(&world, &uri, least, || world.servers.promote());
    eprintln!("{} takeovers", world.servers.primary.read().unwrap().1);
    assert_eq!(world.forgotten(), 0, "who takes over has everything");
}

/// The same from a cluster that never rests.
fn remove_from_cluster(least: u64) {
    let cluster = Cluster::with_settings(3, 3, NO_SCRIPTS);
    if !cluster.node(0).meets(Need::COUNTED_ADDITIONS) {
        return;
    }
    let streams = STREAMS.map(str::to_owned);
    let chaos = Chaos::new(&cluster, &streams);
    let world = World::new(&chaos);
    let uri = cluster.node(0).uri();
    chaos.during(number("STREAMWARDEN_TEST_SEED", 7), || remove_with(&world, &uri, least, || {}));
    eprintln!("{}", chaos.counts());
}

/// Has so many entries removed while sidecars are killed in turn, and something else is done now and then.
fn remove_with<S: Servers>(world: &World<S>, uri: &str, least: u64, mut act: impl FnMut()) {
    let (mut kills, mut removed) = ([0_u64; 2], 0);
    world.live(|| {
        let mut sidecars = [0, 1].map(|number| sidecar(uri, number));
        wait_at_most(PATIENCE, "so many removals", || {
            sleep(Duration::from_secs(4));
            let victim = usize::from(kills[0] > kills[1]);
            sidecars[victim].signal("KILL");
            // Until the other one has taken the lease over and trims, so that each of them does.
            wait_at_most(TAKEOVER, "the other sidecar to trim", || {
                (trimmed(&sidecars[1 - victim]) > 0.0).then_some(())
            });
            sidecars[victim] = sidecar(uri, victim);
            kills[victim] += 1;
            if kills[0] == kills[1] {
                act();
            }
            removed = world.removed();
            (removed >= least && kills[0] == kills[1]).then_some(())
        });
    });
    let missing = world.all_missing();
    eprintln!(
        "{removed} removed, {kills:?} kills; {missing} of {} deliveries missing; {} entries forgotten by the servers",
        world.deliveries(),
        world.forgotten()
    );
    assert_eq!(missing, 0, "needed entries were removed");
}

//! A real cluster of the test's own: primaries with their slots, replicas, and what operators and accidents do to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
    thread::scope,
    time::Duration,
};

use redis::{FromRedisValue, RedisResult, Value, cmd};

use super::{ClusterClient, Redis, cluster_client::Asleep, command, wait_at_most, wait_for};

pub const SLOTS: u16 = 16_384;
/// A node that answers nobody for so long has failed, in milliseconds.
pub const NODE_TIMEOUT: Duration = Duration::from_millis(2_000);
/// Forming takes seconds of gossip.
const FORMS_WITHIN: Duration = Duration::from_secs(90);

/// A running cluster on free ports; it ends with the test.
pub struct Cluster {
    nodes: Vec<Redis>,
    asleep: Asleep,
}

/// A node as another one sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its place in the cluster's list.
    pub node: usize,
    pub id: String,
    pub is_primary: bool,
    /// The primary that it copies.
    pub primary: Option<usize>,
    pub has_failed: bool,
    /// Of two that claim a slot, the one with the greater epoch has it.
    pub epoch: u64,
    pub slots: Vec<RangeInclusive<u16>>,
}

impl Seen {
    pub fn serves(&self, slot: u16) -> bool {
        self.slots.iter().any(|range| range.contains(&slot))
    }
}

impl Cluster {
    /// Three primaries, each with a replica.
    pub fn start() -> Self {
        Self::with_settings(3, 3, "")
    }

    /// The same where no replica takes over by itself, however busy the machine is.
    pub fn steady() -> Self {
        Self::with_settings(3, 3, "cluster-node-timeout 60000")
    }

    /// Primaries with equal shares of the slots, and replicas: the first copies the first, and so on. More lines of
    /// `redis.conf` are for all of them.
    pub fn with_settings(primaries: usize, replicas: usize, settings: &str) -> Self {
        let settings = format!(
            "cluster-enabled yes\ncluster-node-timeout {}\nrepl-diskless-sync-delay 0\n{settings}",
            NODE_TIMEOUT.as_millis()
        );
        let nodes = scope(|scope| {
            let start = || scope.spawn(|| Redis::with_settings(&settings));
            let starting: Vec<_> = (0..primaries + replicas).map(|_| start()).collect();
            starting.into_iter().map(|node| node.join().unwrap()).collect::<Vec<_>>()
        });
        let cluster = Self { nodes, asleep: Asleep::default() };
        cluster.form(primaries);
        cluster
    }

    fn form(&self, primaries: usize) {
        let share = |index: usize| u16::try_from(index * usize::from(SLOTS) / primaries).unwrap();
        for (index, node) in self.nodes.iter().enumerate() {
            if index < primaries {
                let slots: Vec<u16> = (share(index)..share(index + 1)).collect();
                cmd("CLUSTER").arg("ADDSLOTS").arg(slots).query::<()>(&mut node.connect()).unwrap();
            }
            // A node that others took for one of theirs, since it has the port of one that ended, has an epoch.
            let epoch =
                cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(index + 1).query::<()>(&mut node.connect());
            let is_set = epoch.as_ref().is_err_and(|error| error.to_string().contains("already non-zero"));
            assert!(epoch.is_ok() || is_set, "{epoch:?}");
        }
        self.nodes[1..].iter().for_each(|node| {
            self.nodes[0].run::<()>(&format!("CLUSTER MEET 127.0.0.1 {}", node.port()));
        });
        wait_at_most(FORMS_WITHIN, "the nodes to know each other", || {
            let knows_all = |node: &Redis| self.seen_by(node).len() == self.nodes.len();
            self.nodes.iter().all(knows_all).then_some(())
        });
        for (index, replica) in self.nodes[primaries..].iter().enumerate() {
            let primary: String = self.nodes[index % primaries].run("CLUSTER MYID");
            replica.run::<()>(&format!("CLUSTER REPLICATE {primary}"));
        }
        self.wait_until_served();
        let replicas = &self.nodes[primaries..];
        wait_for("the replicas to follow", || replicas.iter().all(is_linked).then_some(()));
    }

    /// Asks a node, again where it loads its primary's data and refuses for now.
    #[track_caller]
    fn ask<T: FromRedisValue>(&self, index: usize, words: &str) -> T {
        wait_for(words, || self.nodes[index].try_run(words).ok())
    }

    pub fn node(&self, index: usize) -> &Redis {
        &self.nodes[index]
    }

    /// All nodes' ports.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(Redis::port).collect()
    }

    /// A client that goes where a key is.
    pub fn client(&self) -> ClusterClient {
        ClusterClient::new(self.ports(), Arc::clone(&self.asleep))
    }

    /// Runs one command, given as words, where this key is.
    #[track_caller]
    pub fn run<T: FromRedisValue>(&self, key: &str, words: &str) -> T {
        self.client().query(key, &command(words)).unwrap_or_else(|error| panic!("{words}: {error}"))
    }

    /// Adds `count` entries to a stream, wherever it is.
    #[track_caller]
    pub fn add(&self, stream: &str, count: usize) {
        let mut client = self.client();
        (0..count).for_each(|_| {
            let mut add = cmd("XADD");
            client.query::<()>(stream, add.arg(stream).arg("*").arg("field").arg("value")).unwrap();
        });
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        self.awake().run(&format!("CLUSTER KEYSLOT {key}"))
    }

    /// The primary that serves a key.
    #[track_caller]
    pub fn owner(&self, key: &str) -> usize {
        let slot = self.slot(key);
        wait_for("an owner", || self.owner_of_slot(slot))
    }

    /// The primary that serves a slot by its own word. Of two that claim it, the older one has not heard yet.
    pub fn owner_of_slot(&self, slot: u16) -> Option<usize> {
        let claims = self.primaries().into_iter().filter(|primary| primary.serves(slot));
        claims.max_by_key(|primary| primary.epoch).map(|primary| primary.node)
    }

    /// The primaries that run, each as it sees itself.
    pub fn primaries(&self) -> Vec<Seen> {
        let own = |index: usize| self.see_from(index).into_iter().find(|seen| seen.node == index);
        let awake = (0..self.nodes.len()).filter(|index| self.is_awake(*index));
        awake.filter_map(own).filter(|seen| seen.is_primary).collect()
    }

    /// A replica of this primary that runs.
    pub fn replica_of(&self, primary: usize) -> Option<usize> {
        self.replicas_of(primary).first().copied()
    }

    /// All of them.
    pub fn replicas_of(&self, primary: usize) -> Vec<usize> {
        let is_one = |seen: &Seen| seen.primary == Some(primary) && self.is_awake(seen.node);
        self.see_from(primary).into_iter().filter(is_one).map(|seen| seen.node).collect()
    }

    /// All nodes as one of them sees them.
    pub fn see_from(&self, index: usize) -> Vec<Seen> {
        self.seen_by(&self.nodes[index])
    }

    fn seen_by(&self, node: &Redis) -> Vec<Seen> {
        // One that loads its primary's data refuses it for now.
        let list = wait_for("a list of nodes", || node.try_run::<String>("CLUSTER NODES").ok());
        let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split(' ').collect()).collect();
        let place = |fields: &[&str]| {
            // As in `127.0.0.1:7000@17000,name`, where the host may be empty.
            let port = fields[1].split('@').next()?.rsplit(':').next()?.parse().ok()?;
            self.nodes.iter().position(|node| node.port() == port)
        };
        let primary = |id: &str| lines.iter().find(|fields| fields[0] == id).and_then(|fields| place(fields));
        let seen = |fields: &Vec<&str>| {
            let flags: Vec<&str> = fields[2].split(',').collect();
            // Of a node that is still being greeted nothing is known yet.
            let node = place(fields).filter(|_| !flags.contains(&"handshake"))?;
            Some(Seen {
                node,
                id: fields[0].to_owned(),
                is_primary: flags.contains(&"master"),
                primary: primary(fields[3]),
                has_failed: flags.contains(&"fail"),
                epoch: fields[6].parse().ok()?,
                slots: fields[8..].iter().filter_map(|words| range(words)).collect(),
            })
        };
        lines.iter().filter_map(seen).collect()
    }

    /// Whether it runs and is not frozen.
    fn is_awake(&self, index: usize) -> bool {
        !self.asleep.lock().unwrap().contains(&self.nodes[index].port())
    }

    fn set_awake(&self, index: usize, is_awake: bool) {
        let (port, mut asleep) = (self.nodes[index].port(), self.asleep.lock().unwrap());
        asleep.retain(|it| *it != port);
        if !is_awake {
            asleep.push(port);
        }
    }

    fn awake(&self) -> &Redis {
        let index = (0..self.nodes.len()).find(|index| self.is_awake(*index)).expect("one node runs");
        &self.nodes[index]
    }

    /// What `CLUSTER INFO` says under this name.
    pub fn info(&self, index: usize, name: &str) -> String {
        let info: String = self.ask(index, "CLUSTER INFO");
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("no {name} in {info}")).to_owned()
    }

    /// Waits until all nodes that run say that all slots are served.
    #[track_caller]
    pub fn wait_until_served(&self) {
        let awake: Vec<usize> = (0..self.nodes.len()).filter(|index| self.is_awake(*index)).collect();
        wait_at_most(FORMS_WITHIN, "the cluster to serve all slots", || {
            awake.iter().all(|index| self.info(*index, "cluster_state") == "ok").then_some(())
        });
    }

    /// Waits until all nodes that run see the same primaries with the same slots, and each primary is copied by a replica that has
    /// everything: what fails now costs nothing. Nothing may be written and no slot may move meanwhile.
    #[track_caller]
    pub fn wait_until_agreed(&self) {
        wait_at_most(FORMS_WITHIN, "the nodes to agree", || {
            let awake = (0..self.nodes.len()).filter(|index| self.is_awake(*index));
            let views: BTreeSet<_> = awake.map(|index| served(self.see_from(index))).collect();
            let primaries = self.primaries();
            // A replica that leaves for a primary without one says so before others know.
            let copies = |replica: &usize, primary: usize| {
                let own = self.see_from(*replica).into_iter().find(|seen| seen.node == *replica);
                own.is_some_and(|own| own.primary == Some(primary)) && is_linked(&self.nodes[*replica])
            };
            let is_safe = |it: &Seen| {
                let replica = self.replica_of(it.node).filter(|replica| copies(replica, it.node));
                replica.is_some() && has_replicas(&self.nodes[it.node]) && is_copied(&self.nodes[it.node])
            };
            (views.len() == 1 && primaries.iter().all(is_safe)).then_some(())
        });
        self.wait_until_served();
    }

    /// Waits until the primaries that run know each other's epochs, and no two have the same one.
    ///
    /// A slot's new owner takes an epoch above those that it has heard of. If the old owner has a greater one and still claims the
    /// slot for a moment, the new one gives it back and deletes its keys. Then nobody has it, and each names the other.
    #[track_caller]
    fn wait_until_epochs_are_known(&self) {
        wait_for("the primaries to know each other's epochs", || {
            let views: Vec<(usize, Vec<Seen>)> =
                self.primaries().iter().map(|primary| (primary.node, self.see_from(primary.node))).collect();
            let epochs = |(_, view): &(usize, Vec<Seen>)| -> BTreeMap<usize, u64> {
                let of_primaries =
                    view.iter().filter(|seen| views.iter().any(|(node, _)| *node == seen.node));
                of_primaries.map(|seen| (seen.node, seen.epoch)).collect()
            };
            let agreed: BTreeSet<_> = views.iter().map(epochs).collect();
            let is_known = |epochs: &BTreeMap<usize, u64>| {
                let distinct: BTreeSet<_> = epochs.values().collect();
                epochs.len() == views.len() && distinct.len() == views.len()
            };
            (agreed.len() == 1 && agreed.iter().all(is_known)).then_some(())
        });
    }

    /// Waits until every replica that runs has what its primary has.
    #[track_caller]
    pub fn wait_until_copied(&self) {
        wait_for("the replicas to have everything", || {
            self.primaries().iter().all(|primary| is_copied(&self.nodes[primary.node])).then_some(())
        });
    }

    /// A slot begins to move: keys stay where they are, and those that are absent are asked of the new owner.
    #[track_caller]
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        self.try_begin_move(slot, from, to).unwrap();
    }

    /// The same where it may fail: another node may have taken over from either.
    pub fn try_begin_move(&self, slot: u16, from: usize, to: usize) -> RedisResult<()> {
        let id = |index: usize| self.ask::<String>(index, "CLUSTER MYID");
        self.nodes[to].try_run::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(from)))?;
        self.nodes[from].try_run(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(to)))
    }

    /// The node itself, or the one that has taken over from it.
    pub fn successor(&self, index: usize) -> usize {
        let own = self.see_from(index).into_iter().find(|seen| seen.node == index);
        own.and_then(|own| own.primary).unwrap_or(index)
    }

    /// Moves at most so many of the slot's keys, and returns how many there were. A cluster that is down refuses it for now.
    #[track_caller]
    pub fn move_keys(&self, slot: u16, from: usize, to: usize, count: usize) -> usize {
        wait_for("the keys to move", || self.try_move_keys(slot, from, to, count).ok())
    }

    /// The same where it may fail: another node may have taken over from either.
    pub fn try_move_keys(&self, slot: u16, from: usize, to: usize, count: usize) -> RedisResult<usize> {
        let keys: Vec<String> = self.ask(from, &format!("CLUSTER GETKEYSINSLOT {slot} {count}"));
        if !keys.is_empty() {
            let mut migrate = cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(self.nodes[to].port()).arg("").arg(0).arg(5_000);
            migrate.arg("REPLACE").arg("KEYS").arg(&keys);
            migrate.query::<()>(&mut self.nodes[from].connect())?;
        }
        Ok(keys.len())
    }

    /// The slot, which has no keys any more where it was, belongs to its new owner.
    #[track_caller]
    pub fn end_move(&self, slot: u16, from: usize, to: usize) {
        self.try_end_move(slot, from, to).unwrap();
    }

    /// The same where it may fail: another node has taken over from the new owner, or, on Valkey, none of its replicas answers.
    pub fn try_end_move(&self, slot: u16, from: usize, to: usize) -> RedisResult<()> {
        self.wait_until_epochs_are_known();
        let id: String = self.ask(to, "CLUSTER MYID");
        let assign = format!("CLUSTER SETSLOT {slot} NODE {id}");
        // The new owner first, so that nobody is sent where it is not known yet.
        let others =
            self.primaries().into_iter().map(|seen| seen.node).filter(|node| ![from, to].contains(node));
        self.nodes[to].try_run::<()>(&assign)?;
        for node in [from].into_iter().chain(others) {
            // The new owner tells them too, where one refuses to hear it from here.
            drop(self.nodes[node].try_run::<()>(&assign));
        }
        Ok(())
    }

    /// Moves a slot as all versions can: key after key.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_move(slot, from, to);
        while self.move_keys(slot, from, to, 10) > 0 {}
        self.end_move(slot, from, to);
    }

    /// Whether the servers move slots at once: Redis 8.4, Valkey 9.
    pub fn can_move_atomically(&self) -> bool {
        let help: Vec<String> = self.awake().run("CLUSTER HELP");
        help.iter().any(|line| line.starts_with("MIGRATION ") || line.starts_with("MIGRATESLOTS "))
    }

    /// Moves slots at once, and waits until their new owner has them. Where a node is a replica by now, its primary has its part.
    pub fn move_atomically(&self, slots: RangeInclusive<u16>, from: usize, to: usize) {
        let (first, last) = (slots.start(), slots.end());
        wait_for("the slots to have moved", || {
            let (from, to) = (self.successor(from), self.successor(to));
            // What is left of a move key by key, which the replica of a node that failed may have, is refused.
            for slot in slots.clone() {
                [from, to].iter().for_each(|node| {
                    drop(self.nodes[*node].try_run::<()>(&format!("CLUSTER SETSLOT {slot} STABLE")));
                });
            }
            let id: String = self.ask(to, "CLUSTER MYID");
            let import = format!("CLUSTER MIGRATION IMPORT {first} {last}");
            let migrate = format!("CLUSTER MIGRATESLOTS SLOTSRANGE {first} {last} NODE {id}");
            // One of them is unknown here. A move that failed is begun again.
            drop(self.nodes[to].try_run::<Value>(&import));
            drop(self.nodes[from].try_run::<Value>(&migrate));
            let is_moved = || {
                let own = self.see_from(to).into_iter().find(|seen| seen.node == to);
                own.is_some_and(|own| slots.clone().all(|slot| own.serves(slot)))
            };
            wait_a_little(is_moved).then_some(())
        });
    }

    /// An operator has a replica take its primary's place.
    pub fn failover(&self, replica: usize) {
        let is_primary = || self.see_from(replica).iter().any(|seen| seen.node == replica && seen.is_primary);
        wait_for("the failover", || {
            // It gives up where its primary does not answer in time.
            drop(self.nodes[replica].try_run::<()>("CLUSTER FAILOVER"));
            wait_a_little(is_primary).then_some(())
        });
    }

    /// A node dies at once.
    pub fn kill(&self, index: usize) {
        self.set_awake(index, false);
        self.nodes[index].end();
    }

    /// A dead node comes back with what it had when it last copied all of a primary, or empty: wait until its replica has taken over, or
    /// its data are lost.
    pub fn restart(&self, index: usize) {
        self.nodes[index].begin_again();
        self.wait_until_told(index);
    }

    /// One that comes back takes itself for what it was: no client may ask it before it has heard what happened meanwhile.
    fn wait_until_told(&self, index: usize) {
        let others = (0..self.nodes.len()).filter(|other| self.is_awake(*other));
        let others: Vec<usize> = others.collect();
        wait_at_most(FORMS_WITHIN, "a node to hear what happened", || {
            let own = served(self.see_from(index));
            others.iter().all(|other| served(self.see_from(*other)) == own).then_some(())
        });
        self.set_awake(index, true);
    }

    /// A node stands still: its connections stay open, and nothing is answered.
    pub fn freeze(&self, index: usize) {
        self.set_awake(index, false);
        self.nodes[index].pause();
    }

    pub fn thaw(&self, index: usize) {
        self.nodes[index].resume();
        self.wait_until_told(index);
    }
}

/// Which primary serves which slots.
fn served(seen: Vec<Seen>) -> BTreeSet<(usize, String)> {
    let primaries = seen.into_iter().filter(|it| it.is_primary && !it.slots.is_empty());
    primaries.map(|it| (it.node, format!("{:?}", it.slots))).collect()
}

/// Waits for a second, and returns whether it became so.
fn wait_a_little(is_so: impl Fn() -> bool) -> bool {
    (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        is_so()
    })
}

/// Slots as in `5461-10922` or `7`; none for one that moves, as in `[93-<-id]`.
fn range(words: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = words.split_once('-').unwrap_or((words, words));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

fn is_linked(replica: &Redis) -> bool {
    replica.run::<String>("INFO replication").contains("master_link_status:up")
}

/// Whether a primary has replicas by its own word.
fn has_replicas(primary: &Redis) -> bool {
    !primary.run::<String>("INFO replication").contains("connected_slaves:0")
}

/// Whether the replicas of a primary have all that it was given until now.
fn is_copied(primary: &Redis) -> bool {
    let info: String = primary.run("INFO replication");
    let numbers = |name: &str| -> Vec<u64> {
        let values = info.lines().filter_map(|line| line.split_once(name)?.1.split(',').next()?.parse().ok());
        values.collect()
    };
    let sent = numbers("master_repl_offset:");
    numbers(",offset=").iter().all(|copied| *copied >= sent[0])
}

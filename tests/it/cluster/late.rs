//! A primary that stood still, was replaced meanwhile and goes on: it first answers what it was asked in between, with what it had then.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use support::{Cluster, Sidecar, wait_for};

use super::{fill, float, is_all_read, length};

/// Its neighbours close their connections to a node that does not answer for so long, so it hears of its successor only over new ones, once
/// it has answered. The sidecar waits for longer.
const STOOD_STILL: Duration = Duration::from_millis(650);
const WATCHED: Duration = Duration::from_secs(2);

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a node stands still is what is tested")]
fn a_primary_that_was_replaced_while_it_stood_still_shows_no_old_number() {
    // No replica takes over by itself, however busy the machine is.
    let settings =
        "cluster-node-timeout 400\ncluster-replica-no-failover yes\ncluster-require-full-coverage no";
    let cluster = Cluster::with_settings(3, 3, settings);
    fill(&cluster);
    let sidecar = Sidecar::start(cluster.node(0));
    sidecar.wait("all streams", is_all_read);
    let (old, new) = (cluster.owner("s0"), cluster.replica_of(cluster.owner("s0")).unwrap());
    cluster.freeze(old);
    sleep(STOOD_STILL);
    cluster.node(new).run::<()>("CLUSTER FAILOVER TAKEOVER");
    wait_for("the successor", || cluster.node(new).try_run::<String>("XADD s0 * f v").ok());
    cluster.node(old).resume();
    let began = Instant::now();
    while began.elapsed() < WATCHED {
        let page = sidecar.next_poll();
        assert_ne!(page.stream("length", "s0"), Some(float(length(0))), "the old number");
        assert_eq!(page.stream("recreations_total", "s0"), Some(0.0));
    }
    cluster.thaw(old);
    sidecar.wait("the new number", |page| page.stream("length", "s0") == Some(float(length(0) + 1)));
}

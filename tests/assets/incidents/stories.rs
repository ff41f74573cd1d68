//! What goes wrong in each incident, and how it is repaired.

use std::time::Duration;

use support::{Redis, wait_for};

use super::{lab::Lab, minutes};
use crate::monitoring::Prometheus;

const STREAM: &str = "events:session";
const GROUP: &str = "nexus-session-consumers";
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn consumers_stop(lab: &mut Lab, _: &Prometheus) {
    lab.consume(&["--stop", GROUP, "--after", "0s"]);
    lab.fails();
    lab.endure();
    lab.consume(&[]);
}

pub(super) fn consumers_crash(lab: &mut Lab, _: &Prometheus) {
    lab.consume(&["--crash", GROUP, "--after", "0s"]);
    lab.fails();
    lab.endure();
    lab.consume(&[]);
}

/// All consumers of all five groups.
pub(super) fn application_gone(lab: &mut Lab, _: &Prometheus) {
    *lab.consumers() = None;
    lab.fails();
    lab.endure();
    lab.consume(&[]);
}

/// A group whose consumers were never deployed.
pub(super) fn no_consumer(lab: &mut Lab, _: &Prometheus) {
    lab.redis.run::<()>("XGROUP CREATE events:session reports $");
    lab.fails();
    lab.endure();
    lab.redis.run::<u64>("XGROUP DESTROY events:session reports");
}

/// A handler hangs. Its consumer keeps its claim alive, reads nothing and acknowledges nothing.
pub(super) fn consumers_hang(lab: &mut Lab, _: &Prometheus) {
    hang(lab, STREAM, GROUP, "session-1");
}

fn hang(lab: &mut Lab, stream: &str, group: &str, consumer: &str) {
    lab.consume(&["--stop", group, "--after", "0s"]);
    let entry = lab.take(stream, group, consumer);
    lab.every(SECOND, &format!("XCLAIM {stream} {group} {consumer} 0 {entry} JUSTID"));
    lab.fails();
    lab.endure();
    lab.end_last();
    lab.consume(&[]);
}

/// Entries come twice as fast as they are handled.
pub(super) fn consumers_slow(lab: &mut Lab, _: &Prometheus) {
    lab.publish(100);
    lab.consume(&["--slow", GROUP, "--after", "0s"]);
    lab.fails();
    lab.endure();
    lab.publish(20);
    lab.consume(&[]);
}

/// Entries come six times as fast as they are handled, and nobody has set a threshold.
pub(super) fn flood(lab: &mut Lab, _: &Prometheus) {
    lab.publish(300);
    lab.consume(&["--slow", GROUP, "--after", "0s"]);
    lab.fails();
    lab.endure();
    lab.publish(20);
    lab.consume(&[]);
}

/// An entry whose handling fails each time.
pub(super) fn poison(lab: &mut Lab, _: &Prometheus) {
    let entry = lab.take(STREAM, GROUP, "poisoned");
    lab.every(SECOND, &format!("XCLAIM {STREAM} {GROUP} poisoned 0 {entry}"));
    lab.fails();
    lab.endure();
    lab.end_last();
    lab.redis.run::<u64>(&format!("XACK {STREAM} {GROUP} {entry}"));
    lab.redis.run::<u64>(&format!("XGROUP DELCONSUMER {STREAM} {GROUP} poisoned"));
}

/// Somebody trims while entries wait for consumers that pause.
pub(super) fn careless_trim(lab: &mut Lab, _: &Prometheus) {
    lab.consumers().as_ref().unwrap().signal("STOP");
    lab.add(STREAM, 500);
    let lag = |lab: &Lab| lab.sidecar.as_ref().unwrap().scrape().group("lag", STREAM, GROUP);
    wait_for("the sidecar to see what waits", || lag(lab).filter(|lag| *lag >= 500.0));
    lab.redis.run::<u64>("XTRIM events:session MAXLEN 10");
    lab.fails();
    lab.consumers().as_ref().unwrap().signal("CONT");
    lab.endure();
}

/// Its consumers create it again at once.
pub(super) fn group_recreated(lab: &mut Lab, _: &Prometheus) {
    lab.redis.run::<u64>(&format!("XGROUP DESTROY {STREAM} {GROUP}"));
    lab.fails();
    lab.endure();
}

/// Nobody creates it again.
pub(super) fn group_destroyed(lab: &mut Lab, _: &Prometheus) {
    lab.redis.run::<u64>("XGROUP DESTROY events:session audit");
    lab.fails();
    lab.endure();
    lab.redis.run::<()>("XGROUP CREATE events:session audit $");
}

pub(super) fn stream_deleted(lab: &mut Lab, _: &Prometheus) {
    lab.redis.run::<u64>("DEL imports");
    lab.fails();
    lab.endure();
    lab.redis.run::<()>("XGROUP CREATE imports importers $ MKSTREAM");
}

pub(super) fn redis_away_for_a_minute(lab: &mut Lab, _: &Prometheus) {
    away(lab, minutes(1));
}

pub(super) fn redis_away_for_five_minutes(lab: &mut Lab, _: &Prometheus) {
    away(lab, minutes(5));
}

fn away(lab: &mut Lab, duration: Duration) {
    lab.redis.kill();
    lab.fails();
    lab.pace.pass(duration);
    lab.redis.restart();
    lab.endure();
}

pub(super) fn redis_empty(lab: &mut Lab, _: &Prometheus) {
    lab.redis.kill();
    lab.fails();
    lab.redis.restart();
    lab.endure();
}

/// A replica takes over, with all that was written, and the name leads to it.
pub(super) fn failover(lab: &mut Lab, _: &Prometheus) {
    let replica = Redis::start();
    replica.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", lab.redis.port()));
    let says = |words: &str| replica.run::<String>("INFO replication").contains(words).then_some(());
    wait_for("the replica to be in step", || says("master_link_status:up"));
    lab.fails();
    lab.redis.run::<()>("FAILOVER");
    wait_for("the replica to take over", || says("role:master"));
    lab.proxy.as_ref().expect("the name leads elsewhere").switch_to(replica.port());
    lab.redis = replica;
    lab.endure();
}

pub(super) fn sidecar_killed(lab: &mut Lab, prometheus: &Prometheus) {
    lab.sidecar = None;
    lab.fails();
    lab.endure();
    lab.watch_again(prometheus);
}

/// A consumer reads on, and never acknowledges one entry. The sidecar starts again, and its first run finds that.
pub(super) fn retention_blocked(lab: &mut Lab, prometheus: &Prometheus) {
    lab.redis.run::<()>("XGROUP CREATE events:session archive $");
    lab.take(STREAM, "archive", "archivist");
    lab.every(SECOND, "XREADGROUP GROUP archive archivist COUNT 1000 NOACK STREAMS events:session >");
    lab.add(STREAM, 1000);
    lab.watch_again(prometheus);
    lab.fails();
    lab.endure();
    lab.redis.run::<u64>("XGROUP DESTROY events:session archive");
}

pub(super) fn producers_silent(lab: &mut Lab, _: &Prometheus) {
    lab.publish(0);
    lab.fails();
    lab.endure();
    lab.publish(20);
}

/// All consumers end, and the new ones are there after a minute and a half.
pub(super) fn deploy(lab: &mut Lab, _: &Prometheus) {
    *lab.consumers() = None;
    lab.fails();
    lab.pace.pass(Duration::from_secs(90));
    lab.consume(&[]);
    lab.endure();
}

/// The same for a minute, every four minutes.
pub(super) fn many_deploys(lab: &mut Lab, _: &Prometheus) {
    lab.fails();
    while !lab.is_over() {
        *lab.consumers() = None;
        lab.pace.pass(minutes(1));
        lab.consume(&[]);
        lab.pace.pass(minutes(3));
    }
}

pub(super) fn healthy(lab: &mut Lab, _: &Prometheus) {
    lab.fails();
    lab.endure();
}

/// Nobody reads for one group, and the consumers of another hang.
pub(super) fn two_at_once(lab: &mut Lab, _: &Prometheus) {
    lab.redis.run::<()>("XGROUP CREATE events:session reports $");
    hang(lab, "events:user", "nexus-user-consumers", "user-1");
    lab.redis.run::<u64>("XGROUP DESTROY events:session reports");
}

//! The lease by itself: who holds it, who renews it, and who gives it up.

use redis::cmd;
use streamwarden::{
    actions::{Enforcer, Lease},
    app::self_stats,
    config::Config,
    model::{Failure, Reason},
};
use tokio::runtime::Runtime;

use super::enforcer::config;
use support::{Act, Direction, Proxy, Redis};

const KEY: &str = "streamwarden:retention:lease";
/// A second is what the tests below need at most.
const TTL_MS: i64 = 60_000;

struct Holder {
    lease: Lease,
    enforcer: Enforcer,
    config: Config,
    runtime: Runtime,
}

impl Holder {
    fn new(uri: &str) -> Self {
        let config = config(uri, "retention: {lease_ttl: 1m}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let enforcer = Enforcer::new(self_stats());
        Self { lease: Lease::new(&config), enforcer, config, runtime }
    }

    /// Looks after it if it is time to.
    fn keep(&mut self) -> Result<(), Failure> {
        self.runtime.block_on(self.lease.check_if_due(&mut self.enforcer, &self.config))
    }

    /// Looks after it now.
    fn keep_now(&mut self) -> Result<(), Failure> {
        self.lease.reload(&self.config);
        self.keep()
    }

    fn release(&mut self) {
        self.runtime.block_on(self.lease.release(&mut self.enforcer, &self.config));
    }
}

fn holder(redis: &Redis) -> Option<String> {
    redis.run(&format!("GET {KEY}"))
}

#[test]
fn a_free_lease_is_taken_kept_and_given_up() {
    let redis = Redis::start();
    let mut holder_of = Holder::new(&redis.uri());
    holder_of.keep().unwrap();
    let name = holder(&redis);
    assert!(holder_of.lease.is_held() && name.is_some());
    let left = || redis.run::<i64>(&format!("PTTL {KEY}"));
    assert!((1..=TTL_MS).contains(&left()));
    // It is not time yet.
    let looks = redis.calls("get");
    holder_of.keep().unwrap();
    assert_eq!(redis.calls("get"), looks);
    // It is renewed in time, not taken again.
    redis.run::<u64>(&format!("PEXPIRE {KEY} 30000"));
    holder_of.keep_now().unwrap();
    assert!(left() > 30_000, "{}", left());
    assert_eq!((holder(&redis), redis.calls("set")), (name, 1));
    holder_of.release();
    assert_eq!((holder(&redis), holder_of.lease.is_held()), (None, false));
    // What is not held is not given up.
    let looks = redis.calls("get");
    holder_of.release();
    assert_eq!(redis.calls("get"), looks);
}

#[test]
fn the_lease_of_another_is_left_alone() {
    let redis = Redis::start();
    let mut second = Holder::new(&redis.uri());
    redis.run::<()>(&format!("SET {KEY} first"));
    second.keep().unwrap();
    assert!(!second.lease.is_held());
    assert_eq!((redis.calls("set"), redis.calls("pexpire")), (1, 0));
    // It is taken when it is free, and lost when it is not one's own any more.
    redis.run::<u64>(&format!("DEL {KEY}"));
    second.keep_now().unwrap();
    assert!(second.lease.is_held());
    redis.run::<()>(&format!("SET {KEY} third"));
    second.release();
    assert_eq!(holder(&redis).as_deref(), Some("third"));
    second.keep_now().unwrap();
    assert!(!second.lease.is_held());
}

#[test]
fn who_is_faster_has_it() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port());
    let mut faster = redis.connect();
    proxy.rule(move |direction, bytes| {
        if direction == Direction::ToServer && bytes.windows(5).any(|it| it == b"\r\nSET") {
            cmd("SET").arg(KEY).arg("faster").query::<()>(&mut faster).unwrap();
        }
        Act::Pass
    });
    let mut slower = Holder::new(&proxy.uri());
    slower.keep().unwrap();
    assert_eq!((slower.lease.is_held(), holder(&redis).as_deref()), (false, Some("faster")));
}

#[test]
fn where_it_is_refused_it_counts_as_held_and_where_nobody_answers_it_is_not() {
    let mut redis = Redis::start();
    redis.run::<()>("ACL SETUSER limited on nopass ~* +@all -set");
    let mut holder = Holder::new(&redis.uri().replace("redis://", "redis://limited:any@"));
    assert_eq!(holder.keep().map_err(|failure| failure.reason), Err(Reason::NoPermission));
    assert!(holder.lease.is_held());
    redis.kill();
    let failure = holder.keep_now().unwrap_err();
    assert!(!holder.lease.is_held(), "{failure}");
    // The next look is after the back-off.
    assert!(holder.keep().is_ok(), "asked again at once");
}

//! A primary, its replica, and the Sentinels that watch them: all of the test's own.

use super::{Redis, wait_for};

/// The service that they watch.
pub const SERVICE: &str = "mymaster";
/// Replication begins at once instead of after five seconds.
const PROMPT: &str = "repl-diskless-sync-delay 0";

/// Two servers and their Sentinels.
pub struct Sentinels {
    /// The primary, until there is a failover.
    pub primary: Redis,
    /// Its replica.
    pub replica: Redis,
    /// They need two votes, and 1.5 s without an answer.
    pub sentinels: Vec<Redis>,
}

impl Sentinels {
    /// Three Sentinels without passwords.
    pub fn start() -> Self {
        Self::with_settings("", "")
    }

    /// With more lines of `redis.conf` for the servers, and of `sentinel.conf` for the Sentinels.
    pub fn with_settings(of_servers: &str, of_sentinels: &str) -> Self {
        let settings = format!("{PROMPT}\n{of_servers}");
        let primary = Redis::with_settings(&settings);
        let replica = Redis::with_settings(&settings);
        replica.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
        let watched = format!(
            "sentinel monitor {SERVICE} 127.0.0.1 {} 2\n\
             sentinel down-after-milliseconds {SERVICE} 1500\n\
             sentinel failover-timeout {SERVICE} 10000\n{of_sentinels}",
            primary.port()
        );
        let sentinels = (0..3).map(|_| Redis::with_settings(&watched)).collect();
        let all = Self { primary, replica, sentinels };
        wait_for("the Sentinels to know each other and the replica", || {
            let knows = |sentinel: &Redis| {
                let state: Vec<String> = sentinel.run(&format!("SENTINEL MASTER {SERVICE}"));
                let number = |name: &str| {
                    let at = state.iter().position(|word| word == name)?;
                    state.get(at + 1)?.parse::<u32>().ok()
                };
                number("num-other-sentinels") == Some(2) && number("num-slaves") == Some(1)
            };
            all.sentinels.iter().all(knows).then_some(())
        });
        all
    }

    /// The address for the sidecar.
    pub fn uri(&self) -> String {
        self.uri_with(&self.sentinels.iter().map(Redis::port).collect::<Vec<_>>())
    }

    /// The address with the Sentinels at these ports.
    pub fn uri_with(&self, ports: &[u16]) -> String {
        let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{SERVICE}", hosts.join(","))
    }

    /// Waits until so many Sentinels name the replica as the primary.
    #[track_caller]
    pub fn wait_until_they_name_the_replica(&self, how_many: usize) {
        let port = self.replica.port().to_string();
        wait_for("the Sentinels to name the replica", || {
            let names = |sentinel: &&Redis| {
                let named: Vec<String> = sentinel.run(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {SERVICE}"));
                named.last() == Some(&port)
            };
            (self.sentinels.iter().filter(names).count() >= how_many).then_some(())
        });
    }
}

//! README's tables of addresses, row by row: the sidecar runs, and the server is asked who it is and where.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use crate::{
    support::{Redis, Sidecar, free_port, wait_for},
    tls::certificates,
};

const README: &str = include_str!("../../README.md");
const PASSWORD: &str = "Passw0rd-of-watcher";

/// The rows of a table, each as its cells.
fn table(name: &str) -> Vec<Vec<&'static str>> {
    let (_, table) = README.split_once(&format!("<!-- {name}: begin -->")).unwrap();
    let (table, _) = table.split_once(&format!("<!-- {name}: end -->")).unwrap();
    let row = |row: &'static str| row.split('|').map(str::trim).skip(1).collect();
    table.lines().skip(3).map(row).collect()
}

/// The texts in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// A server that is reached in every way, with two more users.
struct Server {
    redis: Redis,
    tls_port: u16,
    socket: String,
}

impl Server {
    /// `settings` are the default user's password, or none.
    fn start(directory: &Path, name: &str, settings: &str) -> Self {
        let (tls_port, socket) = (free_port(), directory.join(name).display().to_string());
        let file = |name: &str| directory.join(name).display().to_string();
        let redis = Redis::with_settings(&format!(
            "bind 127.0.0.1 {}\nunixsocket {socket}\ntls-port {tls_port}\ntls-auth-clients no\n\
             tls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\n{settings}",
            if has_ipv6() { "::1" } else { "" },
            file("ca.pem"),
            file("server.pem"),
            file("server.key"),
        ));
        for (user, passwords) in [("watcher", vec![PASSWORD, "/#?@%: ", "a:b@c"]), ("guest", vec![""])] {
            let mut cmd = redis::cmd("ACL");
            cmd.arg("SETUSER").arg(user).arg("on").arg("~*").arg("+@all");
            passwords.iter().for_each(|password| {
                cmd.arg(format!(">{password}"));
            });
            cmd.query::<()>(&mut redis.connect()).unwrap();
        }
        Self { redis, tls_port, socket }
    }

    fn address(&self, row: &str) -> String {
        let is_tls = row.starts_with("rediss") || row.starts_with("valkeys");
        let port = if is_tls { self.tls_port } else { self.redis.port() };
        row.replace("SOCKET", &self.socket)
            .replace("HOST", "127.0.0.1")
            .replace("PORT", &port.to_string())
            .replace("PASSWORD", PASSWORD)
    }
}

/// Who the sidecar's connections belong to, in which database, and in which protocol, where the server says that.
fn connections(list: &str) -> BTreeSet<(String, String, Option<String>)> {
    let own = list.lines().filter(|line| line.contains(" name=streamwarden "));
    own.map(|line| {
        let field = |name: &str| {
            line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        (field("user").unwrap(), field("db").unwrap(), field("resp"))
    })
    .collect()
}

/// Runs the sidecar on the address, and checks whom the server sees.
fn check(row: &[&str], address: &str, ca_file: &Path, list: impl Fn() -> String) {
    let [_, user, database, ..] = row[..] else { panic!("{row:?}") };
    let protocol = if address.contains("protocol=resp2") { "2" } else { "3" };
    let config = format!("redis: {{tls: {{ca_file: {}}}}}", ca_file.display());
    let sidecar = Sidecar::with_config(address, &config);
    let up = wait_for("a poll, or a failure", || {
        let page = sidecar.scrape();
        let is_up = page.own("streamwarden_redis_up") == 1.0;
        (is_up || sidecar.log().contains("polling Redis failed")).then_some(is_up)
    });
    assert!(up, "{row:?}: {}", sidecar.log());
    let seen = connections(&list());
    assert!(!seen.is_empty(), "{row:?}");
    for (seen_user, seen_database, seen_protocol) in seen {
        assert_eq!((seen_user.as_str(), seen_database.as_str()), (user, database), "{row:?}");
        assert!(seen_protocol.is_none_or(|seen| seen == protocol), "{row:?}");
    }
    assert!(!sidecar.log().contains(PASSWORD), "{}", sidecar.log());
}

#[test]
fn each_address_of_the_readme_logs_in_as_whom_and_where_it_says() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path(), "127.0.0.1");
    let ca_file = directory.path().join("ca.pem");
    let open = Server::start(directory.path(), "open.sock", "");
    let closed = Server::start(directory.path(), "closed.sock", &format!("requirepass {PASSWORD}"));
    let rows = table("addresses");
    assert!(rows.len() > 25, "{rows:?}");
    for row in &rows {
        let written = quoted(row[0])[0];
        if written == "redis://HOST" {
            // Redis's own port, on an address of this test's own.
            let id = std::process::id().to_be_bytes();
            let host = format!("127.{}.{}.{}", 64 + id[1] % 64, id[2], id[3].clamp(1, 254));
            let _redis = Redis::not_listening(&format!("port 6379\nbind {host}"));
            let client = redis::Client::open(format!("redis://{host}")).unwrap();
            let list =
                || redis::cmd("CLIENT").arg("LIST").query::<String>(&mut client.get_connection().unwrap());
            wait_for("the server", || client.get_connection().ok());
            check(row, &written.replace("HOST", &host), &ca_file, || list().unwrap());
            continue;
        }
        if written.contains("[::1]") && !has_ipv6() {
            eprintln!("skipped: needs IPv6: {written}");
            continue;
        }
        let server = if written.contains("PASSWORD") { &closed } else { &open };
        check(row, &server.address(written), &ca_file, || server.redis.run("CLIENT LIST"));
    }
}

fn streamwarden(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_streamwarden"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn what_the_readme_says_is_refused_is_refused_with_what_to_write_instead() {
    let rows = table("refused");
    assert!(rows.len() > 25, "{rows:?}");
    for row in rows {
        let address = quoted(row[0])[0].replace("HOST", "redis.example").replace("PORT", "6379");
        let output = streamwarden(&["check-config"], &[("REDIS_URI", &address)]);
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{row:?}: {printed}");
        assert!(printed.starts_with("redis.uri (from REDIS_URI): "), "{printed}");
        for instead in quoted(row[1]) {
            assert!(printed.contains(instead), "{row:?}: {printed}");
        }
        assert!(
            !["PASS", "WORD", "redis.example:", "nonsense"].iter().any(|it| printed.contains(it)),
            "{printed}"
        );
    }
}

//! The documentation's tables of addresses, row by row: the sidecar runs, and the server is asked who it is and where.

use std::{collections::BTreeSet, net::TcpListener, path::Path};

use support::{Redis, Sidecar, free_port, wait_for, write};

use crate::{process::streamwarden, tls::certificates};

const PAGE: &str = include_str!("../../docs/src/configuration.md");
const PASSWORD: &str = "Passw0rd-of-watcher";

/// The rows of a table, each as its cells.
fn table(name: &str) -> Vec<Vec<&'static str>> {
    let (_, table) = PAGE.split_once(&format!("<!-- {name}: begin -->")).unwrap();
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
    let is_tls = address.starts_with("rediss:") || address.starts_with("valkeys:");
    let config = format!("redis: {{tls: {{ca_file: {}}}}}", ca_file.display());
    let config = if is_tls { config } else { String::new() };
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
fn each_address_of_the_documentation_logs_in_as_whom_and_where_it_says() {
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
            support::skip("an IPv6 address of this machine's own");
            continue;
        }
        let server = if written.contains("PASSWORD") { &closed } else { &open };
        check(row, &server.address(written), &ca_file, || server.redis.run("CLIENT LIST"));
    }
}

#[test]
fn what_the_documentation_says_is_refused_is_refused_with_what_to_write_instead() {
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

#[test]
fn a_password_of_another_program_in_the_environment_is_ignored_with_a_warning() {
    let redis = Redis::start();
    redis.run::<()>(&format!("ACL SETUSER watcher on >{PASSWORD} ~* +@all"));
    let uri = redis.uri().replace("redis://", &format!("redis://watcher:{PASSWORD}@"));
    let variables = [("REDIS_USERNAME", "somebody"), ("REDIS_PASSWORD", "of-somebody-else")];
    let sidecar = Sidecar::in_environment(&uri, "", &variables);
    sidecar.wait("a poll", |page| page.own("streamwarden_redis_up") == 1.0);
    for name in ["REDIS_USERNAME", "REDIS_PASSWORD"] {
        let is_logged = |line: &str| {
            line.contains("\"WARN\"")
                && line.contains("a setting is ignored")
                && line.contains(&format!("\"{name}\""))
        };
        assert!(sidecar.log().lines().any(is_logged), "{}", sidecar.log());
    }
    let shown = sidecar.get("/api/v1/config").text();
    for secret in [PASSWORD, "of-somebody-else"] {
        assert!(!sidecar.log().contains(secret) && !shown.contains(secret), "{shown}");
    }
    let mut environment = variables.to_vec();
    environment.push(("REDIS_URI", &uri));
    let output = streamwarden(&["check-config"], &environment);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && printed.contains("warning: REDIS_PASSWORD is ignored"), "{printed}");
    let output = streamwarden(&["doctor"], &environment);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("REDIS_PASSWORD is ignored") && !printed.contains("of-somebody-else"),
        "{printed}"
    );
}

#[test]
fn every_command_takes_the_password_beside_the_address() {
    let redis = Redis::with_settings("requirepass of-the-default-user");
    redis.add("s", 3);
    let mut cmd = redis::cmd("ACL");
    // As generators make them.
    cmd.arg("SETUSER").arg("watcher").arg("on").arg(">/#?@%:x").arg("~*").arg("+@all");
    cmd.query::<()>(&mut redis.connect()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    write(&file, "/#?@%:x\n");
    let uri = format!("redis://127.0.0.1:{}", redis.port());
    let by_text = [("REDIS_URI", uri.as_str()), ("REDIS_USERNAME", "watcher"), ("REDIS_PASSWORD", "/#?@%:x")];
    let by_file = [by_text[0], by_text[1], ("REDIS_PASSWORD_FILE", file.to_str().unwrap())];
    for environment in [by_text, by_file] {
        for (arguments, words) in [
            (vec!["status", "--every", "100ms"], "s"),
            (vec!["doctor"], "as user watcher"),
            (vec!["acl"], "ACL SETUSER streamwarden"),
            (
                vec!["trim", "s", "--max-length", "2", "--mode", "strict", "--exact", "--dry-run"],
                "would remove  1 entry",
            ),
            (vec!["check-config", "--cost"], "1 stream with "),
        ] {
            let output = streamwarden(&arguments, &environment);
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                printed.contains(words),
                "{arguments:?}: {printed} {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

#[test]
fn a_password_file_is_read_again_for_each_connection() {
    let redis = Redis::start();
    redis.run::<()>("ACL SETUSER watcher on >/0#?@% ~* +@all");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    write(&file, "/0#?@%\n");
    let config = format!("redis: {{username: watcher, password_file: {}}}", file.display());
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    let up = |what: &str, value: f64| {
        sidecar.wait(what, |page| page.own("streamwarden_redis_up") == value);
    };
    up("a poll", 1.0);
    redis.run::<()>("ACL SETUSER watcher resetpass >/1#?@%");
    redis.run::<()>("CLIENT KILL USER watcher");
    up("the old password to be refused", 0.0);
    write(&file, "/1#?@%");
    up("the new password", 1.0);
    write(&file, "");
    redis.run::<()>("CLIENT KILL USER watcher");
    wait_for("the log to name the empty file", || {
        sidecar.log().contains("redis.password_file: is empty").then_some(())
    });
    assert!(!sidecar.log().contains("#?@%"), "{}", sidecar.log());
}

#[test]
fn a_default_user_that_needs_no_password_takes_any() {
    let redis = Redis::start();
    for protocol in ["resp2", "resp3"] {
        let uri = format!("{}?protocol={protocol}", redis.uri());
        let sidecar = Sidecar::in_environment(&uri, "", &[("REDIS_PASSWORD", "of-somebody-else")]);
        sidecar.wait("a poll", |page| page.own("streamwarden_redis_up") == 1.0);
    }
}

//! Servers and proxies that answer the first words in their own way.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use support::{Act, Direction, Proxy, Redis, Sidecar};

use super::{failures, up};

/// Finds `HELLO` in what the sidecar sends, and takes it away.
fn hides_hello(bytes: &mut [u8]) -> bool {
    let Some(at) = bytes.windows(5).position(|word| word == b"HELLO") else { return false };
    bytes[at..at + 5].copy_from_slice(b"HELLX");
    true
}

/// A proxy that answers `HELLO` like this, or closes.
fn refuses_hello(redis: &Redis, answer: Option<&'static str>) -> Proxy {
    let proxy = Proxy::to(redis.port());
    proxy.rule(move |direction, bytes| {
        match (direction, answer) {
            (Direction::ToServer, None) if hides_hello(bytes) => return Act::Close,
            (Direction::ToServer, _) => drop(hides_hello(bytes)),
            (Direction::ToClient, Some(answer)) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                // Both are errors to a command that the server does not know; what comes after them stays.
                let is_refusal = text.starts_with("-ERR unknown") || text.starts_with("-NOAUTH");
                if let Some((_, rest)) = text.split_once("\r\n").filter(|_| is_refusal) {
                    *bytes = format!("{answer}\r\n{rest}").into_bytes();
                }
            }
            (Direction::ToClient, None) => {}
        }
        Act::Pass
    });
    proxy
}

#[test]
fn whatever_a_proxy_answers_to_hello_the_older_protocol_is_spoken() {
    let redis = Redis::with_settings("requirepass secret");
    redis.add("s", 2);
    let answers = [
        Some("-ERR unsupported command"),
        Some("-NOAUTH Authentication required."),
        Some("-ERR Protocol error: unsupported"),
        Some("-invalid command"),
        None,
    ];
    for answer in answers {
        let proxy = refuses_hello(&redis, answer);
        let uri = proxy.uri().replace("//", "//:secret@");
        let sidecar = Sidecar::with_config(&uri, "");
        let page = sidecar.wait(&format!("{answer:?}"), |page| page.stream("length", "s") == Some(2.0));
        assert!(up(&page), "{answer:?}");
        // The next connection begins with what was understood.
        let (before, polls) = (proxy.connections(), 3);
        for _ in 0..polls {
            proxy.cut();
            sidecar.next_poll();
        }
        let made = proxy.connections() - before;
        assert!(made <= 3 * (polls + 1), "{answer:?}: {made} connections for {polls} cuts of three");
    }
}

#[test]
fn a_wrong_password_is_said_and_tried_once_a_connection() {
    let redis = Redis::with_settings("requirepass secret");
    let proxy = Proxy::to(redis.port());
    let logins = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&logins);
    proxy.rule(move |direction, bytes| {
        if direction == Direction::ToServer && bytes.windows(4).any(|word| word == b"AUTH") {
            seen.fetch_add(1, SeqCst);
        }
        Act::Pass
    });
    let uri = proxy.uri().replace("//", "//:wrong@");
    let sidecar = Sidecar::with_config(&uri, "streams: [{match: s}]");
    let page = sidecar.wait("some refusals", |page| failures(page, "wrongpass") >= 4.0);
    let refused = failures(&page, "wrongpass");
    let logins = f64::from(u32::try_from(logins.load(SeqCst)).unwrap());
    // One may be under way.
    assert!(logins <= refused + 2.0, "{logins} logins for {refused} failures");
}

/// Says this to everybody who connects, and closes.
fn says(words: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            drop(client.write_all(words.as_bytes()));
            drop(client.read(&mut [0; 1024]));
        }
    });
    uri
}

#[test]
fn a_server_in_protected_mode_is_named() {
    let words = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set \
                 for the default user.\r\n";
    let sidecar = Sidecar::with_config(&says(words), "");
    sidecar.wait("the reason", |page| failures(page, "protected") >= 1.0);
}

#[test]
fn the_port_of_a_sentinel_is_named() {
    let sentinel = Redis::with_settings("sentinel monitor primary 127.0.0.1 1 1");
    let sidecar = Sidecar::start(&sentinel);
    sidecar.wait("the reason", |page| failures(page, "sentinel") >= 1.0 && !up(page));
    assert!(sidecar.log().contains("write redis+sentinel://HOST:PORT/SERVICE"), "{}", sidecar.log());
}

#[test]
fn without_xinfo_the_length_is_there_and_the_rest_is_unknown() {
    let redis = Redis::with_settings("rename-command XINFO \"\"");
    redis.add("s", 2);
    redis.run::<()>("XGROUP CREATE s g 0");
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the length", |page| page.stream("length", "s") == Some(2.0));
    assert!(up(&page));
    assert_eq!((page.stream("groups", "s"), page.group("lag", "s", "g")), (None, None));
    let reason = [("reason", "no_xinfo")];
    assert!(page.get("streamwarden_stream_read_failures_total", &reason) >= Some(1.0));
    redis.add("s", 3);
    sidecar.wait("the new length", |page| page.stream("length", "s") == Some(5.0));
}

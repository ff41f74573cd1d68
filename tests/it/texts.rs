//! Whatever a server, a file or a client says: what is logged, printed and exposed of it is short and readable, and it
//! takes no memory.

mod impostor;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use super::retention::trimming;
use impostor::Impostor;
use support::{Redis, Sidecar, program, wait_for, write};

/// Of a process that reads what is too large: it needs less than half of it without.
const MOST_MEMORY_KIB: u64 = 40 * 1024;
const LONGEST_LINE: usize = 4 * 1024;
/// Moves the cursor, begins a line, turns the text around, clears the screen, and is not UTF-8.
const HOSTILE: &[u8] = b"\x1b[2J\x1b]0;title\x07 \xc2\x9b2J \xe2\x80\xae\xe2\x81\xa7 \x7f \xff\xfe \x08";
const LARGE: usize = 10 * 1024 * 1024;
const GIBIBYTE: u64 = 1024 * 1024 * 1024;

/// Fails where a text could do something to a terminal, or is too long.
#[track_caller]
fn check(what: &str, text: &str) {
    let is_hostile = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FFFD}')
    };
    let found = text.find(is_hostile).or_else(|| text.find("\\u00")).or_else(|| text.find("\\n"));
    if let Some(at) = found {
        let around: String = text[at..].chars().take(100).collect();
        panic!("{what}: {around:?}");
    }
    let longest = text.lines().map(str::len).max().unwrap_or(0);
    assert!(longest <= LONGEST_LINE, "{what}: a line of {longest} bytes");
    assert!(!text.contains("s3cret-word"), "{what}");
}

/// The most memory that a process of the program has taken so far; `None` once it has ended.
fn peak_kib(id: u32) -> Option<u64> {
    // For a moment after it was started, a process still has the memory of its parent.
    let runs = fs::read_link(format!("/proc/{id}/exe")).ok()?;
    if runs != Path::new(program()).canonicalize().unwrap() {
        return None;
    }
    let status = support::read(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[track_caller]
fn check_memory(what: &str, peak: u64) {
    assert!(peak < MOST_MEMORY_KIB, "{what} took {peak} KiB");
}

/// Runs a command to its end, and gives the exit code and all that it printed, which is fit to be read.
#[track_caller]
fn run(uri: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let child = Command::new(program())
        .args(arguments)
        .env_clear()
        .env("REDIS_URI", uri)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let output = thread::spawn(move || child.wait_with_output().unwrap());
    // One that ends before it was looked at had no time to take much.
    let mut peak = 0;
    wait_for("the command to end", || {
        peak = peak.max(peak_kib(id).unwrap_or(0));
        output.is_finished().then_some(())
    });
    let output = output.join().unwrap();
    let what = format!("{arguments:?}");
    check_memory(&what, peak);
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8(printed).unwrap_or_else(|_| panic!("{what}: not UTF-8"));
    check(&what, &printed);
    (output.status.code(), printed)
}

/// An answer with this head, of so many bytes, that is hostile where it begins and where it ends.
fn bulk(kind: char, before: &str, size: usize) -> Vec<u8> {
    let mut text = [before.as_bytes(), HOSTILE, b"\r\nnext\nline"].concat();
    text.resize(size.max(text.len()), b'x');
    text.extend_from_slice(HOSTILE);
    [format!("{kind}{}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat()
}

/// How many hostile answers there are.
const KINDS: usize = 10;

/// A hostile answer to a command.
fn answer(words: &[String], kind: usize) -> Vec<u8> {
    let line = |kind: &str, size: usize| {
        let rest = "x".repeat(size);
        [kind.as_bytes(), HOSTILE, rest.as_bytes(), HOSTILE, b"\r\n"].concat()
    };
    match kind {
        0 => line("-ERR ", 10),
        1 => line("-NOPERM ", LARGE),
        2 => line("-", 10),
        3 => line("+", 10),
        4 => bulk('!', "ERR ", 10),
        5 => bulk('!', "WRONGTYPE ", LARGE),
        6 => bulk('$', "", 10),
        7 => bulk('$', "", LARGE),
        8 => [b"*2\r\n", &bulk('$', "", 100)[..], &bulk('!', "LOADING ", LARGE)].concat(),
        _ => in_form(words),
    }
}

/// An answer of the form that the command has, with hostile texts in it.
fn in_form(words: &[String]) -> Vec<u8> {
    let text = bulk('$', "", 1_000);
    match words[0].as_str() {
        "HELLO" => {
            let head = b"%4\r\n+server\r\n+redis\r\n+version\r\n+7.0.0\r\n+role\r\n";
            [head, &text[..], b"+mode\r\n", &text[..]].concat()
        }
        "INFO" => bulk('=', "txt:maxmemory:1\r\nmaxmemory_policy:a\r\nrole:", 1_000),
        "CONFIG" => [format!("%1\r\n+{}\r\n", words[2]).as_bytes(), &text].concat(),
        _ => text,
    }
}

/// Answers each third command with a hostile answer, until each command got each once.
fn each_hostile(
    seed: u64,
    told: Arc<Mutex<BTreeSet<(String, usize)>>>,
) -> impl FnMut(u64, &[String]) -> Option<Vec<u8>> {
    move |number, words| {
        let mut told = told.lock().unwrap();
        let chosen = (0..KINDS).map(|kind| (words[0].clone(), kind)).find(|it| !told.contains(it));
        let (command, kind) = chosen.filter(|_| (number + seed).is_multiple_of(3))?;
        told.insert((command, kind));
        Some(answer(words, kind))
    }
}

/// A stream with a group, both with names that are hostile too.
fn redis() -> Redis {
    let redis = Redis::start();
    let mut connection = redis.connect();
    for name in [b"plain", HOSTILE] {
        let mut pipeline = redis::pipe();
        pipeline.cmd("XGROUP").arg("CREATE").arg(name).arg(name).arg("0").arg("MKSTREAM").ignore();
        (0..300).for_each(|_| {
            pipeline.cmd("XADD").arg(name).arg("*").arg("field").arg(HOSTILE).ignore();
        });
        let read = pipeline.cmd("XREADGROUP").arg("GROUP").arg(name).arg(name).arg("COUNT").arg(5);
        read.arg("STREAMS").arg(name).arg(">").ignore();
        pipeline.query::<()>(&mut connection).unwrap();
    }
    redis
}

#[test]
fn a_sidecar_stays_readable_and_small_whatever_a_server_answers() {
    let Some(redis) = trimming(redis()) else { return };
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let impostor = Impostor::before(redis.port(), each_hostile(0, Arc::clone(&told)));
    let config = "consumers: {metrics: true}\nentries: {last: 2}\n\
        streams: [{match: '*', retention: {max_length: 100, interval: 1s}}]\n\
        retention: {lease_ttl: 1s}";
    let sidecar = Sidecar::with_config(&impostor.uri(), config);
    let look = |what: &str| {
        check(what, &sidecar.log());
        check(what, &sidecar.get("/metrics").text());
        for path in ["/api/v1/streams", "/api/v1/groups"] {
            let document = sidecar.get(path).text();
            // It is one line; each of its texts counts.
            check(what, &document.replace(',', "\n"));
        }
        check_memory(what, peak_kib(sidecar.id()).unwrap());
    };
    wait_for("many kinds of answers", || {
        look("while it is answered so");
        (told.lock().unwrap().len() >= 5 * KINDS).then_some(())
    });
    impostor.rule(|_, _| None);
    sidecar.wait("a reading", |page| page.own("streamwarden_redis_up") == 1.0);
    look("afterwards");
}

#[test]
fn every_command_stays_readable_and_small_whatever_a_server_answers() {
    let Some(redis) = trimming(redis()) else { return };
    let impostor = Impostor::before(redis.port(), |_, _| None);
    let commands: [&[&str]; 15] = [
        &["dead-letter", "plain", "plain", "--deliveries", "1", "--idle", "0s", "--yes"],
        &["dead-letters", "show", "plain", "--show"],
        &["replay", "plain", "--yes"],
        &["claim", "plain", "plain", "--from", "a", "--to", "b", "--idle", "0s", "--yes"],
        &["reap-consumers", "plain", "plain", "--yes"],
        &["pending", "plain", "--show"],
        &["entries", "plain", "--show"],
        &["status", "--every", "10ms"],
        &["status", "plain", "--every", "10ms"],
        &["doctor"],
        &["doctor", "--user", "default"],
        &["trim", "plain", "--max-length", "100", "--yes"],
        &["bench", "--duration", "1s"],
        &["acl"],
        &["check-config", "--cost", "--poll-interval", "100ms"],
    ];
    for arguments in commands {
        let told = Arc::default();
        for seed in 0..8 {
            impostor.rule(each_hostile(seed, Arc::clone(&told)));
            run(&impostor.uri(), arguments);
        }
        assert!(!told.lock().unwrap().is_empty(), "{arguments:?} got no hostile answer");
        // One answer to everything; and a server that says nothing bad but who it is.
        for kind in [0, 5, 7] {
            impostor.rule(move |_, words| Some(answer(words, kind)));
            run(&impostor.uri(), arguments);
        }
        impostor.rule(|_, words| {
            matches!(words[0].as_str(), "HELLO" | "INFO" | "CONFIG").then(|| in_form(words))
        });
        run(&impostor.uri(), arguments);
    }
}

#[test]
fn a_lease_of_fifty_megabytes_is_held_by_another_and_by_no_memory() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<u64>("SETRANGE streamwarden:retention:lease 52428799 x");
    let config = "streams: [{match: s, retention: {max_length: 100}}]\nretention: {lease_ttl: 1s}";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    wait_for("its holder to be seen", || sidecar.log().contains("has a new holder").then_some(()));
    sidecar.next_poll();
    let log = sidecar.log();
    assert!(log.contains("(52428800 bytes)\",\"held_here\":false"), "{log:.3000}");
    check("the log", &log);
    check_memory("the lease", peak_kib(sidecar.id()).unwrap());
}

#[test]
fn a_configuration_that_becomes_a_gibibyte_is_refused_and_the_running_one_stays() {
    let redis = Redis::start();
    let sidecar = Sidecar::with_config(&redis.uri(), "");
    let file = sidecar.configuration();
    File::options().write(true).open(&file).unwrap().set_len(GIBIBYTE).unwrap();
    sidecar.signal("HUP");
    sidecar.wait("the refusal", |page| page.own("streamwarden_config_last_reload_successful") == 0.0);
    let words =
        format!("cannot read {}: it has 1073741824 bytes, more than the 1048576 allowed", file.display());
    assert!(sidecar.log().contains(&words), "{:.3000}", sidecar.log());
    assert_eq!(sidecar.next_poll().own("streamwarden_redis_up"), 1.0);
    check_memory("the file", peak_kib(sidecar.id()).unwrap());
    let many: String = (0..20_000).map(|number| format!("unknown_{number}: \"\\e[2J\"\n")).collect();
    sidecar.configure(&many);
    sidecar.signal("HUP");
    wait_for("the problems", || sidecar.log().contains("more problems").then_some(()));
    check("the log", &sidecar.log());
    sidecar.configure("");
    sidecar.wait("the file that is right again", |page| {
        page.own("streamwarden_config_last_reload_successful") == 1.0
    });
}

#[test]
fn no_file_is_read_beyond_what_it_may_have_and_no_pipe_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (large, pipe, config) = (path("large"), path("pipe"), path("config.yaml"));
    File::create(&large).unwrap().set_len(GIBIBYTE).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for file in [&large, &pipe] {
        let words = format!("cannot read {file}: ");
        let (code, said) = run("redis://127.0.0.1:1", &["check-config", "--config", file]);
        assert!(code == Some(2) && said.contains(&words), "{said}");
        write(
            Path::new(&config),
            &format!(
                "redis: {{uri_file: {file}, tls: {{ca_file: {file}, cert_file: {file}, key_file: {file}}}}}\n\
             http: {{trim_token_file: {file}}}"
            ),
        );
        let (code, said) = run("", &["check-config", "--config", &config]);
        assert!(code == Some(2) && said.matches(&words).count() == 5, "{said}");
    }
}

#[test]
fn an_error_of_the_connection_names_where_it_was_tried_and_never_who_logs_in() {
    let port = support::free_port();
    let uri = format!("redis://user-name:s3cret-word@127.0.0.1:{port}/0");
    let commands: [&[&str]; 6] = [
        &["status"],
        &["status", "s"],
        &["trim", "s", "--max-length", "1", "--yes"],
        &["check-config", "--cost"],
        &["acl"],
        &["doctor"],
    ];
    for arguments in commands {
        let (_, said) = run(&uri, arguments);
        assert!(said.contains(&format!("127.0.0.1:{port}")), "{arguments:?}: {said}");
    }
}

#[test]
fn what_a_client_sends_comes_back_short_and_readable() {
    let redis = redis();
    let directory = tempfile::tempdir().unwrap();
    let (file, token) = (directory.path().join("token"), "0123456789abcdef0123456789abcdef");
    write(&file, token);
    let config = format!("http: {{trim_token_file: {}}}", file.display());
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    let hostile = "\u{9b}2J\u{202e}\u{7f}\\u001b[2J".repeat(100);
    let key = "%1B%5B2J%E2%80%AE%FF".repeat(500);
    for (method, key, body) in [
        ("POST", "plain", format!("{{\"max_length\": 1, \"{hostile}\": 1}}")),
        ("POST", "plain", format!("{{\"max_length\": 1, \"mode\": \"{hostile}\"}}")),
        ("POST", &key, "{\"max_length\": 1}".to_owned()),
        ("GET", &key, String::new()),
    ] {
        let path = format!("/api/v1/streams/{key}{}", if method == "POST" { "/trim" } else { "" });
        let headers = format!(
            "authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n{body}");
        let answer = sidecar.send(request.as_bytes());
        assert!(matches!(answer.status, 400 | 404), "{}", answer.head);
        assert!(answer.body.len() < 1_000, "{}", answer.text());
        check("the answer", &answer.text());
    }
    check("the log", &sidecar.log());
}

#[test]
fn what_is_no_sidecar_can_say_nothing_to_a_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    // JSON is UTF-8.
    let readable = HOSTILE.utf8_chunks().map(|chunk| chunk.valid()).collect::<String>();
    let (text, long) = (readable, "x".repeat(1_000_000));
    let problem = serde_json::json!({
        "type": "", "title": "", "status": 500, "detail": format!("{text}{long}"),
    });
    let answers =
        [("500 No", problem.to_string()), ("500 No", text.clone() + &long), ("200 OK", text + &long)];
    for (status, body) in answers {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let listener = listener.try_clone().unwrap();
        let served = thread::spawn(move || {
            for _ in 0..2 {
                let mut client = listener.accept().unwrap().0;
                client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                assert!(client.read(&mut [0; 4096]).unwrap() > 0);
                // It may hang up before it has read all.
                drop(client.write_all(answer.as_bytes()));
                drop(client.read(&mut [0; 1]));
            }
        });
        for arguments in [&["status", "--url", &url][..], &["status", "--json", "--url", &url]] {
            let (code, said) = run("", arguments);
            assert!(code == Some(3) && said.starts_with("error: "), "{said}");
        }
        served.join().unwrap();
    }
}

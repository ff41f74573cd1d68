//! The HTTP surface: what each path answers, and what a slow or greedy client gets.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use flate2::read::GzDecoder;

use support::{Page, Redis, Sidecar};

fn with_stream() -> (Redis, Sidecar) {
    let redis = Redis::start();
    redis.add("s", 3);
    redis.run::<()>("XGROUP CREATE s g 0");
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(3.0));
    (redis, sidecar)
}

#[test]
fn metrics_come_in_the_format_and_encoding_that_the_scraper_takes() {
    let (_redis, sidecar) = with_stream();
    let text = sidecar.get("/metrics");
    assert_eq!(text.header("content-type").as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(text.header("vary").as_deref(), Some("Accept, Accept-Encoding"));
    assert!(text.text().contains("\n# TYPE streamwarden_polls_total counter\n"));

    let accept = "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let open_metrics = sidecar.request("GET", "/metrics", accept);
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open_metrics.header("content-type").as_deref(), Some(expected));
    let body = open_metrics.text();
    assert!(body.ends_with("# EOF\n"));
    assert!(
        body.contains("\n# TYPE streamwarden_polls counter\n")
            && body.contains("\nstreamwarden_polls_total ")
    );
    assert!(body.contains("\n# UNIT streamwarden_poll_duration_seconds seconds\n"));
    assert!(body.contains("\n# TYPE streamwarden_redis info\n"));

    for accept in ["", accept] {
        let zipped = sidecar.request("GET", "/metrics", &format!("{accept}accept-encoding: gzip\r\n"));
        assert_eq!(zipped.header("content-encoding").as_deref(), Some("gzip"));
        let mut plain = String::new();
        GzDecoder::new(zipped.body.as_slice()).read_to_string(&mut plain).unwrap();
        assert!(plain.contains("\nstreamwarden_stream_length{db=\"db0\",stream=\"s\"} 3\n"));
        assert_eq!(plain.ends_with("# EOF\n"), !accept.is_empty());
    }
}

#[test]
fn each_path_takes_get_and_head_only() {
    let (_redis, sidecar) = with_stream();
    for path in ["/", "/metrics", "/livez", "/readyz", "/readyz?strict=1"] {
        let get = sidecar.get(path);
        assert_eq!(get.status, 200, "{path}");
        assert_eq!(get.header("x-content-type-options").as_deref(), Some("nosniff"));
        let head = sidecar.request("HEAD", path, "");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert!(head.header("content-length").unwrap().parse::<usize>().unwrap() > 0);
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let refused = sidecar.request(method, path, "");
            assert_eq!(refused.status, 405, "{method} {path}");
            assert_eq!(refused.header("allow").as_deref(), Some("GET, HEAD"));
        }
    }
    assert!(sidecar.get("/").text().contains("href=\"/metrics\""));
}

#[test]
fn the_page_is_sent_once_and_may_do_nothing_but_read() {
    let (_redis, sidecar) = with_stream();
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let sent = sidecar.get(path);
        assert_eq!(
            (sent.status, sent.header("content-type").as_deref()),
            (200, Some(content_type)),
            "{path}"
        );
        let policy = sent.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"));
        let tag = sent.header("etag").unwrap();
        let again = sidecar.request("GET", path, &format!("if-none-match: \"other\", {tag}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(sidecar.request("POST", path, "").status, 405, "{path}");
    }
    assert_eq!(sidecar.get("/page/").status, 404);
    assert_eq!(sidecar.get("/page/page.rs").status, 404);
}

#[test]
fn unknown_paths_are_not_found_whatever_their_spelling() {
    let (_redis, sidecar) = with_stream();
    for path in
        ["/nothing", "/metrics/", "//metrics", "/%6Detrics", "/../etc/passwd", "/METRICS", "/metrics%00", "*"]
    {
        let status = sidecar.get(path).status;
        assert!([404, 400].contains(&status), "{path}: {status}");
    }
}

#[test]
fn malformed_and_oversized_requests_are_refused() {
    let (_redis, sidecar) = with_stream();
    let status = |request: &str| sidecar.send(request.as_bytes()).status;
    assert_eq!(status("GET /metrics HTTP/1.1\r\nconnection: close\r\n\r\n"), 400, "no Host");
    assert_eq!(status("nonsense\r\n\r\n"), 400);
    let many: String = (0..100).map(|number| format!("h{number}: v\r\n")).collect();
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nhost: t\r\n{many}\r\n")), 431, "too many headers");
    let long = "x".repeat(64 * 1024);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nhost: t\r\nh: {long}\r\n\r\n")), 431, "a long header");
    assert!([414, 431].contains(&status(&format!("GET /{long} HTTP/1.1\r\nhost: t\r\n\r\n"))), "a long path");
    let announced = "GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 9999999\r\n\r\n";
    assert_eq!(status(announced), 413, "a large body");
    let smuggled = "GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde";
    assert_eq!(status(smuggled), 400, "two lengths");
    assert_eq!(sidecar.get("/livez").status, 200);
}

#[test]
fn a_client_that_does_not_finish_its_request_is_cut_off() {
    let (_redis, sidecar) = with_stream();
    for beginning in ["", "GET /metrics HTTP/1.1\r\nhost: "] {
        let mut stream = TcpStream::connect(sidecar.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        stream.write_all(beginning.as_bytes()).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the server closes the connection before this test gives up");
    }
}

#[test]
fn connections_beyond_the_limit_are_turned_away_and_the_rest_is_served() {
    let (_redis, sidecar) = with_stream();
    let mut idle: Vec<TcpStream> = (0..128).map(|_| TcpStream::connect(sidecar.address()).unwrap()).collect();
    // The accept loop takes them in order: when one beyond them is answered, they all have a place.
    let refused = sidecar.get("/livez");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("Retry-After").as_deref(), Some("1"));
    idle.truncate(1);
    sidecar.wait_for_a_place();
    sidecar.wait("the count", |page| page.own("streamwarden_http_rejected_connections_total") >= 1.0);
}

#[test]
fn a_reader_that_stops_reading_does_not_hold_others_up() {
    let redis = Redis::start();
    // A page larger than what the sockets' buffers hold.
    let mut pipeline = redis::pipe();
    for number in 0..3_000 {
        let key = format!("a-stream-with-a-name-of-some-length-to-make-the-page-large-{}", number / 10);
        let group = format!("group-{}", number % 10);
        pipeline.cmd("XGROUP").arg("CREATE").arg(key).arg(group).arg(0).arg("MKSTREAM").ignore();
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == 300);
    let _stuck: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(sidecar.address()).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: t\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let page: Page = sidecar.next_poll();
    assert_eq!(page.count("streamwarden_stream_length"), 300);
}

//! What an address says, and what is refused. The documentation's tables of addresses are run against servers in `tests/it`.

use proptest::prelude::*;

use super::{AddressError as Wrong, *};

fn parse(text: &str) -> Result<Address, Vec<AddressError>> {
    Address::parse(&SecretString::from(text))
}

fn wrong(text: &str) -> Vec<AddressError> {
    parse(text).map_or_else(|errors| errors, |address| panic!("{text} is {address}"))
}

fn tcp(host: &str, port: u16) -> Route {
    Route::Tcp(NodeAddress::new(host, port).unwrap())
}

#[test]
fn each_part_is_honoured() {
    let tls = |host: &str, port| Route::Tls(NodeAddress::new(host, port).unwrap());
    let unix = |path: &str| Route::Unix(PathBuf::from(path));
    let nobody = None;
    for (uri, route, login, database) in [
        ("redis://localhost", tcp("localhost", 6379), nobody, 0),
        ("REDIS://Redis_1.example.:1/", tcp("Redis_1.example.", 1), nobody, 0),
        ("rediss://default:secret@host:6380/3", tls("host", 6380), Some(("default", "secret")), 3),
        ("valkey://h?", tcp("h", 6379), nobody, 0),
        ("valkeys://h/?db=2", tls("h", 6379), nobody, 2),
        ("redis://h/2?db=2", tcp("h", 6379), nobody, 2),
        ("redis://:p%40ss@10.0.0.1:7000", tcp("10.0.0.1", 7000), Some(("default", "p@ss")), 0),
        ("redis://u:a:b@c%25@h", tcp("h", 6379), Some(("u", "a:b@c%")), 0),
        ("redis://u:é%C3%A9@h", tcp("h", 6379), Some(("u", "éé")), 0),
        ("redis://watcher@h", tcp("h", 6379), Some(("watcher", "")), 0),
        ("redis://watcher:@h", tcp("h", 6379), Some(("watcher", "")), 0),
        ("redis://:@h", tcp("h", 6379), nobody, 0),
        ("redis://@h", tcp("h", 6379), nobody, 0),
        ("redis://h?user=u&pass=%2Bp&db=1", tcp("h", 6379), Some(("u", "+p")), 1),
        ("redis://u:p@h?username=u&password=p", tcp("h", 6379), Some(("u", "p")), 0),
        ("redis://[::1]:7", tcp("::1", 7), nobody, 0),
        ("rediss://u@[2001:DB8:0::1]", tls("2001:db8::1", 6379), Some(("u", "")), 0),
        ("redis+unix:///run/redis.sock?db=2", unix("/run/redis.sock"), nobody, 2),
        ("unix://u:p@/run/a%3Fb?protocol=resp2", unix("/run/a?b"), Some(("u", "p")), 0),
        ("valkey+unix:///s?user=u", unix("/s"), Some(("u", "")), 0),
        ("unix:///s?pass=p", unix("/s"), Some(("default", "p")), 0),
    ] {
        let address = parse(uri).unwrap_or_else(|errors| panic!("{uri}: {errors:?}"));
        assert_eq!(
            (address.route(), address.login(), address.database()),
            (Some(&route), login, database),
            "{uri}"
        );
    }
}

#[test]
fn sentinels_are_named_with_the_service_that_they_watch() {
    let sentinels = |hosts: &[(&str, u16)]| -> Vec<NodeAddress> {
        hosts.iter().map(|(name, port)| NodeAddress::new(name, *port).unwrap()).collect()
    };
    let one = sentinels(&[("h", 26379)]);
    for (uri, hosts, name, login, database, is_tls) in [
        ("redis+sentinel://h/mymaster", one.clone(), "mymaster", None, 0, false),
        ("REDISS+sentinel://h:26379/a.b-c_1/3", one.clone(), "a.b-c_1", None, 3, true),
        ("valkeys+sentinel://h/m?db=2", one.clone(), "m", None, 2, true),
        ("valkey+sentinel://u:p%40@h/a%20b/0", one.clone(), "a b", Some(("u", "p@")), 0, false),
        (
            "redis+sentinel://:p@a,b:1,[::1],[2001:DB8:0::1]:2/m",
            sentinels(&[("a", 26379), ("b", 1), ("::1", 26379), ("2001:db8::1", 2)]),
            "m",
            Some(("default", "p")),
            0,
            false,
        ),
    ] {
        let address = parse(uri).unwrap_or_else(|errors| panic!("{uri}: {errors:?}"));
        let service = Service { name: name.to_owned(), sentinels: hosts, is_tls };
        assert_eq!((address.route(), address.service()), (None, Some(&service)), "{uri}");
        assert_eq!((address.login(), address.database(), address.is_tls()), (login, database, is_tls));
        let node = NodeAddress::new("10.0.0.1", 1).unwrap();
        let primary = address.at(node.clone());
        let route = Route::to(node, is_tls);
        assert_eq!((primary.route(), primary.service()), (Some(&route), None));
        assert_eq!((primary.login(), primary.database()), (login, database), "{uri}");
    }
}

#[test]
fn each_wrong_sentinel_is_reported_by_its_place() {
    let errors = wrong("redis+sentinel://a,,h:0,[x],::1,b c:1/".replace(' ', "%").as_str());
    let places: Vec<usize> =
        errors.iter().map(|error| if let Wrong::Sentinel(place, _) = error { *place } else { 0 }).collect();
    assert_eq!(places, [2, 3, 4, 5, 6, 0], "{errors:?}");
    assert_eq!(errors.last(), Some(&Wrong::NoService));
}

#[test]
fn a_protocol_may_be_named() {
    for (uri, protocol) in [
        ("redis://h", None),
        ("redis://h?protocol=resp2", Some(Resp::V2)),
        ("redis://h?protocol=2", Some(Resp::V2)),
        ("unix:///s?protocol=resp3", Some(Resp::V3)),
        ("unix:///s?protocol=3", Some(Resp::V3)),
    ] {
        assert_eq!(parse(uri).unwrap().protocol(), protocol, "{uri}");
    }
}

const REFUSED: &[(&str, AddressError)] = &[
    ("", Wrong::Form),
    ("localhost:6379", Wrong::Form),
    ("s3cret://h", Wrong::Form),
    ("unix:/run/redis.sock", Wrong::Form),
    (" redis://h", Wrong::Control),
    ("redis://h\n", Wrong::Control),
    ("redis://u:a\tb@h", Wrong::Control),
    ("redis://u:s3#cret@h", Wrong::Fragment),
    ("redis://h/#", Wrong::Fragment),
    ("rediss://h/#insecure", Wrong::Insecure),
    ("redis://u:s3/cret@h", Wrong::Unencoded),
    ("redis://u:s3?cret@h", Wrong::Unencoded),
    ("redis://u:s@3/cret@h", Wrong::Unencoded),
    ("redis://u:s3%cret@h", Wrong::Percent("password")),
    ("redis://u%4:s3cret@h", Wrong::Percent("user")),
    ("unix:///run/%zz", Wrong::Percent("socket's path")),
    ("unix:///s?user=%", Wrong::Percent("user")),
    ("redis://:%FF@h", Wrong::NotUtf8("password")),
    ("unix:///%ff", Wrong::NotUtf8("socket's path")),
    ("redis://", Wrong::NoHost),
    ("redis:///0", Wrong::NoHost),
    ("redis://:6379", Wrong::NoHost),
    ("redis://user:s3cret@", Wrong::NoHost),
    ("redis://a,b:1,c", Wrong::Hosts),
    ("redis://a:1,b:2", Wrong::Hosts),
    ("redis://${HOST}", Wrong::Host),
    ("redis://hôst", Wrong::Host),
    ("redis://a%62", Wrong::Host),
    ("redis://::1", Wrong::Host),
    ("redis://user:s3cret:6379", Wrong::Host),
    ("redis://[::1", Wrong::Ipv6),
    ("redis://[host]", Wrong::Ipv6),
    ("redis://[fe80::1%25eth0]", Wrong::Ipv6),
    ("unix://user:a@/b@/run/redis.sock", Wrong::Unencoded),
    ("redis://h:", Wrong::Port),
    ("redis://h:0", Wrong::Port),
    ("redis://h:65536", Wrong::Port),
    ("redis://h:+1", Wrong::Port),
    ("redis://user:s3cret", Wrong::Port),
    ("redis://[::1]6379", Wrong::Port),
    ("redis://h/abc", Wrong::Path),
    ("redis://h/0/1", Wrong::Path),
    ("redis://h/1/", Wrong::Path),
    ("redis://h//", Wrong::Path),
    ("redis://h/-1", Wrong::Path),
    ("redis://h/1234567890", Wrong::Path),
    ("unix://run/redis.sock", Wrong::SocketHost),
    ("unix://u:s3/cret@/run/redis.sock", Wrong::Unencoded),
    ("redis+sentinel://u:s3/cret@h/m", Wrong::Unencoded),
    ("redis+sentinel://h", Wrong::NoService),
    ("redis+sentinel://h:26379/", Wrong::NoService),
    ("redis+sentinel://h//0", Wrong::NoService),
    ("redis+sentinel://h/m/", Wrong::ServicePath),
    ("redis+sentinel://h/m/x", Wrong::ServicePath),
    ("redis+sentinel://h/m/0/1", Wrong::ServicePath),
    ("redis+sentinel://h/m%0A", Wrong::ServicePath),
    ("redis+sentinel://h/m%", Wrong::Percent("service")),
    ("redis+sentinel://h/m/3?db=2", Wrong::Differ("database", "its path", "db")),
    ("unix:///", Wrong::NoSocket),
    ("unix://", Wrong::NoSocket),
    ("unix:///a%00b", Wrong::NoSocket),
    ("redis://h?db=", Wrong::Value("?db=", "not the number of a database")),
    ("redis://h?db=+1", Wrong::Value("?db=", "not the number of a database")),
    ("redis://h?protocol=4", Wrong::Value("?protocol=", "neither resp2 nor resp3")),
    ("redis://h?s3cret=1", Wrong::UnknownParameter(1)),
    ("redis://h?db=1&", Wrong::UnknownParameter(2)),
    ("redis://h?DB=1", Wrong::UnknownParameter(1)),
    ("redis://h?db=1&db=1", Wrong::Twice("db")),
    ("redis://h?pass=a&password=a", Wrong::Twice("password")),
    ("unix:///s?pass=s3+cret", Wrong::Plus("password")),
    ("redis://h/3?db=2", Wrong::Differ("database", "its path", "db")),
    ("redis://u@h?user=w", Wrong::Differ("user", "front of the host", "user")),
    ("unix://u:a@/s?password=b", Wrong::Differ("password", "front of the host", "password")),
];

#[test]
fn what_is_not_honoured_is_refused() {
    for (uri, error) in REFUSED {
        assert_eq!(wrong(uri), [*error], "{uri}");
    }
}

#[test]
fn names_of_other_clients_are_refused_with_what_to_write_instead() {
    for (uri, words) in [
        ("redis-sentinel://h/mymaster", "begins with redis-sentinel://; write redis+sentinel://host:26379,"),
        (
            "redis://h?sentinel_password=x",
            "has the parameter sentinel_password; write redis.sentinel.password",
        ),
        (
            "rediss+cluster://h",
            "begins with rediss+cluster://; write redis://host:6379 with any node of the cluster",
        ),
        ("http://h", "begins with http://; write redis://host:6379"),
        ("redis+ssl://h", "begins with redis+ssl://; write rediss://"),
        ("redis://h?database=2", "has the parameter database; write ?db=N"),
        (
            "rediss://h?ssl_cert_reqs=none",
            "has the parameter ssl_cert_reqs; certificates are always verified",
        ),
        ("redis://h?Timeout=5", "has the parameter timeout; write redis.connect_timeout"),
    ] {
        let errors: Vec<String> = wrong(uri).iter().map(ToString::to_string).collect();
        assert!(errors.len() == 1 && errors[0].starts_with(words), "{uri}: {errors:?}");
    }
}

#[test]
fn all_that_is_wrong_is_reported_together() {
    let errors = wrong("rediss://u:%@h:0/x?a=1&timeout=1&db=x#insecure");
    assert_eq!(errors.len(), 7, "{errors:?}");
}

#[test]
fn upstash_is_known_by_its_domain() {
    for (uri, is_upstash) in [
        ("rediss://default:secret@eu1-calm-cat-1.upstash.io:6379", true),
        ("rediss://default:secret@EU1-calm-cat-1.Upstash.io", true),
        ("redis://upstash.io.example", false),
        ("redis://notupstash.io", false),
        ("redis+unix:///run/x.upstash.io", false),
    ] {
        assert_eq!(parse(uri).unwrap().is_upstash(), is_upstash, "{uri}");
    }
}

#[test]
fn the_default_port_and_a_sockets_are_no_part_of_the_endpoint() {
    for (uri, address, port) in [
        ("redis://host", "host", None),
        ("rediss://host:6380", "host", Some(6380)),
        ("redis+unix:///run/redis.sock", "/run/redis.sock", None),
    ] {
        assert_eq!(parse(uri).unwrap().endpoint(), Endpoint { address: address.to_owned(), port });
    }
}

#[test]
fn it_prints_without_its_secrets_and_is_written_for_others_as_the_same_place() {
    for (uri, shown, written) in [
        ("rediss://u:s3cret@[::1]/3", "[::1]:6379", "rediss://ADMIN:WORD@[::1]:6379/3"),
        ("redis://u:s3cret@h:1", "h:1", "redis://ADMIN:WORD@h:1/0"),
        ("unix:///a%20%25?db=2&pass=s3cret", "/a %", "unix://ADMIN:WORD@/a%20%25?db=2"),
        (
            "rediss+sentinel://u:s3cret@a,[::1]:1/m%2F%20/3",
            "a:26379,[::1]:1/m/ ",
            "rediss+sentinel://ADMIN:WORD@a:26379,[::1]:1/m%2F%20/3",
        ),
    ] {
        let address = parse(uri).unwrap();
        assert_eq!(
            (address.to_string(), format!("{address:?}")),
            (shown.to_owned(), format!("Address({shown})"))
        );
        assert_eq!(address.written_for("ADMIN", "WORD"), written);
        let again = parse(written).unwrap();
        assert_eq!((again.route(), again.database()), (address.route(), address.database()));
        assert_eq!(again.service(), address.service());
        assert_eq!(again.login(), Some(("ADMIN", "WORD")));
    }
}

/// What delimits parts, and letters that no message has.
const OF_PASSWORD: &str = "[QXZ/?#@%&=:\\[\\],+ ]{4,24}";

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), prefix in 0..4_usize) {
        let prefix = ["", "redis://", "unix:///", "rediss://u:p@h/0?"][prefix];
        let text = format!("{prefix}{}", String::from_utf8_lossy(&bytes));
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.is_empty());
        }
    }

    #[test]
    fn no_error_repeats_a_piece_of_a_password(password in OF_PASSWORD, form in 0..6_usize) {
        let uri = [
            format!("redis://user:{password}@host:6379/0"),
            format!("rediss://:{password}@host"),
            format!("redis://{password}"),
            format!("unix://user:{password}@/run/redis.sock"),
            format!("redis+unix:///run/redis.sock?user=u&password={password}"),
            format!("redis+sentinel://user:{password}@h,h/m"),
        ][form].clone();
        let printed = match parse(&uri) {
            Ok(address) if form != 2 => address.to_string(),
            Ok(_) => String::new(),
            Err(errors) => errors.iter().map(|error| format!("{error} {error:?}")).collect(),
        };
        let letters: Vec<char> = password.chars().collect();
        for piece in letters.windows(4).filter(|piece| piece.iter().any(|letter| "QXZ".contains(*letter))) {
            let piece: String = piece.iter().collect();
            prop_assert!(!printed.contains(&piece), "{uri}: {printed}");
        }
    }

    #[test]
    fn any_user_and_password_come_back_from_their_encoded_form(user in "\\PC{1,12}", password in "\\PC{0,12}") {
        let encode = |text: &str| utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        for uri in [
            format!("redis://{}:{}@h", encode(&user), encode(&password)),
            format!("unix:///s?user={}&pass={}", encode(&user), encode(&password)),
        ] {
            let address = parse(&uri).unwrap();
            prop_assert_eq!(address.login(), Some((user.as_str(), password.as_str())));
        }
    }
}

//! Tests with replies in both shapes, valid and invalid.

use std::time::Duration;

use nonmax::NonMaxU64;
use proptest::prelude::*;

use super::{fields::*, names::Names, reply::*, resp::Reply, resp::tests::reply, stream_reply::*};
use crate::model::*;

const NOW: ServerTime = ServerTime(1_800_000_000_000);

#[test]
fn a_primary_names_its_replicas_in_its_role() {
    let of = |words: &str| {
        let replicas = replicas(&Reply::whole(&bytes::Bytes::from(words.to_owned())).unwrap()).unwrap();
        replicas.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let one = |host: &str, port: &str| {
        format!("*3\r\n${}\r\n{host}\r\n${}\r\n{port}\r\n$1\r\n7\r\n", host.len(), port.len())
    };
    let all = [one("10.0.0.7", "6379"), one("::1", "7000"), one("", "0")].concat();
    assert_eq!(of(&format!("*3\r\n$6\r\nmaster\r\n:7\r\n*3\r\n{all}")), ["10.0.0.7:6379", "[::1]:7000"]);
    assert_eq!(of("*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:7\r\n"), [""; 0]);
}

/// The state in a reply to `XINFO STREAM FULL`, read with these settings changed.
fn full_state(reply: &Reply, change: impl FnOnce(&mut ReadWith<'_>)) -> Parsed<StreamState> {
    let names = Names::default();
    let mut reading = reading(&names);
    change(&mut reading);
    stream_full(reply, reading)
}

fn reading(names: &Names) -> ReadWith<'_> {
    let (max_groups, max_consumers, stuck_after) = (10, 20, Duration::from_secs(300));
    ReadWith { names, time: Some(NOW), max_groups, expected: &[], max_consumers, stuck_after }
}

fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
}

fn int(number: i64) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

fn nil() -> Vec<u8> {
    b"$-1\r\n".to_vec()
}

fn list(parts: &[Vec<u8>]) -> Vec<u8> {
    [format!("*{}\r\n", parts.len()).into_bytes(), parts.concat()].concat()
}

/// Named values in the shape of RESP3 or of RESP2.
fn fields(resp3: bool, pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let head = if resp3 { format!("%{}\r\n", pairs.len()) } else { format!("*{}\r\n", pairs.len() * 2) };
    pairs.iter().fold(head.into_bytes(), |all, (name, value)| [all, text(name), value.clone()].concat())
}

fn pending(id: &str) -> Vec<u8> {
    list(&[text(id), text("alice"), int(1_799_999_999_000), int(3)])
}

/// The reply of Redis 7.2 for a stream with one group of two consumers.
fn full(resp3: bool) -> Vec<u8> {
    fields(resp3, &full_fields(resp3))
}

fn full_fields(resp3: bool) -> Vec<(&'static str, Vec<u8>)> {
    let consumer = |name, pending, active| {
        fields(
            resp3,
            &[
                ("name", text(name)),
                ("seen-time", int(1_799_999_998_000)),
                ("active-time", int(active)),
                ("pel-count", int(pending)),
                ("pending", list(&[])),
            ],
        )
    };
    let group = fields(
        resp3,
        &[
            ("name", text(b"g\xff")),
            ("last-delivered-id", text("7-1")),
            ("entries-read", nil()),
            ("lag", int(-989)),
            ("pel-count", int(5)),
            ("pending", list(&[pending("3-0")])),
            ("consumers", list(&[consumer("idle", 1, -1), consumer("alice", 4, 1_799_999_000_000)])),
        ],
    );
    vec![
        ("length", int(8)),
        ("radix-tree-keys", int(1)),
        ("radix-tree-nodes", int(2)),
        ("last-generated-id", text("9-0")),
        ("max-deleted-entry-id", text("0-0")),
        ("entries-added", int(12)),
        ("something-new", b",1.5\r\n".to_vec()),
        ("entries", list(&[list(&[text("2-0"), list(&[text("f"), text("value")])])])),
        ("groups", list(&[group])),
    ]
}

#[test]
fn both_shapes_give_the_same_state() {
    let (maps, arrays) =
        (full_state(&reply(full(true)), |_| {}).unwrap(), full_state(&reply(full(false)), |_| {}).unwrap());
    assert_eq!(maps, arrays);
    let stream = maps;
    assert_eq!((stream.length, stream.entries_added), (8, Some(12)));
    assert_eq!(stream.first_entry_id, Some(StreamId::new(2, 0)));
    assert_eq!(stream.first_entry_bytes, 9, "2-0, f and value");

    let group = stream.groups.get(&Name::from(&b"g\xff"[..])).unwrap();
    assert_eq!(group.entries_read, None);
    let oldest = OldestPending { id: StreamId::new(3, 0), idle: Some(Millis::new(1_000)), deliveries: 3 };
    assert_eq!(group.oldest_pending, Pending::Oldest(oldest));
    assert_eq!(group.consumers[0].name, Name::from("alice"));
    assert_eq!(group.consumers[0].inactive, Some(Millis::new(1_000_000)));
    assert_eq!(group.consumers[1].inactive, None, "-1 means never");
    assert_eq!(group.consumers[1].idle, Some(Millis::new(2_000)));
    assert_eq!(
        group.stuck_consumers, None,
        "the server has forgotten when bob received the entry that it holds"
    );
    let stream =
        full_state(&reply(full(true)), |reading| reading.stuck_after = Duration::from_secs(1)).unwrap();
    let stuck = stream.groups.values().next().unwrap().stuck_consumers;
    assert_eq!(
        stuck,
        NonMaxU64::new(2),
        "alice has received nothing for 1,000 s, and bob does nothing for 2 s"
    );
}

#[test]
fn consumers_beyond_the_cap_are_added_up() {
    let stream = full_state(&reply(full(true)), |reading| reading.max_consumers = 1).unwrap();
    let group = stream.groups.values().next().unwrap();
    assert_eq!(
        (group.consumers.len(), group.consumer_count, group.unlisted_pending),
        (1, 2, NonMaxU64::new(1))
    );
}

#[test]
fn without_the_servers_time_durations_are_unknown() {
    let stream = full_state(&reply(full(true)), |reading| reading.time = None).unwrap();
    let group = stream.groups.values().next().unwrap();
    assert!(matches!(group.oldest_pending, Pending::Oldest(OldestPending { idle: None, .. })));
    assert!(group.consumers.iter().all(|consumer| consumer.idle.is_none() && consumer.inactive.is_none()));
}

#[test]
fn a_missing_or_impossible_field_fails_this_stream_with_its_name() {
    for name in ["length", "entries", "groups"] {
        let mut pairs = full_fields(true);
        pairs.retain(|(field, _)| *field != name);
        let failure = full_state(&reply(fields(true, &pairs)), |_| {}).unwrap_err();
        assert_eq!(failure.reason, Reason::UnexpectedReply);
        assert!(failure.detail.contains(name), "{failure}");
    }
    assert!(stream_length(&reply(int(-1))).is_err());
}

#[test]
fn a_negative_count_or_a_duplicate_group_fails_this_stream() {
    let group = |name, pending: &str| {
        let pending = format!(":{pending}\r\n").into_bytes();
        let id = ("last-delivered-id", text("0-0"));
        fields(false, &[("name", text(name)), ("consumers", int(0)), ("pending", pending), id])
    };
    let names = Names::default();
    let read = |rows: &[Vec<u8>]| groups(&reply(list(rows)), reading(&names));
    assert_eq!(read(&[group("a", "0"), group("b", "3")]).unwrap().0.len(), 2);
    for rows in [[group("a", "-1"), group("b", "0")], [group("a", "18446744073709551615"), group("b", "0")]] {
        assert_eq!(read(&rows).unwrap_err().reason, Reason::UnexpectedReply);
    }
    let failure = read(&[group("a", "0"), group("a", "3")]).unwrap_err();
    assert!(failure.reason == Reason::UnexpectedReply && failure.detail.contains("same name"), "{failure}");
}

#[test]
fn groups_beyond_the_cap_are_only_counted_except_expected_ones() {
    let group = |name: &str| {
        let id = ("last-delivered-id", text("0-0"));
        fields(true, &[("consumers", int(0)), ("name", text(name)), ("pending", int(0)), id])
    };
    let reply = reply(list(&["a", "b", "c", "d", "e"].map(group)));
    let (names, expected) = (Names::default(), ["d".into(), "missing".into()]);
    let read = |max_groups| {
        let (groups, others) =
            groups(&reply, ReadWith { max_groups, expected: &expected, ..reading(&names) }).unwrap();
        (groups.keys().map(ToString::to_string).collect::<Vec<_>>(), others)
    };
    assert_eq!(read(2), (["a", "b", "d"].map(str::to_owned).to_vec(), 2));
    assert_eq!(read(4), (["a", "b", "c", "d"].map(str::to_owned).to_vec(), 1));
    assert_eq!(read(5).1, 0);
}

#[test]
fn fields_are_found_in_any_order_and_once() {
    let named = reply(fields(true, &[("a", int(1)), ("b", nil()), ("c", int(3))]));
    let mut taken = Fields::new(named.value().unwrap()).unwrap();
    let numbers = ["c", "a", "b", "d", "c"].map(|name| taken.integer(name));
    assert_eq!(numbers, [Some(3), Some(1), None, None, None]);
}

#[test]
fn servers_report_their_flavour_and_version_in_several_ways() {
    let hello = |server, version| {
        let pairs = [("server", text(server)), ("version", text(version)), ("role", text("master"))];
        hello(&reply(fields(true, &pairs))).unwrap()
    };
    assert_eq!(hello("redis", "8.6.3").version, Some((8, 6, 3)));
    assert_eq!(hello("valkey", "9.1.2").flavour, Flavour::Valkey);
    assert_eq!(hello("redis", "unstable").version, None);
    let old = info(&reply(text("# Server\r\nredis_version:6.0.16\r\nredis_mode:standalone\r\n"))).unwrap();
    assert_eq!((old.version, old.mode.as_deref()), (Some((6, 0, 16)), Some("standalone")));
    let valkey =
        info(&reply(text("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n"))).unwrap();
    assert_eq!((valkey.flavour, valkey.version), (Flavour::Valkey, Some((8, 1, 1))));
    let upstash =
        info(&reply(text("# Server\r\nupstash_version:1.13.3\r\nredis_version:6.2.6\r\n"))).unwrap();
    assert_eq!((upstash.flavour, upstash.version), (Flavour::Upstash, Some((1, 13, 3))));
}

#[test]
fn time_and_scan_pages_are_read() {
    let time = list(&[text("1800000000"), text("123456")]);
    assert_eq!(server_time(&reply(time)).unwrap(), ServerTime(1_800_000_000_123));
    let page = list(&[text("17"), list(&[text("a"), text([0xff])])]);
    assert_eq!(scan_page(&reply(page)).unwrap(), (17, vec![Name::from("a"), Name::from(&[0xff][..])]));
    assert!(scan_page(&reply(list(&[text("x"), list(&[])]))).is_err());
}

#[test]
fn pending_entries_and_ranges_are_read() {
    assert_eq!(pending_entries(&reply(list(&[]))).unwrap(), []);
    let row = list(&[text("3-1"), text("c"), int(1_500), int(i64::MAX)]);
    let deliveries = u64::try_from(i64::MAX).unwrap();
    let entry = OldestPending { id: StreamId::new(3, 1), idle: Some(Millis::new(1_500)), deliveries };
    assert_eq!(pending_entries(&reply(list(&[row]))).unwrap(), [entry]);
    let entry = |id| list(&[text(id), list(&[text("f"), text("v")])]);
    let ids = range_ids(&reply(list(&[entry("2-0"), entry("1-0")]))).unwrap();
    assert_eq!(ids, [StreamId::new(2, 0), StreamId::new(1, 0)]);
}

/// According to the documentation of Redis 8.8, such an entry has no consumer and no time. A fatal one has the greatest number
/// as its count.
#[test]
fn an_entry_that_was_given_back_has_no_idle_time_and_a_fatal_one_has_no_count() {
    let row = |time, count| list(&[text("3-0"), text(""), int(time), int(count)]);
    let group = |row| {
        let pairs = [
            ("name", text("g")),
            ("last-delivered-id", text("7-1")),
            ("pel-count", int(1)),
            ("nacked-count", int(1)),
            ("pending", list(&[row])),
            ("consumers", list(&[])),
        ];
        let mut stream = full_fields(true);
        stream.retain(|(field, _)| *field != "groups");
        stream.push(("groups", list(&[fields(true, &pairs)])));
        let stream = full_state(&reply(fields(true, &stream)), |_| {}).unwrap();
        stream.groups.values().next().unwrap().clone()
    };
    let assert_entry = |entry: OldestPending, deliveries| {
        assert_eq!((entry.idle, entry.counted_deliveries()), (None, deliveries));
        assert!(
            entry.deliveries >= deliveries.unwrap_or(1_000_000),
            "a fatal entry is poison with any threshold"
        );
    };
    for (count, deliveries) in [(2, Some(2)), (0, Some(0)), (i64::MAX, None)] {
        let group = group(row(0, count));
        assert_eq!(group.nacked, Some(1));
        let Pending::Oldest(head) = group.oldest_pending else { panic!("{:?}", group.oldest_pending) };
        assert_entry(head, deliveries);
        let sample = pending_entries(&reply(list(&[row(-1, count)]))).unwrap();
        assert_entry(sample[0], deliveries);
    }
    let summary = list(&[fields(
        false,
        &[
            ("name", text("g")),
            ("consumers", int(1)),
            ("pending", int(4)),
            ("last-delivered-id", text("7-1")),
            ("nacked-count", int(3)),
        ],
    )]);
    let names = Names::default();
    let (groups, _) = groups(&reply(summary), reading(&names)).unwrap();
    assert_eq!(groups.values().next().unwrap().nacked, Some(3));
}

#[test]
fn calls_are_counted_by_command_or_all_together() {
    let calls = |text: &str| {
        let text = format!("${}\r\n{text}\r\n", text.len());
        calls(&info_fields(&reply(text.into_bytes())).unwrap()).into_iter().collect::<Vec<_>>()
    };
    let actual = |name: &str, number| (name.to_owned(), number);
    let by_name = "# Commandstats\r\ncmdstat_xadd:calls=5,usec=9,usec_per_call=1.80\r\ncmdstat_xgroup|create:calls=1,usec=1";
    assert_eq!(calls(by_name), [actual("xadd", 5), actual("xgroup|create", 1)]);
    assert_eq!(calls("# Stats\r\ntotal_commands_processed:17\r\nother:2"), [actual("total", 17)]);
    assert_eq!(calls("# Commandstats\r\ncmdstat_xadd:odd=5\r\ntotal_commands_processed:many"), []);
}

#[test]
fn an_entry_whose_field_is_too_long_to_be_kept_is_as_large() {
    let entry = |fields| reply(list(&[text("2-0"), fields]));
    let whole = entry(list(&[text("f"), text("value")]));
    let too_long = entry(list(&[text("f"), int(5)]));
    assert_eq!(size(&whole.value().unwrap()), size(&too_long.value().unwrap()));
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(nil()),
        any::<i64>().prop_map(int),
        "[a-z0-9-]{0,12}".prop_map(text),
        prop::sample::select(
            &["name", "length", "entries", "groups", "pel-count", "pending", "consumers"][..]
        )
        .prop_map(text),
        any::<Vec<u8>>().prop_map(text),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| prop::collection::vec(inner, 0..16).prop_map(|parts| list(&parts)))
}

proptest! {
    #[test]
    fn no_reply_causes_a_panic(value in any_value()) {
        let value = &reply(value);
        drop((full_state(value, |_| {}), stream_summary(value), stream_length(value)));
        drop((groups(value, reading(&Names::default())), pending_entries(value), range_ids(value), entry_heads(value, "a")));
        drop((scan_page(value), hello(value), info(value), server_time(value)));
        drop((setting(value, "name"), time_to_live(value), optional_text(value), count(value)));
    }
}

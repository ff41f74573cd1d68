//! Replies in both shapes, whole and broken.

use proptest::prelude::*;

use super::*;

const NOW: ServerTime = ServerTime(1_800_000_000_000);
const READING: Reading =
    Reading { time: Some(NOW), max_consumers: 20, stuck_after: Duration::from_secs(300) };

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
}

/// Named values in the shape of RESP3 or of RESP2.
fn fields(resp3: bool, pairs: Vec<(&str, Value)>) -> Value {
    let pairs = pairs.into_iter().map(|(name, value)| (text(name), value));
    if resp3 {
        Value::Map(pairs.collect())
    } else {
        Value::Array(pairs.flat_map(|(name, value)| [name, value]).collect())
    }
}

fn pending(id: &str) -> Value {
    Value::Array(vec![text(id), text("alice"), Value::Int(1_799_999_999_000), Value::Int(3)])
}

/// The reply of Redis 7.2 for a stream with one group of two consumers.
fn full(resp3: bool) -> Value {
    let consumer = |name, pending, active| {
        fields(
            resp3,
            vec![
                ("name", text(name)),
                ("seen-time", Value::Int(1_799_999_998_000)),
                ("active-time", Value::Int(active)),
                ("pel-count", Value::Int(pending)),
                ("pending", Value::Array(vec![])),
            ],
        )
    };
    let group = fields(
        resp3,
        vec![
            ("name", Value::BulkString(b"g\xff".to_vec())),
            ("last-delivered-id", text("7-1")),
            ("entries-read", Value::Nil),
            ("lag", Value::Int(-989)),
            ("pel-count", Value::Int(5)),
            ("pending", Value::Array(vec![pending("3-0")])),
            (
                "consumers",
                Value::Array(vec![consumer("idle", 1, -1), consumer("alice", 4, 1_799_999_000_000)]),
            ),
        ],
    );
    fields(
        resp3,
        vec![
            ("length", Value::Int(8)),
            ("radix-tree-keys", Value::Int(1)),
            ("radix-tree-nodes", Value::Int(2)),
            ("last-generated-id", text("9-0")),
            ("max-deleted-entry-id", text("0-0")),
            ("entries-added", Value::Int(12)),
            ("something-new", Value::Double(1.5)),
            (
                "entries",
                Value::Array(vec![Value::Array(vec![
                    text("2-0"),
                    Value::Array(vec![text("f"), text("value")]),
                ])]),
            ),
            ("groups", Value::Array(vec![group])),
        ],
    )
}

#[test]
fn both_shapes_say_the_same() {
    let (maps, arrays) =
        (stream_full(full(true), READING).unwrap(), stream_full(full(false), READING).unwrap());
    assert_eq!(maps, arrays);
    let stream = maps;
    assert_eq!((stream.length, stream.entries_added), (8, Some(12)));
    assert_eq!(stream.first_entry_id, Some(StreamId::new(2, 0)));
    assert_eq!(stream.first_entry_bytes, 9, "2-0, f and value");

    let group = stream.groups.get(&Name::from(&b"g\xff"[..])).unwrap();
    assert_eq!((group.entries_read, group.reported_lag), (None, Some(-989)));
    let oldest = OldestPending { id: StreamId::new(3, 0), idle: Some(Duration::from_secs(1)), deliveries: 3 };
    assert_eq!(group.oldest_pending, Pending::Oldest(oldest));
    assert_eq!(group.consumers[0].name, Name::from("alice"));
    assert_eq!(group.consumers[0].inactive, Some(Duration::from_secs(1_000)));
    assert_eq!(group.consumers[1].inactive, None, "-1 is never");
    assert_eq!(group.consumers[1].idle, Some(Duration::from_secs(2)));
    assert_eq!(group.stuck_consumers, Some(1), "alice holds entries and was given none for 1,000 s");
}

#[test]
fn consumers_beyond_the_cap_are_added_up() {
    let reading = Reading { max_consumers: 1, ..READING };
    let stream = stream_full(full(true), reading).unwrap();
    let group = stream.groups.values().next().unwrap();
    assert_eq!((group.consumers.len(), group.consumer_count, group.unlisted_pending), (1, 2, Some(1)));
}

#[test]
fn without_the_servers_time_durations_are_unknown() {
    let stream = stream_full(full(true), Reading { time: None, ..READING }).unwrap();
    let group = stream.groups.values().next().unwrap();
    assert!(matches!(group.oldest_pending, Pending::Oldest(OldestPending { idle: None, .. })));
    assert!(group.consumers.iter().all(|consumer| consumer.idle.is_none() && consumer.inactive.is_none()));
}

#[test]
fn a_missing_or_impossible_field_fails_this_stream_with_its_name() {
    for name in ["length", "entries", "groups"] {
        let Value::Map(mut pairs) = full(true) else { unreachable!() };
        pairs.retain(|(field, _)| *field != text(name));
        let failure = stream_full(Value::Map(pairs), READING).unwrap_err();
        assert_eq!(failure.reason, Reason::UnexpectedReply);
        assert!(failure.detail.contains(name), "{failure}");
    }
    assert!(stream_length(&Value::Int(-1)).is_err());
}

#[test]
fn servers_say_who_they_are_in_several_ways() {
    let hello = |server, version| {
        hello(fields(
            true,
            vec![("server", text(server)), ("version", text(version)), ("role", text("master"))],
        ))
        .unwrap()
    };
    assert_eq!(hello("redis", "8.6.3").version, Some((8, 6, 3)));
    assert_eq!(hello("valkey", "9.1.2").flavour, Flavour::Valkey);
    assert_eq!(hello("redis", "unstable").version, None);
    let old = info(&text("# Server\r\nredis_version:6.0.16\r\nredis_mode:standalone\r\n")).unwrap();
    assert_eq!((old.version, old.mode.as_deref()), (Some((6, 0, 16)), Some("standalone")));
    let valkey =
        info(&text("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n")).unwrap();
    assert_eq!((valkey.flavour, valkey.version), (Flavour::Valkey, Some((8, 1, 1))));
    let upstash = info(&text("# Server\r\nupstash_version:1.13.3\r\nredis_version:6.2.6\r\n")).unwrap();
    assert_eq!((upstash.flavour, upstash.version), (Flavour::Upstash, Some((1, 13, 3))));
}

#[test]
fn time_and_scan_pages_are_read() {
    let time = Value::Array(vec![text("1800000000"), text("123456")]);
    assert_eq!(server_time(&time).unwrap(), ServerTime(1_800_000_000_123));
    let page = Value::Array(vec![text("17"), Value::Array(vec![text("a"), Value::BulkString(vec![0xff])])]);
    assert_eq!(scan_page(page).unwrap(), (17, vec![Name::from("a"), Name::from(&[0xff][..])]));
    assert!(scan_page(Value::Array(vec![text("x"), Value::Array(vec![])])).is_err());
}

#[test]
fn pending_entries_and_ranges_are_read() {
    assert_eq!(pending_entries(Value::Array(vec![])).unwrap(), []);
    let row = Value::Array(vec![text("3-1"), text("c"), Value::Int(1_500), Value::Int(i64::MAX)]);
    let deliveries = u64::try_from(i64::MAX).unwrap();
    let entry =
        OldestPending { id: StreamId::new(3, 1), idle: Some(Duration::from_millis(1_500)), deliveries };
    assert_eq!(pending_entries(Value::Array(vec![row])).unwrap(), [entry]);
    let entry = |id| Value::Array(vec![text(id), Value::Array(vec![text("f"), text("v")])]);
    let ids = range_ids(Value::Array(vec![entry("2-0"), entry("1-0")])).unwrap();
    assert_eq!(ids, [StreamId::new(2, 0), StreamId::new(1, 0)]);
}

#[test]
fn the_reply_to_several_commands_has_one_for_each() {
    let answer = |kind, parts: &[Value]| Value::Array([&[Value::Int(kind)], parts].concat());
    let told = together(Value::Array(vec![
        answer(0, &[Value::Int(5)]),
        answer(0, &[Value::Nil]),
        answer(1, &[text("WRONGTYPE Operation against a key")]),
        answer(
            1,
            &[text("@user_script: 5: The user executing the script can't run this command or subcommand")],
        ),
        answer(2, &[]),
    ]));
    let told = told.unwrap();
    assert_eq!(told[..2], [Some(Ok(Value::Int(5))), Some(Ok(Value::Nil))]);
    let reason = |told: &Option<Result<Value, Failure>>| told.clone().unwrap().unwrap_err().reason;
    assert_eq!((reason(&told[2]), reason(&told[3])), (Reason::WrongType, Reason::NoPermission));
    assert_eq!(told[4], None, "to be asked on its own");
    for wrong in [Value::Array(vec![]), Value::Nil, Value::Array(vec![answer(3, &[])]), answer(0, &[])] {
        assert!(together(wrong).is_err());
    }
}

#[test]
fn an_entry_whose_fields_a_script_added_up_is_as_large() {
    let entry = |fields| Value::Array(vec![text("2-0"), fields]);
    let whole = entry(Value::Array(vec![text("f"), text("value")]));
    assert_eq!(size(&whole), size(&entry(Value::Int(6))));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<i64>().prop_map(Value::Int),
        "[a-z0-9-]{0,12}".prop_map(|text| Value::BulkString(text.into_bytes())),
        prop::sample::select(
            &["name", "length", "entries", "groups", "pel-count", "pending", "consumers"][..]
        )
        .prop_map(text),
        any::<Vec<u8>>().prop_map(Value::BulkString),
        "[a-z]{0,5}".prop_map(Value::SimpleString),
        any::<f64>().prop_map(Value::Double),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..8).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn no_reply_makes_it_panic(value in any_value()) {
        drop(stream_full(value.clone(), READING));
        drop(stream_summary(value.clone()));
        drop(groups(value.clone()));
        drop(scan_page(value.clone()));
        drop(hello(value.clone()));
        drop(pending_entries(value.clone()));
        drop(range_ids(value.clone()));
        drop(together(value.clone()));
        drop((server_time(&value), stream_length(&value), info(&value)));
    }
}

//! Tests with replies that are whole, in pieces and invalid.

use bytes::BytesMut;
use proptest::prelude::*;

use super::{
    super::token::{LONGEST_LINE, LONGEST_TEXT},
    *,
};
use crate::model::Reason;

/// All replies in these bytes, which arrive in pieces of this size.
fn replies(bytes: &[u8], piece: usize) -> Result<Vec<Result<Reply, Failure>>, Failure> {
    let (mut framer, mut received, mut replies) = (Framer::default(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        received.extend_from_slice(piece);
        while let Some(reply) = framer.next(&mut received, Texts::Sizes)? {
            replies.push(reply);
        }
    }
    Ok(replies)
}

/// The only reply in these bytes.
pub(crate) fn reply(bytes: impl AsRef<[u8]>) -> Reply {
    let mut replies = replies(bytes.as_ref(), 1024).unwrap();
    assert_eq!(replies.len(), 1);
    replies.remove(0).unwrap()
}

fn text(text: &str) -> Value<'_> {
    Value::Text(text.as_bytes())
}

#[test]
fn every_kind_of_value_is_one_of_four() {
    for (bytes, value) in [
        ("$-1\r\n", Value::Nil),
        ("*-1\r\n", Value::Nil),
        ("_\r\n", Value::Nil),
        (":-42\r\n", Value::Int(-42)),
        (":9223372036854775807\r\n", Value::Int(i64::MAX)),
        (":-9223372036854775808\r\n", Value::Int(i64::MIN)),
        ("#t\r\n", Value::Int(1)),
        ("#f\r\n", Value::Int(0)),
        ("+OK\r\n", text("OK")),
        ("$0\r\n\r\n", text("")),
        ("$4\r\na\r\nb\r\n", text("a\r\nb")),
        ("=8\r\ntxt:some\r\n", text("some")),
        (",1.5\r\n", text("1.5")),
        ("(12345678901234567890\r\n", text("12345678901234567890")),
        ("*0\r\n", Value::List(vec![])),
        ("*2\r\n:1\r\n*1\r\n+a\r\n", Value::List(vec![Value::Int(1), Value::List(vec![text("a")])])),
        ("%1\r\n+a\r\n:1\r\n", Value::List(vec![text("a"), Value::Int(1)])),
        ("~1\r\n:1\r\n", Value::List(vec![Value::Int(1)])),
        // A negative counter that is written as unsigned. The values around it stay numbers.
        (
            "*2\r\n:18446744073709551615\r\n:2\r\n",
            Value::List(vec![text("18446744073709551615"), Value::Int(2)]),
        ),
        ("|1\r\n+ttl\r\n:3\r\n:1\r\n", Value::Int(1)),
        ("*1\r\n|1\r\n+ttl\r\n:3\r\n:1\r\n", Value::List(vec![Value::Int(1)])),
        (">2\r\n+invalidate\r\n*1\r\n+k\r\n:7\r\n", Value::Int(7)),
    ] {
        for piece in 1..=bytes.len() {
            let replies = replies(bytes.as_bytes(), piece).unwrap();
            let [Ok(reply)] = &replies[..] else { panic!("{bytes:?} in pieces of {piece}: {replies:?}") };
            assert_eq!(reply.value().unwrap(), value, "{bytes:?}");
        }
    }
}

#[test]
fn errors_are_failures_at_any_place_in_a_reply() {
    let actual =
        replies(b"-WRONGTYPE Operation against\r\n!7\r\nBUSY no\r\n*1\r\n-NOPERM no\r\n", 1).unwrap();
    let reasons: Vec<Reason> = actual
        .into_iter()
        .map(|reply| reply.and_then(|it| it.value().map(drop)).unwrap_err().reason)
        .collect();
    assert_eq!(reasons, [Reason::WrongType, Reason::Busy, Reason::NoPermission]);
}

#[test]
fn invalid_bytes_are_an_error_at_once() {
    let deep = "*1\r\n".repeat(DEEPEST + 1) + ":1\r\n";
    assert_eq!(reply(deep).value().unwrap_err().reason, Reason::Protocol);
    let endless = "+".to_owned() + &"a".repeat(LONGEST_LINE + 1);
    for bytes in [
        "HTTP/1.1 400 Bad Request\r\n",
        "\0\u{ff}\n\r\n",
        "$x\r\n",
        "$-2\r\n",
        "*-7\r\n",
        ":12a\r\n",
        ":\r\n",
        ":-\r\n",
        "$1\r\nab\r\n",
        "+a\rb\r\n",
        "*9223372036854775807\r\n*9223372036854775807\r\n*9223372036854775807\r\n",
        &endless,
    ] {
        assert_eq!(replies(bytes.as_bytes(), 7).unwrap_err().reason, Reason::Protocol, "{bytes:.40}");
    }
    // A large length takes no memory before its bytes arrive. The caller decides how long to wait for them.
    assert_eq!(replies(b"$2147483647\r\nx", 1).unwrap(), []);
    assert_eq!(replies(b"*9223372036854775807\r\n:1\r\n", 1).unwrap(), []);
}

#[test]
fn only_the_size_of_a_string_that_is_too_long_is_kept() {
    let long = |length: usize| [format!("${length}\r\n").as_bytes(), &vec![b'x'; length], b"\r\n"].concat();
    let entry =
        [b"*2\r\n$3\r\n1-1\r\n*4\r\n+a\r\n", &long(5_000_000)[..], b"+b\r\n", &long(LONGEST_TEXT)].concat();
    let both = [&entry[..], b":7\r\n"].concat();
    for piece in [1_000, 10_000, 60_000] {
        let actual = replies(&both, piece).unwrap();
        let [Ok(entry), Ok(behind)] = &actual[..] else { panic!("{piece}: {}", actual.len()) };
        let kept = "x".repeat(LONGEST_TEXT);
        let fields = vec![text("a"), Value::Int(5_000_000), text("b"), text(&kept)];
        assert!(entry.value().unwrap() == Value::List(vec![text("1-1"), Value::List(fields)]), "{piece}");
        assert_eq!(behind.value().unwrap(), Value::Int(7));
    }
    let whole = Reply::whole(&long(5_000_000).into()).unwrap();
    assert!(matches!(whole.value().unwrap(), Value::Text(text) if text.len() == 5_000_000));
    let (mut framer, mut received) = (Framer::default(), BytesMut::new());
    // Names are in lists, so a string outside of a list is never kept.
    for texts in [Texts::Sizes, Texts::Whole] {
        for piece in long(5_000_000).chunks(10_000) {
            received.extend_from_slice(piece);
            framer.next(&mut received, texts).unwrap();
        }
        assert!(received.capacity() < 100_000, "{}", received.capacity());
    }
    let broken = [&vec![b'x'; 70_000][..], b"yz"].concat();
    assert!(replies(&[b"$70000\r\n", &broken[..]].concat(), 1_000).is_err());
}

#[test]
fn the_start_and_the_size_of_an_error_that_is_too_long_are_kept() {
    let words = "NOPERM no\r\n".to_owned() + &"x".repeat(9_999_989);
    let line = "NOPERM no  ".to_owned() + &"x".repeat(9_999_989);
    for error in [format!("!{}\r\n{words}\r\n:7\r\n", words.len()), format!("-{line}\r\n:7\r\n")] {
        for piece in [97, 10_000, 60_000, 100_000] {
            let (mut framer, mut received, mut actual) = (Framer::default(), BytesMut::new(), Vec::new());
            for piece in error.as_bytes().chunks(piece) {
                received.extend_from_slice(piece);
                while let Some(reply) = framer.next(&mut received, Texts::Whole).unwrap() {
                    actual.push(reply);
                }
            }
            let [Err(failure), Ok(behind)] = &actual[..] else { panic!("{piece}: {}", actual.len()) };
            assert_eq!(failure.reason, Reason::NoPermission);
            assert!(failure.detail.starts_with("NOPERM no  xxx"), "{failure}");
            assert!(failure.detail.ends_with("x… (10000000 bytes)"), "{failure}");
            assert_eq!(behind.value().unwrap(), Value::Int(7));
            assert!(received.capacity() < 300_000, "{}", received.capacity());
        }
    }
    let nested = ["*2\r\n!70000\r\nBUSY ", &"x".repeat(69_995), "\r\n:1\r\n"].concat();
    assert_eq!(
        replies(nested.as_bytes(), 1_000).unwrap()[0].as_ref().unwrap().value().unwrap_err().reason,
        Reason::Busy
    );
    let broken = ["!70000\r\nBUSY ", &"x".repeat(69_995), "xx"].concat();
    assert_eq!(replies(broken.as_bytes(), 1_000).unwrap_err().reason, Reason::Protocol);
}

/// The bytes of a value, and how `Debug` prints the value.
fn any_value() -> impl Strategy<Value = (Vec<u8>, String)> {
    let leaf = prop_oneof![
        Just((b"_\r\n".to_vec(), format!("{:?}", Value::Nil))),
        any::<i64>().prop_map(|it| (format!(":{it}\r\n").into_bytes(), format!("{:?}", Value::Int(it)))),
        any::<Vec<u8>>().prop_map(|it| {
            let head = format!("${}\r\n", it.len()).into_bytes();
            ([&head, &it[..], b"\r\n"].concat(), format!("{:?}", Value::Text(&it)))
        }),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop::collection::vec(inner, 0..8).prop_map(|parts| {
            let head = format!("*{}\r\n", parts.len()).into_bytes();
            let bytes = parts.iter().fold(head, |all, (bytes, _)| [&all, &bytes[..]].concat());
            let pictures: Vec<&str> = parts.iter().map(|(_, picture)| picture.as_str()).collect();
            (bytes, format!("List([{}])", pictures.join(", ")))
        })
    })
}

proptest! {
    #[test]
    fn replies_are_read_from_pieces_of_any_size(
        values in prop::collection::vec(any_value(), 1..4),
        piece in 1_usize..64,
    ) {
        let bytes: Vec<u8> = values.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let actual = replies(&bytes, piece).unwrap();
        prop_assert_eq!(actual.len(), values.len());
        for (reply, (_, picture)) in actual.iter().zip(&values) {
            let actual = reply.as_ref().unwrap().value().unwrap();
            prop_assert_eq!(&format!("{actual:?}"), picture);
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes: Vec<u8>, start in prop::sample::select(&b"$*%~>|:+-!=#,(_"[..]), piece in 1_usize..16) {
        let bytes = [&[start], &bytes[..]].concat();
        for reply in replies(&bytes, piece).into_iter().flatten().flatten() {
            drop(reply.value());
        }
    }
}

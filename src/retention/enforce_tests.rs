//! Commands as they are sent, and what the script answers.

use super::*;
use crate::source::resp::tests::reply;

/// A limit of 70 entries.
pub(in crate::retention) fn policy(mode: Mode) -> Policy {
    Policy {
        max_length: Some(70),
        max_age: None,
        mode,
        ceiling: None,
        exact: false,
        ignore_groups: Vec::new(),
        groups: Vec::new(),
        interval: std::time::Duration::from_secs(1),
    }
}

/// The words of a command.
pub(in crate::retention) fn words(command: &Write<'_>) -> Vec<String> {
    let word = |word| {
        let redis::Arg::Simple(word) = word else { panic!("{word:?}") };
        std::str::from_utf8(word).unwrap().to_owned()
    };
    command.encode().args_iter().map(word).collect()
}

#[test]
fn a_step_hands_the_script_its_limits_and_groups() {
    let stream = Name::from("s");
    let sent = |policy: &Policy, cutoff| {
        let command = Write::Step(&stream, policy, cutoff, 500);
        let words = words(&command);
        assert_eq!(words[..4], ["EVAL", SCRIPT, "1", "s"]);
        words[4..].join("|")
    };
    assert_eq!(sent(&policy(Mode::Strict), None), "strict|70|||500||0");
    let names = |names: &[&str]| names.iter().map(|name| Name::from(*name)).collect();
    let all = Policy {
        max_length: None,
        ceiling: Some(90),
        exact: true,
        ignore_groups: names(&["a", "b"]),
        groups: names(&["c"]),
        ..policy(Mode::Safe)
    };
    assert_eq!(sent(&all, Some(StreamId::new(5, 6))), "safe||5-6|90|500|1|2|a|b|c");
}

#[test]
fn every_write_is_labelled_by_its_command_and_sent_once() {
    let (stream, policy) = (Name::from("s"), policy(Mode::Safe));
    for (command, text) in [
        (Write::Step(&stream, &policy, None, 1), None),
        (Write::TrimBelow(&stream, StreamId::new(1, 2), 3), Some("XTRIM s MINID ~ 1-2 LIMIT 3")),
        (Write::TrimTo(&stream, 4), Some("XTRIM s MAXLEN ~ 4")),
        (Write::Take("key", "me", 5), Some("SET key me NX PX 5")),
        (Write::Keep("key", 6), Some("PEXPIRE key 6")),
        (Write::Release("key"), Some("DEL key")),
    ] {
        let words = words(&command);
        assert_eq!(command.label(), words[0].to_lowercase());
        assert!(Write::LABELS.contains(&command.label()));
        assert!(!command.may_repeat(), "{command:?}");
        // Names of groups come in the answer to a step.
        assert_eq!(command.has_long_names(), text.is_none(), "{command:?}");
        if let Some(text) = text {
            assert_eq!(words.join(" "), text);
        }
    }
}

/// The script's answer to a step in the server's own form: `'` for a text and `:` for a number, one a word.
fn answer(words: &str) -> Result<Step, Failure> {
    fn encode<'a>(words: &mut impl Iterator<Item = &'a str>) -> String {
        let (mut count, mut all) = (0, String::new());
        while let Some(word) = words.next() {
            all += &match word {
                "]" => break,
                "[" => encode(words),
                _ if word.starts_with('\'') => format!("${}\r\n{}\r\n", word.len() - 1, &word[1..]),
                _ => format!("{word}\r\n"),
            };
            count += 1;
        }
        format!("*{count}\r\n{all}")
    }
    Step::parse(&reply(encode(&mut words.split_whitespace())))
}

#[test]
fn the_answer_of_the_script_is_read_whole() {
    let removed = Step {
        removed: 10,
        length: Some(90),
        floor: Some(StreamId::new(5, 6)),
        blocked_by: None,
        is_forced: true,
        removal: Some(Removal {
            ever_before: 20,
            entries: 10,
            lost: [(Name::from("g"), 3), (Name::from("h"), 4)].into(),
        }),
    };
    assert_eq!(answer(":10 :90 '5-6 ' ' :1 :30 [ 'g :3 'h :4 ]"), Ok(removed));
    let nothing = Step { length: Some(90), ..Step::default() };
    assert_eq!(answer(":0 :90 ' ' ' :0 :-1 [ ]"), Ok(nothing.clone()));
    for hold in Hold::ALL {
        for (word, group) in [("'", None), ("'g", Some(Name::from("g")))] {
            let step = Step { blocked_by: Some(Holder { group, hold }), ..nothing.clone() };
            assert_eq!(answer(&format!(":0 :90 ' {word} '{} :0 :-1 [ ]", hold.as_str())), Ok(step));
        }
    }
}

#[test]
fn an_answer_of_another_shape_is_refused() {
    for words in [
        "",
        ":10 :90 '5-6 ' ' :1 :30",
        ":10 :90 '5-6 ' ' :1 :30 [ ] :1",
        "'10 :90 '5-6 ' ' :1 :30 [ ]",
        // A number below zero.
        ":-10 :90 '5-6 ' ' :1 :30 [ ]",
        ":10 :-90 '5-6 ' ' :1 :30 [ ]",
        ":10 :90 '5-6 ' ' :1 :30 [ 'g :-3 ]",
        // More went than ever did.
        ":10 :90 '5-6 ' ' :1 :9 [ ]",
        // Losses that are no pairs.
        ":10 :90 '5-6 ' ' :1 :30 [ 'g ]",
        ":10 :90 '5-6 ' ' :1 :30 [ :3 'g ]",
    ] {
        assert_eq!(answer(words).unwrap_err().reason, Reason::UnexpectedReply, "{words}");
    }
}

#[test]
fn trimming_by_id_needs_a_server_that_does_it_right() {
    for (flavour, version, has) in [
        (Flavour::Redis, None, false),
        (Flavour::Redis, Some((6, 2, 6)), false),
        (Flavour::Redis, Some((6, 2, 7)), true),
        (Flavour::Redis, Some((7, 0, 0)), true),
        (Flavour::Valkey, None, true),
        (Flavour::Upstash, Some((6, 2, 6)), true),
    ] {
        assert_eq!(
            has_min_id(&Server { flavour, version, ..Server::UNKNOWN }),
            has,
            "{flavour:?} {version:?}"
        );
    }
}

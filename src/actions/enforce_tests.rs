//! Replies of the script.

use super::*;
use crate::source::resp::tests::reply;

/// The script's reply to a step in RESP, from words: `'` starts a string, `:` a number.
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
    step(&reply(encode(&mut words.split_whitespace())))
}

#[test]
fn every_field_of_the_scripts_reply_is_parsed() {
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
    for reason in BlockReason::ALL {
        for (word, group) in [("'", None), ("'g", Some(Name::from("g")))] {
            let step = Step { blocked_by: Some(TrimBlocker { group, reason }), ..nothing.clone() };
            assert_eq!(answer(&format!(":0 :90 ' {word} '{} :0 :-1 [ ]", reason.as_str())), Ok(step));
        }
    }
}

#[test]
fn a_reply_of_another_shape_is_refused() {
    for words in [
        "",
        ":10 :90 '5-6 ' ' :1 :30",
        ":10 :90 '5-6 ' ' :1 :30 [ ] :1",
        "'10 :90 '5-6 ' ' :1 :30 [ ]",
        // Negative numbers.
        ":-10 :90 '5-6 ' ' :1 :30 [ ]",
        ":10 :-90 '5-6 ' ' :1 :30 [ ]",
        ":10 :90 '5-6 ' ' :1 :30 [ 'g :-3 ]",
        // More entries removed by the step than ever.
        ":10 :90 '5-6 ' ' :1 :9 [ ]",
        // Losses that are not pairs.
        ":10 :90 '5-6 ' ' :1 :30 [ 'g ]",
        ":10 :90 '5-6 ' ' :1 :30 [ :3 'g ]",
    ] {
        assert_eq!(answer(words).unwrap_err().reason, Reason::UnexpectedReply, "{words}");
    }
}

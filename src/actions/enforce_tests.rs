//! What the script answers.

use super::*;
use crate::source::resp::tests::reply;

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
    step(&reply(encode(&mut words.split_whitespace())))
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
    for reason in BlockReason::ALL {
        for (word, group) in [("'", None), ("'g", Some(Name::from("g")))] {
            let step = Step { blocked_by: Some(TrimBlocker { group, reason }), ..nothing.clone() };
            assert_eq!(answer(&format!(":0 :90 ' {word} '{} :0 :-1 [ ]", reason.as_str())), Ok(step));
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

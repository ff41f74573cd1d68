//! The command that may help, for people: quoted for a shell (bash, zsh or ksh). It only shows what it would do.

use std::fmt::Write;

use crate::model::{Millis, Name, OldestPending};

/// The idle time that suggested commands ask for: longer than most handlers work on an entry. People check it.
pub const LONG_IDLE: Millis = Millis::new(10 * 60 * 1_000);
/// The same for a flag.
pub const LONG_IDLE_FLAG: &str = "10m";

/// Whether an entry seems to fail each time, so that setting it aside helps: it was delivered so often, and nobody works on it any more. One
/// that was delivered once to a consumer that is gone needs another consumer.
#[must_use]
pub fn seems_to_fail(entry: &OldestPending, deliveries: u64) -> bool {
    entry.is_at_least(deliveries, LONG_IDLE)
}

/// The command of this program that plans an act on a group's stuck work, with these options.
#[must_use]
pub fn command_line(name: &str, (stream, group): (&Name, &Name), options: &[(&str, &[u8])]) -> String {
    let mut text = format!("streamwarden {name}");
    for (flag, value) in options {
        // A value that begins with a dash would be taken for a flag.
        let between = if value.starts_with(b"-") { "=" } else { " " };
        text += &format!(" {flag}{between}{}", quoted(value));
    }
    text += " --dry-run";
    let names = [stream.as_bytes(), group.as_bytes()];
    if names.iter().any(|name| name.starts_with(b"-")) {
        text += " --";
    }
    names.iter().for_each(|name| text += &format!(" {}", quoted(name)));
    text
}

/// A word for a shell, in quotes if it needs them. What does not show or turns the text's direction is escaped.
fn quoted(word: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(byte);
    let is_visible = |byte: &u8| (b' '..=b'~').contains(byte);
    match std::str::from_utf8(word) {
        Ok(text) if !word.is_empty() && word.iter().all(is_plain) => text.to_owned(),
        Ok(text) if word.iter().all(is_visible) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let mut text = "$'".to_owned();
            for byte in word {
                match byte {
                    b'\'' | b'\\' => text.extend(['\\', char::from(*byte)]),
                    byte if is_visible(byte) => text.push(char::from(*byte)),
                    // Three octal digits, since more hexadecimal ones would be taken with them.
                    byte => drop(write!(text, "\\{byte:03o}")),
                }
            }
            text + "'"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_so_that_a_shell_sees_its_bytes() {
        for (word, text) in [
            (&b"events:session"[..], "events:session"),
            (b"", "''"),
            (b"a b", "'a b'"),
            (b"a'b\"$(x)`", r#"'a'\''b"$(x)`'"#),
            (b"dead:{x}", "'dead:{x}'"),
            (b"~", "'~'"),
            (b"line\nbreak 'q' \\", r"$'line\012break \'q\' \\'"),
            (b"\xff1", r"$'\3771'"),
            ("é\u{202e}".as_bytes(), r"$'\303\251\342\200\256'"),
        ] {
            assert_eq!(quoted(word), text);
            let printed =
                std::process::Command::new("bash").args(["-c", &format!("printf %s {text}")]).output();
            assert_eq!(printed.unwrap().stdout, word, "{text}");
        }
    }

    #[test]
    fn names_that_begin_with_a_dash_are_no_flags() {
        let (dash, plain) = (Name::from("-x"), Name::from("g"));
        assert_eq!(
            command_line("claim", (&dash, &plain), &[("--from", b"-c"), ("--idle", b"10m")]),
            "streamwarden claim --from=-c --idle 10m --dry-run -- -x g"
        );
        assert_eq!(
            command_line("reap-consumers", (&plain, &plain), &[]),
            "streamwarden reap-consumers --dry-run g g"
        );
    }
}

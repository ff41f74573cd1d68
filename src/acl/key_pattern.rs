//! Converts globs of the configuration to those of Redis. Braces are written out, and what Redis cannot express becomes wider.

/// The patterns that together match every key that the glob matches, and few others.
///
/// `**` is `*` in Redis, which also crosses `/`. Rules allow no blanks, and quotes have another meaning: a `?` stands for them.
pub(super) fn from_glob(glob: &str) -> Vec<String> {
    alternatives(&glob.chars().collect::<Vec<_>>()).iter().map(|glob| convert(glob)).collect()
}

/// The pattern that matches this key alone, blanks excepted.
pub(super) fn literal(key: &str) -> String {
    let mut pattern = String::new();
    key.chars().for_each(|character| push_literal(&mut pattern, character));
    pattern
}

/// The globs without braces that a glob stands for. A glob is a list of characters.
fn alternatives(glob: &[char]) -> Vec<Vec<char>> {
    let Some((before, choices, after)) = first_braces(glob) else { return vec![glob.to_vec()] };
    let whole = |choice: &[char]| alternatives(&[before, choice, after].concat());
    choices.into_iter().flat_map(whole).collect()
}

/// The text before the first braces, their choices, and the text behind them.
type Braces<'a> = (&'a [char], Vec<&'a [char]>, &'a [char]);

fn first_braces(glob: &[char]) -> Option<Braces<'_>> {
    let (mut depth, mut open, mut from, mut is_class) = (0_usize, 0, 0, false);
    let mut choices = Vec::new();
    let mut characters = glob.iter().enumerate();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '[' => is_class = true,
            ']' => is_class = false,
            '{' if !is_class => {
                if depth == 0 {
                    (open, from) = (at, at + 1);
                }
                depth += 1;
            }
            ',' if !is_class && depth == 1 => {
                choices.push(glob.get(from..at)?);
                from = at + 1;
            }
            '}' if !is_class && depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    choices.push(glob.get(from..at)?);
                    return Some((glob.get(..open)?, choices, glob.get(at + 1..)?));
                }
            }
            _ => {}
        }
    }
    None
}

fn convert(glob: &[char]) -> String {
    let mut pattern = String::new();
    let mut characters = glob.iter().copied().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => characters.next().into_iter().for_each(|next| push_literal(&mut pattern, next)),
            '*' => {
                let is_deep = characters.next_if_eq(&'*').is_some();
                while characters.next_if(|next| *next == '*' || (is_deep && *next == '/')).is_some() {}
                pattern.push('*');
            }
            '[' => {
                pattern.push('[');
                if characters.next_if(|next| matches!(next, '!' | '^')).is_some() {
                    pattern.push('^');
                }
            }
            ' ' | '"' | '\'' => pattern.push('?'),
            character => pattern.push(character),
        }
    }
    pattern
}

fn push_literal(pattern: &mut String, character: char) {
    match character {
        character if character.is_whitespace() || matches!(character, '\0' | '"' | '\'') => pattern.push('?'),
        '*' | '?' | '[' | ']' | '\\' | '^' => pattern.extend(['\\', character]),
        character => pattern.push(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_become_patterns_of_redis() {
        for (glob, patterns) in [
            ("events:session", vec!["events:session"]),
            ("events:*", vec!["events:*"]),
            ("{a,b{1,2}}:[!x]?", vec!["a:[^x]?", "b1:[^x]?", "b2:[^x]?"]),
            (r"a\*b\{c", vec![r"a\*b{c"]),
            ("[{,}]x", vec!["[{,}]x"]),
            ("a/**/b", vec!["a/*b"]),
            ("two words", vec!["two?words"]),
            (r#"we"ird'*"#, vec!["we?ird?*"]),
        ] {
            assert_eq!(from_glob(glob), patterns, "{glob}");
        }
        assert_eq!(literal("lease [1]*"), r"lease?\[1\]\*");
    }
}

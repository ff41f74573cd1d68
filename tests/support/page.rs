//! A metrics page, read by a parser that shares nothing with the one who wrote it.

use std::collections::BTreeMap;

pub type Labels = BTreeMap<String, String>;

/// The samples of a page in the text format. Parsing fails the test where the page is not well-formed.
#[derive(Debug)]
pub struct Page {
    samples: BTreeMap<(String, Labels), f64>,
}

impl Page {
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = parse_sample(line).unwrap_or_else(|| panic!("not a sample: {line}"));
            assert!(samples.insert(series, value).is_none(), "twice on the page: {line}");
        }
        Self { samples }
    }

    /// The value of the one series of this family that has these labels, among others.
    #[track_caller]
    pub fn get(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |series: &Labels| {
            labels.iter().all(|(key, value)| series.get(*key).is_some_and(|it| it == value))
        };
        let mut found = self.samples.iter().filter(|((name, series), _)| name == family && has(series));
        let value = found.next().map(|(_, value)| *value);
        assert!(found.next().is_none(), "several series of {family} with {labels:?}");
        value
    }

    /// A value of the sidecar's own, which is always there.
    #[track_caller]
    pub fn own(&self, family: &str) -> f64 {
        self.get(family, &[]).unwrap_or_else(|| panic!("no {family} on the page"))
    }

    pub fn stream(&self, family: &str, stream: &str) -> Option<f64> {
        self.get(&format!("streamwarden_stream_{family}"), &[("stream", stream)])
    }

    pub fn group(&self, family: &str, stream: &str, group: &str) -> Option<f64> {
        self.get(&format!("streamwarden_group_{family}"), &[("stream", stream), ("group", group)])
    }

    pub fn consumer(&self, family: &str, consumer: &str) -> Option<f64> {
        self.get(&format!("streamwarden_consumer_{family}"), &[("consumer", consumer)])
    }

    /// How many series of families that begin so.
    pub fn count(&self, family: &str) -> usize {
        self.samples.keys().filter(|(name, _)| name.starts_with(family)).count()
    }

    /// All samples, by name and labels.
    pub const fn samples(&self) -> &BTreeMap<(String, Labels), f64> {
        &self.samples
    }

    /// The values of a label in a family.
    pub fn label_values(&self, family: &str, label: &str) -> Vec<String> {
        let of_family = self.samples.keys().filter(|(name, _)| name == family);
        of_family.filter_map(|(_, labels)| labels.get(label).cloned()).collect()
    }
}

fn parse_sample(line: &str) -> Option<((String, Labels), f64)> {
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = parse_value(after)?;
            assert!(labels.insert(label.to_owned(), value).is_none(), "label twice: {line}");
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None => break rest = after.strip_prefix('}')?,
            }
        }
    }
    Some(((name.to_owned(), labels), rest.strip_prefix(' ')?.parse().ok()?))
}

/// A label's value up to its closing quote, with its escapes undone.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                _ => return None,
            },
            character => value.push(character),
        }
    }
    None
}

//! All keys in one list, and what is made of it: the table of the documentation and the JSON Schema for editors.

use std::{fmt::Write, sync::LazyLock};

use serde_json::{Map, Value, json};

use super::{
    Config, Environment,
    key::Key,
    section::{Context, Found, Section},
    setting::Group,
};

/// Every key in the order of reading, sections before their keys.
static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    // A key is known when it is asked for, so reading nothing finds them all.
    let mut found = Found { keys: Some(Vec::new()), ..Found::default() };
    let context = Context {
        set: Vec::new(),
        environment: &Environment::default(),
        families: &[],
        is_address_optional: true,
    };
    Config::read_keys(&mut Section::new(String::new(), Value::Null, &mut found, &context), &());
    found.keys.unwrap_or_default()
});

/// Every key of the configuration, and every section.
#[must_use]
pub fn keys() -> &'static [Key] {
    &KEYS
}

/// The keys as a table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut table = "| Key | Default | Value | Meaning |\n|---|---|---|---|\n".to_owned();
    for key in keys().iter().filter(|key| !key.is_section()) {
        let Key { path, about, values, .. } = key;
        let default = match &key.default {
            None if about.required.is_some() => "required".to_owned(),
            None => String::new(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(value) => format!("`{value}`"),
        };
        let others = [about.variable, about.flag.map(|flag| flag.name)];
        let others: Vec<String> = others.into_iter().flatten().map(|name| format!("`{name}`")).collect();
        let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
        let text = about.text.trim().replace('|', "\\|");
        writeln!(table, "| `{path}` | {default} | {values} | {text}{others} |")
            .expect("a String takes any text");
    }
    table
}

/// A JSON Schema of a configuration file.
#[must_use]
pub fn json_schema() -> Value {
    let mut root = object();
    for key in keys() {
        insert(&mut root, &key.path, key);
    }
    let head = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of streamwarden",
    });
    let mut schema = head.as_object().cloned().unwrap_or_default();
    schema.extend(root);
    schema.into()
}

fn object() -> Map<String, Value> {
    let object = json!({"type": ["object", "null"], "additionalProperties": false, "properties": {}});
    object.as_object().cloned().unwrap_or_default()
}

/// Adds a key to the schema of the section that its path begins in.
fn insert(section: &mut Map<String, Value>, path: &str, key: &Key) {
    let (name, below) = path.split_once('.').map_or((path, None), |(name, below)| (name, Some(below)));
    let Some(properties) = map_in(section, "properties") else { return };
    let list = name.strip_suffix("[]");
    let Some(property) = map_in(properties, list.unwrap_or(name)) else { return };
    let Some(below) = below else {
        property.extend(key.schema.as_object().cloned().unwrap_or_default());
        let mut description = key.about.text.trim().to_owned();
        if !key.is_section() {
            description += &format!(" Must be {}.", key.values);
        }
        property.insert("description".to_owned(), description.into());
        property.extend(key.default.clone().map(|default| ("default".to_owned(), default)));
        if key.about.required.is_some()
            && let Value::Array(required) = section.entry("required").or_insert_with(|| json!([]))
        {
            required.push(name.into());
        }
        return;
    };
    let inside = if list.is_some() { map_in(property, "items") } else { Some(property) };
    if let Some(inside) = inside {
        if inside.is_empty() {
            *inside = object();
        }
        insert(inside, below, key);
    }
}

/// The map of this name. It is created if it is missing.
fn map_in<'a>(map: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    map.entry(name).or_insert_with(|| json!({})).as_object_mut()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        config::yaml::parse,
        files::{self, Kind},
    };

    fn file(path: &str) -> Option<String> {
        files::read_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path), Kind::Config).ok()
    }

    /// What of a value a schema does not allow, with its path. Knows the words that [`json_schema`] uses.
    fn wrong(schema: &Value, value: &Value, path: &str) -> Vec<String> {
        let has_type = |name: &Value| match name.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("{other}"),
        };
        let types = &schema["type"];
        let is_of_type = types.is_null()
            || types.as_array().map_or_else(|| has_type(types), |types| types.iter().any(has_type));
        let is_in_range = value.as_u64().is_none_or(|number| {
            schema["minimum"].as_u64().is_none_or(|least| number >= least)
                && schema["maximum"].as_u64().is_none_or(|most| number <= most)
        });
        let is_word = schema["enum"].as_array().is_none_or(|words| words.contains(value));
        let mut found = Vec::new();
        if !(is_of_type && is_in_range && is_word) {
            found.push(format!("{path}: {value}"));
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            if value.get(key.as_str().unwrap()).is_none() {
                found.push(format!("{path}: without {key}"));
            }
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            match schema["properties"].get(key) {
                Some(schema) => found.extend(wrong(schema, value, &format!("{path}.{key}"))),
                None if schema["additionalProperties"] == false => {
                    found.push(format!("{path}.{key}: unknown"));
                }
                None => {}
            }
        }
        for item in value.as_array().into_iter().flatten() {
            found.extend(wrong(&schema["items"], item, &format!("{path}[]")));
        }
        found
    }

    fn wrong_in(yaml: &str) -> Vec<String> {
        wrong(&json_schema(), &parse(yaml).unwrap(), "")
    }

    /// The blocks of YAML that the pages show as configurations.
    fn samples() -> Vec<String> {
        let pages: String = ["docs/src/configuration.md"].iter().filter_map(|page| file(page)).collect();
        let blocks = pages.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let is_sample =
            |block: &&str| ["\nredis:", "\nexposition:", "exposition:"].iter().any(|it| block.contains(it));
        blocks.filter(is_sample).map(str::to_owned).collect()
    }

    #[test]
    fn every_sample_and_shipped_configuration_meets_the_schema() {
        let shipped = [
            "deploy/kubernetes/config/config.yaml",
            "deploy/kubernetes/examples/nexus/application/config.yaml",
            "deploy/compose/streamwarden/config.yaml",
            "examples/demo.yaml",
        ];
        for path in shipped {
            let yaml = file(path).unwrap();
            let schema =
                yaml.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
            assert!(
                file(&format!("{}/{schema}", path.rsplit_once('/').unwrap().0)).is_some(),
                "{path}: {schema}"
            );
        }
        let shipped = shipped.map(|path| file(path).unwrap());
        let samples = samples();
        assert!(samples.len() >= 2, "{samples:?}");
        for yaml in samples.iter().chain(&shipped) {
            assert_eq!(wrong_in(yaml), [""; 0], "{yaml}");
        }
    }

    #[test]
    fn every_key_of_the_full_sample_is_in_the_schema_with_its_type_and_default() {
        let sample = samples().into_iter().find(|sample| sample.contains("\nredis:")).unwrap();
        let tree = parse(&sample).unwrap();
        // Keys without a default are comments there.
        let with_comments = parse(&with_commented_keys(&sample)).unwrap();
        let missing: Vec<_> =
            keys().iter().map(|key| &key.path).filter(|path| !has(&with_comments, path)).collect();
        assert!(missing.is_empty(), "not in the sample of docs/src/configuration.md: {missing:?}");
        for key in keys() {
            let shown = tree.pointer(&format!("/{}", key.path.replace('.', "/")));
            // The sample has streams of its own.
            if let (Some(shown), Some(default)) = (shown, &key.default)
                && !["streams", "exclude", "redis.billed_by_command"].contains(&key.path.as_str())
            {
                assert_eq!(shown, default, "{}", key.path);
            }
        }
        assert_eq!(wrong_in(&with_commented_keys(&sample)), [""; 0]);
    }

    /// Whether a key is there; `[]` is any element of a list.
    fn has(tree: &Value, path: &str) -> bool {
        let Some((first, rest)) = path.split_once('.') else { return tree.get(path).is_some() };
        match first.strip_suffix("[]") {
            Some(list) => tree[list]
                .as_array()
                .is_some_and(|elements| elements.iter().any(|element| has(element, rest))),
            None => tree.get(first).is_some_and(|section| has(section, rest)),
        }
    }

    /// A sample with the keys that are comments in it.
    fn with_commented_keys(sample: &str) -> String {
        let uncommented = sample.lines().map(|line| {
            let Some((space, key)) = line.split_once("# ").filter(|(space, _)| space.trim().is_empty())
            else {
                return format!("{line}\n");
            };
            let is_key =
                key.trim_start().split_once(": ").is_some_and(|(word, _)| !word.contains([' ', '-']));
            if is_key || key.ends_with(':') { format!("{space}{key}\n") } else { format!("{line}\n") }
        });
        uncommented.collect()
    }

    #[test]
    fn what_is_not_a_configuration_does_not_meet_the_schema() {
        for (yaml, expected) in [
            ("pol: {}", ".pol: unknown"),
            ("poll: {intervall: 1s}", ".poll.intervall: unknown"),
            ("poll: 5", ".poll: 5"),
            ("poll: {interval: 5}", ".poll.interval: 5"),
            ("entries: {last: 101}", ".entries.last: 101"),
            ("log: {format: xml}", ".log.format: \"xml\""),
            ("streams: [{groups: [g]}]", ".streams[]: without \"match\""),
            ("streams: [{match: a, retention: {mod: safe}}]", ".streams[].retention.mod: unknown"),
        ] {
            assert_eq!(wrong_in(yaml), [expected], "{yaml}");
            let refused = crate::config::check_in(yaml, &[("REDIS_URI", "redis://h")]);
            assert!(refused.is_err(), "{yaml}");
        }
        assert_eq!(wrong_in("poll:\nredis: {billed_by_command: true}\nstreams:"), [""; 0]);
    }
}

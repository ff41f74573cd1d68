//! What a page tells: each value with what it is of, whichever page it stands on.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use support::{Labels, Page};

/// What a value is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The page itself.
    Page,
    Stream,
    Group(String),
    Consumer(String, String),
}

/// Every value of a page by its name there, but for those that are unknown.
pub(super) type Told = BTreeMap<(Subject, String), Value>;

/// The samples of a page of metrics that are of one stream or of the page itself, and of no node. Where one of several states is 1, that state
/// is the value.
pub(super) fn metrics(page: &Page, stream: &str) -> Told {
    let mut told = Told::new();
    let is_of_another =
        |labels: &Labels| labels.contains_key("node") || labels.get("stream").is_some_and(|it| it != stream);
    for ((family, labels), value) in page.samples().iter().filter(|((_, labels), _)| !is_of_another(labels)) {
        let label = |name: &str| labels.get(name).cloned();
        let name = family.strip_prefix("streamwarden_").unwrap_or(family);
        let name = name.strip_suffix("_total").unwrap_or(name);
        // The group in its labels is who blocks, and not whose number it is.
        let group = label("group").filter(|_| name != "retention_blocked");
        let subject = match (label("consumer"), group, label("stream")) {
            (Some(consumer), Some(group), _) => Subject::Consumer(group, consumer),
            (_, Some(group), _) => Subject::Group(group),
            (.., Some(_)) => Subject::Stream,
            (.., None) => Subject::Page,
        };
        let text = |labels: &[&str]| {
            let labels: Vec<String> = labels.iter().filter_map(|name| label(name)).collect();
            Value::from(labels.join(" "))
        };
        let value = match name {
            "stream_health" | "group_status" | "redis_writes_refused" if *value == 0.0 => continue,
            "stream_health" | "group_status" => text(&["status"]),
            "retention_info" => text(&["mode"]),
            "retention_blocked" => text(&["group", "reason"]),
            "redis_writes_refused" => text(&["reason"]),
            "redis_info" => text(&["flavour", "version", "role", "mode"]),
            _ => Value::from(*value),
        };
        let (twice, key) =
            (told.contains_key(&(subject.clone(), name.to_owned())), (subject, name.to_owned()));
        assert!(!twice, "twice on the page: {key:?}");
        told.insert(key, value);
    }
    told
}

/// The values of a document of the API that are of one stream or of the document itself.
pub(super) fn document(document: &Value, stream: &str) -> Told {
    let mut told = Told::new();
    let mut page = document.as_object().expect("an object").clone();
    let streams = page.remove("streams");
    page.remove("cluster");
    object(&mut told, &Subject::Page, "", page);
    for stream in objects(streams).into_iter().filter(|it| it["key"] == stream) {
        stream_of(&mut told, stream);
    }
    told
}

fn stream_of(told: &mut Told, mut stream: Map<String, Value>) {
    let groups = stream.remove("groups");
    if let Some(Value::Object(retention)) = stream.get_mut("retention") {
        let blocked = objects(retention.remove("blocked_by")).into_iter().next();
        let text = |of: &str| blocked.as_ref().and_then(|it| it[of].as_str().map(str::to_owned));
        let blocked = text("group").into_iter().chain(text("reason")).collect::<Vec<_>>().join(" ");
        retention.insert("blocked_by".into(), Some(blocked).filter(|it| !it.is_empty()).into());
    }
    object(told, &Subject::Stream, "", stream);
    for mut group in objects(groups) {
        let consumers = group.remove("consumers");
        let name = group["name"].as_str().expect("a name").to_owned();
        object(told, &Subject::Group(name.clone()), "", group);
        for consumer in objects(consumers) {
            let consumer_name = consumer["name"].as_str().expect("a name").to_owned();
            object(told, &Subject::Consumer(name.clone(), consumer_name), "", consumer);
        }
    }
}

fn objects(array: Option<Value>) -> Vec<Map<String, Value>> {
    let Some(Value::Array(array)) = array else { return Vec::new() };
    let object = |value: &Value| value.as_object().expect("an object").clone();
    array.iter().map(object).collect()
}

fn object(told: &mut Told, subject: &Subject, prefix: &str, object: Map<String, Value>) {
    // The cause is the reason in another form, for translations.
    let is_told = |(name, value): &(String, Value)| {
        !value.is_null() && name != "cause" && !name.starts_with("commands")
    };
    for (name, value) in object.into_iter().filter(is_told) {
        let name = format!("{prefix}{name}");
        if let Value::Object(inner) = value {
            self::object(told, subject, &format!("{name}."), inner);
            continue;
        }
        // As metrics have it.
        let value = value.as_bool().map_or(value, |flag| u8::from(flag).into());
        told.insert((subject.clone(), name), value);
    }
}

//! The description of the API, made from the table of routes and the types of the documents. `cargo xtask openapi` writes it to
//! `src/views/api/openapi.json`, which is served; the program that ships does not have this file.

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, transform::RecursiveTransform,
};
use serde_json::{Map, Value, json};

use super::routes::{API, GROUP, KEY, Methods, ROUTES, Route};
use crate::views::api::{
    ActsDocument, ClaimRequest, ConfigDocument, DeadLetterRequest, GroupLagDocument, GroupLagSecondsDocument,
    GroupsDocument, OneStreamDocument, PendingDocument, Problem, ReapRequest, ReplayRequest, SCHEMA_VERSION,
    StreamsDocument, TrimDocument, TrimRequest,
};

/// A route's path, operation ID, summary and answer.
type Operation = (&'static str, &'static str, &'static str, fn(&mut SchemaGenerator) -> Value);

#[rustfmt::skip]
const OPERATIONS: &[Operation] = &[
    ("/api/v1/streams", "listStreams", "All streams with their groups and consumers", schema::<StreamsDocument<'_>>),
    ("/api/v1/streams/{key}", "getStream", "One stream with its groups and consumers", schema::<OneStreamDocument<'_>>),
    ("/api/v1/groups", "listGroups", "All groups", schema::<GroupsDocument<'_>>),
    ("/api/v1/groups/{key}/{group}/lag", "getGroupLag", "The lag of one group, for autoscalers", schema::<GroupLagDocument>),
    ("/api/v1/groups/{key}/{group}/lag_seconds", "getGroupLagSeconds", "The age of one group's lag, for autoscalers", schema::<GroupLagSecondsDocument>),
    ("/api/v1/groups/{key}/{group}/pending", "listPendingEntries", "Pending entries of one group, asked for now", schema::<PendingDocument<'_>>),
    ("/api/v1/config", "getConfig", "The configuration in force, without secrets", schema::<ConfigDocument>),
    ("/api/v1/openapi.json", "getOpenApi", "This document", |_| json!({"type": "object"})),
    ("/api/v1/streams/{key}/trim", "trimStream", "Trim a stream", schema::<TrimDocument<'_>>),
    ("/api/v1/groups/{key}/{group}/dead-letter", "setAside", "Set pending entries aside", schema::<ActsDocument<'_>>),
    ("/api/v1/groups/{key}/{group}/claim", "claim", "Hand pending entries over to another consumer", schema::<ActsDocument<'_>>),
    ("/api/v1/groups/{key}/{group}/reap-consumers", "reapConsumers", "Delete consumers that hold nothing", schema::<ActsDocument<'_>>),
    ("/api/v1/streams/{key}/replay", "replay", "Play dead letters back", schema::<ActsDocument<'_>>),
];

/// The errors of all documents.
const GET_PROBLEMS: &[(&str, &str)] =
    &[("400", "The request is malformed."), ("503", "Too many documents are being sent.")];

/// Those of a number by itself, in place of the same ones.
const NUMBER_PROBLEMS: &[(&str, &str)] = &[
    ("404", "No such stream is watched, or it has no such group."),
    ("503", "The number is unknown, or too many documents are being sent."),
];

/// Those of a question to Redis.
const PENDING_PROBLEMS: &[(&str, &str)] = &[
    ("400", "A parameter is wrong."),
    ("403", "http.pending_entries is off."),
    ("404", "No such stream is watched, or it has no such group."),
    ("409", "The key is not a stream."),
    ("502", "Redis did not answer, or refused."),
    ("503", "Too many questions are waiting, or the sidecar is stopping."),
];

/// Its parameters.
const PENDING_PARAMETERS: &[(&str, &str, &str)] = &[
    ("consumer", "string", "Only entries of this consumer: its name's bytes, percent-encoded."),
    ("deliveries", "integer", "Only entries that were delivered at least so often."),
    ("idle_seconds", "number", "Only entries that were not delivered for at least so long."),
    ("from", "string", "The ID to begin at: `next` of the last answer."),
    ("limit", "integer", "The most entries, from 1 to 100. 20 without it."),
];

const TRIM_PROBLEMS: &[(&str, &str)] = &[
    ("400", "Invalid trim request."),
    ("401", "Missing or wrong bearer token (http.trim_token_file)."),
    ("403", "Requests from browsers are refused."),
    ("404", "No such stream is watched, or http.trim_token_file is not configured."),
    ("405", "Only POST is allowed."),
    ("409", "The stream is already being trimmed."),
    ("413", "The body is too large."),
    ("415", "The body is not application/json."),
    ("429", "Too many wrong tokens from this address."),
    ("502", "Redis refused the trim."),
    ("503", "Too many trims are waiting, retention is switched off, or the sidecar is stopping."),
];

const ACT_PROBLEMS: &[(&str, &str)] = &[
    ("400", "The body is no such request: all that is wrong with it."),
    ("401", "Missing or wrong bearer token (http.write_token_file)."),
    ("403", "Requests from browsers are refused."),
    (
        "404",
        "No such stream is watched, it has no such group, consumer or entry, or http.write_token_file is not configured.",
    ),
    ("405", "Only POST is allowed."),
    ("409", "What Redis holds does not permit it."),
    ("415", "The body is not application/json."),
    ("429", "Too many wrong tokens from this address."),
    ("502", "Redis did not answer, or refused. The detail says what was done before."),
    ("503", "Too many requests are waiting, or the sidecar is stopping."),
];

/// The body, the security scheme, the configuration and the problems of a path that writes.
fn posted(
    path: &str,
    requests: &mut SchemaGenerator,
) -> (Value, &'static str, &'static str, &'static [(&'static str, &'static str)]) {
    let body = match path.rsplit('/').next() {
        Some("trim") => {
            return (schema::<TrimRequest>(requests), "trimToken", "http.trim_token_file", TRIM_PROBLEMS);
        }
        Some("dead-letter") => schema::<DeadLetterRequest>(requests),
        Some("claim") => schema::<ClaimRequest>(requests),
        Some("reap-consumers") => schema::<ReapRequest>(requests),
        _ => schema::<ReplayRequest>(requests),
    };
    (body, "writeToken", "http.write_token_file", ACT_PROBLEMS)
}

/// The document, with its line's end.
///
/// # Panics
/// Where a route of the API has no operation here.
#[must_use]
pub fn openapi() -> String {
    let settings = || {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.with_transform(RecursiveTransform(join_lines))
    };
    let mut answers = settings().for_serialize().into_generator();
    let mut requests = settings().for_deserialize().into_generator();
    let routes = ROUTES.iter().filter(|route| route.path.starts_with(API));
    let paths: Map<String, Value> =
        routes.map(|route| (route.path.to_owned(), path(route, &mut answers, &mut requests))).collect();
    let mut schemas = answers.take_definitions(true);
    schemas.append(&mut requests.take_definitions(true));
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Streamwarden",
            "version": SCHEMA_VERSION.to_string(),
            "description": "What the sidecar read of Redis Streams, and what it means. A number that is unknown is null, never 0. \
                            Durations are in seconds, times in milliseconds since the Unix epoch.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "parameters": {
                "IfNoneMatch": {"name": "If-None-Match", "in": "header", "required": false, "schema": {"type": "string"}},
            },
            "schemas": schemas,
            "securitySchemes": {
                "trimToken": {"type": "http", "scheme": "bearer"},
                "writeToken": {"type": "http", "scheme": "bearer"},
            },
        },
    });
    format!("{document:#}\n")
}

/// Makes one line of a doc comment.
fn join_lines(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().into()
}

/// The operation of a route, under its method.
fn path(route: &Route, answers: &mut SchemaGenerator, requests: &mut SchemaGenerator) -> Value {
    let operation = OPERATIONS.iter().find(|(path, ..)| *path == route.path);
    let (_, id, summary, answer) = operation.expect("each route of the API has an operation");
    let is_live = route.path.ends_with("/pending");
    let is_number = route.path.contains("/lag");
    let mut parameters = Vec::new();
    if route.path.contains(KEY) {
        parameters.push(name_in_path("key", "streams", "events%3Asession"));
    }
    if route.path.contains(GROUP) {
        parameters.push(name_in_path("group", "groups", "workers"));
    }
    let mut operation = Map::from_iter([
        ("operationId".to_owned(), Value::from(*id)),
        ("summary".to_owned(), Value::from(*summary)),
    ]);
    let mut found = json_body(summary, answer(answers));
    let mut responses = Map::new();
    let mut problems = Vec::new();
    let method = match route.methods {
        Methods::Get if is_live => {
            parameters.extend(PENDING_PARAMETERS.iter().map(|(name, kind, description)| {
                json!({"name": name, "in": "query", "required": false, "description": description, "schema": {"type": kind}})
            }));
            problems.extend_from_slice(PENDING_PROBLEMS);
            "get"
        }
        Methods::Get => {
            let tag =
                json!({"ETag": {"description": "Changes with each poll.", "schema": {"type": "string"}}});
            let known = "Nothing has changed since the ETag in If-None-Match.";
            found.insert("headers".to_owned(), tag.clone());
            responses.insert("304".to_owned(), json!({"description": known, "headers": tag}));
            parameters.push(json!({"$ref": "#/components/parameters/IfNoneMatch"}));
            problems.extend_from_slice(GET_PROBLEMS);
            problems.extend(route.path.contains(KEY).then_some(("404", "No such stream is watched.")));
            problems.extend_from_slice(if is_number { NUMBER_PROBLEMS } else { &[] });
            "get"
        }
        Methods::Post => {
            let (body, token, key, its_problems) = posted(route.path, requests);
            let description = format!("Only where {key} is configured.");
            operation.insert("description".to_owned(), description.into());
            operation.insert("security".to_owned(), json!([{token: []}]));
            let content = json!({"application/json": {"schema": body}});
            operation.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
            problems.extend_from_slice(its_problems);
            "post"
        }
    };
    responses.insert("200".to_owned(), found.into());
    for (status, description) in problems {
        let content = json!({"application/problem+json": {"schema": schema::<Problem>(answers)}});
        responses.insert(status.to_owned(), json!({"description": description, "content": content}));
    }
    operation.insert("parameters".to_owned(), parameters.into());
    operation.insert("responses".to_owned(), responses.into());
    json!({method: operation})
}

/// A parameter of the path: the bytes of a name.
fn name_in_path(name: &str, list: &str, example: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": format!("The name's bytes, percent-encoded: the key in the list of {list}."),
        "schema": {"type": "string", "minLength": 1},
        "example": example,
    })
}

/// A response with a JSON document.
fn json_body(description: &str, schema: Value) -> Map<String, Value> {
    let content = json!({"application/json": {"schema": schema}});
    Map::from_iter([("description".to_owned(), description.into()), ("content".to_owned(), content)])
}

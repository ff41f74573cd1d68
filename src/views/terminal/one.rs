//! One stream in depth.

use super::{
    age, colour, count, duration, group_line, grouped, head,
    line::{
        Align::{Left, Right},
        Colour, Line, Style,
    },
    stream_line, titles,
};
use crate::{
    model::StreamId,
    views::api::{ConsumerDocument, GroupDocument, OneStreamDocument, StreamDocument, holds_the_lease},
};

const NAME_WIDTH: usize = 40;
const LABEL_WIDTH: usize = 16;

/// A stream with all that is known of it, its groups and their consumers.
#[must_use]
pub fn one_stream(document: &OneStreamDocument<'_>, style: Style) -> Vec<Line> {
    let stream = &document.stream;
    let mut lines: Vec<Line> = head(&document.head).into_iter().skip(1).collect();
    lines.push(Line::default());
    lines.extend(titles(NAME_WIDTH, style).into_iter().take(1));
    lines.push(stream_line(stream, NAME_WIDTH, style));
    lines.push(Line::default());
    let mut health = Line::default();
    health.cell("health", LABEL_WIDTH, Left, Some(Colour::Dim));
    health.push(stream.health.as_str(), colour(stream.health.as_str()));
    health.push(&format!(": {}", stream.reason), None);
    lines.push(health);
    lines.extend(stream.node.as_ref().map(|node| fact("node", node)));
    lines.extend(facts(stream));
    for group in &stream.groups {
        lines.push(Line::default());
        lines.extend(titles(NAME_WIDTH, style).into_iter().skip(1));
        lines.push(group_line(group, NAME_WIDTH, style));
        lines.extend(group_facts(group));
        lines.extend(consumers(group.consumers.as_deref().unwrap_or_default()));
    }
    lines
}

fn fact(label: &str, text: &str) -> Line {
    let mut line = Line::default();
    line.cell(label, LABEL_WIDTH, Left, Some(Colour::Dim));
    line.push(text, None);
    line
}

fn facts(stream: &StreamDocument<'_>) -> Vec<Line> {
    let or_unknown = |id: Option<StreamId>| id.map_or_else(|| "?".to_owned(), |id| id.to_string());
    let mut lines = vec![
        fact(
            "first entry",
            &format!("{}, {} old", or_unknown(stream.first_entry_id), age(stream.oldest_entry_age_seconds)),
        ),
        fact(
            "last ID",
            &format!("{}, {} ago", or_unknown(stream.last_generated_id), age(stream.last_write_age_seconds)),
        ),
        fact("entries added", &count(stream.entries_added)),
    ];
    let limits = [
        stream.max_length.map(|limit| format!("{} entries", grouped(limit))),
        stream.max_age_seconds.map(duration),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if let Some(mode) = &stream.mode {
        lines.push(fact("retention", &format!("{}, {mode}", limits.join(" and "))));
    }
    let Some(retention) = &stream.retention else { return lines };
    if let Some(outcome) = &retention.outcome {
        lines.push(fact(
            "last run",
            &format!("{outcome}, {} entries removed so far", grouped(retention.trimmed_entries)),
        ));
    }
    lines.extend(retention.lease_holder.iter().map(|holder| fact("lease", &holds_the_lease(holder))));
    lines.extend(retention.blocked_by.iter().map(|it| fact("blocked", &it.detail)));
    lines
}

fn group_facts(group: &GroupDocument<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    if group.status.as_str() == "ok" {
        lines.push(fact("  reason", &group.reason));
    }
    if let Some(id) = &group.last_delivered_id {
        lines.push(fact("  delivered", &format!("up to {id}")));
    }
    if let Some(id) = &group.oldest_pending_id {
        let deliveries =
            group.oldest_pending_deliveries.map_or_else(|| "fatal".to_owned(), |count| count.to_string());
        let last = group.oldest_pending_idle_seconds;
        let last = last.map(|idle| format!(", the last {} ago", age(Some(idle)))).unwrap_or_default();
        let text =
            format!("{id}, {} old, deliveries: {deliveries}{last}", age(group.oldest_pending_age_seconds));
        lines.push(fact("  oldest pending", &text));
    }
    let counts = [
        ("released", group.nacked_entries.filter(|nacked| *nacked > 0)),
        ("dangling", group.dangling_pending),
        ("poison", group.poison_entries),
        ("dropped with a consumer", group.pending_dropped),
        ("entries lost", group.entries_lost),
        ("entries possibly lost", group.entries_suspected_lost),
        ("rewinds", group.rewinds),
        ("stuck consumers", group.stuck_consumers),
    ];
    let counts = counts.iter().filter_map(|(label, number)| Some((label, number.filter(|it| *it > 0)?)));
    let counts: Vec<String> = counts.map(|(label, number)| format!("{} {label}", grouped(number))).collect();
    if !counts.is_empty() {
        lines.push(fact("  also", &counts.join(", ")));
    }
    lines
}

fn consumers(consumers: &[ConsumerDocument<'_>]) -> Vec<Line> {
    let row = |name: &str, cells: [&str; 3], colour: Option<Colour>| {
        let mut line = Line::default();
        line.cell("", LABEL_WIDTH - 1, Left, None);
        line.cell(name, NAME_WIDTH - 4, Left, colour);
        for cell in cells {
            line.cell(cell, 10, Right, colour);
        }
        line
    };
    let title = row("CONSUMER", ["PENDING", "IDLE", "INACTIVE"], Some(Colour::Dim));
    let consumer = |consumer: &ConsumerDocument<'_>| {
        let cells = [grouped(consumer.pending), age(consumer.idle_seconds), age(consumer.inactive_seconds)];
        row(&consumer.name, cells.each_ref().map(String::as_str), None)
    };
    let title = (!consumers.is_empty()).then_some(title);
    title.into_iter().chain(consumers.iter().map(consumer)).collect()
}

//! One stream in depth.

use std::time::{Duration, UNIX_EPOCH};

use humantime::format_rfc3339_seconds;

use super::{
    Layout, age, colour, count, duration, group_lines, grouped, head,
    line::{
        Align::{Left, Right},
        Colour, Line, Style, wrapped,
    },
    stream_lines, titles, widths,
};
use crate::{
    evaluate::{NoAge, counted, entries},
    model::{PENDING_SAMPLE, StreamId},
    retention::Outcome,
    views::api::{
        ConsumerDocument, DeadLetterDocument, GroupDocument, HelpDocument, HelpKind, LatencyDocument,
        MemoryDocument, OneStreamDocument, QuantileDocument, StageDocument, StreamDocument, Word,
        holds_the_lease,
    },
};

const LABEL_WIDTH: usize = 16;
/// A column of a consumer's numbers.
const NUMBER_WIDTH: usize = 10;
/// More consumers are summed up: dozens that died would push everything else off the screen.
const MOST_CONSUMERS: usize = 10;

/// A stream with all that is known of it, its groups and their consumers.
#[must_use]
pub fn one_stream(document: &OneStreamDocument<'_>, style: Style) -> Vec<Line> {
    let stream = &document.stream;
    let layout = Layout::new(widths(stream), style);
    let mut lines: Vec<Line> = head(&document.head, style).into_iter().skip(1).collect();
    lines.push(Line::default());
    lines.extend(titles(&layout).into_iter().take(1));
    // Its reason is below, among the facts.
    lines.extend(stream_lines(stream, &layout).into_iter().take(1));
    lines.push(Line::default());
    let health = stream.health.as_str();
    lines.extend(fact("health", &format!("{health}: {}", stream.reason), colour(health), style));
    lines.extend(stream.node.iter().flat_map(|node| fact("node", node, None, style)));
    let is_clock_known = document.head.poll.clock_error_seconds.is_some();
    lines.extend(
        facts(stream, is_clock_known).into_iter().flat_map(|(label, text)| fact(label, &text, None, style)),
    );
    for group in &stream.groups {
        lines.push(Line::default());
        lines.extend(titles(&layout).into_iter().skip(1));
        lines.extend(group_lines(group, &layout));
        let facts = group_facts(group, is_clock_known).into_iter();
        lines.extend(facts.flat_map(|(label, text)| fact(label, &text, None, style)));
        lines.extend(consumers(group, style));
        lines.extend(help(group, style));
    }
    lines
}

/// A fact, on as many lines as it takes.
fn fact(label: &str, text: &str, colour: Option<Colour>, style: Style) -> Vec<Line> {
    let columns = style.width.map_or(usize::MAX, |width| width.saturating_sub(LABEL_WIDTH + 1).max(1));
    let parts = wrapped(text, columns).into_iter().enumerate();
    let line = |(index, part): (usize, String)| {
        let mut line = Line::default();
        line.cell(if index == 0 { label } else { "" }, LABEL_WIDTH, Left, Some(Colour::Dim));
        line.push(&part, colour);
        line
    };
    parts.map(line).collect()
}

/// A label and a text.
type Fact = (&'static str, String);

fn facts(stream: &StreamDocument<'_>, is_clock_known: bool) -> Vec<Fact> {
    let with_age = |id: Option<StreamId>, age, word| {
        let text = id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        format!("{text}, {}", aged(age, word, id, is_clock_known))
    };
    let mut lines = vec![
        ("first entry", with_age(stream.first_entry_id, stream.oldest_entry_age_seconds, "old")),
        ("last ID", with_age(stream.last_generated_id, stream.last_write_age_seconds, "ago")),
        ("entries added", count(stream.entries_added)),
    ];
    lines
        .extend(happened(stream.recreations, stream.last_recreation_unix_ms).map(|text| ("recreated", text)));
    lines.extend(stream.memory.iter().map(|memory| ("memory", memory_line(memory))));
    let limits = [stream.max_length.map(entries), stream.max_age_seconds.map(duration)];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if let Some(mode) = &stream.mode {
        lines.push(("retention", format!("{}, {mode}", limits.join(" and "))));
    }
    if let Some(retention) = &stream.retention {
        let ran =
            |outcome| format!("{}; {} removed so far", ended(outcome), entries(retention.trimmed_entries));
        lines.extend(retention.outcome.iter().map(|outcome| ("last run", ran(outcome))));
        lines.extend(retention.lease_holder.iter().map(|holder| ("lease", holds_the_lease(holder))));
        lines.extend(retention.blocked_by.iter().map(|it| ("blocked", it.detail.to_string())));
    }
    lines.extend(stream.dead_letter.iter().flat_map(dead_letters));
    lines.extend(stream.reap_consumers.iter().map(|rule| {
        let deleted = (rule.deleted > 0).then(|| format!(", {} so far", grouped(rule.deleted)));
        let idle = duration(rule.idle_seconds);
        ("consumers", format!("deleted after {idle} without a command{}", deleted.unwrap_or_default()))
    }));
    lines
}

/// Its size, how fast it grows, and until when there is room.
fn memory_line(memory: &MemoryDocument) -> String {
    let about = if memory.is_estimate { "about " } else { "" };
    let mut line = format!("{about}{}", size(memory.bytes));
    if let Some(growth) = memory.growth_bytes_per_day {
        let word = if growth < 0 { "shrinks" } else { "grows" };
        line.push_str(&format!(", {word} by {} a day", size(growth.unsigned_abs())));
    }
    let left = [memory.size_limit_reached_seconds, memory.maxmemory_reached_seconds];
    if let Some(left) = left.into_iter().flatten().reduce(f64::min) {
        line.push_str(&format!(", a limit is reached in {} at this rate", duration(left)));
    }
    line
}

fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    if bytes < 10 * MIB {
        format!("{} KiB", grouped(bytes.div_ceil(KIB)))
    } else {
        format!("{} MiB", grouped(bytes / MIB))
    }
}

/// How a run of retention ended.
fn ended(outcome: &Word<Outcome>) -> &str {
    match outcome.known() {
        Some(Outcome::Reached) => "done, nothing more is to be removed",
        Some(Outcome::Blocked) => "blocked, the rest can't be removed yet",
        Some(Outcome::Incomplete) => "out of time, the next run goes on",
        Some(Outcome::Failed) => "failed, the log has the reason",
        None => outcome.as_str(),
    }
}

/// An age in words, or why this ID gives none.
fn aged(age: Option<f64>, word: &str, id: Option<StreamId>, is_clock_known: bool) -> String {
    match (age, id) {
        (Some(age), _) => format!("{} {word}", duration(age)),
        (None, None) => "age unknown".to_owned(),
        (None, Some(_)) if !is_clock_known => "age unknown: the server's clock is unknown".to_owned(),
        (None, Some(id)) => format!("age unknown: {}", NoAge::of(id)),
    }
}

fn dead_letters(of: &DeadLetterDocument<'_>) -> Vec<Fact> {
    let name = of.name.as_deref().unwrap_or("no key; the rule needs dead_letter.to");
    let oldest = of.oldest_age_seconds.map(|oldest| format!(", the oldest {} old", age(Some(oldest))));
    // Only a sidecar knows what it moved.
    let moved = of.last_run_unix_ms.map(|_| format!(", {} moved so far", grouped(of.moved_entries)));
    let more: String = oldest.into_iter().chain(moved).collect();
    let text = format!("{name}: {} of at most {}{more}", count(of.length), grouped(of.max_length));
    let mut lines = vec![("dead letters", text)];
    lines.extend(of.stopped.iter().map(|reason| ("  stopped", reason.to_string())));
    lines
}

fn group_facts(group: &GroupDocument<'_>, is_clock_known: bool) -> Vec<Fact> {
    let mut lines = Vec::new();
    if group.status.as_str() == "ok" {
        lines.push(("  reason", group.reason.to_string()));
    }
    if let Some(id) = &group.last_delivered_id {
        lines.push(("  delivered", format!("up to {id}")));
    }
    if let Some(id) = &group.oldest_pending_id {
        let deliveries =
            group.oldest_pending_deliveries.map_or_else(|| "fatal".to_owned(), |count| count.to_string());
        let last = group.oldest_pending_idle_seconds;
        let last = last.map(|idle| format!(", the last {} ago", age(Some(idle)))).unwrap_or_default();
        let age = aged(group.oldest_pending_age_seconds, "old", Some(*id), is_clock_known);
        let text = format!("{id}, {age}, deliveries: {deliveries}{last}");
        lines.push(("  oldest pending", text));
    }
    for (label, stage) in group.latency.iter().flat_map(stages) {
        lines.extend(took(stage).map(|text| (label, text)));
    }
    // Both are counted among the oldest pending entries only.
    let sampled = if group.pending > Some(PENDING_SAMPLE) { "at least " } else { "" };
    let counts = [
        ("", "", "released", group.nacked_entries),
        (sampled, "", "dangling", group.dangling_pending),
        (sampled, "", "poison", group.poison_entries),
        ("", "", "dropped with a consumer", group.pending_dropped),
        ("", "entry", " lost", group.entries_lost),
        ("", "entry", " possibly lost", group.entries_suspected_lost),
        ("", "stuck consumer", "", group.stuck_consumers),
    ];
    lines.extend(happened(group.rewinds, group.last_rewind_unix_ms).map(|text| ("  rewound", text)));
    let counts = counts.iter().filter_map(|(before, noun, more, number)| {
        let number = number.filter(|it| *it > 0)?;
        Some(if noun.is_empty() {
            format!("{before}{} {more}", grouped(number))
        } else {
            counted(number, noun) + more
        })
    });
    let counts: Vec<String> = counts.collect();
    if !counts.is_empty() {
        lines.push(("  also", counts.join(", ")));
    }
    lines
}

/// How often something happened since it is watched, and when it was noticed last; `None` if it never did.
fn happened(times: Option<u64>, last_unix_ms: Option<u64>) -> Option<String> {
    let times = match times.filter(|times| *times > 0)? {
        1 => "once".to_owned(),
        times => format!("{} times", grouped(times)),
    };
    let last = last_unix_ms.map(Duration::from_millis).and_then(|last| UNIX_EPOCH.checked_add(last));
    let last = last.map(|last| format!(", last noticed at {}", format_rfc3339_seconds(last)));
    Some(times + &last.unwrap_or_default())
}

/// Commands that may help. Each is on a line of its own, whole, so that it can be copied.
fn help(group: &GroupDocument<'_>, style: Style) -> Vec<Line> {
    let line = |help: &HelpDocument<'_>| {
        let about = help.about.as_deref().unwrap_or_default();
        let what = match help.kind.known() {
            Some(HelpKind::BlocksRetention) => format!("entry {about} blocks retention; to set it aside:"),
            Some(HelpKind::Poison) => "to set aside what is delivered again and again:".to_owned(),
            Some(HelpKind::DeadConsumer) => format!("to hand over what {about} holds:"),
            Some(HelpKind::UnusedConsumer) => "to delete consumers that are gone:".to_owned(),
            None => "this may help:".to_owned(),
        };
        let mut command = Line::default();
        command.push(&format!("{:LABEL_WIDTH$} {}", "", help.command), None);
        fact("  help", &what, None, style).into_iter().chain([command])
    };
    group.commands.iter().flat_map(line).collect()
}

fn stages(latency: &LatencyDocument) -> [(&'static str, &StageDocument); 2] {
    [("  delivered in", &latency.delivery), ("  handled in", &latency.handled)]
}

/// How long entries took of late, and what is left of the error budget; `None` if nothing was measured.
fn took(stage: &StageDocument) -> Option<String> {
    let quantile = |of: Option<QuantileDocument>| of.map(between);
    let (p50, p95, p99) = (quantile(stage.p50)?, quantile(stage.p95)?, quantile(stage.p99)?);
    let budget = stage.error_budget_left.map(|left| format!("; error budget left: {:.0}%", left * 100.0));
    Some(format!("p50 {p50}, p95 {p95}, p99 {p99}{}", budget.unwrap_or_default()))
}

/// A quantile, and between what it is certainly.
fn between(of: QuantileDocument) -> String {
    let [likely, least, most] = [of.seconds, of.at_least_seconds, of.at_most_seconds].map(milliseconds);
    if least == most { likely } else { format!("{likely} ({least} to {most})") }
}

/// A short time, to the millisecond.
fn milliseconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0}ms", seconds * 1_000.0) } else { format!("{seconds:.2}s") }
}

fn consumers(group: &GroupDocument<'_>, style: Style) -> Vec<Line> {
    let all = group.consumers.as_deref().unwrap_or_default();
    let fixed = LABEL_WIDTH + 1 + 3 * (NUMBER_WIDTH + 1);
    let names = style.width.map_or(36, |width| width.saturating_sub(fixed).clamp(8, 36));
    let row = |name: &str, cells: [&str; 3], colour: Option<Colour>| {
        let mut line = Line::default();
        line.cell("", LABEL_WIDTH - 1, Left, None);
        line.cell(name, names, Left, colour);
        for cell in cells {
            line.cell(cell, NUMBER_WIDTH, Right, colour);
        }
        line
    };
    let consumer = |consumer: &ConsumerDocument<'_>| {
        let cells = [grouped(consumer.pending), age(consumer.idle_seconds), age(consumer.inactive_seconds)];
        row(&consumer.name, cells.each_ref().map(String::as_str), None)
    };
    let title =
        (!all.is_empty()).then(|| row("CONSUMER", ["PENDING", "IDLE", "INACTIVE"], Some(Colour::Dim)));
    let (shown, summed) = all.split_at(all.len().min(MOST_CONSUMERS));
    let rest = summed_up(group, shown.len(), summed).map(|text| fact("", &text, None, style));
    title.into_iter().chain(shown.iter().map(consumer)).chain(rest.into_iter().flatten()).collect()
}

/// The consumers that are not shown, as one sentence: those in the document, and those that it leaves out.
fn summed_up(group: &GroupDocument<'_>, shown: usize, summed: &[ConsumerDocument<'_>]) -> Option<String> {
    let rest = group.consumer_count?.checked_sub(shown.try_into().ok()?)?;
    group.consumers.as_ref().filter(|_| rest > 0)?;
    let pending = summed.iter().map(|consumer| consumer.pending).sum::<u64>()
        + group.unlisted_pending.unwrap_or_default();
    // Nothing is known of those that the document leaves out.
    let summed = summed.iter().map(|consumer| consumer.idle_seconds).collect::<Option<Vec<_>>>();
    let summed = summed.filter(|idle| u64::try_from(idle.len()).is_ok_and(|known| known == rest));
    let least_idle = summed.and_then(|idle| idle.into_iter().min_by(f64::total_cmp));
    let idle = least_idle.map(|idle| format!("; idle for at least {}", duration(idle))).unwrap_or_default();
    let consumers = counted(rest, "more consumer");
    Some(format!("{consumers}: {} pending in total{idle}", grouped(pending)))
}

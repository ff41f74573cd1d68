//! The terminal's view of the API's documents: lines of text, with colours where they are wanted.

mod diagnosis;
mod line;
mod one;

use std::cmp::Reverse;

pub use diagnosis::diagnosis;
pub use line::{Colour, Line, Style};
pub use one::one_stream;

use super::api::{
    ClusterDocument, FaultDocument, GroupDocument, Head, NodeDocument, PollDocument, StreamDocument,
    StreamsDocument, Word,
};
use crate::evaluate::{SLOTS, grouped, short};
use line::Align::{Left, Right};
use std::time::Duration;

/// Widths of the columns behind the name.
const COLUMNS: [usize; 4] = [17, 9, 9, 9];
/// What a narrow terminal goes without, in this order, once it has no room for histories: rates, pending entries, and
/// times. The length or lag always stays, and a reason is never cut.
const DROPPED_FIRST: [usize; 3] = [1, 3, 2];
const STATE_WIDTH: usize = 14;
/// Nodes that do not answer that are named. The rest is a number.
const NAMED_NODES: usize = 5;
const NAME_WIDTHS: std::ops::RangeInclusive<usize> = 12..=44;

/// What fits the terminal.
struct Layout {
    name_width: usize,
    /// Which of the columns are shown.
    columns: [bool; COLUMNS.len()],
    style: Style,
}

impl Layout {
    /// For names of these widths.
    fn new(names: impl Iterator<Item = usize>, style: Style) -> Self {
        let total = style.width.unwrap_or(usize::MAX);
        let longest = (*NAME_WIDTHS.end()).min((total / 5 * 2).max(*NAME_WIDTHS.start()));
        let name_width = names.max().unwrap_or_default().clamp(*NAME_WIDTHS.start(), longest);
        let mut layout = Self { name_width, columns: [true; COLUMNS.len()], style };
        for dropped in DROPPED_FIRST {
            if layout.width() <= total {
                break;
            }
            if let Some(column) = layout.columns.get_mut(dropped) {
                *column = false;
            }
        }
        layout.style.has_history &= layout.width() + 2 + SLOTS <= total;
        layout
    }

    /// Up to the last column that is shown.
    fn width(&self) -> usize {
        let columns = COLUMNS.iter().zip(self.columns).filter(|(_, is_shown)| *is_shown);
        STATE_WIDTH + 1 + self.name_width + 1 + columns.map(|(width, _)| width + 1).sum::<usize>()
    }

    /// A row of cells.
    fn row(
        &self,
        state: (&str, Option<Colour>),
        name: (&str, Option<Colour>),
        cells: [&str; COLUMNS.len()],
        colour: Option<Colour>,
    ) -> Line {
        let mut line = Line::default();
        line.cell(state.0, STATE_WIDTH, Left, state.1);
        line.cell(name.0, self.name_width, Left, name.1);
        for ((text, width), is_shown) in cells.into_iter().zip(COLUMNS).zip(self.columns) {
            if is_shown {
                line.cell(text, width, Right, colour);
            }
        }
        line
    }
}

/// All streams with their groups, the worst first.
#[must_use]
pub fn streams(document: &StreamsDocument<'_>, style: Style) -> Vec<Line> {
    let mut streams: Vec<&StreamDocument<'_>> = document.streams.iter().collect();
    streams.sort_by_key(|stream| Reverse(stream.health.known()));
    let names = streams.iter().flat_map(|stream| widths(stream));
    let layout = Layout::new(names, style);
    let mut lines = head(&document.head, style);
    lines.push(Line::default());
    if streams.is_empty() {
        lines.push(Line::plain("no stream was found"));
        return lines;
    }
    lines.extend(titles(&layout));
    for stream in streams {
        lines.extend(stream_lines(stream, &layout));
        lines.extend(stream.groups.iter().flat_map(|group| group_lines(group, &layout)));
    }
    lines
}

/// The widths of the names of a stream and its groups.
fn widths<'a>(stream: &'a StreamDocument<'_>) -> impl Iterator<Item = usize> + use<'a> {
    let groups = stream.groups.iter().map(|group| line::width(&group.name) + 2);
    groups.chain([line::width(&stream.name)])
}

/// The worst health of all, and how many streams have each.
fn healths(head: &Head<'_>) -> Line {
    let summary = &head.summary;
    let mut line = Line::default();
    line.push(summary.health.as_str(), colour(summary.health.as_str()));
    let counts = [
        (summary.critical, "critical"),
        (summary.warning, "warning"),
        (summary.unknown, "unknown"),
        (summary.healthy, "healthy"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, health)| format!("{} {health}", grouped(*count))).collect();
    let counts = counts.join(", ");
    // Streams stay healthy while their server refuses writes: the counts are not of the server.
    let of_server = head.faults.iter().filter_map(|fault| fault.health.known()).max();
    line.push(
        &of_server.map_or(format!("  {counts}"), |health| {
            let streams = if counts.is_empty() { "none" } else { counts.as_str() };
            format!("  server: {}; streams: {streams}", health.as_str())
        }),
        None,
    );
    line
}

/// Which Redis was read, and how fresh the reading is.
fn head(head: &Head<'_>, style: Style) -> Vec<Line> {
    let server = head.server.as_ref().map_or_else(
        || "no server was read".to_owned(),
        |server| {
            let version = server.version.as_deref().unwrap_or("of unknown version");
            let link = server.primary_link.as_ref().filter(|link| link.as_str() != "up");
            let link = link.map(|link| format!("link to its primary {link}"));
            // The address may be that of a replica, or of a primary that was replaced. All primaries are read.
            let role = server.role.as_ref().filter(|_| head.cluster.is_none()).map(Word::as_str);
            let parts = [role, link.as_deref(), server.mode.as_deref(), head.database.as_deref()];
            format!(
                "{} {version} ({})",
                server.flavour,
                parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
            )
        },
    );
    let age = head
        .poll
        .age_seconds
        .map_or("nothing was read yet".to_owned(), |age| format!("read {} ago", duration(age)));
    let name = head.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let mut second = Line::plain(&format!("{name}{server}, {age}"));
    if let Some(reason) = &head.poll.last_failure {
        let words =
            head.poll.last_failure_words.as_ref().map(|words| format!(" ({words})")).unwrap_or_default();
        second.push(&format!(", the last poll failed: {reason}{words}"), Some(Colour::Red));
    }
    if head.poll.stale {
        second.push(", stale", Some(Colour::Red));
    }
    let cluster = head.cluster.as_ref().map(|cluster| cluster_line(cluster, &head.poll));
    let faults = head.faults.iter().flat_map(|fault| fault_lines(fault, now(&head.poll), style));
    // A rate of minutes ago would seem to contradict a fault.
    let span = Some(rate_span(head)).filter(|span| *span > 0.0 && !head.faults.is_empty());
    let rates = span.map(|span| Line::plain(&format!("rates are averages over {}", duration(span))));
    [healths(head), second].into_iter().chain(cluster).chain(faults).chain(rates).collect()
}

/// The time over which rates are averages, in seconds.
fn rate_span(head: &Head<'_>) -> f64 {
    head.history_ages_seconds
        .first()
        .map_or(head.rate_window_seconds, |oldest| oldest.min(head.rate_window_seconds))
}

/// A fault of the server. It is never cut.
fn fault_lines(fault: &FaultDocument<'_>, now: Option<Duration>, style: Style) -> Vec<Line> {
    let node = fault.node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default();
    let since = fault.seen_since_unix_ms.map(|since| {
        let lasts =
            now.map(|now| format!(" ({} ago)", short(now.saturating_sub(Duration::from_millis(since)))));
        let since = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_millis(since));
        format!("; seen since {since}{}", lasts.unwrap_or_default())
    });
    let text = format!("{node}{}{}", fault.reason, since.unwrap_or_default());
    let text = line::wrapped(&text, style.width.unwrap_or(usize::MAX));
    let coloured = |part: String| {
        let mut line = Line::default();
        line.push(&part, colour(fault.health.as_str()));
        line
    };
    text.into_iter().map(coloured).collect()
}

/// How many primaries a cluster has, which of them do not answer, and the slots that nobody serves.
fn cluster_line(cluster: &ClusterDocument<'_>, poll: &PollDocument<'_>) -> Line {
    let mut line = Line::plain(&match cluster.nodes.len() {
        1 => "cluster of 1 primary".to_owned(),
        primaries => format!("cluster of {primaries} primaries"),
    });
    let down: Vec<_> = cluster.nodes.iter().filter(|node| node.up == Some(false)).collect();
    if !down.is_empty() {
        let mut named: Vec<String> =
            down.iter().take(NAMED_NODES).map(|node| down_node(node, poll)).collect();
        if down.len() > NAMED_NODES {
            named.push(format!("{} more", down.len() - NAMED_NODES));
        }
        let verb = if down.len() == 1 { "does" } else { "do" };
        line.push(&format!(", {} {verb} not answer: {}", down.len(), named.join(", ")), Some(Colour::Red));
    }
    if let Some(slots) = cluster.slots_unserved.filter(|slots| *slots > 0) {
        let verb = if slots == 1 { "slot is" } else { "slots are" };
        line.push(&format!("; {} {verb} not served", grouped(slots)), Some(Colour::Red));
    }
    line
}

/// A node with the reason why it does not answer, and for how long.
fn down_node(node: &NodeDocument<'_>, poll: &PollDocument<'_>) -> String {
    let reason = node.failure.as_ref().map_or("unknown", Word::as_str);
    let since = node.failure_since_unix_ms.map(Duration::from_millis);
    let lasts = now(poll).zip(since).map(|(now, since)| format!(" for {}", short(now.saturating_sub(since))));
    format!("{} ({reason}{})", node.address, lasts.unwrap_or_default())
}

/// The time of the document, by the clock of the sidecar that made it.
fn now(poll: &PollDocument<'_>) -> Option<Duration> {
    let age = Duration::try_from_secs_f64(poll.age_seconds.unwrap_or_default()).unwrap_or_default();
    poll.last_success_unix_ms.map(|read| Duration::from_millis(read) + age)
}

fn titles(layout: &Layout) -> [Line; 2] {
    let title = |state: &str, name: &str, columns: [&str; 4], rest: &str| {
        let dim = Some(Colour::Dim);
        let mut line = layout.row((state, dim), (name, dim), columns, dim);
        line.rest(rest, dim);
        line
    };
    let history = if layout.style.has_history { "HISTORY" } else { "" };
    let has_reason = layout.style.width.is_none_or(|columns| columns > layout.width() + "REASON".len());
    let reason = if has_reason && !layout.style.has_history { "REASON" } else { "" };
    [
        title("HEALTH", "STREAM", ["LENGTH", "IN/S", "WRITTEN", ""], history),
        title("  STATUS", "  GROUP", ["LAG", "OUT/S", "WAITS", "PENDING"], reason),
    ]
}

fn stream_lines(stream: &StreamDocument<'_>, layout: &Layout) -> Vec<Line> {
    let limit = stream.max_length.map(|limit| format!("/{}", grouped(limit))).unwrap_or_default();
    let length = format!("{}{limit}", count(stream.length));
    let (rate, age) = (rate(stream.rate_in_per_second), age(stream.last_write_age_seconds));
    let health = stream.health.as_str();
    let mut line = layout.row(
        (health, colour(health)),
        (&stream.name, Some(Colour::Bold)),
        [&length, &rate, &age, ""],
        None,
    );
    if layout.style.has_history {
        line.rest(&sparkline(&rates(&stream.history.rate_in_per_second)), Some(Colour::Dim));
        line.push("  ", None);
    }
    // A group's own line has the reason, unless the stream is worse, or does not exist.
    let is_groups = stream.groups.iter().any(|group| group.health.as_str() == health);
    if health != "healthy" && (!is_groups || stream.present == Some(false)) {
        return line.and_below(&stream.reason, layout.style);
    }
    vec![line]
}

fn group_lines(group: &GroupDocument<'_>, layout: &Layout) -> Vec<Line> {
    let lag = match (group.lag, group.lag_upper_bound) {
        (Some(lag), _) => grouped(lag),
        (None, Some(bound)) => format!("<={}", grouped(bound)),
        (None, None) => "?".to_owned(),
    };
    let (rate, age) = (rate(group.rate_out_per_second), age(group.lag_seconds));
    let (status, name, pending) =
        (format!("  {}", group.status), format!("  {}", group.name), count(group.pending));
    let state = (status.as_str(), colour(group.status.as_str()));
    let mut line = layout.row(state, (&name, None), [&lag, &rate, &age, &pending], None);
    if layout.style.has_history {
        line.rest(&sparkline(&group.history.lag), Some(Colour::Dim));
        line.push("  ", None);
    }
    if group.status.as_str() != "ok" {
        return line.and_below(&group.reason, layout.style);
    }
    vec![line]
}

/// The colour of a health or a status.
fn colour(state: &str) -> Option<Colour> {
    match state {
        "healthy" | "ok" => Some(Colour::Green),
        "warning" | "lagging" | "rewound" => Some(Colour::Yellow),
        "unknown" => Some(Colour::Magenta),
        _ => Some(Colour::Red),
    }
}

fn count(number: Option<u64>) -> String {
    number.map_or("?".to_owned(), grouped)
}

fn rate(rate: Option<f64>) -> String {
    rate.map_or("?".to_owned(), |rate| if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") })
}

fn age(seconds: Option<f64>) -> String {
    seconds.map_or("?".to_owned(), duration)
}

/// A duration in a column.
fn duration(seconds: f64) -> String {
    short(Duration::try_from_secs_f64(seconds).unwrap_or_default()).replace(' ', "")
}

fn rates(rates: &[Option<f64>]) -> Vec<Option<u32>> {
    // In thousandths, so that small rates show too.
    rates.iter().map(|rate| rate.and_then(|rate| format!("{:.0}", rate * 1_000.0).parse().ok())).collect()
}

/// A line of blocks from 0 to the greatest value; unknown values are gaps.
fn sparkline(values: &[Option<u32>]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let greatest = u64::from(values.iter().flatten().copied().max().unwrap_or_default().max(1));
    let block = |value: u32| {
        let height = u64::from(value) * 7 / greatest;
        usize::try_from(height).ok().and_then(|height| BLOCKS.get(height)).copied().unwrap_or(' ')
    };
    let blocks: String = values.iter().map(|value| value.map_or(' ', block)).collect();
    format!("{blocks:>width$}", width = SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_drawn_with_its_gaps() {
        let drawn = sparkline(&[Some(0), Some(50), None, Some(100)]);
        assert_eq!(drawn.trim_start(), "▁▄ █");
        assert_eq!(drawn.chars().count(), SLOTS);
    }

    #[test]
    fn what_is_not_known_is_no_number() {
        assert_eq!((count(None), rate(None), age(None)), ("?".into(), "?".into(), "?".into()));
        assert_eq!(
            (count(Some(12_345)), rate(Some(12.34)), age(Some(93.0))),
            ("12,345".into(), "12.3".into(), "1m33s".into())
        );
    }
}

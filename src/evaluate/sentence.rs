//! Sentences that give the cause of a group's status or a stream's health, with numbers.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use super::{
    Lag,
    cause::{Backlog, GroupCause, NearLimit, Over, Recreation, StreamCause, StuckConsumer, Unread},
    report::StreamVerdict,
};
use crate::{config::Thresholds, model::Reason};

impl StreamVerdict {
    /// A cause of the stream's health, as a sentence.
    #[must_use]
    pub fn reason_of(&self, cause: &StreamCause) -> String {
        match cause {
            StreamCause::Unwatched { groups } => {
                let verb = if *groups == 1 { "is" } else { "are" };
                let groups = grouped(*groups);
                format!(
                    "{groups} of its groups {verb} not watched: it has more than limits.groups_per_stream"
                )
            }
            StreamCause::Fine { groups: 0 } => "it has no groups".to_owned(),
            StreamCause::Fine { groups: 1 } => "its group is ok".to_owned(),
            StreamCause::Fine { groups } => format!("its {groups} groups are ok"),
            StreamCause::Group { name, others } => match (self.groups.get(name), others) {
                (Some(group), 0) => format!("{name} is {}: {}", group.status.as_str(), group.cause),
                (Some(group), others) => {
                    let status = group.status.as_str();
                    format!("{name} is {status}: {} (and {others} more)", group.cause)
                }
                (None, _) => name.to_string(),
            },
            StreamCause::Absent(Reason::WrongType) => "the key holds another type".to_owned(),
            StreamCause::Absent(_) => "the configuration names it, but it does not exist".to_owned(),
            StreamCause::Unreadable(why) => format!("it could not be read: {why}"),
            StreamCause::Recreated(recreation) => recreation.to_string(),
            StreamCause::TooLong { length, limit, after } => {
                let length = grouped(*length);
                format!("its length is {length}{}", over_limit(&grouped(*limit), *after))
            }
            StreamCause::TooOld { age, limit, after } => {
                format!("its oldest entry is {} old{}", short(*age), over_limit(&short(*limit), *after))
            }
            StreamCause::Silent { silent, threshold } => {
                format!("no entry was added for {}; the threshold is {}", short(*silent), short(*threshold))
            }
            StreamCause::ClockBehind { behind } => format!(
                "its last ID is {} ahead of the server's clock, so ages are unknown and alerts on them can't fire",
                short(*behind)
            ),
        }
    }
}

fn over_limit(limit: &str, after: Duration) -> String {
    if after.is_zero() {
        return format!(", over its limit of {limit}");
    }
    format!("; it has exceeded its limit of {limit} for more than {}", short(after))
}

impl Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.as_str())?;
        match (&self.refused, self.reason) {
            (Some(command), _) => {
                write!(f, ": the user may not run {command}; streamwarden acl prints the rule that it needs")
            }
            (None, Reason::NoPermission) => {
                f.write_str("; streamwarden acl prints the rule that the user needs")
            }
            (None, _) => Ok(()),
        }
    }
}

impl Display for Recreation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago = short(self.ago);
        match self.gone {
            Some(0) => write!(f, "it was recreated {ago} ago; it was empty before"),
            Some(1) => write!(f, "it was recreated {ago} ago; the 1 entry that it had is gone"),
            Some(gone) => {
                write!(f, "it was recreated {ago} ago; the {} entries that it had are gone", grouped(gone))
            }
            None => write!(
                f,
                "it was recreated or rolled back {ago} ago; how many of its entries are gone is unknown"
            ),
        }
    }
}

impl Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = match self.lag {
            Lag::Exactly(0) => None,
            Lag::Exactly(lag) => Some(entries(lag)),
            Lag::AtMost(lag) => Some(format!("up to {}", entries(lag))),
        };
        let verb = if self.lag.upper_bound() == 1 { "waits" } else { "wait" };
        match (waiting, self.pending) {
            (Some(waiting), 0) => write!(f, "{waiting} {verb}"),
            (Some(waiting), pending) => write!(f, "{waiting} {verb} and {} pending", are(pending)),
            (None, 1) => f.write_str("1 entry is pending"),
            (None, pending) => write!(f, "{} entries are pending", grouped(pending)),
        }
    }
}

/// The consumers of a silent group, before the time for which they have been idle.
fn idle_consumers(consumers: u64) -> String {
    match consumers {
        0 => "its consumers have been idle for at least".to_owned(),
        1 => "its only consumer has been idle for".to_owned(),
        _ => format!("all of its {} consumers have been idle for at least", grouped(consumers)),
    }
}

impl Display for GroupCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(why) => write!(f, "the stream could not be read: {why}"),
            Self::NotThere { since } => {
                write!(f, "the configuration expects it, but it has been missing for {}", short(*since))
            }
            Self::TooEarly { backlog, watched, window } => {
                write!(f, "{backlog}; watched for only {} of {}", short(*watched), short(*window))
            }
            Self::LagUnknown { backlog } => write!(f, "{backlog}; the exact lag is unknown"),
            Self::Trimmed { entries, ago } => trimmed(f, *entries, *ago),
            Self::Suspected { entries, ago } => suspected(f, *entries, *ago),
            Self::Dropped { entries, ago } => dropped(f, *entries, *ago),
            Self::WentBack { from, to, ago } => {
                write!(f, "its position went back from {from} to {to}, {} ago", short(*ago))
            }
            Self::NoConsumer { backlog } => write!(f, "{backlog}, but the group has no consumer"),
            Self::Silent { backlog, consumers, silent } => {
                write!(f, "{backlog}; {} {}", idle_consumers(*consumers), short(*silent))
            }
            Self::Still { backlog, consumers, least_idle, still, near } => {
                let alive =
                    least_idle.map(|idle| last_request(*consumers, idle.duration())).unwrap_or_default();
                write!(f, "{backlog}; {alive}nothing was delivered or acknowledged for {}", short(*still))?;
                near.as_ref().map_or(Ok(()), |near| write!(f, "; {near}"))
            }
            Self::Over(over) => over.fmt(f),
            Self::Growing { backlog, from, to, within } => {
                write!(
                    f,
                    "{backlog}; within {} the backlog grew from {} (median of the first third) to {} (median of the last third)",
                    short(*within),
                    grouped((*from).into()),
                    grouped((*to).into())
                )
            }
            Self::Recovering { backlog, since, until } => {
                write!(
                    f,
                    "{backlog}; it was lagging until {} ago, and is not since; reported until that has lasted for {}",
                    short(*since),
                    short(*until)
                )
            }
            Self::Idle => f.write_str("nothing waits"),
            Self::Moving { backlog } => write!(f, "{backlog}; consumers are making progress"),
            Self::Standing { backlog, last: Some(ago), .. } => {
                write!(f, "{backlog}; a delivery or acknowledgement was last seen {} ago", short(*ago))
            }
            Self::Standing { backlog, last: None, watched } => {
                write!(f, "{backlog}; no delivery or acknowledgement was seen for {}", short(*watched))
            }
            Self::Stuck { worst, consumers, after } => stuck(f, worst.as_deref(), *consumers, *after),
            Self::Ignored(status) => {
                write!(f, "retention.ignore_groups has it, so it is not reported as {}", status.as_str())
            }
        }
    }
}

fn stuck(
    f: &mut fmt::Formatter<'_>,
    worst: Option<&StuckConsumer>,
    consumers: u64,
    after: Duration,
) -> fmt::Result {
    let Some(StuckConsumer { name, pending, silent }) = worst else {
        let hold = if consumers == 1 { "holds" } else { "hold" };
        let consumers = counted(consumers, "consumer");
        return write!(
            f,
            "{consumers} {hold} pending entries, without progress for more than {}",
            short(after)
        );
    };
    let pending = counted(*pending, "pending entry");
    write!(f, "consumer {name} holds {pending}, without progress for {}", short(*silent))?;
    if consumers > 1 { write!(f, " (and {})", counted(consumers - 1, "more consumer")) } else { Ok(()) }
}

fn trimmed(f: &mut fmt::Formatter<'_>, entries: u64, ago: Duration) -> fmt::Result {
    let ago = short(ago);
    match entries {
        1 => write!(f, "1 entry was removed before it was delivered to the group, {ago} ago"),
        _ => {
            let entries = grouped(entries);
            write!(
                f,
                "{entries} entries were removed before they were delivered to the group, the last {ago} ago"
            )
        }
    }
}

fn dropped(f: &mut fmt::Formatter<'_>, count: u64, ago: Duration) -> fmt::Result {
    let (entries, ago) = (counted(count, "pending entry"), short(ago));
    let (verb, last) = if count == 1 { ("was", "") } else { ("were", "the last ") };
    write!(f, "up to {entries} {verb} dropped with a deleted consumer, {last}{ago} ago")
}

fn suspected(f: &mut fmt::Formatter<'_>, count: u64, ago: Duration) -> fmt::Result {
    let (entries, ago) = (entries(count), short(ago));
    let last = if count == 1 { "" } else { "the last " };
    write!(f, "up to {entries} may have been removed before delivery to the group, {last}{ago} ago")
}

impl Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lag(lag, most) => {
                let verb = if *lag == 1 { "waits" } else { "wait" };
                write!(f, "{} {verb}, over the threshold of {}", entries(*lag), grouped(*most))
            }
            Self::LagAge(age, most) => write!(f, "{}, over the threshold of {}", waits(*age), short(*most)),
            Self::LagAgeByDefault(age) => {
                let most = short(Thresholds::LAG_AGE);
                write!(f, "{}, over the default threshold of {most} (thresholds.lag_age)", waits(*age))
            }
            Self::Pending(pending, most) => {
                let verb = if *pending == 1 { "is" } else { "are" };
                write!(f, "{} {verb} pending, over the threshold of {}", entries(*pending), grouped(*most))
            }
            Self::PendingAge(age, most) => {
                write!(f, "{}, over the threshold of {}", is_pending(*age), short(*most))
            }
            Self::PendingAgeByDefault(age) => {
                let most = short(Thresholds::PENDING_AGE);
                write!(
                    f,
                    "{}, over the default threshold of {most} (thresholds.pending_age)",
                    is_pending(*age)
                )
            }
            Self::Poison { entries, is_lower_bound, deliveries } => {
                let at_least = if *is_lower_bound { "at least " } else { "" };
                let what = if *entries == 1 { "entry was" } else { "entries were" };
                let count = grouped(*entries);
                write!(f, "{at_least}{count} pending {what} delivered {deliveries} times or more")
            }
            Self::Limit(near) => near.fmt(f),
        }
    }
}

impl Display for NearLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = grouped(self.pending);
        let limit = grouped(self.limit);
        write!(
            f,
            "a consumer has {pending} pending entries; at {limit} this server delivers nothing more to it"
        )
    }
}

fn waits(age: Duration) -> String {
    format!("the oldest waiting entry is {} old", short(age))
}

fn is_pending(age: Duration) -> String {
    format!("the oldest pending entry is {} old", short(age))
}

fn last_request(consumers: u64, idle: Duration) -> String {
    let idle = short(idle);
    match consumers {
        1 => format!("its consumer sent a request {idle} ago, but "),
        consumers => format!("one of its {} consumers sent a request {idle} ago, but ", grouped(consumers)),
    }
}

fn are(count: u64) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{} are", grouped(count)) }
}

/// A number of entries, in words.
#[must_use]
pub fn entries(count: u64) -> String {
    counted(count, "entry")
}

/// A number with its noun, which is given in the singular. A noun of several words ends in the one that is counted.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", grouped(count)),
        (_, None) => format!("{} {noun}s", grouped(count)),
    }
}

/// A number with thousands separators.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in its greatest unit and the next one; below a minute in one. The page writes durations likewise.
#[must_use]
pub fn short(duration: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let seconds = duration.as_secs();
    let Some(greatest) = UNITS.iter().position(|(_, size)| seconds >= *size) else {
        let ms = duration.as_millis();
        return if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") };
    };
    let mut rest = seconds;
    let parts = UNITS.iter().skip(greatest).take(2).filter_map(|(unit, size)| {
        let number = rest / size;
        rest %= size;
        (number > 0).then(|| format!("{number}{unit}"))
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_its_greatest_unit_and_the_next() {
        for (ms, text) in [
            (0, "0s"),
            (999, "999ms"),
            (1_999, "1s"),
            (61_000, "1m 1s"),
            (7_205_000, "2h"),
            (90_000_000, "1d 1h"),
            (400 * 86_400_000, "400d"),
        ] {
            assert_eq!(short(Duration::from_millis(ms)), text);
        }
    }
}

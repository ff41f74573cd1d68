//! The commands of other clients, to compare with those of the sidecar. The server counts them, if the user may ask.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use super::prices::PRICES;
use crate::{
    app::self_stats,
    clock,
    config::Config,
    evaluate::{grouped, short},
    model::{Failure, Section},
    reader::MONTH,
    source::{Examiner, Link},
};

/// Commands with a row of their own. The rest is one row.
const MOST_ROWS: usize = 8;
/// A consumer that blocks for a second sends a command a second while nothing arrives.
const BLOCKING_LOOP: Duration = Duration::from_secs(1);
/// A smaller count is good for one digit only.
const COUNTED_FOR_TWO_DIGITS: u64 = 100;

/// The counts.
pub(super) struct Others {
    section: Section,
    over: Duration,
    /// By command, with those of scripts. `INFO stats` has only the total.
    calls: BTreeMap<String, u64>,
}

impl Others {
    /// Counts for this long.
    ///
    /// # Errors
    /// Why nothing can be counted.
    pub(super) async fn count(config: &Config, over: Duration) -> Result<Self, Failure> {
        let mut examiner = Examiner::new(Link::new(self_stats()));
        let mut calls = async |section| examiner.calls(&config.redis, section).await;
        let (section, before) = match calls(Section::CommandStats).await {
            Ok(before) => (Section::CommandStats, before),
            Err(_refused_or_unknown) => (Section::Stats, calls(Section::Stats).await?),
        };
        let started = clock::now();
        tokio::time::sleep(over).await;
        let after = calls(section).await?;
        Ok(Self { section, over: clock::now() - started, calls: between(&before, after) })
    }

    /// The table, greatest first.
    pub(super) fn table(&self) -> String {
        let counted = if self.section == Section::CommandStats {
            "by INFO commandstats, scripts' commands included"
        } else {
            "estimated from total_commands_processed, less this command's own"
        };
        let mut text = format!(
            "All other clients, a running sidecar among them, for {} ({counted}):\n\n",
            short(self.over)
        );
        let all: u64 = self.calls.values().sum();
        if all == 0 {
            return text + "nothing was sent\n";
        }
        let mut rows: Vec<(String, u64)> =
            self.calls.iter().map(|(name, calls)| (name.to_uppercase().replace('|', " "), *calls)).collect();
        rows.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
        let rest: u64 = rows.iter().skip(MOST_ROWS).map(|(_, calls)| calls).sum();
        rows.truncate(MOST_ROWS);
        rows.extend((rest > 0).then(|| ("others".to_owned(), rest)));
        if rows.len() > 1 {
            rows.push(("all".to_owned(), all));
        }
        writeln!(text, "{:32} {:>9} {:>22} {:>16}", "", "counted", "about, in 30 days", "pay as you go")
            .expect("a String takes any text");
        for (name, calls) in rows {
            let month = about(calls, self.over);
            let (a_month, money) = (grouped(month), PRICES.money(month));
            writeln!(text, "{name:32} {:>9} {a_month:>22} {money:>16}", grouped(calls))
                .expect("a String takes any text");
        }
        text
    }
}

/// What the loop of a consumer sends, by calculation.
pub(super) fn arithmetic(consumers: u64) -> String {
    let one = u64::try_from(MONTH.as_nanos() / BLOCKING_LOOP.as_nanos()).unwrap_or(u64::MAX);
    let (all, costs) = (one.saturating_mul(consumers), |commands| PRICES.money(commands));
    let there = match consumers {
        0 => "There are no consumers yet.".to_owned(),
        1 => "There is one consumer.".to_owned(),
        _ => format!("There are {consumers} consumers: {} or {}.", grouped(all), costs(all)),
    };
    format!(
        "A consumer that loops on XREADGROUP BLOCK 1000 sends at least a command a second: {} in 30 days, {}.\n{there}\n",
        grouped(one),
        costs(one)
    )
}

/// The calls between two counts, without the first `INFO`, which the second one counts.
fn between(before: &BTreeMap<String, u64>, after: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let own = |name: &str| u64::from(matches!(name, "info" | "total"));
    let calls = after.into_iter().map(|(name, calls)| {
        let before = before.get(&name).copied().unwrap_or_default();
        let others = calls.saturating_sub(before).saturating_sub(own(&name));
        (name, others)
    });
    calls.filter(|(_, calls)| *calls > 0).collect()
}

/// The calls in a month, to as many digits as the count is good for.
fn about(counted: u64, over: Duration) -> u64 {
    let month = u128::from(counted) * MONTH.as_nanos() / over.as_nanos().max(1);
    let digits = if counted < COUNTED_FOR_TWO_DIGITS { 1 } else { 2 };
    let unit = 10_u128.pow((month.checked_ilog10().unwrap_or(0) + 1).saturating_sub(digits));
    u64::try_from((month + unit / 2) / unit * unit).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(calls: &[(&str, u64)]) -> BTreeMap<String, u64> {
        calls.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect()
    }

    #[test]
    fn counted_commands_are_shown_with_no_more_digits_than_are_known() {
        let second = Duration::from_secs(1);
        assert_eq!(about(0, second), 0);
        assert_eq!(about(1, 10 * second), 300_000);
        assert_eq!(about(5, 5 * second), 3_000_000);
        assert_eq!(about(123, 10 * second), 32_000_000);
    }

    #[test]
    fn the_one_question_in_between_is_not_counted() {
        let before = calls(&[("info", 3), ("xadd", 5)]);
        let after = calls(&[("info", 4), ("xadd", 9), ("xgroup|create", 1)]);
        assert_eq!(between(&before, after), calls(&[("xadd", 4), ("xgroup|create", 1)]));
        assert_eq!(between(&calls(&[("total", 7)]), calls(&[("total", 18)])), calls(&[("total", 10)]));
        // Somebody reset the counts.
        assert_eq!(between(&calls(&[("xadd", 7)]), calls(&[("xadd", 2)])), calls(&[]));
    }

    #[test]
    fn an_estimate_is_called_one_and_few_commands_make_few_rows() {
        let over = Duration::from_secs(10);
        let table = |section, calls| Others { section, over, calls }.table();
        let text = table(Section::Stats, calls(&[("total", 1_000)]));
        assert!(text.contains("10s (estimated from total_commands_processed"), "{text}");
        let row = text.lines().last().unwrap();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["TOTAL", "1,000", "260,000,000", "$520.00"]);
        let names: Vec<String> = (0..12).map(|number| format!("command|{number:02}")).collect();
        let many: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 10)).collect();
        let text = table(Section::CommandStats, calls(&many));
        assert_eq!(text.lines().skip(3).count(), MOST_ROWS + 2, "{text}");
        assert!(text.contains("COMMAND 03") && text.contains("others ") && text.contains("all "), "{text}");
        assert!(table(Section::CommandStats, calls(&[])).contains("nothing was sent"));
    }

    #[test]
    fn consumers_are_counted_without_asking() {
        assert!(
            arithmetic(5)
                .contains("2,592,000 in 30 days, $5.18.\nThere are 5 consumers: 12,960,000 or $25.92.")
        );
        assert!(arithmetic(0).contains("no consumers"));
    }
}

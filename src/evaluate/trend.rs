//! Whether a number grows: over a whole window, in spite of dips, and by more than its noise.
//!
//! "It grew at every sample" fails with a single dip, and "more at the end than at the beginning" holds for every
//! burst. So all of this must hold: The medians of the window's thirds rise, which a few dips can't change. Most
//! pairs of samples are in rising order (the test of Mann and Kendall), which is not the case for a burst within the
//! window. The peak is at the end. The growth is more than random steps of the usual size produce, and significant
//! relative to the number of entries added.
//!
//! Source: <https://doi.org/10.2307/1907187>.

use super::series::saturated;

/// Fewer samples have no trend.
const LEAST_SAMPLES: usize = 5;
/// Standard deviations of the test's statistic beyond which the order is not random. With five samples all must rise.
const SIGNIFICANT: f64 = 2.2;
/// Smaller growth is just a batch that has not been read yet.
const LEAST_GROWTH: u32 = 5;
/// In medians of deviations (two thirds of a standard deviation) times the square root of the number of steps. Growth
/// is measured over two thirds of the steps.
const RARELY: u32 = 3;
/// Represents steps up and down as unsigned numbers.
const HALF: u32 = u32::MAX / 2;
/// Growth below this share of the added entries is within the variation of a steady group.
const LEAST_SHARE: u64 = 100;

/// Growth: the medians of the first and the last third of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// The growth of these values, oldest first, while this many entries were added; if that is unknown, relative to the
/// values themselves.
pub(super) fn growth(values: &[u32], came_in: Option<u64>) -> Option<Growth> {
    if values.len() < LEAST_SAMPLES {
        return None;
    }
    let third = values.len().div_ceil(3);
    let (first, rest) = values.split_at_checked(third)?;
    let (middle, last) = rest.split_at_checked(rest.len().saturating_sub(third))?;
    let from = median(first)?;
    let to = median(last)?;
    let rises = from < to && median(middle).is_none_or(|middle| from < middle && middle < to);
    let least = LEAST_GROWTH.max(saturated(came_in.unwrap_or(to.into()) / LEAST_SHARE)).max(chance(values));
    let is_growth = rises && to - from >= least && is_ordered(values) && is_at_its_peak(values);
    is_growth.then_some(Growth { from, to })
}

/// Whether the greatest value is in the last quarter.
fn is_at_its_peak(values: &[u32]) -> bool {
    let last = values.len().div_ceil(4);
    values.iter().rev().take(last).max() == values.iter().max()
}

/// Whether more pairs of values are in rising order than in a random sequence.
fn is_ordered(values: &[u32]) -> bool {
    let mut order = 0_i32;
    for (index, later) in values.iter().enumerate() {
        order += values.iter().take(index).map(|earlier| later.cmp(earlier) as i32).sum::<i32>();
    }
    let count = f64::from(cut_size(values.len()));
    let deviation = (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    f64::from(order - 1) >= SIGNIFICANT * deviation
}

/// How far a random walk with steps like these rarely gets. Uses the median of the steps' deviations, which a few
/// dips do not change.
fn chance(values: &[u32]) -> u32 {
    let steps: Vec<u32> = values
        .windows(2)
        .map(|pair| match pair {
            [before, after] => after.wrapping_sub(*before).wrapping_add(HALF),
            _ => HALF,
        })
        .collect();
    let Some(usual) = median(&steps) else { return 0 };
    let deviations: Vec<u32> = steps.iter().map(|step| step.abs_diff(usual)).collect();
    let typical = median(&deviations).unwrap_or_default();
    // The median is useless for a number that mostly stays the same.
    let deviation = if typical == 0 && usual == HALF { mean(&deviations) } else { typical };
    deviation.saturating_mul(RARELY).saturating_mul(cut_size(steps.len()).isqrt())
}

/// Rounds up.
fn mean(values: &[u32]) -> u32 {
    let sum: u64 = values.iter().copied().map(u64::from).sum();
    saturated(sum.div_ceil(u64::from(cut_size(values.len())).max(1)))
}

fn cut_size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn median(values: &[u32]) -> Option<u32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_recognised_in_spite_of_dips_but_not_in_bursts() {
        let grows = |values: &[u32]| growth(values, Some(100)).is_some();
        assert!(grows(&[10, 20, 30, 40, 50, 60, 70, 80, 90, 100]));
        assert!(grows(&[10, 20, 30, 0, 50, 60, 70, 5, 90, 100]), "two dips");
        assert!(grows(&[10, 20, 30, 40, 50, 60, 70, 80, 90, 0]), "a dip at the end");
        assert!(grows(&[0, 10, 20, 30, 40]), "few samples that all rise");
        assert!(!grows(&[0, 10, 20, 30]), "too few");
        assert!(!grows(&[0, 0, 0, 0, 900, 700, 500, 300, 100, 0]), "a burst");
        assert!(!grows(&[0, 0, 0, 0, 0, 0, 0, 900, 700, 500]), "a burst that has not gone yet");
        assert!(!grows(&[50; 10]), "a plateau");
        assert!(!grows(&[100, 90, 80, 70, 60, 50, 40, 30, 20, 10]), "a fall");
        assert!(!grows(&[1, 1, 2, 2, 2, 3, 3, 3, 4, 4]), "too little to matter");
        assert_eq!(growth(&[1_000, 1_010, 1_020, 1_030, 1_040, 1_050], Some(100_000)), None, "of so many");
    }
}

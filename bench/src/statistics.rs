//! A number out of many: medians, percentiles, ratios of what was measured in the same round, and
//! Welch's test whether two samples come from the same.

/// One of many measurements of the same thing, in the order they were made.
pub type Sample = [f64];

/// The value below which `share` of the sample lies (nearest rank: always one of the sample).
///
/// # Panics
///
/// On an empty sample, a share outside of 0 to 1, and on values that aren't numbers.
#[must_use]
pub fn percentile(sample: &Sample, share: f64) -> f64 {
    assert!((0.0..=1.0).contains(&share), "a share is between 0 and 1");
    let sorted = sorted(sample);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.saturating_sub(1)]
}

/// The value in the middle; between the two in the middle where they are two.
///
/// # Panics
///
/// On an empty sample, and on values that aren't numbers.
#[must_use]
pub fn median(sample: &Sample) -> f64 {
    let sorted = sorted(sample);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

/// The interval in which the median of what was sampled lies with 95 %: between two values of the sample,
/// whatever its distribution (order statistics; the binomial's normal approximation).
///
/// # Panics
///
/// On an empty sample, and on values that aren't numbers.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub fn median_interval(sample: &Sample) -> (f64, f64) {
    let sorted = sorted(sample);
    let count = sorted.len() as f64;
    let reach = 1.96 * count.sqrt() / 2.0;
    let low = (count / 2.0 - reach).floor().max(0.0) as usize;
    let high = (count / 2.0 + reach).ceil() as usize;
    (sorted[low], sorted[high.min(sorted.len() - 1)])
}

/// Of each round, what one thing took as a multiple of the other. What made a round slow (another program
/// on the machine, the disk) made both slow.
///
/// # Panics
///
/// If the rounds aren't as many.
#[must_use]
pub fn ratios(of: &Sample, to: &Sample) -> Vec<f64> {
    assert_eq!(of.len(), to.len(), "ratios are of the same rounds");
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

/// Of each round, both together.
///
/// # Panics
///
/// If the rounds aren't as many.
#[must_use]
pub fn sums(one: &Sample, other: &Sample) -> Vec<f64> {
    assert_eq!(one.len(), other.len(), "sums are of the same rounds");
    one.iter().zip(other).map(|(one, other)| one + other).collect()
}

/// The mean.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn mean(sample: &Sample) -> f64 {
    sample.iter().sum::<f64>() / sample.len() as f64
}

/// The variance, estimated from the sample (divided by one less than there are).
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn variance(sample: &Sample) -> f64 {
    let mean = mean(sample);
    sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (sample.len() as f64 - 1.0)
}

/// Welch's t of two samples: how many standard errors their means lie apart (Welch 1947). Beyond ±4.5
/// they are taken as told apart, as in the test vector leakage assessment of side channels (Goodwill and
/// others, 2011). Samples without any variance are the same or infinitely apart.
///
/// # Panics
///
/// On samples of less than two.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn welch_t(one: &Sample, other: &Sample) -> f64 {
    assert!(one.len() > 1 && other.len() > 1, "a variance needs two values");
    let error = variance(one) / one.len() as f64 + variance(other) / other.len() as f64;
    let apart = mean(one) - mean(other);
    if apart == 0.0 { 0.0 } else { apart / error.sqrt() }
}

/// The sample without what is above its `share`: what the machine did meanwhile (an interrupt, another
/// program) and not what was measured. Both sides of a comparison must be cut at the same value:
/// [`percentile`] of both together.
#[must_use]
pub fn below(sample: &Sample, limit: f64) -> Vec<f64> {
    sample.iter().copied().filter(|value| *value <= limit).collect()
}

fn sorted(sample: &Sample) -> Vec<f64> {
    assert!(!sample.is_empty(), "nothing was measured");
    assert!(!sample.iter().any(|value| value.is_nan()), "a measurement is a number");
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.99), 99.0);
        assert_eq!(percentile(&hundred, 0.5), 50.0);
        assert_eq!(percentile(&hundred, 0.0), 1.0);
        assert_eq!(percentile(&hundred, 1.0), 100.0);
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
    }

    #[test]
    fn the_median_of_a_hundred_lies_between_the_forty_first_and_the_sixty_first() {
        // Of 100 values, the 40th or 41st to the 61st, however it is rounded.
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(median_interval(&hundred), (41.0, 61.0));
    }

    #[test]
    fn welchs_t_is_that_of_the_textbook() {
        // The worked example of most textbooks, in which t is -2.46 with 25 degrees of freedom.
        let one = [
            27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7,
            21.4,
        ];
        let other = [
            27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5,
            24.4,
        ];
        assert!((welch_t(&one, &other) - -2.46).abs() < 0.005, "{}", welch_t(&one, &other));
    }

    #[test]
    fn samples_that_never_vary_are_the_same_or_infinitely_apart() {
        assert_eq!(welch_t(&[1.0, 1.0], &[1.0, 1.0]), 0.0);
        assert_eq!(welch_t(&[2.0, 2.0], &[1.0, 1.0]), f64::INFINITY);
    }

    #[test]
    fn a_ratio_is_of_one_round() {
        // The second round was slow for both.
        assert_eq!(ratios(&[2.0, 20.0], &[1.0, 10.0]), [2.0, 2.0]);
    }

    proptest! {
        #[test]
        fn medians_and_percentiles_lie_within_the_sample(sample in vec(0.0..1e9, 1..200), share in 0.0..=1.0) {
            let (least, most) = (percentile(&sample, 0.0), percentile(&sample, 1.0));
            prop_assert!((least..=most).contains(&median(&sample)));
            prop_assert!(sample.contains(&percentile(&sample, share)));
            let (low, high) = median_interval(&sample);
            prop_assert!(low <= median(&sample) && median(&sample) <= high);
        }

        #[test]
        fn the_order_of_measurements_changes_nothing(mut sample in vec(0.0..1e9, 1..200), share in 0.0..=1.0) {
            let (middle, at) = (median(&sample), percentile(&sample, share));
            sample.reverse();
            prop_assert_eq!(median(&sample), middle);
            prop_assert_eq!(percentile(&sample, share), at);
        }

        #[test]
        fn half_of_the_sample_lies_on_either_side_of_its_median(sample in vec(0.0..1e9, 1..200)) {
            let middle = median(&sample);
            prop_assert!(sample.iter().filter(|v| **v < middle).count() * 2 <= sample.len());
            prop_assert!(sample.iter().filter(|v| **v > middle).count() * 2 <= sample.len());
        }

        #[test]
        fn welchs_t_changes_sign_with_the_order_and_ignores_unit_and_offset(
            one in vec(1.0..1e3, 2..50), other in vec(1.0..1e3, 2..50), unit in 1.0..100.0, offset in 0.0..1e3,
        ) {
            let t = welch_t(&one, &other);
            prop_assume!(t.is_finite());
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * (1.0 + a.abs());
            prop_assert!(near(welch_t(&other, &one), -t));
            let moved = |sample: &[f64]| sample.iter().map(|v| v * unit + offset).collect::<Vec<_>>();
            prop_assert!(near(welch_t(&moved(&one), &moved(&other)), t));
        }
    }
}

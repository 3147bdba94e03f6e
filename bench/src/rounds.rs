//! Who is measured when: in rounds, everybody once in each, so that what the machine does meanwhile
//! meets all alike.

/// Measures `kinds` things once for every one of `rounds`, and gives what each took, round by round.
/// The order is another one in every round, so that none is always behind the same: who comes behind a
/// large file's flush finds the disk busy and the processor's caches cold.
pub fn interleaved<T>(
    rounds: impl IntoIterator<Item = T>,
    kinds: usize,
    mut measure: impl FnMut(usize, &T) -> u64,
) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::new(); kinds];
    let mut dice = Dice(1);
    for round in rounds {
        for kind in dice.order(kinds) {
            #[allow(clippy::cast_precision_loss)] // nanoseconds of less than a month
            samples[kind].push(measure(kind, &round) as f64);
        }
    }
    samples
}

/// The same throws in every run: the multiplier of Knuth's MMIX.
struct Dice(u64);

impl Dice {
    /// The numbers below `count`, shuffled (Fisher and Yates).
    fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // The upper bits are the good ones.
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_measured_once_in_each_round() {
        let samples = interleaved([10, 20, 30], 3, |kind, round| round + kind as u64);
        assert_eq!(samples, [[10.0, 20.0, 30.0], [11.0, 21.0, 31.0], [12.0, 22.0, 32.0]]);
    }

    #[test]
    fn everybody_comes_behind_everybody_about_as_often() {
        let mut pairs = [[0; 6]; 6];
        let mut dice = Dice(1);
        for _ in 0..600 {
            dice.order(6).windows(2).for_each(|pair| pairs[pair[0]][pair[1]] += 1);
        }
        for (before, row) in pairs.iter().enumerate() {
            for (after, times) in row.iter().enumerate().filter(|(after, _)| *after != before) {
                assert!((60..=140).contains(times), "{after} behind {before}: {times} times");
            }
        }
    }
}

//! Who is measured when: in rounds, everybody once in each, so that what the machine does meanwhile
//! meets all alike.

/// Measures `kinds` things once for every one of `rounds`, and gives what each took, round by round.
/// Every round begins with another one, so that none is always behind the same.
pub fn interleaved<T>(
    rounds: impl IntoIterator<Item = T>,
    kinds: usize,
    mut measure: impl FnMut(usize, &T) -> u64,
) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::new(); kinds];
    for (nth, round) in rounds.into_iter().enumerate() {
        for turn in 0..kinds {
            let kind = (nth + turn) % kinds;
            #[allow(clippy::cast_precision_loss)] // nanoseconds of less than a month
            samples[kind].push(measure(kind, &round) as f64);
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_measured_once_in_each_round_and_begins_in_turn() {
        let mut order = Vec::new();
        let samples = interleaved([10, 20, 30], 3, |kind, round| {
            order.push((*round, kind));
            *round + kind as u64
        });
        assert_eq!(samples, [[10.0, 20.0, 30.0], [11.0, 21.0, 31.0], [12.0, 22.0, 32.0]]);
        let firsts: Vec<_> = order.chunks(3).map(|round| round[0]).collect();
        assert_eq!(firsts, [(10, 0), (20, 1), (30, 2)]);
    }
}

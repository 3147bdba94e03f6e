//! What the tries come to: each case's steps beside those of somebody who is enrolled.

use std::fmt;

use pam_totp_bench::statistics::{below, median, percentile, welch_t};

use crate::trials::Sample;

/// The share of tries of which the machine isn't taken to have disturbed too many.
const KEPT: f64 = 0.9;

/// One question, answered.
pub(crate) struct Comparison {
    pub(crate) title: &'static str,
    pub(crate) steps: &'static [&'static str],
    /// The first is what the others are compared with.
    pub(crate) samples: Vec<Sample>,
}

/// How far one case's step is from that of the first.
#[derive(Clone, Copy)]
struct Apart {
    all: f64,
    kept: f64,
}

impl Comparison {
    fn apart(&self, nth: usize, step: usize) -> Apart {
        let (base, other) = (&self.samples[0].steps[step], &self.samples[nth].steps[step]);
        let both: Vec<f64> = base.iter().chain(other).copied().collect();
        let limit = percentile(&both, KEPT);
        let kept = welch_t(&below(other, limit), &below(base, limit));
        Apart { all: welch_t(other, base), kept }
    }

    /// How often each case was tried, at least.
    fn tries(&self) -> usize {
        self.samples.iter().map(|sample| sample.steps[0].len()).min().unwrap_or(0)
    }

    /// The greatest t of a step, over all cases and both ways of looking.
    fn greatest(&self, step: usize) -> f64 {
        let t = |nth| {
            let apart = self.apart(nth, step);
            apart.all.abs().max(apart.kept.abs())
        };
        (1..self.samples.len()).map(t).fold(0.0, f64::max)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries = self.tries();
        writeln!(
            f,
            "**{}**: {tries} tries each; median in µs, t over all, t without the slowest tenth\n",
            self.title
        )?;
        writeln!(f, "| | {} |", self.steps.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.steps.len()))?;
        for (nth, sample) in self.samples.iter().enumerate() {
            write!(f, "| {} |", sample.case.title())?;
            for (step, times) in sample.steps.iter().enumerate() {
                write!(f, " {:.1}", median(times))?;
                if nth > 0 {
                    let Apart { all, kept } = self.apart(nth, step);
                    write!(f, "; {all:.1}; {kept:.1}")?;
                }
                f.write_str(" |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// In a few words what comes out.
pub(crate) struct Told(String);

impl Told {
    pub(crate) fn of(comparisons: &[Comparison], threshold: f64) -> Self {
        let mut lines = vec![
            "| greatest t of any case | tries | the first prompt | | everything behind it | |"
                .to_string(),
        ];
        lines.push("|---|---|---|---|---|---|".to_string());
        let told = |t| if t < threshold { "not told apart" } else { "**told apart**" };
        for comparison in comparisons {
            let first = comparison.greatest(0);
            let behind = (1..comparison.steps.len()).map(|step| comparison.greatest(step));
            let behind = behind.fold(0.0, f64::max);
            let (title, tries) = (comparison.title, comparison.tries());
            let (before, after) = (told(first), told(behind));
            lines.push(format!(
                "| {title} | {tries} | {first:.1} | {before} | {behind:.1} | {after} |"
            ));
        }
        Self(lines.join("\n"))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

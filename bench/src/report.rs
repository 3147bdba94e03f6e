//! What was measured, as Markdown: the claims with what came of them, and the tables.

use std::fmt::{self, Display, Formatter};

use pam_totp_bench::statistics::{median, median_interval, percentile};

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) claims: Vec<Claim>,
    pub(crate) tables: Vec<Table>,
}

/// A number to be reached.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) what: String,
    /// With its unit.
    pub(crate) measured: String,
    pub(crate) wanted: Wanted,
    pub(crate) value: f64,
}

/// Which number that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wanted {
    AtMost(f64),
    AtLeast(f64),
    /// Said beside the others; nothing was promised.
    Nothing,
}

/// Lines under a title.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<String>,
    pub(crate) lines: Vec<Vec<String>>,
}

impl Report {
    /// A claim about ratios of one round: their median, and between what it lies with 95 %.
    pub(crate) fn claim_ratio(&mut self, what: impl Into<String>, ratios: &[f64], wanted: Wanted) {
        let value = median(ratios);
        let (low, high) = median_interval(ratios);
        let measured = format!("{value:.2} × ({low:.2} to {high:.2})");
        self.claims.push(Claim { what: what.into(), measured, wanted, value });
    }

    /// A claim about one number.
    pub(crate) fn claim(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &str,
        wanted: Wanted,
    ) {
        let measured = format!("{}{unit}", grouped(value));
        self.claims.push(Claim { what: what.into(), measured, wanted, value });
    }

    /// A table to which lines are added.
    pub(crate) fn table(&mut self, title: &str, head: &[&str]) -> &mut Table {
        let head = head.iter().map(|cell| (*cell).to_string()).collect();
        self.tables.push(Table { title: title.to_string(), head, lines: Vec::new() });
        self.tables.last_mut().expect("just added")
    }
}

impl Table {
    pub(crate) fn line(
        &mut self,
        first: impl Into<String>,
        cells: impl IntoIterator<Item = String>,
    ) {
        self.lines.push([first.into()].into_iter().chain(cells).collect());
    }
}

/// Median and 90th percentile of nanoseconds, in microseconds.
pub(crate) fn times(nanoseconds: &[f64]) -> String {
    let microseconds = |value: f64| grouped(value / 1_000.0);
    format!(
        "{} / {}",
        microseconds(median(nanoseconds)),
        microseconds(percentile(nanoseconds, 0.9))
    )
}

/// Rounded, with commas between the thousands.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 { format!("-{text}") } else { text }
}

impl Wanted {
    fn came(self, value: f64) -> &'static str {
        match self {
            Self::AtMost(most) if value <= most => "yes",
            Self::AtLeast(least) if value >= least => "yes",
            Self::Nothing => "",
            Self::AtMost(_) | Self::AtLeast(_) => "**no**",
        }
    }
}

impl Display for Wanted {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(out, "at most {most}"),
            Self::AtLeast(least) => write!(out, "at least {least}"),
            Self::Nothing => Ok(()),
        }
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "| what | measured | wanted | reached |\n|---|---|---|---|")?;
        for claim in &self.claims {
            let Claim { what, measured, wanted, value } = claim;
            writeln!(out, "| {what} | {measured} | {wanted} | {} |", wanted.came(*value))?;
        }
        for table in &self.tables {
            write!(out, "\n{table}")?;
        }
        Ok(())
    }
}

impl Display for Table {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.title)?;
        writeln!(
            out,
            "| {} |\n|---{}|",
            self.head.join(" | "),
            "|---:".repeat(self.head.len() - 1)
        )?;
        self.lines.iter().try_for_each(|line| writeln!(out, "| {} |", line.join(" | ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted_by_commas() {
        let said = [0.4, 999.6, 12_345.0, 1_234_567.0, -4_096.0, -0.2].map(grouped);
        assert_eq!(said, ["0", "1,000", "12,345", "1,234,567", "-4,096", "0"]);
    }

    #[test]
    fn a_missed_number_stands_out() {
        assert_eq!(Wanted::AtMost(1.5).came(1.51), "**no**");
        assert_eq!(Wanted::AtMost(1.5).came(1.5), "yes");
        assert_eq!(Wanted::AtLeast(2.0).came(1.9), "**no**");
        assert_eq!(Wanted::Nothing.came(9.0), "");
    }

    #[test]
    fn a_report_is_tables_of_markdown() {
        let mut report = Report::default();
        report.claim_ratio("a", &[2.0, 2.0, 2.0], Wanted::AtLeast(2.0));
        report.table("Times:", &["of", "µs"]).line("b", ["3".to_string()]);
        let wanted = "| what | measured | wanted | reached |\n|---|---|---|---|\n\
                      | a | 2.00 × (2.00 to 2.00) | at least 2 | yes |\n\
                      \nTimes:\n\n| of | µs |\n|---|---:|\n| b | 3 |\n";
        assert_eq!(report.to_string(), wanted);
    }
}

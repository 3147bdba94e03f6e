//! Several login notices as one line, which has room in a message of PAM's.

use std::cmp::Reverse;

use totp_core::event::EventKind;
use totp_core::name::UserName;
use totp_core::time::UnixTime;

use super::{Notice, Waiting};

/// `PAM_MAX_MSG_SIZE` without its NUL.
const MOST: usize = 511;

const HEAD: &str = "pam-totp: ";

impl Waiting {
    /// The line: what alarms first, then the newest of each kind, then the others. What has no room is counted, with the command that lists it. `None` where
    /// there is nothing to show.
    #[must_use]
    pub fn summary(&self, user: &UserName) -> Option<String> {
        let all = self.in_order();
        let count = |shown: usize| self.count().saturating_sub(u64::try_from(shown).unwrap_or(0));
        let mut line = HEAD.to_owned();
        for (shown, notice) in all.iter().enumerate() {
            let part = if shown == 0 { "" } else { "; " }.to_owned() + &notice.sentence();
            // After the last one nothing is left to be counted.
            let rest = tail(shown.saturating_add(1), count(shown.saturating_add(1)), user);
            if line.len().saturating_add(part.len()).saturating_add(rest.len()) > MOST {
                return Some(ended(line, shown, count(shown), user));
            }
            line.push_str(&part);
        }
        let left = count(all.len());
        (self.count() > 0).then(|| ended(line, all.len(), left, user))
    }

    /// A flood of one kind leaves room for the newest of the others.
    fn in_order(&self) -> Vec<&Notice> {
        let mut all: Vec<&Notice> = self.notices.iter().rev().collect(); // of one second the later first
        all.sort_by_key(|notice| Reverse(time(notice)));
        let newer = |at: usize, one: &Notice| {
            all.iter().take(at).filter(|other| other.kind() == one.kind()).count()
        };
        let mut ranked: Vec<_> =
            all.iter().enumerate().map(|(at, one)| ((rank(one), newer(at, one)), *one)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, one)| one).collect()
    }

    /// How many there are.
    fn count(&self) -> u64 {
        u64::try_from(self.notices.len()).unwrap_or(u64::MAX).saturating_add(self.more)
    }
}

fn ended(line: String, shown: usize, left: u64, user: &UserName) -> String {
    line + &tail(shown, left, user)
}

/// What is not shown.
fn tail(shown: usize, left: u64, user: &UserName) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = Some(user.as_str()).filter(|name| name.chars().all(plain) && name.len() <= 64);
    let list = format!("totp-admin notices {}", name.unwrap_or("USER"));
    match (left, shown) {
        (0, _) => String::new(),
        (1, 0) => format!("one notice for you: {list}"),
        (_, 0) => format!("{left} notices for you: {list}"),
        _ => format!("; and {left} more: {list}"),
    }
}

fn rank(notice: &Notice) -> u8 {
    match notice.kind() {
        Some(EventKind::CodeAlreadyUsed) => 0,
        _ => 1,
    }
}

fn time(notice: &Notice) -> Option<UnixTime> {
    notice.event().map(|event| event.time)
}

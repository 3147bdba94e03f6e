//! The thread for mail: moves what logins left to the permanent record, enqueues what is new in it, delivers what is due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use totp_agent::post::{Post, PostError, Report, When};
use totp_agent::transport;
use totp_store::outbox::Item;

use super::{ROUND, Shared, log};

/// What has been said already, and isn't each time: a fault by where it was.
#[derive(Default)]
struct Said(BTreeMap<String, String>);

impl Said {
    fn fault(&mut self, place: &str, error: &str) {
        if self.0.get(place).map(String::as_str) != Some(error) {
            log::error(error);
            self.0.insert(place.to_owned(), error.to_owned());
        }
    }

    fn well(&mut self, place: &str) {
        self.0.remove(place);
    }

    fn came_of<T>(&mut self, place: &str, result: Result<T, PostError>) -> Option<T> {
        match result {
            Ok(value) => {
                self.well(place);
                Some(value)
            }
            Err(error) => {
                self.fault(place, &error.to_string());
                None
            }
        }
    }
}

/// Serves until the end.
pub fn serve(shared: &Arc<Shared>) {
    let mut said = Said::default();
    let mut last_round: Option<(Instant, Arc<Post>)> = None;
    while !shared.ends() {
        let post = shared.post();
        // With another configuration at once.
        let is_fresh =
            |(at, with): &(Instant, Arc<Post>)| at.elapsed() < ROUND && Arc::ptr_eq(with, &post);
        if !last_round.as_ref().is_some_and(is_fresh) {
            last_round = Some((Instant::now(), Arc::clone(&post)));
            let _ = said.came_of("events", post.move_events());
        }
        for trouble in said.came_of("enqueue", post.enqueue()).unwrap_or_default() {
            log::error(&trouble);
        }
        deliver(&post, shared, &mut said);
        shared.mail.wait(Duration::from_secs(5));
    }
}

/// Everything that is due. Where nobody can be reached the rest is left for the next look, a few seconds from now.
fn deliver(post: &Post, shared: &Shared, said: &mut Said) {
    let items = post.outbox().items().map_err(PostError::from);
    for item in said.came_of("outbox", items).unwrap_or_default() {
        if shared.ends() {
            return;
        }
        let name = match item {
            Item::Mail { name, .. } => name,
            Item::Unknown(name) => {
                let path = post.outbox().path().join(&name);
                said.fault(
                    &name,
                    &format!("{}: not a file of the outbox; remove it", path.display()),
                );
                continue;
            }
            Item::Message(_) | Item::Decoy(_) => continue,
        };
        if let Some(Some(report)) = said.came_of(&name, post.deliver(&name, When::Due)) {
            tell(post, &report, said);
            if report.down {
                return;
            }
        }
    }
}

fn tell(post: &Post, report: &Report, said: &mut Said) {
    let seq = report.seq;
    for remark in &report.remarks {
        said.fault(remark, remark);
    }
    for to in &report.served {
        log::notice(&format!("mail about record {seq} to {to}: handed over"));
    }
    let by = transport::name(&post.config().mail);
    for (to, why) in report.failed.iter().filter(|_| report.noteworthy) {
        let next = report.next.map(|next| format!("; next try {next}")).unwrap_or_default();
        log::error(&format!("mail about record {seq} to {to} by {by}: not delivered: {why}{next}"));
    }
}

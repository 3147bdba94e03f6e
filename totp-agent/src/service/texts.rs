//! The thread for text messages: each within a second or so, some at a time, so that one program that hangs holds up no
//! other message.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use totp_agent::post::{Post, PostError, TEXT_TRIES, Texted};
use totp_store::clock;

use super::{Shared, log};

/// Programs that run at a time.
const AT_A_TIME: usize = 4;

/// How often a message is looked at in vain: one that can't be read or removed stays where it is.
const MOST_FAULTS: u32 = 5;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(5);

/// How often the list is looked through, whether anything was noticed or not.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of a message that has been tried: what was wrong with the file, how often, and when it may be again.
type Tried = BTreeMap<String, (u32, Instant)>;

/// One more program runs while this is there, however its thread ends.
struct Running(Arc<Work>);

impl Running {
    fn begin(work: &Arc<Work>) -> Self {
        work.running.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(work))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What the thread and its workers share.
#[derive(Default)]
struct Work {
    running: AtomicUsize,
    tried: Mutex<Tried>,
}

/// Serves until the end, and lets what runs then come to its own.
pub fn serve(shared: &Arc<Shared>) {
    let work = Arc::new(Work::default());
    while !shared.ends() {
        let post = shared.post();
        let _ = post.outbox().sweep(clock::now());
        // What keeps them from being listed the other thread says.
        let names = post.outbox().message_names().unwrap_or_default();
        forget_those_gone(&work, &names);
        for name in names {
            if work.running.load(Ordering::SeqCst) >= AT_A_TIME {
                break;
            }
            if may_be_tried(&work, &name) {
                start(&post, &work, shared, name);
            }
        }
        shared.texts.wait(LOOK);
    }
    while work.running.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(20)); // each ends by its own time limit
    }
}

/// Reserves the next try, so that no second worker is started for it.
fn may_be_tried(work: &Work, name: &str) -> bool {
    let now = Instant::now();
    let mut tried = work.tried.lock().unwrap_or_else(PoisonError::into_inner);
    let (faults, again) = tried.get(name).copied().unwrap_or((0, now));
    if again > now || faults >= MOST_FAULTS {
        return false;
    }
    // A worker sets the time; until then nobody else begins.
    let far = now.checked_add(Duration::from_secs(3600)).unwrap_or(now);
    tried.insert(name.to_owned(), (faults, far));
    true
}

fn forget_those_gone(work: &Work, names: &[String]) {
    let mut tried = work.tried.lock().unwrap_or_else(PoisonError::into_inner);
    tried.retain(|name, _| names.contains(name));
}

fn start(post: &Arc<Post>, work: &Arc<Work>, shared: &Arc<Shared>, name: String) {
    let running = Running::begin(work);
    let (post, shared) = (Arc::clone(post), Arc::clone(shared));
    let started = thread::Builder::new().name("text".to_owned()).spawn(move || {
        came_of(&running.0, &name, post.text(&name));
        drop(running);
        shared.texts.ring();
    });
    if let Err(error) = started {
        log::error(&format!("a text message waits: thread: {error}"));
    }
}

/// Says what came of a try, and when the next one may be.
fn came_of(work: &Work, name: &str, came: Result<Texted, PostError>) {
    let is_fault = came.is_err();
    match came {
        Ok(Texted::Sent) => log::notice("a text message was handed over"),
        Ok(Texted::NotOurs) => {}
        Ok(Texted::Expired) => log::error("a text message was thrown away: its time was over"),
        Ok(Texted::GivenUp(why)) => {
            log::error(&format!("a text message was given up ({TEXT_TRIES} tries at most): {why}"));
        }
        Ok(Texted::Failed(why)) => log::error(&format!("a text message was not sent yet: {why}")),
        Err(error) => log::error(&format!("text message {name}: {error}")),
    }
    let again = Instant::now().checked_add(PAUSE).unwrap_or_else(Instant::now);
    let mut tried = work.tried.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((faults, at)) = tried.get_mut(name) {
        *at = again;
        *faults = faults.saturating_add(u32::from(is_fault));
    }
}

#[cfg(test)]
mod tests {
    use totp_store::outbox::OutboxError;

    use super::*;

    /// The same once the pause is over.
    fn later(work: &Work) {
        let mut tried = work.tried.lock().unwrap();
        tried.values_mut().for_each(|(_, again)| *again = Instant::now());
    }

    #[test]
    fn what_cannot_be_read_or_removed_is_looked_at_some_times_and_no_more() {
        let work = Work::default();
        let mut looks = 0;
        while looks < 100 && may_be_tried(&work, "text-1") {
            assert!(!may_be_tried(&work, "text-1"), "while a worker has it");
            came_of(&work, "text-1", Err(OutboxError::TooLong.into()));
            assert!(!may_be_tried(&work, "text-1"), "during the pause");
            later(&work);
            looks += 1;
        }
        assert_eq!(looks, MOST_FAULTS);
        // Whoever else sends it is no fault of the file.
        for _ in 0..10 {
            assert!(may_be_tried(&work, "text-2"));
            came_of(&work, "text-2", Ok(Texted::NotOurs));
            later(&work);
        }
    }

    #[test]
    fn a_worker_that_panics_gives_its_place_back() {
        let work = Arc::new(Work::default());
        let running = Running::begin(&work);
        let worker = thread::spawn(move || {
            let _running = running;
            panic!("as a test");
        });
        assert!(worker.join().is_err());
        assert_eq!(work.running.load(Ordering::SeqCst), 0);
    }
}

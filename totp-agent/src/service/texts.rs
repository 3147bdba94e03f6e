//! The thread for text messages: each within a second or so, some at a time, so that one program that hangs holds up no
//! other message.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use totp_agent::post::{Post, Texted};
use totp_store::clock;

use super::{Shared, log};

/// Programs that run at a time.
const AT_A_TIME: usize = 4;

/// How often a message is tried.
const TRIES: u32 = 5;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(5);

/// How often the list is looked through, whether anything was noticed or not.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of a message that has been tried: how often, and when it may be again.
type Tried = BTreeMap<String, (u32, Instant)>;

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
    let (tries, again) = tried.get(name).copied().unwrap_or((0, now));
    if again > now {
        return false;
    }
    // A worker sets the time; until then nobody else begins.
    let far = now.checked_add(Duration::from_secs(3600)).unwrap_or(now);
    tried.insert(name.to_owned(), (tries.saturating_add(1), far));
    true
}

fn forget_those_gone(work: &Work, names: &[String]) {
    let mut tried = work.tried.lock().unwrap_or_else(PoisonError::into_inner);
    tried.retain(|name, _| names.contains(name));
}

fn start(post: &Arc<Post>, work: &Arc<Work>, shared: &Arc<Shared>, name: String) {
    work.running.fetch_add(1, Ordering::SeqCst);
    let (post, theirs, shared) = (Arc::clone(post), Arc::clone(work), Arc::clone(shared));
    let started = thread::Builder::new().name("text".to_owned()).spawn(move || {
        attempt(&post, &theirs, &name);
        theirs.running.fetch_sub(1, Ordering::SeqCst);
        shared.texts.ring();
    });
    if let Err(error) = started {
        work.running.fetch_sub(1, Ordering::SeqCst);
        log::error(&format!("a text message waits: thread: {error}"));
    }
}

fn attempt(post: &Post, work: &Work, name: &str) {
    let tries = {
        let tried = work.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.get(name).map_or(1, |(tries, _)| *tries)
    };
    match post.text(name, tries >= TRIES) {
        Ok(Texted::Sent) => log::notice("a text message was handed over"),
        Ok(Texted::NotOurs) => {}
        Ok(Texted::Expired) => log::error("a text message was thrown away: its time was over"),
        Ok(Texted::Failed(why)) if tries >= TRIES => {
            log::error(&format!("a text message was given up after {TRIES} tries: {why}"));
        }
        Ok(Texted::Failed(why)) => log::error(&format!("a text message was not sent yet: {why}")),
        Err(error) => log::error(&error.to_string()),
    }
    let again = Instant::now().checked_add(PAUSE).unwrap_or_else(Instant::now);
    let mut tried = work.tried.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(entry) = tried.get_mut(name) {
        entry.1 = again;
    }
}

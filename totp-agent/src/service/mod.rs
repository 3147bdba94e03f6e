//! The service: one thread for mail and the permanent record, one for text messages, and the main one, which waits for
//! files, signals and time, and wakes the others.

pub mod log;
mod mail;
mod texts;
mod watch;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use totp_agent::post::Post;
use totp_store::files::Owner;
use totp_store::installation::Installation;
use totp_store::notify;

use self::watch::{Bell, Watch, Woken};

/// What syslog calls this program.
pub const PROGRAM: &str = "totp-agent";

/// How often is looked, whether anything was noticed or not.
const ROUND: Duration = Duration::from_secs(30);

/// What the threads share.
#[derive(Debug)]
struct Shared {
    post: Mutex<Arc<Post>>,
    mail: Bell,
    texts: Bell,
    end: AtomicBool,
}

impl Shared {
    /// As the configuration is now.
    fn post(&self) -> Arc<Post> {
        Arc::clone(&self.post.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ends(&self) -> bool {
        self.end.load(Ordering::SeqCst)
    }

    fn ring(&self) {
        self.mail.ring();
        self.texts.ring();
    }
}

/// Serves until a signal ends it. A configuration that can't be used ends it at once; later, it keeps the one it has.
pub fn run(named: Option<&Path>) -> Result<()> {
    if !nix::unistd::Uid::effective().is_root() {
        bail!("only root can deliver from the outbox: start it as a service of the system");
    }
    let named = named.map(std::path::absolute).transpose().context("--config")?;
    let mut watch = Watch::new()?;
    let post = Arc::new(open(named.as_deref())?);
    let alone = post.outbox().only_agent()?;
    let Some(_alone) = alone else {
        bail!("another totp-agent is running for {}", post.outbox().path().display());
    };
    watch_over(&mut watch, &post);
    let shared = Arc::new(Shared {
        post: Mutex::new(post),
        mail: Bell::default(),
        texts: Bell::default(),
        end: AtomicBool::new(false),
    });
    let threads = [
        start("mail", &shared, mail::serve).context("thread")?,
        start("texts", &shared, texts::serve).context("thread")?,
    ];
    notify::tell(notify::READY);
    log::notice("ready");
    let ended = attend(&mut watch, &shared, named.as_deref(), &threads);
    notify::tell(notify::STOPPING);
    shared.end.store(true, Ordering::SeqCst);
    shared.ring();
    for thread in threads {
        let _ = thread.join(); // what it panicked over has been said
    }
    ended
}

fn start(
    name: &str,
    shared: &Arc<Shared>,
    serve: fn(&Arc<Shared>),
) -> std::io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name(name.to_owned()).spawn(move || serve(&shared))
}

/// Waits, and wakes the others, until the end.
fn attend(
    watch: &mut Watch,
    shared: &Shared,
    named: Option<&Path>,
    threads: &[JoinHandle<()>],
) -> Result<()> {
    let longest = notify::watchdog().map_or(ROUND, |often| often.min(ROUND));
    loop {
        match watch.wait(longest) {
            Woken::End => return Ok(()),
            Woken::Reload => reload(watch, shared, named),
            Woken::Look => {}
        }
        // A supervisor starts it anew, and nothing is lost.
        if threads.iter().any(JoinHandle::is_finished) {
            bail!("a part of the service has ended unexpectedly");
        }
        notify::tell(notify::WATCHDOG);
        shared.ring();
    }
}

fn reload(watch: &mut Watch, shared: &Shared, named: Option<&Path>) {
    match open(named) {
        Ok(post) => {
            let post = Arc::new(post);
            watch_over(watch, &post);
            *shared.post.lock().unwrap_or_else(PoisonError::into_inner) = post;
            log::notice("the configuration was read again");
        }
        Err(error) => log::error(&format!("{error:#}; the configuration of before is kept")),
    }
}

fn open(named: Option<&Path>) -> Result<Post> {
    let installation = Installation::open(named, Owner::ROOT)?;
    if let Some(warning) = installation.warning() {
        log::error(&warning);
    }
    Ok(Post::open(&installation, PROGRAM)?)
}

fn watch_over(watch: &mut Watch, post: &Post) {
    let record = post.record().path().parent().map(Path::to_owned).unwrap_or_default();
    watch.directories(&[post.outbox().path(), &record]);
}

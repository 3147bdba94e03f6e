//! What wakes the service: a file that appears in the outbox, a line in the permanent record, a signal, or time.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often is looked where the kernel can't tell of new files.
const LOOK: Duration = Duration::from_millis(500);

/// Wakes one of the loops.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Wakes whoever waits, or who waits next.
    pub fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until it is rung, but not longer than `most`.
    pub fn wait(&self, most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(rung, most, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// Why the watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Time is over, or a file changed.
    Look,
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    End,
}

/// Files and signals.
pub struct Watch {
    files: Option<Inotify>,
    signals: UnixStream,
    end: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Watch {
    /// Takes the signals over.
    pub fn new() -> Result<Self> {
        let (signals, sender) = UnixStream::pair().context("socketpair")?;
        signals.set_nonblocking(true).context("socketpair")?;
        let (end, reload) = (Arc::default(), Arc::default());
        for (signal, flag) in [(SIGTERM, &end), (SIGINT, &end), (SIGHUP, &reload)] {
            // The flag first: whoever is woken finds it set.
            signal_hook::flag::register(signal, Arc::clone(flag)).context("sigaction")?;
            let sender = sender.try_clone().context("socketpair")?;
            signal_hook::low_level::pipe::register(signal, sender).context("sigaction")?;
        }
        Ok(Self { files: None, signals, end, reload })
    }

    /// Watches these directories, in the place of those of before.
    pub fn directories(&mut self, paths: &[&Path]) {
        self.files = watched(paths).ok();
    }

    /// Waits for up to `most`.
    pub fn wait(&self, most: Duration) -> Woken {
        let most = if self.files.is_some() { most } else { most.min(LOOK) };
        let timeout = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(files) = &self.files {
            fds.push(PollFd::new(files.as_fd(), PollFlags::POLLIN));
        }
        let _ = poll(&mut fds, timeout); // interrupted or not, the flags tell
        if let Some(files) = &self.files {
            while files.read_events().is_ok_and(|events| !events.is_empty()) {}
        }
        let mut bytes = [0; 64];
        while (&self.signals).read(&mut bytes).is_ok_and(|read| read > 0) {}
        if self.end.load(Ordering::SeqCst) {
            Woken::End
        } else if self.reload.swap(false, Ordering::SeqCst) {
            Woken::Reload
        } else {
            Woken::Look
        }
    }
}

fn watched(paths: &[&Path]) -> Result<Inotify, Errno> {
    let files = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let what = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MODIFY;
    for path in paths {
        files.add_watch(*path, what)?;
    }
    Ok(files)
}

//! Threads that wait in accept on one socket. A pool grows by one before its last waiter serves, so that a connection is never
//! handed over and never waits for a thread that waits for a person.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use totp_wire::ToModule;

use super::Shared;
use super::shares::{Admitted, Share};
use crate::connection::Connection;
use crate::journal;
use crate::serve::serve;

/// Threads of one pool. A caller has a share of them that is far smaller.
const MOST: usize = 4096;

/// So many go on waiting when they have nothing to do.
const MOST_WAITING: usize = 8;

/// Bytes of a thread's stack.
const STACK: usize = 512 * 1024;

/// How long no connection is accepted where the process has no descriptor left for it.
const PAUSE: Duration = Duration::from_millis(10);

/// The threads of one socket.
#[derive(Debug)]
pub(super) struct Pool {
    socket: OwnedFd,
    shared: Arc<Shared>,
    counts: Mutex<Counts>,
    /// Whether the last connection could not be accepted: said once, for as long as it lasts.
    fails: AtomicBool,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: usize,
    serving: usize,
}

impl Pool {
    /// Starts the first thread.
    ///
    /// # Errors
    /// Where there can't be one.
    pub(super) fn start(socket: OwnedFd, shared: &Arc<Shared>) -> std::io::Result<()> {
        let pool = Self {
            socket,
            shared: Arc::clone(shared),
            counts: Mutex::default(),
            fails: AtomicBool::default(),
        };
        let pool = Arc::new(pool);
        pool.lock().waiting = 1;
        pool.spawn()
    }

    /// A thread that counts as waiting already.
    fn spawn(self: &Arc<Self>) -> std::io::Result<()> {
        let pool = Arc::clone(self);
        let name = "login".to_owned();
        thread::Builder::new().name(name).stack_size(STACK).spawn(move || pool.work()).map(drop)
    }

    fn work(self: &Arc<Self>) {
        loop {
            let socket = match accept_with(&self.socket, SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(errno) => {
                    self.after(errno);
                    continue;
                }
            };
            self.fails.store(false, Ordering::Relaxed);
            let mut connection = Connection::new(socket);
            // A caller over its share is told so by a thread that still counts as waiting: no flood makes threads.
            let Some((uid, of_user)) = self.admit(&mut connection) else { continue };
            let others_wait = self.begin();
            self.attend(connection, uid, of_user, others_wait);
            if !self.end() {
                return;
            }
        }
    }

    /// This thread serves from now on. Whether another one waits in its place.
    fn begin(self: &Arc<Self>) -> bool {
        let mut counts = self.lock();
        counts.waiting = counts.waiting.saturating_sub(1);
        counts.serving = counts.serving.saturating_add(1);
        if counts.waiting > 0 {
            return true;
        }
        if counts.serving >= MOST {
            return false;
        }
        counts.waiting = 1;
        drop(counts);
        let spawned = self.spawn();
        if let Err(error) = &spawned {
            // Others may have come back to wait meanwhile: one less, not none.
            let mut counts = self.lock();
            counts.waiting = counts.waiting.saturating_sub(1);
            drop(counts);
            journal::error(&format!("no further thread for logins: {error}"));
        }
        spawned.is_ok()
    }

    /// Whether this thread waits again.
    fn end(&self) -> bool {
        let mut counts = self.lock();
        counts.serving = counts.serving.saturating_sub(1);
        if counts.waiting >= MOST_WAITING {
            return false;
        }
        counts.waiting = counts.waiting.saturating_add(1);
        true
    }

    /// The uid of the caller, and its share where it is not root: that is known before it has said anything.
    fn admit(&self, connection: &mut Connection) -> Option<(u32, Option<Admitted>)> {
        let uid = connection.peer_uid().ok()?;
        if uid == 0 {
            return Some((uid, None));
        }
        let is_service = self.shared.logins.services.include(uid);
        let admitted = self.shared.shares.admit(Share::of_user(uid, is_service));
        if admitted.is_none() {
            let _ = connection.send(&ToModule::Busy);
        }
        admitted.map(|admitted| (uid, Some(admitted)))
    }

    fn attend(
        &self,
        mut connection: Connection,
        uid: u32,
        of_user: Option<Admitted>,
        others_wait: bool,
    ) {
        let shared = &self.shared;
        let Some(_entered) = shared.open.enter(connection.socket()) else { return };
        if !others_wait {
            let _ = connection.send(&ToModule::Busy);
            return;
        }
        let is_service = of_user.as_ref().is_some_and(Admitted::is_of_a_service);
        serve(connection, uid, &shared.logins, |request| match Share::of(request, is_service) {
            Some(share) => shared.shares.admit(share).map(Some),
            None => Some(None),
        });
    }

    /// A connection that was given up before it was accepted is nothing; where descriptors are short, some are free again
    /// soon.
    fn after(&self, errno: Errno) {
        if matches!(errno, Errno::INTR | Errno::CONNABORTED) {
            return;
        }
        if !self.fails.swap(true, Ordering::Relaxed) {
            journal::error(&format!("accept: {errno}; logins wait until that is over"));
        }
        thread::sleep(PAUSE);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

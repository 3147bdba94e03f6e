//! The conversations that are under way. With the daemon they end: answers that have arrived are evaluated and answered, and
//! the rest is closed.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};

/// As long as an evaluation takes at the most: that of the lock it waits for, and a little more.
const LONGEST: Duration = Duration::from_secs(32);

/// All open conversations.
#[derive(Debug, Default)]
pub(crate) struct Open {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    ending: bool,
    next: u64,
    sockets: HashMap<u64, Arc<OwnedFd>>,
}

/// One conversation, until it is dropped.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    open: &'a Open,
    number: u64,
}

impl Open {
    /// Notes a conversation; `None` where the daemon is about to end.
    pub(crate) fn enter(&self, socket: Arc<OwnedFd>) -> Option<Entered<'_>> {
        let mut inner = self.lock();
        if inner.ending {
            return None;
        }
        let number = inner.next;
        inner.next = number.wrapping_add(1);
        inner.sockets.insert(number, socket);
        Some(Entered { open: self, number })
    }

    /// Lets no further message in, and waits until what has arrived is answered.
    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        inner.ending = true;
        for socket in inner.sockets.values() {
            // What is in its buffer can still be read, and answers can still be sent.
            let _ = shutdown(socket, Shutdown::Read);
        }
        let waited =
            self.changed.wait_timeout_while(inner, LONGEST, |inner| !inner.sockets.is_empty());
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.open.lock().sockets.remove(&self.number);
        self.open.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
    };

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("sockets")
    }

    #[test]
    fn an_answer_that_has_arrived_is_read_and_answered_and_none_comes_after_it() {
        let (open, (ours, theirs)) = (Open::default(), pair());
        let ours = Arc::new(ours);
        let entered = open.enter(Arc::clone(&ours)).expect("not ending");
        send(&theirs, b"123456", SendFlags::NOSIGNAL).expect("a buffer");
        thread::scope(|scope| {
            scope.spawn(|| open.end());
            while !open.lock().ending {
                thread::yield_now();
            }
            let mut buffer = [0; 16];
            assert_eq!(recv(&ours, &mut buffer, RecvFlags::empty()), Ok((6, 6)));
            assert_eq!(send(&ours, b"done", SendFlags::NOSIGNAL), Ok(4));
            assert_eq!(recv(&ours, &mut buffer, RecvFlags::empty()), Ok((0, 0)));
            assert!(open.enter(Arc::clone(&ours)).is_none());
            drop(entered);
        });
    }
}

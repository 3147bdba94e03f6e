//! Attempts on one name, evaluated one after the other in the order in which they arrive, for names that exist and names that
//! do not: how long an attempt waits tells nothing about the name.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use totp_core::name::UserName;
use totp_core::store::{Fault, FaultKind};

/// As long as an attempt waits. The module waits longer.
const LONGEST: Duration = Duration::from_secs(20);

/// Who evaluates which name, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    queues: Mutex<Queues>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    /// The tickets of each name; the first one's turn it is.
    of: HashMap<UserName, VecDeque<u64>>,
    next_ticket: u64,
}

/// The turn of one attempt. It ends with this value.
#[derive(Debug)]
#[must_use]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    user: &'a UserName,
    ticket: u64,
}

impl Turns {
    /// Waits until all earlier attempts on this name are over.
    ///
    /// # Errors
    /// Where they have not ended in time: nothing was evaluated.
    pub(crate) fn wait_for<'a>(&'a self, user: &'a UserName) -> Result<Turn<'a>, Fault> {
        self.wait_within(user, LONGEST)
    }

    fn wait_within<'a>(&'a self, user: &'a UserName, most: Duration) -> Result<Turn<'a>, Fault> {
        let until = Instant::now().checked_add(most);
        let mut queues = self.lock();
        let ticket = queues.next_ticket;
        queues.next_ticket = ticket.wrapping_add(1);
        queues.of.entry(user.clone()).or_default().push_back(ticket);
        // From here on the value that is dropped takes the ticket back.
        let turn = Turn { turns: self, user, ticket };
        while queues.of.get(user).and_then(VecDeque::front) != Some(&ticket) {
            let left = until
                .map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                drop(queues);
                drop(turn);
                let detail = format!("too many attempts on {user} at once");
                return Err(Fault { kind: FaultKind::Unavailable, detail });
            }
            let waited = self.moved.wait_timeout(queues, left);
            queues = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(queues);
        Ok(turn)
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.lock();
        if let Some(queue) = queues.of.get_mut(self.user) {
            queue.retain(|ticket| *ticket != self.ticket);
            if queue.is_empty() {
                queues.of.remove(self.user);
            }
        }
        drop(queues);
        self.turns.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    fn name(text: &str) -> UserName {
        UserName::new(text).expect("a name")
    }

    fn waiting(turns: &Turns, user: &UserName) -> usize {
        turns.lock().of.get(user).map_or(0, VecDeque::len)
    }

    #[test]
    fn attempts_on_one_name_take_turns_in_the_order_of_their_arrival() {
        let (turns, alice) = (Turns::default(), name("alice"));
        let first = turns.wait_for(&alice).expect("a turn");
        let (send, order) = channel();
        thread::scope(|scope| {
            for number in 0..4 {
                let (turns, alice, send) = (&turns, &alice, send.clone());
                scope.spawn(move || {
                    let _turn = turns.wait_for(alice).expect("a turn");
                    send.send(number).expect("the test listens");
                });
                while waiting(turns, alice) < number + 2 {
                    thread::yield_now();
                }
            }
            drop(first);
            assert_eq!(order.iter().take(4).collect::<Vec<_>>(), [0, 1, 2, 3]);
        });
        assert!(turns.lock().of.is_empty());
    }

    #[test]
    fn an_attempt_on_another_name_does_not_wait() {
        let (turns, alice, bob) = (Turns::default(), name("alice"), name("bob"));
        let _one = turns.wait_for(&alice).expect("a turn");
        assert!(turns.wait_within(&bob, Duration::ZERO).is_ok());
    }

    #[test]
    fn an_attempt_that_gives_up_leaves_its_place_to_the_next() {
        let (turns, alice) = (Turns::default(), name("alice"));
        let first = turns.wait_for(&alice).expect("a turn");
        let fault = turns.wait_within(&alice, Duration::ZERO).expect_err("it is taken");
        assert_eq!(fault.kind, FaultKind::Unavailable);
        assert_eq!(waiting(&turns, &alice), 1);
        drop(first);
        assert!(turns.wait_within(&alice, Duration::ZERO).is_ok());
    }
}

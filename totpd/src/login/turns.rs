//! Attempts on one name, evaluated one after the other in the order in which they arrive, for names that exist and names that
//! do not: how long an attempt waits tells nothing about the name. Those of services that ask about others (`[callers]`) wait in a
//! lane of their own, which takes turns with the other one: a service may have hundreds of conversations.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use totp_core::name::UserName;
use totp_core::store::{Fault, FaultKind};

/// As long as an attempt waits. The module waits longer.
const LONGEST: Duration = Duration::from_secs(20);

/// Where an attempt waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Programs of root, and of the user.
    Others,
    /// Services that ask about other users.
    Services,
}

/// Who evaluates which name, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    queues: Mutex<Queues>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    /// Of each name on which there are attempts.
    of: HashMap<UserName, Queue>,
    next_ticket: u64,
}

/// The attempts on one name, by their tickets.
#[derive(Debug)]
struct Queue {
    /// Whose turn it is, and its lane.
    at_work: (u64, Lane),
    others: VecDeque<u64>,
    services: VecDeque<u64>,
}

impl Queue {
    fn lane(&mut self, lane: Lane) -> &mut VecDeque<u64> {
        match lane {
            Lane::Others => &mut self.others,
            Lane::Services => &mut self.services,
        }
    }

    /// Takes a ticket back. `false` where none is left.
    fn end(&mut self, ticket: u64, lane: Lane) -> bool {
        if self.at_work.0 != ticket {
            self.lane(lane).retain(|waiting| *waiting != ticket);
            return true;
        }
        let next = match lane {
            Lane::Others => [Lane::Services, Lane::Others],
            Lane::Services => [Lane::Others, Lane::Services],
        };
        let found = next.into_iter().find_map(|lane| Some((self.lane(lane).pop_front()?, lane)));
        self.at_work = found.unwrap_or(self.at_work);
        found.is_some()
    }
}

/// The turn of one attempt. It ends with this value.
#[derive(Debug)]
#[must_use]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    user: &'a UserName,
    ticket: u64,
    lane: Lane,
}

impl Turns {
    /// Waits until all earlier attempts on this name are over, those of the other lane but for one each time.
    ///
    /// # Errors
    /// Where they have not ended in time: nothing was evaluated.
    pub(crate) fn wait_for<'a>(
        &'a self,
        user: &'a UserName,
        lane: Lane,
    ) -> Result<Turn<'a>, Fault> {
        self.wait_within(user, lane, LONGEST)
    }

    fn wait_within<'a>(
        &'a self,
        user: &'a UserName,
        lane: Lane,
        most: Duration,
    ) -> Result<Turn<'a>, Fault> {
        let until = Instant::now().checked_add(most);
        let mut queues = self.lock();
        let ticket = queues.next_ticket;
        queues.next_ticket = ticket.wrapping_add(1);
        queues.enter(user, ticket, lane);
        // From here on the value that is dropped takes the ticket back.
        let turn = Turn { turns: self, user, ticket, lane };
        while queues.of.get(user).is_some_and(|queue| queue.at_work.0 != ticket) {
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

impl Queues {
    fn enter(&mut self, user: &UserName, ticket: u64, lane: Lane) {
        match self.of.get_mut(user) {
            Some(queue) => queue.lane(lane).push_back(ticket),
            None => {
                let (others, services) = (VecDeque::new(), VecDeque::new());
                let queue = Queue { at_work: (ticket, lane), others, services };
                self.of.insert(user.clone(), queue);
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.lock();
        if let Some(queue) = queues.of.get_mut(self.user)
            && !queue.end(self.ticket, self.lane)
        {
            queues.of.remove(self.user);
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
        turns
            .lock()
            .of
            .get(user)
            .map_or(0, |queue| [1, queue.others.len(), queue.services.len()].iter().sum())
    }

    #[test]
    fn attempts_on_one_name_take_turns_in_the_order_of_their_arrival() {
        let (turns, alice) = (Turns::default(), name("alice"));
        let first = turns.wait_for(&alice, Lane::Others).expect("a turn");
        let (send, order) = channel();
        thread::scope(|scope| {
            for number in 0..4 {
                let (turns, alice, send) = (&turns, &alice, send.clone());
                scope.spawn(move || {
                    let _turn = turns.wait_for(alice, Lane::Others).expect("a turn");
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
        let _one = turns.wait_for(&alice, Lane::Others).expect("a turn");
        assert!(turns.wait_within(&bob, Lane::Others, Duration::ZERO).is_ok());
    }

    #[test]
    fn an_attempt_that_gives_up_leaves_its_place_to_the_next() {
        let (turns, alice) = (Turns::default(), name("alice"));
        let first = turns.wait_for(&alice, Lane::Others).expect("a turn");
        let fault =
            turns.wait_within(&alice, Lane::Others, Duration::ZERO).expect_err("it is taken");
        assert_eq!(fault.kind, FaultKind::Unavailable);
        assert_eq!(waiting(&turns, &alice), 1);
        drop(first);
        assert!(turns.wait_within(&alice, Lane::Others, Duration::ZERO).is_ok());
    }

    #[test]
    fn the_lane_of_services_takes_turns_with_the_other_one() {
        let (turns, alice) = (Turns::default(), name("alice"));
        let first = turns.wait_for(&alice, Lane::Services).expect("a turn");
        let (send, order) = channel();
        let lanes = [Lane::Services, Lane::Services, Lane::Services, Lane::Others, Lane::Others];
        thread::scope(|scope| {
            for (number, lane) in lanes.into_iter().enumerate() {
                let (turns, alice, send) = (&turns, &alice, send.clone());
                scope.spawn(move || {
                    let _turn = turns.wait_for(alice, lane).expect("a turn");
                    send.send(number).expect("the test listens");
                });
                while waiting(turns, alice) < number + 2 {
                    thread::yield_now();
                }
            }
            drop(first);
            assert_eq!(order.iter().take(5).collect::<Vec<_>>(), [3, 0, 4, 1, 2]);
        });
        assert!(turns.lock().of.is_empty());
    }
}

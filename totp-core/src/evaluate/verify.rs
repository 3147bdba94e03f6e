//! Says what a login would come to, and spends nothing.

use super::{Attempt, Rules, Verdict, evaluate};
use crate::store::{Change, View};

/// Evaluates as a login does: a refused try is written as there. What is accepted is not spent, so that it is still good
/// for a login. Its debit is kept for that: learning that a code is right must cost what guessing it at a login does, or
/// guesses would be tried here, and the one that is right used there (invariants 5 and 10).
pub fn verify(rules: &Rules, view: &View, attempt: &Attempt<'_>) -> Change<Verdict> {
    let change = evaluate(rules, view, attempt);
    match change.outcome() {
        Verdict::Accepted(_) => change.debit_alone(),
        Verdict::Refused(_) => change,
    }
}

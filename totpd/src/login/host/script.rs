//! A host that follows a script and notes what happens, for unit tests.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::{Echo, Host, HostError, NoReply, Priority, Style, Typed};

/// Answers still to be given, and what was said and logged so far.
#[derive(Default)]
pub(crate) struct Script {
    /// Then there is no reply.
    pub(crate) answers: VecDeque<&'static str>,
    /// What was left to the modules behind.
    pub(crate) authtok: Option<Vec<u8>>,
    /// Prompts, messages and lines of the log, in their order.
    pub(crate) said: RefCell<Vec<String>>,
    /// In microseconds.
    pub(crate) delay: Option<u32>,
}

impl Script {
    pub(crate) fn new(answers: &[&'static str]) -> Self {
        Self { answers: answers.iter().copied().collect(), ..Self::default() }
    }

    fn note(&self, line: String) {
        self.said.borrow_mut().push(line);
    }
}

impl Host for Script {
    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoReply> {
        self.note(format!("ask({echo:?}): {prompt}"));
        Ok(Typed::new(self.answers.pop_front().ok_or(NoReply)?.as_bytes().to_vec()))
    }

    fn ask_with_secret(&mut self, prompt: &str) -> Result<Typed, NoReply> {
        self.ask(prompt, Echo::On)
    }

    fn tell(&mut self, style: Style, text: &str) -> bool {
        self.note(format!("tell({style:?}): {text}"));
        true
    }

    fn log(&self, priority: Priority, line: &str) {
        self.note(format!("log({priority:?}): {line}"));
    }

    fn log_in_any_case(&self, priority: Priority, line: &str) {
        self.log(priority, line);
    }

    fn set_authtok(&mut self, password: &Typed) -> Result<(), HostError> {
        self.authtok = Some(password.as_bytes().to_vec());
        Ok(())
    }

    fn fail_delay(&mut self, microseconds: u32) {
        self.delay = Some(microseconds);
    }

    fn is_there(&self) -> bool {
        true
    }
}

//! A host that follows a script and writes down what happens, for unit tests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::CStr;

use super::{Echo, Host, HostError, NoReply, NoUser, Priority, Typed};
use crate::mark::Mark;

/// What a program would set, and what was said and logged so far.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) user: Option<&'static str>,
    pub(crate) service: &'static str,
    pub(crate) rhost: &'static str,
    pub(crate) tty: &'static str,
    pub(crate) authtok: Option<Vec<u8>>,
    pub(crate) ssh_auth_info: Option<&'static str>,
    /// Answers still to be given; then there is no reply.
    pub(crate) answers: VecDeque<&'static str>,
    pub(crate) mark: Option<Mark>,
    /// Prompts, messages and lines of the log, in their order.
    pub(crate) said: RefCell<Vec<String>>,
    /// In microseconds.
    pub(crate) delay: Option<u32>,
}

impl Script {
    /// alice, over sshd.
    pub(crate) fn sshd(answers: &[&'static str]) -> Self {
        Self {
            user: Some("alice"),
            service: "sshd",
            rhost: "192.0.2.1",
            tty: "ssh",
            answers: answers.iter().copied().collect(),
            ..Self::default()
        }
    }

    fn note(&self, line: String) {
        self.said.borrow_mut().push(line);
    }
}

impl Host for Script {
    fn user(&mut self) -> Result<Vec<u8>, NoUser> {
        Ok(self.user.ok_or(NoReply)?.as_bytes().to_vec())
    }

    fn service(&self) -> Vec<u8> {
        self.service.as_bytes().to_vec()
    }

    fn rhost(&self) -> Vec<u8> {
        self.rhost.as_bytes().to_vec()
    }

    fn tty(&self) -> Vec<u8> {
        self.tty.as_bytes().to_vec()
    }

    fn ruser(&self) -> Vec<u8> {
        Vec::new()
    }

    fn pam_env(&self, name: &CStr) -> Option<Vec<u8>> {
        assert_eq!(name, c"SSH_AUTH_INFO_0");
        self.ssh_auth_info.map(|info| info.as_bytes().to_vec())
    }

    fn authtok(&self) -> Option<Typed> {
        self.authtok.clone().map(Typed::new)
    }

    fn set_authtok(&mut self, password: &Typed) -> Result<(), HostError> {
        self.authtok = Some(password.as_bytes().to_vec());
        Ok(())
    }

    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoReply> {
        self.note(format!("ask({echo:?}): {prompt}"));
        Ok(Typed::new(self.answers.pop_front().ok_or(NoReply)?.as_bytes().to_vec()))
    }

    fn tell(&mut self, text: &str) -> bool {
        self.note(format!("tell: {text}"));
        true
    }

    fn log(&self, priority: Priority, line: &str) {
        self.note(format!("log({priority:?}): {line}"));
    }

    fn fail_delay(&mut self, microseconds: u32) {
        self.delay = Some(microseconds);
    }

    fn mark(&mut self, mark: Mark) -> Result<(), HostError> {
        self.mark = Some(mark);
        Ok(())
    }

    fn take_mark(&mut self) -> Result<Option<Mark>, HostError> {
        Ok(self.mark.take())
    }

    fn enrollment_is_due(&self) -> bool {
        self.mark.as_ref().is_some_and(Mark::enrollment_is_due)
    }

    fn clear_mark(&mut self) -> Result<(), HostError> {
        self.mark = None;
        Ok(())
    }
}

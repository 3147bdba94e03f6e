//! A PAM handle as a [`Host`].

use std::ffi::{CStr, c_int};

use pam::constants::PamResultCode;
use pam::items::{AuthTok, RHost, RUser, Service, Tty, User};
use pam::module::PamHandle;
use zeroize::Zeroizing;

use super::conversation::{Style, converse};
use super::text::Message;
use super::{libpam, text};
use crate::host::{Echo, Host, HostError, NoReply, NoUser, Priority, Typed};
use crate::mark::Mark;

/// The name of our note in the handle. Whoever reads it takes it for a [`Note`].
const NOTE: &str = "pam_totp:mark";

/// What our hooks leave for each other.
#[derive(Default)]
struct Note {
    /// What auth found out; nothing once it is taken or cleared.
    mark: Option<Mark>,
    /// Whether it means, or meant before it was taken, that nobody gets in without enrolling.
    enrollment_due: bool,
}

/// A handle for the time of one hook.
pub(super) struct Handle<'a>(pub(super) &'a mut PamHandle);

impl Handle<'_> {
    fn leave(&mut self, note: Note) -> Result<(), HostError> {
        self.0.set_data(NOTE, Box::new(note)).map_err(|_| HostError { call: "pam_set_data" })
    }

    fn note(&self) -> Option<&Note> {
        // SAFETY: nothing but `leave` stores under this name, and it stores a `Note`. libpam frees
        // it through the clean-up function stored along, when it is replaced or the handle ends;
        // the borrow of the handle keeps both away while the reference is used.
        unsafe { self.0.get_data::<Note>(NOTE) }.ok()
    }

    /// The name the program has set, if any.
    fn user_item(&self) -> Result<Option<Vec<u8>>, HostError> {
        let item = self.0.get_item::<User<'_>>();
        let item = item.map_err(|_| HostError { call: "pam_get_item(PAM_USER)" })?;
        Ok(item.map(|user| user.to_bytes().to_vec()))
    }
}

impl Host for Handle<'_> {
    fn user(&mut self) -> Result<Vec<u8>, NoUser> {
        if let Some(user) = self.user_item()? {
            return Ok(user);
        }
        // Asks for it. What it returns would have to be UTF-8, so the name is read from the item.
        let asked = self.0.get_user(None).map(drop);
        match (self.user_item()?, asked) {
            (Some(user), _) => Ok(user),
            (None, Err(PamResultCode::PAM_CONV_ERR)) => Err(NoReply.into()),
            (None, _) => Err(HostError { call: "pam_get_user" }.into()),
        }
    }

    fn service(&self) -> Vec<u8> {
        let item = self.0.get_item::<Service<'_>>().ok().flatten();
        item.map(|item| item.to_bytes().to_vec()).unwrap_or_default()
    }

    fn rhost(&self) -> Vec<u8> {
        let item = self.0.get_item::<RHost<'_>>().ok().flatten();
        item.map(|item| item.to_bytes().to_vec()).unwrap_or_default()
    }

    fn tty(&self) -> Vec<u8> {
        let item = self.0.get_item::<Tty<'_>>().ok().flatten();
        item.map(|item| item.to_bytes().to_vec()).unwrap_or_default()
    }

    fn ruser(&self) -> Vec<u8> {
        let item = self.0.get_item::<RUser<'_>>().ok().flatten();
        item.map(|item| item.to_bytes().to_vec()).unwrap_or_default()
    }

    fn pam_env(&self, name: &CStr) -> Option<Vec<u8>> {
        libpam::environment(self.0, name)
    }

    fn authtok(&self) -> Option<Typed> {
        let item = self.0.get_item::<AuthTok<'_>>().ok().flatten()?;
        Some(Typed::new(item.as_bytes().to_vec()))
    }

    fn set_authtok(&mut self, password: &Typed) -> Result<(), HostError> {
        let failed = HostError { call: "pam_set_item(PAM_AUTHTOK)" };
        let bytes = password.as_bytes();
        // Its final size from the start: a buffer that grew would leave a copy unwiped.
        let mut text = Zeroizing::new(Vec::with_capacity(bytes.len().saturating_add(1)));
        text.extend_from_slice(bytes);
        text.push(0);
        let text = CStr::from_bytes_with_nul(&text).map_err(|_| failed)?;
        if libpam::set_authtok(self.0, text) { Ok(()) } else { Err(failed) }
    }

    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoReply> {
        let style = match echo {
            Echo::Off => Style::Hidden,
            Echo::On => Style::Shown,
        };
        converse(self.0, style, &Message::new(prompt)).flatten().ok_or(NoReply)
    }

    fn tell(&mut self, text: &str) -> bool {
        converse(self.0, Style::Info, &Message::new(text)).is_some()
    }

    fn log(&self, priority: Priority, line: &str) {
        libpam::log(self.0, level(priority), &text::log_line(line));
    }

    fn fail_delay(&mut self, microseconds: u32) {
        libpam::fail_delay(self.0, microseconds);
    }

    fn mark(&mut self, mark: Mark) -> Result<(), HostError> {
        let enrollment_due = mark.enrollment_is_due();
        self.leave(Note { mark: Some(mark), enrollment_due })
    }

    fn take_mark(&mut self) -> Result<Option<Mark>, HostError> {
        let mark = self.note().and_then(|note| note.mark.clone());
        let enrollment_due = self.enrollment_is_due();
        // Nothing to take away from a program that never called auth.
        if mark.is_some() {
            self.leave(Note { mark: None, enrollment_due })?;
        }
        Ok(mark)
    }

    fn enrollment_is_due(&self) -> bool {
        self.note().is_some_and(|note| note.enrollment_due)
    }

    fn clear_mark(&mut self) -> Result<(), HostError> {
        self.leave(Note::default())
    }
}

/// The levels of `<syslog.h>`.
fn level(priority: Priority) -> c_int {
    match priority {
        Priority::Error => 3,
        Priority::Warning => 4,
        Priority::Notice => 5,
        Priority::Info => 6,
        Priority::Debug => 7,
    }
}

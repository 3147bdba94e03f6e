//! The conversation with the daemon.
//!
//! ```text
//!   connect ─ here ─► hello ─► ask, tell, log … ─► done
//!      │        │         └── the daemon dies ──► no answer sent yet: once more, then the helper
//!      │        │                                 an answer was sent: denied, and the code may be spent
//!      └────────┴── no daemon, or busy ─────────► the helper, where the program is root's
//! ```

use core::ffi::{CStr, c_int};

use totp_wire::{Hook, Later, Outgoing, ReturnCode, ToDaemon, ToModule, limits, sockets};

use crate::ffi::{
    Channel, Handle, Memory, Milliseconds, Moment, NotReceived, Reply, Style, Words, pam,
    start_once, system,
};
use crate::words::{self, Own};

/// What is kept until the daemon has decided, and where it never does. No mark of the daemon's reads so: it means *refused*.
const UNDECIDED: &[u8] = b"!";

/// What sshd calls its terminal, whatever its service is called.
const SSH: &CStr = c"ssh";

/// How long the daemon may take for its first message.
const HERE: Milliseconds = Milliseconds(3_000);

/// How long a helper may take for its first message: it is loaded first.
const HELPER_HERE: Milliseconds = Milliseconds(10_000);

/// How long the daemon may take until it asks for something: as long as a slow name service, and short enough for a helper to
/// be asked in its place.
const FIRST_REPLY: Milliseconds = Milliseconds(25_000);

/// How long all waits of one call together may take, but for those for the user.
const PATIENCE: Milliseconds = Milliseconds(32_000);

/// The same of a session, whose user waits for nothing but login notices.
const PATIENCE_OF_A_SESSION: Milliseconds = Milliseconds(5_000);

/// Runs one hook.
pub(crate) fn run(handle: &mut Handle, hook: Hook, flags: u32, arguments: Words<'_>) -> c_int {
    // Without a mark auth did not run, and there is nothing to do.
    let later = handle.later().unwrap_or_default();
    match hook {
        Hook::Auth => {}
        Hook::Account if !later.account => return pam::IGNORE,
        Hook::Setcred if !later.setcred => return pam::SUCCESS,
        // Elsewhere account has shown what a session would. cron, at and the like never depend on the daemon.
        Hook::Session if handle.item(pam::TTY) != Some(SSH) || handle.item(pam::USER).is_none() => {
            return pam::IGNORE;
        }
        Hook::Account | Hook::Setcred | Hook::Session => {}
    }
    // What an earlier call in this handle came to is void from here on, whatever becomes of this one.
    if hook == Hook::Auth && !handle.keep(UNDECIDED, void(false)) {
        return pam::SYSTEM_ERR;
    }
    // Both buffers are memory of its own, and not on a stack of the host's that may be small.
    let Some(mut memory) = Memory::new() else {
        handle.log_failure(hook, c"out of memory%s; %s", c"");
        return pam::SYSTEM_ERR;
    };
    let brought = match hook {
        Hook::Auth | Hook::Session => None,
        Hook::Account | Hook::Setcred => handle.kept(&mut memory),
    };
    // An enrollment that is due stays due where this call fails.
    if hook == Hook::Account && !handle.keep(UNDECIDED, void(later.setcred)) {
        return pam::SYSTEM_ERR;
    }
    let own = match words::own(arguments.clone()) {
        Ok(own) => own,
        Err(words::NotAbsolute(word)) => {
            handle.log_failure(hook, c"argument \"%s\": the path must begin with /; %s", word);
            return pam::SERVICE_ERR;
        }
    };
    match handle.ask_for_user() {
        pam::SUCCESS => {}
        pam::CONV_ERR => return pam::CONV_ERR,
        _ => {
            handle.log_failure(hook, c"no user name%s; %s", c"");
            return pam::SYSTEM_ERR;
        }
    }
    let call = Call { hook, flags, arguments, own, brought };
    converse(handle, &mut memory, &call).unwrap_or(pam::SYSTEM_ERR)
}

/// What is left to later hooks by a call that has not come to an end: account denies, and so does setcred where an enrollment
/// is due.
fn void(setcred: bool) -> Later {
    Later { account: true, setcred }
}

/// A hook, as libpam has called it.
struct Call<'a> {
    hook: Hook,
    flags: u32,
    arguments: Words<'a>,
    own: Own<'a>,
    /// How many bytes of the mark lie in memory.
    brought: Option<usize>,
}

/// How a conversation ended.
enum End {
    /// This is returned to libpam.
    Decided(c_int),
    /// There is no daemon, or it is too slow, or it speaks another language.
    NotThere,
    /// It has no room for one more conversation of this caller.
    Busy,
    /// It was there, and is gone.
    Died,
    /// The same after an answer was sent, or the program cannot go on.
    Lost,
}

/// Asks the daemon, then the daemon once more where it died, then a helper. `None`: denied, and the log says why.
fn converse(handle: &mut Handle, memory: &mut Memory, call: &Call<'_>) -> Option<c_int> {
    let is_root = system::effective_uid() == 0;
    let path = call.own.socket.unwrap_or(if is_root { sockets::ROOT } else { sockets::USER });
    let left = if call.hook == Hook::Session { PATIENCE_OF_A_SESSION } else { PATIENCE };
    let mut relay = Relay { handle, memory, call, typed: None, answered: false, left };
    for _ in 0..2 {
        let end = match Channel::connect(path, HERE) {
            Some(channel) => relay.with(&channel, HERE, FIRST_REPLY),
            None => End::NotThere,
        };
        match end {
            End::Decided(code) => return Some(code),
            End::Lost => return relay.lost(),
            End::Died => {}
            End::Busy if !is_root => {
                let line = c"totpd at %s has too many conversations of this user; %s";
                relay.handle.log_failure(call.hook, line, path);
                return None;
            }
            End::NotThere | End::Busy => break,
        }
    }
    if !is_root {
        let line = c"totpd does not answer at %s; %s (systemctl status totpd.socket totpd-user.socket totpd)";
        relay.handle.log_failure(call.hook, line, path);
        return None;
    }
    let program = call.own.once;
    let channel = match start_once(program) {
        Ok(channel) => channel,
        Err(failed) => {
            relay.handle.log_failed_start(call.hook, failed, path);
            return None;
        }
    };
    match relay.with(&channel, HELPER_HERE, PATIENCE) {
        End::Decided(code) => Some(code),
        End::NotThere | End::Busy | End::Died | End::Lost => relay.lost(),
    }
}

struct Relay<'r, 'a> {
    handle: &'r mut Handle,
    memory: &'r mut Memory,
    call: &'r Call<'a>,
    /// What was typed at a prompt and could not be sent: the answer to the next prompt, of the next daemon or of the helper.
    typed: Option<Reply>,
    /// Whether an answer was sent.
    answered: bool,
    /// How long may still be waited in this call.
    left: Milliseconds,
}

impl Relay<'_, '_> {
    fn lost(&mut self) -> Option<c_int> {
        let line = c"the conversation with totpd ended early%s; %s";
        self.handle.log_failure(self.call.hook, line, c"");
        None
    }

    /// One conversation, from the first message to the last.
    fn with(&mut self, channel: &Channel, here: Milliseconds, first_reply: Milliseconds) -> End {
        let version = match self.hear(channel, here) {
            Some(ToModule::Here { lowest, highest }) => {
                let version = highest.min(limits::HIGHEST_VERSION);
                if version < lowest || version < limits::LOWEST_VERSION {
                    return End::NotThere;
                }
                version
            }
            Some(ToModule::Busy) => return End::Busy,
            _ => return End::NotThere,
        };
        if !self.send_hello(channel, version) {
            return End::Died;
        }
        loop {
            let most = if self.answered { PATIENCE } else { first_reply };
            let length = match self.receive(channel, most) {
                Ok(length) => length,
                // One that is there and does not get on is not asked again.
                Err(NotReceived::Late) if !self.answered => return End::NotThere,
                Err(_) => return self.died(),
            };
            let (packet, _) = self.memory.parts();
            let Some(Ok(message)) = packet.get(..length).map(ToModule::decode) else {
                return self.died();
            };
            let step = match message {
                ToModule::Ask { echo, text } => {
                    let style = if echo { Style::Shown } else { Style::Hidden };
                    let typed = match self.typed.take() {
                        Some(typed) => Some(typed),
                        None => self.handle.ask(style, text),
                    };
                    self.memory.wipe(length);
                    self.answer(channel, typed)
                }
                ToModule::Tell { style, text } => {
                    let taken = self.handle.tell(pam_style(style), text);
                    self.memory.wipe(length);
                    self.send(channel, &ToDaemon::Shown { taken })
                }
                ToModule::Log { priority, text } => {
                    self.handle.log(priority, c"%s", text);
                    Step::On
                }
                ToModule::SetAuthtok { text } => {
                    let done = self.handle.set_authtok(text);
                    self.memory.wipe(length);
                    self.send(channel, &ToDaemon::Set { done })
                }
                ToModule::FailDelay { microseconds } => {
                    self.handle.fail_delay(microseconds);
                    Step::On
                }
                ToModule::Done { code, later, mark } => {
                    // A session leaves nothing: what an earlier hook has left is for account and setcred.
                    let kept = self.call.hook == Hook::Session || self.handle.keep(mark, later);
                    let code = if kept { pam_code(code) } else { pam::SYSTEM_ERR };
                    self.memory.wipe(length);
                    return End::Decided(code);
                }
                ToModule::Busy if !self.answered => return End::Busy,
                // Said again where the hello is of a version that it does not speak.
                ToModule::Here { .. } if !self.answered => return End::NotThere,
                ToModule::Busy | ToModule::Here { .. } => return End::Lost,
            };
            match step {
                Step::On => {}
                Step::Died => return self.died(),
            }
        }
    }

    fn died(&self) -> End {
        if self.answered { End::Lost } else { End::Died }
    }

    /// One packet. What is waited for it counts for all waits of this call together.
    fn receive(&mut self, channel: &Channel, most: Milliseconds) -> Result<usize, NotReceived> {
        let began = Moment::now();
        let until = began.plus(most.min(self.left));
        let received = channel.receive(self.memory.packet(), until);
        self.left = self.left.less(began.elapsed());
        received
    }

    /// The first message of the daemon.
    fn hear(&mut self, channel: &Channel, within: Milliseconds) -> Option<ToModule<'static>> {
        let length = self.receive(channel, within).ok()?;
        match ToModule::decode(self.memory.packet().get(..length)?).ok()? {
            ToModule::Here { lowest, highest } => Some(ToModule::Here { lowest, highest }),
            ToModule::Busy => Some(ToModule::Busy),
            _ => None,
        }
    }

    fn send_hello(&mut self, channel: &Channel, version: u16) -> bool {
        let Call { hook, flags, arguments, own, brought } = self.call;
        let handle = &*self.handle;
        let (packet, mark) = self.memory.parts();
        let hello = Outgoing {
            version,
            hook: *hook,
            flags: *flags,
            real_uid: system::real_uid(),
            login_uid: system::number_in(c"/proc/self/loginuid"),
            audit_session: system::number_in(c"/proc/self/sessionid"),
            stdout_is_terminal: system::is_terminal(1),
            stderr_is_terminal: system::is_terminal(2),
            user: handle.item(pam::USER),
            service: handle.item(pam::SERVICE),
            rhost: handle.item(pam::RHOST),
            tty: handle.item(pam::TTY),
            ruser: handle.item(pam::RUSER),
            arguments: Others(arguments.clone()),
            ssh_auth_info: handle.environment(c"SSH_AUTH_INFO_0"),
            authtok: if own.sends_password { handle.item(pam::AUTHTOK) } else { None },
            mark: brought.and_then(|length| mark.get(..length)),
        };
        let Ok(length) = hello.encode(packet) else { return false };
        let sent = channel.send(self.memory.packet(), length);
        self.memory.wipe(length);
        sent
    }

    /// Sends what was typed, and keeps it where it could not be sent.
    fn answer(&mut self, channel: &Channel, typed: Option<Reply>) -> Step {
        let Some(typed) = typed else { return self.send(channel, &ToDaemon::NoReply) };
        let is_authtok = self.handle.item(pam::AUTHTOK) == Some(typed.text());
        // Longer than any answer: as if there were none.
        if typed.text().to_bytes().len() > limits::ANSWER {
            return self.send(channel, &ToDaemon::NoReply);
        }
        match self.send(channel, &ToDaemon::Answer { is_authtok, text: typed.text() }) {
            Step::On => {
                self.answered = true;
                Step::On
            }
            Step::Died => {
                self.typed = Some(typed);
                Step::Died
            }
        }
    }

    fn send(&mut self, channel: &Channel, message: &ToDaemon<'_>) -> Step {
        let Ok(length) = message.encode(self.memory.packet()) else { return Step::Died };
        let sent = channel.send(self.memory.packet(), length);
        self.memory.wipe(length);
        if sent { Step::On } else { Step::Died }
    }
}

/// Whether the conversation goes on.
enum Step {
    On,
    Died,
}

/// The words of a PAM line without the module's own.
#[derive(Clone)]
struct Others<'a>(Words<'a>);

impl<'a> Iterator for Others<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        self.0.by_ref().find(|word| !words::is_own(word))
    }
}

fn pam_style(style: totp_wire::Style) -> Style {
    match style {
        totp_wire::Style::Info => Style::Info,
        totp_wire::Style::Error => Style::Error,
    }
}

fn pam_code(code: ReturnCode) -> c_int {
    match code {
        ReturnCode::Success => pam::SUCCESS,
        ReturnCode::Ignore => pam::IGNORE,
        ReturnCode::AuthErr => pam::AUTH_ERR,
        ReturnCode::PermDenied => pam::PERM_DENIED,
        ReturnCode::SystemErr => pam::SYSTEM_ERR,
        ReturnCode::ServiceErr => pam::SERVICE_ERR,
        ReturnCode::ConvErr => pam::CONV_ERR,
    }
}

//! A user's desktop: an X server without hardware, its keyboard, and a program that locks its screen.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{House, SOON, eventually};

/// An X server that runs as a user of the house, on a display that no other has.
#[derive(Debug)]
pub struct Desktop<'a> {
    house: &'a House,
    user: String,
    display: String,
    server: Child,
}

impl<'a> Desktop<'a> {
    /// Starts the server, and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn open(house: &'a House, user: &str) -> Self {
        // Its sockets and lock files are gone with the house, however the server ends.
        house.run("mount", &["-t", "tmpfs", "-o", "mode=1777,size=16m", "house", "/tmp"]);
        let mut command = house.command_as(user, "Xvfb");
        command.args(["-displayfd", "1", "-nolisten", "tcp", "-noreset"]);
        command.args(["-screen", "0", "320x240x24"]).stderr(Stdio::null());
        let mut server = command.spawn().expect("nsenter (util-linux) is needed");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        assert!(number.ends_with('\n'), "xvfb is needed, and says which display it has");
        let display = format!("DISPLAY=:{}", number.trim());
        Self { house, user: user.to_owned(), display, server }
    }

    /// A program of the user's on this desktop.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let home = format!("HOME=/home/{}", self.house.person(&self.user).uid);
        let mut command = self.house.command_as(&self.user, "env");
        command.args([&self.display, &home, program]);
        command
    }

    /// Locks the screen with `i3lock`, and waits until it has keyboard and pointer for itself.
    ///
    /// # Panics
    ///
    /// If it does not get them.
    #[must_use]
    pub fn lock(&self) -> Locker {
        // It closes this descriptor once the screen is locked.
        let script = "XSS_SLEEP_LOCK_FD=3 exec i3lock --nofork 3>&1 >/dev/null";
        let mut command = self.command("sh");
        command.args(["-c", script]).stderr(Stdio::null());
        let mut program = command.spawn().expect("nsenter (util-linux) is needed");
        let mut nothing = Vec::new();
        program.stdout.take().unwrap().read_to_end(&mut nothing).unwrap();
        assert_eq!(program.try_wait().unwrap(), None, "i3lock is needed, and locks the screen");
        Locker { program }
    }

    /// Starts `xscreensaver`, has it lock the screen, and wakes it up.
    ///
    /// # Panics
    ///
    /// With what it has logged, if it does not lock.
    #[must_use]
    pub fn lock_with_xscreensaver(&self) -> XScreenSaver<'_> {
        let home = format!("/home/{}", self.house.person(&self.user).uid);
        let settings = "mode: blank\nlock: True\nfade: False\nunfade: False\n";
        fs::write(self.house.path(home).join(".xscreensaver"), settings).unwrap();
        let mut command = self.command("xscreensaver");
        command.args(["-no-splash", "-verbose", "-log", LOG]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let program = command.spawn().expect("nsenter (util-linux) is needed");
        let mut screen = XScreenSaver { desktop: self, program, seen: 0 };
        // The last of what it does before it waits for events.
        screen.expect("launched xscreensaver-auth --init").expect("xscreensaver-auth exited");
        self.tell_xscreensaver("-lock");
        screen.expect("grabbing keyboard").expect("GrabSuccess").expect("GrabSuccess");
        // As a key does, which it ignores for some seconds.
        self.tell_xscreensaver("-deactivate");
        screen
    }

    fn tell_xscreensaver(&self, order: &str) {
        let told = self.command("xscreensaver-command").arg(order).output();
        assert!(told.is_ok_and(|told| told.status.success()), "xscreensaver is needed");
    }

    /// Types `text` and Enter. What a program does not read at once waits for it.
    ///
    /// # Panics
    ///
    /// Without `xdotool`.
    pub fn type_line(&self, text: &str) {
        let mut command = self.command("xdotool");
        let status = command.args(["type", "--args", "1", text, "key", "Return"]).status();
        assert!(status.is_ok_and(|status| status.success()), "xdotool is needed");
    }
}

impl Drop for Desktop<'_> {
    fn drop(&mut self) {
        end(&mut self.server);
    }
}

/// A program that locks the screen.
#[derive(Debug)]
pub struct Locker {
    program: Child,
}

impl Locker {
    /// Waits until the screen is unlocked, which is when the program ends by itself.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn unlocked(&mut self) -> ExitStatus {
        eventually("the screen is unlocked", || self.program.try_wait().unwrap())
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        end(&mut self.program);
    }
}

/// Where `xscreensaver` writes what it does.
const LOG: &str = "/tmp/xscreensaver.log";

/// A screen that `xscreensaver` has locked.
#[derive(Debug)]
pub struct XScreenSaver<'a> {
    desktop: &'a Desktop<'a>,
    program: Child,
    /// Up to here, all of the log was expected already.
    seen: usize,
}

impl XScreenSaver<'_> {
    /// Waits for `text` in its log, behind all that was expected before.
    ///
    /// # Panics
    ///
    /// With its log, if that does not come.
    pub fn expect(&mut self, text: &str) -> &mut Self {
        let path = self.desktop.house.path(LOG);
        let deadline = Instant::now() + SOON;
        loop {
            let log = fs::read(&path).unwrap_or_default();
            let log = String::from_utf8_lossy(&log).into_owned();
            if let Some(at) = log.get(self.seen..).and_then(|rest| rest.find(text)) {
                self.seen += at + text.len();
                return self;
            }
            assert!(
                Instant::now() < deadline,
                "nothing came of {text:?}; xscreensaver's log:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a prompt in its window, and answers it.
    pub fn answer(&mut self, prompt: &str, answer: &str) -> &mut Self {
        self.expect(&format!("ECHO_OFF=\"{prompt}\"")).expect("re-creating window: size changed");
        self.desktop.type_line(answer);
        self
    }
}

impl Drop for XScreenSaver<'_> {
    fn drop(&mut self) {
        end(&mut self.program);
    }
}

/// Ends a program that may have ended already.
fn end(program: &mut Child) {
    if let (Ok(None), Ok(pid)) = (program.try_wait(), i32::try_from(program.id())) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let _ = program.wait();
}

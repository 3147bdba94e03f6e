//! `totpd --once`: one conversation, for a program of root that found no daemon. The module starts it as a process of its own,
//! with the connection as standard input and nothing else of the caller's: it resets ids, signals, limits and priorities
//! before it starts this program (`pam-totp/src/ffi/once.rs`). What is left of the caller here is its cgroup, its mount
//! namespace and how readily the kernel ends it.

mod cgroup;

use std::fs;
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use totp_store::flock;

use crate::connection::Connection;
use crate::journal;
use crate::login::Logins;
use crate::request::Request;
use crate::serve::serve;

/// Serves the connection that is standard input.
pub(crate) fn run() -> ExitCode {
    // What a waiter for a lock knows this process by, where it may not look at the program itself.
    if let Err(errno) = nix::sys::prctl::set_name(c"totpd") {
        journal::error(&format!("--once: prctl(PR_SET_NAME): {errno}; login denied"));
        return ExitCode::FAILURE;
    }
    // The caller may have been protected from the out-of-memory killer, or offered to it.
    let _ = fs::write("/proc/self/oom_score_adj", "0");
    if in_a_mount_namespace_of_its_own() {
        totp_store::store::deny_read_only_disks();
    }
    match connection() {
        Ok(connection) => {
            serve(connection, 0, &Logins::default(), out_of_the_callers_groups);
            ExitCode::SUCCESS
        }
        Err(what) => {
            journal::error(&format!("--once: {what}; pam_totp.so starts this, not a person"));
            ExitCode::FAILURE
        }
    }
}

/// A group of the caller's own may be frozen, or short of memory and time: this process leaves it before it takes any lock.
/// That waits for the scheduler, some milliseconds, so a program that root itself runs (sshd, login) is left where it is,
/// unless another user has a hand in its groups. Where a group can't be left, a waiter is told which process holds a lock.
fn out_of_the_callers_groups(request: &Request) -> Option<()> {
    let is_roots_own = request.caller.uid() == 0 && cgroup::are_roots();
    if is_roots_own || cgroup::leave() {
        return Some(());
    }
    let notes = flock::leave_notes();
    notes.map_err(|error| journal::error(&format!("--once: {error}; login denied"))).ok()
}

/// The connection, which must be to a program of root.
fn connection() -> Result<Connection, String> {
    let socket =
        std::io::stdin().as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    let connection = Connection::new(socket);
    match connection.peer_uid() {
        Ok(0) => Ok(connection),
        Ok(uid) => Err(format!("standard input is a connection of uid {uid}")),
        Err(_) => Err("standard input is no connection".to_owned()),
    }
}

/// A user's own view of the disk may show it read-only where it is not: then nothing may be decided in memory.
fn in_a_mount_namespace_of_its_own() -> bool {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    match (of("self"), of("1")) {
        (Some(own), Some(first)) => own != first,
        _ => true,
    }
}

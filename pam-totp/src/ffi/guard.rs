//! No panic leaves the module, and none prints on anybody's terminal.
//!
//! A panic that left an `extern "C"` function would abort sshd; the default hook would write to the
//! terminal of whoever logs in. The module has its own copy of std inside, so the hook set here is
//! not that of a program written in Rust; were std shared after all, the earlier hook still gets
//! whatever happens outside of [`quietly`].

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

// Neither has a destructor: a thread-local destructor would have to be registered with the host.
thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static LAST: Cell<Place> = const { Cell::new(Place::UNKNOWN) };
}

/// Runs `body`; a panic inside prints nothing and comes back as the place it happened at.
pub(super) fn quietly<T>(body: impl FnOnce() -> T) -> Result<T, Place> {
    install_hook();
    let outside = INSIDE.replace(true);
    // What a panic leaves half done is dropped with `body`; all that is used afterwards is the
    // handle, which is libpam's and stays valid.
    let result = panic::catch_unwind(AssertUnwindSafe(body)).map_err(discard);
    INSIDE.set(outside);
    result.map_err(|()| LAST.replace(Place::UNKNOWN))
}

/// Drops what a panic carried. That may panic in turn, and then so may what that carries: it is kept.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
}

/// Once a process: a silent hook for our code in front of whatever was there.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if INSIDE.try_with(Cell::get).unwrap_or(true) {
                let _ = LAST.try_with(|last| last.set(Place::of(info)));
            } else {
                earlier(info);
            }
        }));
    });
}

/// Where a panic happened: the message is left out, since it may quote what somebody typed.
#[derive(Clone, Copy)]
pub(super) struct Place {
    file: [u8; Self::FILE],
    length: usize,
    line: u32,
}

impl Place {
    /// Longest part of a path that is kept: its end.
    const FILE: usize = 96;

    const UNKNOWN: Self = Self { file: [0; Self::FILE], length: 0, line: 0 };

    /// Runs inside the hook, where a panic would abort: nothing here may fail or allocate.
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let Some(location) = info.location() else { return Self::UNKNOWN };
        let path = location.file().as_bytes();
        let end = path.get(path.len().saturating_sub(Self::FILE)..).unwrap_or_default();
        let mut place = Self { length: end.len(), line: location.line(), ..Self::UNKNOWN };
        for (to, from) in place.file.iter_mut().zip(end) {
            *to = *from;
        }
        place
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file.get(..self.length) {
            Some(file) if !file.is_empty() => {
                write!(f, "{}:{}", file.escape_ascii(), self.line)
            }
            _ => f.write_str("an unknown place"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_well_comes_back() {
        assert_eq!(quietly(|| 7).ok(), Some(7));
    }

    #[test]
    fn a_panic_comes_back_as_its_place_without_its_message() {
        let place = quietly(|| panic!("code 123456")).err().map(|p| p.to_string());
        let place = place.expect("a panic");
        assert!(place.contains("guard.rs:"), "{place}");
        assert!(!place.contains("123456"), "{place}");
    }

    #[test]
    fn a_panic_within_a_quiet_call_leaves_the_outer_one_quiet() {
        let result = quietly(|| {
            let inner: Result<(), Place> = quietly(|| panic!("inner"));
            (inner.is_err(), INSIDE.get())
        });
        assert_eq!(result.ok(), Some((true, true)));
        assert!(!INSIDE.get());
    }

    #[test]
    fn a_payload_that_panics_when_dropped_does_no_harm() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let result: Result<(), Place> = quietly(|| panic::panic_any(Bomb));
        assert!(result.is_err());
    }
}

//! libpam: the exported entry points, and [`Host`](crate::host::Host) over a PAM handle.
//!
//! The only unsafe code of the workspace. What lives here checks pointers, converts and catches; it
//! knows nothing of codes, users or files.
//!
//! - `conversation`: prompts and messages.
//! - `entry`: the symbols libpam looks up.
//! - `guard`: no panic leaves the module, and none prints.
//! - `handle`: a handle as a `Host`.
//! - `heap`: what is freed is wiped.
//! - `libpam`: the functions of libpam that pam-bindings does not declare.
//! - `residue`: what calls leave on the stack, written over.
//! - `text`: what may be sent to a terminal or a log.

mod conversation;
mod entry;
mod guard;
mod handle;
mod heap;
mod libpam;
mod residue;
mod text;

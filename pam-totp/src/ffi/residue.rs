//! What our calls leave on the stack of the program around us: blocks that went into a hash, values that were moved. No destructor
//! knows of these copies, so the stack itself is written over before libpam goes on.

use std::hint::black_box;

/// Bytes below the entry point that are written over. Our calls go deeper, but hold no secret there.
const DEPTH: usize = 48 * 1024;

/// Writes over the stack below its caller.
#[inline(never)]
pub(super) fn wipe() {
    // Somebody might look at it: so it is really written.
    black_box(&mut [0_u8; DEPTH]);
}

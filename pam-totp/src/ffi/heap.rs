//! The module's heap: whatever is freed is wiped first. Types that hold secrets wipe themselves; libraries that read a record for
//! us don't (an error of the TOML parser keeps a copy of the whole text), and neither does a vector that grows.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

/// The system's heap, wiped on the way back. A block that grows moves, and its old place is wiped: so is the provided
/// `realloc` made.
struct Wiping;

#[global_allocator]
static HEAP: Wiping = Wiping;

// Not inlined: one copy of each is enough, and the module is to stay small.
// SAFETY: all blocks are the system's, asked for and given back with the layouts that the callers name.
unsafe impl GlobalAlloc for Wiping {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: a block of this size that nobody uses any more, as the caller promises. Shown to somebody who might look
        // at it, so that it is not left out as writing to memory soon freed.
        unsafe {
            block.write_bytes(0, layout.size());
            System.dealloc(black_box(block), layout);
        }
    }
}

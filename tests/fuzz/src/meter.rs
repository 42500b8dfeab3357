//! How many bytes were allocated at a time, on this thread: what an input may cost.
//!
//! Owns a count by thread. A program that is to count installs [`Meter`] as its global
//! allocator; elsewhere everything costs nothing.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by its signature; this one hands everything on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counted.
#[derive(Debug)]
pub struct Meter;

fn more(bytes: usize) {
    // At a thread's end the count is gone, and nobody asks for it.
    let _ = LIVE.try_with(|live| {
        let now = live.get().wrapping_add(bytes);
        live.set(now);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

fn less(bytes: usize) {
    // What was allocated on another thread may be freed here.
    let _ = LIVE.try_with(|live| live.set(live.get().saturating_sub(bytes)));
}

// SAFETY: every call is the system's with the same arguments; counting allocates nothing.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        less(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there at a time.
        more(size);
        less(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Does something, and says how many bytes it had allocated at a time; 0 where nothing is
/// counted.
pub fn peak<T>(does: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    let done = does();
    (done, PEAK.with(Cell::get).saturating_sub(before))
}

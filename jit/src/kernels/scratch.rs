//! Memory that kernels compute in: aligned to cache lines and kept by every thread for its next kernel, because fresh pages
//! cost as much as the arithmetic on them. This file must never know what is computed.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::cell::RefCell;

use crate::alloc::prefer_huge_pages;

/// Floats of a cache line.
pub(crate) const LINE: usize = 16;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

thread_local! {
    /// What this thread does not use at the moment, in the order in which it was given back: nested kernels take and give
    /// back like a stack, so that each finds the memory that it had last time.
    static SPARE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body` with `len` floats of any content that start on a cache line.
pub(crate) fn with_scratch<R>(len: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut lines = SPARE.with(|spare| spare.borrow_mut().pop()).unwrap_or_default();
    if lines.len() * LINE < len {
        lines.clear();
        lines.reserve_exact(len.div_ceil(LINE));
        prefer_huge_pages(lines.spare_capacity_mut());
        lines.resize(len.div_ceil(LINE), Line([0.0; LINE]));
    }
    // SAFETY: a line is `LINE` floats without padding, and `lines` is borrowed exclusively by the slice.
    let floats = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<f32>(), len) };
    let result = body(floats);
    SPARE.with(|spare| spare.borrow_mut().push(lines));
    result
}

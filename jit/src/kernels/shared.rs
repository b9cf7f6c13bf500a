//! A slice whose elements several tasks write side by side, each its own.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::marker::PhantomData;

/// Where tasks write.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    memory: PhantomData<&'a mut [f32]>,
}

// SAFETY: floats may be written from any thread; that no two tasks touch the same element is what `Shared::at` asks for.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// The elements of a slice.
    pub fn of(data: &'a mut [f32]) -> Shared<'a> {
        Shared { start: data.as_mut_ptr(), len: data.len(), memory: PhantomData }
    }

    /// The element at `offset`.
    ///
    /// # Safety
    /// `offset` is at most the length, and no two tasks may touch the same element while one of them writes it.
    #[inline(always)]
    pub unsafe fn at(&self, offset: usize) -> *mut f32 {
        debug_assert!(offset <= self.len);
        // SAFETY: the caller vouches for the offset.
        unsafe { self.start.add(offset) }
    }
}

//! Aligned memory, seen as floats.
//!
//! Every block is zeroed, starts on a cache line and is followed by [`SLACK`] bytes that may be read: masked loads read
//! from the start of a buffer instead of out of bounds, as many vectors as one loop iteration holds. Pages that nothing
//! has written to yet take no memory: the system hands out zeroed pages one by one, as long as no alignment beyond the
//! allocator's own is asked of it. This file must never know programs or code.

#![allow(unsafe_code, reason = "aligned allocation and its view as floats have no safe form")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::element::Element;
use crate::error::JitError;

/// Bytes of a cache line, and the alignment of every block.
pub(crate) const ALIGNMENT: usize = 64;
/// Readable bytes after every block.
const SLACK: usize = 64;

/// From this many bytes on, memory is better had in large pages: kernels that walk through time touch many places at once,
/// each on a page of its own.
const HUGE: usize = 8 << 20;

/// Tells the system that the pages of memory may be large; where it does not listen, or for little memory, nothing changes.
#[cfg(target_os = "linux")]
pub(crate) fn prefer_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    const PAGE: usize = 4096;
    let (start, bytes) = (memory.as_mut_ptr().cast::<u8>(), size_of_val(memory));
    let skipped = start.align_offset(PAGE);
    let Some(whole) = bytes.checked_sub(skipped).map(|rest| rest / PAGE * PAGE).filter(|_| bytes >= HUGE) else {
        return;
    };
    // SAFETY: the range lies inside of the memory, which is borrowed exclusively, and starts at a page; advice never
    // changes what memory holds.
    unsafe { libc::madvise(start.add(skipped).cast(), whole, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn prefer_huge_pages<T>(_memory: &mut [MaybeUninit<T>]) {}

/// Memory that this value owns.
#[derive(Debug)]
pub(crate) struct Block {
    /// The first byte on a cache line.
    start: NonNull<u8>,
    bytes: usize,
    /// What the allocator gave.
    allocation: NonNull<u8>,
    layout: Layout,
    /// How often it was handed out to be written.
    writes: u64,
}

impl Block {
    /// Zeroed memory for this many bytes.
    pub fn new(bytes: usize) -> Result<Block, JitError> {
        let all = bytes.checked_add(SLACK + ALIGNMENT);
        let Some(layout) = all.and_then(|all| Layout::from_size_align(all, align_of::<f64>()).ok()) else {
            return Err(JitError::OutOfMemory { bytes });
        };
        // SAFETY: the layout has more than 0 bytes.
        let Some(allocation) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            return Err(JitError::OutOfMemory { bytes });
        };
        let skipped = allocation.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        // SAFETY: at most ALIGNMENT bytes are skipped, which the layout holds beside `bytes` and SLACK.
        let start = unsafe { allocation.add(skipped) };
        // SAFETY: the bytes lie in the allocation, which nothing else knows yet.
        prefer_huge_pages(unsafe { std::slice::from_raw_parts_mut(start.as_ptr().cast::<MaybeUninit<u8>>(), bytes) });
        Ok(Block { start, bytes, allocation, layout, writes: 0 })
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How often it was handed out to be written; while this is the same, so is the content.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Counts what is written through [`Self::pointer`], which alone is not counted.
    pub fn count_write(&mut self) {
        self.writes += 1;
    }

    /// The first byte, if `offset..offset + bytes` lies inside. Whoever writes through it must hold the block exclusively,
    /// and say so ([`Self::count_write`]).
    pub fn pointer(&mut self, offset: usize, bytes: usize) -> Option<*mut u8> {
        let end = offset.checked_add(bytes)?;
        // SAFETY: the offset is at most the length of the allocation, as `end` is.
        (end <= self.bytes).then(|| unsafe { self.start.as_ptr().add(offset) })
    }

    /// `len` floats from byte `offset` on; empty if they do not lie inside or are not aligned.
    pub fn floats<T: Element>(&self, offset: usize, len: usize) -> &[T] {
        if !self.holds::<T>(offset, len) {
            return &[];
        }
        // SAFETY: `holds` checked bounds and alignment; the memory was zeroed, every bit pattern is a float, and `self`
        // is borrowed for as long as the slice lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset).cast::<T>(), len) }
    }

    /// The same, to be written.
    pub fn floats_mut<T: Element>(&mut self, offset: usize, len: usize) -> &mut [T] {
        if !self.holds::<T>(offset, len) {
            return &mut [];
        }
        self.writes += 1;
        // SAFETY: as in `floats`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().add(offset).cast::<T>(), len) }
    }

    fn holds<T>(&self, offset: usize, len: usize) -> bool {
        let end = len.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(offset));
        offset.is_multiple_of(align_of::<T>()) && end.is_some_and(|end| end <= self.bytes)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `allocation` came from `alloc_zeroed` with this layout and is freed once.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) }
    }
}

// SAFETY: a block owns its memory, as a `Vec` does; shared references only read.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_zeroed_and_bounded() {
        let mut block = Block::new(100).expect("small");
        assert_eq!(block.pointer(0, 100).expect("inside") as usize % ALIGNMENT, 0);
        assert!(block.pointer(1, 100).is_none());
        assert_eq!(block.floats::<f32>(0, 25), [0.0; 25]);
        assert!(block.floats::<f32>(0, 26).is_empty());
        assert!(block.floats::<f64>(4, 1).is_empty(), "unaligned");
        block.floats_mut::<f64>(8, 2).fill(1.5);
        assert_eq!(block.floats::<f64>(0, 3), [0.0, 1.5, 1.5]);
        assert_eq!(block.writes(), 1);
        block.count_write();
        assert_eq!(block.writes(), 2);
    }

    #[test]
    fn too_much_is_an_error() {
        assert!(matches!(Block::new(usize::MAX), Err(JitError::OutOfMemory { .. })));
        assert!(matches!(Block::new(isize::MAX as usize - 200), Err(JitError::OutOfMemory { .. })));
    }
}

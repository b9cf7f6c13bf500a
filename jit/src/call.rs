//! Calls of finished machine code, and the memory that code and heavy kernels see during a run.
//!
//! All of it rests on these facts: programs are checked by `snn_loops::verify` before code is made from them, so every
//! access of a nest lies inside its buffer and parallel iterations never touch what another one stores; a [`Buffers`] is
//! made of the very buffers that the program declares, and holds them exclusively while it lives.

#![allow(unsafe_code, reason = "machine code made at run time has no safe entry")]

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use cranelift_jit::JITModule;
use snn_loops::{BufferId, Dtype, WORD};

use crate::alloc::Block;
use crate::element::Element;

/// `fn(buffers, begin, end, step)`, see `codegen.rs`.
type Entry = extern "C" fn(*const *mut u8, i64, i64, i64);

/// Machine code of some nests; freed with the last nest that needs it.
pub(crate) struct Code {
    module: Mutex<Option<JITModule>>,
}

impl Code {
    /// Keeps a module whose definitions are finished.
    pub fn new(module: JITModule) -> Code {
        Code { module: Mutex::new(Some(module)) }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // SAFETY: entries live in `NestCode`s only, each of which keeps this value alive, and calls borrow them.
            unsafe { module.free_memory() }
        }
    }
}

/// Machine code of one nest.
pub(crate) struct NestCode {
    entry: Entry,
    _code: Arc<Code>,
}

impl NestCode {
    /// The function at `entry`, which must be one of `code`'s with the signature of [`Entry`].
    pub fn new(code: &Arc<Code>, entry: *const u8) -> NestCode {
        // SAFETY: `module.rs` builds every function with this signature and the machine's C calling convention.
        let entry = unsafe { std::mem::transmute::<*const u8, Entry>(entry) };
        NestCode { entry, _code: Arc::clone(code) }
    }
}

/// A buffer's memory: a block, the first byte in it, and the number of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which block.
    pub block: usize,
    /// First byte.
    pub offset: usize,
    /// Elements.
    pub len: usize,
    /// Whether an element is a bit.
    pub packed: bool,
}

impl Place {
    /// Bytes of the elements.
    fn bytes(self, dtype: Dtype) -> Option<usize> {
        if self.packed {
            self.len.div_ceil(WORD).checked_mul(size_of::<u64>())
        } else {
            self.len.checked_mul(dtype.size())
        }
    }
}

/// Elements of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The buffer.
    pub buffer: BufferId,
    /// First element.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
}

/// Packed words and floats to read, and floats to write.
pub(crate) type PackedViews<'b, T> = (&'b [u64], &'b [T], &'b mut [T]);

/// Floats to read, and floats to write.
pub(crate) type ManyViews<'b, T> = (Vec<&'b [T]>, Vec<&'b mut [T]>);

/// The memory of all buffers of a program, held exclusively for a run.
pub(crate) struct Buffers<'m> {
    dtype: Dtype,
    pointers: Vec<(*mut u8, Place)>,
    memory: PhantomData<&'m mut [Block]>,
}

// SAFETY: it stands for an exclusive borrow of blocks, which may move to the thread that runs the program.
unsafe impl Send for Buffers<'_> {}

impl<'m> Buffers<'m> {
    /// The memory of the buffers at `places`; `None` if one lies outside of its block.
    pub fn new(dtype: Dtype, blocks: &'m mut [Block], places: &[Place]) -> Option<Buffers<'m>> {
        let pointers = places
            .iter()
            .map(|place| Some((blocks.get_mut(place.block)?.pointer(place.offset, place.bytes(dtype)?)?, *place)));
        Some(Buffers { dtype, pointers: pointers.collect::<Option<_>>()?, memory: PhantomData })
    }

    /// The buffers of a nest's slots.
    pub fn table(&mut self, slots: &[Option<BufferId>]) -> Option<Table<'_>> {
        let pointers = slots.iter().map(|slot| match slot {
            Some(buffer) => Some(self.pointers.get(buffer.0 as usize)?.0),
            None => Some(std::ptr::null_mut()),
        });
        Some(Table { pointers: pointers.collect::<Option<_>>()?, memory: PhantomData })
    }

    /// Spans to read and one to write, which must lie inside their buffers, the written one apart from the others.
    pub fn views<T: Element, const N: usize>(&mut self, read: [Span; N], write: Span) -> Option<([&[T]; N], &mut [T])> {
        let written = self.bytes::<T>(write)?;
        let mut views = [&[] as &[T]; N];
        for (view, span) in views.iter_mut().zip(read) {
            let bytes = self.bytes::<T>(span)?;
            if bytes.start < written.end && written.start < bytes.end {
                return None;
            }
            // SAFETY: `bytes` checked bounds and type; buffers are aligned for it (`compile.rs` places them at multiples of
            // a cache line); the memory is borrowed through `self`, and what is written lies elsewhere.
            *view = unsafe { std::slice::from_raw_parts(bytes.start as *const T, span.len) };
        }
        // SAFETY: as above, and `self` is borrowed exclusively.
        let write = unsafe { std::slice::from_raw_parts_mut(written.start as *mut T, write.len) };
        Some((views, write))
    }

    /// Any number of spans to read and to write, the written ones apart from all others, with the same demands.
    pub fn many_views<T: Element>(&mut self, reads: &[Span], writes: &[Span]) -> Option<ManyViews<'_, T>> {
        let read: Vec<Range<usize>> = reads.iter().map(|span| self.bytes::<T>(*span)).collect::<Option<_>>()?;
        let written: Vec<Range<usize>> = writes.iter().map(|span| self.bytes::<T>(*span)).collect::<Option<_>>()?;
        for (at, out) in written.iter().enumerate() {
            let overlaps = |other: &Range<usize>| other.start < out.end && out.start < other.end;
            if read.iter().any(overlaps) || written.iter().skip(at + 1).any(overlaps) {
                return None;
            }
        }
        // SAFETY: as in `views`.
        let view = |(bytes, span): (&Range<usize>, &Span)| unsafe {
            std::slice::from_raw_parts(bytes.start as *const T, span.len)
        };
        // SAFETY: as in `views`, and no two of the written ones overlap.
        let view_mut = |(bytes, span): (&Range<usize>, &Span)| unsafe {
            std::slice::from_raw_parts_mut(bytes.start as *mut T, span.len)
        };
        Some((read.iter().zip(reads).map(view).collect(), written.iter().zip(writes).map(view_mut).collect()))
    }

    /// Words of packed elements to read, floats to read and floats to write, with the same demands.
    pub fn packed_views<T: Element>(&mut self, packed: Span, read: Span, write: Span) -> Option<PackedViews<'_, T>> {
        let (start, place) = *self.pointers.get(packed.buffer.0 as usize)?;
        let end = packed.offset.checked_add(packed.len)?;
        let is_whole = packed.offset.is_multiple_of(WORD) && packed.len.is_multiple_of(WORD);
        if !place.packed || !is_whole || end > place.len.next_multiple_of(WORD) || packed.buffer == write.buffer {
            return None;
        }
        let ([read], write) = self.views::<T, 1>([read], write)?;
        // SAFETY: the words lie inside the buffer, as was checked, which starts at a cache line; buffers that are alive at
        // the same time share no memory, and what is written is another one; `self` is borrowed exclusively.
        let words = unsafe {
            std::slice::from_raw_parts(start.cast::<u64>().cast_const().add(packed.offset / WORD), packed.len / WORD)
        };
        Some((words, read, write))
    }

    /// The addresses of a span of floats of the program's type inside its buffer.
    fn bytes<T: Element>(&self, span: Span) -> Option<Range<usize>> {
        let (start, place) = *self.pointers.get(span.buffer.0 as usize)?;
        let end = span.offset.checked_add(span.len)?;
        if T::DTYPE != self.dtype || place.packed || end > place.len {
            return None;
        }
        Some(start as usize + span.offset * size_of::<T>()..start as usize + end * size_of::<T>())
    }
}

/// What a nest's code is called with.
pub(crate) struct Table<'b> {
    pointers: Vec<*mut u8>,
    memory: PhantomData<&'b mut ()>,
}

// SAFETY: threads share a table only to run different iterations of a parallel loop, which never touch what another one
// stores (checked by `snn_loops::verify`).
unsafe impl Sync for Table<'_> {}

impl Table<'_> {
    /// Runs a slice of a nest's parallel loop (`0..1` if it has none).
    pub fn run(&self, code: &NestCode, slice: Range<usize>, step: i64) {
        if slice.start < slice.end {
            (code.entry)(self.pointers.as_ptr(), slice.start as i64, slice.end as i64, step);
        }
    }
}

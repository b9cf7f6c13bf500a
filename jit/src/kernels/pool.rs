//! Memory that kernels compute in: aligned to cache lines, in large pages where it is large, and kept for the next kernel,
//! because fresh pages cost as much as the arithmetic on them. Every thread keeps small pieces for itself. Large ones are
//! shared: any thread of a pool may be the one that runs a program, and each would come to hold all of them. This file must
//! never know what is kept in it.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use crate::alloc::{ALIGNMENT, prefer_huge_pages};

/// Bytes from which on a piece is shared: then its work takes much longer than a lock.
const LARGE: usize = 1 << 20;

/// Elements that scratch memory can hold.
pub(crate) trait Pooled: Copy + Default + 'static {
    /// Memory for so many elements that nobody holds, as far as there is any; else less.
    fn take(len: usize) -> Vec<Self>;
    /// Gives memory back.
    fn put(memory: Vec<Self>);
}

/// Whether a piece of so many bytes is shared by all threads.
pub(crate) fn is_large(bytes: usize) -> bool {
    bytes >= LARGE
}

fn is_shared<T>(len: usize) -> bool {
    is_large(len.saturating_mul(size_of::<T>()))
}

/// The smallest piece with so many elements, else the largest; empty if there is none.
fn fitting<T>(pieces: &mut Vec<Vec<T>>, len: usize) -> Vec<T> {
    let sizes = pieces.iter().map(Vec::len).enumerate();
    let best = sizes.min_by_key(|(_, size)| if *size >= len { (0, *size) } else { (1, usize::MAX - *size) });
    best.map(|(at, _)| pieces.swap_remove(at)).unwrap_or_default()
}

macro_rules! pooled {
    ($ty:ty, $spare:ident, $shared:ident) => {
        thread_local! {
            /// What this thread does not use at the moment, in the order in which it was given back: nested kernels take
            /// and give back like a stack, so that each finds the memory that it had last time.
            static $spare: RefCell<Vec<Vec<$ty>>> = const { RefCell::new(Vec::new()) };
        }

        /// What no thread uses at the moment.
        static $shared: Mutex<Vec<Vec<$ty>>> = Mutex::new(Vec::new());

        impl Pooled for $ty {
            fn take(len: usize) -> Vec<$ty> {
                if is_shared::<$ty>(len) {
                    return fitting(&mut $shared.lock().unwrap_or_else(PoisonError::into_inner), len);
                }
                $spare.with_borrow_mut(|spare| spare.pop()).unwrap_or_default()
            }

            fn put(memory: Vec<$ty>) {
                if is_shared::<$ty>(memory.len()) {
                    return $shared.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
                }
                $spare.with_borrow_mut(|spare| spare.push(memory));
            }
        }
    };
}

pooled!(f32, SINGLES, SHARED_SINGLES);
pooled!(f64, DOUBLES, SHARED_DOUBLES);
pooled!(u64, WORDS, SHARED_WORDS);
pooled!(u32, HALVES, SHARED_HALVES);

/// Frees what is shared and not in use. Who needs it next takes it anew.
pub(crate) fn release() {
    fn clear<T>(pieces: &Mutex<Vec<Vec<T>>>) {
        drop(std::mem::take(&mut *pieces.lock().unwrap_or_else(PoisonError::into_inner)));
    }
    clear(&SHARED_SINGLES);
    clear(&SHARED_DOUBLES);
    clear(&SHARED_WORDS);
    clear(&SHARED_HALVES);
}

/// Runs `body` with `len` elements of any content that start on a cache line. It may be called again inside of `body`.
pub(crate) fn with_scratch<T: Pooled, R>(len: usize, body: impl FnOnce(&mut [T]) -> R) -> R {
    let slack = ALIGNMENT / size_of::<T>();
    let mut memory = T::take(len + slack);
    if memory.len() < len + slack {
        // What there was goes first, and nothing of it is copied.
        drop(std::mem::take(&mut memory));
        memory.reserve_exact(len + slack);
        prefer_huge_pages(memory.spare_capacity_mut());
        memory.resize(len + slack, T::default());
    }
    let skip = memory.as_ptr().align_offset(ALIGNMENT).min(slack);
    let result = body(memory.get_mut(skip..skip + len).unwrap_or_default());
    T::put(memory);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address<T>(memory: &[T]) -> usize {
        memory.as_ptr() as usize
    }

    #[test]
    fn memory_is_aligned_apart_and_found_again() {
        let run = || {
            with_scratch(100, |outer: &mut [f32]| {
                outer.fill(1.0);
                with_scratch(70, |inner: &mut [f32]| {
                    inner.fill(2.0);
                    assert_eq!((outer.len(), inner.len()), (100, 70));
                    assert_eq!([address(outer) % ALIGNMENT, address(inner) % ALIGNMENT], [0, 0]);
                    assert!(outer.iter().all(|x| *x == 1.0), "nested memory is other memory");
                    [address(outer), address(inner)]
                })
            })
        };
        assert_eq!(run(), run(), "the same memory, in the same order");
    }

    #[test]
    fn pieces_are_found_by_size() {
        let mut pieces = [5, 9, 7, 2].map(|len| vec![0_u8; len]).to_vec();
        assert_eq!(fitting(&mut pieces, 6).len(), 7, "the smallest that suffices");
        assert_eq!(fitting(&mut pieces, 10).len(), 9, "or else the largest, which grows");
        assert_eq!([0, 0, 0].map(|_| fitting(&mut pieces, 1).len()), [2, 5, 0]);
    }

    #[test]
    fn memory_grows() {
        for len in [0, 3, 1000, 10] {
            with_scratch(len, |memory: &mut [u64]| assert_eq!((memory.len(), address(memory) % ALIGNMENT), (len, 0)));
        }
    }
}

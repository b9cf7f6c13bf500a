//! Memory that kernels compute in: aligned to cache lines, in large pages where it is large, and kept by every thread for
//! its next kernel, because fresh pages cost as much as the arithmetic on them. This file must never know what is kept in
//! it.

use std::cell::RefCell;

use crate::alloc::{ALIGNMENT, prefer_huge_pages};

/// Elements that scratch memory can hold.
pub(crate) trait Pooled: Copy + Default + 'static {
    /// Memory of this thread that nobody holds; empty if there is none.
    fn take() -> Vec<Self>;
    /// Gives memory back.
    fn put(memory: Vec<Self>);
}

macro_rules! pooled {
    ($ty:ty, $spare:ident) => {
        thread_local! {
            /// What this thread does not use at the moment, in the order in which it was given back: nested kernels take
            /// and give back like a stack, so that each finds the memory that it had last time.
            static $spare: RefCell<Vec<Vec<$ty>>> = const { RefCell::new(Vec::new()) };
        }

        impl Pooled for $ty {
            fn take() -> Vec<$ty> {
                $spare.with_borrow_mut(|spare| spare.pop()).unwrap_or_default()
            }

            fn put(memory: Vec<$ty>) {
                $spare.with_borrow_mut(|spare| spare.push(memory));
            }
        }
    };
}

pooled!(f32, SINGLES);
pooled!(f64, DOUBLES);
pooled!(u64, WORDS);
pooled!(u32, HALVES);

/// Runs `body` with `len` elements of any content that start on a cache line. It may be called again inside of `body`.
pub(crate) fn with_scratch<T: Pooled, R>(len: usize, body: impl FnOnce(&mut [T]) -> R) -> R {
    let mut memory = T::take();
    let slack = ALIGNMENT / size_of::<T>();
    if memory.len() < len + slack {
        memory.clear();
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
    fn memory_grows() {
        for len in [0, 3, 1000, 10] {
            with_scratch(len, |memory: &mut [u64]| assert_eq!((memory.len(), address(memory) % ALIGNMENT), (len, 0)));
        }
    }
}

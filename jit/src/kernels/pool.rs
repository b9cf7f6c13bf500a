//! Scratch memory of a thread, which stays with it from call to call so that kernels do not meet fresh pages. It may be
//! taken again while it is held. This file must never know what is kept in it.

use std::cell::RefCell;

use crate::alloc::prefer_huge_pages;

/// Bytes that scratch memory is aligned to: a cache line.
const LINE: usize = 64;

/// Elements that scratch memory can hold.
pub(crate) trait Pooled: Copy + Default + 'static {
    /// Memory of this thread that nobody holds.
    fn take() -> Vec<Self>;
    /// Gives memory back.
    fn put(memory: Vec<Self>);
}

macro_rules! pooled {
    ($ty:ty, $pool:ident) => {
        thread_local! {
            static $pool: RefCell<Vec<Vec<$ty>>> = const { RefCell::new(Vec::new()) };
        }
        impl Pooled for $ty {
            fn take() -> Vec<$ty> {
                $pool.with_borrow_mut(|pool| pool.pop()).unwrap_or_default()
            }
            fn put(memory: Vec<$ty>) {
                $pool.with_borrow_mut(|pool| pool.push(memory));
            }
        }
    };
}
pooled!(f32, FLOATS);
pooled!(u64, WORDS);
pooled!(u32, HALVES);

/// Runs `body` with `len` elements of any content that start on a cache line.
pub(crate) fn with_scratch<T: Pooled, R>(len: usize, body: impl FnOnce(&mut [T]) -> R) -> R {
    let mut memory = T::take();
    let slack = LINE / size_of::<T>();
    if memory.len() < len + slack {
        memory.clear();
        memory.reserve_exact(len + slack);
        prefer_huge_pages(memory.spare_capacity_mut());
        memory.resize(len + slack, T::default());
    }
    let skip = memory.as_ptr().align_offset(LINE).min(slack);
    let result = body(memory.get_mut(skip..skip + len).unwrap_or_default());
    T::put(memory);
    result
}

//! What libraries make and end: descriptors.
//!
//! Must never know what they describe.

#![allow(unsafe_code, reason = "ends what libraries made")]

use crate::error::CudaError;

use super::refused;

/// Something of a library's that ends with this value.
pub(super) struct Owned<T: Copy> {
    pub raw: T,
    destroy: unsafe extern "C" fn(T) -> u32,
}

impl<T> Owned<*mut T> {
    /// What `create` writes to the place that it is given and `destroy` ends; `called` are the names of library and function.
    pub fn new(
        called: [&'static str; 2],
        create: impl FnOnce(*mut *mut T) -> u32,
        destroy: unsafe extern "C" fn(*mut T) -> u32,
    ) -> Result<Owned<*mut T>, CudaError> {
        let mut raw = std::ptr::null_mut();
        let [library, call] = called;
        refused(library, call, create(&mut raw))?;
        Ok(Owned { raw, destroy })
    }
}

impl<T: Copy> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: it was made by the function that belongs to this one, and is destroyed once.
        unsafe { (self.destroy)(self.raw) };
    }
}

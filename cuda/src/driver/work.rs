//! What a kernel gives to a stream: launches of our functions, and products of libraries.
//!
//! Must never know what either computes.

#![allow(unsafe_code, reason = "launches functions on memory of the device")]

use std::collections::BTreeMap;
use std::sync::Arc;

use snn_loops::Dtype;

use super::accelerators::Product;
use super::handles::{Function, Stream};
use super::launch::Addresses;
use crate::error::CudaError;
use crate::launch::Call;

/// A part of a kernel.
pub(super) enum Work {
    /// A function of ours.
    Launch(Launchable),
    /// A library's product.
    #[cfg_attr(not(feature = "accelerators"), allow(dead_code, reason = "only builds with libraries make one"))]
    Product(Product),
}

impl Work {
    /// The call, if it is a launch of ours.
    pub fn call(&self) -> Option<&Call> {
        match self {
            Work::Launch(launchable) => Some(&launchable.call),
            Work::Product(_) => None,
        }
    }
}

/// A call whose function is loaded.
pub(super) struct Launchable {
    pub call: Call,
    pub function: Arc<Function>,
}

/// What the kernels of a program have besides their operands.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "accelerators"), allow(dead_code, reason = "only builds with libraries look into it"))]
pub(super) struct Room {
    /// The program's type.
    pub dtype: Dtype,
    /// Bytes of workspace.
    pub workspace: usize,
    /// Bytes of copies of weights.
    pub prepared: usize,
}

/// Functions by name.
pub(super) type Functions = BTreeMap<String, Arc<Function>>;

/// Calls with their functions.
pub(super) fn link(calls: &[Call], functions: &Functions) -> Result<Vec<Work>, CudaError> {
    let link = |call: &Call| match functions.get(call.function.as_str()) {
        Some(function) => Ok(Work::Launch(Launchable { call: call.clone(), function: Arc::clone(function) })),
        None => Err(CudaError::Emission(format!("no unit has the function `{}`", call.function))),
    };
    calls.iter().map(link).collect()
}

/// Gives works to a stream in order. The thread has entered the context before.
///
/// # Safety
/// The works must be made for what the addresses point to, which must live until the stream has been waited for and be
/// touched by nothing else meanwhile.
pub(super) unsafe fn give(
    stream: &Stream,
    works: &[Work],
    addresses: &Addresses<'_>,
    step: i64,
) -> Result<(), CudaError> {
    for work in works {
        match work {
            Work::Launch(Launchable { call, function }) => {
                let mut arguments = addresses.arguments(&call.arguments, step)?;
                // SAFETY: the caller promises it.
                unsafe { stream.launch(function, call.grid, call.block, call.shared, &mut arguments)? };
            }
            Work::Product(product) => {
                let arguments = addresses.arguments(product.arguments(), step)?;
                // SAFETY: as above.
                unsafe { product.run(stream, &arguments)? };
            }
        }
    }
    Ok(())
}

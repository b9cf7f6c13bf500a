//! A program as CUDA text: units to compile, and what each kernel launches.
//!
//! Must never know a driver.

use crate::launch::Call;

/// How the elements of a buffer lie in a device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// As the program's type.
    Float,
    /// As bfloat16.
    Bf16,
    /// In half precision.
    F16,
    /// As bits, element `i` in bit `i % 32` of the 32-bit word `i / 32`; whole 64-bit words.
    Bits,
}

/// A text to compile by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// A name for messages.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// The functions that calls may name.
    pub functions: Vec<String>,
}

/// A program as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// What is compiled.
    pub units: Vec<Unit>,
    /// What each kernel of the program launches, in order.
    pub kernels: Vec<Vec<Call>>,
    /// Bytes of memory that a kernel has to itself while it runs, the most of all kernels.
    pub workspace: usize,
    /// How each buffer lies in memory.
    pub storage: Vec<Storage>,
}

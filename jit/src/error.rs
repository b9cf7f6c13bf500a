//! What can go wrong outside of the machine code, which itself cannot fail.

use std::fmt;

use snn_loops::Dtype;

/// Why a program was not compiled, or an instance not made, read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JitError {
    /// The program breaks a rule of `snn_loops::verify`.
    Invalid(String),
    /// Cranelift cannot compile for this machine.
    Host(String),
    /// Cranelift refused a kernel.
    Codegen {
        /// The kernel's name.
        kernel: String,
        /// What cranelift said.
        message: String,
    },
    /// The pool of threads could not be started.
    Threads(String),
    /// The buffers do not fit in memory.
    OutOfMemory {
        /// How many bytes were asked for.
        bytes: usize,
    },
    /// The program has no such buffer.
    NoBuffer(u32),
    /// The program computes in another type.
    WrongType {
        /// The program's type.
        program: Dtype,
        /// The type asked for.
        asked: Dtype,
    },
    /// The numbers of elements differ.
    WrongLength {
        /// The buffer's name.
        buffer: String,
        /// Elements of the buffer.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// The host may not do this with a buffer of this role.
    WrongRole {
        /// The buffer's name.
        buffer: String,
        /// What was tried.
        action: &'static str,
    },
}

impl fmt::Display for JitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JitError::Invalid(message) => write!(f, "the program is invalid: {message}"),
            JitError::Host(message) => write!(f, "cannot compile for this machine: {message}"),
            JitError::Codegen { kernel, message } => write!(f, "cannot compile kernel `{kernel}`: {message}"),
            JitError::Threads(message) => write!(f, "cannot start threads: {message}"),
            JitError::OutOfMemory { bytes } => write!(f, "out of memory: {bytes} bytes needed"),
            JitError::NoBuffer(id) => write!(f, "the program has no buffer b{id}"),
            JitError::WrongType { program, asked } => {
                write!(f, "the program computes in {}, not in {}", program.name(), asked.name())
            }
            JitError::WrongLength { buffer, expected, found } => {
                write!(f, "buffer `{buffer}` has {expected} elements, not {found}")
            }
            JitError::WrongRole { buffer, action } => write!(f, "buffer `{buffer}` cannot be {action}"),
        }
    }
}

impl std::error::Error for JitError {}

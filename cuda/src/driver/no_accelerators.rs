//! What there is in place of libraries where the crate is built without them: our kernels compute alone.
//!
//! Says what `accelerators` says, so that whoever calls it need not know.

#![allow(unsafe_code, reason = "says what `accelerators` says")]

use std::convert::Infallible;

use snn_loops::Program;

use super::device::Device;
use super::handles::Stream;
use super::work::{Functions, Room, Work};
use crate::accelerators::Accelerators;
use crate::availability::LibraryReport;
use crate::emit::{Emission, Unit};
use crate::error::CudaError;
use crate::launch::Argument;
use crate::target::Target;

/// No library is looked for.
pub(super) fn reports() -> Vec<LibraryReport> {
    Vec::new()
}

/// No library.
pub fn versions() -> String {
    String::new()
}

/// A library's part of a program; there is none.
#[derive(Clone)]
pub(super) struct Product(Infallible);

impl Product {
    /// Where its operands are.
    pub fn arguments(&self) -> &[Argument] {
        match self.0 {}
    }

    /// Computes it.
    ///
    /// # Safety
    /// There is nothing to compute.
    pub unsafe fn run(&self, _stream: &Stream, _arguments: &[u64]) -> Result<(), CudaError> {
        match self.0 {}
    }
}

/// Contractions of a program that libraries can compute: none.
pub(super) struct Candidates;

impl Candidates {
    /// None.
    pub fn none() -> Candidates {
        Candidates
    }

    /// None.
    pub fn of(_: &Program, _: &Emission, _: &Target, _: &Device, _: Accelerators) -> Candidates {
        Candidates
    }

    /// Nothing has to be compiled.
    pub fn units(&self) -> &[Unit] {
        &[]
    }

    /// All stay ours.
    pub fn choose(
        self,
        _: &mut [Vec<Work>],
        _: &Functions,
        _: Room,
        _: &Device,
    ) -> Result<(Vec<usize>, usize), CudaError> {
        Ok((Vec::new(), 0))
    }
}

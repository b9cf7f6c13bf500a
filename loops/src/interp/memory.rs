//! The buffers of a program that is interpreted.
//!
//! Must never know kernels.

use crate::dtype::Dtype;
use crate::program::{BufferId, Program, Role};

/// The contents of all buffers, each element rounded to the program's type.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    dtype: Dtype,
    buffers: Vec<Vec<f64>>,
    packed: Vec<bool>,
}

impl Memory {
    /// Buffers of the right lengths: constants filled, inputs 0, all others NaN.
    pub fn new(program: &Program) -> Memory {
        let fill = |role: &Role, len| match role {
            Role::Constant(values) => values.iter().map(|v| program.dtype.round(*v)).collect(),
            Role::Input => vec![0.0; len],
            Role::Output | Role::Temporary | Role::Scratch => vec![f64::NAN; len],
        };
        Memory {
            dtype: program.dtype,
            buffers: program.buffers.iter().map(|b| fill(&b.role, b.len)).collect(),
            packed: program.buffers.iter().map(|b| b.packed).collect(),
        }
    }

    /// The elements of a buffer; none where it does not exist.
    pub fn buffer(&self, id: BufferId) -> &[f64] {
        self.buffers.get(id.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Writes a whole buffer, rounding each element to the program's type; says what is wrong where the length is.
    pub fn write(&mut self, id: BufferId, values: &[f64]) -> Result<(), String> {
        let dtype = self.dtype;
        match self.buffers.get_mut(id.0 as usize) {
            Some(buffer) if buffer.len() == values.len() => {
                buffer.iter_mut().zip(values).for_each(|(element, value)| *element = dtype.round(*value));
                Ok(())
            }
            Some(buffer) => Err(format!("b{} has {} elements, not {}", id.0, buffer.len(), values.len())),
            None => Err(format!("b{} does not exist", id.0)),
        }
    }

    /// One element.
    pub(super) fn load(&self, id: BufferId, at: i64) -> Result<f64, String> {
        let element = usize::try_from(at).ok().and_then(|at| self.buffer(id).get(at));
        element.copied().ok_or_else(|| self.outside(id, at))
    }

    /// Overwrites one element with a value of the program's type; a packed one with 0 or 1.
    pub(super) fn store(&mut self, id: BufferId, at: i64, value: f64) -> Result<(), String> {
        let is_packed = self.packed.get(id.0 as usize).copied().unwrap_or(false);
        let value = if is_packed { f64::from(u8::from(value != 0.0)) } else { value };
        let buffer = self.buffers.get_mut(id.0 as usize);
        match buffer.zip(usize::try_from(at).ok()).and_then(|(buffer, at)| buffer.get_mut(at)) {
            Some(element) => {
                *element = value;
                Ok(())
            }
            None => Err(self.outside(id, at)),
        }
    }

    /// Makes everything that the program is to write NaN again.
    pub(super) fn forget(&mut self, program: &Program) {
        for (description, buffer) in program.buffers.iter().zip(&mut self.buffers) {
            if matches!(description.role, Role::Output | Role::Temporary | Role::Scratch) {
                buffer.fill(f64::NAN);
            }
        }
    }

    fn outside(&self, id: BufferId, at: i64) -> String {
        match self.buffers.get(id.0 as usize) {
            Some(buffer) => format!("element {at} of b{}, which has {}", id.0, buffer.len()),
            None => format!("b{} does not exist", id.0),
        }
    }
}

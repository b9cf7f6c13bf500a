//! The launches of a program in order, and their arguments as numbers.
//!
//! Must never know how a launch is done, nor for how long what it is given is there.

use snn_loops::{Dtype, Launch, WORD};

use crate::emit::Storage;
use crate::error::CudaError;
use crate::launch::Argument;
use crate::layout::Place;

/// Calls `visit` with the position of every kernel and the step of its enclosing repeat, in the order in which they run.
pub(super) fn each_launch(
    launches: &[Launch],
    step: i64,
    visit: &mut dyn FnMut(usize, i64) -> Result<(), CudaError>,
) -> Result<(), CudaError> {
    for launch in launches {
        match launch {
            Launch::Run(kernel) => visit(kernel.0 as usize, step)?,
            Launch::Repeat { steps, reverse, body } => {
                for at in 0..*steps {
                    let step = if *reverse { steps - 1 - at } else { at };
                    each_launch(body, step as i64, visit)?;
                }
            }
        }
    }
    Ok(())
}

/// Where everything is that arguments point to, as addresses on the device.
pub(super) struct Addresses<'a> {
    pub dtype: Dtype,
    /// One a buffer.
    pub places: &'a [Place],
    /// One a block.
    pub blocks: &'a [u64],
    pub workspace: u64,
    /// Bytes of the workspace.
    pub workspace_bytes: usize,
    pub prepared: u64,
    /// Bytes that are prepared.
    pub prepared_bytes: usize,
    /// What changes from run to run.
    pub run: u64,
}

impl Addresses<'_> {
    /// Arguments at a step.
    pub fn arguments(&self, arguments: &[Argument], step: i64) -> Result<Vec<u64>, CudaError> {
        arguments.iter().map(|argument| self.argument(argument, step)).collect()
    }

    fn argument(&self, argument: &Argument, step: i64) -> Result<u64, CudaError> {
        match argument {
            Argument::Step => Ok(step as u64),
            Argument::Number(number) => Ok(*number),
            Argument::Run => Ok(self.run),
            Argument::Workspace(offset) if *offset <= self.workspace_bytes => Ok(self.workspace + *offset as u64),
            Argument::Workspace(offset) => Err(CudaError::Emission(format!(
                "byte {offset} of a workspace of {} bytes is asked for",
                self.workspace_bytes
            ))),
            Argument::Prepared(offset) if *offset <= self.prepared_bytes => Ok(self.prepared + *offset as u64),
            Argument::Prepared(offset) => Err(CudaError::Emission(format!(
                "byte {offset} of {} prepared bytes is asked for",
                self.prepared_bytes
            ))),
            Argument::Operand(operand) => {
                let element = operand.offset.evaluate(&|_| 0, step);
                self.element(operand.buffer.0 as usize, element).ok_or_else(|| {
                    CudaError::Emission(format!(
                        "element {element} of buffer b{} at step {step} cannot be pointed at",
                        operand.buffer.0
                    ))
                })
            }
        }
    }

    /// The address of an element, or of the end of a buffer.
    fn element(&self, buffer: usize, element: i64) -> Option<u64> {
        let place = self.places.get(buffer)?;
        let element = usize::try_from(element).ok().filter(|element| *element <= place.len)?;
        let block = self.blocks.get(place.block)?;
        let offset = place.offset.checked_add(bytes_before(element, place.storage, self.dtype)?)?;
        Some(block + offset as u64)
    }
}

/// The bytes before an element, where one can be pointed at: bits only where a word begins.
pub(super) fn bytes_before(element: usize, storage: Storage, dtype: Dtype) -> Option<usize> {
    match storage {
        Storage::Float => element.checked_mul(dtype.size()),
        Storage::Bf16 | Storage::F16 => element.checked_mul(2),
        Storage::Registers => None,
        Storage::Bits => element.is_multiple_of(WORD).then_some(element / 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snn_loops::{BufferId, Ix, KernelId, Operand};

    #[test]
    fn repeats_are_written_out_in_their_direction() {
        let run = |id| Launch::Run(KernelId(id));
        let repeat = |steps, reverse, body: &[u32]| Launch::Repeat {
            steps,
            reverse,
            body: body.iter().map(|id| run(*id)).collect(),
        };
        let launches = [run(0), repeat(2, false, &[1, 2]), repeat(3, true, &[3]), repeat(0, false, &[4]), run(5)];
        let mut seen = Vec::new();
        each_launch(&launches, 0, &mut |kernel, step| {
            seen.push((kernel, step));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (3, 2), (3, 1), (3, 0), (5, 0)]);
    }

    #[test]
    fn arguments_are_addresses_at_the_step() {
        let place = |block, offset, storage| Place { block, offset, len: 192, storage };
        let places = [place(0, 0, Storage::Float), place(1, 512, Storage::F16), place(1, 0, Storage::Bits)];
        let addresses = Addresses {
            dtype: Dtype::F32,
            places: &places,
            blocks: &[0x1000, 0x2000],
            workspace: 0x3000,
            workspace_bytes: 256,
            prepared: 0x5000,
            prepared_bytes: 512,
            run: 0x4000,
        };
        let at = |buffer, offset| Argument::Operand(Operand { buffer: BufferId(buffer), offset });
        let step = || Ix::step().times(64);
        let all = [
            at(0, step()),
            at(1, step()),
            at(2, step()),
            Argument::Workspace(16),
            Argument::Step,
            Argument::Number(1 << 40),
            Argument::Prepared(512),
            Argument::Run,
            at(0, Ix::constant(0)),
        ];
        let found = addresses.arguments(&all, 2).unwrap();
        assert_eq!(found, [0x1200, 0x2300, 0x2010, 0x3010, 2, 1 << 40, 0x5200, 0x4000, 0x1000]);
        let outside = [
            at(0, step()),
            at(2, Ix::step()),
            at(7, Ix::constant(0)),
            Argument::Workspace(257),
            Argument::Prepared(513),
        ];
        for wrong in outside {
            assert!(matches!(addresses.argument(&wrong, 5), Err(CudaError::Emission(_))), "{wrong:?}");
        }
    }

    #[test]
    fn elements_can_be_pointed_at_where_a_byte_begins() {
        assert_eq!(bytes_before(128, Storage::Bits, Dtype::F32), Some(16));
        assert_eq!(bytes_before(32, Storage::Bits, Dtype::F32), None);
        assert_eq!(bytes_before(3, Storage::F16, Dtype::F32), Some(6));
        assert_eq!(bytes_before(usize::MAX, Storage::Float, Dtype::F32), None);
    }
}

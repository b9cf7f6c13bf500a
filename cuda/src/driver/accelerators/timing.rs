//! Which of two ways to compute a contraction is faster, found out on memory of its own.
//!
//! Must never know what the ways are.

#![allow(unsafe_code, reason = "launches functions on memory of the device")]

use snn_loops::{BufferId, Contraction, Dtype, Operand};

use super::Product;
use crate::accelerators::Winner;
use crate::driver::device::Device;
use crate::driver::handles::{Event, Stream};
use crate::driver::launch::Addresses;
use crate::driver::launch::bytes_before;
use crate::driver::memory::DeviceMemory;
use crate::driver::work::{Launchable, Room, Work, give};
use crate::emit::Storage;
use crate::error::CudaError;
use crate::launch::Argument;
use crate::layout::Place;

/// Runs that nobody times: code is loaded by then, and clocks are up.
const WARM_UPS: usize = 2;
/// Runs that are timed; the shortest counts.
const ROUNDS: usize = 5;

/// Who is faster, our works or the library's, in a program with this room.
pub(super) fn faster(
    c: &Contraction,
    storage: [Storage; 3],
    [ours, theirs]: [&[Work]; 2],
    room: Room,
    device: &Device,
) -> Result<Winner, CudaError> {
    let (Some(ours), Some(theirs)) = (moved(c, ours), moved(c, theirs)) else { return Ok(Winner::Ours) };
    let scratch = Scratch::new(c, storage, room, device)?;
    let ours = scratch.time(&ours)?;
    match scratch.time(&theirs) {
        Ok(theirs) if theirs < ours => Ok(Winner::Library),
        // What a library only refuses when it is called stays ours, too.
        Ok(_) | Err(CudaError::Library { .. }) => Ok(Winner::Ours),
        Err(error) => Err(error),
    }
}

/// Works on the operands of a contraction as works on buffers 0, 1 and 2; nothing if they touch anything else.
fn moved(c: &Contraction, works: &[Work]) -> Option<Vec<Work>> {
    let operands = [&c.a, &c.b, &c.out];
    let argument = |argument: &Argument| match argument {
        Argument::Operand(operand) => {
            let at = operands.iter().position(|known| *known == operand)?;
            Some(Argument::Operand(Operand::whole(BufferId(at as u32))))
        }
        other => Some(other.clone()),
    };
    let work = |work: &Work| match work {
        Work::Launch(Launchable { call, function }) => {
            let mut call = call.clone();
            call.arguments = call.arguments.iter().map(argument).collect::<Option<_>>()?;
            Some(Work::Launch(Launchable { call, function: function.clone() }))
        }
        Work::Product(product) => {
            let arguments: Option<Vec<Argument>> = product.arguments.iter().map(argument).collect();
            Some(Work::Product(Product { ready: product.ready.clone(), arguments: arguments?.try_into().ok()? }))
        }
    };
    works.iter().map(work).collect()
}

/// Memory for one contraction.
struct Scratch {
    // Before all memory: a stream is waited for when it is dropped.
    stream: Stream,
    dtype: Dtype,
    blocks: [DeviceMemory; 3],
    places: [Place; 3],
    workspace: DeviceMemory,
    prepared: DeviceMemory,
}

impl Scratch {
    fn new(c: &Contraction, storage: [Storage; 3], room: Room, device: &Device) -> Result<Scratch, CudaError> {
        let context = device.context();
        let stream = Stream::new(context)?;
        let [a, b, out] = c.lengths();
        let place = |block: usize, len: usize, storage: Storage| Place { block, offset: 0, len, storage };
        let places = [place(0, a, storage[0]), place(1, b, storage[1]), place(2, out, storage[2])];
        let memory = |bytes: usize| {
            let memory = DeviceMemory::new(context, bytes)?;
            memory.clear(&stream)?;
            Ok::<_, CudaError>(memory)
        };
        let operand = |place: &Place| {
            let bytes = bytes_before(place.len, place.storage, room.dtype);
            memory(bytes.ok_or_else(|| CudaError::Emission("an operand of a library has no size".to_owned()))?)
        };
        let blocks = [operand(&places[0])?, operand(&places[1])?, operand(&places[2])?];
        let (workspace, prepared) = (memory(room.workspace)?, memory(room.prepared)?);
        Ok(Scratch { stream, dtype: room.dtype, blocks, places, workspace, prepared })
    }

    /// Nanoseconds of works.
    fn time(&self, works: &[Work]) -> Result<u64, CudaError> {
        for _ in 0..WARM_UPS {
            self.give(works)?;
        }
        let context = &self.stream.context;
        let (before, after) = (Event::timed(context)?, Event::timed(context)?);
        let mut shortest = u64::MAX;
        for _ in 0..ROUNDS {
            before.record(&self.stream)?;
            self.give(works)?;
            after.record(&self.stream)?;
            self.stream.wait()?;
            shortest = shortest.min(before.nanoseconds_to(&after)?);
        }
        Ok(shortest)
    }

    fn give(&self, works: &[Work]) -> Result<(), CudaError> {
        let blocks = [0, 1, 2].map(|at: usize| self.blocks.get(at).map_or(0, DeviceMemory::address));
        let addresses = Addresses {
            dtype: self.dtype,
            places: &self.places,
            blocks: &blocks,
            workspace: self.workspace.address(),
            workspace_bytes: self.workspace.bytes(),
            prepared: self.prepared.address(),
            prepared_bytes: self.prepared.bytes(),
            // No contraction draws.
            run: 0,
        };
        self.stream.context.enter()?;
        // SAFETY: the works touch the operands of the contraction and the workspace alone, all of which is this value's
        // memory, which is dropped after the stream.
        unsafe { give(&self.stream, works, &addresses, 0) }
    }
}

//! What the host sends: copied into pinned memory, from where the device fetches it while the host goes on.
//!
//! A ring of slots; one is used again when the device has fetched from it, so the host runs ahead of the device by no more
//! copies than there are slots. Must never know what is sent.

use std::collections::VecDeque;
use std::sync::Arc;

use super::handles::{Context, Event, Stream};
use super::memory::{DeviceMemory, Pinned};
use crate::error::CudaError;
use crate::staging::{PART, SLOTS, slot_bytes};

/// Slots, made when they are first needed, the one that was used longest ago first.
pub(super) struct Staging {
    context: Arc<Context>,
    slots: VecDeque<Slot>,
}

struct Slot {
    memory: Pinned,
    /// Is reached when the device has fetched what the slot holds.
    fetched: Event,
}

impl Staging {
    /// No slot yet.
    pub fn new(context: &Arc<Context>) -> Staging {
        Staging { context: Arc::clone(context), slots: VecDeque::new() }
    }

    /// Sends bytes to an offset of the device's memory, in the order of the stream. They may change afterwards.
    pub fn send(&mut self, stream: &Stream, to: &DeviceMemory, offset: usize, bytes: &[u8]) -> Result<(), CudaError> {
        let mut offset = offset;
        for part in bytes.chunks(PART) {
            let mut slot = self.free_slot(part.len())?;
            slot.memory.fill(part);
            let sent = to.write(stream, offset, &slot.memory, part.len()).and_then(|()| slot.fetched.record(stream));
            self.slots.push_back(slot);
            sent?;
            offset += part.len();
        }
        Ok(())
    }

    /// A slot of at least that many bytes from which the device has fetched everything.
    fn free_slot(&mut self, bytes: usize) -> Result<Slot, CudaError> {
        let room = slot_bytes(bytes);
        let oldest = if self.slots.len() < SLOTS { None } else { self.slots.pop_front() };
        let Some(mut slot) = oldest else {
            return Ok(Slot { memory: Pinned::new(&self.context, room)?, fetched: Event::new(&self.context)? });
        };
        slot.fetched.wait()?;
        if slot.memory.bytes() < bytes {
            slot.memory = Pinned::new(&self.context, room)?;
        }
        Ok(slot)
    }
}

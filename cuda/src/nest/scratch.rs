//! Where the scratch of a nest lies: in memory of its thread, or, where that would be too much, in the workspace.
//!
//! Must never know text.

use std::collections::BTreeMap;

use snn_loops::{BufferId, Dtype};

use super::Slot;

/// Bytes of its own memory that a thread may have.
///
/// A driver sets memory aside for every thread that a device can hold at once, outside of all plans: on an H200, which holds
/// 132 x 2048, that is 264 MiB for these bytes. They are 256 states in single precision, as many as lowering runs anew for a
/// neuron rather than keep, so that only nests in double precision, or of more than one time loop, need more.
const LOCAL: usize = 1024;

/// What the scratch of a nest takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scratch {
    /// Bytes in memory of each thread.
    pub local_bytes: usize,
    /// Elements of each thread in the workspace.
    pub spilled: usize,
}

impl Scratch {
    /// Places all scratch: the first buffers, as long as they fit, in memory of the thread.
    pub fn place(slots: &mut BTreeMap<BufferId, Slot>, dtype: Dtype) -> Scratch {
        let mut scratch = Scratch { local_bytes: 0, spilled: 0 };
        for slot in slots.values_mut().filter(|slot| slot.argument.is_none()) {
            let len = slot.len.max(1);
            let bytes = len.saturating_mul(dtype.size());
            if scratch.local_bytes.saturating_add(bytes) <= LOCAL {
                scratch.local_bytes += bytes;
            } else {
                slot.spilled = Some(scratch.spilled);
                scratch.spilled = scratch.spilled.saturating_add(len);
            }
        }
        scratch
    }

    /// Bytes of workspace for so many threads, 256-aligned; what is more than can be is more than any device has.
    pub fn workspace(&self, threads: u64, dtype: Dtype) -> usize {
        let elements = self.spilled.saturating_mul(usize::try_from(threads).unwrap_or(usize::MAX));
        elements.saturating_mul(dtype.size()).checked_next_multiple_of(256).unwrap_or(usize::MAX & !255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::Storage;

    fn slots(lengths: &[usize]) -> BTreeMap<BufferId, Slot> {
        let slot =
            |len| Slot { argument: None, storage: Storage::Float, stored: true, may_alias: false, len, spilled: None };
        lengths.iter().enumerate().map(|(at, len)| (BufferId(at as u32), slot(*len))).collect()
    }

    fn placed(lengths: &[usize], dtype: Dtype) -> (Scratch, Vec<Option<usize>>) {
        let mut slots = slots(lengths);
        let scratch = Scratch::place(&mut slots, dtype);
        (scratch, slots.values().map(|slot| slot.spilled).collect())
    }

    #[test]
    fn what_fits_stays_with_its_thread() {
        let (scratch, spilled) = placed(&[200, 100, 56, 0], Dtype::F32);
        assert_eq!(spilled, [None, Some(0), None, Some(100)]);
        assert_eq!(scratch, Scratch { local_bytes: 1024, spilled: 101 });
        assert_eq!(scratch.workspace(7, Dtype::F32), (101_usize * 7 * 4).next_multiple_of(256));
        let (scratch, spilled) = placed(&[128, 1], Dtype::F64);
        assert_eq!((scratch.local_bytes, spilled), (1024, vec![None, Some(0)]));
        let (scratch, _) = placed(&[256], Dtype::F32);
        assert_eq!((scratch.local_bytes, scratch.workspace(1 << 40, Dtype::F32)), (1024, 0));
    }

    #[test]
    fn too_much_is_more_than_there_is() {
        let (scratch, _) = placed(&[usize::MAX / 2, usize::MAX], Dtype::F64);
        assert!(scratch.workspace(1 << 40, Dtype::F64) > 1 << 60);
    }
}

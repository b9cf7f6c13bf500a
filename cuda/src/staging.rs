//! How large the ring of pinned memory is through which the host sends.
//!
//! Must never know a driver.

/// Slots of the ring.
pub(crate) const SLOTS: usize = 8;
/// The most bytes of a slot; more go in parts.
pub(crate) const PART: usize = 4 << 20;
/// The least, so that small ones need not grow.
const LEAST: usize = 4 << 10;

/// Bytes of a slot that a part of so many bytes goes through.
pub(crate) fn slot_bytes(part: usize) -> usize {
    part.min(PART).next_power_of_two().max(LEAST)
}

/// The most bytes of a ring through which nothing larger goes.
pub(crate) fn most_bytes(largest: usize) -> usize {
    SLOTS * slot_bytes(largest)
}

//! Events as vectors `t`, `x`, `y`, `p` in an .npz archive, as SpikingJelly keeps them.
//!
//! `t` and `x` must be there, `y` and `p` may be. Must never know how arrays are encoded.

use std::path::Path;

use super::columns::{NAMES, REQUIRED, event};
use super::{Clock, Recorded};
use crate::data::bytes::Fingerprint;
use crate::data::npz::Archive;
use crate::error::{Result, RuntimeError};

pub(super) fn read(path: &Path, clock: &Clock) -> Result<(Vec<Recorded>, [u8; 32])> {
    let fail = |problem: String| RuntimeError::new(format!("`{}` {problem}", path.display()));
    let mut archive = Archive::open(path)?;
    let present = archive.names();
    let mut fingerprint = Fingerprint::new();
    let mut columns: [Option<Vec<f64>>; 4] = [const { None }; 4];
    for (at, (column, name)) in columns.iter_mut().zip(NAMES).enumerate() {
        if at < REQUIRED || present.iter().any(|present| present == name) {
            let (stored, hash) = archive.read(name)?;
            fingerprint.add(name, hash);
            *column = Some(stored.into_numbers()?);
        }
    }
    let lengths: Vec<usize> = columns.iter().flatten().map(Vec::len).collect();
    let n_events = lengths.first().copied().unwrap_or_default();
    if lengths.iter().any(|length| *length != n_events) {
        return Err(fail(format!("has arrays of {lengths:?} numbers; each has one number an event")));
    }
    let events = (0..n_events).map(|at| {
        let number = |column: &Option<Vec<f64>>| column.as_ref().and_then(|numbers| numbers.get(at)).copied();
        let numbers = columns.each_ref().map(|column| number(column).unwrap_or_default());
        event(numbers, clock).map_err(|problem| fail(format!("has an event, number {at}, that {problem}")))
    });
    Ok((events.collect::<Result<_>>()?, fingerprint.digest()))
}

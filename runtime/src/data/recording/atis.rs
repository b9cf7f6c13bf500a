//! The format of N-MNIST and N-Caltech101 (Orchard et al. 2015): five bytes an event, without a header.
//!
//! Bytes 0 and 1 are x and y, the top bit of byte 2 says whether it became brighter, the 23 bits behind it are
//! microseconds, the highest first. Must never know what else is in a data set.

use std::path::Path;

use super::{Clock, Recorded, content};
use crate::error::{Result, RuntimeError};

/// Bytes of an event.
const EVENT: usize = 5;

/// The y of what is no event but says that the clock went round.
const OVERFLOW: u8 = 240;

/// How far the clock then jumps, in microseconds.
const ROUND: i64 = 1 << 13;

pub(super) fn read(path: &Path, _clock: &Clock) -> Result<(Vec<Recorded>, [u8; 32])> {
    let (bytes, hash) = content(path)?;
    let (events, rest) = bytes.as_chunks::<EVENT>();
    if !rest.is_empty() {
        return Err(RuntimeError::new(format!(
            "`{}` is truncated or no file of events: it has {} bytes, an event has {EVENT}",
            path.display(),
            bytes.len()
        ))
        .with_help("get the file again"));
    }
    let mut late = 0;
    let event = |&[x, y, high, middle, low]: &[u8; EVENT]| {
        if y == OVERFLOW {
            late += ROUND;
            return None;
        }
        let time = i64::from(u32::from_be_bytes([0, high & 0x7f, middle, low]));
        Some(Recorded { time: time + late, x: u32::from(x), y: u32::from(y), on: high & 0x80 != 0 })
    };
    Ok((events.iter().filter_map(event).collect(), hash))
}

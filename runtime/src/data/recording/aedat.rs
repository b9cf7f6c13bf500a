//! AEDAT, the format of jAER: version 2.0 of the DVS128, as in CIFAR10-DVS, and 3.1, as in DVS-Gesture.
//!
//! Both begin with lines of text. Version 2.0 goes on with addresses and times of 4 bytes, the highest first; 3.1 with
//! packets, the lowest first, of which those of polarity events are read. Must never know what is recorded.

use std::path::Path;

use super::{Clock, Recorded, content};
use crate::error::{Result, RuntimeError};

/// The header of a packet: type, source, size of an event, offset of its time, overflow, capacity, number, valid ones.
const PACKET: usize = 28;

/// The type of packets of polarity events.
const POLARITY: u16 = 1;

/// The side of the sensor that version 2.0 is read of.
const SIDE: u32 = 128;

pub(super) fn read(path: &Path, _clock: &Clock) -> Result<(Vec<Recorded>, [u8; 32])> {
    let (bytes, hash) = content(path)?;
    let fail = |problem: &str| {
        RuntimeError::new(format!("`{}` {problem}", path.display()))
            .with_help("get the file again, or export it as .csv")
    };
    let events = if bytes.starts_with(b"#!AER-DAT2.0") {
        version_2(behind_lines(&bytes, |line| !line.starts_with(b"#")))
    } else if bytes.starts_with(b"#!AER-DAT3.1") {
        let mut ended = false;
        version_3(behind_lines(&bytes, |line| std::mem::replace(&mut ended, line.starts_with(b"#!END-HEADER"))))
    } else {
        return Err(fail("is no AEDAT file of version 2.0 or 3.1: it begins otherwise"));
    };
    Ok((events.ok_or_else(|| fail("ends within an event"))?, hash))
}

/// What lies behind the lines before the first one for which `ends` is true.
fn behind_lines(bytes: &[u8], mut ends: impl FnMut(&[u8]) -> bool) -> &[u8] {
    let mut rest = bytes;
    while !rest.is_empty() && !ends(rest) {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        rest = rest.get(end..).unwrap_or_default();
    }
    rest
}

/// The polarity is bit 0 of an address, x and y are the 7 bits after and after that. Pixels are turned as SpikingJelly
/// has them, so that pictures stand upright.
fn version_2(bytes: &[u8]) -> Option<Vec<Recorded>> {
    let (events, rest) = bytes.as_chunks::<8>();
    let event = |event: &[u8; 8]| {
        let [a, b, c, d, time @ ..] = *event;
        let address = u32::from_be_bytes([a, b, c, d]);
        let (x, y) = ((address >> 1) % SIDE, (address >> 8) % SIDE);
        let time = i64::from(u32::from_be_bytes(time));
        Recorded { time, x: SIDE - 1 - y, y: SIDE - 1 - x, on: address & 1 == 0 }
    };
    rest.is_empty().then(|| events.iter().map(event).collect())
}

fn version_3(mut rest: &[u8]) -> Option<Vec<Recorded>> {
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (header, behind) = rest.split_first_chunk::<PACKET>()?;
        let word = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
        let kind = u16::from_le_bytes(*header.first_chunk()?);
        let (size, overflow, capacity, number) = (word(4)? as usize, word(12)?, word(16)? as usize, word(20)? as usize);
        let body = behind.get(..size.checked_mul(capacity)?)?;
        rest = behind.get(body.len()..)?;
        if kind == POLARITY {
            events.extend(body.chunks_exact(size.max(1)).take(number).filter_map(|event| polarity(event, overflow)));
        }
    }
    Some(events)
}

/// The lowest bit of the data says whether an event is valid.
fn polarity(event: &[u8], overflow: u32) -> Option<Recorded> {
    let (data, rest) = event.split_first_chunk::<4>()?;
    let data = u32::from_le_bytes(*data);
    let time = i64::from(u32::from_le_bytes(*rest.first_chunk::<4>()?)) | i64::from(overflow) << 31;
    (data & 1 == 1).then_some(Recorded { time, x: data >> 17, y: data >> 2 & 0x7fff, on: data & 2 != 0 })
}

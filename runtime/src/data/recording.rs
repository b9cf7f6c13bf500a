//! One recording of one sample: a file of events in any format, told by the end of its name.
//!
//! A new format is one file beside this one and one line in [`FORMATS`]. Must never know classes, splits or models.

mod aedat;
mod atis;
mod columns;
mod csv;
mod npz;

use std::path::Path;

use super::bytes::Input;
use super::events::Event;
use crate::error::{Result, RuntimeError};

/// An event as cameras and cochleas report it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded {
    /// Microseconds on the clock of the recording.
    pub time: i64,
    pub x: u32,
    pub y: u32,
    /// Whether it became brighter.
    pub on: bool,
}

/// How a file of one kind is read: its events, in any order, and the hash of its content.
type Read = fn(&Path, &Clock) -> Result<(Vec<Recorded>, [u8; 32])>;

/// What the names of files end with, and who reads them.
static FORMATS: &[(&str, Read)] =
    &[("bin", atis::read), ("bs2", atis::read), ("aedat", aedat::read), ("csv", csv::read), ("npz", npz::read)];

/// What the times of files mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Clock {
    /// Microseconds of a unit, in formats that do not say.
    pub unit: f64,
    /// Whether a sample begins with its first event, and not with time 0 of its file.
    pub align: bool,
}

/// What can send events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sensor {
    /// So many units in a row, `[units]`: their number is x.
    Row(u32),
    /// Pixels, `[2, height, width]`: first those that became darker, then brighter.
    Pixels { height: u32, width: u32 },
}

impl Sensor {
    /// The shape of a field.
    pub fn shape(self) -> Vec<usize> {
        match self {
            Sensor::Row(units) => vec![units as usize],
            Sensor::Pixels { height, width } => vec![2, height as usize, width as usize],
        }
    }

    /// Where an event stands in that shape; `None` if it has no place.
    fn address(self, event: &Recorded) -> Option<u32> {
        match self {
            Sensor::Row(units) => (event.x < units && event.y == 0).then_some(event.x),
            Sensor::Pixels { height, width } => {
                let place = u32::from(event.on).checked_mul(height)?.checked_add(event.y)?;
                let inside = event.x < width && event.y < height;
                place.checked_mul(width)?.checked_add(event.x).filter(|_| inside)
            }
        }
    }
}

/// The events of a file as places of a sensor, and the hash of its content.
///
/// # Errors
/// If the format is unknown, the file damaged, or an event outside of the sensor or of time.
pub(super) fn read(path: &Path, clock: &Clock, sensor: Sensor) -> Result<(Vec<Event>, [u8; 32])> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let (_, read) = FORMATS.iter().find(|(known, _)| *known == ending).ok_or_else(|| {
        let known: Vec<String> = FORMATS.iter().map(|(known, _)| format!(".{known}")).collect();
        RuntimeError::new(format!("`{}` is no file of events that can be read", path.display()))
            .with_help(format!("names of such files end with {}", known.join(", ")))
    })?;
    let (events, hash) = read(path, clock)?;
    let start = if clock.align { events.iter().map(|event| event.time).min().unwrap_or_default() } else { 0 };
    Ok((placed(path, &events, start, sensor)?, hash))
}

/// Events from `start` on as places of a sensor.
pub(super) fn placed(path: &Path, events: &[Recorded], start: i64, sensor: Sensor) -> Result<Vec<Event>> {
    let fail = |at: usize, problem: String, help: String| {
        RuntimeError::new(format!("`{}`: event {at} {problem}", path.display())).with_help(help)
    };
    let place = |(at, event): (usize, &Recorded)| {
        let time = event.time.checked_sub(start).and_then(|time| u32::try_from(time).ok()).ok_or_else(|| {
            fail(
                at,
                format!("is at {} us, not within 71 minutes of the start", event.time),
                "write `align = true` where times count from another day, or give the `unit` of its times".to_owned(),
            )
        })?;
        let address = sensor.address(event).ok_or_else(|| {
            fail(
                at,
                format!("comes from x = {}, y = {}", event.x, event.y),
                format!("the samples have shape {:?}, which says how many there are", sensor.shape()),
            )
        })?;
        Ok((time, address))
    };
    events.iter().enumerate().map(place).collect()
}

/// The whole content of a file, and its hash.
fn content(path: &Path) -> Result<(Vec<u8>, [u8; 32])> {
    let mut input = Input::open(path)?;
    let Some(length) = input.known_length() else {
        return Err(input.error("is compressed").with_help("unpack it first"));
    };
    Ok((input.read(length)?, input.finish()?))
}

#[cfg(test)]
mod tests;

//! Recordings in folders: `train/CLASS/FILE` and `test/CLASS/FILE`, one file a sample.
//!
//! Must never know the format of a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::bytes::Fingerprint;
use super::events::Events;
use super::locate::Request;
use super::recording::{self, Clock, Sensor};
use super::{Dataset, Field, Source, Split, Values};
use crate::error::{Result, RuntimeError};

/// `events("folder", width = 34, height = 34, unit = 1us, align = false)`: any recordings. Classes are the names of the
/// folders in order, by number where all are numbers.
pub(super) const EVENTS: Source = Source {
    name: "events",
    takes_path: true,
    settings: &["width", "height", "unit", "align"],
    open: |request| {
        let root = folder(request)?;
        open(request, &root, sensor(request)?, &clock(request)?, None)
    },
};

/// `nmnist("folder")`: N-MNIST as it unpacks, `events: spikes[2, 34, 34]`, 10 classes.
pub(super) const NMNIST: Source = Source {
    name: "nmnist",
    takes_path: true,
    settings: &[],
    open: |request| {
        let clock = Clock { unit: 1.0, align: false };
        open(request, &folder(request)?, Sensor::Pixels { height: 34, width: 34 }, &clock, Some(10))
    },
};

fn open(
    request: &Request<'_>,
    root: &Path,
    sensor: Sensor,
    clock: &Clock,
    n_classes: Option<usize>,
) -> Result<Dataset> {
    let parts = [part(request, root, ["train", "Train"])?, part(request, root, ["test", "Test"])?];
    let classes = classes(&parts)?;
    if let Some(wanted) = n_classes.filter(|wanted| *wanted != classes.len()) {
        let (name, found) = (request.source, classes.len());
        return Err(RuntimeError::new(format!(
            "`{name}` has {wanted} classes, but there are folders for {found} classes"
        ))
        .with_help("for recordings of other things there is `events(\"folder\", width = .., height = ..)`"));
    }
    let mut fingerprint = Fingerprint::new();
    let mut read = |role: &str, part: &Path| -> Result<Split> {
        let mut events = Events::default();
        let mut labels = Vec::new();
        for (label, file) in samples(part, &classes)? {
            let (sample, hash) = recording::read(&file, clock, sensor)?;
            events.push(sample);
            labels.push(label);
            fingerprint.add(&format!("{role}/{label}/{}", name(&file)), hash);
        }
        let field = Field { name: "events".to_owned(), shape: sensor.shape(), values: Values::Events(events) };
        Ok(Split { inputs: vec![field], labels })
    };
    let [train, test] = &parts;
    let (train, test) = (read("train", train)?, read("test", test)?);
    let (name, n_classes) = (request.source.to_owned(), classes.len());
    Ok(Dataset { name, train, test, n_classes, fingerprint: fingerprint.finish() })
}

fn folder(request: &Request<'_>) -> Result<PathBuf> {
    let places = request.places(request.path()?);
    places.iter().find(|place| place.is_dir()).cloned().ok_or_else(|| {
        let tried: Vec<String> = places.iter().map(|place| format!("`{}`", place.display())).collect();
        RuntimeError::new(format!("`{}`: there is no folder {}", request.source, tried.join(" or "))).with_help(
            "put the recordings there as train/CLASS/FILE and test/CLASS/FILE, or say where they are with `--data DIR`",
        )
    })
}

fn part(request: &Request<'_>, root: &Path, names: [&str; 2]) -> Result<PathBuf> {
    names.map(|name| root.join(name)).into_iter().find(|folder| folder.is_dir()).ok_or_else(|| {
        let problem = format!("`{}`: the folder `{}` lacks the folder `{}`", request.source, root.display(), names[0]);
        RuntimeError::new(problem)
            .with_help("it holds a folder for each class, and those hold the recordings, one file a sample")
    })
}

/// The names of the folders of both parts, in order.
fn classes(parts: &[PathBuf]) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for part in parts {
        names.extend(entries(part)?.iter().filter(|path| path.is_dir()).map(|path| name(path)));
    }
    Ok(in_order(names))
}

/// The files of a part with the numbers of their classes.
fn samples(part: &Path, classes: &[String]) -> Result<Vec<(u32, PathBuf)>> {
    let mut samples = Vec::new();
    for (label, class) in (0..).zip(classes) {
        let folder = part.join(class);
        if folder.is_dir() {
            samples.extend(entries(&folder)?.into_iter().map(|file| (label, file)));
        }
    }
    Ok(samples)
}

/// What is in a folder, by name; hidden files are left out.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error| RuntimeError::io("read", folder, &error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if !name(&path).starts_with('.') {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Classes as people count them: 2 before 10.
fn in_order(names: BTreeSet<String>) -> Vec<String> {
    let mut classes: Vec<String> = names.into_iter().collect();
    let number = |name: &String| name.parse::<u64>().ok();
    if classes.iter().all(|name| number(name).is_some()) {
        classes.sort_by_key(number);
    }
    classes
}

fn sensor(request: &Request<'_>) -> Result<Sensor> {
    let width = extent(request, "width", 1)?;
    Ok(match extent(request, "height", 0)? {
        0 => Sensor::Row(width),
        height => Sensor::Pixels { height, width },
    })
}

/// The largest side of a sensor.
const MAX_SIDE: u32 = 1 << 14;

fn extent(request: &Request<'_>, name: &str, least: u32) -> Result<u32> {
    let text = if least > 0 { request.required_setting(name)? } else { request.setting(name).unwrap_or("0") };
    text.parse().ok().filter(|extent| (least..=MAX_SIDE).contains(extent)).ok_or_else(|| {
        let source = request.source;
        RuntimeError::new(format!("`{source}`: {name} is `{text}`, not a whole number from {least} to {MAX_SIDE}"))
    })
}

fn clock(request: &Request<'_>) -> Result<Clock> {
    let text = request.setting("unit").unwrap_or("0.001ms");
    let milliseconds = text.strip_suffix("ms").and_then(|number| number.parse::<f64>().ok());
    // Microseconds, to the nanosecond: what a duration has lost to rounding comes back.
    let unit = milliseconds.map(|ms| (ms * 1e6).round() / 1e3);
    let unit = unit.filter(|unit| unit.is_finite() && *unit > 0.0).ok_or_else(|| {
        RuntimeError::new(format!("`{}`: unit is `{text}`, not a length of time", request.source))
            .with_help("write `unit = 1us`, or what the times of the files count")
    })?;
    Ok(Clock { unit, align: request.setting("align") == Some("true") })
}

#[cfg(test)]
mod tests;

//! Events as text: a first line that names the columns, then a line an event, numbers apart by commas.
//!
//! `t` and `x` must be there, `y` and `p` may be, other columns are passed over. Must never know units.

use std::path::Path;

use super::columns::{NAMES, REQUIRED, event};
use super::{Clock, Recorded, content};
use crate::error::{Result, RuntimeError};

pub(super) fn read(path: &Path, clock: &Clock) -> Result<(Vec<Recorded>, [u8; 32])> {
    let (bytes, hash) = content(path)?;
    let fail = |line: usize, problem: &str| {
        RuntimeError::new(format!("`{}`, line {line}: {problem}", path.display()))
            .with_help("the first line names the columns, as in `t,x,y,p`; each line after it is one event")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| fail(1, "this is not text"))?;
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, heading) = lines.next().ok_or_else(|| fail(1, "there are no columns"))?;
    let heading: Vec<&str> = heading.split(',').map(str::trim).collect();
    let columns = NAMES.map(|name| heading.iter().position(|column| *column == name));
    if let Some((name, _)) = NAMES.iter().zip(columns).take(REQUIRED).find(|(_, column)| column.is_none()) {
        return Err(fail(1, &format!("there is no column `{name}`")));
    }
    let events = lines.map(|(at, line)| {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let mut numbers = [0.0; 4];
        for (number, column) in numbers.iter_mut().zip(columns) {
            let Some(column) = column else { continue };
            let cell = cells.get(column).copied().unwrap_or_default();
            *number = cell.parse().map_err(|_| fail(at + 1, &format!("`{cell}` is not a number")))?;
        }
        event(numbers, clock).map_err(|problem| fail(at + 1, &format!("the event {problem}")))
    });
    Ok((events.collect::<Result<_>>()?, hash))
}

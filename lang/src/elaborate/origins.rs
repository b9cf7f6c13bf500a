//! Where nodes come from: places in the text, and through which uses elaboration came to them.
//!
//! A node made inside a library layer is shown to the user as the stage in the pipe that stands for it: the climb from a
//! place to the use of the declaration around it is what [`Origins::seen_from`] does.
//! Must never know what is said about a place.

use std::collections::{BTreeMap, BTreeSet};

use snn_graph::Origin;

use crate::source::Span;

/// A place, the use of a declaration that it belongs to, and where that use comes from.
#[derive(Clone, Copy, Debug)]
struct Entry {
    span: Span,
    frame: u32,
    parent: Origin,
}

/// The table behind [`Origin`].
#[derive(Debug, Default)]
pub(super) struct Origins {
    entries: Vec<Entry>,
    known: BTreeMap<(Span, u32), Origin>,
}

impl Origins {
    /// The origin for a place inside a use.
    pub(super) fn intern(&mut self, span: Span, frame: u32, parent: Origin) -> Origin {
        if let Some(known) = self.known.get(&(span, frame)) {
            return *known;
        }
        self.entries.push(Entry { span, frame, parent });
        // 0 is "nowhere".
        let origin = Origin(u32::try_from(self.entries.len()).unwrap_or(0));
        self.known.insert((span, frame), origin);
        origin
    }

    fn entry(&self, origin: Origin) -> Option<&Entry> {
        self.entries.get((origin.0 as usize).checked_sub(1)?)
    }

    /// The place of an origin as it is seen from the given uses: its own, or that of the use that it is inside of.
    pub(super) fn seen_from(&self, origin: Origin, frames: &BTreeSet<u32>) -> Option<Span> {
        let mut entry = self.entry(origin)?;
        while !frames.contains(&entry.frame) {
            entry = self.entry(entry.parent)?;
        }
        Some(entry.span)
    }

    /// The places of all origins, by number less one, each as the user sees it: not inside the library, but where the
    /// library is used.
    pub(super) fn places(&self, is_library: impl Fn(Span) -> bool) -> Vec<Span> {
        let place = |entry: &Entry| {
            let mut seen = *entry;
            while is_library(seen.span)
                && let Some(outer) = self.entry(seen.parent)
            {
                seen = *outer;
            }
            seen.span
        };
        self.entries.iter().map(place).collect()
    }
}

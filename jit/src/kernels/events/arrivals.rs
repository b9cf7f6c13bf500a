//! The arrivals of a sample, sorted once: for each cell the list of those that reach it, with the way from one to the next.

use std::cmp::Ordering;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::Real;
use super::flow::Step;
use super::lanes::Layer;

/// A spike that arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub time: f64,
    pub group: u32,
    pub sender: u32,
    pub slot: u32,
}

impl Event {
    /// Arrivals at the same time act in the order of groups, senders and slots.
    pub fn order(&self, other: &Event) -> Ordering {
        let key = |event: &Event| (event.group, event.sender, event.slot);
        self.time.total_cmp(&other.time).then_with(|| key(self).cmp(&key(other)))
    }
}

/// An event at a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub time: f64,
    /// Which of the sample's events.
    pub event: u32,
    /// The row of weights that it travels through.
    pub row: u32,
    /// The port that it arrives at.
    pub port: u32,
}

/// The arrivals of a sample.
pub(super) struct Arrivals<const D: usize> {
    /// In their order.
    pub events: Vec<Event>,
    entries: Vec<Entry>,
    /// The flow up to each entry, from the one before it in its cell or from the beginning.
    steps: Vec<Step<D>>,
    /// First entry of each cell, and the end.
    starts: Vec<usize>,
}

impl<const D: usize> Arrivals<D> {
    /// Sorts what the trains bring and finds the way from one arrival to the next.
    pub fn of<T: Real>(layer: &Layer<'_, D>, trains: &[Option<&[T]>], batch: usize, sample: usize) -> Arrivals<D> {
        let events = events(layer, trains, batch, sample);
        let mut arrivals = Arrivals { events, entries: Vec::new(), steps: Vec::new(), starts: Vec::new() };
        arrivals.scatter(layer);
        arrivals.connect(layer);
        arrivals
    }

    /// Makes the lists of the cells, each in the order of events.
    fn scatter(&mut self, layer: &Layer<'_, D>) {
        let cells = layer.pixels * layer.groups;
        if cells == 1 {
            // All neurons hear the same: there is nothing to be counted first.
            let mut entries = Vec::with_capacity(self.events.len());
            self.each_entry(layer, &mut |_, entry| entries.push(entry));
            (self.starts, self.entries) = (vec![0, entries.len()], entries);
            return;
        }
        let mut ends = vec![0usize; cells + 1];
        self.each_entry(layer, &mut |cell, _| ends[cell + 1] += 1);
        for cell in 0..cells {
            ends[cell + 1] += ends[cell];
        }
        self.starts = ends.clone();
        let nothing = Entry { time: 0.0, event: 0, row: 0, port: 0 };
        let mut entries = vec![nothing; ends[cells]];
        self.each_entry(layer, &mut |cell, entry| {
            entries[ends[cell]] = entry;
            ends[cell] += 1;
        });
        self.entries = entries;
    }

    fn each_entry(&self, layer: &Layer<'_, D>, visit: &mut dyn FnMut(usize, Entry)) {
        for (at, event) in self.events.iter().enumerate() {
            let (group, sender) = (event.group as usize, event.sender as usize);
            let synapses = &layer.events.synapses[group];
            let reached = layer.reached(synapses, sender);
            synapses.each_target(sender, &mut |pixel, tap| {
                let row = (layer.rows[group] + tap) as u32;
                let entry = Entry { time: event.time, event: at as u32, row, port: synapses.port as u32 };
                reached.clone().for_each(|part| visit(pixel * layer.groups + part, entry));
            });
        }
    }

    /// Finds the flow between the entries of a cell, once for all of its neurons.
    fn connect(&mut self, layer: &Layer<'_, D>) {
        self.steps = vec![Step { matrix: [[0.0; D]; D], offset: [0.0; D] }; self.entries.len()];
        let (mut entries, mut steps) = (self.entries.as_slice(), self.steps.as_mut_slice());
        let mut cells = Vec::with_capacity(self.starts.len());
        for cell in self.starts.windows(2) {
            let &[start, end] = cell else { continue };
            let (own, rest) = entries.split_at(end - start);
            let (own_steps, rest_steps) = std::mem::take(&mut steps).split_at_mut(end - start);
            cells.push((own, own_steps));
            (entries, steps) = (rest, rest_steps);
        }
        cells.into_par_iter().for_each(|(entries, steps)| {
            let mut now = 0.0f64;
            for (entry, step) in entries.iter().zip(steps) {
                let then = now.max(entry.time);
                *step = layer.flow.step(then - now);
                now = then;
            }
        });
    }

    /// What reaches a cell, in order, and the flow up to each.
    pub fn of_cell(&self, cell: usize) -> (&[Entry], &[Step<D>]) {
        let range = match (self.starts.get(cell), self.starts.get(cell + 1)) {
            (Some(start), Some(end)) => *start..*end,
            _ => 0..0,
        };
        (self.entries.get(range.clone()).unwrap_or_default(), self.steps.get(range).unwrap_or_default())
    }
}

/// What the trains bring in a sample, in its order.
pub(super) fn events<T: Real, const D: usize>(
    layer: &Layer<'_, D>,
    trains: &[Option<&[T]>],
    batch: usize,
    sample: usize,
) -> Vec<Event> {
    let mut events = Vec::new();
    for (group, (synapses, train)) in layer.events.synapses.iter().zip(trains).enumerate() {
        let senders = synapses.senders();
        let slots = train.unwrap_or_default().chunks_exact(senders.max(1)).skip(sample).step_by(batch.max(1));
        for (slot, times) in slots.enumerate() {
            // Most slots are empty, which many lanes see at once.
            if !times.iter().fold(false, |any, time| any | layer.events.hears((*time).into())) {
                continue;
            }
            for (sender, time) in times.iter().enumerate() {
                let time: f64 = (*time).into();
                if layer.events.hears(time) {
                    let (group, sender, slot) = (group as u32, sender as u32, slot as u32);
                    events.push(Event { time, group, sender, slot });
                }
            }
        }
    }
    events.sort_unstable_by(Event::order);
    events
}

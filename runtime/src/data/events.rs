//! Recordings of event cameras and silicon cochleas: lists of who spiked when, and the two ways in which models see them.
//!
//! A model with a grid of steps sees bins of 0 and 1, one without it sees trains of times. Must never know the files that
//! events come from.

/// Microseconds of a second.
const MICROSECONDS: f64 = 1e6;

/// How far from a whole number of microseconds a bin may be for its length to count as whole, relative to it: what a
/// length in seconds may have lost to rounding.
const ROUNDING: f64 = 1e-9;

/// The events of all samples of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// When, in microseconds from the start of the sample; ascending within a sample.
    times: Vec<u32>,
    /// Who: its place in the shape of the field, row-major.
    addresses: Vec<u32>,
    /// Behind the last event of each sample.
    ends: Vec<usize>,
}

/// One event of a sample: when, in microseconds from its start, and who, as a place in the shape of the field.
pub type Event = (u32, u32);

/// How a model sees events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timing {
    /// Not at all: its steps have no length.
    Untimed,
    /// As steps with 1 where there was at least one event, 0 elsewhere.
    Bins {
        /// Number of steps.
        steps: usize,
        /// Microseconds of a step.
        length: f64,
    },
    /// As the times of each address in seconds, ascending, infinite where there are no more.
    Trains {
        /// The most times of an address.
        slots: usize,
        /// Seconds of a sample; later events are left out.
        duration: f64,
    },
}

/// What a model does not see of the events of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Events in all.
    pub events: u64,
    /// Those behind the end of the sample.
    pub late: u64,
    /// Those that share a bin with an earlier one of their address, or are beyond the slots of its train.
    pub crowded: u64,
}

impl Timing {
    /// Bins of `dt` seconds.
    pub fn bins(steps: usize, dt: f64) -> Timing {
        let length = dt * MICROSECONDS;
        let whole = length.round();
        let is_whole = (length - whole).abs() <= ROUNDING * whole;
        Timing::Bins { steps, length: if is_whole { whole } else { length } }
    }

    /// Steps or slots of a sample.
    pub fn steps(&self) -> usize {
        match *self {
            Timing::Untimed => 0,
            Timing::Bins { steps, .. } => steps,
            Timing::Trains { slots, .. } => slots,
        }
    }

    /// What stands where there is no event.
    pub fn nothing(&self) -> f32 {
        match self {
            Timing::Untimed | Timing::Bins { .. } => 0.0,
            Timing::Trains { .. } => f32::INFINITY,
        }
    }
}

impl Events {
    /// Adds a sample, its events in any order.
    pub fn push(&mut self, mut sample: Vec<Event>) {
        sample.sort_unstable();
        self.times.extend(sample.iter().map(|event| event.0));
        self.addresses.extend(sample.iter().map(|event| event.1));
        self.ends.push(self.times.len());
    }

    /// How many samples there are.
    pub fn n_samples(&self) -> usize {
        self.ends.len()
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The events of a sample, none if there is no such sample.
    pub fn sample(&self, index: usize) -> impl Iterator<Item = Event> + '_ {
        let end = self.ends.get(index).copied().unwrap_or_default();
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let times = self.times.get(start..end).unwrap_or_default();
        let addresses = self.addresses.get(start..end).unwrap_or_default();
        times.iter().copied().zip(addresses.iter().copied())
    }

    /// Writes a sample as `[step][address]`; `false` if there is no such sample or `out` has another length.
    #[must_use]
    pub fn write(&self, index: usize, addresses: usize, timing: &Timing, out: &mut [f32]) -> bool {
        if index >= self.n_samples() || Some(out.len()) != addresses.checked_mul(timing.steps()) {
            return false;
        }
        out.fill(timing.nothing());
        self.place(index, timing, &mut vec![0; addresses], |step, address, value| {
            if let Some(place) = out.get_mut(step * addresses + address) {
                *place = value;
            }
        });
        true
    }

    /// What is lost of all samples together.
    pub fn lost(&self, addresses: usize, timing: &Timing) -> Lost {
        let mut sum = Lost::default();
        let mut taken = vec![0; addresses];
        for index in 0..self.n_samples() {
            taken.fill(0);
            let lost = self.place(index, timing, &mut taken, |_, _, _| {});
            sum.events += lost.events;
            sum.late += lost.late;
            sum.crowded += lost.crowded;
        }
        sum
    }

    /// Gives each event of a sample its place, (step or slot, address), and value. `taken` has a 0 for each address: it
    /// becomes the steps up to the last one that is taken.
    fn place(&self, index: usize, timing: &Timing, taken: &mut [usize], mut at: impl FnMut(usize, usize, f32)) -> Lost {
        let mut lost = Lost::default();
        for (time, address) in self.sample(index) {
            lost.events += 1;
            let address = address as usize;
            let Some(taken) = taken.get_mut(address) else { continue };
            match *timing {
                Timing::Untimed => {}
                Timing::Bins { steps, length } => {
                    let bin = (f64::from(time) / length) as usize;
                    if bin >= steps {
                        lost.late += 1;
                    } else if bin < *taken {
                        lost.crowded += 1;
                    } else {
                        *taken = bin + 1;
                        at(bin, address, 1.0);
                    }
                }
                Timing::Trains { slots, duration } => {
                    let seconds = (f64::from(time) / MICROSECONDS) as f32;
                    if f64::from(seconds) > duration {
                        lost.late += 1;
                    } else if *taken == slots {
                        lost.crowded += 1;
                    } else {
                        at(*taken, address, seconds);
                        *taken += 1;
                    }
                }
            }
        }
        lost
    }
}

impl Lost {
    /// Whether there is anything to say.
    pub fn is_some(&self) -> bool {
        self.late + self.crowded > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two samples on two addresses.
    fn events() -> Events {
        let mut events = Events::default();
        events.push(vec![(25_000, 1), (9_999, 0), (10_000, 0), (12_000, 0), (30_000, 1)]);
        events.push(vec![(40_000, 0), (0, 1)]);
        events
    }

    fn written(index: usize, timing: &Timing) -> Vec<f32> {
        let mut out = vec![9.0; 2 * timing.steps()];
        assert!(events().write(index, 2, timing, &mut out));
        out
    }

    #[test]
    fn samples_are_sorted_lists_of_their_own() {
        let events = events();
        assert_eq!((events.n_samples(), events.len()), (2, 7));
        let first: Vec<Event> = events.sample(0).collect();
        assert_eq!(first, [(9_999, 0), (10_000, 0), (12_000, 0), (25_000, 1), (30_000, 1)]);
        assert_eq!(events.sample(1).collect::<Vec<_>>(), [(0, 1), (40_000, 0)]);
        assert_eq!(events.sample(2).count(), 0);
    }

    #[test]
    fn bins_hold_one_spike_and_count_what_they_lose() {
        let timing = Timing::bins(4, 0.01);
        assert_eq!(timing, Timing::Bins { steps: 4, length: 10_000.0 });
        assert_eq!(written(0, &timing), [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!(written(1, &timing), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(events().lost(2, &timing), Lost { events: 7, late: 1, crowded: 1 });
        assert_eq!(Timing::bins(3, 1e-3 / 3.0), Timing::Bins { steps: 3, length: 1e3 / 3.0 });
    }

    #[test]
    fn trains_ascend_and_count_what_they_lose() {
        let timing = Timing::Trains { slots: 2, duration: 0.03 };
        let never = f32::INFINITY;
        assert_eq!(written(0, &timing), [0.009999, 0.025, 0.01, 0.03]);
        assert_eq!(written(1, &timing), [never, 0.0, never, never]);
        assert_eq!(events().lost(2, &timing), Lost { events: 7, late: 1, crowded: 1 });
        let wide = Timing::Trains { slots: 3, duration: 0.04 };
        assert_eq!(events().lost(2, &wide), Lost { events: 7, late: 0, crowded: 0 });
        assert!(!events().lost(2, &wide).is_some());
    }

    #[test]
    fn what_does_not_exist_is_not_written() {
        let timing = Timing::bins(4, 0.01);
        assert!(!events().write(2, 2, &timing, &mut [0.0; 8]));
        assert!(!events().write(0, 2, &timing, &mut [0.0; 7]));
    }
}

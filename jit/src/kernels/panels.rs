//! How output channels are cut into panels, each a few vectors wide.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use crate::kernels::block::panel_vectors;
use crate::kernels::vector::{Kernel, Vector, Width, dispatch};

/// Panels of output channels: all but the last are as wide as the register block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panels {
    channels: usize,
    lanes: usize,
    width: usize,
}

/// Lanes of a vector, and vectors of a panel.
struct Shape;

impl Kernel for Shape {
    type Output = [usize; 2];

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) -> [usize; 2] {
        [V::LANES, panel_vectors::<V>()]
    }
}

impl Panels {
    /// The panels of some channels.
    pub fn of(width: Width, channels: usize) -> Panels {
        let [lanes, vectors] = dispatch(width, Shape);
        Panels { channels, lanes, width: lanes * vectors }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.channels.div_ceil(self.width)
    }

    /// Columns of all panels but the last.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A number of channels, filled up to whole vectors.
    pub fn whole_vectors(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.lanes)
    }

    /// Channels of a panel.
    pub fn channels(&self, panel: usize) -> Range<usize> {
        panel * self.width..self.channels.min((panel + 1) * self.width)
    }

    /// Columns of a panel: its channels, filled up to whole vectors.
    pub fn columns(&self, panel: usize) -> usize {
        self.whole_vectors(self.channels(panel).len())
    }
}

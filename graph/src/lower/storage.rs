//! How a value lies in memory.

use snn_loops::{BufferId, Ix, WORD};

use crate::op::Point;
use crate::ty::{Kind, Ty};

/// The order of the axes of a sample's shape in memory; time and batch always come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// As written, the last axis fastest: weights, and signals of rank 0 and 1.
    RowMajor,
    /// Axis 0 (the channels) fastest, the others as written: signals of rank 2 and more.
    ChannelsLast,
}

impl Layout {
    /// The layout of values of a type.
    pub fn of(ty: &Ty) -> Layout {
        if (ty.time || ty.batch) && ty.dims.len() >= 2 { Layout::ChannelsLast } else { Layout::RowMajor }
    }

    /// The axes of a shape from the slowest to the fastest.
    pub fn order(self, rank: usize) -> Vec<usize> {
        match self {
            Layout::RowMajor => (0..rank).collect(),
            Layout::ChannelsLast => (1..rank).chain(std::iter::once(0)).filter(|axis| *axis < rank).collect(),
        }
    }

    /// Distance between neighbours along each axis of a shape.
    pub fn strides(self, dims: &[usize]) -> Vec<usize> {
        let mut strides = vec![0; dims.len()];
        let mut stride = 1;
        for axis in self.order(dims.len()).into_iter().rev() {
            strides[axis] = stride;
            stride *= dims[axis];
        }
        strides
    }
}

/// Rows of fewer channels than this are not worth packing: every pixel takes a whole word.
const PACKED_CHANNELS: usize = 16;

/// Whether values of a type may be kept as bits: they are 0 or 1, and rows of channels are long enough.
pub(crate) fn is_packable(ty: &Ty) -> bool {
    let channels = ty.dims.first().copied().unwrap_or(1);
    matches!(ty.kind, Kind::Truth | Kind::Spikes) && (ty.time || ty.batch) && channels >= PACKED_CHANNELS
}

/// Bits of memory that one sample of a type takes at one step, in single precision.
pub(crate) fn bits(ty: &Ty) -> usize {
    const FLOAT: usize = 32;
    let product = |dims: &[usize]| dims.iter().fold(1usize, |n, d| n.saturating_mul(*d));
    if is_packable(ty) { product(&padded(&ty.dims)) } else { product(&ty.dims).saturating_mul(FLOAT) }
}

/// Copies one sample from row-major order into a layout (`to_layout`) or back.
pub fn rearrange<T: Copy>(layout: Layout, dims: &[usize], from: &[T], to: &mut [T], to_layout: bool) {
    if layout == Layout::RowMajor || dims.len() < 2 {
        to.copy_from_slice(from);
        return;
    }
    let channels = dims[0];
    let inner: usize = dims[1..].iter().product();
    for channel in 0..channels {
        for at in 0..inner {
            let (row_major, channels_last) = (channel * inner + at, at * channels + channel);
            if to_layout {
                to[channels_last] = from[row_major];
            } else {
                to[row_major] = from[channels_last];
            }
        }
    }
}

/// A shape whose channels fill whole words.
pub(super) fn padded(dims: &[usize]) -> Vec<usize> {
    dims.iter().enumerate().map(|(axis, n)| if axis == 0 { n.next_multiple_of(WORD) } else { *n }).collect()
}

/// A value that lies in a buffer.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub buffer: BufferId,
    /// Distance between time steps; `None` if the value is static. A value of one step of a repeat has none either.
    pub time: Option<i64>,
    /// Distance between samples; `None` if the value is shared.
    pub batch: Option<i64>,
    /// Distance along each axis of the shape.
    pub dims: Vec<i64>,
    /// Added to every index: the step's place where a repeat walks through a stepped value.
    pub offset: Ix,
}

impl Storage {
    pub fn new(buffer: BufferId, ty: &Ty, batch: usize) -> Storage {
        Storage::strided(buffer, ty, batch, &ty.dims)
    }

    /// Bits, each pixel (rows of channels) in whole words.
    pub fn packed(buffer: BufferId, ty: &Ty, batch: usize) -> Storage {
        Storage::strided(buffer, ty, batch, &padded(&ty.dims))
    }

    fn strided(buffer: BufferId, ty: &Ty, batch: usize, dims: &[usize]) -> Storage {
        let strides = Layout::of(ty).strides(dims);
        let sample = dims.iter().product::<usize>() as i64;
        let step = if ty.batch { sample * batch as i64 } else { sample };
        Storage {
            buffer,
            time: ty.time.then_some(step),
            batch: ty.batch.then_some(sample),
            dims: strides.into_iter().map(|s| s as i64).collect(),
            offset: Ix::constant(0),
        }
    }

    /// The element of a point.
    pub fn index(&self, at: &Point) -> Ix {
        let mut index = self.offset.clone();
        if let Some(stride) = self.time {
            index = index.plus(&at.time.times(stride));
        }
        if let Some(stride) = self.batch {
            index = index.plus(&at.batch.times(stride));
        }
        for (stride, ix) in self.dims.iter().zip(&at.dims) {
            index = index.plus(&ix.times(*stride));
        }
        index
    }
}

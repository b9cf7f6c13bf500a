//! A plain tensor of f64 for reference evaluation and constants. Written for reading, never for speed.

/// Row-major elements under the extents of all axes (`[time][batch][dims...]` where they exist).
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents.
    pub dims: Vec<usize>,
    /// Elements, the last axis fastest.
    pub data: Vec<f64>,
}

impl Tensor {
    /// A tensor filled with one value.
    pub fn full(dims: &[usize], value: f64) -> Tensor {
        Tensor { dims: dims.to_vec(), data: vec![value; dims.iter().product()] }
    }

    /// A tensor computed from its index.
    pub fn from_fn(dims: &[usize], mut value: impl FnMut(&[usize]) -> f64) -> Tensor {
        let mut index = vec![0; dims.len()];
        let len = dims.iter().product();
        let mut data = Vec::with_capacity(len);
        for _ in 0..len {
            data.push(value(&index));
            for axis in (0..dims.len()).rev() {
                index[axis] += 1;
                if index[axis] < dims[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Tensor { dims: dims.to_vec(), data }
    }

    /// The element at an index.
    pub fn at(&self, index: &[usize]) -> f64 {
        self.data[self.offset(index)]
    }

    /// Position of an index in `data`.
    pub fn offset(&self, index: &[usize]) -> usize {
        index.iter().zip(&self.dims).fold(0, |at, (i, extent)| at * extent + i)
    }
}

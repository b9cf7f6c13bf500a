//! Element types of buffers.
//!
//! Every buffer of a program has the same floating type: truth values and class labels that reach memory are stored as
//! 0, 1, 2, ... in it (exact up to 2^24 in f32). Inside a kernel a value is either a float of the program's type or a mask.

/// The floating type a program computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 single precision, the type of training and inference.
    F32,
    /// IEEE 754 double precision, the type of gradient checks and golden comparisons.
    F64,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F64 => 8,
        }
    }

    /// The value of the type that is nearest.
    pub fn round(self, value: f64) -> f64 {
        match self {
            Dtype::F32 => f64::from(value as f32),
            Dtype::F64 => value,
        }
    }

    /// The name used in printed programs: `f32` or `f64`.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::F64 => "f64",
        }
    }
}

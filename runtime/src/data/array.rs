//! Arrays as they stand in files of any format, and what they become: fields of samples, or labels.
//!
//! Must never know where the bytes came from.

use super::{Field, Values};
use crate::error::{Result, RuntimeError};

/// A class number above this is a mistake in the file, not a class.
const MAX_CLASSES: f32 = 1_048_576.0;

/// The type of one number in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// The order of the bytes of one number in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

/// A whole array; `values` has as many numbers as `shape` says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    /// The file it came from, for errors.
    pub origin: String,
    /// Samples first.
    pub shape: Vec<usize>,
    pub values: Values,
}

impl Scalar {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Numbers from their bytes, without loss up to 53 bits: times may have many digits.
    pub fn decode_exact(self, bytes: &[u8], endian: Endian) -> Vec<f64> {
        match self {
            Self::U8 | Self::Bool => convert(bytes, endian, |b| f64::from(u8::from_le_bytes(b))),
            Self::I8 => convert(bytes, endian, |b| f64::from(i8::from_le_bytes(b))),
            Self::U16 => convert(bytes, endian, |b| f64::from(u16::from_le_bytes(b))),
            Self::I16 => convert(bytes, endian, |b| f64::from(i16::from_le_bytes(b))),
            Self::U32 => convert(bytes, endian, |b| f64::from(u32::from_le_bytes(b))),
            Self::I32 => convert(bytes, endian, |b| f64::from(i32::from_le_bytes(b))),
            Self::U64 => convert(bytes, endian, |b| u64::from_le_bytes(b) as f64),
            Self::I64 => convert(bytes, endian, |b| i64::from_le_bytes(b) as f64),
            Self::F32 => convert(bytes, endian, |b| f64::from(f32::from_le_bytes(b))),
            Self::F64 => convert(bytes, endian, f64::from_le_bytes),
        }
    }

    /// Numbers from their bytes. Bytes stay bytes (`u8` means value / 255); everything else is rounded to `f32`.
    pub fn decode(self, bytes: Vec<u8>, endian: Endian) -> Values {
        Values::F32(match self {
            Self::U8 => return Values::U8 { bytes, full_scale: 255.0 },
            Self::Bool => return Values::U8 { bytes, full_scale: 1.0 },
            Self::I8 => convert(&bytes, endian, |b| f32::from(i8::from_le_bytes(b))),
            Self::U16 => convert(&bytes, endian, |b| f32::from(u16::from_le_bytes(b))),
            Self::I16 => convert(&bytes, endian, |b| f32::from(i16::from_le_bytes(b))),
            Self::U32 => convert(&bytes, endian, |b| u32::from_le_bytes(b) as f32),
            Self::I32 => convert(&bytes, endian, |b| i32::from_le_bytes(b) as f32),
            Self::U64 => convert(&bytes, endian, |b| u64::from_le_bytes(b) as f32),
            Self::I64 => convert(&bytes, endian, |b| i64::from_le_bytes(b) as f32),
            Self::F32 => convert(&bytes, endian, f32::from_le_bytes),
            Self::F64 => convert(&bytes, endian, |b| f64::from_le_bytes(b) as f32),
        })
    }
}

/// Applies `number` to every `N` bytes, given little-endian.
fn convert<const N: usize, T>(bytes: &[u8], endian: Endian, number: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks::<N>();
    let ordered = |mut bytes: [u8; N]| {
        if endian == Endian::Big {
            bytes.reverse();
        }
        number(bytes)
    };
    numbers.iter().map(|&bytes| ordered(bytes)).collect()
}

/// The number of elements of `shape`, if it can be counted.
pub(super) fn element_count(shape: &[usize]) -> Option<u64> {
    shape.iter().try_fold(1u64, |count, &extent| count.checked_mul(extent as u64))
}

impl Array {
    /// The samples of a field: the first axis counts them. Samples of two axes are images with one channel.
    pub fn into_images(self, name: &str) -> Result<Field> {
        let mut field = self.into_field(name)?;
        if let [height, width] = field.shape[..] {
            field.shape = vec![1, height, width];
        }
        Ok(field)
    }

    /// The samples of a field, in the shape that the file gives them: the first axis counts them.
    pub fn into_field(self, name: &str) -> Result<Field> {
        let shape = match self.shape.split_first() {
            Some((_, [])) => vec![1],
            Some((_, sample)) => sample.to_vec(),
            None => return Err(self.error("is a single number, not an array of samples")),
        };
        let field = Field { name: name.to_owned(), shape, values: self.values };
        if let Values::F32(numbers) = &field.values
            && let Some(index) = numbers.iter().position(|number| !number.is_finite())
        {
            let (origin, sample) = (&self.origin, index / field.sample_len().max(1));
            return Err(RuntimeError::new(format!("`{origin}` holds a number that is not finite, in sample {sample}")));
        }
        Ok(field)
    }

    /// Class numbers, counted from 0: a vector, one for each sample.
    pub fn into_labels(self) -> Result<Vec<u32>> {
        match self.shape[..] {
            [_] | [_, 1] => {}
            [_, classes] => {
                return Err(self
                    .error(format!("has labels of {classes} numbers"))
                    .with_help("labels are class numbers; turn one-hot rows into numbers with argmax"));
            }
            _ => return Err(self.error(format!("has shape {:?}; labels are a vector", self.shape))),
        }
        match &self.values {
            Values::U8 { bytes, .. } => Ok(bytes.iter().map(|&byte| u32::from(byte)).collect()),
            Values::Events(_) => Err(self.error("holds events, not labels")),
            Values::F32(numbers) => numbers
                .iter()
                .enumerate()
                .map(|(sample, &number)| class_number(number).ok_or((sample, number)))
                .collect::<std::result::Result<_, _>>()
                .map_err(|(sample, number)| {
                    self.error(format!("has label {number} for sample {sample}"))
                        .with_help("labels are class numbers, counted from 0")
                }),
        }
    }

    fn error(&self, problem: impl std::fmt::Display) -> RuntimeError {
        RuntimeError::new(format!("`{}` {problem}", self.origin))
    }
}

fn class_number(number: f32) -> Option<u32> {
    ((0.0..MAX_CLASSES).contains(&number) && number.fract() == 0.0).then_some(number as u32)
}

/// One more than the largest label.
pub(super) fn count_classes(train: &[u32], test: &[u32]) -> usize {
    train.iter().chain(test).max().map_or(0, |&label| label as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize], numbers: &[f32]) -> Array {
        Array { origin: "a.npy".to_owned(), shape: shape.to_vec(), values: Values::F32(numbers.to_vec()) }
    }

    #[test]
    fn numbers_of_every_type_and_byte_order_are_decoded() {
        let cases: &[(Scalar, &[u8], f32)] = &[
            (Scalar::I8, &[0xFE], -2.0),
            (Scalar::U16, &[0x01, 0x02], 258.0),
            (Scalar::I16, &[0xFF, 0xFE], -2.0),
            (Scalar::U32, &[0, 0, 1, 0], 256.0),
            (Scalar::I32, &[0xFF, 0xFF, 0xFF, 0xFD], -3.0),
            (Scalar::U64, &[0, 0, 0, 0, 0, 0, 0, 7], 7.0),
            (Scalar::I64, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], -1.0),
            (Scalar::F32, &[0x3F, 0xC0, 0, 0], 1.5),
            (Scalar::F64, &[0x3F, 0xF8, 0, 0, 0, 0, 0, 0], 1.5),
        ];
        for &(scalar, big, expected) in cases {
            assert_eq!(scalar.size(), big.len());
            let little: Vec<u8> = big.iter().rev().copied().collect();
            assert_eq!(scalar.decode(big.to_vec(), Endian::Big), Values::F32(vec![expected]), "{scalar:?}");
            assert_eq!(scalar.decode(little, Endian::Little), Values::F32(vec![expected]), "{scalar:?}");
        }
    }

    #[test]
    fn labels_must_be_class_numbers() {
        assert_eq!(array(&[3], &[0.0, 9.0, 2.0]).into_labels().unwrap(), [0, 9, 2]);
        assert_eq!(array(&[2, 1], &[4.0, 5.0]).into_labels().unwrap(), [4, 5]);
        for (bad, what) in [
            (array(&[2], &[0.0, -1.0]), "label -1 for sample 1"),
            (array(&[1], &[0.5]), "label 0.5"),
            (array(&[1], &[f32::NAN]), "label NaN"),
            (array(&[1, 3], &[0.0, 1.0, 0.0]), "labels of 3 numbers"),
            (array(&[1, 1, 1], &[0.0]), "shape [1, 1, 1]"),
        ] {
            let error = bad.into_labels().unwrap_err();
            assert!(error.message().contains(what), "{error}");
        }
    }

    #[test]
    fn samples_must_be_finite() {
        let error = array(&[2, 2], &[0.0, 1.0, 2.0, f32::INFINITY]).into_field("x").unwrap_err();
        assert!(error.message().contains("in sample 1"), "{error}");
    }

    #[test]
    fn images_without_channels_get_one() {
        assert_eq!(array(&[1, 2, 2], &[0.0; 4]).into_images("x").unwrap().shape, [1, 2, 2]);
        assert_eq!(array(&[1, 4], &[0.0; 4]).into_images("x").unwrap().shape, [4]);
        assert_eq!(array(&[4], &[0.0; 4]).into_field("x").unwrap().shape, [1]);
    }
}

//! The IDX format of MNIST and its relatives, plain or gzip.
//!
//! Two zero bytes, a type code, the number of axes, one big-endian u32 for each extent, then the numbers, row-major and
//! big-endian. Must never know which data set a file belongs to.

use super::array::{Array, Endian, Scalar, element_count};
use super::bytes::Input;
use crate::error::{Result, RuntimeError};

/// Reads one array and the hash of its content.
pub(super) fn read(mut input: Input<'_>) -> Result<(Array, [u8; 32])> {
    let [zero0, zero1, code, n_axes] = input.read_array::<4>()?;
    let scalar = match (zero0, zero1) {
        (0, 0) => scalar(code).ok_or_else(|| not_idx(&input, [zero0, zero1, code, n_axes]))?,
        _ => return Err(not_idx(&input, [zero0, zero1, code, n_axes])),
    };
    if n_axes == 0 {
        return Err(input.error("holds no samples: its header has no axes"));
    }
    let extents = input.read(4 * u64::from(n_axes))?;
    let (extents, _) = extents.as_chunks::<4>();
    let shape: Vec<usize> = extents.iter().map(|&extent| u32::from_be_bytes(extent) as usize).collect();
    let header = 4 + 4 * u64::from(n_axes);
    let body = element_count(&shape)
        .and_then(|count| count.checked_mul(scalar.size() as u64))
        .filter(|body| body.checked_add(header).is_some())
        .ok_or_else(|| input.error(format!("is corrupt: its header announces samples of extents {shape:?}")))?;
    input.require_total(header + body)?;
    let values = scalar.decode(input.read(body)?, Endian::Big);
    let array = Array { origin: input.name().to_owned(), shape, values };
    Ok((array, input.finish()?))
}

fn scalar(code: u8) -> Option<Scalar> {
    Some(match code {
        0x08 => Scalar::U8,
        0x09 => Scalar::I8,
        0x0B => Scalar::I16,
        0x0C => Scalar::I32,
        0x0D => Scalar::F32,
        0x0E => Scalar::F64,
        _ => return None,
    })
}

fn not_idx(input: &Input<'_>, magic: [u8; 4]) -> RuntimeError {
    let found = crate::hash::hex(&magic);
    input
        .error(format!(
            "is not an IDX file: it starts with {found}, an IDX file of images with 00000803, of labels with 00000801"
        ))
        .with_help("give the file as it was published, plain or .gz")
}

#[cfg(test)]
mod tests;

//! Random numbers in bulk: what `snn_loops::draw::element` gives one by one, many blocks of the generator side by side.

mod lanes;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;
use snn_loops::draw::element;
use snn_loops::{Distribution, RandomKey};

use crate::element::Element;
use crate::kernels::vector::{Width, dispatch};
use lanes::{BLOCKS, NORMALS, NUMBERS, Normals, Uniforms};

/// Numbers of one task.
const TASK: usize = 4096;

/// Whether so many numbers are drawn on the calling thread.
pub(crate) fn is_one_task(len: usize) -> bool {
    len <= TASK
}

/// Fills `out` with elements `first..` of a stream, rounded to the type. With vectors of a width that the machine has.
pub(crate) fn fill<T: Element>(
    width: Width,
    distribution: Distribution,
    key: RandomKey,
    stream: u64,
    first: u64,
    out: &mut [T],
) {
    let part = |first: u64, out: &mut [T]| match distribution {
        Distribution::Normal => fill_part(width, distribution, Place { key, stream, first }, normals, |x| x, out),
        Distribution::Uniform => fill_part(width, distribution, Place { key, stream, first }, uniforms, |x| x, out),
        Distribution::Bernoulli(p) => {
            let spike = |x| if x < p { 1.0 } else { 0.0 };
            fill_part(width, distribution, Place { key, stream, first }, uniforms, spike, out);
        }
    };
    if is_one_task(out.len()) {
        return part(first, out);
    }
    out.par_chunks_mut(TASK).enumerate().for_each(|(task, out)| part(first + (task * TASK) as u64, out));
}

/// Where numbers come from.
#[derive(Clone, Copy)]
struct Place {
    key: RandomKey,
    stream: u64,
    /// The first of them.
    first: u64,
}

/// The numbers of the blocks from one on, as many as are computed together.
fn normals(width: Width, place: Place, first: u64) -> [f64; NORMALS] {
    let mut out = [0.0; NORMALS];
    dispatch(width, Normals { key: place.key, stream: place.stream, first, out: &mut out });
    out
}

/// The same, in [0, 1).
fn uniforms(width: Width, place: Place, first: u64) -> [f64; NUMBERS] {
    let mut out = [0.0; NUMBERS];
    dispatch(width, Uniforms { key: place.key, stream: place.stream, first, out: &mut out });
    out
}

/// Whole groups of blocks together, the rest one by one.
fn fill_part<T: Element, const N: usize>(
    width: Width,
    distribution: Distribution,
    place: Place,
    group: impl Fn(Width, Place, u64) -> [f64; N],
    of: impl Fn(f64) -> f64,
    out: &mut [T],
) {
    let Place { key, stream, first } = place;
    // Elements of a block, all of which lie in a group, and those before the first whole one.
    let size = (N / BLOCKS) as u64;
    let head = (first.next_multiple_of(size) - first) as usize;
    let (head, body) = out.split_at_mut(head.min(out.len()));
    let one_by_one = |from: u64, out: &mut [T]| {
        for (at, out) in (from..).zip(out) {
            *out = T::round(element(distribution, key, stream, at));
        }
    };
    one_by_one(first, head);
    let mut at = first + head.len() as u64;
    let mut groups = body.chunks_exact_mut(N);
    for out in &mut groups {
        for (out, number) in out.iter_mut().zip(group(width, place, at / size)) {
            *out = T::round(of(number));
        }
        at += N as u64;
    }
    one_by_one(at, groups.into_remainder());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slice_has_the_numbers_of_its_elements() {
        let key = RandomKey { seed: 0x1234_5678_9abc_def0, run: 0x9876_5432_1fed_cba9 };
        let widths = [Width::Plain, Width::Avx2, Width::Avx512];
        let native = widths.iter().position(|width| *width == Width::native()).unwrap();
        for width in &widths[..=native] {
            for distribution in [Distribution::Normal, Distribution::Uniform, Distribution::Bernoulli(0.3)] {
                for (first, len) in [(0, 1), (1, 700), (2, 5), (3, 9001), ((1 << 34) - 301, 1000)] {
                    let mut out = vec![f64::NAN; len];
                    fill(*width, distribution, key, 5, first, &mut out);
                    let mut single = vec![f32::NAN; len];
                    fill(*width, distribution, key, 5, first, &mut single);
                    for (at, (out, single)) in out.iter().zip(&single).enumerate() {
                        let want = element(distribution, key, 5, first + at as u64);
                        assert_eq!(out.to_bits(), want.to_bits(), "{width:?}, {distribution:?}, {first} + {at}");
                        assert_eq!(single.to_bits(), (want as f32).to_bits(), "{width:?}, {distribution:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn logarithm_and_cosine_are_those_of_the_library() {
        // Of all 2^24 arguments a sample, and all near the multiples of an eighth of a turn.
        let near = (0..=8u32).flat_map(|eighth| (0..2000).map(move |step| (eighth << 21).wrapping_add(step) - 1000));
        let ends = (0..1000).chain((1 << 24) - 1000..1 << 24);
        for k in (0..1 << 24).step_by(97).chain(near.filter(|k| *k < 1 << 24)).chain(ends) {
            let u = f64::from(k) / 16_777_216.0;
            let angle = std::f64::consts::TAU * u;
            assert_eq!(lanes::cos(angle).to_bits(), libm::cos(angle).to_bits(), "cosine of {angle:e}");
            assert_eq!(lanes::log(1.0 - u).to_bits(), libm::log(1.0 - u).to_bits(), "logarithm of 1 - {u:e}");
        }
    }
}

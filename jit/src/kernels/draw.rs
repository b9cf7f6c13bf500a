//! Random numbers in bulk: what `snn_loops::draw::element` gives one by one, a block of the generator at a time.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;
use snn_loops::draw::{block, element};
use snn_loops::{Distribution, RandomKey};

use crate::element::Element;

/// Numbers of one task.
const TASK: usize = 4096;

/// Whether so many numbers are drawn on the calling thread.
pub(crate) fn is_one_task(len: usize) -> bool {
    len <= TASK
}

/// Fills `out` with elements `first..` of a stream, rounded to the type.
pub(crate) fn fill<T: Element>(distribution: Distribution, key: RandomKey, stream: u64, first: u64, out: &mut [T]) {
    if is_one_task(out.len()) {
        return fill_part(distribution, key, stream, first, out);
    }
    out.par_chunks_mut(TASK).enumerate().for_each(|(task, out)| {
        fill_part(distribution, key, stream, first + (task * TASK) as u64, out);
    });
}

/// Elements that share one block of the generator.
fn block_elements(distribution: Distribution) -> usize {
    match distribution {
        Distribution::Uniform | Distribution::Bernoulli(_) => 4,
        Distribution::Normal => 2,
    }
}

fn fill_part<T: Element>(distribution: Distribution, key: RandomKey, stream: u64, first: u64, out: &mut [T]) {
    let size = block_elements(distribution);
    let one = |at: u64| T::round(element(distribution, key, stream, at));
    // Up to the first whole block, one by one.
    let head = (first.next_multiple_of(size as u64) - first) as usize;
    let (head, body) = out.split_at_mut(head.min(out.len()));
    let mut at = first;
    for out in head {
        *out = one(at);
        at += 1;
    }
    let mut blocks = body.chunks_exact_mut(size);
    for out in &mut blocks {
        fill_block(distribution, block(key, stream, at / size as u64), out);
        at += size as u64;
    }
    for out in blocks.into_remainder() {
        *out = one(at);
        at += 1;
    }
}

/// The elements of one block; the formulas are those of `snn_loops::draw::element`.
fn fill_block<T: Element>(distribution: Distribution, words: [u32; 4], out: &mut [T]) {
    let unit = |word: u32| f64::from(word >> 8) / 16_777_216.0;
    match distribution {
        Distribution::Uniform => {
            for (out, word) in out.iter_mut().zip(words) {
                *out = T::round(unit(word));
            }
        }
        Distribution::Bernoulli(p) => {
            for (out, word) in out.iter_mut().zip(words) {
                *out = if unit(word) < p { T::ONE } else { T::default() };
            }
        }
        Distribution::Normal => {
            let [a, b, c, d] = words;
            for (out, [radius, angle]) in out.iter_mut().zip([[a, b], [c, d]]) {
                let radius = (-2.0 * libm::log(1.0 - unit(radius))).sqrt();
                *out = T::round(radius * libm::cos(std::f64::consts::TAU * unit(angle)));
            }
        }
    }
}

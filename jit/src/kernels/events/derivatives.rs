//! The derivatives of a layer without feedback, each the sum of what its parts have found.
//!
//! Must never know how a part finds them.

use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use snn_loops::EventSweep;

use super::adjoint::{Adjoint, Found};
use super::arrivals::Arrivals;
use super::block::Place;
use super::cut::{self, bands, parts};
use super::{Operands, Own, Real, Work};
use crate::kernels::vector::dispatch;

/// What a range of samples adds.
struct Derivatives<T> {
    /// By the weights of each block, as they are packed.
    weights: Vec<Vec<f64>>,
    /// By the times of each group's train: the place in it, and the derivative.
    times: Vec<Vec<(usize, T)>>,
}

/// Writes the derivatives by the times of trains and by weights, as far as somebody asks.
pub(super) fn write<T: Real, const D: usize>(
    work: &Work<'_, D>,
    operands: &Operands<'_, T>,
    mut trains: Vec<Option<&mut [T]>>,
    sums: Vec<Option<&mut [T]>>,
) -> Option<()> {
    let own = operands.own.as_ref()?;
    let wanted: Vec<bool> = trains.iter().map(Option::is_some).collect();
    trains.iter_mut().flatten().for_each(|out| out.fill(T::default()));
    let mut weights: Vec<Vec<f64>> = Vec::new();
    let of_range = |samples: Range<usize>| {
        let arrivals = work.arrivals(operands, samples.clone());
        derivatives(work, own, (samples.start, &arrivals), &wanted)
    };
    work.each_range(of_range, |found| {
        for (out, times) in trains.iter_mut().zip(&found.times) {
            if let Some(out) = out {
                for (place, derivative) in times {
                    *out.get_mut(*place)? = *derivative;
                }
            }
        }
        match weights.is_empty() {
            true => weights = found.weights,
            false => weights.par_iter_mut().zip(&found.weights).for_each(|(sums, part)| add(sums, part)),
        }
        Some(())
    })?;
    for (group, out) in sums.into_iter().enumerate() {
        if let Some(out) = out {
            work.layer.unpack(group, out, |block| weights.get(block).map(Vec::as_slice).into_iter().collect());
        }
    }
    Some(())
}

/// The derivatives of samples from one on, those by times for the groups of synapses for which they are wanted.
fn derivatives<T: Real, const D: usize>(
    work: &Work<'_, D>,
    own: &Own<'_, T>,
    (first, arrivals): (usize, &[Arrivals<D>]),
    wanted: &[bool],
) -> Derivatives<T> {
    let Work { sweep, layer, .. } = *work;
    let wants_times = wanted.contains(&true);
    let (n_bands, band) = bands(work.weights.len(), wants_times);
    let units = arrivals.len() * layer.pixels;
    let (n_parts, each) = parts(units, n_bands, cut::tasks(sweep, layer));
    let found: Vec<Found> = (0..n_bands * n_parts)
        .into_par_iter()
        .map(|task| {
            let (first_block, part) = (task / n_parts * band, task % n_parts);
            let units = part * each..units.min((part + 1) * each);
            let mut found = Found::of(layer, (first, arrivals), units.clone(), wants_times);
            for (block, weights) in work.weights.iter().enumerate().skip(first_block).take(band) {
                found.weights.push(vec![0.0; layer.block_len()]);
                for unit in units.clone() {
                    let (sample, pixel) = (unit / layer.pixels, unit % layer.pixels);
                    let place = Place { block, pixel, sample: first + sample };
                    let (arrivals, batch) = (&arrivals[sample], sweep.batch);
                    dispatch(work.width, Adjoint { layer, arrivals, weights, place, own, batch, found: &mut found });
                }
            }
            found
        })
        .collect();
    let times = |group| sum_times(sweep, group, (first, arrivals), &found);
    let times =
        wanted.iter().enumerate().map(|(group, wanted)| if *wanted { times(group) } else { Vec::new() }).collect();
    Derivatives { times, weights: sum_weights(found, n_parts) }
}

/// What the parts have found of the derivatives by weights, added in order. Parts of a band lie one after the other.
fn sum_weights(found: Vec<Found>, n_parts: usize) -> Vec<Vec<f64>> {
    let mut sums: Vec<Vec<f64>> = Vec::new();
    let mut found = found.into_iter();
    while let Some(Found { weights: mut band, .. }) = found.next() {
        let others: Vec<Found> = found.by_ref().take(n_parts - 1).collect();
        band.par_iter_mut().enumerate().for_each(|(block, sum)| {
            others.iter().filter_map(|part| part.weights.get(block)).for_each(|part| add(sum, part));
        });
        sums.append(&mut band);
    }
    sums
}

fn add(sums: &mut [f64], part: &[f64]) {
    sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
}

/// The derivatives by a train's times of samples from one on, each the sum of what the parts have found, in order.
fn sum_times<T: Real, const D: usize>(
    sweep: &EventSweep,
    group: usize,
    (first, samples): (usize, &[Arrivals<D>]),
    found: &[Found],
) -> Vec<(usize, T)> {
    let senders = sweep.layer.synapses.get(group).map_or(0, |synapses| synapses.senders());
    let mut times = Vec::new();
    for (sample, arrivals) in (first..).zip(samples) {
        let parts: Vec<&[f64]> = found.iter().filter_map(|found| found.times_of(sample)).collect();
        for (at, event) in arrivals.events.iter().enumerate().filter(|(_, event)| event.group as usize == group) {
            let sum: f64 = parts.iter().filter_map(|part| part.get(at)).sum();
            let place = (event.slot as usize * sweep.batch + sample) * senders + event.sender as usize;
            times.push((place, T::round(sum)));
        }
    }
    times
}

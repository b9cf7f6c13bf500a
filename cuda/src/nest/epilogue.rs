//! A nest as what becomes of the sums of a contraction, point by point, so that these never reach memory.
//!
//! A nest can be that if it is one time loop for each pixel and channel: its threads are pixels times channels, what it
//! loads of the contraction's result is that of its own pixel and channel, a step after the other, and what it stores are
//! the spikes of that pixel and channel, as bits. Then its text runs for sums in registers.
//!
//! Must never know how sums come about.

use std::collections::BTreeMap;

use snn_loops::plan::each_access;
use snn_loops::{BufferId, Contraction, ContractionKind, Ix, LoopKind, Nest, Operand, Program, Stmt, Var, WORD};

use super::body::{Sums, Writer};
use super::independence::collect_limits;
use super::threads::Threads;
use super::{SCALAR, slots};
use crate::contraction::fused::Epilogue;
use crate::emit::Storage;

/// How the axes of a nest number the pixels of a step.
pub(super) struct Pixels {
    /// Variables with how many pixels one more of each is, and their extents, from the outside in.
    pub axes: Vec<(Var, u64, u64)>,
    /// The variable of the channels.
    pub channel: Var,
}

/// The nest for the sums of `c` and the number of steps that `c` has; `None` where it is more than that.
pub(crate) fn epilogue(
    nest: &Nest,
    c: &Contraction,
    program: &Program,
    storage: &[Storage],
) -> Option<(Epilogue, usize)> {
    if c.kind != ContractionKind::Forward || c.out != Operand::whole(c.out.buffer) {
        return None;
    }
    let threads = Threads::of(nest, program);
    let (time, channel) = loops_of(nest, &threads)?;
    let mut limits = BTreeMap::new();
    collect_limits(&nest.body, &mut limits);
    let channels = u64::try_from(c.shape.cout).ok().filter(|channels| *channels == threads.lanes)?;
    let all = (c.rows * c.shape.output[0] * c.shape.output[1]) as u64;
    let access = only_load(nest, c.out.buffer)?;
    let stride = access.stride(time)?;
    let steps = if stride == 0 { 1 } else { *limits.get(&time)? as u64 };
    if steps == 0 || !all.is_multiple_of(steps) {
        return None;
    }
    let pixels = all / steps;
    if stride != 0 && u64::try_from(stride).ok()? != pixels * channels {
        return None;
    }
    let axes = axes_of(&threads, &access, time, channel, channels, pixels)?;
    let (spikes, planes) = only_store(nest, program, &limits, &axes, time, pixels, c.shape.cout)?;
    let slots = slots(nest, program, storage);
    // The registers are full of sums.
    if slots.values().any(|slot| slot.argument.is_none()) {
        return None;
    }
    let sums = Sums { from: c.out.buffer, to: spikes, time, channel, steps: steps as usize };
    let (body, parameters) = Writer::epilogue(nest, program.dtype, &slots, &threads, &axes, sums);
    let parameters = parameters.into_iter().map(|(text, id)| (text, Operand::whole(id))).collect();
    let epilogue = Epilogue { body, parameters, needs: vec![&SCALAR], spikes: Operand::whole(spikes), planes };
    Some((epilogue, steps as usize))
}

/// The only time loop of a nest and its lanes, where it is nothing but these inside of its threads.
fn loops_of(nest: &Nest, threads: &Threads) -> Option<(Var, Var)> {
    if threads.serial_lanes || threads.teams {
        return None;
    }
    let mut body = nest.body.as_slice();
    for axis in &threads.outer {
        let [.., Stmt::For { var, body: inside, .. }] = body else { return None };
        (*var == axis.var).then_some(())?;
        body = inside;
    }
    let [.., Stmt::For { var: channel, kind: LoopKind::Lanes, body: inside, .. }] = body else { return None };
    let loops: Vec<Var> = inside
        .iter()
        .filter_map(|stmt| match stmt {
            Stmt::For { var, kind: LoopKind::Serial, body, .. } => {
                body.iter().all(|stmt| !matches!(stmt, Stmt::For { .. })).then_some(*var)
            }
            _ => None,
        })
        .collect();
    let is_only_loop = inside.iter().filter(|stmt| matches!(stmt, Stmt::For { .. })).count() == 1;
    let is_flat = body.iter().rev().skip(1).all(|stmt| matches!(stmt, Stmt::Let(..)));
    match loops.as_slice() {
        [time] if is_only_loop && is_flat => Some((*time, *channel)),
        _ => None,
    }
}

/// The one place that the nest loads of a buffer.
fn only_load(nest: &Nest, buffer: BufferId) -> Option<Ix> {
    let mut found: Option<Ix> = None;
    let mut is_one = true;
    each_access(&nest.body, &mut |access, is_store| {
        if access.buffer == buffer {
            let is_same = found.as_ref().is_none_or(|index| *index == access.index);
            is_one &= !is_store && access.bounds.is_empty() && is_same;
            found = Some(access.index.clone());
        }
    });
    found.filter(|_| is_one)
}

/// How the outer axes number the pixels: each is worth as many as all inside of it have.
fn axes_of(threads: &Threads, load: &Ix, time: Var, channel: Var, channels: u64, pixels: u64) -> Option<Pixels> {
    if load.base() != 0 || load.stride(channel) != Some(1) {
        return None;
    }
    let known = |var| var == time || var == channel || threads.outer.iter().any(|axis| axis.var == var);
    let is_linear = load.terms().iter().all(|(atom, _)| matches!(atom, snn_loops::Atom::Var(var) if known(*var)));
    if !is_linear {
        return None;
    }
    let mut axes = Vec::new();
    let mut worth = 1_u64;
    for axis in threads.outer.iter().rev() {
        let limit = axis.extent.limit() as u64;
        let stride = u64::try_from(load.stride(axis.var)?).ok()?;
        if limit > 1 && stride != worth * channels {
            return None;
        }
        axes.push((axis.var, worth, limit));
        worth = worth.checked_mul(limit)?;
    }
    axes.reverse();
    (worth >= pixels).then_some(Pixels { axes, channel })
}

/// The packed buffer that takes the spikes of every pixel and channel, and its number of steps, if nothing else is stored
/// but floats.
fn only_store(
    nest: &Nest,
    program: &Program,
    limits: &BTreeMap<Var, usize>,
    pixels: &Pixels,
    time: Var,
    count: u64,
    channels: usize,
) -> Option<(BufferId, usize)> {
    let pitch = channels.next_multiple_of(WORD) as u64;
    let planes = *limits.get(&time)?;
    let mut expected = Ix::var(pixels.channel);
    for (var, worth, _) in pixels.axes.iter().filter(|(.., limit)| *limit > 1) {
        expected = expected.plus(&Ix::var(*var).times(i64::try_from(worth * pitch).ok()?));
    }
    if planes > 1 {
        expected = expected.plus(&Ix::var(time).times(i64::try_from(count * pitch).ok()?));
    }
    // Variables of a single iteration are always 0.
    let is_single =
        |var: Var| var == time && planes == 1 || pixels.axes.iter().any(|(axis, _, limit)| *axis == var && *limit <= 1);
    let plain =
        |index: &Ix| index.substitute(&|var| if is_single(var) { Ix::constant(0) } else { Ix::var(var) }, &|_| None);
    let mut spikes: Option<BufferId> = None;
    let mut is_right = true;
    each_access(&nest.body, &mut |access, is_store| {
        if is_store && program.is_packed(access.buffer) {
            is_right &= spikes.is_none() && plain(&access.index) == expected;
            spikes = Some(access.buffer);
        }
    });
    spikes.filter(|_| is_right).map(|spikes| (spikes, planes))
}

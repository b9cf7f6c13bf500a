//! Dense convolutions without gathered windows: a register block reads each of its rows where the pixel lies.

mod pack;
mod product;

use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::kernels::block::ROWS;
use crate::kernels::filters::Filters;
use crate::kernels::geometry::Geometry;
use crate::kernels::lattice::Lattice;
use crate::kernels::panels::Panels;
use crate::kernels::prepared::{Form, Weights};
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Width, dispatch};
use pack::Packed;
use product::Product;

/// Pixels of a task: as many as reuse a panel of weights in the caches often enough.
const PIXELS: usize = 16 * ROWS;
/// Fewer tasks than this leave threads without work, so that few pixels are also cut along their channels.
const TASKS: usize = 32;

/// `out[r,oh,ow,o] = sum x[r,y,x,i] * w[o,i,kh,kw]`; `None` if there are groups or a length does not fit. With vectors of a width that
/// the machine has.
pub(crate) fn convolve_with(
    width: Width,
    geometry: &Geometry,
    x: &[f32],
    weights: Weights<'_, f32>,
    out: &mut [f32],
) -> Option<()> {
    let filters = Filters::forward(geometry, weights.given)?;
    let lens = [geometry.rows * geometry.input_len(), geometry.pixels() * geometry.cout];
    if geometry.groups != 1 || [x.len(), out.len()] != lens {
        return None;
    }
    run(width, &[Lattice::forward(geometry)], filters, weights, x, out);
    Some(())
}

/// `out[r,y,x,i] = sum dy[r,oh,ow,o] * w[o,i,kh,kw]`; `None` if there are groups or a length does not fit. With vectors of a width that
/// the machine has.
pub(crate) fn input_gradient_with(
    width: Width,
    geometry: &Geometry,
    dy: &[f32],
    weights: Weights<'_, f32>,
    out: &mut [f32],
) -> Option<()> {
    let filters = Filters::forward(geometry, weights.given)?.transposed();
    let lens = [geometry.pixels() * geometry.cout, geometry.rows * geometry.input_len()];
    if geometry.groups != 1 || [dy.len(), out.len()] != lens {
        return None;
    }
    run(width, &Lattice::phases(geometry), filters, weights, dy, out);
    Some(())
}

/// Some pixels of a subset and some panels of channels.
struct Task<'a> {
    lattice: &'a Lattice,
    packed: Packed,
    pixels: Range<usize>,
    panels: Range<usize>,
}

/// Writes the pixels of all subsets; the lengths of `source` and `out` are those that the subsets have.
fn run(
    width: Width,
    lattices: &[Lattice],
    filters: Filters<'_>,
    weights: Weights<'_, f32>,
    source: &[f32],
    out: &mut [f32],
) {
    let panels = Panels::of(width, filters.outputs);
    let zeros = vec![0.0f32; filters.inputs];
    let out = Shared::of(out);
    let packed = Packed::all(&filters, lattices, panels);
    let make = |memory: &mut [f32]| pack::pack(&filters, lattices, &packed, panels, memory);
    weights.in_form(Form::Panels, Packed::len(&filters, panels), make, |memory| {
        let tasks = tasks(lattices, &packed, panels);
        tasks.into_par_iter().for_each(|task| {
            let taps = task.packed.taps;
            let table = product::table(task.lattice, task.pixels.clone(), taps, filters.inputs, source, &zeros);
            for panel in task.panels {
                let from = task.packed.panel(panel);
                dispatch(
                    width,
                    Product {
                        table: &table,
                        outside: zeros.as_ptr(),
                        taps,
                        depth: filters.inputs,
                        lattice: task.lattice,
                        pixels: task.pixels.clone(),
                        b: &memory[from..from + taps * filters.inputs * panels.columns(panel)],
                        width: panels.columns(panel),
                        channels: panels.channels(panel),
                        pixel: filters.outputs,
                        out,
                    },
                );
            }
        });
    });
}

/// Cuts the work; the cut depends on nothing but the shape.
fn tasks<'a>(lattices: &'a [Lattice], packed: &[Packed], panels: Panels) -> Vec<Task<'a>> {
    let blocks: usize = lattices.iter().map(|lattice| lattice.pixels().div_ceil(PIXELS)).sum();
    let cuts = TASKS.div_ceil(blocks.max(1)).min(panels.count());
    let mut tasks = Vec::new();
    for (lattice, packed) in lattices.iter().zip(packed) {
        for start in (0..lattice.pixels()).step_by(PIXELS) {
            for cut in 0..cuts {
                tasks.push(Task {
                    lattice,
                    packed: *packed,
                    pixels: start..lattice.pixels().min(start + PIXELS),
                    panels: panels.count() * cut / cuts..panels.count() * (cut + 1) / cuts,
                });
            }
        }
    }
    tasks
}

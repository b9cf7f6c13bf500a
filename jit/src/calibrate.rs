//! From which density of spikes another kernel is faster, measured on this machine.
//!
//! A few shapes of each class of the table are computed by every kind of kernel, on one thread and in less than a fifth of a
//! second. The cost of a kernel is taken as linear in the density of spikes. This file must never know how kernels work,
//! nor where its result is kept.

use std::time::{Duration, Instant};

use rayon::ThreadPoolBuilder;
use snn_loops::{BufferId, Contraction, ContractionKind, ConvShape, Operand, WeightValues};

use crate::error::JitError;
use crate::kernels::policy::{Policy, TABLE_PIXELS};
use crate::kernels::prepared::Weights;
use crate::kernels::{self, geometry::Geometry};
use crate::options::{Crossovers, Isa, Kernels, SpikeKernels};

/// Densities that are measured, in percent.
const DENSITIES: [u8; 3] = [4, 16, 40];
/// The best of so many runs counts.
const RUNS: usize = 5;
/// No further run after this time.
const ENOUGH: Duration = Duration::from_millis(2);

/// Measures from which density another kernel is faster on this machine, with these instructions, for kernels that are
/// `precise` or not. The result is not the same every time: whoever wants the same bits again keeps it.
///
/// # Errors
/// If the machine lacks the instructions, or no thread can be had.
pub fn calibrate(isa: Isa, precise: bool) -> Result<Crossovers, JitError> {
    let policy = Kernels { isa, precise, ..Kernels::NATIVE }.policy()?;
    let pool = ThreadPoolBuilder::new()
        .num_threads(1)
        .thread_name(|_| "snn-jit-calibration".to_owned())
        .build()
        .map_err(|error| JitError::Threads(error.to_string()))?;
    Ok(pool.install(|| {
        let classes = CLASSES.map(|shapes| Limits::of_class(&policy, shapes));
        Crossovers {
            table: classes.map(|limits| percent(limits.table)),
            forward: classes.map(|limits| percent(limits.forward)),
            weight_gradient: classes.map(|limits| percent(limits.weight_gradient)),
            masked: masked(&policy),
        }
    }))
}

/// A shape with the number of images.
type Case = (ConvShape, usize);

/// What is measured for each element of the table.
const CLASSES: [[Case; 2]; 3] = [
    [(conv([64, 64], 16, 3, 1), 4), (conv([128, 128], 8, 3, 1), 4)],
    [(conv([64, 128], 16, 3, 2), 8), (conv([32, 64], 14, 5, 1), 4)],
    [(conv([128, 128], 16, 1, 1), 8), (conv([512, 512], 1, 1, 1), 128)],
];

/// A convolution of square images that are padded so that with stride 1 they keep their size.
const fn conv([cin, cout]: [usize; 2], size: usize, kernel: usize, stride: usize) -> ConvShape {
    ConvShape {
        cin,
        cout,
        groups: 1,
        input: [size; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        pad: [kernel / 2; 2],
        dilation: [1; 2],
        output: [size.div_ceil(stride); 2],
    }
}

/// Linear maps to few outputs.
const FEW_OUTPUTS: [Case; 2] = [(conv([768, 10], 1, 1, 1), 256), (conv([256, 4], 1, 1, 1), 512)];

/// From which density masks beat additions for every spike, forward and for gradients of weights.
fn masked(policy: &Policy) -> [u8; 2] {
    [ContractionKind::Forward, ContractionKind::WeightGradient].map(|kind| {
        let limits = FEW_OUTPUTS.map(|case| {
            let bench = Bench::new(policy, case);
            let always = Crossovers { masked: [0; 2], ..policy.crossovers };
            let by_masks = bench.line(kind, &Policy { spikes: SpikeKernels::Auto, crossovers: always, ..*policy });
            bench.line(kind, &Policy { spikes: SpikeKernels::Sparse, ..*policy }).crossing(by_masks)
        });
        percent(limits.iter().sum::<f64>() / limits.len() as f64)
    })
}

/// Densities from which another kernel is faster, in percent, of any size.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    table: f64,
    forward: f64,
    weight_gradient: f64,
}

impl Limits {
    /// The mean over the shapes of a class; look-up tables do not go with every shape.
    fn of_class(policy: &Policy, shapes: [Case; 2]) -> Limits {
        let mut sums = Limits::default();
        let (mut n, mut tables) = (0.0, 0.0);
        for case in shapes {
            let bench = Bench::new(policy, case);
            let (table, forward) = bench.forward();
            sums.forward += forward;
            sums.weight_gradient += bench.weight_gradient();
            sums.table += table.unwrap_or_default();
            n += 1.0;
            tables += f64::from(table.is_some());
        }
        let mean = |sum: f64, n: f64| if n > 0.0 { sum / n } else { Line::NEVER };
        Limits {
            table: mean(sums.table, tables),
            forward: mean(sums.forward, n),
            weight_gradient: mean(sums.weight_gradient, n),
        }
    }
}

/// A number of percent that the table can hold.
fn percent(limit: f64) -> u8 {
    limit.round().clamp(1.0, 100.0) as u8
}

/// Cost by density: `at_0 + slope * percent`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    at_0: f64,
    slope: f64,
}

impl Line {
    /// A density that there is not.
    const NEVER: f64 = 100.0;

    const fn constant(cost: f64) -> Line {
        Line { at_0: cost, slope: 0.0 }
    }

    /// The line with the least squared distance from points (percent, cost).
    fn fit(points: &[(f64, f64)]) -> Line {
        let n = points.len().max(1) as f64;
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / n;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
        let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let variance: f64 = points.iter().map(|(x, _)| (x - mean_x) * (x - mean_x)).sum();
        let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
        Line { at_0: mean_y - slope * mean_x, slope }
    }

    /// From which density another cost is lower, from 0 to [`Line::NEVER`].
    fn crossing(self, other: Line) -> f64 {
        let (lead, closing) = (other.at_0 - self.at_0, self.slope - other.slope);
        match (lead > 0.0, closing > 0.0) {
            (false, _) => 0.0,
            (true, false) => Line::NEVER,
            (true, true) => (lead / closing).min(Line::NEVER),
        }
    }
}

/// A shape to measure, with numbers for its operands.
struct Bench<'a> {
    policy: &'a Policy,
    shape: ConvShape,
    rows: usize,
    /// Spikes of each density.
    spikes: [Vec<u64>; DENSITIES.len()],
}

impl<'a> Bench<'a> {
    fn new(policy: &'a Policy, (shape, rows): Case) -> Bench<'a> {
        let pixels = rows * shape.input[0] * shape.input[1];
        Bench { policy, shape, rows, spikes: DENSITIES.map(|density| random_spikes(pixels, shape.cin, density)) }
    }

    /// From which density look-up tables beat additions, where they are used at all, and dense kernels beat both.
    fn forward(&self) -> (Option<f64>, f64) {
        let kind = ContractionKind::Forward;
        let gather = self.line(kind, &Policy { spikes: SpikeKernels::Sparse, ..*self.policy });
        let dense = self.dense(kind);
        let from_gather = gather.crossing(dense);
        if Geometry::of(&self.shape, self.rows).pixels() < TABLE_PIXELS {
            return (None, from_gather);
        }
        let always = Crossovers { table: [0; 3], forward: [u8::MAX; 3], ..self.policy.crossovers };
        let table = self.line(kind, &Policy { spikes: SpikeKernels::Auto, crossovers: always, ..*self.policy });
        (Some(gather.crossing(table)), from_gather.max(table.crossing(dense)))
    }

    /// From which density dense kernels beat additions.
    fn weight_gradient(&self) -> f64 {
        let kind = ContractionKind::WeightGradient;
        let sparse = Policy { spikes: SpikeKernels::Sparse, ..*self.policy };
        self.line(kind, &sparse).crossing(self.dense(kind))
    }

    /// Dense kernels take the same time for all densities.
    fn dense(&self, kind: ContractionKind) -> Line {
        let [spikes, ..] = &self.spikes;
        Line::constant(self.cost(kind, &Policy { spikes: SpikeKernels::Dense, ..*self.policy }, spikes))
    }

    fn line(&self, kind: ContractionKind, policy: &Policy) -> Line {
        let points: Vec<(f64, f64)> = DENSITIES
            .iter()
            .zip(&self.spikes)
            .map(|(density, spikes)| (f64::from(*density), self.cost(kind, policy, spikes)))
            .collect();
        Line::fit(&points)
    }

    /// Seconds of the fastest run; a kernel that refuses the shape takes no time, as it would not be asked.
    fn cost(&self, kind: ContractionKind, policy: &Policy, spikes: &[u64]) -> f64 {
        let (output, weights) = (self.rows * self.shape.output_len(), self.shape.weight_len());
        let (given, wanted) = if kind == ContractionKind::Forward { (weights, output) } else { (output, weights) };
        let b: Vec<f32> = (0..given).map(|at| (at % 251) as f32 / 128.0 - 1.0).collect();
        let mut out = vec![0.0f32; wanted];
        let operand = Operand::whole(BufferId(0));
        let contraction = Contraction {
            name: String::new(),
            kind,
            shape: self.shape,
            rows: self.rows,
            packed: true,
            planes: 1,
            weights: WeightValues::Any,
            a: operand.clone(),
            b: operand.clone(),
            out: operand,
        };
        let mut best = f64::INFINITY;
        let start = Instant::now();
        for _ in 0..RUNS {
            let clock = Instant::now();
            // Shapes and lengths are ours and fit.
            let _ = kernels::contract_spikes(policy, &contraction, spikes, Weights::new(&b, None), &mut out);
            best = best.min(clock.elapsed().as_secs_f64());
            if start.elapsed() > ENOUGH {
                break;
            }
        }
        best
    }
}

/// Spikes of pixels with so many channels, of which this many percent are set; the same every time.
fn random_spikes(pixels: usize, channels: usize, percent: u8) -> Vec<u64> {
    let limit = u64::from(percent) * (1 << 16) / 100;
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut spike = || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        u64::from(state >> 48 < limit)
    };
    let words = channels.div_ceil(64);
    let mut word = |at: usize| (0..64.min(channels - at % words * 64)).fold(0, |word, bit| word | spike() << bit);
    (0..pixels * words).map(&mut word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cross_where_they_should() {
        let line = Line::fit(&[(0.0, 1.0), (10.0, 3.0), (20.0, 5.0)]);
        assert!((line.at_0 - 1.0).abs() < 1e-12 && (line.slope - 0.2).abs() < 1e-12, "{line:?}");
        assert!((line.crossing(Line::constant(7.0)) - 30.0).abs() < 1e-9);
        assert_eq!(line.crossing(Line::constant(0.5)), 0.0, "better from the start");
        assert_eq!(line.crossing(Line::constant(50.0)), Line::NEVER, "beyond all spikes");
        assert_eq!(Line::constant(1.0).crossing(Line::constant(2.0)), Line::NEVER, "parallel");
        assert_eq!([percent(-3.0), percent(0.4), percent(42.4), percent(1e9)], [1, 1, 42, 100]);
    }

    #[test]
    fn spikes_have_their_density_and_nothing_behind_the_channels() {
        let words = random_spikes(500, 100, 20);
        assert_eq!(words.len(), 1000);
        let spikes: u32 = words.iter().map(|word| word.count_ones()).sum();
        assert!((9_000..11_000).contains(&spikes), "{spikes}");
        assert!(words.iter().skip(1).step_by(2).all(|word| word >> 36 == 0));
    }

    #[test]
    fn every_shape_is_computed_by_every_kernel() {
        let policy = Kernels::NATIVE.policy().unwrap();
        for case in CLASSES.into_iter().flatten() {
            let bench = Bench::new(&policy, case);
            for kind in [ContractionKind::Forward, ContractionKind::WeightGradient] {
                assert!(bench.dense(kind).at_0 > 0.0, "{case:?}");
            }
        }
        for isa in Isa::ALL.into_iter().filter(|isa| isa.vectors().is_ok()) {
            let all = calibrate(isa, false).unwrap();
            let limits = [all.table, all.forward, all.weight_gradient];
            assert!(limits.iter().flatten().chain(&all.masked).all(|percent| (1..=100).contains(percent)), "{all:?}");
        }
    }
}

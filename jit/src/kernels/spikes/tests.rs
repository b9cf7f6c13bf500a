//! The kernels against sums written down as the definition says, over odd shapes, for every width and method.

use rayon::ThreadPoolBuilder;

use super::{Method, forward_by, masked, popcount, unpack, weight_gradient_by};
use crate::kernels::bits::Bits;
use crate::kernels::geometry::Geometry;
use crate::kernels::prepared::{Prepared, Weights};
use crate::kernels::vector::Width;
use snn_loops::ConvShape;

/// Reproducible numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Small multiples of 1/8, so that sums are exact in any order.
    fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| (self.next() % 65) as f32 / 8.0 - 4.0).collect()
    }
}

/// cin, cout, input, kernel, stride, pad, dilation, rows.
type Case = (usize, usize, [usize; 2], [usize; 2], [usize; 2], [usize; 2], [usize; 2], usize);

const CASES: &[Case] = &[
    (1, 1, [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], 1),
    (3, 10, [5, 7], [3, 3], [1, 1], [1, 1], [1, 1], 2),
    (10, 16, [8, 6], [3, 2], [2, 1], [1, 0], [1, 2], 3),
    (64, 100, [9, 9], [3, 3], [2, 2], [1, 1], [1, 1], 2),
    (65, 128, [6, 4], [3, 3], [1, 1], [1, 1], [1, 1], 5),
    (130, 200, [7, 5], [3, 3], [1, 1], [2, 2], [2, 2], 2),
    (130, 10, [4, 4], [1, 1], [2, 2], [0, 0], [1, 1], 3),
    (65, 200, [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], 1),
    (784, 33, [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], 70),
    (64, 40, [12, 3], [5, 1], [3, 2], [2, 0], [1, 1], 2),
    (130, 48, [20, 20], [3, 3], [1, 1], [1, 1], [1, 1], 4),
    (800, 10, [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], 777),
    (64, 1, [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], 9),
    (65, 16, [6, 7], [1, 1], [1, 1], [0, 0], [1, 1], 13),
    (10, 17, [5, 5], [5, 5], [1, 1], [0, 0], [1, 1], 3),
    (3, 128, [11, 8], [4, 4], [3, 2], [1, 2], [2, 1], 2),
    (128, 144, [8, 8], [3, 3], [1, 1], [1, 1], [1, 1], 9),
];

/// A case with its data.
struct Problem {
    geometry: Geometry,
    planes: usize,
    words: Vec<u64>,
    weights: Vec<f32>,
    gradients: Vec<f32>,
}

impl Problem {
    fn new(case: Case, percent: u64, planes: usize) -> Problem {
        let (cin, cout, input, kernel, stride, pad, dilation, rows) = case;
        let size =
            |axis: usize| (input[axis] + 2 * pad[axis] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis] + 1;
        let output = [size(0), size(1)];
        let shape = ConvShape { cin, cout, groups: 1, input, kernel, stride, pad, dilation, output };
        let geometry = Geometry::of(&shape, rows);
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ percent);
        let words = cin.div_ceil(64);
        let word = |at: usize, random: &mut Random| {
            (0..64).fold(0, |word, bit| {
                let garbage = at % words * 64 + bit >= cin;
                word | (u64::from(random.next() % 100 < if garbage { 50 } else { percent }) << bit)
            })
        };
        let words = (0..rows * input[0] * input[1] * planes * words).map(|at| word(at, &mut random)).collect();
        let weights = random.floats(cout * cin * kernel[0] * kernel[1]);
        let gradients = random.floats(geometry.pixels() * cout);
        Problem { geometry, planes, words, weights, gradients }
    }

    fn all() -> impl Iterator<Item = (usize, Problem)> {
        let problems = [(0, 1), (5, 1), (30, 1), (100, 1), (0, 3), (20, 3), (100, 2), (50, 4)];
        let of_case = move |case| problems.map(|(percent, planes)| (case, Problem::new(CASES[case], percent, planes)));
        (0..CASES.len()).flat_map(of_case)
    }

    fn bits(&self) -> Bits<'_> {
        let channels = self.geometry.cin;
        Bits { data: &self.words, channels, words: channels.div_ceil(64), planes: self.planes }
    }

    /// What the forward map may be computed by.
    fn methods(&self) -> impl Iterator<Item = Method> {
        let fits = self.planes == 1 && masked::fits(&self.geometry);
        [Method::Gather, Method::Table].into_iter().chain(fits.then_some(Method::Masked))
    }

    fn number(&self, image: usize, y: usize, x: usize, channel: usize) -> f32 {
        let pixel = (image * self.geometry.input[0] + y) * self.geometry.input[1] + x;
        let bit = |plane: usize| {
            let word = (pixel * self.planes + plane) * self.bits().words + channel / 64;
            (self.words[word] >> (channel % 64) & 1) << plane
        };
        (0..self.planes).map(bit).sum::<u64>() as f32
    }

    /// Calls `meet` with output pixel, input channel, kernel element and number of everything but zeros that is met.
    fn each(&self, mut meet: impl FnMut(usize, usize, usize, f32)) {
        let g = self.geometry;
        for pixel in 0..g.pixels() {
            let (image, oh, ow) = g.place(pixel);
            for (kh, kw) in (0..g.kernel[0]).flat_map(|kh| (0..g.kernel[1]).map(move |kw| (kh, kw))) {
                let (Some(y), Some(x)) = (g.source(0, oh, kh), g.source(1, ow, kw)) else { continue };
                for (channel, number) in (0..g.cin).map(|channel| (channel, self.number(image, y, x, channel))) {
                    if number != 0.0 {
                        meet(pixel, channel, kh * g.kernel[1] + kw, number);
                    }
                }
            }
        }
    }

    fn forward(&self) -> Vec<f32> {
        let g = self.geometry;
        let mut out = vec![0.0; g.pixels() * g.cout];
        self.each(|pixel, channel, tap, number| {
            for o in 0..g.cout {
                out[pixel * g.cout + o] += number * self.weights[(o * g.cin + channel) * g.taps() + tap];
            }
        });
        out
    }

    fn weight_gradient(&self) -> Vec<f32> {
        let g = self.geometry;
        let mut out = vec![0.0; self.weights.len()];
        self.each(|pixel, channel, tap, number| {
            for o in 0..g.cout {
                out[(o * g.cin + channel) * g.taps() + tap] += number * self.gradients[pixel * g.cout + o];
            }
        });
        out
    }
}

/// Every width that this machine has.
fn widths() -> Vec<Width> {
    match Width::native() {
        Width::Avx512 => vec![Width::Avx512, Width::Avx2, Width::Plain],
        Width::Avx2 => vec![Width::Avx2, Width::Plain],
        Width::Plain => vec![Width::Plain],
    }
}

/// Runs something with this many threads.
fn with_threads<R: Send>(threads: usize, body: impl FnOnce() -> R + Send) -> R {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(body)
}

/// Weights of which no copy is kept.
fn passing(weights: &[f32]) -> Weights<'_, f32> {
    Weights::new(weights, None)
}

#[test]
fn forward_adds_the_weights_of_spikes() {
    for (case, problem) in Problem::all() {
        let want = problem.forward();
        for width in widths() {
            for method in problem.methods() {
                let mut out = vec![f32::NAN; want.len()];
                let done =
                    forward_by(width, method, &problem.geometry, problem.bits(), passing(&problem.weights), &mut out);
                assert_eq!(done, Some(()));
                assert!(out == want, "case {case}, {width:?}, {method:?}");
            }
        }
    }
}

/// Methods take turns with one copy, each with blocks of its own.
#[test]
fn kept_copies_of_weights_change_no_bit() {
    for (case, problem) in Problem::all() {
        let want = problem.forward();
        let other: Vec<f32> = problem.weights.iter().map(|weight| weight + 1.0).collect();
        for width in widths() {
            let mut kept = Prepared::default();
            let methods = [Method::Gather, Method::Gather, Method::Table, Method::Table, Method::Gather];
            for method in methods {
                let mut out = vec![f32::NAN; want.len()];
                let weights = Weights::new(&problem.weights, Some(&mut kept));
                forward_by(width, method, &problem.geometry, problem.bits(), weights, &mut out).unwrap();
                assert!(out == want, "case {case}, {width:?}, {method:?}");
            }
            let mut out = vec![f32::NAN; want.len()];
            let weights = Weights::new(&other, Some(&mut kept));
            forward_by(width, Method::Gather, &problem.geometry, problem.bits(), weights, &mut out).unwrap();
            assert!(out == want, "what is kept is used: case {case}, {width:?}");
        }
    }
}

#[test]
fn weight_gradient_adds_the_gradients_of_spikes() {
    for (case, problem) in Problem::all() {
        let want = problem.weight_gradient();
        for width in widths() {
            for method in problem.methods() {
                let mut out = vec![f32::NAN; want.len()];
                let Problem { geometry, gradients, .. } = &problem;
                let done = weight_gradient_by(width, method, geometry, problem.bits(), gradients, &mut out);
                assert_eq!(done, Some(()));
                assert!(out == want, "case {case}, {width:?}, {method:?}");
            }
        }
    }
}

#[test]
fn threads_and_widths_change_no_bit() {
    for (case, mut problem) in Problem::all() {
        for value in problem.weights.iter_mut().chain(&mut problem.gradients) {
            *value *= 1.1 + (value.to_bits() % 7) as f32 * 0.013;
        }
        let g = problem.geometry;
        let run = |width: Width, threads: usize| {
            with_threads(threads, || {
                let mut bits = Vec::new();
                for method in problem.methods() {
                    let mut out = vec![0.0; g.pixels() * g.cout];
                    let mut gradient = vec![0.0; problem.weights.len()];
                    forward_by(width, method, &g, problem.bits(), passing(&problem.weights), &mut out).unwrap();
                    weight_gradient_by(width, method, &g, problem.bits(), &problem.gradients, &mut gradient).unwrap();
                    bits.extend(out.into_iter().chain(gradient).map(f32::to_bits));
                }
                bits
            })
        };
        let one = run(Width::native(), 1);
        assert!(one == run(Width::native(), 2) && one == run(Width::native(), 5), "case {case}");
        assert!(widths().into_iter().all(|width| run(width, 1) == one), "case {case}");
    }
}

#[test]
fn garbage_is_neither_counted_nor_unpacked() {
    for (case, problem) in Problem::all() {
        let g = problem.geometry;
        let pixels = g.rows * g.input[0] * g.input[1];
        let mut floats = vec![f32::NAN; pixels * g.cin];
        unpack(problem.bits(), 0..pixels, &mut floats);
        let count: u32 = floats.iter().map(|value| (*value as u32).count_ones()).sum();
        assert!(floats.iter().all(|value| *value < (1 << problem.planes) as f32), "case {case}");
        assert_eq!(popcount(problem.bits()), count as usize, "case {case}");
        for (at, value) in floats.iter().enumerate() {
            let (pixel, channel) = (at / g.cin, at % g.cin);
            let (image, place) = (pixel / (g.input[0] * g.input[1]), pixel % (g.input[0] * g.input[1]));
            let number = problem.number(image, place / g.input[1], place % g.input[1], channel);
            assert_eq!(*value, number, "case {case}, {at}");
        }
        let middle = pixels / 2;
        let mut last = vec![f64::NAN; (pixels - middle) * g.cin];
        unpack(problem.bits(), middle..pixels, &mut last);
        assert!(last.iter().zip(&floats[middle * g.cin..]).all(|(a, b)| *a == f64::from(*b)), "case {case}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let problem = Problem::new(CASES[1], 30, 2);
    let (width, bits) = (Width::native(), problem.bits());
    let mut out = vec![0.0; problem.gradients.len()];
    let short = &problem.weights[1..];
    assert_eq!(forward_by(width, Method::Gather, &problem.geometry, bits, passing(short), &mut out), None);
    assert_eq!(
        forward_by(width, Method::Gather, &problem.geometry, bits, passing(&problem.weights), &mut out[1..]),
        None
    );
    let fewer = Bits { data: &bits.data[1..], ..bits };
    assert_eq!(forward_by(width, Method::Gather, &problem.geometry, fewer, passing(&problem.weights), &mut out), None);
    for planes in [0, 1, 9] {
        let other = Bits { planes, ..bits };
        let weights = passing(&problem.weights);
        assert_eq!(forward_by(width, Method::Gather, &problem.geometry, other, weights, &mut out), None);
    }
    let grouped = Geometry { groups: 3, ..problem.geometry };
    assert_eq!(forward_by(width, Method::Gather, &grouped, bits, passing(&problem.weights), &mut out), None);
    let gradient = &mut out[1..];
    assert_eq!(weight_gradient_by(width, Method::Gather, &problem.geometry, bits, &problem.gradients, gradient), None);
    let wide = Method::Masked;
    assert_eq!(forward_by(width, wide, &problem.geometry, bits, passing(&problem.weights), &mut out), None);
}

//! The dense kernels against sums in f64, for every width of vectors that this machine has and for odd shapes.

use crate::kernels::bits::Bits;
use crate::kernels::geometry::Geometry;
use crate::kernels::prepared::{Prepared, Weights};
use crate::kernels::vector::Width;
use crate::kernels::winograd::{Images, strided};
use crate::kernels::{direct, dots, lattice, outer, winograd};

/// A kernel, its stride, and its dilation.
const KERNELS: [([usize; 2], [usize; 2], usize); 6] = [
    ([3, 3], [1, 1], 1),
    ([3, 3], [2, 2], 1),
    ([1, 1], [1, 1], 1),
    ([1, 1], [2, 2], 1),
    ([5, 2], [3, 2], 2),
    ([2, 2], [3, 3], 1),
];
const CHANNELS: [(usize, usize); 7] = [(1, 1), (3, 10), (10, 3), (16, 17), (17, 16), (64, 130), (130, 64)];
const IMAGES: [[usize; 2]; 4] = [[1, 1], [5, 7], [8, 8], [9, 33]];

/// The widths that this machine has.
fn widths() -> Vec<Width> {
    match Width::native() {
        Width::Avx512 => vec![Width::Avx512, Width::Avx2, Width::Plain],
        Width::Avx2 => vec![Width::Avx2, Width::Plain],
        Width::Plain => vec![Width::Plain],
    }
}

/// Numbers in -0.5..0.5 that every run of a test has.
fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

fn geometry(
    rows: usize,
    [cin, cout]: [usize; 2],
    input: [usize; 2],
    (kernel, stride, dilation): ([usize; 2], [usize; 2], usize),
    pad: usize,
) -> Option<Geometry> {
    let mut output = [0; 2];
    for axis in 0..2 {
        let room = (input[axis] + 2 * pad).checked_sub(dilation * (kernel[axis] - 1) + 1)?;
        output[axis] = room / stride[axis] + 1;
    }
    let (pad, dilation) = ([pad as isize; 2], [dilation; 2]);
    Some(Geometry { rows, groups: 1, cin, cout, input, output, kernel, stride, pad, dilation })
}

/// All geometries of the tables.
fn geometries() -> Vec<Geometry> {
    let mut all = Vec::new();
    for (cin, cout) in CHANNELS {
        for input in IMAGES {
            for kernel in KERNELS {
                for pad in 0..3 {
                    // Small images of many rows, so that a block of tiles meets several images.
                    let rows = if input[0] * input[1] * cin.max(cout) < 1000 { 9 } else { 1 };
                    all.extend(geometry(rows, [cin, cout], input, kernel, pad));
                }
            }
        }
    }
    all
}

/// Calls `each` with the elements of input, weights and output that meet.
fn meet(geometry: &Geometry, mut each: impl FnMut(usize, usize, usize)) {
    let [height, width] = geometry.input;
    for pixel in 0..geometry.pixels() {
        let (row, oh, ow) = geometry.place(pixel);
        for tap in 0..geometry.taps() {
            let (kh, kw) = (tap / geometry.kernel[1], tap % geometry.kernel[1]);
            let (Some(y), Some(x)) = (geometry.source(0, oh, kh), geometry.source(1, ow, kw)) else { continue };
            let from = ((row * height + y) * width + x) * geometry.cin;
            for o in 0..geometry.cout {
                for i in 0..geometry.cin {
                    let weight = (o * geometry.cin + i) * geometry.taps() + tap;
                    each(from + i, weight, pixel * geometry.cout + o);
                }
            }
        }
    }
}

/// Weights of which no copy is kept.
fn passing(weights: &[f32]) -> Weights<'_, f32> {
    Weights::new(weights, None)
}

/// Whole numbers of so many planes, and the same packed; the bits behind the last channel are set.
fn counts(x: &[f32], channels: usize, planes: usize) -> (Vec<f32>, Vec<u64>) {
    let whole: Vec<u32> = x.iter().map(|x| ((x + 0.5) * (1 << planes) as f32) as u32).collect();
    let word = |x: &[u32], plane: usize| {
        let channel = |channel: usize| x.get(channel).is_none_or(|x| x >> plane & 1 == 1);
        (0..64).fold(0, |word, at| word | u64::from(channel(at)) << at)
    };
    let plane = |x: &[u32], plane: usize| x.chunks(64).map(|x| word(x, plane)).collect::<Vec<_>>();
    let words = whole.chunks(channels).flat_map(|x| (0..planes).flat_map(|at| plane(x, at)).collect::<Vec<_>>());
    (whole.iter().map(|number| *number as f32).collect(), words.collect())
}

/// Packed numbers of so many channels and planes.
fn bits(words: &[u64], channels: usize, planes: usize) -> Bits<'_> {
    Bits { data: words, channels, words: channels.div_ceil(64), planes }
}

/// What a kernel is compared with.
struct Case {
    geometry: Geometry,
    x: Vec<f32>,
    weights: Vec<f32>,
    dy: Vec<f32>,
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
}

impl Case {
    fn new(geometry: Geometry) -> Case {
        Case::of(geometry, numbers(geometry.rows * geometry.input_len(), 1))
    }

    fn of(geometry: Geometry, x: Vec<f32>) -> Case {
        let weights = numbers(geometry.cin * geometry.cout * geometry.taps(), 2);
        let dy = numbers(geometry.pixels() * geometry.cout, 3);
        let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weights.len()]);
        meet(&geometry, |i, w, o| {
            y[o] += f64::from(x[i]) * f64::from(weights[w]);
            dx[i] += f64::from(dy[o]) * f64::from(weights[w]);
            dw[w] += f64::from(x[i]) * f64::from(dy[o]);
        });
        Case { geometry, x, weights, dy, y, dx, dw }
    }

    /// Runs a kernel on memory that is full of NaN and compares.
    fn check(&self, name: &str, want: &[f64], bound: f64, run: impl FnOnce(&mut [f32]) -> Option<()>) {
        let mut got = vec![f32::NAN; want.len()];
        run(&mut got).expect("lengths fit");
        let rms = (want.iter().map(|x| x * x).sum::<f64>() / want.len() as f64).sqrt();
        for (at, (got, want)) in got.iter().zip(want).enumerate() {
            let error = (f64::from(*got) - want).abs();
            assert!(error <= bound * rms, "{name} {:?}: element {at} is {got}, not {want}", self.geometry);
        }
    }
}

#[test]
fn kernels_match_sums_in_f64() {
    for case in geometries().into_iter().map(Case::new) {
        let (geometry, weights) = (&case.geometry, &case.weights);
        for width in widths() {
            case.check("direct", &case.y, 2e-5, |out| {
                direct::convolve_with(width, geometry, &case.x, passing(weights), out)
            });
            case.check("direct gradient", &case.dx, 2e-5, |out| {
                direct::input_gradient_with(width, geometry, &case.dy, passing(weights), out)
            });
            if strided::fits(geometry) {
                case.check("strided gradient", &case.dx, 5e-5, |out| {
                    strided::input_gradient_with(width, geometry, &case.dy, passing(weights), out)
                });
            }
            check_linear(&case, width);
            if !winograd::fits(geometry) {
                continue;
            }
            let floats = Images::Floats(&case.x);
            case.check("winograd", &case.y, 5e-5, |out| {
                winograd::convolve_with(width, geometry, floats, passing(weights), false, out)
            });
            case.check("winograd gradient", &case.dx, 5e-5, |out| {
                let gradients = Images::Floats(&case.dy);
                winograd::convolve_with(width, &geometry.flipped(), gradients, passing(weights), true, out)
            });
            case.check("winograd weights", &case.dw, 5e-5, |out| {
                winograd::weight_gradient_with(width, geometry, floats, &case.dy, out)
            });
        }
    }
}

/// The kernels of linear maps, where they are meant for the shape.
fn check_linear(case: &Case, width: Width) {
    let geometry = &case.geometry;
    if dots::fits(geometry) {
        case.check("dots", &case.y, 2e-5, |out| dots::forward(width, geometry, &case.x, &case.weights, out));
    }
    if outer::fits(geometry) {
        case.check("outer", &case.dw, 2e-5, |out| outer::weight_gradient(width, geometry, &case.x, &case.dy, out));
    }
}

#[test]
fn linear_maps_match_sums_in_f64() {
    // Channels in several parts, none of which is a number of whole vectors; pixels in several panels; a single pixel.
    for (rows, channels) in [(5, [2050, 50]), (300, [67, 101]), (1, [784, 10]), (130, [33, 64])] {
        let geometry = geometry(rows, channels, [1, 1], KERNELS[2], 0).expect("a geometry");
        assert!(dots::fits(&geometry) || outer::fits(&geometry), "{geometry:?}");
        let case = Case::new(geometry);
        for width in widths() {
            check_linear(&case, width);
            let (x, dy, weights) = (&case.x, &case.dy, &case.weights);
            let mut out = vec![0.0; dy.len().max(weights.len()) + 1];
            assert!(dots::forward(width, &geometry, x, weights, &mut out).is_none(), "a wrong length");
            assert!(outer::weight_gradient(width, &geometry, x, dy, &mut out).is_none(), "a wrong length");
        }
    }
}

#[test]
fn gradients_of_strided_convolutions_have_small_errors() {
    let geometry = geometry(8, [16, 128], [15, 18], KERNELS[1], 1).expect("a geometry");
    let case = Case::new(geometry);
    let square = |x: f64| x * x;
    for width in widths() {
        let mut errors = Vec::new();
        case.check("strided gradient", &case.dx, 1.2e-5, |out| {
            strided::input_gradient_with(width, &geometry, &case.dy, passing(&case.weights), out)?;
            errors = out.iter().zip(&case.dx).map(|(got, want)| square(f64::from(*got) - want)).collect();
            Some(())
        });
        let ratio = (errors.iter().sum::<f64>() / case.dx.iter().map(|x| square(*x)).sum::<f64>()).sqrt();
        assert!(ratio <= 1.1e-6, "{width:?}: {ratio:e}");
    }
}

#[test]
fn packed_numbers_give_what_floats_give() {
    for (at, geometry) in geometries().into_iter().filter(winograd::fits).enumerate() {
        let planes = [1, 3, 2][at % 3];
        let (x, words) = counts(&numbers(geometry.rows * geometry.input_len(), 1), geometry.cin, planes);
        let images = [Images::Floats(&x), Images::Spikes(bits(&words, geometry.cin, planes))];
        let weights = numbers(geometry.cin * geometry.cout * 9, 2);
        let dy = numbers(geometry.pixels() * geometry.cout, 3);
        for width in widths() {
            let convolve = |images| {
                let mut out = vec![f32::NAN; dy.len()];
                winograd::convolve_with(width, &geometry, images, passing(&weights), false, &mut out)
                    .expect("lengths fit");
                out
            };
            let weight_gradient = |images| {
                let mut out = vec![f32::NAN; weights.len()];
                winograd::weight_gradient_with(width, &geometry, images, &dy, &mut out).expect("lengths fit");
                out
            };
            let [floats, packed] = images.map(convolve);
            assert!(floats == packed, "{width:?} {geometry:?}");
            let [floats, packed] = images.map(weight_gradient);
            assert!(floats == packed, "{width:?} {geometry:?}");
        }
    }
}

#[test]
fn gradients_of_weights_are_summed_over_blocks_of_tiles() {
    // 270 tiles, so three blocks, and channels that fill a group of vectors and some of the next.
    let geometry = geometry(6, [19, 70], [17, 33], KERNELS[0], 1).expect("a geometry");
    let case = Case::new(geometry);
    for width in widths() {
        case.check("winograd weights", &case.dw, 5e-5, |out| {
            winograd::weight_gradient_with(width, &geometry, Images::Floats(&case.x), &case.dy, out)
        });
    }
}

#[test]
fn wrong_lengths_and_shapes_are_refused() {
    let fits = geometry(2, [3, 4], [6, 6], ([3, 3], [1, 1], 1), 1).expect("a geometry");
    let x = numbers(fits.rows * fits.input_len(), 1);
    let weights = numbers(3 * 4 * 9, 2);
    let mut out = vec![0.0; fits.pixels() * 4];
    let mut kernels = weights.clone();
    let width = Width::native();
    let convolve = |geometry: &Geometry, x, weights: &[f32], flipped, out: &mut [f32]| {
        winograd::convolve_with(width, geometry, x, passing(weights), flipped, out)
    };
    let gradient = |geometry: &Geometry, x, dy: &[f32], out: &mut [f32]| {
        winograd::weight_gradient_with(width, geometry, x, dy, out)
    };
    let strided = geometry(2, [3, 4], [6, 6], ([3, 3], [2, 2], 1), 1).expect("a geometry");
    assert!(!winograd::fits(&strided));
    let (floats, short) = (Images::Floats(&x), Images::Floats(&x[1..]));
    assert!(convolve(&fits, floats, &weights, false, &mut out).is_some());
    assert!(convolve(&fits, short, &weights, false, &mut out).is_none());
    assert!(convolve(&fits, floats, &weights[1..], true, &mut out).is_none());
    assert!(convolve(&fits, floats, &weights, false, &mut out[1..]).is_none());
    assert!(convolve(&strided, floats, &weights, false, &mut vec![0.0; strided.pixels() * 4]).is_none());
    assert!(gradient(&fits, floats, &out, &mut kernels).is_some());
    assert!(gradient(&fits, short, &out, &mut kernels).is_none());
    assert!(gradient(&fits, floats, &out[1..], &mut kernels).is_none());
    assert!(gradient(&fits, floats, &out, &mut kernels[1..]).is_none());
    let words = vec![0; fits.rows * 36];
    let packed = bits(&words, 3, 1);
    assert!(gradient(&fits, Images::Spikes(packed), &out, &mut kernels).is_some());
    for wrong in [Bits { data: &words[1..], ..packed }, Bits { words: 2, ..packed }, Bits { planes: 2, ..packed }] {
        assert!(gradient(&fits, Images::Spikes(wrong), &out, &mut kernels).is_none());
    }
    assert!(direct::convolve_with(width, &fits, &x, passing(&weights), &mut out).is_some());
    assert!(direct::convolve_with(width, &fits, &x[1..], passing(&weights), &mut out).is_none());
    assert!(direct::convolve_with(width, &Geometry { groups: 2, ..fits }, &x, passing(&weights), &mut out).is_none());
    assert!(direct::input_gradient_with(width, &fits, &out, passing(&weights[1..]), &mut x.clone()).is_none());
    let (dy, mut dx) = (vec![0.0; strided.pixels() * 4], vec![0.0; x.len()]);
    let back = |geometry: &Geometry, dy: &[f32], weights: &[f32], dx: &mut [f32]| {
        strided::input_gradient_with(width, geometry, dy, passing(weights), dx)
    };
    assert!(back(&strided, &dy, &weights, &mut dx).is_some());
    assert!(back(&strided, &dy[1..], &weights, &mut dx).is_none());
    assert!(back(&strided, &dy, &weights[1..], &mut dx).is_none());
    assert!(back(&strided, &dy, &weights, &mut dx[1..]).is_none());
    assert!(back(&Geometry { stride: [2, 1], ..strided }, &dy, &weights, &mut dx).is_none());
}

#[test]
fn no_images_have_no_gradient_of_weights() {
    let none = geometry(0, [3, 4], [6, 6], KERNELS[0], 1).expect("a geometry");
    let mut kernels = vec![f32::NAN; 3 * 4 * 9];
    winograd::weight_gradient_with(Width::native(), &none, Images::Floats(&[]), &[], &mut kernels)
        .expect("lengths fit");
    assert!(kernels.iter().all(|gradient| *gradient == 0.0));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    // Many tiles and few tiles with several panels, with both strides.
    let shapes = [
        (geometry(9, [20, 70], [17, 19], KERNELS[0], 1), true),
        (geometry(3, [20, 200], [8, 8], KERNELS[0], 1), true),
        (geometry(30, [70, 20], [17, 19], KERNELS[1], 1), false),
        (geometry(5, [200, 20], [17, 19], KERNELS[1], 0), false),
    ];
    for (geometry, is_winograd) in shapes {
        let geometry = geometry.expect("a geometry");
        let x = numbers(geometry.rows * geometry.input_len(), 1);
        let weights = numbers(geometry.cin * geometry.cout * geometry.taps(), 2);
        let dy = numbers(geometry.pixels() * geometry.cout, 3);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let width = Width::native();
            let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weights.len()]);
            let mut by_tiles = vec![0.0; x.len()];
            pool.install(|| {
                if is_winograd {
                    let gradients = Images::Floats(&dy);
                    winograd::convolve_with(width, &geometry, Images::Floats(&x), passing(&weights), false, &mut y)?;
                    winograd::convolve_with(width, &geometry.flipped(), gradients, passing(&weights), true, &mut dx)?;
                    winograd::weight_gradient_with(width, &geometry, Images::Floats(&x), &dy, &mut dw)
                } else {
                    direct::convolve_with(width, &geometry, &x, passing(&weights), &mut y)?;
                    direct::input_gradient_with(width, &geometry, &dy, passing(&weights), &mut dx)?;
                    strided::input_gradient_with(width, &geometry, &dy, passing(&weights), &mut by_tiles)
                }
            })
            .expect("lengths fit");
            [y, dx, dw, by_tiles].map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let one = run(1);
        assert!(run(2) == one && run(5) == one, "{geometry:?}");
    }
}

#[test]
fn phases_are_all_pixels_of_the_input_once() {
    for geometry in geometries() {
        let mut count = vec![0; geometry.rows * geometry.input[0] * geometry.input[1]];
        for phase in lattice::Lattice::phases(&geometry) {
            (0..phase.pixels()).for_each(|pixel| count[phase.target(pixel)] += 1);
        }
        assert!(count.iter().all(|count| *count == 1), "{geometry:?}");
    }
}

/// The same results from copies that were kept, however often they are used, and none that belong to other weights.
#[test]
fn kept_copies_of_weights_change_no_bit() {
    // Many tiles and few tiles with several panels, with both strides.
    let shapes = [
        geometry(9, [20, 70], [17, 19], KERNELS[0], 1),
        geometry(3, [20, 200], [8, 8], KERNELS[0], 1),
        geometry(30, [70, 20], [17, 19], KERNELS[1], 1),
        geometry(5, [200, 20], [17, 19], KERNELS[1], 0),
    ];
    let width = Width::native();
    for geometry in shapes.map(|geometry| geometry.expect("a geometry")) {
        let x = numbers(geometry.rows * geometry.input_len(), 1);
        let dy = numbers(geometry.pixels() * geometry.cout, 3);
        let run = |weights: &[f32], kept: [Option<&mut Prepared>; 3]| {
            let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()]);
            let mut by_tiles = vec![f32::NAN; x.len()];
            let [there, back, tiles] = kept.map(|kept| Weights::new(weights, kept));
            if winograd::fits(&geometry) {
                let (flipped, gradients) = (geometry.flipped(), Images::Floats(&dy));
                winograd::convolve_with(width, &geometry, Images::Floats(&x), there, false, &mut y)?;
                winograd::convolve_with(width, &flipped, gradients, back, true, &mut dx)?;
            } else {
                direct::convolve_with(width, &geometry, &x, there, &mut y)?;
                direct::input_gradient_with(width, &geometry, &dy, back, &mut dx)?;
                strided::input_gradient_with(width, &geometry, &dy, tiles, &mut by_tiles)?;
            }
            Some([y, dx, by_tiles].map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>()))
        };
        let [first, second] = [2, 4].map(|seed| numbers(geometry.cin * geometry.cout * geometry.taps(), seed));
        let mut kept = [(); 3].map(|()| Prepared::default());
        for weights in [&first, &first, &second, &first] {
            let want = run(weights, [None, None, None]).expect("lengths fit");
            kept.iter_mut().for_each(Prepared::forget);
            for _ in 0..2 {
                let got = run(weights, kept.each_mut().map(Some)).expect("lengths fit");
                assert!(got == want, "{geometry:?}");
            }
        }
        let want = run(&first, [None, None, None]).expect("lengths fit");
        let got = run(&second, kept.each_mut().map(Some)).expect("lengths fit");
        assert!(got == want, "what is kept is used: {geometry:?}");
    }
}

//! Accuracy and special cases of the expansions, against `libm` on deterministic grids.
//!
//! The bounds are those that `snn_loops::expand` documents. The tests must never know how an expansion works.

use snn_loops::interp::{Memory, run};
use snn_loops::{
    Access, Dtype, Expr, Extent, Ix, Kernel, LoopKind, NestBuilder, Program, RandomKey, Role, Val, expand,
};

type Unary = fn(&mut NestBuilder, Dtype, Val) -> Val;
/// Arguments with their results.
type Points<'a> = &'a [(f64, f64)];

/// Runs `f(a[i], b[i])` for all `i`.
fn evaluate(dtype: Dtype, f: impl Fn(&mut NestBuilder, Val, Val) -> Val, inputs: &[(f64, f64)]) -> Vec<f64> {
    let mut program = Program::new(dtype);
    let [a, b] = ["a", "b"].map(|name| program.add_buffer(name, inputs.len(), Role::Input));
    let out = program.add_buffer("out", inputs.len(), Role::Output);
    let mut nest = NestBuilder::new("f");
    let i = nest.fresh_var();
    nest.open(i, Extent::Fixed(inputs.len()), LoopKind::Parallel);
    let x = nest.define(Expr::Load(Access::new(a, Ix::var(i))));
    let y = nest.define(Expr::Load(Access::new(b, Ix::var(i))));
    let z = f(&mut nest, x, y);
    nest.store(Access::new(out, Ix::var(i)), z);
    let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
    program.launches.push(snn_loops::Launch::Run(kernel));
    snn_loops::verify::verify(&program).unwrap();

    let mut memory = Memory::new(&program);
    memory.write(a, &inputs.iter().map(|p| p.0).collect::<Vec<_>>()).unwrap();
    memory.write(b, &inputs.iter().map(|p| p.1).collect::<Vec<_>>()).unwrap();
    run(&program, &mut memory, RandomKey::default()).unwrap();
    memory.buffer(out).to_vec()
}

fn round(dtype: Dtype, x: f64) -> f64 {
    if dtype == Dtype::F32 { f64::from(x as f32) } else { x }
}

/// The distance from `x` to the next number of the type away from zero.
fn ulp(dtype: Dtype, x: f64) -> f64 {
    let (bits, smallest) = if dtype == Dtype::F32 { (23, -149) } else { (52, -1074) };
    if x == 0.0 {
        return libm::ldexp(1.0, smallest);
    }
    libm::ldexp(1.0, (libm::ilogb(x) - bits).max(smallest))
}

/// Points of the type that cover `low..high` evenly, in an order and at places that depend on nothing.
fn grid(dtype: Dtype, low: f64, high: f64, n: usize) -> Vec<f64> {
    let golden = 0.618_033_988_749_894_9;
    (0..n).map(|i| round(dtype, low + (high - low) * (i as f64 * golden).fract())).collect()
}

/// Points of both signs that cover the binary exponents from `low` to `high` evenly.
fn exponents(dtype: Dtype, low: f64, high: f64, n: usize) -> Vec<f64> {
    let magnitudes = grid(Dtype::F64, low, high, n).into_iter().map(|e| round(dtype, libm::exp2(e)));
    magnitudes.enumerate().map(|(i, x)| if i % 2 == 0 { x } else { -x }).collect()
}

struct Case {
    name: &'static str,
    expansion: Unary,
    reference: fn(f64) -> f64,
    /// Domain of the even grid.
    range: [(f64, f64); 2],
    /// Domain of the grid of exponents.
    exponents: [(f64, f64); 2],
    /// Bound in ulp.
    ulps: f64,
    /// Absolute error that is always allowed.
    absolute: [f64; 2],
}

const CASES: &[Case] = &[
    Case {
        name: "exp",
        expansion: expand::exp,
        reference: libm::exp,
        range: [(-105.0, 88.7), (-746.0, 709.7)],
        exponents: [(-149.0, 6.0), (-1070.0, 9.0)],
        ulps: 1.0,
        absolute: [0.0, 0.0],
    },
    Case {
        name: "log",
        expansion: expand::log,
        reference: libm::log,
        range: [(0.5, 2.0), (0.5, 2.0)],
        exponents: [(-149.0, 128.0), (-1074.0, 1024.0)],
        ulps: 1.0,
        absolute: [0.0, 0.0],
    },
    Case {
        name: "sin",
        expansion: expand::sin,
        reference: libm::sin,
        range: [(-7.0, 7.0), (-7.0, 7.0)],
        exponents: [(-30.0, 16.6), (-60.0, 16.6)],
        ulps: 2.5,
        absolute: [1e-9, 1e-18],
    },
    Case {
        name: "cos",
        expansion: expand::cos,
        reference: libm::cos,
        range: [(-7.0, 7.0), (-7.0, 7.0)],
        exponents: [(-30.0, 16.6), (-60.0, 16.6)],
        ulps: 2.5,
        absolute: [1e-9, 1e-18],
    },
    Case {
        name: "tanh",
        expansion: expand::tanh,
        reference: libm::tanh,
        range: [(-5.0, 5.0), (-20.0, 20.0)],
        exponents: [(-149.0, 127.0), (-1074.0, 1023.0)],
        ulps: 3.0,
        absolute: [0.0, 0.0],
    },
    Case {
        name: "sigmoid",
        expansion: expand::sigmoid,
        reference: |x| if x < 0.0 { libm::exp(x) / (1.0 + libm::exp(x)) } else { 1.0 / (1.0 + libm::exp(-x)) },
        range: [(-88.0, 30.0), (-708.0, 60.0)],
        exponents: [(-30.0, 6.0), (-60.0, 9.0)],
        ulps: 3.0,
        absolute: [0.0, 0.0],
    },
    Case {
        name: "erf",
        expansion: expand::erf,
        reference: libm::erf,
        range: [(-4.5, 4.5), (-6.5, 6.5)],
        exponents: [(-149.0, 127.0), (-1022.0, 1023.0)],
        ulps: 1.5,
        absolute: [0.0, 0.0],
    },
];

#[test]
fn errors_stay_within_the_documented_bounds() {
    for (dtype, at) in [(Dtype::F32, 0), (Dtype::F64, 1)] {
        for case in CASES {
            let mut points = grid(dtype, case.range[at].0, case.range[at].1, 60_000);
            points.extend(exponents(dtype, case.exponents[at].0, case.exponents[at].1, 60_000));
            let pairs: Vec<_> = points.iter().map(|x| (*x, 0.0)).collect();
            let got = evaluate(dtype, |b, x, _| (case.expansion)(b, dtype, x), &pairs);
            let (mut worst, mut worst_at) = (0.0, 0.0);
            for (x, got) in points.iter().zip(got) {
                let want = (case.reference)(*x);
                if round(dtype, want) == got || (want.is_nan() && got.is_nan()) {
                    continue;
                }
                let error = (got - want).abs();
                assert!(error.is_finite(), "{} {dtype:?} at {x:e}: {got:e}, not {want:e}", case.name);
                if error > case.absolute[at] && error / ulp(dtype, want) > worst {
                    (worst, worst_at) = (error / ulp(dtype, want), *x);
                }
            }
            println!("{} {}: {worst:.3} ulp at {worst_at:e}", case.name, dtype.name());
            assert!(worst <= case.ulps, "{} {dtype:?} at {worst_at:e}: {worst} ulp", case.name);
        }
    }
}

#[test]
fn special_values() {
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    let table: &[(&str, Unary, Points)] = &[
        (
            "exp",
            expand::exp,
            &[(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e30, INF), (-1e30, 0.0), (NAN, NAN)],
        ),
        (
            "log",
            expand::log,
            &[(0.0, -INF), (-0.0, -INF), (-1.0, NAN), (-INF, NAN), (1.0, 0.0), (INF, INF), (NAN, NAN)],
        ),
        ("sin", expand::sin, &[(0.0, 0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)]),
        ("cos", expand::cos, &[(0.0, 1.0), (INF, NAN), (-INF, NAN), (NAN, NAN)]),
        ("tanh", expand::tanh, &[(0.0, 0.0), (INF, 1.0), (-INF, -1.0), (1e30, 1.0), (NAN, NAN)]),
        ("sigmoid", expand::sigmoid, &[(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-1e30, 0.0), (1e30, 1.0), (NAN, NAN)]),
        ("erf", expand::erf, &[(0.0, 0.0), (INF, 1.0), (-INF, -1.0), (1e30, 1.0), (NAN, NAN)]),
    ];
    for dtype in [Dtype::F32, Dtype::F64] {
        for (name, expansion, cases) in table {
            let pairs: Vec<_> = cases.iter().map(|(x, _)| (*x, 0.0)).collect();
            let got = evaluate(dtype, |b, x, _| expansion(b, dtype, x), &pairs);
            for ((x, want), got) in cases.iter().zip(got) {
                assert!(got == *want || (got.is_nan() && want.is_nan()), "{name}({x}) in {dtype:?}: {got}, not {want}");
            }
        }
    }
}

#[test]
fn circular_functions_stay_bounded_beyond_their_domain() {
    for dtype in [Dtype::F32, Dtype::F64] {
        let points: Vec<_> = exponents(dtype, 17.0, 127.0, 4_000).into_iter().map(|x| (x, 0.0)).collect();
        for f in [expand::sin, expand::cos] {
            let got = evaluate(dtype, |b, x, _| f(b, dtype, x), &points);
            assert!(got.iter().all(|y| y.abs() <= 1.0), "{dtype:?}");
        }
    }
}

#[test]
fn pow_special_values() {
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    let cases = [
        (2.0, 0.0, 1.0),
        (NAN, 0.0, 1.0),
        (0.0, 0.0, 1.0),
        (INF, 0.0, 1.0),
        (1.0, NAN, 1.0),
        (1.0, INF, 1.0),
        (-1.0, INF, 1.0),
        (0.0, 2.5, 0.0),
        (-0.0, 3.0, 0.0),
        (0.0, -1.0, INF),
        (-0.0, -1.0, INF),
        (INF, 0.5, INF),
        (INF, -0.5, 0.0),
        (2.0, INF, INF),
        (0.5, INF, 0.0),
        (-8.0, 0.5, NAN),
        (-1.0, 3.0, -1.0),
        (-1.0, 4.0, 1.0),
        (-INF, 3.0, -INF),
        (-2.0, NAN, NAN),
        (2.0, NAN, NAN),
        (NAN, 2.0, NAN),
    ];
    for dtype in [Dtype::F32, Dtype::F64] {
        let pairs = cases.map(|(x, y, _)| (x, y));
        let got = evaluate(dtype, |b, x, y| expand::pow(b, dtype, x, y), &pairs);
        for ((x, y, want), got) in cases.iter().zip(got) {
            assert!(got == *want || (got.is_nan() && want.is_nan()), "{x}^{y} in {dtype:?}: {got}, not {want}");
        }
    }
}

#[test]
fn pow_error_grows_with_the_logarithm_only() {
    for dtype in [Dtype::F32, Dtype::F64] {
        let epsilon = if dtype == Dtype::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON } / 2.0;
        let limit = if dtype == Dtype::F32 { 80.0 } else { 700.0 };
        let xs = grid(dtype, 1e-3, 50.0, 20_000);
        let ys = exponents(dtype, -6.0, 6.0, 20_000);
        let pairs: Vec<_> = xs.into_iter().zip(ys).filter(|(x, y)| (y * libm::log(*x)).abs() < limit).collect();
        let got = evaluate(dtype, |b, x, y| expand::pow(b, dtype, x, y), &pairs);
        let mut worst: f64 = 0.0;
        for ((x, y), got) in pairs.iter().zip(got) {
            let want = libm::pow(*x, *y);
            let units = (got / want - 1.0).abs() / epsilon;
            worst = worst.max(units / (3.0 + 2.0 * (y * libm::log(*x)).abs()));
        }
        println!("pow {}: {worst:.3} of the bound", dtype.name());
        assert!(worst <= 1.0, "{dtype:?}: {worst} times the bound");
    }
}

#[test]
fn powi_multiplies() {
    let xs: Vec<_> = [0.0, 1.0, -1.5, 2.0, 3.0, f64::INFINITY].map(|x| (x, 0.0)).to_vec();
    for n in [-7, -2, -1, 0, 1, 2, 3, 5, 8, 13] {
        let got = evaluate(Dtype::F64, |b, x, _| expand::powi(b, x, n), &xs);
        for ((x, _), got) in xs.iter().zip(got) {
            let positive = (0..n.unsigned_abs()).fold(1.0, |product, _| product * x);
            let want = if n < 0 { 1.0 / positive } else { positive };
            assert_eq!(got, want, "{x}^{n}");
        }
    }
    let got = evaluate(Dtype::F32, |b, x, _| expand::powi(b, x, i32::MIN), &[(2.0, 0.0), (1.0, 0.0), (-1.0, 0.0)]);
    assert_eq!(got, [0.0, 1.0, 1.0]);
}

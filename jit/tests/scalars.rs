//! Every scalar instruction over edge values, where values are single, side by side in lanes, or shared by lanes: the bits
//! of the interpreter.

mod common;

use common::{DTYPES, all_options, assert_same, execute, interpret};
use snn_loops::scalar::ScalarType;
use snn_loops::{
    Access, BufferId, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Program, Role, Scalar, Val,
};

/// Values at which instructions are tempted to differ, and some ordinary ones.
fn edge_values(dtype: Dtype) -> Vec<f64> {
    let mut values = vec![0.0, 1.0, 0.5, 1.5, 2.0, 3.0, 0.1, 7.75, 100.0, 126.0, 127.0, 1e10, 8388607.5, 16777217.0];
    values.extend([
        f64::INFINITY,
        f64::NAN,
        f64::from(f32::MAX),
        f64::from(f32::MIN_POSITIVE),
        f64::from(f32::EPSILON),
    ]);
    values.extend([f64::from(f32::from_bits(1)), f64::from(f32::from_bits(0x7f_ffff)), 4503599627370497.5]);
    if dtype == Dtype::F64 {
        values.extend([f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), 1022.0, 1023.0, 4503599627370495.5]);
    }
    let negative: Vec<f64> = values.iter().map(|x| -x).collect();
    values.extend(negative);
    values
}

/// How the arguments of an instruction reach it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Position {
    /// One after the other.
    Single,
    /// All arguments have lanes.
    Lanes,
    /// Only the first argument has lanes.
    FirstLanes,
    /// Only the last argument has lanes.
    LastLanes,
}

/// `out[i, j] = op(x[i], x[j], x[i + j])`, masks being `x > 0.3`; the inner loop is over lanes as the position says.
fn program(op: Scalar, dtype: Dtype, position: Position, n: usize) -> (Program, BufferId) {
    let mut program = Program::new(dtype);
    let x = program.add_buffer("x", 2 * n, Role::Input);
    let out = program.add_buffer("out", n * n, Role::Output);
    let mut b = NestBuilder::new(op.name());
    let (outer, inner) = (b.fresh_var(), b.fresh_var());
    let kind = if position == Position::Single { LoopKind::Serial } else { LoopKind::Lanes };
    b.open(outer, Extent::Fixed(n), LoopKind::Parallel);
    b.open(inner, Extent::Fixed(n), kind);
    let (i, j) = (Ix::var(outer), Ix::var(inner));
    let both = i.plus(&j);
    let count = op.arguments().len();
    let args: Vec<Val> = (op.arguments().iter().enumerate())
        .map(|(at, ty)| {
            let has_lanes = match position {
                Position::Single => at == 0,
                Position::Lanes => true,
                Position::FirstLanes => at == 0,
                Position::LastLanes => at + 1 == count,
            };
            let index = match (has_lanes, at) {
                (true, 1) => both.offset(0),
                (true, _) => j.clone(),
                (false, _) => i.clone(),
            };
            let value = b.load(Access::new(x, index));
            match ty {
                ScalarType::Float => value,
                ScalarType::Mask => {
                    let threshold = b.constant(0.3);
                    b.scalar(Scalar::Lt, &[threshold, value])
                }
            }
        })
        .collect();
    let result = b.scalar(op, &args);
    let result = match op.result() {
        ScalarType::Float => result,
        ScalarType::Mask => {
            let (one, two) = (b.constant(1.0), b.constant(2.0));
            b.scalar(Scalar::Select, &[result, one, two])
        }
    };
    b.store(Access::new(out, i.times(n as i64).plus(&j)), result);
    let kernel = program.add_kernel(Kernel::Nest(b.finish()));
    program.launches.push(Launch::Run(kernel));
    (program, x)
}

#[test]
fn every_scalar_gives_the_bits_of_the_interpreter() {
    for dtype in DTYPES {
        let values = edge_values(dtype);
        let n = values.len();
        // Rotated by an odd number so that pairs of all values meet in the argument indexed by the sum.
        let input: Vec<f64> = values.iter().chain(values.iter().rev()).copied().collect();
        for op in Scalar::ALL {
            let unspecified = matches!(op, Scalar::Pow2 | Scalar::Exponent | Scalar::Mantissa);
            for position in [Position::Single, Position::Lanes, Position::FirstLanes, Position::LastLanes] {
                let (program, x) = program(*op, dtype, position, n);
                let inputs = [(x, input.clone())];
                let expected = interpret(&program, &inputs);
                let specified = expected[0].iter().filter(|value| !value.is_nan()).count();
                assert!(specified > n, "{op:?} is tested at {specified} values only");
                for options in all_options() {
                    let context = format!("{op:?} in {dtype:?}, {position:?}, {options:?}");
                    let skip = |expected: f64| unspecified && expected.is_nan();
                    assert_same(&execute(&program, &inputs, &options), &expected, skip, &context);
                }
            }
        }
    }
}

/// Selections of constant zeros have forms of their own.
#[test]
fn selecting_zeros_keeps_their_sign() {
    for dtype in DTYPES {
        let values = edge_values(dtype);
        let n = values.len();
        let mut program = Program::new(dtype);
        let x = program.add_buffer("x", n, Role::Input);
        let mut b = NestBuilder::new("zeros");
        let var = b.fresh_var();
        b.open(var, Extent::Fixed(n), LoopKind::Lanes);
        let value = b.load(Access::new(x, Ix::var(var)));
        let one = b.constant(1.0);
        let mask = b.scalar(Scalar::Lt, &[value, one]);
        for zero in [0.0, -0.0] {
            let zero = b.constant(zero);
            for args in [[mask, value, zero], [mask, zero, value], [mask, zero, zero]] {
                let out = program.add_buffer("out", n, Role::Output);
                let result = b.scalar(Scalar::Select, &args);
                b.store(Access::new(out, Ix::var(var)), result);
            }
        }
        let kernel = program.add_kernel(Kernel::Nest(b.finish()));
        program.launches.push(Launch::Run(kernel));
        common::assert_equals_interpreter(&program, &[(x, values)], "zeros");
    }
}

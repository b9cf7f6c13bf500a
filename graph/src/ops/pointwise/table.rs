//! The table of pointwise functions: one row each.
//!
//! Reference values come from the `libm` crate, never from the machine's mathematics library.

use snn_loops::{Dtype, NestBuilder, Scalar, Val, expand};

use super::Function;
use super::derivatives::{self, Derivative};
use super::kinds::{self, KindRule};
use crate::ty::Kind;

/// How a function is computed at one point.
#[derive(Clone, Copy)]
pub(super) enum Emit {
    /// One instruction.
    Scalar(Scalar),
    /// A fixed list of instructions.
    Unary(fn(&mut NestBuilder, Dtype, Val) -> Val),
    /// A fixed list of instructions.
    Binary(fn(&mut NestBuilder, Dtype, Val, Val) -> Val),
    /// Repeated multiplication.
    Power,
}

/// What is known about a function.
pub(super) struct Row {
    /// The name in printed graphs.
    pub(super) name: &'static str,
    /// Kind of the result.
    pub(super) kind: KindRule,
    /// Derivatives by operand; `None` where there is none or where it is zero everywhere.
    pub(super) derivatives: [Option<Derivative>; 3],
    /// How it is computed.
    pub(super) emit: Emit,
    /// Its value; operands that do not exist are 0, the last argument is the constant exponent.
    pub(super) reference: fn([f64; 3], i32) -> f64,
    /// Kinds of the operands in samples.
    pub(super) operands: &'static [Kind],
    /// Ranges of the operands in samples, away from poles; their number is the arity.
    pub(super) ranges: &'static [(f64, f64)],
}

const NUMBER: &[Kind] = &[Kind::Real];
const NUMBERS: &[Kind] = &[Kind::Real, Kind::Real];
const TRUTHS: &[Kind] = &[Kind::Truth, Kind::Truth];
const ANY: (f64, f64) = (-1.0, 1.0);
const POSITIVE: (f64, f64) = (0.5, 2.0);
const NO_DERIVATIVE: [Option<Derivative>; 3] = [None, None, None];

const fn one(x: Derivative) -> [Option<Derivative>; 3] {
    [Some(x), None, None]
}

const fn two(x: Derivative, y: Derivative) -> [Option<Derivative>; 3] {
    [Some(x), Some(y), None]
}

/// The row of a function.
#[rustfmt::skip]
pub(super) const fn row(function: Function) -> &'static Row {
    match function {
        Function::Add => const { &Row {
            name: "add", kind: kinds::sum, operands: NUMBERS, ranges: &[ANY, ANY],
            derivatives: two(|c| Ok(c.upstream), |c| Ok(c.upstream)),
            emit: Emit::Scalar(Scalar::Add), reference: |[x, y, _], _| x + y,
        } },
        Function::Sub => const { &Row {
            name: "sub", kind: kinds::real, operands: NUMBERS, ranges: &[ANY, ANY],
            derivatives: two(|c| Ok(c.upstream), |c| c.graph.neg(c.upstream)),
            emit: Emit::Scalar(Scalar::Sub), reference: |[x, y, _], _| x - y,
        } },
        Function::Mul => const { &Row {
            name: "mul", kind: kinds::product, operands: NUMBERS, ranges: &[ANY, ANY],
            derivatives: two(|c| c.times(c.y), |c| c.times(c.x)),
            emit: Emit::Scalar(Scalar::Mul), reference: |[x, y, _], _| x * y,
        } },
        Function::Div => const { &Row {
            name: "div", kind: kinds::quotient, operands: NUMBERS, ranges: &[ANY, POSITIVE],
            derivatives: two(|c| c.over(c.y), derivatives::divisor),
            emit: Emit::Scalar(Scalar::Div), reference: |[x, y, _], _| x / y,
        } },
        Function::Neg => const { &Row {
            name: "neg", kind: kinds::negative, operands: NUMBER, ranges: &[ANY],
            derivatives: one(|c| c.graph.neg(c.upstream)),
            emit: Emit::Scalar(Scalar::Neg), reference: |[x, ..], _| -x,
        } },
        Function::Abs => const { &Row {
            name: "abs", kind: kinds::kept, operands: NUMBER, ranges: &[ANY],
            derivatives: one(derivatives::sign),
            emit: Emit::Scalar(Scalar::Abs), reference: |[x, ..], _| x.abs(),
        } },
        Function::Sqrt => const { &Row {
            name: "sqrt", kind: kinds::real, operands: NUMBER, ranges: &[POSITIVE],
            derivatives: one(derivatives::square_root),
            emit: Emit::Scalar(Scalar::Sqrt), reference: |[x, ..], _| x.sqrt(),
        } },
        Function::Floor => const { &Row {
            name: "floor", kind: kinds::kept, operands: NUMBER, ranges: &[(-1.9, 1.9)],
            derivatives: NO_DERIVATIVE,
            emit: Emit::Scalar(Scalar::Floor), reference: |[x, ..], _| x.floor(),
        } },
        Function::Exp => const { &Row {
            name: "exp", kind: kinds::real, operands: NUMBER, ranges: &[ANY],
            derivatives: one(|c| c.times(c.value)),
            emit: Emit::Unary(expand::exp), reference: |[x, ..], _| libm::exp(x),
        } },
        Function::Log => const { &Row {
            name: "log", kind: kinds::real, operands: NUMBER, ranges: &[POSITIVE],
            derivatives: one(|c| c.over(c.x)),
            emit: Emit::Unary(expand::log), reference: |[x, ..], _| libm::log(x),
        } },
        Function::Sin => const { &Row {
            name: "sin", kind: kinds::real, operands: NUMBER, ranges: &[(-4.0, 4.0)],
            derivatives: one(|c| { let cos = c.of(Function::Cos)?; c.times(cos) }),
            emit: Emit::Unary(expand::sin), reference: |[x, ..], _| libm::sin(x),
        } },
        Function::Cos => const { &Row {
            name: "cos", kind: kinds::real, operands: NUMBER, ranges: &[(-4.0, 4.0)],
            derivatives: one(|c| { let sin = c.of(Function::Sin)?; let part = c.times(sin)?; c.graph.neg(part) }),
            emit: Emit::Unary(expand::cos), reference: |[x, ..], _| libm::cos(x),
        } },
        Function::Tanh => const { &Row {
            name: "tanh", kind: kinds::real, operands: NUMBER, ranges: &[(-2.0, 2.0)],
            derivatives: one(derivatives::hyperbolic),
            emit: Emit::Unary(expand::tanh), reference: |[x, ..], _| libm::tanh(x),
        } },
        Function::Sigmoid => const { &Row {
            name: "sigmoid", kind: kinds::real, operands: NUMBER, ranges: &[(-2.0, 2.0)],
            derivatives: one(derivatives::logistic),
            emit: Emit::Unary(expand::sigmoid), reference: |[x, ..], _| 1.0 / (1.0 + libm::exp(-x)),
        } },
        Function::Erf => const { &Row {
            name: "erf", kind: kinds::real, operands: NUMBER, ranges: &[(-2.0, 2.0)],
            derivatives: one(derivatives::gaussian),
            emit: Emit::Unary(expand::erf), reference: |[x, ..], _| libm::erf(x),
        } },
        Function::Pow => const { &Row {
            name: "pow", kind: kinds::real, operands: NUMBERS, ranges: &[POSITIVE, (-2.0, 2.0)],
            derivatives: two(derivatives::base, derivatives::exponent),
            emit: Emit::Binary(expand::pow), reference: |[x, y, _], _| libm::pow(x, y),
        } },
        Function::Powi(_) => const { &Row {
            name: "powi", kind: kinds::real, operands: NUMBER, ranges: &[POSITIVE],
            derivatives: one(derivatives::constant_power),
            emit: Emit::Power, reference: |[x, ..], n| libm::pow(x, f64::from(n)),
        } },
        Function::Minimum => const { &Row {
            name: "minimum", kind: kinds::either, operands: NUMBERS, ranges: &[ANY, ANY],
            derivatives: two(|c| c.winner(c.x, c.y), |c| c.winner(c.y, c.x)),
            emit: Emit::Scalar(Scalar::Min), reference: |[x, y, _], _| if x < y { x } else { y },
        } },
        Function::Maximum => const { &Row {
            name: "maximum", kind: kinds::either, operands: NUMBERS, ranges: &[ANY, ANY],
            derivatives: two(|c| c.winner(c.y, c.x), |c| c.winner(c.x, c.y)),
            emit: Emit::Scalar(Scalar::Max), reference: |[x, y, _], _| if x > y { x } else { y },
        } },
        Function::Lt => const { &Row {
            name: "lt", kind: kinds::comparison, operands: NUMBERS, ranges: &[ANY, ANY],
            derivatives: NO_DERIVATIVE,
            emit: Emit::Scalar(Scalar::Lt), reference: |[x, y, _], _| truth(x < y),
        } },
        Function::Le => const { &Row {
            name: "le", kind: kinds::comparison, operands: NUMBERS, ranges: &[ANY, ANY],
            derivatives: NO_DERIVATIVE,
            emit: Emit::Scalar(Scalar::Le), reference: |[x, y, _], _| truth(x <= y),
        } },
        Function::Eq => const { &Row {
            name: "eq", kind: kinds::comparison, operands: NUMBERS, ranges: &[ANY, ANY],
            derivatives: NO_DERIVATIVE,
            emit: Emit::Scalar(Scalar::Eq), reference: |[x, y, _], _| truth(x == y),
        } },
        Function::And => const { &Row {
            name: "and", kind: kinds::logic, operands: TRUTHS, ranges: &[ANY, ANY],
            derivatives: NO_DERIVATIVE,
            emit: Emit::Scalar(Scalar::And), reference: |[x, y, _], _| truth(x > 0.0 && y > 0.0),
        } },
        Function::Or => const { &Row {
            name: "or", kind: kinds::logic, operands: TRUTHS, ranges: &[ANY, ANY],
            derivatives: NO_DERIVATIVE,
            emit: Emit::Scalar(Scalar::Or), reference: |[x, y, _], _| truth(x > 0.0 || y > 0.0),
        } },
        Function::Not => const { &Row {
            name: "not", kind: kinds::logic, operands: &[Kind::Truth], ranges: &[ANY],
            derivatives: NO_DERIVATIVE,
            emit: Emit::Scalar(Scalar::Not), reference: |[x, ..], _| truth(x <= 0.0),
        } },
        Function::Where => const { &Row {
            name: "where", kind: kinds::choice,
            operands: &[Kind::Truth, Kind::Real, Kind::Real], ranges: &[ANY, ANY, ANY],
            derivatives: [None, Some(derivatives::chosen), Some(derivatives::not_chosen)],
            emit: Emit::Scalar(Scalar::Select), reference: |[x, y, z], _| if x > 0.0 { y } else { z },
        } },
    }
}

fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

//! The interpreter's meaning of every scalar instruction at the edges, as a table.
//!
//! A row is `types: instruction arguments = result`; `nan` also stands for results that are unspecified (the interpreter
//! makes them NaN). Zeros are compared with their sign. The table must never know an expansion or a back end.

use std::collections::BTreeSet;

use snn_loops::interp::scalar::{Value, apply};
use snn_loops::{Dtype, Scalar};

const TABLE: &str = "
both: add 0 -0 = 0
both: add -0 -0 = -0
both: add inf -inf = nan
both: add nan 1 = nan
f32: add 1 5.9604645e-8 = 1
f32: add 1.0000001 5.9604645e-8 = 1.0000002
f32: add 16777216 1 = 16777216
f64: add 16777216 1 = 16777217
f32: add 1e-45 1e-45 = 3e-45
f64: add 5e-324 5e-324 = 1e-323
f32: add 3.4028235e38 3.4028235e38 = inf
both: sub 1 1 = 0
both: sub -0 0 = -0
both: sub inf inf = nan
f32: sub 1.1754944e-38 1e-45 = 1.1754942e-38
both: mul 0 -1 = -0
both: mul inf 0 = nan
both: mul -inf 2 = -inf
f32: mul 0.1 0.1 = 0.010000001
f64: mul 0.1 0.1 = 0.010000000000000002
f32: mul 1e-20 1e-20 = 1e-40
f32: mul 1e-30 1e-30 = 0
f32: mul 1e-30 -1e-30 = -0
f32: mul 1e30 1e30 = inf
f64: mul 1e20 1e20 = 1e40
f64: mul 1e200 1e200 = inf
both: div 1 0 = inf
both: div 1 -0 = -inf
both: div 0 0 = nan
both: div inf inf = nan
both: div 1 inf = 0
f32: div 1 3 = 0.33333334
f64: div 1 3 = 0.3333333333333333
f32: div 1.1754944e-38 2 = 5.877472e-39
both: min 1 2 = 1
both: min nan 1 = 1
both: min 1 nan = nan
both: min 0 -0 = -0
both: min -0 0 = 0
both: min -inf 1 = -inf
both: max 1 2 = 2
both: max nan 1 = 1
both: max 1 nan = nan
both: max 0 -0 = -0
both: max -0 0 = 0
both: max inf 1 = inf
both: neg 0 = -0
both: neg -0 = 0
both: neg inf = -inf
both: neg nan = nan
f32: neg 1e-45 = -1e-45
both: abs -0 = 0
both: abs -inf = inf
both: abs nan = nan
f64: abs -5e-324 = 5e-324
both: sqrt 0 = 0
both: sqrt -0 = -0
both: sqrt -1 = nan
both: sqrt inf = inf
both: sqrt nan = nan
f32: sqrt 2 = 1.4142135
f64: sqrt 2 = 1.4142135623730951
f32: sqrt 1e-45 = 3.743392e-23
both: floor 2.5 = 2
both: floor -2.5 = -3
both: floor -0 = -0
both: floor 0.5 = 0
both: floor -inf = -inf
both: floor nan = nan
f32: floor -1e-45 = -1
both: pow2 0 = 1
both: pow2 10 = 1024
f32: pow2 -126 = 1.1754944e-38
f32: pow2 127 = 1.7014118e38
f32: pow2 128 = nan
f32: pow2 -127 = nan
f64: pow2 -1022 = 2.2250738585072014e-308
f64: pow2 1023 = 8.98846567431158e307
f64: pow2 1024 = nan
both: pow2 0.5 = nan
both: pow2 nan = nan
both: exponent 1 = 0
both: exponent 0.75 = -1
both: exponent 1000 = 9
f32: exponent 1.1754944e-38 = -126
f32: exponent 1e-45 = nan
f64: exponent 2.2250738585072014e-308 = -1022
f64: exponent 5e-324 = nan
both: exponent 0 = nan
both: exponent -1 = nan
both: exponent inf = nan
both: exponent nan = nan
both: mantissa 1 = 1
both: mantissa 0.75 = 1.5
both: mantissa 10 = 1.25
f32: mantissa 3.4028235e38 = 1.9999999
f32: mantissa 1e-45 = nan
both: mantissa 0 = nan
both: mantissa -1 = nan
both: mantissa inf = nan
both: lt 1 2 = true
both: lt 0 0 = false
both: lt -0 0 = false
both: lt nan 1 = false
both: lt 1 nan = false
both: lt -inf inf = true
f32: lt 0 1e-45 = true
both: le 1 1 = true
both: le -0 0 = true
both: le nan nan = false
both: le inf inf = true
both: eq 0 -0 = true
both: eq nan nan = false
both: eq inf inf = true
both: eq inf -inf = false
both: and true true = true
both: and true false = false
both: or false true = true
both: or false false = false
both: not true = false
both: not false = true
both: select true 1 nan = 1
both: select false 1 nan = nan
both: select true -0 0 = -0
";

fn parse(dtype: Dtype, text: &str) -> Value {
    match (text, dtype) {
        ("true", _) => Value::Mask(true),
        ("false", _) => Value::Mask(false),
        (number, Dtype::F32) => Value::Float(f64::from(number.parse::<f32>().unwrap())),
        (number, Dtype::F64) => Value::Float(number.parse().unwrap()),
    }
}

fn same(a: Value, b: Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        _ => a == b,
    }
}

#[test]
fn instructions_mean_what_the_table_says() {
    let mut seen = BTreeSet::new();
    for row in TABLE.lines().filter(|row| !row.is_empty()) {
        let (types, row_text) = row.split_once(": ").unwrap();
        let (left, want) = row_text.split_once(" = ").unwrap();
        let mut words = left.split(' ');
        let name = words.next().unwrap();
        let op = *Scalar::ALL.iter().find(|op| op.name() == name).unwrap();
        let arguments: Vec<&str> = words.collect();
        seen.insert(op);
        for dtype in [Dtype::F32, Dtype::F64].into_iter().filter(|d| types == "both" || types == d.name()) {
            let values: Vec<Value> = arguments.iter().map(|a| parse(dtype, a)).collect();
            let got = apply(dtype, op, &values).unwrap_or_else(|| panic!("{row}: not applicable"));
            assert!(same(got, parse(dtype, want)), "{row}: {got:?} in {}", dtype.name());
        }
    }
    let all: BTreeSet<Scalar> = Scalar::ALL.iter().copied().collect();
    assert_eq!(seen, all, "instructions without a row");
}

#[test]
fn wrong_arguments_give_no_result() {
    let (float, mask) = (Value::Float(1.0), Value::Mask(true));
    for op in Scalar::ALL {
        for arguments in [&[][..], &[mask, float], &[float, mask], &[float, float, float], &[mask, mask, mask]] {
            assert_eq!(apply(Dtype::F32, *op, arguments), None, "{} {arguments:?}", op.name());
        }
    }
}

//! Shape rules: the messages of users' mistakes, and the kinds of numbers that are inferred.

use std::rc::Rc;

use snn_graph::build::Built;
use snn_graph::ops::contract::{ConvOptions, Padding};
use snn_graph::ops::index::IndexAxis;
use snn_graph::ops::pointwise::Function;
use snn_graph::ops::reduce::Reducer;
use snn_graph::ops::{
    ArgMax, Broadcast, Constant, Fold, IndexOp, InputOp, ParamOp, Random, Reduce, Reshape, Running, Windows,
    WithGradient,
};
use snn_graph::{Axes, Graph, Kind, NodeId, Op, Ty};
use snn_loops::{ContractionKind, ConvShape, Distribution, WeightValues};

const STEPS: usize = 4;

fn input(graph: &mut Graph, ty: Ty) -> NodeId {
    graph.push(InputOp { name: "x".to_string(), ty }, &[]).unwrap()
}

fn spikes(dims: &[usize]) -> Ty {
    Ty::signal(true, dims).with_kind(Kind::Spikes)
}

fn axes(time: bool, batch: bool, dims: &[usize]) -> Axes {
    Axes { time, batch, dims: dims.to_vec() }
}

/// Applies an op to inputs of the given types.
fn apply(op: impl Into<Op>, inputs: &[Ty]) -> Result<Ty, String> {
    build(inputs, |graph, ids| graph.push(op, ids))
}

/// Builds something on inputs of the given types: its type, or the message.
fn build(inputs: &[Ty], build: impl FnOnce(&mut Graph, &[NodeId]) -> Built) -> Result<Ty, String> {
    let mut graph = Graph::new(STEPS);
    let ids: Vec<NodeId> = inputs.iter().map(|ty| input(&mut graph, ty.clone())).collect();
    let built = build(&mut graph, &ids);
    built.map(|id| graph.ty(id).clone()).map_err(|error| error.message)
}

fn pointwise(function: Function, inputs: &[Ty]) -> Result<Ty, String> {
    build(inputs, |graph, ids| graph.pointwise(function, ids))
}

#[test]
fn mistakes_are_explained() {
    let image = || Ty::signal(true, &[3, 8, 8]);
    let truth = || Ty::signal(true, &[3]).with_kind(Kind::Truth);
    let windows = |size, stride, pad| Windows { size, stride, pad, dilation: [1, 1], fill: 0.0 };
    let reduce = |reducer, axes| Reduce { reducer, axes };
    let constant = |time, dims: &[usize], n: usize| Constant { time, dims: dims.to_vec(), values: vec![0.5; n].into() };
    let contract = |dims: &[usize]| snn_graph::ops::Contract {
        planes: 1,
        shape: ConvShape::linear(2, 3),
        kind: ContractionKind::Forward,
        dims: dims.to_vec(),
        weights: WeightValues::Any,
    };
    let fold = Fold { size: [2, 2], stride: [2, 2], pad: [0, 0], dilation: [1, 1], input: [4, 4] };
    let cases: Vec<(Result<Ty, String>, &str)> = vec![
        (
            pointwise(Function::Add, &[Ty::signal(true, &[64, 32, 32]), Ty::signal(true, &[128, 16, 16])]),
            "[64, 32, 32] and [128, 16, 16] do not match at axis 0: 64 against 128",
        ),
        (
            pointwise(Function::Where, &[truth(), Ty::scalar(), Ty::fixed(&[3, 2])])
                .and_then(|_| pointwise(Function::Where, &[truth(), Ty::fixed(&[3, 2]), Ty::fixed(&[3, 4])])),
            "[3, 2] and [3, 4] do not match at axis 1: 2 against 4",
        ),
        (pointwise(Function::Add, &[Ty::scalar()]), "add takes 2 operands, not 1"),
        (pointwise(Function::Mul, &[truth(), image()]), "mul works on numbers, but this is a truth value"),
        (pointwise(Function::Lt, &[truth(), truth()]), "lt works on numbers, but this is a truth value"),
        (pointwise(Function::And, &[truth(), image()]), "and needs a truth value, but this is a number"),
        (pointwise(Function::Where, &[image(), image(), image()]), "where needs a truth value, but this is a number"),
        (pointwise(Function::Where, &[truth(), truth(), truth()]), "where works on numbers, but this is a truth value"),
        (
            apply(reduce(Reducer::Sum, axes(true, false, &[])), &[Ty::fixed(&[2])]),
            "sum over time of a value that does not change over time",
        ),
        (
            apply(reduce(Reducer::Max, axes(false, true, &[])), &[Ty::fixed(&[2])]),
            "max over the batch of a value that all samples share",
        ),
        (apply(reduce(Reducer::Sum, axes(false, false, &[3])), &[image()]), "[3, 8, 8] has no axis 3"),
        (
            apply(reduce(Reducer::Sum, axes(false, false, &[1, 1])), &[image()]),
            "sum needs each axis once, in ascending order, not [1, 1]",
        ),
        (apply(reduce(Reducer::Min, axes(false, false, &[])), &[image()]), "min needs an axis to go over"),
        (
            apply(reduce(Reducer::Sum, axes(false, false, &[0])), &[truth()]),
            "sum works on numbers, but this is a truth value",
        ),
        (apply(Reshape { dims: vec![5] }, &[Ty::fixed(&[2, 3])]), "[2, 3] has 6 elements, but [5] has 5"),
        (
            apply(Broadcast { ty: Ty::fixed(&[3]) }, &[Ty::signal(false, &[3])]),
            "a value that is static real [3] cannot be repeated to one that is static shared real [3]",
        ),
        (
            apply(windows([2, 2], [1, 1], [0, 0]), &[Ty::signal(true, &[8])]),
            "windows are taken of an image [channels, height, width], not of [8]",
        ),
        (apply(windows([2, 0], [1, 1], [0, 0]), &[image()]), "the size of a window must be at least 1"),
        (apply(windows([2, 2], [0, 1], [0, 0]), &[image()]), "the stride of a window must be at least 1"),
        (
            apply(windows([2, 11], [1, 1], [0, 1]), &[image()]),
            "a window of size 11 covers 11, more than the 10 that there are (padding included)",
        ),
        (
            apply(windows([2, 2], [1, 1], [usize::MAX, 1]), &[image()]),
            "18446744073709551615 is too large for the geometry of a window",
        ),
        (
            apply(fold, &[Ty::fixed(&[1, 2, 2, 3, 3])]),
            "patches of that geometry are [c, [2, 2, 2, 2]], not [1, 2, 2, 3, 3]",
        ),
        (
            apply(contract(&[3]), &[Ty::signal(true, &[4]), Ty::fixed(&[3, 2])]),
            "[4] and [3, 2] do not fit a contract that gives [3]",
        ),
        (
            apply(contract(&[1 << 20, 1 << 21]), &[Ty::signal(true, &[4]), Ty::fixed(&[3, 2])]),
            "the shape [1048576, 2097152] has too many elements",
        ),
        (apply(ArgMax {}, &[image()]), "argmax takes a vector [classes], not [3, 8, 8]"),
        (apply(constant(false, &[2, 2], 3), &[]), "a constant of shape [2, 2] cannot have 3 values"),
        (apply(constant(true, &[], 3), &[]), "a list over time needs 4 values, one for each step, not 3"),
        (apply(constant(false, &[0], 0), &[]), "the shape [0] has no elements"),
        (apply(IndexOp { axis: IndexAxis::Dim(0) }, &[]), "the shape [0] has no elements"),
        (
            apply(ParamOp { path: "w".to_string(), ty: Ty::signal(false, &[2]) }, &[]),
            "the parameter `w` cannot differ from sample to sample",
        ),
        (
            apply(Random { distribution: Distribution::Bernoulli(1.5), stream: 0, ty: Ty::scalar() }, &[]),
            "a probability lies between 0 and 1, 1.5 does not",
        ),
        (
            apply(WithGradient {}, &[Ty::signal(false, &[3]), Ty::signal(true, &[3]), Ty::scalar()]),
            "the value is static real [3], but its derivative is static shared real [], with respect to what is stepped real [3]",
        ),
        (
            apply(Running { path: "mu".to_string() }, &[Ty::fixed(&[1]), Ty::fixed(&[3])]),
            "the value is static shared real [1], which its running average, static shared real [3], cannot replace",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, Err(expected.to_string()));
    }
}

#[test]
fn mistakes_with_weights_are_explained() {
    let linear = |x: Ty, w: Ty| build(&[x, w], |graph, ids| graph.linear(ids[0], ids[1]));
    let conv = |x: Ty, w: Ty, options| build(&[x, w], |graph, ids| graph.conv(ids[0], ids[1], options));
    let plain = ConvOptions::default();
    let image = || Ty::signal(true, &[4, 8, 8]);
    let weight = |dims: &[usize]| Ty::fixed(dims);
    let cases = [
        (linear(image(), weight(&[10, 256])), "a linear map takes a vector [features], not [4, 8, 8]"),
        (linear(Ty::signal(true, &[256]), weight(&[10])), "the weight of a linear map is [outputs, inputs], not [10]"),
        (
            linear(Ty::signal(true, &[256]), weight(&[10, 512])),
            "the weight [10, 512] takes 512 inputs, but there are 256",
        ),
        (
            linear(Ty::signal(true, &[2]), Ty { time: true, ..weight(&[1, 2]) }),
            "a weight cannot change from one time step to the next",
        ),
        (
            linear(Ty::signal(true, &[2]), Ty { batch: true, ..weight(&[1, 2]) }),
            "a weight cannot differ from sample to sample",
        ),
        (
            conv(Ty::signal(true, &[4]), weight(&[1, 4, 3]), plain),
            "a convolution takes [channels, length] or [channels, height, width], not [4]",
        ),
        (
            conv(image(), weight(&[6, 4, 3]), plain),
            "the weight of a convolution over [4, 8, 8] is [outputs, inputs / groups, kh, kw], not [6, 4, 3]",
        ),
        (conv(image(), weight(&[6, 3, 3, 3]), plain), "the weight [6, 3, 3, 3] takes 3 channels, but there are 4"),
        (
            conv(image(), weight(&[6, 4, 3, 3]), ConvOptions { groups: 2, ..plain }),
            "the weight [6, 4, 3, 3] takes 4 channels, but there are 4 / 2 groups = 2",
        ),
        (
            conv(image(), weight(&[6, 4, 3, 3]), ConvOptions { groups: 3, ..plain }),
            "4 input channels do not divide into 3 groups",
        ),
        (
            conv(image(), weight(&[6, 1, 3, 3]), ConvOptions { groups: 4, ..plain }),
            "6 output channels do not divide into 4 groups",
        ),
        (
            conv(image(), weight(&[6, 4, 3, 3]), ConvOptions { groups: 0, ..plain }),
            "a convolution has at least 1 group",
        ),
        (
            conv(image(), weight(&[6, 4, 9, 3]), plain),
            "a kernel of size 9 covers 9, more than the 8 that there are (padding included)",
        ),
        (
            conv(image(), weight(&[6, 4, 3, 3]), ConvOptions { dilation: [4, 1], ..plain }),
            "a kernel of size 3 covers 9, more than the 8 that there are (padding included)",
        ),
        (
            conv(image(), weight(&[6, 4, 3, 3]), ConvOptions { stride: [1, 0], ..plain }),
            "the stride of a kernel must be at least 1",
        ),
        (
            conv(image(), weight(&[6, 4, 2, 2]), ConvOptions { padding: Padding::Same, ..plain }),
            "`same` padding needs a kernel of odd size, not 2",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, Err(expected.to_string()));
    }
}

#[test]
fn convolutions_have_the_shapes_of_their_geometry() {
    let conv = |x: &[usize], w: &[usize], options| {
        let inputs = [spikes(x), Ty::fixed(w)];
        build(&inputs, |graph, ids| graph.conv(ids[0], ids[1], options)).map(|ty| (ty.time, ty.batch, ty.dims))
    };
    let same = ConvOptions { padding: Padding::Same, ..ConvOptions::default() };
    let strided = ConvOptions { stride: [2, 2], ..same };
    let wide = ConvOptions { padding: Padding::Zeros([0, 2]), dilation: [1, 2], ..ConvOptions::default() };
    assert_eq!(conv(&[3, 32, 32], &[64, 3, 3, 3], same), Ok((true, true, vec![64, 32, 32])));
    assert_eq!(conv(&[3, 33, 32], &[64, 3, 3, 5], strided), Ok((true, true, vec![64, 17, 16])));
    assert_eq!(conv(&[3, 9, 9], &[2, 3, 3, 3], wide), Ok((true, true, vec![2, 7, 9])));
    assert_eq!(conv(&[3, 20], &[8, 3, 5], strided), Ok((true, true, vec![8, 10])));
}

#[test]
fn in_one_step_nothing_has_a_time_axis() {
    let stepped = Ty::signal(true, &[2]);
    let ops: [Op; 4] = [
        InputOp { name: "x".to_string(), ty: stepped.clone() }.into(),
        IndexOp { axis: IndexAxis::Time }.into(),
        Constant { time: true, dims: Vec::new(), values: Rc::from([0.0; STEPS]) }.into(),
        Random { distribution: Distribution::Normal, stream: 0, ty: stepped }.into(),
    ];
    for op in ops {
        assert!(Graph::new(STEPS).push(op.clone(), &[]).is_ok(), "{op:?}");
        let error = Graph::step_body(STEPS).push(op, &[]).unwrap_err();
        assert_eq!(error.message, "inside one step of a time loop nothing has a time axis");
    }
}

#[test]
fn kinds_are_inferred() {
    use Function::{Add, Div, Exp, Maximum, Mul, Neg, Sub, Where};
    let signal = |kind| Ty::signal(true, &[3, 2, 2]).with_kind(kind);
    let (spikes, scaled) = (signal(Kind::Spikes), signal(Kind::Scaled));
    let (counts, real) = (signal(Kind::Counts), signal(Kind::Real));
    let truth = signal(Kind::Truth);
    let (number, channels, one) = (Ty::scalar(), Ty::fixed(&[3, 1]), Ty::scalar().with_kind(Kind::Spikes));
    let weights = Ty::fixed(&[3, 2, 2]);
    let cases = [
        (Mul, vec![&spikes, &spikes], Kind::Spikes),
        (Mul, vec![&spikes, &one], Kind::Spikes),
        (Mul, vec![&spikes, &number], Kind::Scaled),
        (Mul, vec![&channels, &spikes], Kind::Scaled),
        (Mul, vec![&scaled, &channels], Kind::Scaled),
        (Mul, vec![&scaled, &spikes], Kind::Scaled),
        (Mul, vec![&spikes, &weights], Kind::Real),
        (Mul, vec![&spikes, &real], Kind::Real),
        (Mul, vec![&one, &channels], Kind::Real),
        (Mul, vec![&counts, &spikes], Kind::Counts),
        (Mul, vec![&counts, &number], Kind::Real),
        (Div, vec![&spikes, &number], Kind::Scaled),
        (Div, vec![&number, &spikes], Kind::Real),
        (Add, vec![&spikes, &spikes], Kind::Counts),
        (Add, vec![&counts, &spikes], Kind::Counts),
        (Add, vec![&scaled, &spikes], Kind::Real),
        (Sub, vec![&one, &spikes], Kind::Real),
        (Neg, vec![&spikes], Kind::Scaled),
        (Maximum, vec![&spikes, &spikes], Kind::Spikes),
        (Maximum, vec![&spikes, &counts], Kind::Counts),
        (Exp, vec![&spikes], Kind::Real),
        (Where, vec![&truth, &one, &spikes], Kind::Spikes),
        (Where, vec![&truth, &counts, &one], Kind::Counts),
        (Where, vec![&truth, &number, &one], Kind::Real),
    ];
    for (function, inputs, expected) in cases {
        let inputs: Vec<Ty> = inputs.into_iter().cloned().collect();
        let found = pointwise(function, &inputs).unwrap().kind;
        assert_eq!(found, expected, "{function:?} of {inputs:?}");
    }
}

#[test]
fn kinds_survive_pooling_and_not_reductions_that_mix() {
    let windows = |pad, fill| Windows { size: [2, 2], stride: [2, 2], pad, dilation: [1, 1], fill };
    let kind = |op: Op, ty: &Ty| apply(op, std::slice::from_ref(ty)).unwrap().kind;
    let image = spikes(&[3, 4, 4]);
    let reduce = |reducer| Op::from(Reduce { reducer, axes: axes(false, false, &[1]) });
    assert_eq!(kind(windows([0, 0], -1.0).into(), &image), Kind::Spikes);
    assert_eq!(kind(windows([1, 0], 0.0).into(), &image), Kind::Spikes);
    assert_eq!(kind(windows([1, 0], f64::NEG_INFINITY).into(), &image), Kind::Real);
    assert_eq!(kind(reduce(Reducer::Sum), &image), Kind::Counts);
    assert_eq!(kind(reduce(Reducer::Max), &image), Kind::Spikes);
    assert_eq!(kind(reduce(Reducer::Sum), &image.with_kind(Kind::Scaled)), Kind::Real);
    let constant = |value: f64| apply(Constant::scalar(value), &[]).unwrap().kind;
    assert_eq!([constant(1.0), constant(0.0), constant(2.0)], [Kind::Spikes, Kind::Spikes, Kind::Real]);
}

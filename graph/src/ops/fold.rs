//! `fold(y: [c, oh, ow, kh, kw]) -> [c, h, w]`: patches summed back into an image, the adjoint of [`Windows`].
//!
//! `x[c, i, j] = sum of y[c, oh, ow, kh, kw]` over all patches and elements with `oh * stride + kh * dilation - pad = i`
//! (and the same along the width). The derivative is [`Windows`] with `fill` 0.

use snn_loops::{Extent, Ix, LoopKind, Scalar, Val};

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::Windows;
use crate::ops::operands::{exactly, number};
use crate::ops::windows::{image_position, positions};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Sums patches. Index 0 of a pair is the height.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Height and width of a patch.
    pub size: [usize; 2],
    /// Distance between neighbouring patches.
    pub stride: [usize; 2],
    /// Rows and columns around the image; what falls on them is dropped.
    pub pad: [usize; 2],
    /// Distance between neighbouring elements of a patch.
    pub dilation: [usize; 2],
    /// Height and width of the image.
    pub input: [usize; 2],
}

/// Taps that are written out one by one; more become loops.
const UNROLLED_TAPS: usize = 64;

/// One patch element that may fall on an element of the image, along one axis.
struct Tap {
    window: Ix,
    element: Ix,
    /// Where one of these fails there is no such patch element.
    bounds: Vec<(Ix, i64)>,
}

impl Fold {
    /// Number of windows along one axis.
    fn windows(&self, axis: usize) -> Result<usize, ShapeError> {
        let geometry = [self.size[axis], self.stride[axis], self.pad[axis], self.dilation[axis]];
        positions("window", self.input[axis], geometry)
    }

    /// How many taps an element of the image has at most, along one axis.
    fn n_taps(&self, axis: usize) -> usize {
        if self.dilation[axis] == 1 { self.size[axis].div_ceil(self.stride[axis]) } else { self.size[axis] }
    }

    /// Tap number `tap` of the image's element `i`.
    fn tap(&self, emitter: &dyn Emitter, axis: usize, windows: usize, i: &Ix, tap: &Ix) -> Tap {
        let extent = |var| emitter.extent(var);
        let (size, stride) = (self.size[axis] as i64, self.stride[axis] as i64);
        let (pad, dilation) = (self.pad[axis] as i64, self.dilation[axis] as i64);
        let padded = i.offset(pad);
        if dilation == 1 {
            // Only elements congruent to i + pad modulo the stride can fall on i.
            let element = padded.modulo(stride, &extent).plus(&tap.times(stride));
            let window = padded.divide(stride, &extent).plus(&tap.times(-1));
            let bounds = vec![(element.clone(), size), (window.clone(), windows as i64)];
            return Tap { window, element, bounds };
        }
        // A multiple of the stride keeps the index from becoming negative.
        let shift = ((size - 1) * dilation).div_euclid(stride) + 1;
        let shifted = padded.plus(&tap.times(-dilation)).offset(shift * stride);
        let window = shifted.divide(stride, &extent).offset(-shift);
        let bounds = vec![(shifted.modulo(stride, &extent), 1), (window.clone(), windows as i64)];
        Tap { window, element: tap.clone(), bounds }
    }

    /// What the taps `h` and `w` of both axes add.
    fn load(&self, emitter: &mut dyn Emitter, at: &Point, h: &Ix, w: &Ix) -> Val {
        let [c, i, j] = &at.dims[..] else { return emitter.builder().constant(f64::NAN) };
        let [_, out_h, out_w, ..] = emitter.operand_ty(0).dims[..] else { return emitter.builder().constant(f64::NAN) };
        let row = self.tap(emitter, 0, out_h, i, h);
        let column = self.tap(emitter, 1, out_w, j, w);
        let dims = vec![c.clone(), row.window, column.window, row.element, column.element];
        let bounds = row.bounds.into_iter().chain(column.bounds).collect();
        emitter.operand_within(0, &Point { dims, ..at.clone() }, bounds, 0.0)
    }
}

impl OpRule for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn attributes(&self) -> String {
        let Fold { size, stride, pad, dilation, input } = self;
        format!("size={size:?} stride={stride:?} pad={pad:?} dilation={dilation:?} input={input:?}")
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Exact
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [y] = exactly("fold", inputs)?;
        number("fold", y)?;
        let expected = [self.windows(0)?, self.windows(1)?, self.size[0], self.size[1]];
        match y.dims[..] {
            [c, a, b, kh, kw] if [a, b, kh, kw] == expected => {
                let kind = if matches!(y.kind, Kind::Spikes | Kind::Counts) { Kind::Counts } else { Kind::Real };
                Ok(Ty { dims: vec![c, self.input[0], self.input[1]], kind, ..y.clone() })
            }
            _ => Err(ShapeError::new(format!("patches of that geometry are [c, {expected:?}], not {:?}", y.dims))),
        }
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        _node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        let Fold { size, stride, pad, dilation, input: _ } = *self;
        Ok(vec![Some(backward.graph.push(Windows { size, stride, pad, dilation, fill: 0.0 }, &[upstream])?)])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Window(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let items = context.view(inputs, 0).elements().into_iter().filter_map(|(place, value)| {
            let [c, out_h, out_w, kh, kw] = place.dims[..] else { return None };
            let row = image_position(out_h, kh, self.stride[0], self.dilation[0], self.pad[0]);
            let column = image_position(out_w, kw, self.stride[1], self.dilation[1], self.pad[1]);
            let (row, column) = (usize::try_from(row).ok()?, usize::try_from(column).ok()?);
            let inside = row < self.input[0] && column < self.input[1];
            inside.then(|| (place.with_dims(vec![c, row, column]), value))
        });
        context.gather(ty, 0.0, items, |a, b| a + b)
    }

    fn samples() -> Vec<Sample> {
        let sample = |dims: &[usize], time: bool, size, stride, pad, dilation, input| Sample {
            op: Fold { size, stride, pad, dilation, input }.into(),
            inputs: vec![Ty::signal(time, dims)],
            ranges: vec![(-1.0, 1.0)],
        };
        vec![
            sample(&[2, 2, 3, 2, 2], true, [2, 2], [2, 2], [0, 0], [1, 1], [4, 6]),
            sample(&[2, 3, 3, 3, 2], false, [3, 2], [2, 1], [1, 0], [1, 1], [5, 4]),
            sample(&[1, 2, 4, 2, 3], false, [2, 3], [1, 2], [0, 2], [3, 2], [5, 7]),
            sample(&[3, 1, 1, 1, 4], true, [1, 4], [1, 1], [0, 0], [1, 1], [1, 4]),
            // Windows that leave gaps, and a last row and column that no window reaches.
            sample(&[1, 2, 2, 1, 1], false, [1, 1], [3, 3], [0, 0], [1, 1], [5, 6]),
            // More taps than are written out.
            sample(&[1, 2, 1, 9, 9], false, [9, 9], [1, 1], [0, 0], [1, 1], [10, 9]),
            sample(&[1, 1, 2, 9, 9], false, [9, 9], [3, 1], [1, 0], [2, 1], [15, 10]),
        ]
    }
}

impl PointRule for Fold {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, at: &Point) -> Val {
        let taps = [self.n_taps(0), self.n_taps(1)];
        if taps[0].saturating_mul(taps[1]) > UNROLLED_TAPS {
            return self.emit_loops(emitter, at, taps);
        }
        let mut sum = None;
        for h in 0..taps[0] as i64 {
            for w in 0..taps[1] as i64 {
                let part = self.load(emitter, at, &Ix::constant(h), &Ix::constant(w));
                sum = Some(match sum {
                    Some(sum) => emitter.builder().scalar(Scalar::Add, &[sum, part]),
                    None => part,
                });
            }
        }
        sum.unwrap_or_else(|| emitter.builder().constant(0.0))
    }
}

impl Fold {
    /// The sum over many taps, in a register.
    fn emit_loops(&self, emitter: &mut dyn Emitter, at: &Point, taps: [usize; 2]) -> Val {
        let [h, w] = taps.map(|extent| emitter.fresh_var(extent));
        let builder = emitter.builder();
        let sum = builder.fresh_reg();
        let zero = builder.constant(0.0);
        builder.set(sum, zero);
        builder.open(h, Extent::Fixed(taps[0]), LoopKind::Serial);
        builder.open(w, Extent::Fixed(taps[1]), LoopKind::Serial);
        let part = self.load(emitter, at, &Ix::var(h), &Ix::var(w));
        let builder = emitter.builder();
        let before = builder.get(sum);
        let after = builder.scalar(Scalar::Add, &[before, part]);
        builder.set(sum, after);
        builder.close();
        builder.close();
        builder.get(sum)
    }
}

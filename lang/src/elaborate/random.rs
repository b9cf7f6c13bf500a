//! Random numbers: each call of the text has a stream of its own.
//!
//! Must never draw a number.

use snn_graph::Ty;
use snn_graph::ops::Random;
use snn_graph::ops::pointwise::Function;
use snn_graph::ops::random::Distribution;

use super::intrinsics::Arguments;
use super::*;
use crate::builtins::Draw;
use crate::value::Spanned;

impl<'p> Elaborator<'p, '_> {
    /// `normal()`, `uniform()`, `bernoulli(p)`: by default one draw for each element of the declaration's first signal,
    /// anew at each step.
    pub(super) fn random(&mut self, draw: Draw, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let has_probability = usize::from(draw == Draw::Bernoulli);
        let (each, shape) = (arguments.get(has_probability), arguments.get(has_probability + 1));
        let time = self.draws_each_step(each)?;
        let mut ty = Ty { time, ..self.drawn_shape(span)? };
        if let Some(shape) = shape {
            ty.dims = self.sizes(&shape.value, shape.span)?;
        }
        let ty = ty.with_kind(snn_graph::Kind::Real);
        match (draw, arguments.get(0)) {
            (Draw::Normal, _) => Some(self.draw(Distribution::Normal, ty, span)),
            (Draw::Uniform, _) => Some(self.draw(Distribution::Uniform, ty, span)),
            (Draw::Bernoulli, Some(Spanned { value: Value::Number(p), .. })) => {
                if !(0.0..=1.0).contains(p) {
                    let error =
                        self.error_at(Code::SettingRange, format!("{p} is no probability"), span, "outside [0, 1]");
                    self.fail(error);
                    return None;
                }
                Some(self.draw(Distribution::Bernoulli(*p), ty, span))
            }
            (Draw::Bernoulli, p) => {
                let p = p.and_then(|p| self.as_signal(&p.value, p.span))?;
                let Value::Signal(uniform) = self.draw(Distribution::Uniform, ty, span) else { return None };
                Some(self.signal(span, |graph| {
                    let hit = graph.pointwise(Function::Lt, &[uniform, p])?;
                    let (one, zero) = (graph.constant(1.0)?, graph.constant(0.0)?);
                    graph.select(hit, one, zero)
                }))
            }
        }
    }

    fn draw(&mut self, distribution: Distribution, ty: Ty, span: Span) -> Value<'p> {
        self.streams += 1;
        let stream = self.streams;
        self.signal(span, |graph| graph.push(Random { distribution, stream, ty }, &[]))
    }

    fn draws_each_step(&mut self, each: Option<&Spanned<'p>>) -> Option<bool> {
        match each.map(|each| (&each.value, each.span)) {
            None => Some(true),
            Some((Value::Text(word), _)) if &**word == "step" => Some(true),
            Some((Value::Text(word), _)) if &**word == "sample" => Some(false),
            Some((other, span)) => {
                let error =
                    self.error_at(Code::SettingType, "`each` is `step` or `sample`", span, settings::show(other));
                self.fail(error);
                None
            }
        }
    }

    /// The type of the first signal of the innermost declaration that has one; in tests it need not have a batch.
    fn drawn_shape(&mut self, span: Span) -> Option<Ty> {
        let signal = self.frames.iter().rev().find_map(|frame| frame.first_signal);
        match signal {
            Some(id) => Some(self.graph.ty(id).clone()),
            None => {
                let message = "random numbers need a signal whose shape they have";
                let error = self.error_at(Code::WrongType, message, span, "no signal in sight");
                self.fail(error.help("draw them in a neuron, layer or block"));
                None
            }
        }
    }
}

//! Convolutions, windows, classes and counting.
//!
//! Must never know the layers that use them.

use snn_graph::TimeAxis;
use snn_graph::ops::contract::{ConvOptions, Padding};
use snn_graph::ops::index::IndexAxis;
use snn_graph::ops::pointwise::Function;
use snn_graph::ops::{IndexOp, SpikeAt, TimesOf, Windows};

use super::super::*;
use super::Arguments;
use crate::value::Spanned;

impl<'p> Elaborator<'p, '_> {
    /// `conv(x, weight, stride, padding, dilation, groups)`
    pub(super) fn conv(&mut self, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let x = self.argument_signal(arguments.get(0))?;
        let weight = self.argument_signal(arguments.get(1))?;
        let stride = self.pair_or("stride", arguments.get(2), [1, 1])?;
        let padding = match arguments.get(3) {
            Some(Spanned { value: Value::Text(word), .. }) if &**word == "same" => Padding::Same,
            other => Padding::Zeros(self.pair_or("padding", other, [0, 0])?),
        };
        let dilation = self.pair_or("dilation", arguments.get(4), [1, 1])?;
        let groups = match arguments.get(5) {
            Some(groups) => self.size(&groups.value, "`groups`", groups.span)?,
            None => 1,
        };
        // In 1-D the pair's second number is the one that counts, and a single number is both.
        self.lint_counts(x, span);
        Some(self.signal(span, |graph| graph.conv(x, weight, ConvOptions { stride, padding, dilation, groups })))
    }

    fn pair_or(&mut self, name: &str, value: Option<&Spanned<'p>>, default: [usize; 2]) -> Option<[usize; 2]> {
        match value {
            Some(value) => self.pair(&value.value, &format!("`{name}`"), value.span),
            None => Some(default),
        }
    }

    /// `windows(x, size, stride = size, padding = 0, fill = 0)`: `[c, h, w]` to `[c, oh, ow, kh, kw]`, `[c, l]` to
    /// `[c, ol, k]`.
    pub(super) fn windows(&mut self, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let x = self.argument_signal(arguments.get(0))?;
        let mut size = self.pair_or("size", arguments.get(1), [1, 1])?;
        let mut stride = self.pair_or("stride", arguments.get(2), size)?;
        let mut pad = self.pair_or("padding", arguments.get(3), [0, 0])?;
        let fill = self.number_setting("fill", arguments.get(4), 0.0)?;
        let dims = self.graph.ty(x).dims.clone();
        let line = dims.len() == 2;
        if line {
            (size, stride, pad) = ([1, size[1]], [1, stride[1]], [0, pad[1]]);
        }
        Some(self.signal(span, |graph| {
            let image = match dims.as_slice() {
                [channels, length] => graph.reshape(x, &[*channels, 1, *length])?,
                _ => x,
            };
            let patches = graph.push(Windows { size, stride, pad, dilation: [1, 1], fill }, &[image])?;
            match (line, graph.ty(patches).dims.clone().as_slice()) {
                (true, [channels, _, places, _, width]) => graph.reshape(patches, &[*channels, *places, *width]),
                _ => Ok(patches),
            }
        }))
    }

    /// `spike_times(spikes)`: the times of each neuron's spikes, in seconds and ascending, and infinite behind the last.
    pub(super) fn spike_times(&mut self, spikes: &Spanned<'p>, span: Span) -> Option<Value<'p>> {
        let signal = self.as_signal(&spikes.value, spikes.span)?;
        if matches!(self.time, Some(TimeAxis::Continuous(_))) {
            return Some(self.signal(span, |graph| graph.push(TimesOf {}, &[signal])));
        }
        let message = "spikes have times of their own only where there is no grid of steps";
        let error = self.error_at(Code::BadTime, message, span, "here spikes belong to steps");
        self.fail(error.help("give the model a duration, such as `time 200ms`, or use `first_spike_time`"));
        None
    }

    /// `one_hot(label, n)`: 1 at the place of the class, 0 elsewhere.
    pub(super) fn one_hot(&mut self, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let label = self.argument_signal(arguments.get(0))?;
        let n = arguments.get(1)?;
        let n = self.size(&n.value, "the number of classes", n.span)?;
        Some(self.signal(span, |graph| {
            let classes = graph.push(IndexOp { axis: IndexAxis::Dim(n) }, &[])?;
            let is_class = graph.pointwise(Function::Eq, &[classes, label])?;
            let (one, zero) = (graph.constant(1.0)?, graph.constant(0.0)?);
            graph.select(is_class, one, zero)
        }))
    }

    /// `iota(n)`: 0, 1, ... n - 1.
    pub(super) fn iota(&mut self, n: &Spanned<'p>, span: Span) -> Option<Value<'p>> {
        let n = self.size(&n.value, "the length", n.span)?;
        Some(self.signal(span, |graph| graph.push(IndexOp { axis: IndexAxis::Dim(n) }, &[])))
    }

    /// `index(time)`: the number of the step.
    pub(super) fn index(&mut self, axis: &Spanned<'p>, span: Span) -> Option<Value<'p>> {
        if !matches!(&axis.value, Value::Text(word) if &**word == "time") {
            let error =
                self.error_at(Code::WrongType, "`index` counts along `time`", axis.span, settings::show(&axis.value));
            self.fail(error.help("positions along a shape are `iota(n)`"));
            return None;
        }
        Some(self.signal(span, |graph| graph.push(IndexOp { axis: IndexAxis::Time }, &[])))
    }

    /// `spike_at(t)`: one spike at time t; on a grid in the step that holds it.
    pub(super) fn spike_at(&mut self, t: &Spanned<'p>, span: Span) -> Option<Value<'p>> {
        let t = self.as_signal(&t.value, t.span)?;
        if matches!(self.time, Some(TimeAxis::Continuous(_))) {
            return Some(self.signal(span, |graph| graph.push(SpikeAt {}, &[t])));
        }
        Some(self.signal(span, |graph| {
            let step = graph.pointwise(Function::Floor, &[t])?;
            let now = graph.push(IndexOp { axis: IndexAxis::Time }, &[])?;
            let is_now = graph.pointwise(Function::Eq, &[step, now])?;
            let (one, zero) = (graph.constant(1.0)?, graph.constant(0.0)?);
            let spike = graph.select(is_now, one, zero)?;
            graph.detach(spike)
        }))
    }
}

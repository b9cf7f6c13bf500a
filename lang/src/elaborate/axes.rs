//! Axes in `over = ...`, sizes and shapes.
//!
//! Must never know what is done along the axes.

use snn_graph::{Axes, Ty};

use super::*;
use crate::value::Spanned;

/// The largest extent of an axis.
const MAX_EXTENT: f64 = (1u64 << 30) as f64;

impl<'p> Elaborator<'p, '_> {
    /// The axes that a reduction of a value of type `ty` covers; left out, all axes of the shape.
    pub(super) fn axes(&mut self, over: Option<&Spanned<'p>>, ty: &Ty) -> Option<Axes> {
        let all = || (0..ty.dims.len()).collect::<Vec<usize>>();
        let Some(over) = over else { return Some(Axes { time: false, batch: false, dims: all() }) };
        let mut axes = Axes::default();
        let mut rest = false;
        let single;
        let elements: &[Value<'p>] = match &over.value {
            Value::List(elements) => elements,
            other => {
                single = [other.clone()];
                &single
            }
        };
        for element in elements {
            match element {
                Value::Text(word) if &**word == "time" => axes.time = true,
                Value::Text(word) if &**word == "batch" => axes.batch = true,
                Value::Text(word) if &**word == "channel" && !ty.dims.is_empty() => axes.dims.push(0),
                Value::Number(n) if *n >= 0.0 && *n == n.trunc() && (*n as usize) < ty.dims.len() => {
                    axes.dims.push(*n as usize);
                }
                Value::Rest => rest = true,
                Value::Axes(named) => {
                    axes.time |= named.time;
                    axes.batch |= named.batch;
                    axes.dims.extend(named.dims.iter().filter(|axis| **axis < ty.dims.len()));
                }
                Value::Poison => return None,
                other => {
                    let found = match other {
                        Value::Number(n) => format!("axis {n}"),
                        Value::Text(word) => format!("`{word}`"),
                        other => other.describe().to_string(),
                    };
                    let message = format!("{found} is not an axis of a signal of shape {:?}", ty.dims);
                    let error = self.error_at(Code::WrongType, message, over.span, "not among its axes");
                    self.fail(error.help("axes are `time`, `batch`, `channel`, `..` and numbers counted from 0"));
                    return None;
                }
            }
        }
        if rest {
            let named = axes.dims.clone();
            axes.dims.extend(all().into_iter().filter(|axis| !named.contains(axis)));
        }
        axes.dims.sort_unstable();
        axes.dims.dedup();
        Some(axes)
    }

    /// A size: a whole number that is not negative.
    pub(super) fn size(&mut self, value: &Value<'p>, what: &str, span: Span) -> Option<usize> {
        match value {
            Value::Number(n) if *n >= 0.0 && *n == n.trunc() && *n <= MAX_EXTENT => Some(*n as usize),
            Value::Poison => None,
            other => {
                let found = match other {
                    Value::Number(n) => n.to_string(),
                    other => other.describe().to_string(),
                };
                let message = format!("{what} must be a whole number, not {found}");
                let error = self.error_at(Code::WrongType, message, span, "not a size");
                self.fail(error);
                None
            }
        }
    }

    /// A pair of sizes, of rows and of columns; one number stands for both.
    pub(super) fn pair(&mut self, value: &Value<'p>, what: &str, span: Span) -> Option<[usize; 2]> {
        match value {
            Value::List(elements) => match elements.as_slice() {
                [rows, columns] => Some([self.size(rows, what, span)?, self.size(columns, what, span)?]),
                _ => {
                    let text = format!("{} values", elements.len());
                    let error =
                        self.error_at(Code::WrongType, format!("{what} must be a number or a pair"), span, text);
                    self.fail(error);
                    None
                }
            },
            value => self.size(value, what, span).map(|size| [size, size]),
        }
    }

    /// A list of sizes.
    pub(super) fn sizes(&mut self, value: &Value<'p>, span: Span) -> Option<Vec<usize>> {
        match value {
            Value::List(elements) => elements.iter().map(|element| self.size(element, "an extent", span)).collect(),
            value => self.size(value, "an extent", span).map(|size| vec![size]),
        }
    }
}

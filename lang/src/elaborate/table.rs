//! The table of stages that `snnc check` shows.
//!
//! Must never know how a table is drawn.

use snn_graph::{Parameter, Ty};

use crate::ast;
use crate::source::Span;
use crate::structure::is_equation;

/// One use of a neuron, layer or block.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its path, e.g. `stage1.0.main.conv2d1`.
    pub path: String,
    /// The name of its declaration, e.g. `Conv2d`.
    pub name: String,
    /// Which of the three it is: `neuron`, `layer` or `block`.
    pub kind: &'static str,
    /// Whether it is a neuron given by equations.
    pub has_equations: bool,
    /// How many blocks it stands inside of.
    pub depth: usize,
    /// The type of its result: shape, static or stepped, kind of numbers.
    pub ty: Ty,
    /// Number of learned numbers in it, those of the stages inside included.
    pub parameters: usize,
    /// Where it stands in the text.
    pub span: Span,
}

impl Stage {
    /// A stage whose result is not known yet.
    pub(super) fn new(path: &str, decl: &ast::Unit, depth: usize, span: Span) -> Stage {
        let has_equations = decl.body.stmts.iter().any(|stmt| is_equation(&stmt.kind));
        Stage {
            path: path.to_string(),
            name: decl.name.text.clone(),
            kind: decl.kind.as_str(),
            has_equations,
            depth,
            ty: Ty::scalar(),
            parameters: 0,
            span,
        }
    }
}

/// Fills in how many parameters each stage has. One that is used twice counts them twice, the model does not.
pub(super) fn count_parameters(stages: &mut [Stage], parameters: &[Parameter]) {
    for stage in stages {
        let own = parameters.iter().filter(|parameter| is_inside(&parameter.path, &stage.path));
        stage.parameters = own.map(|parameter| parameter.dims.iter().product::<usize>()).sum();
    }
}

fn is_inside(path: &str, stage: &str) -> bool {
    path.strip_prefix(stage).is_some_and(|rest| rest.starts_with('.'))
}

//! `project(scan) -> one of its results`.
//!
//! A scan has several results; this picks one. The results are numbered as [`Scan`](crate::ops::Scan) documents. The
//! gradient is gathered by [`autodiff`](crate::autodiff) and handed to the scan.

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::tensor::Tensor;
use crate::ty::Ty;

/// Picks a result of a scan.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Which.
    pub index: usize,
}

impl OpRule for Project {
    fn name(&self) -> &'static str {
        "project"
    }

    fn attributes(&self) -> String {
        self.index.to_string()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Exact
    }

    fn shape(&self, _context: &ShapeContext, _inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        // `Graph::push` knows the scan and never asks here.
        Err(ShapeError::new("only a scan has results to project"))
    }

    fn gradient(
        &self,
        _backward: &mut Backward<'_>,
        _node: NodeId,
        _upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(vec![None])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Project(self.index)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], _ty: &Ty) -> Tensor {
        let _ = inputs;
        context.scan_result(self.index)
    }

    fn samples() -> Vec<Sample> {
        Vec::new()
    }
}

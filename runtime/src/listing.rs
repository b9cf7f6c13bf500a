//! A compiled graph as text, at each of the representations behind the graph.
//!
//! For people only. Must never know what is done with the text.

use snn_cuda::{Arch, Precision, Target};
use snn_graph::lower::{LowerOptions, lower};
use snn_graph::{Graph, NodeId};

use crate::error::{Result, RuntimeError};

/// A representation of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Kernels as loop nests.
    Loops,
    /// Nests in cranelift's intermediate form.
    Clif,
    /// Nests as machine code of this machine.
    Assembly,
    /// Functions and launches for a CUDA device.
    Cuda(Arch, Precision),
}

/// What the named outputs of a graph become, as text.
///
/// # Errors
/// If the graph cannot be lowered or compiled.
pub fn listing(graph: &Graph, outputs: &[(String, NodeId)], options: LowerOptions, form: Form) -> Result<String> {
    let count_planes = options.count_planes && !matches!(form, Form::Cuda(..));
    let options = LowerOptions { count_planes, ..options };
    let lowered = lower(graph, outputs, options).map_err(|error| RuntimeError::new(error.message))?;
    let text = match form {
        Form::Loops => Ok(lowered.program.to_string()),
        Form::Clif => snn_jit::clif_text(&lowered.program),
        Form::Assembly => snn_jit::asm_text(&lowered.program),
        Form::Cuda(arch, precision) => {
            Ok(snn_cuda::emit(&lowered.program, &Target { arch, dtype: options.dtype, precision }).to_string())
        }
    };
    text.map_err(|error| RuntimeError::new(error.to_string()))
}

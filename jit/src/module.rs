//! Cranelift's module: machine code for a batch of nests.
//!
//! This file must never know programs, threads or memory; `call.rs` decides how the code is entered.

use std::collections::BTreeMap;
use std::sync::Arc;

use cranelift_codegen::Context;
use cranelift_codegen::ir::{AbiParam, types};
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, default_libcall_names};
use snn_loops::Dtype;

use crate::call::{Code, NestCode};
use crate::canonical::Canonical;
use crate::codegen::emit;
use crate::error::JitError;
use crate::options::Isa;
use crate::value::Types;
use crate::wide::{Wide, wide_loops};

/// Code for wide vectors starts on a cache line.
const WIDE_ALIGNMENT: u64 = 64;

/// What a nest looks like after a stage of cranelift.
pub(crate) struct Listing {
    /// Cranelift's intermediate form, before its optimizer.
    pub clif: String,
    /// The machine code as text.
    pub asm: String,
}

/// Compiles nests; the results are in the order of the nests.
pub(crate) fn compile_nests(nests: &[&Canonical], dtype: Dtype, isa: Isa) -> Result<Vec<NestCode>, JitError> {
    let mut module = new_module(isa)?;
    let mut builders = FunctionBuilderContext::new();
    let mut context = module.make_context();
    let mut functions = Vec::with_capacity(nests.len());
    for (at, canonical) in nests.iter().enumerate() {
        build(&mut context, &mut builders, &mut module, canonical, dtype, isa, at)?;
        let function = module
            .declare_function(&format!("nest{at}"), Linkage::Export, &context.func.signature)
            .map_err(|error| refused(canonical, &error))?;
        module.define_function(function, &mut context).map_err(|error| refused(canonical, &error))?;
        module.clear_context(&mut context);
        functions.push(function);
    }
    module.finalize_definitions().map_err(|error| JitError::Host(error.to_string()))?;
    let entries: Vec<*const u8> =
        functions.into_iter().map(|function| module.get_finalized_function(function)).collect();
    let code = Arc::new(Code::new(module));
    Ok(entries.into_iter().map(|entry| NestCode::new(&code, entry)).collect())
}

/// Compiles one nest for reading.
pub(crate) fn list_nest(canonical: &Canonical, dtype: Dtype, isa: Isa) -> Result<Listing, JitError> {
    let mut module = new_module(isa)?;
    let mut context = module.make_context();
    context.set_disasm(true);
    build(&mut context, &mut FunctionBuilderContext::new(), &mut module, canonical, dtype, isa, 0)?;
    let clif = context.func.display().to_string();
    let compiled = context
        .compile(module.isa(), &mut Default::default())
        .map_err(|error| refused(canonical, &format!("{:?}", error.inner)))?;
    Ok(Listing { clif, asm: compiled.vcode.clone().unwrap_or_default() })
}

fn build(
    context: &mut Context,
    builders: &mut FunctionBuilderContext,
    module: &mut JITModule,
    canonical: &Canonical,
    dtype: Dtype,
    isa: Isa,
    number: usize,
) -> Result<(), JitError> {
    let mut signature = module.make_signature();
    signature.params = vec![AbiParam::new(types::I64); 4];
    context.func.signature = signature;
    let mut wide = BTreeMap::new();
    let found = if isa.has_wide_vectors() { wide_loops(canonical, dtype) } else { BTreeMap::new() };
    for (var, loop_code) in found {
        let function = define_wide(module, canonical, &loop_code, &format!("nest{number}.lanes{}", var.0))?;
        wide.insert(var, (loop_code.body, module.declare_func_in_func(function, &mut context.func)));
    }
    let builder = FunctionBuilder::new(&mut context.func, builders);
    let (builder, well_formed) = emit(builder, canonical, Types::of(dtype), folds_unaligned(module.isa()), wide);
    if !well_formed {
        return Err(JitError::Invalid(format!("kernel `{}` is malformed", canonical.nest.name)));
    }
    builder.finalize(module.target_config());
    Ok(())
}

/// A function from code that was assembled for wide vectors.
fn define_wide(module: &mut JITModule, canonical: &Canonical, wide: &Wide, name: &str) -> Result<FuncId, JitError> {
    let mut signature = module.make_signature();
    signature.params = vec![AbiParam::new(types::I64); 2];
    let function =
        module.declare_function(name, Linkage::Local, &signature).map_err(|error| refused(canonical, &error))?;
    module
        .define_function_bytes(function, WIDE_ALIGNMENT, &wide.code, &[])
        .map_err(|error| refused(canonical, &error))?;
    Ok(function)
}

/// Instructions of x86 before AVX demand that vectors in memory are aligned.
fn folds_unaligned(isa: &dyn TargetIsa) -> bool {
    let has_avx = || isa.isa_flags().iter().any(|flag| flag.name == "has_avx" && flag.as_bool() == Some(true));
    !cfg!(target_arch = "x86_64") || has_avx()
}

fn refused(canonical: &Canonical, error: &dyn std::fmt::Display) -> JitError {
    JitError::Codegen { kernel: canonical.nest.name.clone(), message: error.to_string() }
}

fn new_module(isa: Isa) -> Result<JITModule, JitError> {
    let mut builder = JITBuilder::with_isa(target(isa)?, default_libcall_names());
    // Machines without a rounding instruction call these.
    builder.symbol("floorf", floor_f32 as *const u8);
    builder.symbol("floor", floor_f64 as *const u8);
    Ok(JITModule::new(builder))
}

extern "C" fn floor_f32(x: f32) -> f32 {
    libm::floorf(x)
}

extern "C" fn floor_f64(x: f64) -> f64 {
    libm::floor(x)
}

/// Cranelift's names of what every machine with AVX2, FMA and BMI2 has.
const AVX2: [&str; 10] = [
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_avx",
    "has_avx2",
    "has_fma",
    "has_bmi1",
    "has_bmi2",
];

fn target(isa: Isa) -> Result<OwnedTargetIsa, JitError> {
    let mut flags = settings::builder();
    // The code is checked by differential tests; cranelift's verifier would double the time to compile.
    let verifier = if cfg!(debug_assertions) { "true" } else { "false" };
    for (name, value) in [
        ("opt_level", "speed"),
        ("is_pic", "false"),
        ("use_colocated_libcalls", "false"),
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        ("enable_verifier", verifier),
    ] {
        flags.set(name, value).map_err(|error| JitError::Host(error.to_string()))?;
    }
    let mut builder = cranelift_native::builder_with_options(isa == Isa::Native)
        .map_err(|message| JitError::Host(message.to_string()))?;
    if isa == Isa::Avx2 {
        isa.width()?;
        AVX2.iter().try_for_each(|flag| builder.enable(flag)).map_err(|error| JitError::Host(error.to_string()))?;
    }
    builder.finish(settings::Flags::new(flags)).map_err(|error| JitError::Host(error.to_string()))
}

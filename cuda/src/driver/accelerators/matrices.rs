//! Products of matrices by cuBLASLt.
//!
//! Matrices of libraries are columns behind each other, ours are rows: each is taken as its transpose, so that the product of
//! transposes in the other order is the transpose of the product. Of split sums only such are allowed as lie in the workspace
//! and are added in order. Must never know who measures what.

#![allow(unsafe_code, reason = "calls cuBLASLt")]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;

use cudarc::cublaslt::sys::{
    cublasComputeType_t as Compute, cublasLtHandle_t, cublasLtMatmulAlgo_t, cublasLtMatmulDesc_t,
    cublasLtMatmulDescAttributes_t as Attribute, cublasLtMatmulHeuristicResult_t, cublasLtMatmulPreference_t,
    cublasLtMatmulPreferenceAttributes_t as Preference, cublasLtMatrixLayout_t, cublasLtReductionScheme_t as Reduction,
    cudaDataType,
};
use snn_loops::ContractionKind;

use super::api::MatrixFunctions;
use super::owned::Owned;
use super::{Library, refused};
use crate::contraction::library::{Number, Product};
use crate::driver::handles::{Context, Stream};
use crate::error::CudaError;

/// The most memory that a product may use besides its operands: what NVIDIA recommends for its largest devices.
const MOST_WORKSPACE: usize = 32 << 20;

/// `CUBLAS_OP_N` and `CUBLAS_OP_T` of cuBLAS's own header: a factor as it lies, and its transpose.
const OPERATIONS: [i32; 2] = [0, 1];

/// cuBLASLt on a device.
pub(super) struct Matrices {
    library: &'static Library<MatrixFunctions>,
    context: Arc<Context>,
    raw: cublasLtHandle_t,
}

// SAFETY: the library's functions may be called with one handle from any thread.
unsafe impl Send for Matrices {}
// SAFETY: as above.
unsafe impl Sync for Matrices {}

impl Matrices {
    /// A handle in the context.
    pub fn new(library: &'static Library<MatrixFunctions>, context: &Arc<Context>) -> Result<Matrices, CudaError> {
        context.enter()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: writes to `raw` alone.
        check("cublasLtCreate", unsafe { (library.functions.cublasLtCreate)(&mut raw) })?;
        Ok(Matrices { library, context: Arc::clone(context), raw })
    }
}

impl Drop for Matrices {
    fn drop(&mut self) {
        let _ = self.context.enter();
        // SAFETY: it is destroyed once, when no product of it is left.
        unsafe { (self.library.functions.cublasLtDestroy)(self.raw) };
    }
}

fn check(call: &'static str, answer: u32) -> Result<(), CudaError> {
    refused("cuBLASLt", call, answer)
}

/// A product that is ready to be computed.
pub(super) struct MatrixProduct {
    // Before the handle, which they must not outlive.
    descriptor: Owned<cublasLtMatmulDesc_t>,
    layouts: [Owned<cublasLtMatrixLayout_t>; 3],
    handle: Arc<Matrices>,
    algorithm: cublasLtMatmulAlgo_t,
    /// Whether the library's first factor is our second one.
    swapped: bool,
    is_double: bool,
    /// Bytes of workspace.
    pub workspace: usize,
}

// SAFETY: descriptors are only read after they were made, from any thread.
unsafe impl Send for MatrixProduct {}
// SAFETY: as above.
unsafe impl Sync for MatrixProduct {}

/// A matrix of the library: elements of a column, columns, whether it enters transposed, its type, alignment.
type Matrix = (usize, usize, bool, Number, usize);

/// Both factors in the library's order and the result, and whether they are ours in the other order.
fn matrices(product: &Product) -> ([Matrix; 3], bool) {
    let (pixels, cin, cout) = (product.pixels(), product.shape.cin, product.shape.cout);
    let ([a, b, out], factors, result) = (product.alignment, product.factors, product.result);
    match product.kind {
        // out^T [cout, pixels] = w [cout, cin] x^T [cin, pixels], where w lies as w^T.
        ContractionKind::Forward => (
            [(cin, cout, true, factors, b), (cin, pixels, false, factors, a), (cout, pixels, false, result, out)],
            true,
        ),
        // dx^T [cin, pixels] = w^T [cin, cout] dy^T [cout, pixels]
        ContractionKind::InputGradient => (
            [(cin, cout, false, factors, b), (cout, pixels, false, factors, a), (cin, pixels, false, result, out)],
            true,
        ),
        // dw^T [cin, cout] = x^T [cin, pixels] dy [pixels, cout], where dy lies as dy^T.
        ContractionKind::WeightGradient => (
            [(cin, pixels, false, factors, a), (cout, pixels, true, factors, b), (cin, cout, false, result, out)],
            false,
        ),
    }
}

fn data_type(number: Number) -> cudaDataType {
    match number {
        Number::F64 => cudaDataType::CUDA_R_64F,
        Number::F32 => cudaDataType::CUDA_R_32F,
        Number::Bf16 => cudaDataType::CUDA_R_16BF,
        Number::F16 => cudaDataType::CUDA_R_16F,
    }
}

impl MatrixProduct {
    /// The product by the algorithm that the library thinks best; an error if it has none.
    pub fn new(handle: &Arc<Matrices>, product: &Product) -> Result<MatrixProduct, CudaError> {
        handle.context.enter()?;
        let (matrices, swapped) = matrices(product);
        let is_double = product.factors == Number::F64;
        let descriptor = handle.descriptor(product, [matrices[0].2, matrices[1].2])?;
        let layouts = [handle.layout(&matrices[0])?, handle.layout(&matrices[1])?, handle.layout(&matrices[2])?];
        let found = handle.best(&descriptor, &layouts, matrices.map(|matrix| matrix.4))?;
        Ok(MatrixProduct {
            descriptor,
            layouts,
            handle: Arc::clone(handle),
            algorithm: found.algo,
            swapped,
            is_double,
            workspace: found.workspaceSize,
        })
    }

    /// Computes it; operands are our two factors and the result. The thread has entered the context before.
    ///
    /// # Safety
    /// As for [`Stream::launch`]: all operands must be there until the stream has come to its end, as long as the product
    /// says, and the workspace as long as this value says.
    pub unsafe fn run(&self, stream: &Stream, [a, b, out]: [u64; 3], workspace: u64) -> Result<(), CudaError> {
        let (first, second) = if self.swapped { (b, a) } else { (a, b) };
        let (one, zero) = ([1f64, 0f64], [1f32, 0f32]);
        let scales: [*const c_void; 2] = if self.is_double {
            [(&raw const one[0]).cast(), (&raw const one[1]).cast()]
        } else {
            [(&raw const zero[0]).cast(), (&raw const zero[1]).cast()]
        };
        let [left, right, result] =
            [0, 1, 2].map(|at: usize| self.layouts.get(at).map_or(std::ptr::null_mut(), |l| l.raw));
        let pointer = |address: u64| address as *mut c_void;
        // SAFETY: descriptors and handle live, scales are of the type that the descriptor says; the rest the caller promises.
        let answer = unsafe {
            (self.handle.library.functions.cublasLtMatmul)(
                self.handle.raw,
                self.descriptor.raw,
                scales[0],
                pointer(first),
                left,
                pointer(second),
                right,
                scales[1],
                pointer(out),
                result,
                pointer(out),
                result,
                &self.algorithm,
                pointer(workspace),
                self.workspace,
                stream.raw().cast(),
            )
        };
        check("cublasLtMatmul", answer)
    }
}

impl Matrices {
    fn descriptor(&self, product: &Product, transposed: [bool; 2]) -> Result<Owned<cublasLtMatmulDesc_t>, CudaError> {
        let functions = &self.library.functions;
        let (compute, scale) = match product.factors {
            Number::F64 => (Compute::CUBLAS_COMPUTE_64F, cudaDataType::CUDA_R_64F),
            Number::F32 if product.tf32 => (Compute::CUBLAS_COMPUTE_32F_FAST_TF32, cudaDataType::CUDA_R_32F),
            Number::F32 | Number::Bf16 | Number::F16 => (Compute::CUBLAS_COMPUTE_32F, cudaDataType::CUDA_R_32F),
        };
        // SAFETY: writes to the place that it is given alone.
        let create = |made| unsafe { (functions.cublasLtMatmulDescCreate)(made, compute, scale) };
        let called = ["cuBLASLt", "cublasLtMatmulDescCreate"];
        let descriptor = Owned::new(called, create, functions.cublasLtMatmulDescDestroy)?;
        let attributes = [Attribute::CUBLASLT_MATMUL_DESC_TRANSA, Attribute::CUBLASLT_MATMUL_DESC_TRANSB];
        for (attribute, transposed) in attributes.into_iter().zip(transposed) {
            let [as_it_lies, across] = OPERATIONS;
            let operation = if transposed { across } else { as_it_lies };
            let (from, bytes) = ((&raw const operation).cast(), size_of_val(&operation));
            // SAFETY: reads the four bytes of `operation`, which is what the attribute is.
            let answer = unsafe { (functions.cublasLtMatmulDescSetAttribute)(descriptor.raw, attribute, from, bytes) };
            check("cublasLtMatmulDescSetAttribute", answer)?;
        }
        Ok(descriptor)
    }

    fn layout(&self, (rows, columns, _, number, _): &Matrix) -> Result<Owned<cublasLtMatrixLayout_t>, CudaError> {
        let functions = &self.library.functions;
        let (of, rows, columns) = (data_type(*number), *rows as u64, *columns as u64);
        // SAFETY: writes to the place that it is given alone.
        let create = |made| unsafe { (functions.cublasLtMatrixLayoutCreate)(made, of, rows, columns, rows as i64) };
        let called = ["cuBLASLt", "cublasLtMatrixLayoutCreate"];
        Owned::new(called, create, functions.cublasLtMatrixLayoutDestroy)
    }

    /// The library's first proposal, which the same version on the same device always makes.
    fn best(
        &self,
        descriptor: &Owned<cublasLtMatmulDesc_t>,
        [a, b, out]: &[Owned<cublasLtMatrixLayout_t>; 3],
        alignment: [usize; 3],
    ) -> Result<cublasLtMatmulHeuristicResult_t, CudaError> {
        let functions = &self.library.functions;
        let preference = self.preference(alignment)?;
        let mut found = MaybeUninit::<cublasLtMatmulHeuristicResult_t>::zeroed();
        let mut n_found = 0;
        // SAFETY: all descriptors live; writes to one result and a number.
        let answer = unsafe {
            let ask = functions.cublasLtMatmulAlgoGetHeuristic;
            let (d, preference, to) = (descriptor.raw, preference.raw, found.as_mut_ptr());
            ask(self.raw, d, a.raw, b.raw, out.raw, out.raw, preference, 1, to, &mut n_found)
        };
        check("cublasLtMatmulAlgoGetHeuristic", answer)?;
        // SAFETY: the answer of a result is an enum of 4 bytes, which may be one that cudarc does not know.
        let state = unsafe { (&raw const (*found.as_ptr()).state).cast::<u32>().read() };
        check("cublasLtMatmulAlgoGetHeuristic", state)?;
        // SAFETY: it was zeros, which are a result, and the answer in it is 0.
        let found = unsafe { found.assume_init() };
        if n_found < 1 || found.workspaceSize > MOST_WORKSPACE {
            return Err(super::unsupported("cuBLASLt"));
        }
        Ok(found)
    }

    fn preference(&self, [a, b, out]: [usize; 3]) -> Result<Owned<cublasLtMatmulPreference_t>, CudaError> {
        let functions = &self.library.functions;
        // SAFETY: writes to the place that it is given alone.
        let create = |made| unsafe { (functions.cublasLtMatmulPreferenceCreate)(made) };
        let called = ["cuBLASLt", "cublasLtMatmulPreferenceCreate"];
        let preference = Owned::new(called, create, functions.cublasLtMatmulPreferenceDestroy)?;
        let set = |attribute, from: *const c_void, bytes| {
            // SAFETY: `from` holds that many bytes, which is what the attribute is.
            let answer =
                unsafe { (functions.cublasLtMatmulPreferenceSetAttribute)(preference.raw, attribute, from, bytes) };
            check("cublasLtMatmulPreferenceSetAttribute", answer)
        };
        let most = MOST_WORKSPACE as u64;
        set(Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, (&raw const most).cast(), size_of_val(&most))?;
        let scheme = Reduction::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE as u32;
        set(Preference::CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, (&raw const scheme).cast(), size_of_val(&scheme))?;
        let alignments = [
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, a),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, b),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out),
        ];
        for (attribute, bytes) in alignments {
            let bytes = bytes as u32;
            set(attribute, (&raw const bytes).cast(), size_of_val(&bytes))?;
        }
        Ok(preference)
    }
}

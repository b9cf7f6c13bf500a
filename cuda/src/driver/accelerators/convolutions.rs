//! Convolutions and their gradients by cuDNN.
//!
//! Activations and filters are channels last. Of cuDNN's algorithms those are taken that give the same bits in every run:
//! implicit products of matrices, and of the gradients the ones that add without atomic operations. Must never know who
//! measures what.

#![allow(unsafe_code, reason = "calls cuDNN")]

use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1 as DATA,
    cudnnConvolutionBwdFilterAlgo_t::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1 as FILTER, cudnnConvolutionDescriptor_t,
    cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM as FORWARD,
    cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION, cudnnDataType_t, cudnnFilterDescriptor_t, cudnnHandle_t,
    cudnnMathType_t, cudnnTensorDescriptor_t, cudnnTensorFormat_t::CUDNN_TENSOR_NHWC,
};
use snn_loops::ContractionKind;

use super::api::ConvolutionFunctions;
use super::owned::Owned;
use super::{Library, refused};
use crate::contraction::library::{Number, Product};
use crate::driver::handles::{Context, Stream};
use crate::error::CudaError;

/// The most memory that a convolution may use besides its operands: more would be a copy of activations.
const MOST_WORKSPACE: usize = 256 << 20;

/// cuDNN on a device.
pub(super) struct Convolutions {
    library: &'static Library<ConvolutionFunctions>,
    context: Arc<Context>,
    /// One thread at a time may use a handle, which has a stream.
    raw: Mutex<Raw>,
}

#[derive(Clone, Copy)]
struct Raw(cudnnHandle_t);

// SAFETY: a handle may be used from any thread, one at a time.
unsafe impl Send for Raw {}

impl Convolutions {
    /// A handle in the context.
    pub fn new(
        library: &'static Library<ConvolutionFunctions>,
        context: &Arc<Context>,
    ) -> Result<Convolutions, CudaError> {
        context.enter()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: writes to `raw` alone.
        check("cudnnCreate", unsafe { (library.functions.cudnnCreate)(&mut raw) })?;
        Ok(Convolutions { library, context: Arc::clone(context), raw: Mutex::new(Raw(raw)) })
    }

    /// Does something with the handle while nobody else does.
    fn with<R>(&self, work: impl FnOnce(cudnnHandle_t, &ConvolutionFunctions) -> R) -> R {
        let raw = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        work(raw.0, &self.library.functions)
    }
}

impl Drop for Convolutions {
    fn drop(&mut self) {
        let _ = self.context.enter();
        // SAFETY: it is destroyed once, when no product of it is left.
        self.with(|raw, functions| unsafe { (functions.cudnnDestroy)(raw) });
    }
}

fn check(call: &'static str, answer: u32) -> Result<(), CudaError> {
    refused("cuDNN", call, answer)
}

/// A convolution that is ready to be computed.
pub(super) struct ConvolutionProduct {
    kind: ContractionKind,
    input: Owned<cudnnTensorDescriptor_t>,
    output: Owned<cudnnTensorDescriptor_t>,
    filter: Owned<cudnnFilterDescriptor_t>,
    convolution: Owned<cudnnConvolutionDescriptor_t>,
    handle: Arc<Convolutions>,
    /// Bytes of workspace.
    pub workspace: usize,
}

// SAFETY: descriptors are only read after they were made, from any thread.
unsafe impl Send for ConvolutionProduct {}
// SAFETY: as above.
unsafe impl Sync for ConvolutionProduct {}

/// Sizes were compared with the largest number before.
fn int(size: usize) -> c_int {
    c_int::try_from(size).unwrap_or(c_int::MAX)
}

fn data_type(number: Number) -> cudnnDataType_t {
    match number {
        Number::F64 => cudnnDataType_t::CUDNN_DATA_DOUBLE,
        Number::F32 => cudnnDataType_t::CUDNN_DATA_FLOAT,
        Number::Bf16 => cudnnDataType_t::CUDNN_DATA_BFLOAT16,
        Number::F16 => cudnnDataType_t::CUDNN_DATA_HALF,
    }
}

/// How products of these numbers may be rounded.
fn math_type(product: &Product) -> cudnnMathType_t {
    match product.factors {
        // Without a word, single precision may be rounded as in `tf32`.
        Number::F32 if product.tf32 => cudnnMathType_t::CUDNN_DEFAULT_MATH,
        Number::F32 | Number::F64 => cudnnMathType_t::CUDNN_FMA_MATH,
        Number::Bf16 | Number::F16 => cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
    }
}

impl ConvolutionProduct {
    /// The convolution, if the library can compute it.
    pub fn new(handle: &Arc<Convolutions>, product: &Product) -> Result<ConvolutionProduct, CudaError> {
        handle.context.enter()?;
        let (s, functions) = (&product.shape, &handle.library.functions);
        let number = data_type(product.factors);
        let tensor = |channels: usize, [height, width]: [usize; 2]| {
            // SAFETY: writes to the place that it is given alone.
            let create = |made| unsafe { (functions.cudnnCreateTensorDescriptor)(made) };
            let destroy = functions.cudnnDestroyTensorDescriptor;
            let tensor = Owned::new(["cuDNN", "cudnnCreateTensorDescriptor"], create, destroy)?;
            let [rows, channels, height, width] = [product.rows, channels, height, width].map(int);
            // SAFETY: the descriptor lives.
            let answer = unsafe {
                let set = functions.cudnnSetTensor4dDescriptor;
                set(tensor.raw, CUDNN_TENSOR_NHWC, number, rows, channels, height, width)
            };
            check("cudnnSetTensor4dDescriptor", answer)?;
            Ok::<_, CudaError>(tensor)
        };
        let (input, output) = (tensor(s.cin, s.input)?, tensor(s.cout, s.output)?);
        // SAFETY: writes to the place that it is given alone.
        let create = |made| unsafe { (functions.cudnnCreateFilterDescriptor)(made) };
        let destroy = functions.cudnnDestroyFilterDescriptor;
        let filter = Owned::new(["cuDNN", "cudnnCreateFilterDescriptor"], create, destroy)?;
        let [cout, cin, height, width] = [s.cout, s.cin / s.groups, s.kernel[0], s.kernel[1]].map(int);
        // SAFETY: the descriptor lives.
        let answer = unsafe {
            let set = functions.cudnnSetFilter4dDescriptor;
            set(filter.raw, number, CUDNN_TENSOR_NHWC, cout, cin, height, width)
        };
        check("cudnnSetFilter4dDescriptor", answer)?;
        let convolution = handle.convolution(product)?;
        let (kind, handle) = (product.kind, Arc::clone(handle));
        let mut ready = ConvolutionProduct { kind, input, output, filter, convolution, handle, workspace: 0 };
        ready.workspace = ready.needed()?;
        Ok(ready)
    }

    /// Bytes of workspace that the algorithm needs; an error if the library does not support the convolution.
    fn needed(&self) -> Result<usize, CudaError> {
        let (x, y, w, c) = (self.input.raw, self.output.raw, self.filter.raw, self.convolution.raw);
        let mut bytes = 0;
        // SAFETY: all descriptors live; writes to `bytes` alone.
        let answer = self.handle.with(|handle, functions| unsafe {
            match self.kind {
                ContractionKind::Forward => {
                    (functions.cudnnGetConvolutionForwardWorkspaceSize)(handle, x, w, c, y, FORWARD, &mut bytes)
                }
                ContractionKind::InputGradient => {
                    (functions.cudnnGetConvolutionBackwardDataWorkspaceSize)(handle, w, y, c, x, DATA, &mut bytes)
                }
                ContractionKind::WeightGradient => {
                    (functions.cudnnGetConvolutionBackwardFilterWorkspaceSize)(handle, x, y, c, w, FILTER, &mut bytes)
                }
            }
        });
        check("cudnnGetConvolutionWorkspaceSize", answer)?;
        if bytes > MOST_WORKSPACE {
            return Err(super::unsupported("cuDNN"));
        }
        Ok(bytes)
    }

    /// Computes it; operands are our two factors and the result. The thread has entered the context before.
    ///
    /// # Safety
    /// As for [`Stream::launch`]: all operands must be there until the stream has come to its end, as long as the product
    /// says, and the workspace as long as this value says.
    pub unsafe fn run(&self, stream: &Stream, [a, b, out]: [u64; 3], workspace: u64) -> Result<(), CudaError> {
        let (x, y, w, c) = (self.input.raw, self.output.raw, self.filter.raw, self.convolution.raw);
        let (one, zero) = (1f32, 0f32);
        let (one, zero) = ((&raw const one).cast::<c_void>(), (&raw const zero).cast::<c_void>());
        let [a, b, out, workspace] = [a, b, out, workspace].map(|address| address as *mut c_void);
        let bytes = self.workspace;
        self.handle.with(|handle, functions| {
            // SAFETY: handle and stream live.
            check("cudnnSetStream", unsafe { (functions.cudnnSetStream)(handle, stream.raw().cast()) })?;
            match self.kind {
                ContractionKind::Forward => check(
                    "cudnnConvolutionForward",
                    // SAFETY: descriptors live, scales are of single precision; the rest the caller promises.
                    unsafe {
                        let run = functions.cudnnConvolutionForward;
                        run(handle, one, x, a, w, b, c, FORWARD, workspace, bytes, zero, y, out)
                    },
                ),
                ContractionKind::InputGradient => check(
                    "cudnnConvolutionBackwardData",
                    // SAFETY: as above.
                    unsafe {
                        let run = functions.cudnnConvolutionBackwardData;
                        run(handle, one, w, b, y, a, c, DATA, workspace, bytes, zero, x, out)
                    },
                ),
                ContractionKind::WeightGradient => check(
                    "cudnnConvolutionBackwardFilter",
                    // SAFETY: as above.
                    unsafe {
                        let run = functions.cudnnConvolutionBackwardFilter;
                        run(handle, one, x, a, y, b, c, FILTER, workspace, bytes, zero, w, out)
                    },
                ),
            }
        })
    }
}

impl Convolutions {
    fn convolution(&self, product: &Product) -> Result<Owned<cudnnConvolutionDescriptor_t>, CudaError> {
        let (s, functions) = (&product.shape, &self.library.functions);
        // SAFETY: writes to the place that it is given alone.
        let create = |made| unsafe { (functions.cudnnCreateConvolutionDescriptor)(made) };
        let destroy = functions.cudnnDestroyConvolutionDescriptor;
        let convolution = Owned::new(["cuDNN", "cudnnCreateConvolutionDescriptor"], create, destroy)?;
        let [pad_h, pad_w] = s.pad.map(int);
        let [stride_h, stride_w] = s.stride.map(int);
        let [dilation_h, dilation_w] = s.dilation.map(int);
        let (mode, sums) = (CUDNN_CROSS_CORRELATION, cudnnDataType_t::CUDNN_DATA_FLOAT);
        // SAFETY: the descriptor lives.
        let answer = unsafe {
            let set = functions.cudnnSetConvolution2dDescriptor;
            set(convolution.raw, pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w, mode, sums)
        };
        check("cudnnSetConvolution2dDescriptor", answer)?;
        // SAFETY: as above.
        let answer = unsafe { (functions.cudnnSetConvolutionGroupCount)(convolution.raw, int(s.groups)) };
        check("cudnnSetConvolutionGroupCount", answer)?;
        // SAFETY: as above.
        let answer = unsafe { (functions.cudnnSetConvolutionMathType)(convolution.raw, math_type(product)) };
        check("cudnnSetConvolutionMathType", answer)?;
        Ok(convolution)
    }
}

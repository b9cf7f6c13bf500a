//! The functions of cuBLASLt and cuDNN that are used, loaded as those of the driver are.
//!
//! Must never know what the functions are called for.

#![allow(unsafe_code, reason = "functions of a library that was found at run time have no safe form")]

use std::ffi::{CStr, c_int, c_void};

use cublaslt::{
    cublasComputeType_t, cublasLtHandle_t, cublasLtMatmulAlgo_t, cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t,
    cublasLtMatmulHeuristicResult_t, cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t,
    cublasLtMatrixLayout_t, cublasStatus_t, cudaDataType,
};
use cudarc::cublaslt::sys as cublaslt;
use cudarc::cudnn::sys as cudnn;
use cudnn::{
    cudnnConvolutionBwdDataAlgo_t, cudnnConvolutionBwdFilterAlgo_t, cudnnConvolutionDescriptor_t,
    cudnnConvolutionFwdAlgo_t, cudnnConvolutionMode_t, cudnnDataType_t, cudnnFilterDescriptor_t, cudnnHandle_t,
    cudnnMathType_t, cudnnStatus_t, cudnnTensorDescriptor_t, cudnnTensorFormat_t,
};
use libloading::os::unix::Library;

use super::super::api::Answer;

functions! {
    /// Products of matrices, `libcublasLt.so`.
    MatrixFunctions, cublaslt -> cublasStatus_t;
    cublasLtCreate(*mut cublasLtHandle_t);
    cublasLtDestroy(cublasLtHandle_t);
    cublasLtMatmulDescCreate(*mut cublasLtMatmulDesc_t, cublasComputeType_t, cudaDataType);
    cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t);
    cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, *const c_void, usize);
    cublasLtMatrixLayoutCreate(*mut cublasLtMatrixLayout_t, cudaDataType, u64, u64, i64);
    cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t);
    cublasLtMatmulPreferenceCreate(*mut cublasLtMatmulPreference_t);
    cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t);
    cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, *const c_void, usize);
    cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, c_int, *mut cublasLtMatmulHeuristicResult_t, *mut c_int);
    cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t, *const c_void, *const c_void, cublasLtMatrixLayout_t, *const c_void, cublasLtMatrixLayout_t, *const c_void, *const c_void, cublasLtMatrixLayout_t, *mut c_void, cublasLtMatrixLayout_t, *const cublasLtMatmulAlgo_t, *mut c_void, usize, cublaslt::cudaStream_t);
}

functions! {
    /// Convolutions, `libcudnn.so`.
    ConvolutionFunctions, cudnn -> cudnnStatus_t;
    cudnnCreate(*mut cudnnHandle_t);
    cudnnDestroy(cudnnHandle_t);
    cudnnSetStream(cudnnHandle_t, cudnn::cudaStream_t);
    cudnnCreateTensorDescriptor(*mut cudnnTensorDescriptor_t);
    cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t);
    cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t, cudnnTensorFormat_t, cudnnDataType_t, c_int, c_int, c_int, c_int);
    cudnnCreateFilterDescriptor(*mut cudnnFilterDescriptor_t);
    cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t);
    cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t, cudnnDataType_t, cudnnTensorFormat_t, c_int, c_int, c_int, c_int);
    cudnnCreateConvolutionDescriptor(*mut cudnnConvolutionDescriptor_t);
    cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t);
    cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t, c_int, c_int, c_int, c_int, c_int, c_int, cudnnConvolutionMode_t, cudnnDataType_t);
    cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t, c_int);
    cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t, cudnnMathType_t);
    cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t, cudnnFilterDescriptor_t, cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionFwdAlgo_t, *mut usize);
    cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t, cudnnFilterDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionBwdDataAlgo_t, *mut usize);
    cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t, cudnnFilterDescriptor_t, cudnnConvolutionBwdFilterAlgo_t, *mut usize);
    cudnnConvolutionForward(cudnnHandle_t, *const c_void, cudnnTensorDescriptor_t, *const c_void, cudnnFilterDescriptor_t, *const c_void, cudnnConvolutionDescriptor_t, cudnnConvolutionFwdAlgo_t, *mut c_void, usize, *const c_void, cudnnTensorDescriptor_t, *mut c_void);
    cudnnConvolutionBackwardData(cudnnHandle_t, *const c_void, cudnnFilterDescriptor_t, *const c_void, cudnnTensorDescriptor_t, *const c_void, cudnnConvolutionDescriptor_t, cudnnConvolutionBwdDataAlgo_t, *mut c_void, usize, *const c_void, cudnnTensorDescriptor_t, *mut c_void);
    cudnnConvolutionBackwardFilter(cudnnHandle_t, *const c_void, cudnnTensorDescriptor_t, *const c_void, cudnnTensorDescriptor_t, *const c_void, cudnnConvolutionDescriptor_t, cudnnConvolutionBwdFilterAlgo_t, *mut c_void, usize, *const c_void, cudnnFilterDescriptor_t, *mut c_void);
}

const _: [unsafe fn() -> usize; 2] = [cublaslt::cublasLtGetVersion, cudnn::cudnnGetVersion];

/// What a library answers to the function of this name that gives its version as a number.
pub(super) fn version(library: &Library, function: &'static CStr) -> Option<usize> {
    // SAFETY: functions that give a library's version have this type, as compared above.
    let found: libloading::os::unix::Symbol<unsafe extern "C" fn() -> usize> = unsafe { library.get(function) }.ok()?;
    // SAFETY: the function may be called at any time.
    Some(unsafe { found() })
}

//! The functions of the driver and of NVRTC that are used, loaded all together from the library that was found.
//!
//! Their types are held against those of cudarc when this file is compiled. cudarc's own loading is not used: it chooses the
//! library by itself and panics where one or a function of it is missing. Answers are numbers, since a library may know
//! some that an enum does not. Must never know what the functions are called for.

#![allow(unsafe_code, reason = "functions of a library that was found at run time have no safe form")]

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_ulonglong, c_void};

use cudarc::driver::sys as driver;
use cudarc::nvrtc::sys as nvrtc;
use driver::{
    CUcontext, CUdevice, CUdevice_attribute, CUdeviceptr, CUevent, CUfunction, CUfunction_attribute, CUgraph,
    CUgraphExec, CUmodule, CUresult, CUstream, CUstreamCaptureMode,
};
use libloading::os::unix::Library;
use nvrtc::{nvrtcProgram, nvrtcResult};

/// What functions answer; 0 is success.
pub(super) type Answer = u32;

/// A table of functions, the function that fills it from a library, and the comparison with the types of cudarc.
macro_rules! functions {
    (
        $(#[$doc:meta])*
        $table:ident, $types:ident -> $result:ty;
        $($function:ident($($argument:ty),*) $(as $newer:ident)?;)*
    ) => {
        $(#[$doc])*
        #[allow(non_snake_case, reason = "the names are those of the library")]
        pub(super) struct $table {
            $(pub $function: unsafe extern "C" fn($($argument),*) -> Answer,)*
        }

        impl $table {
            /// Loads every function, or says which one is missing.
            pub fn of(library: &Library) -> Result<$table, &'static str> {
                Ok($table {
                    $(
                        $function: {
                            // SAFETY: the type is that of the function of this name, as compared below; an enum of 4 bytes
                            // is taken as a number of 4 bytes.
                            let found = unsafe { library.get(stringify!($function)) };
                            $(
                                // SAFETY: as above; the newer function has the same type.
                                let found = found.or_else(|_| unsafe { library.get(stringify!($newer)) });
                            )?
                            *found.map_err(|_| stringify!($function))?
                        },
                    )*
                })
            }
        }

        $(const _: unsafe fn($($argument),*) -> $result = named!($types, $function $(, $newer)?);)*
        const _: [(); size_of::<Answer>()] = [(); size_of::<$result>()];
    };
}

/// cudarc's function of a name, or of the newer name that it has instead.
macro_rules! named {
    ($types:ident, $function:ident) => {
        $types::$function
    };
    ($types:ident, $function:ident, $newer:ident) => {
        $types::$newer
    };
}

functions! {
    /// The driver, `libcuda.so.1`.
    DriverFunctions, driver -> CUresult;
    cuInit(c_uint);
    cuDriverGetVersion(*mut c_int);
    cuDeviceGetCount(*mut c_int);
    cuDeviceGet(*mut CUdevice, c_int);
    cuDeviceGetName(*mut c_char, c_int, CUdevice);
    cuDeviceTotalMem_v2(*mut usize, CUdevice);
    cuDeviceGetAttribute(*mut c_int, CUdevice_attribute, CUdevice);
    cuDevicePrimaryCtxRetain(*mut CUcontext, CUdevice);
    cuDevicePrimaryCtxRelease_v2(CUdevice);
    cuCtxSetCurrent(CUcontext);
    cuMemGetInfo_v2(*mut usize, *mut usize);
    cuMemAlloc_v2(*mut CUdeviceptr, usize);
    cuMemFree_v2(CUdeviceptr);
    cuMemHostAlloc(*mut *mut c_void, usize, c_uint);
    cuMemFreeHost(*mut c_void);
    cuMemcpyHtoDAsync_v2(CUdeviceptr, *const c_void, usize, CUstream);
    cuMemcpyDtoHAsync_v2(*mut c_void, CUdeviceptr, usize, CUstream);
    cuMemsetD8Async(CUdeviceptr, c_uchar, usize, CUstream);
    cuStreamCreate(*mut CUstream, c_uint);
    cuStreamDestroy_v2(CUstream);
    cuStreamSynchronize(CUstream);
    cuStreamBeginCapture_v2(CUstream, CUstreamCaptureMode);
    cuStreamEndCapture(CUstream, *mut CUgraph);
    cuGraphInstantiateWithFlags(*mut CUgraphExec, CUgraph, c_ulonglong);
    cuGraphLaunch(CUgraphExec, CUstream);
    cuGraphExecDestroy(CUgraphExec);
    cuGraphDestroy(CUgraph);
    cuEventCreate(*mut CUevent, c_uint);
    cuEventDestroy_v2(CUevent);
    cuEventRecord(CUevent, CUstream);
    cuEventSynchronize(CUevent);
    // Drivers before 12.8 do not have the newer one.
    cuEventElapsedTime(*mut f32, CUevent, CUevent) as cuEventElapsedTime_v2;
    cuModuleLoadData(*mut CUmodule, *const c_void);
    cuModuleUnload(CUmodule);
    cuModuleGetFunction(*mut CUfunction, CUmodule, *const c_char);
    cuFuncGetAttribute(*mut c_int, CUfunction_attribute, CUfunction);
    cuFuncSetAttribute(CUfunction, CUfunction_attribute, c_int);
    cuLaunchKernel(CUfunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, CUstream, *mut *mut c_void, *mut *mut c_void);
}

functions! {
    /// The compiler, `libnvrtc.so`.
    CompilerFunctions, nvrtc -> nvrtcResult;
    nvrtcVersion(*mut c_int, *mut c_int);
    nvrtcCreateProgram(*mut nvrtcProgram, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char);
    nvrtcDestroyProgram(*mut nvrtcProgram);
    nvrtcCompileProgram(nvrtcProgram, c_int, *const *const c_char);
    nvrtcGetProgramLogSize(nvrtcProgram, *mut usize);
    nvrtcGetProgramLog(nvrtcProgram, *mut c_char);
    nvrtcGetCUBINSize(nvrtcProgram, *mut usize);
    nvrtcGetCUBIN(nvrtcProgram, *mut c_char);
    nvrtcGetPTXSize(nvrtcProgram, *mut usize);
    nvrtcGetPTX(nvrtcProgram, *mut c_char);
}

/// The driver's function that says what an answer means.
#[derive(Clone, Copy)]
pub(super) struct AnswerText(unsafe extern "C" fn(Answer, *mut *const c_char) -> Answer);

impl AnswerText {
    /// Loads it, if the driver has it.
    pub fn of(library: &Library) -> Option<AnswerText> {
        // SAFETY: `cuGetErrorString` takes an answer, which is an enum of 4 bytes, and a place for a text.
        unsafe { library.get("cuGetErrorString") }.ok().map(|function| AnswerText(*function))
    }

    /// What an answer means; a number the driver does not know has no text.
    pub fn describe(self, answer: Answer) -> Option<String> {
        let mut text: *const c_char = std::ptr::null();
        // SAFETY: the function only writes to `text`.
        let found = unsafe { (self.0)(answer, &mut text) };
        // SAFETY: on success the text is one of the driver's own, ends with a NUL and is there as long as the driver.
        (found == 0 && !text.is_null())
            .then(|| unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy().into_owned())
    }
}

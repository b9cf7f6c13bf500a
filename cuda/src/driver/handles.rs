//! What the driver hands out, owned: contexts, streams, events, modules, functions, graphs.
//!
//! What starts or ends something makes its context the calling thread's own first, so that values may be used from any
//! thread. Whoever drops a stream waits for what it still does. Must never know what is launched.

#![allow(unsafe_code, reason = "calls the driver")]

use std::ffi::{CString, c_void};
use std::sync::Arc;

use cudarc::driver::sys::{
    CUcontext, CUdevice, CUevent, CUfunction, CUfunction_attribute, CUgraph, CUgraphExec, CUmodule, CUstream,
    CUstreamCaptureMode,
};

use super::probe::{self, Driver};
use crate::error::CudaError;

/// Work of a stream does not wait for that of the default stream.
const NON_BLOCKING: u32 = 1;
/// An event that has no time, which is cheaper.
const WITHOUT_TIME: u32 = 2;

/// A device's primary context.
pub(super) struct Context {
    pub driver: &'static Driver,
    device: CUdevice,
    raw: CUcontext,
}

// SAFETY: the driver's handles may be used from any thread in which their context is current, which every method sees to.
unsafe impl Send for Context {}
// SAFETY: as above; the driver locks what its functions share.
unsafe impl Sync for Context {}

impl Context {
    /// The context of a device.
    pub fn new(driver: &'static Driver, ordinal: i32) -> Result<Arc<Context>, CudaError> {
        let device = probe::device(driver, ordinal)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: writes to `raw` alone.
        let answer = unsafe { (driver.functions.cuDevicePrimaryCtxRetain)(&mut raw, device) };
        driver.check("cuDevicePrimaryCtxRetain", answer)?;
        Ok(Arc::new(Context { driver, device, raw }))
    }

    /// Makes the context that of the calling thread.
    pub fn enter(&self) -> Result<(), CudaError> {
        // SAFETY: the context is retained for as long as this value lives.
        let answer = unsafe { (self.driver.functions.cuCtxSetCurrent)(self.raw) };
        self.driver.check("cuCtxSetCurrent", answer)
    }

    /// Bytes of memory that are free, if the driver says.
    pub fn free_bytes(&self) -> Option<usize> {
        self.enter().ok()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes to the two numbers alone.
        let answer = unsafe { (self.driver.functions.cuMemGetInfo_v2)(&mut free, &mut total) };
        (answer == 0).then_some(free)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it was retained once, and nothing that was made in it is left: all hold it alive.
        unsafe { (self.driver.functions.cuDevicePrimaryCtxRelease_v2)(self.device) };
    }
}

/// Work in order.
pub(super) struct Stream {
    pub context: Arc<Context>,
    raw: CUstream,
}

// SAFETY: as for `Context`.
unsafe impl Send for Stream {}
// SAFETY: as for `Context`.
unsafe impl Sync for Stream {}

impl Stream {
    /// A new one.
    pub fn new(context: &Arc<Context>) -> Result<Stream, CudaError> {
        context.enter()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: writes to `raw` alone.
        let answer = unsafe { (context.driver.functions.cuStreamCreate)(&mut raw, NON_BLOCKING) };
        context.driver.check("cuStreamCreate", answer)?;
        Ok(Stream { context: Arc::clone(context), raw })
    }

    /// The driver's handle, for functions that take memory besides.
    pub fn raw(&self) -> CUstream {
        self.raw
    }

    /// Waits until all work is done; errors of that work come out here.
    pub fn wait(&self) -> Result<(), CudaError> {
        self.context.enter()?;
        let driver = self.context.driver;
        // SAFETY: the stream lives.
        driver.check("cuStreamSynchronize", unsafe { (driver.functions.cuStreamSynchronize)(self.raw) })
    }

    /// Launches a function; arguments are 8 bytes each. The thread has entered the context before.
    ///
    /// # Safety
    /// The arguments must be those that the function takes, and all memory that it then touches must live until the stream
    /// has been waited for and be touched by nothing else meanwhile.
    pub unsafe fn launch(
        &self,
        function: &Function,
        [x, y]: [u32; 2],
        threads: u32,
        shared: u32,
        arguments: &mut [u64],
    ) -> Result<(), CudaError> {
        let driver = self.context.driver;
        // A function whose one argument is a table reads all of it behind the first pointer.
        let mut pointers: Vec<*mut c_void> =
            arguments.iter_mut().map(|argument| std::ptr::from_mut(argument).cast()).collect();
        let (none, raw) = (std::ptr::null_mut(), function.raw);
        // SAFETY: the driver copies the arguments, which live here, before it returns; the rest the caller promises.
        let answer = unsafe {
            let launch = driver.functions.cuLaunchKernel;
            launch(raw, x, y, 1, threads, 1, 1, shared, self.raw, pointers.as_mut_ptr(), none)
        };
        driver.check("cuLaunchKernel", answer)
    }

    /// Keeps what `work` launches on this stream as a graph, instead of doing it.
    pub fn capture(&self, work: impl FnOnce() -> Result<(), CudaError>) -> Result<Graph, CudaError> {
        self.context.enter()?;
        let driver = self.context.driver;
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives; that it captures is ended below whatever happens.
        let answer = unsafe { (driver.functions.cuStreamBeginCapture_v2)(self.raw, mode) };
        driver.check("cuStreamBeginCapture", answer)?;
        let done = work();
        let mut captured = Captured { context: &self.context, raw: std::ptr::null_mut() };
        // SAFETY: writes to the graph's handle alone.
        let answer = unsafe { (driver.functions.cuStreamEndCapture)(self.raw, &mut captured.raw) };
        done?;
        driver.check("cuStreamEndCapture", answer)?;
        captured.instantiate()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Memory that its work touches may be freed from now on. An error is lost with the work that it is about.
        let _ = self.wait();
        // SAFETY: the stream is destroyed once.
        unsafe { (self.context.driver.functions.cuStreamDestroy_v2)(self.raw) };
    }
}

/// What a stream captured.
struct Captured<'s> {
    context: &'s Arc<Context>,
    raw: CUgraph,
}

impl Captured<'_> {
    fn instantiate(&self) -> Result<Graph, CudaError> {
        let driver = self.context.driver;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the captured graph lives; writes to `raw` alone.
        let answer = unsafe { (driver.functions.cuGraphInstantiateWithFlags)(&mut raw, self.raw, 0) };
        driver.check("cuGraphInstantiate", answer)?;
        Ok(Graph { context: Arc::clone(self.context), raw })
    }
}

impl Drop for Captured<'_> {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: it is destroyed once; what was made from it does not need it.
            unsafe { (self.context.driver.functions.cuGraphDestroy)(self.raw) };
        }
    }
}

/// Work that can be done again and again.
pub(super) struct Graph {
    context: Arc<Context>,
    raw: CUgraphExec,
}

// SAFETY: as for `Context`.
unsafe impl Send for Graph {}
// SAFETY: as for `Context`; it is launched by whoever holds its instance exclusively.
unsafe impl Sync for Graph {}

impl Graph {
    /// Does it once more.
    ///
    /// # Safety
    /// What was promised of each launch must still hold.
    pub unsafe fn launch(&self, stream: &Stream) -> Result<(), CudaError> {
        self.context.enter()?;
        let driver = self.context.driver;
        // SAFETY: both live; the rest the caller promises.
        let answer = unsafe { (driver.functions.cuGraphLaunch)(self.raw, stream.raw) };
        driver.check("cuGraphLaunch", answer)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let _ = self.context.enter();
        // SAFETY: it is destroyed once; the driver lets work that still runs come to its end.
        unsafe { (self.context.driver.functions.cuGraphExecDestroy)(self.raw) };
    }
}

/// A point in the work of a stream.
pub(super) struct Event {
    context: Arc<Context>,
    raw: CUevent,
}

// SAFETY: as for `Context`.
unsafe impl Send for Event {}
// SAFETY: as for `Context`.
unsafe impl Sync for Event {}

impl Event {
    /// One that can only be waited for.
    pub fn new(context: &Arc<Context>) -> Result<Event, CudaError> {
        Event::with_flags(context, WITHOUT_TIME)
    }

    /// One that knows when it was reached.
    pub fn timed(context: &Arc<Context>) -> Result<Event, CudaError> {
        Event::with_flags(context, 0)
    }

    fn with_flags(context: &Arc<Context>, flags: u32) -> Result<Event, CudaError> {
        context.enter()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: writes to `raw` alone.
        let answer = unsafe { (context.driver.functions.cuEventCreate)(&mut raw, flags) };
        context.driver.check("cuEventCreate", answer)?;
        Ok(Event { context: Arc::clone(context), raw })
    }

    /// Is reached when the stream has done all that it was given until now. The thread has entered the context before.
    pub fn record(&self, stream: &Stream) -> Result<(), CudaError> {
        let driver = self.context.driver;
        // SAFETY: both live.
        driver.check("cuEventRecord", unsafe { (driver.functions.cuEventRecord)(self.raw, stream.raw) })
    }

    /// Waits until it is reached.
    pub fn wait(&self) -> Result<(), CudaError> {
        self.context.enter()?;
        let driver = self.context.driver;
        // SAFETY: the event lives.
        driver.check("cuEventSynchronize", unsafe { (driver.functions.cuEventSynchronize)(self.raw) })
    }

    /// Nanoseconds from this event to a later one; both must be timed and reached.
    pub fn nanoseconds_to(&self, later: &Event) -> Result<u64, CudaError> {
        self.context.enter()?;
        let driver = self.context.driver;
        let mut milliseconds = 0f32;
        // SAFETY: both live; writes to `milliseconds` alone.
        let answer = unsafe { (driver.functions.cuEventElapsedTime)(&mut milliseconds, self.raw, later.raw) };
        driver.check("cuEventElapsedTime", answer)?;
        Ok((f64::from(milliseconds) * 1e6).max(0.0) as u64)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let _ = self.context.enter();
        // SAFETY: it is destroyed once.
        unsafe { (self.context.driver.functions.cuEventDestroy_v2)(self.raw) };
    }
}

/// Code that is loaded.
pub(super) struct Module {
    context: Arc<Context>,
    raw: CUmodule,
}

// SAFETY: as for `Context`.
unsafe impl Send for Module {}
// SAFETY: as for `Context`.
unsafe impl Sync for Module {}

impl Module {
    /// Loads code.
    pub fn load(context: &Arc<Context>, image: &[u8]) -> Result<Arc<Module>, CudaError> {
        context.enter()?;
        // The intermediate form is a string, which must end; more bytes behind code do no harm.
        let mut image = image.to_vec();
        image.push(0);
        let mut raw = std::ptr::null_mut();
        // SAFETY: the image holds its own length, or ends with a NUL; it comes from NVRTC, or from a cache that is checked.
        let answer = unsafe { (context.driver.functions.cuModuleLoadData)(&mut raw, image.as_ptr().cast()) };
        context.driver.check("cuModuleLoadData", answer)?;
        Ok(Arc::new(Module { context: Arc::clone(context), raw }))
    }

    /// One of its functions.
    pub fn function(self: &Arc<Module>, name: &str) -> Result<Function, CudaError> {
        self.context.enter()?;
        let driver = self.context.driver;
        let name = CString::new(name).map_err(|_| CudaError::Emission("a function's name holds a NUL".to_owned()))?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the module lives and the name ends with a NUL; writes to `raw` alone.
        let answer = unsafe { (driver.functions.cuModuleGetFunction)(&mut raw, self.raw, name.as_ptr()) };
        driver.check("cuModuleGetFunction", answer)?;
        Ok(Function { raw, module: Arc::clone(self) })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let _ = self.context.enter();
        // SAFETY: it is unloaded once, when no function of it is left; streams that ran them have been waited for.
        unsafe { (self.context.driver.functions.cuModuleUnload)(self.raw) };
    }
}

/// A function that can be launched.
pub(super) struct Function {
    raw: CUfunction,
    module: Arc<Module>,
}

// SAFETY: as for `Context`.
unsafe impl Send for Function {}
// SAFETY: as for `Context`.
unsafe impl Sync for Function {}

impl Function {
    /// Bytes of shared memory that its text has, whatever a launch asks for.
    pub fn static_shared(&self) -> Result<u32, CudaError> {
        self.module.context.enter()?;
        let driver = self.module.context.driver;
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
        let mut bytes = 0;
        // SAFETY: the function lives as long as its module; writes to `bytes` alone.
        let answer = unsafe { (driver.functions.cuFuncGetAttribute)(&mut bytes, attribute, self.raw) };
        driver.check("cuFuncGetAttribute", answer)?;
        Ok(bytes.unsigned_abs())
    }

    /// Lets launches ask for that much shared memory.
    pub fn allow_shared(&self, bytes: u32) -> Result<(), CudaError> {
        self.module.context.enter()?;
        let driver = self.module.context.driver;
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function lives as long as its module.
        let answer = unsafe {
            (driver.functions.cuFuncSetAttribute)(self.raw, attribute, i32::try_from(bytes).unwrap_or(i32::MAX))
        };
        driver.check("cuFuncSetAttribute", answer)
    }
}

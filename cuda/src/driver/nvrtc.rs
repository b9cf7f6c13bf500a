//! Text to code for a device, by NVRTC.
//!
//! Code is made for exactly the device that there is; only for devices newer than NVRTC it is made in the intermediate
//! form that the driver compiles. Must never know what the text computes.

#![allow(unsafe_code, reason = "calls NVRTC")]

use std::ffi::{CString, c_char};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cudarc::nvrtc::sys::nvrtcProgram;

use super::api::{Answer, CompilerFunctions};
use super::libraries::{self, Wanted};
use super::probe;
use crate::availability::{LibraryReport, Version};
use crate::code::Compiled;
use crate::error::CudaError;

/// What to do where NVRTC is missing.
pub(super) const HOW_TO_GET: &str = "install NVRTC (`pip install nvidia-cuda-nvrtc`, or the CUDA toolkit), or name the \
                                     directory of libnvrtc.so in SNNC_CUDA_LIBS";

/// Options of every compilation: what is not written as a fused operation stays two.
const OPTIONS: [&str; 3] = ["--std=c++17", "-default-device", "-fmad=false"];
/// Makes the assembler say what functions take.
const VERBOSE: &str = "--ptxas-options=-v";

/// NVRTC's answers to an architecture that it does not know.
const INVALID_OPTION: Answer = 5;

/// Versions that are looked for, and how their libraries of built-in functions are called.
const VERSIONS: [(u32, &str, &str); 2] =
    [(13, "libnvrtc.so.13", "libnvrtc-builtins.so.13."), (12, "libnvrtc.so.12", "libnvrtc-builtins.so.12.")];

/// NVRTC.
pub struct Compiler {
    functions: CompilerFunctions,
    path: PathBuf,
    builtins: Option<PathBuf>,
    version: Version,
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiler").field("path", &self.path).field("version", &self.version).finish_non_exhaustive()
    }
}

/// NVRTC, looked for once a process; or why there is none.
pub(super) fn compiler() -> &'static Result<Compiler, String> {
    static COMPILER: OnceLock<Result<Compiler, String>> = OnceLock::new();
    COMPILER.get_or_init(|| find(probe::newest_code()))
}

/// The newest NVRTC whose code a driver of this version takes.
fn find(driver: Option<Version>) -> Result<Compiler, String> {
    let mut problem = None;
    for (major, name, builtins) in VERSIONS {
        let wanted = Wanted { names: &[name], companion: Some(builtins), in_wheels: true, title: "NVRTC" };
        let found = match (libraries::find(&wanted), driver) {
            (Ok(_), Some(driver)) if driver.0 < major => {
                problem = Some(format!(
                    "the driver supports CUDA {}.{}, for which NVRTC {major} is too new; update the driver or install NVRTC \
                     of CUDA {}",
                    driver.0, driver.1, driver.0
                ));
                continue;
            }
            (Ok(found), _) => found,
            (Err(reason), _) => {
                problem.get_or_insert(reason.describe(&wanted));
                continue;
            }
        };
        let functions = match CompilerFunctions::of(&found.library) {
            Ok(functions) => functions,
            Err(function) => {
                problem = Some(format!("{} lacks `{function}`", found.path.display()));
                continue;
            }
        };
        // The functions are used to the end of the process.
        std::mem::forget(found.library);
        let (mut major, mut minor) = (0, 0);
        // SAFETY: writes to the two numbers alone.
        let answer = unsafe { (functions.nvrtcVersion)(&mut major, &mut minor) };
        if answer == 0 {
            let version = (major.unsigned_abs(), minor.unsigned_abs());
            return Ok(Compiler { functions, path: found.path, builtins: found.companion, version });
        }
        problem = Some(format!("{} does not say its version", found.path.display()));
    }
    Err(problem.unwrap_or_else(|| "NVRTC was not found".to_owned()))
}

/// What is known of NVRTC's libraries.
pub(super) fn library_reports(compiler: &Result<Compiler, String>) -> Vec<LibraryReport> {
    let mut reports = vec![LibraryReport {
        purpose: "NVRTC",
        found: compiler.as_ref().map(|compiler| compiler.path.clone()).map_err(String::clone),
        version: compiler.as_ref().ok().map(|compiler| compiler.version),
    }];
    if let Ok(Compiler { builtins: Some(path), .. }) = compiler {
        reports.push(LibraryReport { purpose: "NVRTC builtins", found: Ok(path.clone()), version: None });
    }
    reports
}

/// All options of a compilation for an architecture, such as `sm_90a` or `compute_90`.
pub(super) fn options(target: &str) -> Vec<String> {
    let mut all = vec![format!("--gpu-architecture={target}")];
    all.extend(OPTIONS.map(str::to_owned));
    if !is_virtual(target) {
        all.push(VERBOSE.to_owned());
    }
    all
}

fn is_virtual(target: &str) -> bool {
    target.starts_with("compute_")
}

/// Why there is no code.
pub(super) enum Refusal {
    /// NVRTC does not know the architecture.
    UnknownTarget(CudaError),
    /// Anything else.
    Other(CudaError),
}

impl From<Refusal> for CudaError {
    fn from(refusal: Refusal) -> CudaError {
        match refusal {
            Refusal::UnknownTarget(error) | Refusal::Other(error) => error,
        }
    }
}

impl Compiler {
    /// NVRTC of this machine, which needs no device.
    ///
    /// # Errors
    /// If there is none.
    pub fn open() -> Result<&'static Compiler, CudaError> {
        compiler().as_ref().map_err(|why| no_compiler(why))
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compiles a text for an architecture: `sm_90a` gives code, `compute_90` the intermediate form. Nothing is kept.
    ///
    /// # Errors
    /// What is wrong with the text, by line.
    pub fn compile(&self, unit: &str, text: &str, target: &str) -> Result<Compiled, CudaError> {
        Ok(self.try_compile(unit, text, target)?)
    }

    /// The same, telling apart why it fails.
    pub(super) fn try_compile(&self, unit: &str, text: &str, target: &str) -> Result<Compiled, Refusal> {
        let program = Program::new(self, unit, text).map_err(Refusal::Other)?;
        let answer = program.compile(&options(target)).map_err(Refusal::Other)?;
        let log = program.log();
        let failed = |log: String| CudaError::Compile { unit: unit.to_owned(), target: target.to_owned(), log };
        match answer {
            0 => {}
            INVALID_OPTION => return Err(Refusal::UnknownTarget(failed(log))),
            answer if log.trim().is_empty() => {
                return Err(Refusal::Other(failed(format!("it answers {answer} and says nothing"))));
            }
            _ => return Err(Refusal::Other(failed(log))),
        }
        let is_ptx = is_virtual(target);
        match program.image(is_ptx) {
            Some(image) => Ok(Compiled::new(image, is_ptx, log)),
            None => Err(Refusal::Other(failed("it gives no code".to_owned()))),
        }
    }
}

/// That there is no NVRTC, and what to do.
pub(super) fn no_compiler(why: &str) -> CudaError {
    CudaError::NoCompiler(format!("{why}; {HOW_TO_GET}"))
}

/// A program of NVRTC.
struct Program<'c> {
    compiler: &'c Compiler,
    raw: nvrtcProgram,
}

impl<'c> Program<'c> {
    fn new(compiler: &'c Compiler, unit: &str, text: &str) -> Result<Program<'c>, CudaError> {
        let no_string = |_| CudaError::Emission(format!("the text of `{unit}` holds a NUL"));
        let name = CString::new(unit).map_err(no_string)?;
        let text = CString::new(text).map_err(no_string)?;
        let mut raw: nvrtcProgram = std::ptr::null_mut();
        let none = std::ptr::null();
        // SAFETY: both strings end with a NUL and are copied; there are no headers.
        let answer =
            unsafe { (compiler.functions.nvrtcCreateProgram)(&mut raw, text.as_ptr(), name.as_ptr(), 0, none, none) };
        match answer {
            0 => Ok(Program { compiler, raw }),
            answer => Err(CudaError::NoCompiler(format!("NVRTC cannot start a program: it answers {answer}"))),
        }
    }

    fn compile(&self, options: &[String]) -> Result<Answer, CudaError> {
        let options: Vec<CString> = options
            .iter()
            .map(|option| CString::new(option.as_str()))
            .collect::<Result<_, _>>()
            .map_err(|_| CudaError::Emission("an option holds a NUL".to_owned()))?;
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: as many pointers to strings that end with a NUL as is said.
        Ok(unsafe { (self.compiler.functions.nvrtcCompileProgram)(self.raw, pointers.len() as i32, pointers.as_ptr()) })
    }

    fn log(&self) -> String {
        let functions = &self.compiler.functions;
        let log = self.take(functions.nvrtcGetProgramLogSize, functions.nvrtcGetProgramLog).unwrap_or_default();
        String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned()
    }

    fn image(&self, is_ptx: bool) -> Option<Vec<u8>> {
        let functions = &self.compiler.functions;
        let image = if is_ptx {
            self.take(functions.nvrtcGetPTXSize, functions.nvrtcGetPTX)
        } else {
            self.take(functions.nvrtcGetCUBINSize, functions.nvrtcGetCUBIN)
        };
        image.filter(|image| !image.is_empty())
    }

    /// What a pair of functions of this program gives: the first its size, the second its bytes.
    fn take(
        &self,
        size: unsafe extern "C" fn(nvrtcProgram, *mut usize) -> Answer,
        bytes: unsafe extern "C" fn(nvrtcProgram, *mut c_char) -> Answer,
    ) -> Option<Vec<u8>> {
        let mut len = 0;
        // SAFETY: writes to `len` alone.
        if unsafe { size(self.raw, &mut len) } != 0 {
            return None;
        }
        let mut taken = vec![0u8; len];
        // SAFETY: writes as many bytes as the first function said.
        (unsafe { bytes(self.raw, taken.as_mut_ptr().cast()) } == 0).then_some(taken)
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        // SAFETY: the program is destroyed once.
        unsafe { (self.compiler.functions.nvrtcDestroyProgram)(&mut self.raw) };
    }
}

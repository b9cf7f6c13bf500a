//! Libraries that compute contractions where they are faster than our kernels: cuBLASLt and cuDNN.
//!
//! Looked for once a process, and never needed: what is missing, what a library cannot do and what does not fit into memory
//! stays ours. A library's call is captured into the run's graph like a launch of ours; its workspace is a part of the
//! program's. Must never know what programs are for.

#![allow(unsafe_code, reason = "calls the libraries")]

mod api;
mod convolutions;
mod kept;
mod matrices;
mod owned;
mod timing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use snn_loops::{Contraction, Kernel, Operand, Program};

use api::{ConvolutionFunctions, MatrixFunctions, version};
use convolutions::{ConvolutionProduct, Convolutions};
use matrices::{Matrices, MatrixProduct};

use super::device::Device;
use super::handles::Stream;
use super::libraries::{self, Wanted};
use super::probe;
use super::work::{self, Functions, Room, Work};
use crate::accelerators::{Accelerators, Winner};
use crate::availability::{LibraryReport, Version};
use crate::contraction::library::{self, Alternative};
use crate::emit::{Emission, Storage, Unit, units};
use crate::error::CudaError;
use crate::launch::Argument;
use crate::target::Target;

/// A library, loaded.
struct Library<F> {
    functions: F,
    path: PathBuf,
    /// Its version in words, complete.
    version: String,
    /// The same, shortened.
    short: Version,
}

/// What was found, or why not.
struct Libraries {
    matrices: Result<Library<MatrixFunctions>, String>,
    convolutions: Result<Library<ConvolutionFunctions>, String>,
}

fn libraries() -> &'static Libraries {
    static LIBRARIES: OnceLock<Libraries> = OnceLock::new();
    LIBRARIES.get_or_init(|| {
        fn wanted<'a>(names: &'a [&'a str], title: &'a str) -> Wanted<'a> {
            Wanted { names, companion: None, in_wheels: true, title }
        }
        // cuDNN opens cuBLASLt by its plain name, and finds one that is loaded.
        let matrices = load(
            &wanted(&["libcublasLt.so.13"], "cuBLASLt"),
            c"cublasLtGetVersion",
            MatrixFunctions::of,
            "pip install nvidia-cublas",
        );
        let convolutions = load(
            &wanted(&["libcudnn.so.9"], "cuDNN"),
            c"cudnnGetVersion",
            ConvolutionFunctions::of,
            "pip install nvidia-cudnn-cu13",
        );
        Libraries { matrices, convolutions }
    })
}

fn load<F>(
    wanted: &Wanted<'_>,
    version_of: &'static std::ffi::CStr,
    functions: impl FnOnce(&libloading::os::unix::Library) -> Result<F, &'static str>,
    how: &str,
) -> Result<Library<F>, String> {
    const CUDA: u32 = 13;
    if probe::newest_code().is_some_and(|driver| driver.0 < CUDA) {
        return Err(format!("{} of CUDA {CUDA} needs a newer driver; kernels of snnc are used", wanted.title));
    }
    let found =
        libraries::find(wanted).map_err(|problem| format!("{}; it is optional (`{how}`)", problem.describe(wanted)))?;
    let lacks = |what: &str| format!("{} lacks `{what}`", found.path.display());
    let functions = functions(&found.library).map_err(&lacks)?;
    let number = version(&found.library, version_of).ok_or_else(|| lacks(&version_of.to_string_lossy()))?;
    // The functions are used to the end of the process.
    std::mem::forget(found.library);
    let [major, minor, patch] = [number / 10_000, number / 100 % 100, number % 100];
    let short = (u32::try_from(major).unwrap_or_default(), minor as u32);
    Ok(Library { functions, path: found.path, version: format!("{} {major}.{minor}.{patch}", wanted.title), short })
}

/// What is known of the libraries.
pub(super) fn reports() -> Vec<LibraryReport> {
    fn report<F>(purpose: &'static str, library: &Result<Library<F>, String>) -> LibraryReport {
        let found = library.as_ref();
        LibraryReport {
            purpose,
            found: found.map(|found| found.path.clone()).map_err(String::clone),
            version: found.ok().map(|found| found.short),
        }
    }
    let all = libraries();
    vec![report("cuBLASLt", &all.matrices), report("cuDNN", &all.convolutions)]
}

/// The libraries that there are, with their versions, in words: results depend on them.
pub fn versions() -> String {
    let all = libraries();
    let found = [all.matrices.as_ref().map(|l| &l.version).ok(), all.convolutions.as_ref().map(|l| &l.version).ok()];
    found.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// An answer of a library as a result.
fn refused(library: &'static str, call: &'static str, answer: u32) -> Result<(), CudaError> {
    match answer {
        0 => Ok(()),
        code => Err(CudaError::Library { library, call, code }),
    }
}

/// That a library finds no way to compute something.
fn unsupported(library: &'static str) -> CudaError {
    CudaError::Library { library, call: "its search for an algorithm", code: 0 }
}

/// The libraries on a device, opened when they are first needed.
struct Handles<'d> {
    device: &'d Device,
    matrices: Option<Option<Arc<Matrices>>>,
    convolutions: Option<Option<Arc<Convolutions>>>,
}

impl Handles<'_> {
    /// What is asked for, ready to be computed, and the version of the library; nothing if no library can.
    fn ready(&mut self, alternative: &Alternative) -> Option<(Ready, &'static str)> {
        let (context, product) = (self.device.context(), &alternative.product);
        if product.is_linear() {
            let library = libraries().matrices.as_ref().ok()?;
            let open = || Matrices::new(library, context).ok().map(Arc::new);
            let handle = self.matrices.get_or_insert_with(open).as_ref()?;
            let ready = MatrixProduct::new(handle, product).ok()?;
            Some((Ready::Matrices(ready), &library.version))
        } else {
            let library = libraries().convolutions.as_ref().ok()?;
            let open = || Convolutions::new(library, context).ok().map(Arc::new);
            let handle = self.convolutions.get_or_insert_with(open).as_ref()?;
            let ready = ConvolutionProduct::new(handle, product).ok()?;
            Some((Ready::Convolution(ready), &library.version))
        }
    }
}

/// What a library is ready to compute.
enum Ready {
    Matrices(MatrixProduct),
    Convolution(ConvolutionProduct),
}

impl Ready {
    fn workspace(&self) -> usize {
        match self {
            Ready::Matrices(product) => product.workspace,
            Ready::Convolution(product) => product.workspace,
        }
    }
}

/// A library's part of a program.
#[derive(Clone)]
pub(super) struct Product {
    ready: Arc<Ready>,
    /// Both factors, the result, the workspace.
    arguments: [Argument; 4],
}

impl Product {
    /// Where its operands and its workspace are.
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// Computes it, or captures that. The thread has entered the context before.
    ///
    /// # Safety
    /// As for [`Stream::launch`], for the arguments of this value.
    pub unsafe fn run(&self, stream: &Stream, arguments: &[u64]) -> Result<(), CudaError> {
        let [a, b, out, workspace] = *arguments else {
            return Err(CudaError::Emission("a library's product has four arguments".to_owned()));
        };
        // SAFETY: the caller promises it.
        unsafe {
            match &*self.ready {
                Ready::Matrices(product) => product.run(stream, [a, b, out], workspace),
                Ready::Convolution(product) => product.run(stream, [a, b, out], workspace),
            }
        }
    }
}

/// Contractions of a program that libraries can compute.
pub(super) struct Candidates {
    accelerators: Accelerators,
    all: Vec<Candidate>,
    units: Vec<Unit>,
}

struct Candidate {
    /// The position of the kernel.
    kernel: usize,
    contraction: Contraction,
    storage: [Storage; 3],
    alternative: Alternative,
    product: Product,
    /// Bytes of workspace of all that runs.
    workspace: usize,
    /// What the choice is found by.
    key: String,
}

impl Candidates {
    /// None.
    pub fn none() -> Candidates {
        Candidates { accelerators: Accelerators::OFF, all: Vec::new(), units: Vec::new() }
    }

    /// Those of a program as it was emitted for a target.
    pub fn of(
        program: &Program,
        emission: &Emission,
        target: &Target,
        device: &Device,
        accelerators: Accelerators,
    ) -> Candidates {
        let mut handles = Handles { device, matrices: None, convolutions: None };
        let mut all = Vec::new();
        let kernels = if accelerators.is_on() { program.kernels.as_slice() } else { &[] };
        for (at, kernel) in kernels.iter().enumerate() {
            let Kernel::Contraction(c) = kernel else { continue };
            // What runs in the place of another kernel stays there.
            if emission.kernels.get(at).is_none_or(Vec::is_empty) {
                continue;
            }
            let of = |operand: &Operand| emission.storage.get(operand.buffer.0 as usize).copied();
            let storage = [of(&c.a), of(&c.b), of(&c.out)].map(|storage| storage.unwrap_or(Storage::Float));
            let Some(alternative) = library::alternative(c, storage, target) else { continue };
            let Some((ready, version)) = handles.ready(&alternative) else { continue };
            all.push(Candidate::new(at, c, storage, alternative, ready, (device, version)));
        }
        let functions: BTreeMap<String, _> = all
            .iter()
            .flat_map(|candidate| candidate.alternative.functions.iter())
            .map(|function| (function.name.clone(), function.clone()))
            .collect();
        let mut units = units(functions.into_values().collect(), target);
        units.iter_mut().for_each(|unit| unit.name.insert_str(0, "accelerators."));
        Candidates { accelerators, all, units }
    }

    /// What has to be compiled besides the program's own text.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Puts libraries where they are chosen, in a program with this room; gives the kernels where they are, and the bytes of
    /// workspace that they take.
    ///
    /// # Errors
    /// What goes wrong while both are timed, but for a lack of memory.
    pub fn choose(
        self,
        kernels: &mut [Vec<Work>],
        functions: &Functions,
        room: Room,
        device: &Device,
    ) -> Result<(Vec<usize>, usize), CudaError> {
        let (mut chosen, mut workspace) = (Vec::new(), 0);
        for candidate in self.all {
            let Some(ours) = kernels.get_mut(candidate.kernel) else { continue };
            let theirs = candidate.works(functions)?;
            let measure = || {
                let room = Room { workspace: room.workspace.max(candidate.workspace), ..room };
                let measure =
                    || timing::faster(&candidate.contraction, candidate.storage, [ours, &theirs], room, device);
                kept::winner(&candidate.key, measure)
            };
            match self.accelerators.choose(&candidate.key, measure) {
                Ok(Winner::Ours) | Err(CudaError::OutOfMemory { .. }) => {}
                Ok(Winner::Library) => {
                    *ours = theirs;
                    chosen.push(candidate.kernel);
                    workspace = workspace.max(candidate.workspace);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((chosen, workspace))
    }
}

impl Candidate {
    fn new(
        kernel: usize,
        c: &Contraction,
        storage: [Storage; 3],
        alternative: Alternative,
        ready: Ready,
        (device, version): (&Device, &str),
    ) -> Candidate {
        let key = format!(
            "snnc {} on {} (sm_{}{}), {version}: {}",
            env!("CARGO_PKG_VERSION"),
            device.info().name,
            device.info().capability.0,
            device.info().capability.1,
            alternative.product.describe()
        );
        let workspace = alternative.workspace + ready.workspace();
        let [a, b, out] = alternative.operands.clone();
        let arguments = [a, b, out, Argument::Workspace(alternative.workspace)];
        let product = Product { ready: Arc::new(ready), arguments };
        Candidate { kernel, contraction: c.clone(), storage, alternative, product, workspace, key }
    }

    /// All that runs, in order.
    fn works(&self, functions: &Functions) -> Result<Vec<Work>, CudaError> {
        let Alternative { before, after, .. } = &self.alternative;
        let mut works = work::link(before, functions)?;
        works.push(Work::Product(self.product.clone()));
        works.extend(work::link(after, functions)?);
        Ok(works)
    }
}

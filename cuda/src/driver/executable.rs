//! An emitted program to something that runs: code of its units, functions of its calls, places of its buffers.
//!
//! Must never know what text means.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use snn_loops::{BufferId, Dtype, KernelId, Program, Role};

use super::cache::{Cache, Key};
use super::device::Device;
use super::handles::{Function, Module, Stream};
use super::memory::{DeviceMemory, Element, bytes_of};
use super::nvrtc::{self, Compiler, Refusal};
use super::staging::Staging;
use crate::code::{Compiled, Resources};
use crate::emit::{Emission, Storage, Unit};
use crate::error::CudaError;
use crate::launch::Call;
use crate::layout::Layout;

/// Shared memory that a launch may ask for without being allowed to.
const FREE_SHARED: u32 = 48 << 10;
/// The most blocks along x and y.
const MOST_BLOCKS: [u32; 2] = [i32::MAX as u32, u16::MAX as u32];
/// The most threads of a block.
const MOST_THREADS: u32 = 1024;

/// A compiled program. Cheap to clone; the memory it runs in is an [`Instance`](crate::Instance)'s.
#[derive(Clone)]
pub struct Executable {
    pub(super) shared: Arc<Shared>,
}

/// What clones of an executable share.
pub(super) struct Shared {
    pub program: Program,
    pub device: Device,
    /// What each kernel of the program launches.
    pub kernels: Vec<Vec<Launchable>>,
    pub layout: Layout,
    pub workspace: usize,
    /// Contractions that launch nothing, each with the kernel in whose launch it is computed.
    pub fused: Vec<(KernelId, KernelId)>,
    /// Constants, which no instance changes.
    pub constants: BTreeMap<BufferId, Arc<DeviceMemory>>,
    resources: Vec<Resources>,
}

/// A call whose function is loaded.
pub(super) struct Launchable {
    pub call: Call,
    pub function: Arc<Function>,
}

impl fmt::Debug for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executable").field("kernels", &self.shared.kernels.len()).finish_non_exhaustive()
    }
}

impl Executable {
    /// Compiles an emitted program for a device, or takes what was compiled before from the user's cache. The program is a
    /// verified one, and the emission its own.
    ///
    /// # Errors
    /// If NVRTC is missing or refuses a text, the device is out of memory, or the emission does not go with the program.
    pub fn compile(program: &Program, emission: Emission, device: &Device) -> Result<Executable, CudaError> {
        check(program, &emission, device)?;
        let layout = Layout::of(program, &emission)?;
        let codes = compile_units(&emission.units, device)?;
        let mut functions = BTreeMap::new();
        for (unit, code) in emission.units.iter().zip(&codes) {
            let module = Module::load(device.context(), &code.image)?;
            for name in &unit.functions {
                functions.insert(name.as_str(), Arc::new(module.function(name)?));
            }
        }
        let kernels = link(&emission, &functions)?;
        let resources = codes.into_iter().flat_map(|code| code.resources).collect();
        let constants = upload_constants(program, device)?;
        let (program, device) = (program.clone(), device.clone());
        let Emission { workspace, fused, .. } = emission;
        let shared = Shared { program, device, kernels, layout, workspace, fused, constants, resources };
        Ok(Executable { shared: Arc::new(shared) })
    }

    /// What its functions take of a multiprocessor, as far as the compiler said.
    pub fn resources(&self) -> &[Resources] {
        &self.shared.resources
    }
}

/// Whether what the driver is told makes sense.
fn check(program: &Program, emission: &Emission, device: &Device) -> Result<(), CudaError> {
    let wrong = |message: String| Err(CudaError::Emission(message));
    let lengths = [emission.kernels.len(), emission.storage.len()];
    if lengths != [program.kernels.len(), program.buffers.len()] {
        return wrong(format!("it has {} kernels and {} buffers", lengths[0], lengths[1]));
    }
    for (buffer, storage) in program.buffers.iter().zip(&emission.storage) {
        let is_of_the_host = matches!(buffer.role, Role::Input | Role::Output | Role::Constant(_));
        if is_of_the_host && *storage != Storage::Float {
            return wrong(format!("buffer `{}` is the host's and not of floats", buffer.name));
        }
    }
    for call in emission.kernels.iter().flatten() {
        let blocks = call.grid.iter().zip(MOST_BLOCKS).all(|(blocks, most)| (1..=most).contains(blocks));
        let threads = (1..=MOST_THREADS).contains(&call.block);
        if !blocks || !threads || call.shared > device.info().shared_bytes {
            let Call { function, grid, block, shared, .. } = call;
            return wrong(format!(
                "`{function}` cannot be launched with {grid:?} blocks of {block} threads and {shared} bytes"
            ));
        }
    }
    Ok(())
}

/// The calls of each kernel with their functions.
fn link(emission: &Emission, functions: &BTreeMap<&str, Arc<Function>>) -> Result<Vec<Vec<Launchable>>, CudaError> {
    let mut shared: BTreeMap<&str, u32> = BTreeMap::new();
    for call in emission.kernels.iter().flatten() {
        let most = shared.entry(call.function.as_str()).or_default();
        *most = call.shared.max(*most);
    }
    for (name, bytes) in shared.into_iter().filter(|(_, bytes)| *bytes > FREE_SHARED) {
        if let Some(function) = functions.get(name) {
            function.allow_shared(bytes)?;
        }
    }
    let link = |call: &Call| match functions.get(call.function.as_str()) {
        Some(function) => Ok(Launchable { call: call.clone(), function: Arc::clone(function) }),
        None => Err(CudaError::Emission(format!("no unit has the function `{}`", call.function))),
    };
    emission.kernels.iter().map(|calls| calls.iter().map(link).collect()).collect()
}

/// The code of each unit, on as many threads as there are.
fn compile_units(units: &[Unit], device: &Device) -> Result<Vec<Compiled>, CudaError> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Result<Compiled, CudaError>>>> = units.iter().map(|_| Mutex::new(None)).collect();
    let cache = Cache::of_the_user();
    let work = || {
        while let Some((unit, slot)) = take(units, &done, &next) {
            let compiled = compile_unit(unit, device, &cache);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(compiled);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(units.len());
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let missing = || Err(CudaError::Emission("a unit was not compiled".to_owned()));
    done.into_iter()
        .map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(missing))
        .collect()
}

/// The next unit that nobody has taken.
fn take<'a, S>(units: &'a [Unit], slots: &'a [S], next: &AtomicUsize) -> Option<(&'a Unit, &'a S)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((units.get(at)?, slots.get(at)?))
}

/// The code of a unit for the device, or the intermediate form for a device that NVRTC does not know.
fn compile_unit(unit: &Unit, device: &Device, cache: &Cache) -> Result<Compiled, CudaError> {
    let targets = [device.code_target(), device.virtual_target().to_owned()];
    let mut refused = None;
    for target in &targets {
        let key = Key::new(&unit.text, &nvrtc::options(target));
        let compiler = nvrtc::compiler();
        let version = compiler.as_ref().ok().map(Compiler::version);
        if let Some(kept) = cache.load(&key, version) {
            return Ok(kept);
        }
        let compiler = match compiler {
            Ok(compiler) => compiler,
            Err(why) => {
                refused = Some(nvrtc::no_compiler(why));
                continue;
            }
        };
        match compiler.try_compile(&unit.name, &unit.text, target) {
            Ok(compiled) => {
                cache.store(&key, compiler.version(), &compiled);
                return Ok(compiled);
            }
            Err(Refusal::UnknownTarget(error)) => refused = Some(error),
            Err(Refusal::Other(error)) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| nvrtc::no_compiler("there is no architecture to compile for")))
}

/// All constants in the device's memory.
fn upload_constants(program: &Program, device: &Device) -> Result<BTreeMap<BufferId, Arc<DeviceMemory>>, CudaError> {
    let stream = Stream::new(device.context())?;
    let mut staging = Staging::new(device.context());
    let mut constants = BTreeMap::new();
    for (at, buffer) in program.buffers.iter().enumerate() {
        let Role::Constant(values) = &buffer.role else { continue };
        let memory = DeviceMemory::new(device.context(), buffer.len.saturating_mul(program.dtype.size()))?;
        match program.dtype {
            Dtype::F32 => staging.send(&stream, &memory, 0, bytes_of(&rounded::<f32>(values)))?,
            Dtype::F64 => staging.send(&stream, &memory, 0, bytes_of(&rounded::<f64>(values)))?,
        }
        constants.insert(BufferId(at as u32), Arc::new(memory));
    }
    // What was sent lies in slots that end here.
    stream.wait()?;
    Ok(constants)
}

fn rounded<T: Element>(values: &[f64]) -> Vec<T> {
    values.iter().map(|value| T::round(*value)).collect()
}

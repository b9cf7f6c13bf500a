//! An emitted program to something that runs: code of its units, functions of its calls, places of its buffers.
//!
//! Must never know what text means.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use snn_loops::{BufferId, Contraction, Dtype, Kernel, Program, Role};

use super::accelerators::Candidates;
use super::cache::{Cache, Key};
use super::device::Device;
use super::handles::{Module, Stream};
use super::memory::{DeviceMemory, Element, bytes_of};
use super::nvrtc::{self, Compiler, Refusal};
use super::probe;
use super::staging::Staging;
use super::work::{self, Functions, Room, Work};
use crate::accelerators::Accelerators;
use crate::code::{Compiled, Resources};
use crate::emit::{Emission, Moved, Storage, Unit};
use crate::error::CudaError;
use crate::launch::Call;
use crate::layout::Layout;
use crate::target::Target;

/// Shared memory that a block may have without being allowed to, its text's and what the launch asks for together.
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
    /// What each kernel of the program gives to a stream.
    pub kernels: Vec<Vec<Work>>,
    /// What must have run before each of them since its weights were written.
    pub prepare: Vec<Vec<Work>>,
    pub layout: Layout,
    pub workspace: usize,
    pub prepared: usize,
    /// Kernels that launch nothing, each with the later one in whose launch it is computed.
    pub moved: Vec<Moved>,
    /// Constants, which no instance changes.
    pub constants: BTreeMap<BufferId, Arc<DeviceMemory>>,
    resources: Vec<Resources>,
    library_products: usize,
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
        build(program, emission, device, |_| Candidates::none())
    }

    /// The same for a program that was emitted for `target`, where libraries compute dense contractions for which they are
    /// chosen; choices that are missing are made here, by running both on memory of their own.
    ///
    /// # Errors
    /// As for [`Self::compile`], and what goes wrong while a choice is made.
    pub fn accelerated(
        program: &Program,
        emission: Emission,
        target: &Target,
        device: &Device,
        accelerators: Accelerators,
    ) -> Result<Executable, CudaError> {
        build(program, emission, device, |emission| Candidates::of(program, emission, target, device, accelerators))
    }

    /// How many contractions libraries compute.
    pub fn library_products(&self) -> usize {
        self.shared.library_products
    }

    /// What its functions take of a multiprocessor, as far as the compiler said.
    pub fn resources(&self) -> &[Resources] {
        &self.shared.resources
    }
}

/// Compiles everything and puts libraries where they are chosen.
fn build(
    program: &Program,
    mut emission: Emission,
    device: &Device,
    candidates: impl FnOnce(&Emission) -> Candidates,
) -> Result<Executable, CudaError> {
    check(program, &emission, device)?;
    let candidates = candidates(&emission);
    let units: Vec<&Unit> = emission.units.iter().chain(candidates.units()).collect();
    let codes = compile_units(&units, device)?;
    let mut functions = BTreeMap::new();
    for (unit, code) in units.iter().zip(&codes) {
        let module = Module::load(device.context(), &code.image)?;
        for name in &unit.functions {
            functions.insert(name.clone(), Arc::new(module.function(name)?));
        }
    }
    allow_shared(&emission, &functions, device)?;
    let mut kernels = link(&emission.kernels, &functions)?;
    let mut prepare = link(&emission.prepare, &functions)?;
    let room = Room { dtype: program.dtype, workspace: emission.workspace, prepared: emission.prepared };
    let (chosen, their_workspace) = candidates.choose(&mut kernels, &functions, room, device)?;
    emission.workspace = emission.workspace.max(their_workspace);
    // What a library computes needs none of our copies.
    for kernel in &chosen {
        prepare.get_mut(*kernel).into_iter().for_each(Vec::clear);
        emission.prepare.get_mut(*kernel).into_iter().for_each(Vec::clear);
    }
    let layout = Layout::of(program, &emission)?;
    let resources = codes.into_iter().flat_map(|code| code.resources).collect();
    let constants = upload_constants(program, device)?;
    let shared = Shared {
        program: program.clone(),
        device: device.clone(),
        kernels,
        prepare,
        layout,
        workspace: emission.workspace,
        prepared: emission.prepared,
        constants,
        resources,
        moved: emission.moved,
        library_products: chosen.len(),
    };
    Ok(Executable { shared: Arc::new(shared) })
}

/// Whether what the driver is told makes sense.
fn check(program: &Program, emission: &Emission, device: &Device) -> Result<(), CudaError> {
    let wrong = |message: String| Err(CudaError::Emission(message));
    let lengths = [emission.kernels.len(), emission.storage.len()];
    if lengths != [program.kernels.len(), program.buffers.len()] || emission.prepare.len() != lengths[0] {
        return wrong(format!("it has {} kernels and {} buffers", lengths[0], lengths[1]));
    }
    for (buffer, storage) in program.buffers.iter().zip(&emission.storage) {
        let is_of_the_host = matches!(buffer.role, Role::Input | Role::Output | Role::Constant(_));
        if is_of_the_host && *storage != Storage::Float {
            return wrong(format!("buffer `{}` is the host's and not of floats", buffer.name));
        }
    }
    for kernel in &program.kernels {
        if let Kernel::Contraction(Contraction { name, planes: 2.., .. }) = kernel {
            return wrong(format!("`{name}` reads planes of bits, for which there are no kernels"));
        }
    }
    for call in emission.kernels.iter().chain(&emission.prepare).flatten() {
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

/// Lets functions have the shared memory that calls ask for, besides that of their texts.
fn allow_shared(emission: &Emission, functions: &Functions, device: &Device) -> Result<(), CudaError> {
    let mut shared: BTreeMap<&str, u32> = BTreeMap::new();
    for call in emission.kernels.iter().chain(&emission.prepare).flatten().filter(|call| call.shared > 0) {
        let most = shared.entry(call.function.as_str()).or_default();
        *most = call.shared.max(*most);
    }
    for (name, bytes) in shared {
        let Some(function) = functions.get(name) else { continue };
        let own = function.static_shared()?;
        let (all, most) = (bytes.saturating_add(own), device.info().shared_bytes);
        if all > most {
            return Err(CudaError::Emission(format!(
                "`{name}` cannot be launched with {bytes} bytes of shared memory besides the {own} bytes of its text: a block \
                 has at most {most} bytes"
            )));
        }
        if all > FREE_SHARED {
            function.allow_shared(bytes)?;
        }
    }
    Ok(())
}

/// The calls of each kernel with their functions.
fn link(kernels: &[Vec<Call>], functions: &Functions) -> Result<Vec<Vec<Work>>, CudaError> {
    kernels.iter().map(|calls| work::link(calls, functions)).collect()
}

/// The code of each unit, on as many threads as there are.
fn compile_units(units: &[&Unit], device: &Device) -> Result<Vec<Compiled>, CudaError> {
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
fn take<'a, S>(units: &[&'a Unit], slots: &'a [S], next: &AtomicUsize) -> Option<(&'a Unit, &'a S)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((*units.get(at)?, slots.get(at)?))
}

/// The code of a unit for the device, or the intermediate form for a device that NVRTC does not know.
fn compile_unit(unit: &Unit, device: &Device, cache: &Cache) -> Result<Compiled, CudaError> {
    let targets = [device.code_target(), device.virtual_target().to_owned()];
    let mut refused = None;
    for target in &targets {
        let key = Key::new(&unit.text, &nvrtc::options(target));
        let compiler = nvrtc::compiler();
        let version = compiler.as_ref().ok().map(Compiler::version);
        if let Some(kept) = cache.load(&key, version, probe::newest_code()) {
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

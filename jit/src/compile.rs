//! A program to something that runs: machine code for its nests, places for its buffers, threads.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use snn_loops::{BufferId, Kernel, Nest, Program};

use crate::cache;
use crate::call::NestCode;
use crate::canonical::{Canonical, Key};
use crate::error::JitError;
use crate::kernels;
use crate::kernels::policy::Policy;
use crate::kernels::pool::release;
use crate::layout::Layout;
use crate::module::{Listing, compile_nests, list_nest};
use crate::options::{Isa, Options};
use crate::work::Schedule;

/// A compiled program. Cheap to clone; the memory it runs in is an [`Instance`](crate::Instance)'s.
#[derive(Clone)]
pub struct Executable {
    pub(crate) shared: Arc<Shared>,
}

/// What clones of an executable share.
pub(crate) struct Shared {
    pub program: Program,
    /// One a kernel; `None` for heavy kernels.
    pub nests: Vec<Option<CompiledNest>>,
    pub layout: Layout,
    /// `None` where no kernel is worth another thread: then the program runs on the thread that asks for it.
    pub pool: Option<ThreadPool>,
    pub policy: Policy,
}

impl Drop for Shared {
    /// Large scratch memory was for the kernels of this program as well as for those of others, which take it anew.
    fn drop(&mut self) {
        release();
    }
}

/// A nest that can be launched.
pub(crate) struct CompiledNest {
    pub code: Arc<NestCode>,
    /// The program's buffer behind every slot of the code's table.
    pub slots: Vec<Option<BufferId>>,
    pub schedule: Schedule,
}

impl fmt::Debug for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executable").field("kernels", &self.shared.nests.len()).finish_non_exhaustive()
    }
}

impl Executable {
    /// The program that was compiled.
    pub fn program(&self) -> &Program {
        &self.shared.program
    }

    /// Bytes of memory that an instance takes.
    pub fn memory_bytes(&self) -> usize {
        self.shared.layout.blocks.iter().sum()
    }

    /// How many of the nests' machine codes are distinct.
    pub fn distinct_codes(&self) -> usize {
        let mut entries: Vec<_> = self.shared.nests.iter().flatten().map(|nest| Arc::as_ptr(&nest.code)).collect();
        entries.sort_unstable();
        entries.dedup();
        entries.len()
    }

    /// Whether some nest of this executable runs the very code of a nest of `other`.
    pub fn shares_code_with(&self, other: &Executable) -> bool {
        let others = || other.shared.nests.iter().flatten();
        self.shared.nests.iter().flatten().any(|nest| others().any(|other| Arc::ptr_eq(&nest.code, &other.code)))
    }
}

/// More threads than any machine of today can use; asking for more is a mistake that must not exhaust the machine.
const MAX_THREADS: usize = 1024;

/// Compiles a program. Nests that this process already has code for are not compiled again.
pub fn compile(program: &Program, options: &Options) -> Result<Executable, JitError> {
    check(program)?;
    let policy = options.kernels.policy()?;
    let layout = Layout::of(program)?;
    let canonical: Vec<Option<Canonical>> = program
        .kernels
        .iter()
        .map(|kernel| nest(kernel).map(|nest| Canonical::of(nest, program, options.kernels.isa)))
        .collect();
    let codes = codes(&canonical, program, options.kernels.isa)?;
    let nests = canonical.into_iter().zip(codes).map(|(canonical, code)| {
        let canonical = canonical?;
        let schedule = Schedule::of(&canonical.nest, program.dtype);
        Some(CompiledNest { code: code?, slots: canonical.buffers, schedule })
    });
    let nests: Vec<Option<CompiledNest>> = nests.collect();
    let is_small = program.kernels.iter().zip(&nests).all(|(kernel, nest)| stays_on_caller(kernel, nest.as_ref()));
    let pool = if is_small { None } else { Some(pool(options.threads)?) };
    let shared = Shared { program: program.clone(), nests, layout, pool, policy };
    Ok(Executable { shared: Arc::new(shared) })
}

fn pool(threads: usize) -> Result<ThreadPool, JitError> {
    ThreadPoolBuilder::new()
        .num_threads(threads.min(MAX_THREADS))
        .thread_name(|index| format!("snn-jit-{index}"))
        .build()
        .map_err(|error| JitError::Threads(error.to_string()))
}

/// Whether a kernel runs on the calling thread alone, without asking which threads there are.
fn stays_on_caller(kernel: &Kernel, nest: Option<&CompiledNest>) -> bool {
    match kernel {
        Kernel::Nest(_) => nest.is_some_and(|nest| nest.schedule.is_one_task()),
        Kernel::Contraction(contraction) => kernels::is_one_task(contraction),
        Kernel::EventSweep(_) => false,
        Kernel::Draw(draw) => kernels::draw::is_one_task(draw.len),
    }
}

/// The nests of a program in cranelift's intermediate form, each under its name.
pub fn clif_text(program: &Program) -> Result<String, JitError> {
    text(program, |listing| listing.clif)
}

/// The nests of a program as machine code of this machine, each under its name.
pub fn asm_text(program: &Program) -> Result<String, JitError> {
    text(program, |listing| listing.asm)
}

fn text(program: &Program, part: impl Fn(Listing) -> String) -> Result<String, JitError> {
    check(program)?;
    let mut all = String::new();
    for (at, kernel) in program.kernels.iter().enumerate() {
        all.push_str(&format!("; k{at} \"{}\"\n", kernel.name()));
        match nest(kernel) {
            Some(nest) => all.push_str(
                part(list_nest(&Canonical::of(nest, program, Isa::Native), program.dtype, Isa::Native)?).trim_end(),
            ),
            None => all.push_str("; a kernel of the library"),
        }
        all.push_str("\n\n");
    }
    Ok(all)
}

fn check(program: &Program) -> Result<(), JitError> {
    snn_loops::verify::verify(program).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        JitError::Invalid(lines.join("; "))
    })
}

fn nest(kernel: &Kernel) -> Option<&Nest> {
    match kernel {
        Kernel::Nest(nest) => Some(nest),
        Kernel::Contraction(_) | Kernel::EventSweep(_) | Kernel::Draw(_) => None,
    }
}

/// The code of every nest: from the cache, from an equal nest of the same program, or new.
fn codes(nests: &[Option<Canonical>], program: &Program, isa: Isa) -> Result<Vec<Option<Arc<NestCode>>>, JitError> {
    let keys: Vec<Option<Key>> =
        nests.iter().map(|nest| nest.as_ref().map(|nest| nest.key(program.dtype, isa.name()))).collect();
    let mut known: HashMap<&Key, Arc<NestCode>> = HashMap::new();
    let mut missing: Vec<(&Key, &Canonical)> = Vec::new();
    let mut asked: HashSet<&Key> = HashSet::new();
    for (key, nest) in keys.iter().flatten().zip(nests.iter().flatten()) {
        if !asked.insert(key) {
            continue;
        }
        match cache::find(key) {
            Some(code) => drop(known.insert(key, code)),
            None => missing.push((key, nest)),
        }
    }
    if !missing.is_empty() {
        let batch: Vec<&Canonical> = missing.iter().map(|(_, nest)| *nest).collect();
        for ((key, _), code) in missing.iter().zip(compile_nests(&batch, program.dtype, isa)?) {
            let code = Arc::new(code);
            cache::offer((*key).clone(), &code);
            known.insert(*key, code);
        }
    }
    Ok(keys.iter().map(|key| known.get(key.as_ref()?).cloned()).collect())
}

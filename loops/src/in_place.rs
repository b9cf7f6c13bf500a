//! Which results may be written over the inputs that they replace: a new weight over the old one.
//!
//! Two buffers can be one if nothing reads the old values any more once the first new one is written, and the kernel that
//! writes reads each old element only where it writes the new one, before. Must never know what the buffers hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::nest::{Access, Expr, LoopKind, Stmt, Val, each_use};
use crate::plan::touched;
use crate::program::{BufferId, Kernel, KernelId, Launch, Program, Role};

/// Whether `output` may be the same memory as `input`, which it replaces after a run of a verified program.
pub fn may_share(program: &Program, output: BufferId, input: BufferId) -> bool {
    let of = |id: BufferId| program.buffers.get(id.0 as usize);
    let (Some(new), Some(old)) = (of(output), of(input)) else { return false };
    if (&new.role, &old.role) != (&Role::Output, &Role::Input) || new.len != old.len {
        return false;
    }
    let mut writer = None;
    for launch in &program.launches {
        let launched = match launch {
            Launch::Run(kernel) => program.kernels.get(kernel.0 as usize),
            Launch::Repeat { body, .. } if body.iter().any(|launch| touches(program, launch, &[output, input])) => {
                return false;
            }
            Launch::Repeat { .. } => continue,
        };
        let Some(kernel) = launched else { return false };
        let touched = touched(kernel);
        if touched.writes.contains(&output) {
            if writer.replace(kernel).is_some() {
                return false;
            }
        } else if touched.reads.contains(&input) && writer.is_some()
            || touched.reads.contains(&output) && writer.is_none()
        {
            return false;
        }
    }
    matches!(writer, Some(Kernel::Nest(nest)) if element_by_element(&nest.body, output, input) == Some(true))
}

fn touches(program: &Program, launch: &Launch, buffers: &[BufferId]) -> bool {
    match launch {
        Launch::Run(KernelId(at)) => program.kernels.get(*at as usize).is_none_or(|kernel| {
            let touched = touched(kernel);
            buffers.iter().any(|buffer| touched.reads.contains(buffer) || touched.writes.contains(buffer))
        }),
        Launch::Repeat { body, .. } => body.iter().any(|launch| touches(program, launch, buffers)),
    }
}

/// Whether the one store to `output` comes after all loads of `input`, in the same block, at the same element, inside of
/// independent loops only: then every element is stored once. Behind it nothing may ask for a value that is computed of old
/// ones unless the value is there by then: code loads where a value is first needed, as nothing seems to write the input.
/// `None` if neither buffer is touched.
fn element_by_element(body: &[Stmt], output: BufferId, input: BufferId) -> Option<bool> {
    let mut found: Option<bool> = None;
    let mut old = Old::default();
    for stmt in body {
        if found.is_some() && old.is_missed_by(stmt) {
            return Some(false);
        }
        match stmt {
            Stmt::For { kind, body, .. } => {
                let Some(inner) = element_by_element(body, output, input) else { continue };
                let independent = matches!(kind, LoopKind::Parallel | LoopKind::Lanes);
                found = Some(found.is_none() && old.loads.is_empty() && inner && independent);
            }
            // A load after the store would see the new value.
            Stmt::Let(_, Expr::Load(access)) if access.buffer == input && found.is_some() => return Some(false),
            Stmt::Let(_, Expr::Load(access)) if access.buffer == output => return Some(false),
            Stmt::Let(val, Expr::Load(access)) if access.buffer == input => old.load(*val, access),
            Stmt::Let(val, Expr::Scalar(_, args)) if found.is_none() => old.compute(*val, args),
            Stmt::Let(..) => {}
            // A register only passes values on.
            Stmt::Set(_, val) if old.values.contains_key(val) => return Some(false),
            Stmt::Set(..) => {}
            Stmt::Store(access, val) => {
                old.need(*val);
                if access.buffer == output {
                    let same = |load: &&Access| load.index == access.index && load.bounds.is_empty();
                    found = Some(found.is_none() && old.loads.iter().all(same));
                }
            }
        }
    }
    // Loads whose store stands elsewhere.
    found.or((!old.loads.is_empty()).then_some(false))
}

/// What a block knows of old values.
#[derive(Default)]
struct Old<'b> {
    loads: Vec<&'b Access>,
    /// Values that are old or computed of old ones, with what they are computed of.
    values: BTreeMap<Val, &'b [Val]>,
    /// Those that a store has asked for, and so all that these are computed of.
    there: BTreeSet<Val>,
}

impl<'b> Old<'b> {
    fn load(&mut self, val: Val, access: &'b Access) {
        self.loads.push(access);
        self.values.insert(val, &[]);
    }

    fn compute(&mut self, val: Val, args: &'b [Val]) {
        if args.iter().any(|arg| self.values.contains_key(arg)) {
            self.values.insert(val, args);
        }
    }

    fn need(&mut self, val: Val) {
        let Some(args) = self.values.get(&val).copied() else { return };
        if self.there.insert(val) {
            args.iter().for_each(|arg| self.need(*arg));
        }
    }

    /// Whether a statement asks for a value that is not there; or, in a loop, for an old one, which may be loaded again.
    fn is_missed_by(&self, stmt: &Stmt) -> bool {
        let is_missing = |val: &Val| self.values.contains_key(val) && !self.there.contains(val);
        match stmt {
            Stmt::For { body, .. } => {
                let mut missed = false;
                each_use(body, &mut |val| {
                    missed |= is_missing(&val) || self.values.get(&val).is_some_and(|args| args.is_empty());
                });
                missed
            }
            Stmt::Let(_, Expr::Scalar(_, args)) => args.iter().any(is_missing),
            Stmt::Let(..) => false,
            Stmt::Set(_, val) | Stmt::Store(_, val) => is_missing(val),
        }
    }
}

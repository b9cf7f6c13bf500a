//! Which results may be written over the inputs that they replace: a new weight over the old one.
//!
//! Two buffers can be one if nothing reads the old values any more once the first new one is written, and the kernel that
//! writes reads each old element only where it writes the new one, before. Must never know what the buffers hold.

use snn_loops::plan::touched;
use snn_loops::{Access, BufferId, Expr, Kernel, KernelId, Launch, LoopKind, Program, Role, Stmt};

/// Whether `output` may be the same memory as `input`, which it replaces after a run of a verified program.
pub(crate) fn may_share(program: &Program, output: BufferId, input: BufferId) -> bool {
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
/// independent loops only: then every element is stored once. `None` if neither buffer is touched.
fn element_by_element(body: &[Stmt], output: BufferId, input: BufferId) -> Option<bool> {
    let mut found: Option<bool> = None;
    let mut loaded: Vec<&Access> = Vec::new();
    for stmt in body {
        match stmt {
            Stmt::For { kind, body, .. } => {
                let Some(inner) = element_by_element(body, output, input) else { continue };
                let independent = matches!(kind, LoopKind::Parallel | LoopKind::Lanes);
                found = Some(found.is_none() && loaded.is_empty() && inner && independent);
            }
            // A load after the store would see the new value.
            Stmt::Let(_, Expr::Load(access)) if access.buffer == input && found.is_some() => return Some(false),
            Stmt::Let(_, Expr::Load(access)) if access.buffer == output => return Some(false),
            Stmt::Let(_, Expr::Load(access)) if access.buffer == input => loaded.push(access),
            Stmt::Store(access, _) if access.buffer == output => {
                let same = |load: &&Access| load.index == access.index && load.bounds.is_empty();
                found = Some(found.is_none() && loaded.iter().all(same));
            }
            Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => {}
        }
    }
    // Loads whose store stands elsewhere.
    found.or((!loaded.is_empty()).then_some(false))
}

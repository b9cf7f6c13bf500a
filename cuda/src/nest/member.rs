//! A small nest as one of several that are launched together: a function of the device that gets its thread's number.
//!
//! Nests over all elements of tensors differ in their lengths alone, which are arguments here, so that the updates of all
//! weights of a network are one text.
//!
//! Must never know which nests are launched together.

use snn_loops::{BufferId, Extent, LoopKind, Nest, Program, Stmt};

use super::body::{Form, Writer};
use super::flat::flattened;
use super::ordered::TEAM;
use super::threads::Threads;
use super::{BLOCK, SCALAR, Slot, slots};
use crate::emit::Storage;
use crate::launch::Template;
use crate::names;

/// Statements that a thread may run; what does more is worth a launch of its own.
const WORK: u64 = 512;

/// A nest that may be launched together with others.
pub(crate) struct Member {
    /// The name of its function: `void name(u32 thread, u32 count, pointers, i64 step)`.
    pub name: String,
    /// The function's definition.
    pub text: String,
    /// What the text needs.
    pub needs: &'static Template,
    /// The types of the pointers and what they point to.
    pub pointers: Vec<(String, BufferId)>,
    /// Number of threads; others may come to the function and do nothing.
    pub count: u32,
}

impl Member {
    /// Threads of a block: of all members the same.
    pub const BLOCK: u32 = BLOCK as u32;

    /// The nest as a member, if its threads do little each.
    pub fn of(nest: &Nest, program: &Program, storage: &[Storage]) -> Option<Member> {
        let nest = flattened(nest);
        let slots = slots(&nest, program, storage);
        let threads = Threads::of(&nest, program);
        let most = if threads.teams { WORK * TEAM } else { WORK };
        let count = u32::try_from(threads.count()).ok().filter(|count| (1..1 << 30).contains(count))?;
        if slots.values().any(|slot| slot.argument.is_none()) || work(&nest.body, &threads) > most {
            return None;
        }
        let (text, types) = Writer::text(&nest, program.dtype, &slots, &threads, Form::Member);
        let name = names::unique("member", &text);
        let mut numbered: Vec<(usize, BufferId)> =
            slots.iter().filter_map(|(id, Slot { argument, .. })| Some(((*argument)?, *id))).collect();
        numbered.sort_unstable();
        let pointers = types.into_iter().zip(numbered.into_iter().map(|(_, id)| id)).collect();
        Some(Member { text: text.replace(names::PLACEHOLDER, &name), name, needs: &SCALAR, pointers, count })
    }
}

/// Statements that a thread runs.
fn work(body: &[Stmt], threads: &Threads) -> u64 {
    let is_thread = |stmt: &Stmt| match stmt {
        Stmt::For { kind: LoopKind::Lanes, .. } => !threads.serial_lanes,
        Stmt::For { var, .. } => threads.outer.iter().any(|axis| axis.var == *var),
        Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => false,
    };
    let each = body.iter().map(|stmt| match stmt {
        Stmt::For { body, .. } if is_thread(stmt) => work(body, threads),
        Stmt::For { extent, body, .. } => (Extent::limit(*extent) as u64).saturating_mul(work(body, threads)),
        Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => 1,
    });
    each.fold(0, u64::saturating_add)
}

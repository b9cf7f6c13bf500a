//! Calls of bodies that were assembled for wide vectors: a table of addresses and shared floats on the stack, and the
//! number of lanes.

use cranelift_codegen::ir::{FuncRef, InstBuilder, StackSlotData, StackSlotKind, types};
use snn_loops::{Extent, Var};

use super::Emitter;
use crate::value::Slot;
use crate::wide::{Body, Cell};

/// Bytes of a cell.
const CELL: usize = 8;

impl Emitter<'_> {
    /// Runs the body of a `Lanes` loop by a call.
    pub(super) fn call_wide(&mut self, var: Var, extent: Extent, body: &Body, function: FuncRef) {
        self.statements(&body.shared);
        let first = self.int(0);
        self.set_var(var, first);
        let bytes = u32::try_from(body.cells.len() * CELL).unwrap_or(u32::MAX);
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3);
        let table = self.builder.create_sized_stack_slot(data);
        for (at, cell) in body.cells.iter().enumerate() {
            let value = match cell {
                Cell::Address(access) if self.is_packed(access.buffer) => {
                    let index = self.index(&access.index);
                    let bytes = self.builder.ins().ushr_imm_u(index, 3);
                    let base = self.base(access.buffer);
                    self.builder.ins().iadd(base, bytes)
                }
                Cell::Address(access) => {
                    let address = self.address(access);
                    self.flat(address)
                }
                Cell::Float(val) => match self.val(*val) {
                    Slot::Uniform(value) => value,
                    Slot::Lanes(_) => {
                        self.malformed = true;
                        first
                    }
                },
                Cell::Bits(bits) => self.builder.ins().iconst(types::I32, i64::from(*bits)),
            };
            self.builder.ins().stack_store(types::I64, value, table, (at * CELL) as i32);
        }
        let table = self.builder.ins().stack_addr(types::I64, table, 0);
        let count = self.count(extent);
        self.builder.ins().call(function, &[table, count]);
    }
}

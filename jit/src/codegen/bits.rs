//! Loads and stores of packed buffers: bits in memory, the floats 0 and 1 in registers.
//!
//! Lanes that touch neighboring bits of a whole byte become one access of a byte or two: `lanes.rs` starts its vectors at
//! such places. Everything else is one access a lane. This file must never know statements or loops.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{ConstantData, Endianness, InstBuilder, MemFlagsData, Value, types};
use snn_loops::Access;

use super::{Emitter, Lane};
use crate::value::Slot;

/// Bits that one access of several lanes covers at most.
const BITS: i64 = 16;

impl Emitter<'_> {
    /// The elements of a packed buffer for every lane, as floats.
    pub(super) fn load_bits(&mut self, access: &Access) -> Slot {
        let Some(lane) = self.lane else {
            return Slot::Uniform(self.load_bit(access));
        };
        let varies = access.bounds.iter().any(|(ix, _)| ix.mentions(lane.var));
        if !varies && access.index.stride(lane.var) == Some(0) {
            return Slot::Uniform(self.load_bit(access));
        }
        if varies || !starts_byte(access, lane) {
            return self.each(lane, |e| e.load_bit(access));
        }
        let condition = self.in_bounds(access);
        let byte = self.byte(access, condition);
        let flags = self.load_flags(access);
        let wide = if lane.unroll * self.types.lanes > 8 {
            self.builder.ins().uload16(types::I32, flags, byte, 0)
        } else {
            self.builder.ins().uload8(types::I32, flags, byte, 0)
        };
        let wide = if self.types.size == 8 { self.builder.ins().uextend(types::I64, wide) } else { wide };
        let everywhere = self.builder.ins().splat(self.types.ints, wide);
        let one = self.arithmetic(true).constant(1.0);
        let padding = self.arithmetic(true).constant(access.padding());
        let vectors = (0..lane.unroll).map(|at| {
            let select = self.bit_masks(at);
            let chosen = self.builder.ins().band(everywhere, select);
            let set = self.builder.ins().icmp(IntCC::Equal, chosen, select);
            let loaded = self.arithmetic(true).keep_where(set, one);
            match condition {
                Some(condition) => self.builder.ins().select(condition, loaded, padding),
                None => loaded,
            }
        });
        Slot::Lanes(vectors.collect())
    }

    /// Stores a value in a packed buffer for every lane: 1 unless it is 0.
    pub(super) fn store_bits(&mut self, access: &Access, value: &Slot) {
        let Some(lane) = self.lane else {
            if let Slot::Uniform(value) = value {
                self.store_bit(access, *value);
            }
            return;
        };
        let vectors = self.widen(value);
        if !starts_byte(access, lane) {
            for (at, vector) in vectors.into_iter().enumerate() {
                for number in 0..self.types.lanes {
                    let single = self.builder.ins().extractlane(vector, number as u8);
                    self.in_lane(lane, at * self.types.lanes + number, |e| e.store_bit(access, single));
                }
            }
            return;
        }
        let zero = self.arithmetic(true).constant(0.0);
        let mut bits: Option<Value> = None;
        for (at, vector) in vectors.into_iter().enumerate() {
            let set = self.builder.ins().fcmp(FloatCC::NotEqual, vector, zero);
            let set = self.builder.ins().vhigh_bits(types::I32, set);
            let set = if at == 0 { set } else { self.builder.ins().ishl_imm_s(set, (at * self.types.lanes) as i64) };
            bits = Some(match bits {
                Some(bits) => self.builder.ins().bor(bits, set),
                None => set,
            });
        }
        let byte = self.byte(access, None);
        let flags = MemFlagsData::new().with_notrap();
        match bits {
            // What follows the last lane of a row is overwritten later, or is of no value.
            Some(bits) if lane.unroll * self.types.lanes > 8 => self.builder.ins().istore16(flags, bits, byte, 0),
            Some(bits) => self.builder.ins().istore8(flags, bits, byte, 0),
            None => return,
        };
    }

    fn load_bit(&mut self, access: &Access) -> Value {
        let condition = self.in_bounds(access);
        let byte = self.byte(access, condition);
        let flags = self.load_flags(access);
        let byte = self.builder.ins().uload8(types::I32, flags, byte, 0);
        let place = self.place(access);
        let shifted = self.builder.ins().ushr(byte, place);
        let bit = self.builder.ins().band_imm_s(shifted, 1);
        let loaded = self.builder.ins().fcvt_from_sint(self.types.float, bit);
        match condition {
            Some(condition) => {
                let padding = self.arithmetic(false).constant(access.padding());
                self.builder.ins().select(condition, loaded, padding)
            }
            None => loaded,
        }
    }

    fn store_bit(&mut self, access: &Access, value: Value) {
        let address = self.byte(access, None);
        let flags = MemFlagsData::new().with_notrap();
        let byte = self.builder.ins().uload8(types::I32, flags, address, 0);
        let place = self.place(access);
        let one = self.builder.ins().iconst(types::I32, 1);
        let mask = self.builder.ins().ishl(one, place);
        let cleared = self.builder.ins().band_not(byte, mask);
        let zero = self.arithmetic(false).constant(0.0);
        let set = self.builder.ins().fcmp(FloatCC::NotEqual, value, zero);
        let nothing = self.builder.ins().iconst(types::I32, 0);
        let bit = self.builder.ins().select(set, mask, nothing);
        let byte = self.builder.ins().bor(cleared, bit);
        self.builder.ins().istore8(flags, byte, address, 0);
    }

    /// The address of the byte that holds an element, or of the buffer's first where the condition fails.
    fn byte(&mut self, access: &Access, condition: Option<Value>) -> Value {
        let base = self.base(access.buffer);
        let index = self.index(&access.index);
        let bytes = self.builder.ins().ushr_imm_u(index, 3);
        let address = self.builder.ins().iadd(base, bytes);
        match condition {
            Some(condition) => self.builder.ins().select(condition, address, base),
            None => address,
        }
    }

    /// The place of an element in its byte.
    fn place(&mut self, access: &Access) -> Value {
        let index = self.index(&access.index);
        let index = self.builder.ins().ireduce(types::I32, index);
        self.builder.ins().band_imm_s(index, 7)
    }

    /// The bit of each lane of the `at`-th vector in the integer that holds them all.
    fn bit_masks(&mut self, at: usize) -> Value {
        let lanes = self.types.lanes;
        let bytes: Vec<u8> = (at * lanes..(at + 1) * lanes)
            .flat_map(|bit| (1u64 << bit).to_le_bytes().into_iter().take(self.types.size as usize))
            .collect();
        let constant = self.builder.func.dfg.constants.insert(ConstantData::from(bytes.as_slice()));
        self.builder.ins().vconst(self.types.ints, constant)
    }

    fn load_flags(&self, access: &Access) -> MemFlagsData {
        let flags = MemFlagsData::new().with_notrap().with_endianness(Endianness::Little);
        let is_fixed = !self.is_stored(access.buffer) && !self.may_be_skipped;
        if is_fixed { flags.with_readonly().with_can_move() } else { flags }
    }
}

/// Whether lanes take neighboring bits and the first is the first of a byte, given that vectors start at whole ones.
fn starts_byte(access: &Access, lane: Lane) -> bool {
    let whole = |(atom, coefficient): &(snn_loops::Atom, i64)| {
        coefficient % BITS == 0 || *atom == snn_loops::Atom::Var(lane.var)
    };
    access.index.stride(lane.var) == Some(1)
        && access.index.base() % BITS == 0
        && access.index.terms().iter().all(whole)
}

//! Loads, stores and indices as floats, with and without lanes.
//!
//! Neighboring lanes that touch neighboring elements become one vector access, lanes that touch the same element one scalar
//! access, everything else one access a lane. A load out of bounds reads the first element of its buffer instead (every
//! buffer is followed by readable slack, see `alloc.rs`) and then drops it.

use cranelift_codegen::ir::{ConstantData, Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use snn_loops::{Access, Ix};

use super::address::Address;
use super::scalar::Arithmetic;
use super::{Emitter, Lane};
use crate::value::Slot;

impl<'f> Emitter<'f> {
    /// An element of a buffer for every lane.
    pub(super) fn load(&mut self, access: &Access) -> Slot {
        if self.is_packed(access.buffer) {
            return self.load_bits(access);
        }
        let Some(lane) = self.lane else {
            return Slot::Uniform(self.load_one(access));
        };
        if access.bounds.iter().any(|(ix, _)| ix.mentions(lane.var)) {
            return self.load_each(access, lane);
        }
        match access.index.stride(lane.var) {
            Some(0) => Slot::Uniform(self.load_one(access)),
            Some(1) => self.load_vectors(access, lane),
            Some(_) | None => self.load_each(access, lane),
        }
    }

    /// Stores a value in an element of a buffer for every lane.
    pub(super) fn store(&mut self, access: &Access, value: &Slot) {
        if self.is_packed(access.buffer) {
            return self.store_bits(access, value);
        }
        let Some(lane) = self.lane else {
            if let Slot::Uniform(value) = value {
                let address = self.address(access);
                self.write(address, *value);
            }
            return;
        };
        let vectors = self.widen(value);
        if access.index.stride(lane.var) == Some(1) {
            let address = self.address(access);
            let bytes = self.types.size * self.types.lanes as i64;
            for (at, vector) in vectors.into_iter().enumerate() {
                self.write(Address { offset: address.offset + bytes * at as i64, ..address }, vector);
            }
        } else {
            for (at, vector) in vectors.into_iter().enumerate() {
                for number in 0..self.types.lanes {
                    let single = self.builder.ins().extractlane(vector, number as u8);
                    let address = self.in_lane(lane, at * self.types.lanes + number, |e| e.address(access));
                    self.write(address, single);
                }
            }
        }
    }

    /// An index as a float for every lane.
    pub(super) fn float_index(&mut self, ix: &Ix) -> Slot {
        let Some(lane) = self.lane.filter(|lane| ix.mentions(lane.var)) else {
            return Slot::Uniform(self.float_index_one(ix));
        };
        match (ix.stride(lane.var), self.range(ix)) {
            (Some(stride), Some((low, high)))
                if self.types.size == 4 && low > i64::from(i32::MIN) && high < i64::from(i32::MAX) =>
            {
                self.float_index_vectors(ix, lane, stride)
            }
            _ => self.each(lane, |e| e.float_index_one(ix)),
        }
    }

    fn float_index_one(&mut self, ix: &Ix) -> Value {
        let index = self.index(ix);
        self.builder.ins().fcvt_from_sint(self.types.float, index)
    }

    /// All lanes at once in 32-bit integers, which the caller found to suffice.
    fn float_index_vectors(&mut self, ix: &Ix, lane: Lane, stride: i64) -> Slot {
        let first = self.index(ix);
        let first = self.builder.ins().ireduce(types::I32, first);
        let first = self.builder.ins().splat(types::I32X4, first);
        let vectors = (0..lane.unroll).map(|at| {
            let bytes: Vec<u8> = (0..self.types.lanes)
                .flat_map(|number| (((at * self.types.lanes + number) as i64 * stride) as i32).to_le_bytes())
                .collect();
            let offsets = self.builder.func.dfg.constants.insert(ConstantData::from(bytes.as_slice()));
            let offsets = self.builder.ins().vconst(types::I32X4, offsets);
            let indices = self.builder.ins().iadd(first, offsets);
            self.builder.ins().fcvt_from_sint(types::F32X4, indices)
        });
        Slot::Lanes(vectors.collect())
    }

    fn load_one(&mut self, access: &Access) -> Value {
        let condition = self.in_bounds(access);
        let address = self.address(access);
        let Some(condition) = condition else {
            return self.read(access, self.types.float, address);
        };
        let address = self.safe(access, condition, address);
        let loaded = self.read(access, self.types.float, address);
        let padding = self.arithmetic(false).constant(access.padding());
        self.builder.ins().select(condition, loaded, padding)
    }

    fn load_vectors(&mut self, access: &Access, lane: Lane) -> Slot {
        let condition = self.in_bounds(access);
        let mut address = self.address(access);
        if let Some(condition) = condition {
            address = self.safe(access, condition, address);
        }
        let bytes = self.types.size * self.types.lanes as i64;
        let vectors = (0..lane.unroll as i64).map(|at| {
            let loaded =
                self.read(access, self.types.floats, Address { offset: address.offset + bytes * at, ..address });
            match condition {
                Some(condition) => {
                    let padding = self.arithmetic(true).constant(access.padding());
                    self.builder.ins().select(condition, loaded, padding)
                }
                None => loaded,
            }
        });
        Slot::Lanes(vectors.collect())
    }

    fn load_each(&mut self, access: &Access, lane: Lane) -> Slot {
        self.each(lane, |e| e.load_one(access))
    }

    /// Emits `one` once a lane and gathers the results into vectors.
    pub(super) fn each(&mut self, lane: Lane, one: impl Fn(&mut Self) -> Value) -> Slot {
        let vectors = (0..lane.unroll).map(|at| {
            let first = self.in_lane(lane, at * self.types.lanes, &one);
            let mut vector = self.builder.ins().scalar_to_vector(self.types.floats, first);
            for number in 1..self.types.lanes {
                let single = self.in_lane(lane, at * self.types.lanes + number, &one);
                vector = self.builder.ins().insertlane(vector, single, number as u8);
            }
            vector
        });
        Slot::Lanes(vectors.collect())
    }

    /// Emits something for one lane, counted over all unrolled vectors.
    pub(super) fn in_lane<R>(&mut self, lane: Lane, number: usize, emit: impl FnOnce(&mut Self) -> R) -> R {
        let first = self.var(lane.var);
        let here = self.plus(first, number as i64);
        self.set_var(lane.var, here);
        let result = emit(self);
        self.set_var(lane.var, first);
        result
    }

    /// The address if the condition holds, else that of the buffer's first element.
    fn safe(&mut self, access: &Access, condition: Value, address: Address) -> Address {
        let (address, base) = (self.flat(address), self.base(access.buffer));
        Address { value: self.builder.ins().select(condition, address, base), offset: 0 }
    }

    fn read(&mut self, access: &Access, ty: Type, address: Address) -> Value {
        let mut flags = self.flags(ty);
        if !self.is_stored(access.buffer) && !self.may_be_skipped {
            // Nothing writes the buffer while the kernel runs, so loads may be hoisted out of loops.
            flags = flags.with_readonly().with_can_move();
        }
        let (value, offset) = self.immediate(address);
        if ty.is_vector() && !self.folds_unaligned {
            // Cranelift folds vector loads into comparisons, which without AVX demand aligned operands; it does not look
            // through a change of type.
            let loaded = self.builder.ins().load(self.types.ints, flags, value, offset);
            return self.builder.ins().bitcast(ty, MemFlagsData::new().with_endianness(Endianness::Little), loaded);
        }
        self.builder.ins().load(ty, flags, value, offset)
    }

    fn write(&mut self, address: Address, stored: Value) {
        let flags = self.flags(self.builder.func.dfg.value_type(stored));
        let (value, offset) = self.immediate(address);
        self.builder.ins().store(flags, stored, value, offset);
    }

    /// Vectors start at any element, so only single elements are known to be aligned.
    fn flags(&self, ty: Type) -> MemFlagsData {
        let flags = MemFlagsData::new().with_notrap();
        if ty.is_vector() { flags } else { flags.with_aligned() }
    }

    /// The address with as much of its constant as the instruction can hold.
    fn immediate(&mut self, address: Address) -> (Value, i32) {
        match i32::try_from(address.offset) {
            Ok(offset) => (address.value, offset),
            Err(_) => (self.flat(address), 0),
        }
    }

    /// The vectors of a float value.
    pub(super) fn widen(&mut self, value: &Slot) -> Vec<Value> {
        match value {
            Slot::Lanes(vectors) => vectors.clone(),
            Slot::Uniform(single) => {
                let vector = self.arithmetic(true).splat(*single);
                vec![vector; self.lane.map_or(1, |lane| lane.unroll)]
            }
        }
    }

    /// Instructions on single values or on vectors.
    pub(super) fn arithmetic(&mut self, wide: bool) -> Arithmetic<'_, 'f> {
        Arithmetic { types: self.types, wide, builder: &mut self.builder }
    }
}

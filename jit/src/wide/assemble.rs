//! A prepared body as AVX-512 instructions.
//!
//! Shared floats stay in the highest registers, results take the lowest that are free from their definition to their last
//! use. A body that needs more registers than there are is left to cranelift. The last lanes, fewer than 16, run through
//! the same instructions with masked loads and stores.

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use snn_loops::Scalar;
use snn_loops::scalar::ScalarType;

use super::{Body, Cell, Operand, Step, constants};

const VECTORS: [AsmRegisterZmm; 32] = [
    zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15, zmm16, zmm17,
    zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31,
];
/// Registers of masks; `k7` masks the last lanes.
const MASKS: [AsmRegisterK; 6] = [k1, k2, k3, k4, k5, k6];
/// Registers of addresses; those from the sixth on belong to the caller.
const ADDRESSES: [AsmRegister64; 10] = [r8, r9, r10, r11, rax, rbx, r12, r13, r14, r15];
const OWN: usize = 5;
/// Takes the address of a cell for one access where there are more cells than registers.
const PASSING: AsmRegister64 = r15;
/// Bytes by which floats that stream through are asked for ahead of time: hardware does so within a page only, after some
/// misses, and a time loop goes through many short runs.
const AHEAD: i32 = 4096;
/// Lanes of a vector.
const LANES: i32 = 16;

/// Where things are.
struct Places {
    /// For each cell the register of its address or float. An address without register stays in the table.
    addresses: Vec<Option<AsmRegister64>>,
    shared: Vec<Option<AsmRegisterZmm>>,
    /// For each step the number of its result's register.
    results: Vec<usize>,
}

/// The code of a body; `None` if it needs more registers than there are.
pub(super) fn assemble(body: &Body) -> Option<Vec<u8>> {
    let places = places(body)?;
    Code { body, places, asm: CodeAssembler::new(64).ok()? }.function().ok()
}

fn result_type(step: &Step) -> Option<ScalarType> {
    match step {
        Step::Load { .. } => Some(ScalarType::Float),
        Step::Scalar { op, .. } => Some(op.result()),
        Step::Store { .. } => None,
    }
}

fn places(body: &Body) -> Option<Places> {
    let is_address = |cell: &Cell| matches!(cell, Cell::Address(_));
    let too_many = body.cells.iter().filter(|cell| is_address(cell)).count() > ADDRESSES.len();
    let held = ADDRESSES.len() - usize::from(too_many);
    let (mut free_addresses, mut free_shared) = (ADDRESSES.iter().take(held), VECTORS.iter().rev());
    let mut places = Places { addresses: Vec::new(), shared: Vec::new(), results: Vec::new() };
    for cell in &body.cells {
        let is_address = is_address(cell);
        places.addresses.push(if is_address { free_addresses.next().copied() } else { None });
        places.shared.push(if is_address { None } else { Some(*free_shared.next()?) });
    }
    let n_vectors = free_shared.len();
    let mut last_use: Vec<usize> = (0..body.steps.len()).collect();
    for (at, step) in body.steps.iter().enumerate() {
        let args: &[Operand] = match step {
            Step::Load { .. } => &[],
            Step::Scalar { args, .. } => args,
            Step::Store { value, .. } => std::slice::from_ref(value),
        };
        for arg in args {
            if let Operand::Result(step) = arg {
                *last_use.get_mut(*step)? = at;
            }
        }
    }
    // Lowest first, so that code is the same however it came about.
    let mut free_vectors: Vec<usize> = (0..n_vectors).rev().collect();
    let mut free_masks: Vec<usize> = (0..MASKS.len()).rev().collect();
    let mut alive: Vec<(usize, usize, ScalarType)> = Vec::new();
    for (at, step) in body.steps.iter().enumerate() {
        // Operands are read before the result is written, except by instructions of several parts.
        let keeps = matches!(step, Step::Scalar { op, .. } if !constants(*op).is_empty());
        alive.retain(|(last, register, ty)| {
            let ends = if keeps { *last < at } else { *last <= at };
            if ends {
                let free = if *ty == ScalarType::Float { &mut free_vectors } else { &mut free_masks };
                free.push(*register);
            }
            !ends
        });
        let register = match result_type(step) {
            Some(ty) => {
                let register = if ty == ScalarType::Float { free_vectors.pop()? } else { free_masks.pop()? };
                alive.push((*last_use.get(at)?, register, ty));
                register
            }
            // Storing bits takes a mask for a moment.
            None => *free_masks.last()?,
        };
        // So does loading them.
        if matches!(step, Step::Load { packed: true, .. }) {
            free_masks.last()?;
        }
        places.results.push(register);
    }
    Some(places)
}

struct Code<'b> {
    body: &'b Body,
    places: Places,
    asm: CodeAssembler,
}

type Assembled = Result<(), IcedError>;

impl Code<'_> {
    fn function(mut self) -> Result<Vec<u8>, IcedError> {
        let used = self.body.cells.iter().filter(|cell| matches!(cell, Cell::Address(_))).count();
        let saved: Vec<AsmRegister64> = ADDRESSES.iter().take(used).skip(OWN).copied().chain([rbp]).collect();
        for register in &saved {
            self.asm.push(*register)?;
        }
        for at in 0..self.body.cells.len() {
            let cell = rdi + 8 * at as i32;
            if let Some(Some(register)) = self.places.addresses.get(at) {
                self.asm.mov(*register, qword_ptr(cell))?;
            }
            if let Some(Some(register)) = self.places.shared.get(at) {
                self.asm.vbroadcastss(*register, dword_ptr(cell))?;
            }
        }
        let (mut again, mut rest, mut end) =
            (self.asm.create_label(), self.asm.create_label(), self.asm.create_label());
        // rcx counts lanes, rdx the bytes of their bits, rbp is the end of whole vectors.
        self.asm.xor(ecx, ecx)?;
        self.asm.xor(edx, edx)?;
        self.asm.mov(rbp, rsi)?;
        self.asm.and(rbp, -LANES)?;
        self.asm.cmp(rcx, rbp)?;
        self.asm.jge(rest)?;
        self.asm.set_label(&mut again)?;
        self.steps(false)?;
        self.asm.add(rcx, LANES)?;
        self.asm.add(rdx, LANES / 8)?;
        self.asm.cmp(rcx, rbp)?;
        self.asm.jl(again)?;
        self.asm.set_label(&mut rest)?;
        self.asm.sub(rsi, rcx)?;
        self.asm.jle(end)?;
        self.asm.mov(ebp, -1)?;
        self.asm.bzhi(ebp, ebp, esi)?;
        self.asm.kmovw(k7, ebp)?;
        self.steps(true)?;
        self.asm.set_label(&mut end)?;
        self.asm.vzeroupper()?;
        for register in saved.iter().rev() {
            self.asm.pop(*register)?;
        }
        self.asm.ret()?;
        self.asm.assemble(0)
    }

    fn steps(&mut self, masked: bool) -> Assembled {
        let body = self.body;
        body.steps.iter().enumerate().try_for_each(|(at, step)| self.step(at, step, masked))
    }

    fn step(&mut self, at: usize, step: &Step, masked: bool) -> Assembled {
        match step {
            Step::Load { from: place, packed: false } => {
                let (to, from) = (self.vector(at), self.address(place.cell)? + rcx * 4 + place.offset);
                if masked {
                    self.asm.vmovups(to.k7().z(), zmmword_ptr(from))
                } else {
                    if place.streams {
                        self.asm.prefetcht0(byte_ptr(from + AHEAD))?;
                    }
                    self.asm.vmovups(to, zmmword_ptr(from))
                }
            }
            Step::Load { from, packed: true } => {
                let (to, from) = (self.vector(at), self.address(from.cell)? + rdx + from.offset);
                let (ones, mask) = (self.constant(1f32.to_bits()), self.spare(at));
                self.asm.kmovw(mask, word_ptr(from))?;
                self.asm.vmovaps(under(to, mask).z(), ones)
            }
            Step::Store { to: place, packed: false, value } => {
                let (to, value) = (self.address(place.cell)? + rcx * 4 + place.offset, self.float(*value));
                if masked {
                    self.asm.vmovups(zmmword_ptr(to).k7(), value)
                } else {
                    if place.streams {
                        self.asm.prefetchw(byte_ptr(to + AHEAD))?;
                    }
                    self.asm.vmovups(zmmword_ptr(to), value)
                }
            }
            Step::Store { to, packed: true, value } => {
                let (to, value) = (self.address(to.cell)? + rdx + to.offset, self.float(*value));
                let (zero, mask) = (self.constant(0), self.mask_register(self.result(at)));
                // Unordered or not equal: a NaN is not 0.
                self.asm.vcmpps(mask, value, zero, 4)?;
                self.asm.kmovw(word_ptr(to), mask)
            }
            Step::Scalar { op, args } => self.scalar(at, *op, args),
        }
    }

    fn scalar(&mut self, at: usize, op: Scalar, args: &[Operand]) -> Assembled {
        let first = args.first().copied().unwrap_or(Operand::Shared(0));
        let second = args.get(1).copied().unwrap_or(first);
        if op.arguments().first() == Some(&ScalarType::Mask) {
            return self.of_masks(at, op, args);
        }
        let (a, b) = (self.float(first), self.float(second));
        match op {
            Scalar::Lt => return self.asm.vcmpps(self.mask_register(self.result(at)), a, b, 0x11),
            Scalar::Le => return self.asm.vcmpps(self.mask_register(self.result(at)), a, b, 0x12),
            Scalar::Eq => return self.asm.vcmpps(self.mask_register(self.result(at)), a, b, 0x00),
            _ => {}
        }
        let to = self.vector(at);
        let constant = |number: usize| constants(op).get(number).map_or(zmm0, |bits| self.constant(*bits));
        let (c, d) = (constant(0), constant(1));
        let asm = &mut self.asm;
        match op {
            Scalar::Add => asm.vaddps(to, a, b),
            Scalar::Sub => asm.vsubps(to, a, b),
            Scalar::Mul => asm.vmulps(to, a, b),
            Scalar::Div => asm.vdivps(to, a, b),
            // Both give the second argument where the comparison fails, also for a NaN.
            Scalar::Min => asm.vminps(to, a, b),
            Scalar::Max => asm.vmaxps(to, a, b),
            Scalar::Neg => asm.vpxord(to, a, c),
            Scalar::Abs => asm.vpandd(to, a, c),
            Scalar::Sqrt => asm.vsqrtps(to, a),
            // Towards minus infinity, without exceptions.
            Scalar::Floor => asm.vrndscaleps(to, a, 9),
            Scalar::Pow2 => {
                asm.vaddps(to, a, c)?;
                asm.vpslld(to, to, 23)
            }
            Scalar::Exponent => {
                asm.vpsrld(to, a, 23)?;
                asm.vpord(to, to, c)?;
                asm.vsubps(to, to, d)
            }
            Scalar::Mantissa => {
                asm.vpandd(to, a, c)?;
                asm.vpord(to, to, d)
            }
            Scalar::Lt | Scalar::Le | Scalar::Eq | Scalar::And | Scalar::Or | Scalar::Not | Scalar::Select => Ok(()),
        }
    }

    /// Instructions whose first argument is a mask.
    fn of_masks(&mut self, at: usize, op: Scalar, args: &[Operand]) -> Assembled {
        let mask = |number: usize| match args.get(number) {
            Some(Operand::Result(step)) => self.mask_register(self.result(*step)),
            Some(Operand::Shared(_)) | None => k0,
        };
        let (a, b) = (mask(0), mask(1));
        if let (Scalar::Select, [_, then, otherwise]) = (op, args) {
            let (to, then, otherwise) = (self.vector(at), self.float(*then), self.float(*otherwise));
            return self.asm.vblendmps(under(to, a), otherwise, then);
        }
        let to = self.mask_register(self.result(at));
        match op {
            Scalar::And => self.asm.kandw(to, a, b),
            Scalar::Or => self.asm.korw(to, a, b),
            _ => self.asm.knotw(to, a),
        }
    }

    fn result(&self, step: usize) -> usize {
        self.places.results.get(step).copied().unwrap_or(0)
    }

    fn vector(&self, step: usize) -> AsmRegisterZmm {
        VECTORS.get(self.result(step)).copied().unwrap_or(zmm0)
    }

    fn mask_register(&self, number: usize) -> AsmRegisterK {
        MASKS.get(number).copied().unwrap_or(k1)
    }

    /// A mask that no result is in while step `at` runs.
    fn spare(&self, at: usize) -> AsmRegisterK {
        let taken = |register: usize| {
            let holds = |(step, place): (usize, &usize)| {
                let is_mask = self.body.steps.get(step).and_then(result_type) == Some(ScalarType::Mask);
                is_mask && step < at && *place == register && self.is_used_after(step, at)
            };
            self.places.results.iter().enumerate().any(holds)
        };
        (0..MASKS.len()).rev().find(|register| !taken(*register)).map_or(k6, |register| self.mask_register(register))
    }

    fn is_used_after(&self, result: usize, at: usize) -> bool {
        self.body.steps.iter().enumerate().skip(at).any(|(_, step)| match step {
            Step::Load { .. } => false,
            Step::Scalar { args, .. } => args.contains(&Operand::Result(result)),
            Step::Store { value, .. } => *value == Operand::Result(result),
        })
    }

    fn float(&self, operand: Operand) -> AsmRegisterZmm {
        match operand {
            Operand::Result(step) => self.vector(step),
            Operand::Shared(cell) => self.places.shared.get(cell).copied().flatten().unwrap_or(zmm0),
        }
    }

    fn constant(&self, bits: u32) -> AsmRegisterZmm {
        let cell = self.body.cells.iter().position(|cell| *cell == Cell::Bits(bits));
        cell.map_or(zmm0, |cell| self.float(Operand::Shared(cell)))
    }

    /// The register of an address, until the next is asked for.
    fn address(&mut self, cell: usize) -> Result<AsmRegister64, IcedError> {
        match self.places.addresses.get(cell).copied().flatten() {
            Some(register) => Ok(register),
            None => self.asm.mov(PASSING, qword_ptr(rdi + 8 * cell as i32)).map(|()| PASSING),
        }
    }
}

/// A register of which an instruction writes the lanes of a mask.
fn under(register: AsmRegisterZmm, mask: AsmRegisterK) -> AsmRegisterZmm {
    match mask {
        mask if mask == k1 => register.k1(),
        mask if mask == k2 => register.k2(),
        mask if mask == k3 => register.k3(),
        mask if mask == k4 => register.k4(),
        mask if mask == k5 => register.k5(),
        _ => register.k6(),
    }
}

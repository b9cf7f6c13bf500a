//! Statements of a nest as text of one thread.
//!
//! Must never know how many threads there are beyond what `threads` says.

mod loops;
mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use snn_loops::scalar::ScalarType;
use snn_loops::{Access, BufferId, Dtype, Expr, Extent, Ix, Nest, Stmt, Val, Var};

use super::independence::collect_limits;
use super::index::{Int, magnitude};
use super::ordered::TEAM;
use super::threads::Threads;
use super::{BLOCK, Slot, scalar};
use crate::emit::Storage;
use crate::names::PLACEHOLDER;
pub(super) use sums::Sums;

/// Where statements stand, as far as stores must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Outside of all lanes: every lane computes the same.
    Common,
    /// Inside of a `Lanes` loop over this variable; `masked` where lanes behind its end compute along with the last one.
    Lane { var: Var, masked: bool },
}

/// What a function is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A launch.
    Kernel,
    /// A part of one, which is told its thread and how many there are.
    Member,
}

/// Writes one function.
pub(super) struct Writer<'a> {
    dtype: Dtype,
    slots: &'a BTreeMap<BufferId, Slot>,
    threads: &'a Threads,
    limits: BTreeMap<Var, usize>,
    int: Int,
    text: String,
    depth: usize,
    place: Place,
    /// Values that are truth values.
    masks: BTreeSet<Val>,
    /// Set where the text is for sums in registers.
    sums: Option<Sums>,
}

impl<'a> Writer<'a> {
    fn new(nest: &Nest, dtype: Dtype, slots: &'a BTreeMap<BufferId, Slot>, threads: &'a Threads) -> Writer<'a> {
        let mut limits = BTreeMap::new();
        collect_limits(&nest.body, &mut limits);
        let mut writer = Writer {
            dtype,
            slots,
            threads,
            int: Int::Wide,
            limits,
            text: String::new(),
            depth: 0,
            place: Place::Common,
            masks: BTreeSet::new(),
            sums: None,
        };
        writer.int = writer.width(nest);
        writer
    }
}

impl Writer<'_> {
    /// The function of a nest, named [`PLACEHOLDER`].
    pub fn function(nest: &Nest, dtype: Dtype, slots: &BTreeMap<BufferId, Slot>, threads: &Threads) -> String {
        Writer::text(nest, dtype, slots, threads, Form::Kernel).0
    }

    /// The same in a form, and the types of its pointers.
    pub fn text(
        nest: &Nest,
        dtype: Dtype,
        slots: &BTreeMap<BufferId, Slot>,
        threads: &Threads,
        form: Form,
    ) -> (String, Vec<String>) {
        let mut writer = Writer::new(nest, dtype, slots, threads);
        let types = writer.signature(form);
        writer.depth = 1;
        writer.decompose(form);
        writer.variables(nest);
        writer.nested(&nest.body, 0);
        writer.text.push_str("}\n");
        (writer.text, types)
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        for _ in 0..self.depth {
            self.text.push_str("    ");
        }
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// Registers, and what each thread has of scratch.
    fn variables(&mut self, nest: &Nest) {
        let float = scalar::type_name(self.dtype);
        for at in 0..nest.n_regs {
            self.line(format_args!("{float} r{at};"));
        }
        let threads = self.threads.count();
        for (id, slot) in self.slots.iter().filter(|(_, slot)| slot.argument.is_none()) {
            match slot.spilled {
                None => self.line(format_args!("{float} s{}[{}];", id.0, slot.len.max(1))),
                // Neighbors lie side by side.
                Some(before) => {
                    self.line(format_args!("{float}* const s{} = spilled + {before}ull * {threads}ull + thread;", id.0))
                }
            }
        }
    }

    /// 32 bits where no index of the nest can need more.
    fn width(&self, nest: &Nest) -> Int {
        let extent = |var: Var| self.limits.get(&var).copied();
        let is_small = |value: Option<i64>| value.is_some_and(|value| value < 1 << 30);
        let mut narrow =
            is_small(i64::try_from(self.threads.count()).ok()) && self.slots.values().all(|slot| slot.len < 1 << 30);
        each_index(&nest.body, &mut |index| narrow &= is_small(magnitude(index, &extent)));
        if narrow { Int::Narrow } else { Int::Wide }
    }

    /// Writes how the function is called; gives the types of its pointers.
    fn signature(&mut self, form: Form) -> Vec<String> {
        let mut arguments: Vec<(usize, String, &str)> = Vec::new();
        for slot in self.slots.values() {
            let Some(at) = slot.argument else { continue };
            let element = element_name(slot.storage, self.dtype);
            let constant = if slot.stored { "" } else { "const " };
            let restrict = if slot.may_alias { "" } else { " __restrict__" };
            arguments.push((at, format!("{constant}{element}*"), restrict));
        }
        arguments.sort_unstable();
        let pointers = arguments.iter().map(|(at, kind, restrict)| format!("{kind}{restrict} p{at}, "));
        let mut list: String = pointers.collect();
        if self.slots.values().any(|slot| slot.spilled.is_some()) {
            list.push_str(&format!("{}* __restrict__ spilled, ", scalar::type_name(self.dtype)));
        }
        match form {
            Form::Kernel => {
                self.line(format_args!("SN_KERNEL void __launch_bounds__({BLOCK}) {PLACEHOLDER}({list}i64 step) {{"))
            }
            Form::Member => {
                self.line(format_args!("SN_DEV void {PLACEHOLDER}(u32 thread, u32 count, {list}i64 step) {{"));
            }
        }
        arguments.into_iter().map(|(_, kind, _)| kind).collect()
    }

    /// Which iteration of the outer loops and which lane a thread is.
    fn decompose(&mut self, form: Form) {
        let threads = self.threads;
        let (natural, suffix) = if threads.count() < 1 << 31 { ("u32", "u") } else { ("u64", "ull") };
        let int = self.int.name();
        if form == Form::Kernel {
            self.line(format_args!("const {natural} thread = blockIdx.x * ({natural})blockDim.x + threadIdx.x;"));
            self.line(format_args!("if (thread >= {}{suffix}) return;", threads.count()));
        } else {
            self.line(format_args!("if (thread >= count) return;"));
        }
        let pitch = threads.pitch;
        if threads.teams {
            self.line(format_args!("const i32 member = (i32)(thread % {TEAM}{suffix});"));
            self.line(format_args!("const {natural} element = thread / {TEAM}{suffix};"));
        }
        let number = if threads.teams { "element" } else { "thread" };
        if pitch > 1 && threads.outer.is_empty() {
            self.line(format_args!("const {int} lane = ({int}){number};"));
        } else if pitch > 1 {
            self.line(format_args!("const {int} lane = ({int})({number} % {pitch}{suffix});"));
        }
        let mut below = pitch;
        for (at, axis) in threads.outer.iter().enumerate().rev() {
            let limit = axis.extent.limit() as u64;
            let whole = if below == 1 { number.to_owned() } else { format!("{number} / {below}{suffix}") };
            let value = if at == 0 { whole } else { format!("{whole} % {limit}{suffix}") };
            self.line(format_args!("const {int} i{} = ({int})({value});", axis.var.0));
            below = below.saturating_mul(limit.max(1));
        }
        for axis in &threads.outer {
            let count = self.count(axis.extent);
            if count != axis.extent.limit().to_string() {
                self.line(format_args!("if (i{} >= {count}) return;", axis.var.0));
            }
        }
    }

    /// Follows the loops that are threads, then writes the rest.
    fn nested(&mut self, body: &[Stmt], level: usize) {
        if let (Some(axis), [before @ .., Stmt::For { var, body: inside, .. }]) = (self.threads.outer.get(level), body)
            && axis.var == *var
        {
            self.statements(before);
            return self.nested(inside, level + 1);
        }
        self.statements(body);
    }

    fn statements(&mut self, body: &[Stmt]) {
        body.iter().for_each(|stmt| self.statement(stmt));
    }

    fn statement(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::For { var, extent, kind, body } => self.open_loop(*var, *extent, *kind, body),
            Stmt::Let(val, expr) => self.define(*val, expr),
            Stmt::Set(reg, val) => self.line(format_args!("r{} = v{};", reg.0, val.0)),
            Stmt::Store(access, val) => self.store(access, *val),
        }
    }

    fn define(&mut self, val: Val, expr: &Expr) {
        let float = scalar::type_name(self.dtype);
        let v = val.0;
        match expr {
            Expr::Const(value) => {
                let value = scalar::constant(*value, self.dtype);
                self.line(format_args!("const {float} v{v} = {value};"));
            }
            Expr::Index(index) => {
                let index = self.index(index);
                self.line(format_args!("const {float} v{v} = ({float})({index});"));
            }
            Expr::Scalar(op, args) => {
                let kind = match op.result() {
                    ScalarType::Float => float,
                    ScalarType::Mask => "bool",
                };
                if op.result() == ScalarType::Mask {
                    self.masks.insert(val);
                }
                let value = scalar::expression(*op, args);
                self.line(format_args!("const {kind} v{v} = {value};"));
            }
            Expr::Load(access) => {
                let value = self.load(access);
                self.line(format_args!("const {float} v{v} = {value};"));
            }
            Expr::Get(reg) => self.line(format_args!("const {float} v{v} = r{};", reg.0)),
        }
    }

    fn load(&self, access: &Access) -> String {
        if let Some(sum) = self.sum(access.buffer) {
            return sum;
        }
        let index = self.index(&access.index);
        let value = match self.slots.get(&access.buffer) {
            Some(Slot { argument: Some(at), storage, .. }) => match storage {
                Storage::Float | Storage::Registers => format!("p{at}[{index}]"),
                Storage::Bits => {
                    let (one, zero) = (scalar::constant(1.0, self.dtype), scalar::constant(0.0, self.dtype));
                    format!("({} ? {one} : {zero})", self.bit(*at, &access.index))
                }
                Storage::F16 => format!("sn_f16_to_f32(p{at}[{index}])"),
                Storage::Bf16 => format!("sn_bf16_to_f32(p{at}[{index}])"),
            },
            Some(slot) => self.scratch(access.buffer, slot, &index),
            // Every buffer that the nest touches has a slot.
            None => scalar::constant(0.0, self.dtype),
        };
        if access.bounds.is_empty() {
            return value;
        }
        let inside = |(index, extent): &(Ix, i64)| {
            let text = self.index(index);
            match index.range(&|var| self.limits.get(&var).copied()) {
                Some((low, high)) if low >= 0 && high < *extent => "true".to_owned(),
                Some((low, _)) if low >= 0 => format!("{text} < {extent}"),
                Some((_, high)) if high < *extent => format!("{text} >= 0"),
                _ => format!("(u64)(i64)({text}) < {extent}ull"),
            }
        };
        let bounds: Vec<String> = access.bounds.iter().map(inside).collect();
        format!("({}) ? {value} : {}", bounds.join(" && "), scalar::constant(access.padding(), self.dtype))
    }

    /// An element of scratch.
    fn scratch(&self, buffer: BufferId, slot: &Slot, index: &str) -> String {
        match slot.spilled {
            None => format!("s{}[{index}]", buffer.0),
            Some(_) => format!("s{}[(u64)({index}) * {}ull]", buffer.0, self.threads.count()),
        }
    }

    fn store(&mut self, access: &Access, val: Val) {
        if self.is_spikes(access.buffer) {
            return self.spike(val);
        }
        let (index, v) = (self.index(&access.index), val.0);
        let Some(slot) = self.slots.get(&access.buffer) else { return };
        let Some(at) = slot.argument else {
            let place = self.scratch(access.buffer, slot, &index);
            return self.line(format_args!("{place} = v{v};"));
        };
        let storage = slot.storage;
        let zero = scalar::constant(0.0, self.dtype);
        let guard = match self.place {
            Place::Lane { var, masked: true } => format!("if (on{}) ", var.0),
            Place::Common if self.threads.pitch > 1 && self.threads.teams => {
                "if (lane == 0 && member == 0) ".to_owned()
            }
            Place::Common if self.threads.pitch > 1 => "if (lane == 0) ".to_owned(),
            Place::Lane { .. } | Place::Common if self.threads.teams => "if (member == 0) ".to_owned(),
            Place::Lane { .. } | Place::Common => String::new(),
        };
        match storage {
            Storage::Float | Storage::Registers => self.line(format_args!("{guard}p{at}[{index}] = v{v};")),
            Storage::F16 => self.line(format_args!("{guard}p{at}[{index}] = sn_f32_to_f16(v{v});")),
            Storage::Bf16 => self.line(format_args!("{guard}p{at}[{index}] = sn_f32_to_bf16(v{v});")),
            Storage::Bits => match self.place {
                Place::Lane { var, .. } if self.threads.serial_lanes && self.is_vote(access, var) => {
                    self.line(format_args!("sn_set_bit(p{at}, {index}, v{v} != {zero});"));
                }
                Place::Lane { var, masked: true } if self.is_vote(access, var) => {
                    let i = var.0;
                    self.line(format_args!("{{"));
                    self.line(format_args!(
                        "    const u32 word = __ballot_sync(0xffffffffu, on{i} && v{v} != {zero});"
                    ));
                    self.line(format_args!("    if (on{i} && (lane & 31) == 0) p{at}[({index}) >> 5] = word;"));
                    self.line(format_args!("}}"));
                }
                // The only element of its word that anybody stores.
                Place::Lane { .. } | Place::Common => {
                    self.line(format_args!("{guard}p{at}[({index}) >> 5] = v{v} != {zero} ? 1u : 0u;"));
                }
            },
        }
    }

    fn index(&self, index: &Ix) -> String {
        self.int.index(index, &|var| self.limits.get(&var).copied())
    }

    /// The iterations of a loop.
    fn count(&self, extent: Extent) -> String {
        match extent {
            Extent::Fixed(n) => n.to_string(),
            Extent::Block { block, size, total } => {
                let blocks = self.limits.get(&block).copied().unwrap_or(usize::MAX);
                if blocks == 1 {
                    return size.min(total).to_string();
                }
                if total == size.saturating_mul(blocks) {
                    return size.to_string();
                }
                let int = self.int.name();
                format!("sn_rest<{int}>({total}, ({int})i{} * {size}, {size})", block.0)
            }
        }
    }
}

fn element_name(storage: Storage, dtype: Dtype) -> &'static str {
    match storage {
        Storage::Float | Storage::Registers => scalar::type_name(dtype),
        Storage::F16 | Storage::Bf16 => "u16",
        Storage::Bits => "u32",
    }
}

/// Calls `visit` with every index of statements, those of bounds included.
fn each_index(body: &[Stmt], visit: &mut dyn FnMut(&Ix)) {
    for stmt in body {
        match stmt {
            Stmt::For { body, .. } => each_index(body, visit),
            Stmt::Let(_, Expr::Index(index)) => visit(index),
            Stmt::Let(_, Expr::Load(access)) => {
                visit(&access.index);
                access.bounds.iter().for_each(|(index, _)| visit(index));
            }
            Stmt::Store(access, _) => visit(&access.index),
            Stmt::Let(..) | Stmt::Set(..) => {}
        }
    }
}

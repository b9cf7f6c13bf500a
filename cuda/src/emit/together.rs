//! Small nests that are one launch: a network has dozens of parameters, whose updates take less time than launches.
//!
//! Blocks are given to nests by ranges of their numbers. Nests with the same text are rows of one table and share a function;
//! others are branches, which a whole block takes. What a launch can be given limits its nests to 4 KiB of pointers and
//! lengths.
//!
//! Must never know what a nest computes, or a driver.

mod groups;

use std::collections::BTreeMap;
use std::fmt::Write;

use snn_loops::{Kernel, KernelId, Operand, Program};

use super::{Moved, Storage};
use crate::launch::{Argument, Call, Emitted, Function, Template};
use crate::names;
use crate::nest::Member;

/// The table of arguments.
static TOGETHER: Template = Template { file: "together.cu", text: include_str!("together.cu") };

/// Arguments of a launch, 8 bytes each: all devices take 4 KiB.
const ARGUMENTS: usize = 500;

/// Different texts of a launch: its threads have the registers of the one that needs most.
const TEXTS: usize = 16;

/// Nests that are one launch.
pub(super) struct Together {
    /// In the order of the program; all run in the place of the last one.
    pub members: Vec<KernelId>,
    /// As text.
    pub emitted: Emitted,
}

/// All launches of several nests, of those that nothing was moved to or from.
pub(super) fn launches(program: &Program, storage: &[Storage], moved: &[Moved]) -> Vec<Together> {
    let of = |kernel: &Kernel| match kernel {
        Kernel::Nest(nest) => Member::of(nest, program, storage),
        Kernel::Contraction(_) | Kernel::EventSweep(_) | Kernel::Draw(_) => None,
    };
    let nests = Nests { members: program.kernels.iter().map(of).collect() };
    let groups = groups::groups(program, storage, moved, &nests);
    groups.into_iter().map(|members| Together { emitted: emit(&nests.of(&members)), members }).collect()
}

/// The nests of a program that may be members, one entry a kernel.
struct Nests {
    members: Vec<Option<Member>>,
}

impl Nests {
    /// These nests, those of the same text side by side, in the order in which texts come first.
    fn of(&self, kernels: &[KernelId]) -> Vec<Vec<&Member>> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut texts: Vec<Vec<&Member>> = Vec::new();
        for member in kernels.iter().filter_map(|kernel| self.members.get(kernel.0 as usize)?.as_ref()) {
            let place = *places.entry(&member.name).or_insert(texts.len());
            match texts.get_mut(place) {
                Some(rows) => rows.push(member),
                None => texts.push(vec![member]),
            }
        }
        texts
    }
}

impl groups::Limits for Nests {
    fn is_member(&self, kernel: KernelId) -> bool {
        self.members.get(kernel.0 as usize).is_some_and(Option::is_some)
    }

    fn fit(&self, kernels: &[KernelId]) -> bool {
        let texts = self.of(kernels);
        let arguments: usize = texts.iter().flatten().map(|member| width(member)).sum();
        let blocks: u64 = texts.iter().flatten().map(|member| u64::from(blocks(member))).sum();
        arguments < ARGUMENTS && texts.len() <= TEXTS && blocks < 1 << 31
    }
}

/// Entries of a nest in the table.
fn width(member: &Member) -> usize {
    2 + member.pointers.len()
}

fn blocks(member: &Member) -> u32 {
    member.count.div_ceil(Member::BLOCK)
}

/// One launch of nests, each list of the same text.
fn emit(texts: &[Vec<&Member>]) -> Emitted {
    let mut arguments = vec![Argument::Step];
    let (mut functions, mut branches, mut first) = (String::new(), String::new(), 0);
    for (at, rows) in texts.iter().enumerate() {
        let Some(member) = rows.first() else { continue };
        functions.push_str(&member.text);
        let (from, width) = (arguments.len(), width(member));
        let end = from + rows.len() * width;
        let is_last = at + 1 == texts.len();
        // The last text has all blocks that no other has. Writing to a string cannot fail.
        let mine = if is_last { String::new() } else { format!("if (block < (u32)table.at[{end}]) ") };
        let _ = writeln!(branches, "    {mine}{{");
        let row = match rows.len() {
            1 => from.to_string(),
            count => format!("sn_row(table, {from}, {width}, {count}, block)"),
        };
        let _ = writeln!(branches, "        const u32 row = {row};");
        let _ = writeln!(branches, "        return {};\n    }}", call(member));
        for member in rows {
            arguments.extend([Argument::Number(u64::from(first)), Argument::Number(u64::from(member.count))]);
            arguments.extend(member.pointers.iter().map(|(_, id)| Argument::Operand(Operand::whole(*id))));
            first += blocks(member);
        }
    }
    let name = names::PLACEHOLDER;
    let text = format!(
        "namespace {name}_members {{\n{functions}}}\n\
         SN_KERNEL void __launch_bounds__({}) {name}(const SN_TABLE sn_table<{}> table) {{\n    \
         const u32 block = blockIdx.x;\n{branches}}}\n",
        Member::BLOCK,
        arguments.len(),
    );
    let name = names::unique("together", &text);
    let mut needs: Vec<&'static Template> = texts.iter().flatten().map(|member| member.needs).collect();
    needs.dedup();
    needs.push(&TOGETHER);
    let function =
        Function { text: text.replace(names::PLACEHOLDER, &name), name: name.clone(), needs, local_bytes: 0 };
    let call = Call { function: name, grid: [first, 1], block: Member::BLOCK, shared: 0, arguments };
    Emitted { functions: vec![function], calls: vec![call], ..Emitted::default() }
}

/// A call of a nest's function with what stands in its row.
fn call(member: &Member) -> String {
    let pointers: String = member
        .pointers
        .iter()
        .enumerate()
        .map(|(at, (kind, _))| format!("({kind})table.at[row + {}], ", at + 2))
        .collect();
    format!(
        "{}_members::{}((block - (u32)table.at[row]) * {}u + threadIdx.x, (u32)table.at[row + 1], \
         {pointers}(i64)table.at[0])",
        names::PLACEHOLDER,
        member.name,
        Member::BLOCK,
    )
}

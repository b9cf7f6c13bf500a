//! Programs as text, for `snnc dump --stage loops` and for tests.
//!
//! Buffers are `b0`, kernels `k0`, values `v0`, registers `r0`, loop variables `i0`. The text has everything that matters to
//! a back end except the tail of long constants. This module must never know how a program is run.

use std::fmt::{self, Display, Formatter, Write as _};

use crate::contraction::{Contraction, ContractionKind, WeightValues};
use crate::draw::{Distribution, Draw};
use crate::nest::{Access, Expr, Extent, LoopKind, Nest, Stmt};
use crate::program::{Buffer, Kernel, Launch, Operand, Program, Role};

/// Constants up to this length are printed whole.
const PRINTED_VALUES: usize = 8;

impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "program {}", self.dtype.name())?;
        writeln!(f, "\nbuffers")?;
        for (id, buffer) in self.buffers.iter().enumerate() {
            writeln!(f, "  b{id} {buffer}")?;
        }
        for (id, kernel) in self.kernels.iter().enumerate() {
            write!(f, "\nk{id} {kernel}")?;
        }
        writeln!(f, "\nlaunches")?;
        launches(f, &self.launches, 1)
    }
}

impl Display for Buffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let role = match &self.role {
            Role::Input => "input",
            Role::Output => "output",
            Role::Temporary => "temporary",
            Role::Constant(_) => "constant",
            Role::Scratch => "scratch",
        };
        let packed = if self.packed { "packed " } else { "" };
        write!(f, "{packed}{role} {:?} [{}]", self.name, self.len)?;
        if let Role::Constant(values) = &self.role {
            let shown: Vec<String> = values.iter().take(PRINTED_VALUES).map(|v| format!("{v:?}")).collect();
            let more = if values.len() > PRINTED_VALUES { ", ..." } else { "" };
            write!(f, " = {}{more}", shown.join(", "))?;
        }
        Ok(())
    }
}

impl Display for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Kernel::Nest(nest) => nest.fmt(f),
            Kernel::Contraction(contraction) => contraction.fmt(f),
            Kernel::EventSweep(sweep) => sweep.fmt(f),
            Kernel::Draw(draw) => draw.fmt(f),
        }
    }
}

impl Display for Nest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "nest {:?}", self.name)?;
        block(f, &self.body, 1)
    }
}

fn indent(f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
    (0..depth).try_for_each(|_| f.write_str("  "))
}

fn block(f: &mut Formatter<'_>, stmts: &[Stmt], depth: usize) -> fmt::Result {
    for stmt in stmts {
        indent(f, depth)?;
        match stmt {
            Stmt::For { var, extent, kind, body } => {
                writeln!(f, "{kind} i{} in {extent}", var.0)?;
                block(f, body, depth + 1)?;
            }
            Stmt::Let(val, expr) => writeln!(f, "v{} = {expr}", val.0)?,
            Stmt::Set(reg, val) => writeln!(f, "r{} = v{}", reg.0, val.0)?,
            Stmt::Store(access, val) => writeln!(f, "{access} = v{}", val.0)?,
        }
    }
    Ok(())
}

impl Display for LoopKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LoopKind::Parallel => "parallel",
            LoopKind::Serial => "serial",
            LoopKind::Reverse => "reverse",
            LoopKind::Lanes => "lanes",
        })
    }
}

impl Display for Extent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Extent::Fixed(n) => write!(f, "{n}"),
            Extent::Block { block, size, total } => write!(f, "min({size}, {total} - {size}*i{})", block.0),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Const(value) => write!(f, "{value:?}"),
            Expr::Index(index) => write!(f, "index {index}"),
            Expr::Scalar(op, arguments) => {
                f.write_str(op.name())?;
                for (at, argument) in arguments.iter().enumerate() {
                    let separator = if at == 0 { " " } else { ", " };
                    write!(f, "{separator}v{}", argument.0)?;
                }
                Ok(())
            }
            Expr::Load(access) => access.fmt(f),
            Expr::Get(reg) => write!(f, "r{}", reg.0),
        }
    }
}

impl Display for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "b{}[{}]", self.buffer.0, self.index)?;
        for (at, (index, extent)) in self.bounds.iter().enumerate() {
            let keyword = if at == 0 { "if" } else { "and" };
            write!(f, " {keyword} 0 <= {index} < {extent}")?;
        }
        if self.bounds.is_empty() { Ok(()) } else { write!(f, " else {:?}", self.padding()) }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.buffer.0)?;
        if self.offset.as_constant() == Some(0) { Ok(()) } else { write!(f, "[{}..]", self.offset) }
    }
}

impl Display for Contraction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ContractionKind::Forward => "forward",
            ContractionKind::InputGradient => "input gradient",
            ContractionKind::WeightGradient => "weight gradient",
        };
        let s = &self.shape;
        let pair = |name: &str, [a, b]: [usize; 2]| format!("{name} {a}x{b}");
        let mut text = format!("cin {}, cout {}, groups {}", s.cin, s.cout, s.groups);
        for part in [
            pair("input", s.input),
            pair("kernel", s.kernel),
            pair("stride", s.stride),
            pair("pad", s.pad),
            pair("dilation", s.dilation),
            pair("output", s.output),
        ] {
            write!(text, ", {part}")?;
        }
        if self.weights == WeightValues::Int8 {
            text.push_str(", weights of 8 bits");
        }
        writeln!(f, "contraction {:?}", self.name)?;
        let planes = if self.planes == 1 { String::new() } else { format!(", planes {}", self.planes) };
        writeln!(f, "  {} = {kind} {}, {}, rows {}{planes}", self.out, self.a, self.b, self.rows)?;
        writeln!(f, "  {text}")
    }
}

impl Display for Draw {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "draw {:?}", self.name)?;
        write!(f, "  {} = ", self.out)?;
        match self.distribution {
            Distribution::Uniform => write!(f, "uniform")?,
            Distribution::Normal => write!(f, "normal")?,
            Distribution::Bernoulli(p) => write!(f, "bernoulli {p:?}")?,
        }
        writeln!(f, ", stream {}, len {}", self.stream, self.len)
    }
}

fn launches(f: &mut Formatter<'_>, list: &[Launch], depth: usize) -> fmt::Result {
    for launch in list {
        indent(f, depth)?;
        match launch {
            Launch::Run(id) => writeln!(f, "k{}", id.0)?,
            Launch::Repeat { steps, reverse, body } => {
                writeln!(f, "repeat {steps}{}", if *reverse { " reverse" } else { "" })?;
                launches(f, body, depth + 1)?;
            }
        }
    }
    Ok(())
}

//! Emitted text for people: the functions of every unit, then what runs.
//!
//! Must never know a driver.

use std::fmt::{self, Display, Formatter};

use super::Emission;
use crate::launch::{Argument, Call};

impl Display for Emission {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for unit in &self.units {
            writeln!(f, "// {}", unit.name)?;
            f.write_str(unit.text.get(unit.begin..).unwrap_or_default())?;
        }
        writeln!(f, "// launches")?;
        for (at, calls) in self.prepare.iter().enumerate() {
            for call in calls {
                writeln!(f, "// k{at}, when its weights have changed: {call}")?;
            }
        }
        for (at, calls) in self.kernels.iter().enumerate() {
            for call in calls {
                writeln!(f, "// k{at}: {call}")?;
            }
        }
        if self.workspace > 0 {
            writeln!(f, "// workspace of {} bytes", self.workspace)?;
        }
        if self.prepared > 0 {
            writeln!(f, "// prepared weights of {} bytes", self.prepared)?;
        }
        Ok(())
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [x, y] = self.grid;
        write!(f, "{}<<<", self.function)?;
        if y == 1 {
            write!(f, "{x}")?
        } else {
            write!(f, "{x}x{y}")?
        }
        write!(f, ", {}", self.block)?;
        if self.shared > 0 {
            write!(f, ", {} bytes", self.shared)?;
        }
        let arguments: Vec<String> = self.arguments.iter().map(Argument::to_string).collect();
        write!(f, ">>>({})", arguments.join(", "))
    }
}

impl Display for Argument {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Operand(operand) => write!(f, "{operand}"),
            Argument::Workspace(offset) => write!(f, "workspace + {offset}"),
            Argument::Prepared(offset) => write!(f, "prepared + {offset}"),
            Argument::Step => f.write_str("step"),
            Argument::Number(number) => write!(f, "{number}"),
            Argument::Run => f.write_str("run"),
        }
    }
}

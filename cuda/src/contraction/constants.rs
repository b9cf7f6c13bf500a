//! What templates are instantiated with: a struct of types and numbers, as text.
//!
//! Must never know what they mean.

use std::fmt::{Display, Write};

use crate::launch::{Argument, Call, Function, Template};
use crate::names;

/// The body of a struct.
#[derive(Clone, Default)]
pub(super) struct Constants {
    text: String,
}

impl Constants {
    /// Adds a type.
    pub(super) fn alias(&mut self, name: &str, of: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "    typedef {of} {name};");
    }

    /// Adds a 32-bit number.
    pub(super) fn small(&mut self, name: &str, value: usize) {
        self.value("i32", name, value);
    }

    /// Adds a 64-bit number.
    pub(super) fn large(&mut self, name: &str, value: usize) {
        self.value("i64", name, format_args!("{value}ll"));
    }

    /// Adds a condition.
    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.value("bool", name, value);
    }

    /// Adds a number of any type.
    pub(super) fn value(&mut self, of: &str, name: &str, value: impl Display) {
        let _ = writeln!(self.text, "    static constexpr {of} {name} = {value};");
    }

    /// Adds a member as it is written.
    pub(super) fn text(&mut self, member: &str) {
        self.text.push_str(member);
    }

    /// A kernel that calls `template` with the constants.
    pub(super) fn function(&self, kernel: &Kernel<'_>) -> Function {
        let Kernel { kind, template, parameters, arguments, bounds, needs } = *kernel;
        let name = names::PLACEHOLDER;
        let names: Vec<&str> = parameters.iter().map(|(_, argument)| *argument).collect();
        let arguments = arguments.map_or_else(|| names.join(", "), str::to_owned);
        let parameters: Vec<String> = parameters
            .iter()
            .map(|(of, argument)| format!("{} {argument}", of.replace("G::", &format!("{name}_g::"))))
            .collect();
        let text = format!(
            "struct {name}_g {{\n{}}};\nSN_KERNEL void __launch_bounds__({bounds}) {name}({}) {{\n    {template}<{name}_g>({});\n}}\n",
            self.text,
            parameters.join(", "),
            arguments,
        );
        let unique = names::unique(kind, &text);
        let text = text.replace(name, &unique);
        Function { name: unique, needs: needs.to_vec(), text, local_bytes: 0 }
    }
}

/// A kernel that is an instance of a template.
#[derive(Clone, Copy)]
pub(super) struct Kernel<'a> {
    /// What its name begins with.
    pub(super) kind: &'a str,
    /// The template that it calls.
    pub(super) template: &'a str,
    /// Types, `G` being the constants, and names of its parameters.
    pub(super) parameters: &'a [(&'a str, &'a str)],
    /// What the template is called with, if not its parameters.
    pub(super) arguments: Option<&'a str>,
    /// Threads of a block and, where said, blocks that a processor holds at least.
    pub(super) bounds: &'a str,
    /// Texts that it needs.
    pub(super) needs: &'a [&'static Template],
}

/// A launch of `threads` threads at least, in blocks of `block`.
pub(super) fn launch(function: &Function, threads: usize, block: usize, arguments: Vec<Argument>) -> Call {
    Call {
        function: function.name.clone(),
        grid: [u32::try_from(threads.div_ceil(block)).unwrap_or(u32::MAX), 1],
        block: block as u32,
        shared: 0,
        arguments,
    }
}

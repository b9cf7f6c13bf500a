//! Functions, calls and memory of a sweep, one after the other.
//!
//! Must never know neurons.

use super::layer::Layer;
use crate::launch::{Argument, Call, Emitted, Function, Template};
use crate::names::{PLACEHOLDER, unique};

/// Where parts of the workspace begin.
const ALIGNMENT: usize = 256;

/// What a function is called with.
#[derive(Clone)]
pub(super) enum Item {
    /// The type of a parameter and what it is given.
    Given(String, Argument),
    /// Part of the text, as `nullptr`.
    Text(&'static str),
}

/// One launch.
pub(super) struct Work<'a> {
    /// What it does, for its name.
    pub kind: &'a str,
    /// The templates behind those of the neuron.
    pub needs: &'a [&'static Template],
    pub items: Vec<Item>,
    pub blocks: usize,
    pub threads: usize,
}

/// What is emitted so far.
pub(super) struct Plan<'l> {
    layer: &'l Layer<'l>,
    emitted: Emitted,
}

impl<'l> Plan<'l> {
    pub fn new(layer: &'l Layer<'l>) -> Plan<'l> {
        Plan { layer, emitted: Emitted::default() }
    }

    pub fn finish(self) -> Emitted {
        self.emitted
    }

    /// Memory for so many elements of a type.
    pub fn reserve(&mut self, element: &str, len: usize) -> Item {
        let size = match element {
            "u32" | "float" => 4,
            _ => 8,
        };
        let at = self.emitted.workspace;
        self.emitted.workspace += (len.max(1) * size).next_multiple_of(ALIGNMENT);
        Item::Given(format!("{element}*"), Argument::Workspace(at))
    }

    /// Adds a launch, unless it has no blocks. `body` writes the function's body from the names of the items.
    pub fn launch(&mut self, work: Work<'_>, body: impl FnOnce(&[String]) -> String) {
        if work.blocks == 0 {
            return;
        }
        // More than a grid can have is refused before anything is launched.
        let blocks = u32::try_from(work.blocks).unwrap_or(u32::MAX);
        let (mut parameters, mut arguments, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for item in work.items {
            match item {
                Item::Given(kind, argument) => {
                    names.push(format!("p{}", arguments.len()));
                    parameters.push(format!("{kind} p{}", arguments.len()));
                    arguments.push(argument);
                }
                Item::Text(text) => names.push(text.to_owned()),
            }
        }
        let (threads, parameters) = (work.threads, parameters.join(", "));
        let body = body(&names);
        // Without the number of blocks compilers spill registers to have more of them.
        let head = format!("SN_KERNEL void __launch_bounds__({threads}, 1) @({parameters})");
        let text = format!("{}{head} {{\n    {body}\n}}\n", self.layer.text());
        let text = text.replace('@', PLACEHOLDER);
        let name = unique(&format!("events_{}", work.kind), &text);
        let mut needs: Vec<&'static Template> = Vec::new();
        let all = [&super::templates::MATH, &super::templates::LISTS];
        for template in all.into_iter().chain(self.layer.neuron.needs.iter().copied()).chain(work.needs.iter().copied())
        {
            if !needs.contains(&template) {
                needs.push(template);
            }
        }
        if !self.emitted.functions.iter().any(|known| known.name == name) {
            self.emitted.functions.push(Function {
                name: name.clone(),
                needs,
                text: text.replace(PLACEHOLDER, &name),
                local_bytes: 0,
            });
        }
        let block = u32::try_from(threads).unwrap_or(u32::MAX);
        self.emitted.calls.push(Call { function: name, grid: [blocks, 1], block, shared: 0, arguments });
    }
}

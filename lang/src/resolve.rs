//! Which texts take part in a program, and what each of their names refers to.
//!
//! [`load`] reads the main text, the prelude and everything that a `use` asks for, each once; a name of a module is one
//! of its own declarations or one that it brings in. What a declaration means is not known here.

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{self, DeclKind};
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, nearest};
use crate::report::Report;
use crate::source::{FileId, Files, Sources, Span};

mod imports;
mod load;
pub(crate) mod names;

pub(crate) use load::load;

/// The number of a module in its [`Program`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModuleId(pub usize);

/// A declaration: which module, and which of its declarations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeclId {
    /// The module it stands in.
    pub module: ModuleId,
    /// Its position there.
    pub index: usize,
}

/// What a name of a module refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    /// The declaration.
    pub decl: DeclId,
    /// Where this module introduces the name: the declaration's own name, or the `use`.
    pub span: Span,
    /// Whether it came through a `use`.
    pub imported: bool,
}

/// One text with its names.
#[derive(Debug)]
pub(crate) struct Module {
    /// How a `use` or a message calls it.
    pub name: String,
    /// Its syntax tree.
    pub tree: ast::File,
    /// What its names refer to, those of the prelude left out.
    pub names: BTreeMap<String, Named>,
    /// Names that a `use` should have brought in and that its source lacks, which has been reported.
    pub missing: BTreeSet<String>,
    /// Whether it belongs to the standard library, so that mistakes are shown where it is used.
    pub is_library: bool,
}

/// All modules of a program.
#[derive(Debug)]
pub(crate) struct Program {
    modules: Vec<Module>,
    main: ModuleId,
    prelude: BTreeMap<String, Named>,
}

impl Program {
    /// The module that is compiled.
    pub(crate) fn main(&self) -> ModuleId {
        self.main
    }

    /// A module. Ids are made by this program only, so there always is one.
    pub(crate) fn module(&self, id: ModuleId) -> Option<&Module> {
        self.modules.get(id.0)
    }

    /// All modules with their ids.
    pub(crate) fn modules(&self) -> impl Iterator<Item = (ModuleId, &Module)> {
        self.modules.iter().enumerate().map(|(at, module)| (ModuleId(at), module))
    }

    /// A declaration.
    pub(crate) fn decl(&self, id: DeclId) -> Option<&ast::Decl> {
        self.module(id.module)?.tree.decls.get(id.index)
    }

    /// The declarations of the main module with their ids, in order.
    pub(crate) fn main_decls(&self) -> impl Iterator<Item = (DeclId, &ast::Decl)> {
        let decls = self.module(self.main).map_or(&[][..], |module| &module.tree.decls);
        decls.iter().enumerate().map(|(index, decl)| (DeclId { module: self.main, index }, decl))
    }

    /// What a name means in a module: its own, brought in, or of the prelude.
    pub(crate) fn lookup(&self, module: ModuleId, name: &str) -> Option<Named> {
        self.module(module)?.names.get(name).or_else(|| self.prelude.get(name)).copied()
    }

    /// Whether a name would come through a `use` that is wrong, so that nothing more is to be said about it.
    pub(crate) fn is_missing(&self, module: ModuleId, name: &str) -> bool {
        self.module(module).is_some_and(|module| module.missing.contains(name))
    }

    /// Every name that a module can use, for suggestions.
    pub(crate) fn visible(&self, module: ModuleId) -> impl Iterator<Item = &str> {
        let own = self.module(module).into_iter().flat_map(|module| module.names.keys());
        own.chain(self.prelude.keys()).map(String::as_str)
    }

    /// Whether a text belongs to the standard library.
    pub(crate) fn is_library(&self, file: FileId) -> bool {
        self.modules.iter().any(|module| module.is_library && module.tree.id == file)
    }
}

/// The name under which a declaration can be referred to; `None` for `train`, `convert` and `test`.
pub(crate) fn declared_name(decl: &ast::Decl) -> Option<&ast::Name> {
    match &decl.kind {
        DeclKind::Train(_) | DeclKind::Convert(_) | DeclKind::Test(_) => None,
        DeclKind::Surrogate(_) | DeclKind::Fn(_) | DeclKind::Unit(_) | DeclKind::Model(_) | DeclKind::Extern(_) => {
            Some(decl.name())
        }
    }
}

/// Two things of one name.
fn duplicate(name: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::error(Code::DuplicateName, format!("the name `{name}` is given twice"))
        .at(second, "the second time")
        .because(first, "the first time")
        .help("rename one of them; a name that is brought in can be renamed with `as`")
}

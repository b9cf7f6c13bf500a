//! Reading every text of a program, each once.
//!
//! Breadth first and without recursion, so that neither a long chain of files nor a circle of them is a danger. A module
//! of the standard library may consist of several texts; they are brought in together and keep their own names apart.
//! Must never open a file itself.

use std::borrow::Cow;

use snn_stdlib::PRELUDE;

use super::*;
use crate::ast::UseSource;
use crate::parse;

/// The most texts of one program.
const MAX_MODULES: usize = 256;

/// Reads the main text and everything it needs. What is wrong is reported; the program holds what could be understood.
pub(crate) fn load(files: &dyn Files, name: &str, text: &str, sources: &mut Sources, report: &mut Report) -> Program {
    let mut loader =
        Loader { files, sources, report, modules: Vec::new(), known: BTreeMap::new(), targets: Vec::new() };
    let main = loader.read(name, text, false);
    if let Some(main) = main {
        loader.known.insert(name.to_string(), vec![main]);
    }
    let prelude = loader.read_library(PRELUDE);
    let mut at = 0;
    while at < loader.modules.len() {
        loader.follow(ModuleId(at));
        at += 1;
    }
    let Loader { mut modules, targets, report, .. } = loader;
    imports::bind(&mut modules, &targets, report);
    imports::circles(&modules, &targets, report);
    let mut names = BTreeMap::new();
    for id in prelude {
        let own = modules.get(id.0).into_iter().flat_map(|module| &module.names).filter(|(_, named)| !named.imported);
        names.extend(own.map(|(name, named)| (name.clone(), *named)));
    }
    Program { modules, main: main.unwrap_or(ModuleId(0)), prelude: names }
}

/// For each `use` line of each module, in order, the modules it reads from; none where they could not be read.
pub(super) type Targets = Vec<Vec<Vec<ModuleId>>>;

struct Loader<'a> {
    files: &'a dyn Files,
    sources: &'a mut Sources,
    report: &'a mut Report,
    modules: Vec<Module>,
    known: BTreeMap<String, Vec<ModuleId>>,
    targets: Targets,
}

impl Loader<'_> {
    /// Parses one more text, unless there are too many.
    fn read(&mut self, name: &str, text: &str, is_library: bool) -> Option<ModuleId> {
        if self.modules.len() >= MAX_MODULES {
            return None;
        }
        let file = self.sources.add(name, text);
        let (tree, diagnostics) = parse::parse_file(file, text);
        self.report.extend(diagnostics);
        self.modules.push(Module {
            name: name.to_string(),
            tree,
            names: BTreeMap::new(),
            missing: BTreeSet::new(),
            is_library,
        });
        Some(ModuleId(self.modules.len() - 1))
    }

    /// The texts of a module of the standard library; none if there is no such module.
    fn read_library(&mut self, name: &str) -> Vec<ModuleId> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let ids: Vec<ModuleId> = snn_stdlib::files(name)
            .filter_map(|part| self.read(&format!("std/{}", part.file), part.text, true))
            .collect();
        self.known.insert(name.to_string(), ids.clone());
        ids
    }

    /// Reads what the `use` lines of a module ask for.
    fn follow(&mut self, id: ModuleId) {
        let Some(module) = self.modules.get(id.0) else { return };
        let importing = module.name.clone();
        let wanted: Vec<UseSource> = module.tree.uses.iter().map(|line| line.source.clone()).collect();
        let targets = wanted.iter().map(|source| self.target(&importing, source)).collect();
        self.targets.push(targets);
    }

    fn target(&mut self, importing: &str, source: &UseSource) -> Vec<ModuleId> {
        match source {
            UseSource::Module { path, span } => {
                let words: Vec<&str> = path.iter().map(ast::Name::as_str).collect();
                let name = words.join(".");
                let found = self.read_library(&name);
                if found.is_empty() {
                    self.report.add(unknown_module(&name, *span));
                }
                found
            }
            UseSource::File { path, span } => match self.files.read(importing, path) {
                Ok((name, text)) => self.file(&name, Cow::Owned(text), *span),
                Err(why) => {
                    let message = format!("the file `{path}` cannot be read");
                    self.report.add(Diagnostic::error(Code::UnreadableFile, message).at(*span, why));
                    Vec::new()
                }
            },
        }
    }

    fn file(&mut self, name: &str, text: Cow<'_, str>, span: Span) -> Vec<ModuleId> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        match self.read(name, &text, false) {
            Some(id) => {
                self.known.insert(name.to_string(), vec![id]);
                vec![id]
            }
            None => {
                let message = format!("this program uses more than {MAX_MODULES} files");
                self.report.add(Diagnostic::error(Code::TooManyFiles, message).at(span, "one too many"));
                Vec::new()
            }
        }
    }
}

fn unknown_module(name: &str, span: Span) -> Diagnostic {
    let mut names: Vec<&str> =
        snn_stdlib::MODULES.iter().map(|part| part.path).filter(|module| *module != PRELUDE).collect();
    names.dedup();
    let error = Diagnostic::error(Code::UnknownModule, format!("the standard library has no module `{name}`"))
        .at(span, "no such module");
    match nearest(name, names.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("its modules are {}", names.join(", "))),
    }
}

//! What the `use` lines of each module bring in, and circles of files.
//!
//! Must never know what a declaration means.

use super::load::Targets;
use super::*;

/// Fills the names of every module: its own declarations, then what its `use` lines name.
pub(super) fn bind(modules: &mut [Module], targets: &Targets, report: &mut Report) {
    for (at, module) in modules.iter_mut().enumerate() {
        for (index, decl) in module.tree.decls.iter().enumerate() {
            let Some(name) = declared_name(decl) else { continue };
            let named = Named { decl: DeclId { module: ModuleId(at), index }, span: name.span, imported: false };
            insert(&mut module.names, &name.text, named, report);
        }
    }
    let own: Vec<BTreeMap<String, Named>> = modules.iter().map(|module| module.names.clone()).collect();
    for (module, targets) in modules.iter_mut().zip(targets) {
        for (line, targets) in module.tree.uses.iter().zip(targets) {
            if targets.is_empty() {
                module.missing.extend(line.items.iter().map(|item| item.local().text.clone()));
                continue;
            }
            let offered: BTreeMap<&String, &Named> =
                targets.iter().filter_map(|target| own.get(target.0)).flatten().collect();
            for item in &line.items {
                match offered.get(&item.name.text) {
                    Some(named) => {
                        let local = item.local();
                        let named = Named { decl: named.decl, span: local.span, imported: true };
                        insert(&mut module.names, &local.text, named, report);
                    }
                    None => {
                        module.missing.insert(item.local().text.clone());
                        report.add(not_offered(&item.name, line, offered.keys().map(|name| name.as_str())));
                    }
                }
            }
        }
    }
}

fn insert(names: &mut BTreeMap<String, Named>, name: &str, named: Named, report: &mut Report) {
    if let Some(first) = names.get(name) {
        report.add(duplicate(name, first.span, named.span));
    } else {
        names.insert(name.to_string(), named);
    }
}

fn not_offered<'a>(name: &ast::Name, line: &ast::Use, offered: impl Iterator<Item = &'a str> + Clone) -> Diagnostic {
    let (from, span) = match &line.source {
        ast::UseSource::Module { path, span } => {
            (path.iter().map(ast::Name::as_str).collect::<Vec<_>>().join("."), *span)
        }
        ast::UseSource::File { path, span } => (path.clone(), *span),
    };
    let error = Diagnostic::error(Code::UnknownName, format!("`{from}` has no `{}`", name.text))
        .at(name.span, "not declared there")
        .because(span, "looked for in here");
    match nearest(&name.text, offered.clone()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("it has {}", offered.collect::<Vec<_>>().join(", "))),
    }
}

/// Reports files that use each other in a circle. The names still resolve, so nothing else is said about them.
pub(super) fn circles(modules: &[Module], targets: &Targets, report: &mut Report) {
    #[derive(Clone, Copy, PartialEq)]
    enum Color {
        New,
        Open,
        Done,
    }
    let edges: Vec<Vec<(usize, ModuleId)>> = targets
        .iter()
        .map(|lines| lines.iter().enumerate().flat_map(|(line, to)| to.iter().map(move |to| (line, *to))).collect())
        .collect();
    let mut colors = vec![Color::New; modules.len()];
    for start in (0..modules.len()).filter(|at| modules.get(*at).is_some_and(|module| !module.is_library)) {
        // A stack of (module, next edge to follow) in place of recursion.
        let mut stack = vec![(start, 0)];
        while let Some((at, edge)) = stack.pop() {
            if edge == 0 && colors.get(at) != Some(&Color::New) {
                continue;
            }
            let next = edges.get(at).and_then(|edges| edges.get(edge)).copied();
            if let Some(color) = colors.get_mut(at) {
                *color = if next.is_some() { Color::Open } else { Color::Done };
            }
            let Some((line, target)) = next else { continue };
            stack.push((at, edge + 1));
            match colors.get(target.0) {
                Some(Color::New) => stack.push((target.0, 0)),
                Some(Color::Open) => report.extend(circle(modules, at, line, target)),
                _ => {}
            }
        }
    }
}

fn circle(modules: &[Module], at: usize, line: usize, target: ModuleId) -> Option<Diagnostic> {
    let (module, target) = (modules.get(at)?, modules.get(target.0)?);
    let line = module.tree.uses.get(line)?;
    if module.is_library {
        return None;
    }
    let message = match module.name == target.name {
        true => format!("`{}` uses itself", module.name),
        false => format!("`{}` and `{}` use each other", module.name, target.name),
    };
    Some(
        Diagnostic::error(Code::ImportCycle, message)
            .at(line.span, format!("this closes the circle back to `{}`", target.name))
            .help("move what both need into a third file"),
    )
}

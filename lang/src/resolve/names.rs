//! Every name in every declaration, used or not: does anything bear it?
//!
//! Shapes and settings are not looked at. Where a name could be the value of a string setting (`reset = soft`) and the
//! declaration that is called is only known later, elaboration decides.

use super::*;
use crate::ast::{Annotation, Arg, Block, Config, Decl, Expr, ExprKind, FieldType, Param, Shape, Stmt, StmtKind};
use crate::builtins;

/// The names that a `train` has besides those of its data set.
pub(crate) const TRAIN_NAMES: &[&str] = &["out", "spikes"];

/// Names that are used, each in its module.
pub(crate) type Used<'p> = BTreeSet<(ModuleId, &'p str)>;

/// Reports every unknown name of the program.
pub(crate) fn check<'p>(program: &'p Program, report: &mut Report) -> Used<'p> {
    let mut used = BTreeSet::new();
    for (id, module) in program.modules() {
        let mut checker = Checker { program, module: id, report, locals: Vec::new(), used: &mut used };
        module.tree.decls.iter().filter(|decl| !decl.broken).for_each(|decl| checker.decl(decl));
    }
    used
}

/// Warns of every name that the main text brings in and never uses.
pub(crate) fn warn_of_unused(program: &Program, used: &Used<'_>, report: &mut Report) {
    let Some(main) = program.module(program.main()) else { return };
    for (name, named) in main.names.iter().filter(|(_, named)| named.imported) {
        if !used.contains(&(program.main(), name.as_str())) {
            let message = format!("`{name}` is brought in and never used");
            let warning = Diagnostic::warning(Code::UnusedImport, message).at(named.span, "not used in this file");
            report.add(warning.help("leave it out"));
        }
    }
}

/// The error for a name that nothing bears.
pub(crate) fn unknown<'a>(
    program: &'a Program,
    module: ModuleId,
    name: &str,
    span: Span,
    locals: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let error =
        Diagnostic::error(Code::UnknownName, format!("nothing here is called `{name}`")).at(span, "unknown name");
    if let Some(home) = snn_stdlib::MODULES.iter().find(|text| declares(text.text, name)) {
        return error.help(format!("`use {} {{ {name} }}` brings it in", home.path));
    }
    let candidates =
        locals.into_iter().chain(program.visible(module)).chain(builtins::names().map(|name| -> &str { name }));
    match nearest(name, candidates) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// Whether a text declares a unit or surrogate of that name; by its words alone, which is enough for a hint.
fn declares(text: &str, name: &str) -> bool {
    ["neuron", "layer", "block", "surrogate"].iter().any(|word| {
        let head = format!("{word} {name}(");
        text.lines().any(|line| line.starts_with(&head))
    })
}

/// The settings that a call fills, as far as the syntax tells: those of the declaration that the callee names.
pub(crate) fn settings_of(decl: &Decl) -> &[Param] {
    match &decl.kind {
        DeclKind::Surrogate(decl) => &decl.settings,
        DeclKind::Fn(decl) => &decl.params,
        DeclKind::Unit(decl) => &decl.settings,
        DeclKind::Model(decl) => &decl.settings,
        DeclKind::Extern(decl) => &decl.settings,
        DeclKind::Train(_) | DeclKind::Convert(_) | DeclKind::Test(_) => &[],
    }
}

struct Checker<'p, 'r> {
    program: &'p Program,
    module: ModuleId,
    report: &'r mut Report,
    locals: Vec<BTreeSet<&'p str>>,
    used: &'r mut Used<'p>,
}

impl<'p> Checker<'p, '_> {
    fn decl(&mut self, decl: &'p Decl) {
        self.locals = vec![BTreeSet::new()];
        match &decl.kind {
            DeclKind::Surrogate(surrogate) => {
                self.params(&surrogate.settings);
                self.params(&surrogate.signals);
                self.expr(&surrogate.value);
                surrogate.primitive.iter().for_each(|value| self.expr(value));
            }
            DeclKind::Fn(function) => {
                self.params(&function.params);
                self.expr(&function.value);
            }
            DeclKind::Unit(unit) => {
                self.params(&unit.settings);
                self.params(&unit.signals);
                self.block(&unit.body);
            }
            DeclKind::Model(model) => {
                self.params(&model.settings);
                self.block(&model.body);
            }
            DeclKind::Train(config) => {
                self.locals.push(TRAIN_NAMES.iter().copied().collect());
                let knows_targets = self.targets(config);
                // The names that an unknown data set gives are unknown too, and no mistake of the loss.
                let entries = config.entries.iter().filter(|entry| knows_targets || entry.key.text == "data");
                entries.for_each(|entry| self.expr(&entry.value));
            }
            DeclKind::Convert(config) => config.entries.iter().for_each(|entry| self.expr(&entry.value)),
            DeclKind::Test(test) => self.block(&test.body),
            DeclKind::Extern(builtin) => {
                self.params(&builtin.settings);
                for field in &builtin.fields {
                    match &field.ty {
                        FieldType::Tensor { shape, .. } => self.shape(shape),
                        FieldType::Kind { args, .. } => args.iter().for_each(|arg| self.expr(&arg.value)),
                    }
                }
            }
        }
    }

    /// The names that the data set of a `train` gives. `false` where there is no telling.
    fn targets(&mut self, config: &'p Config) -> bool {
        let data = config.entries.iter().find(|entry| entry.key.text == "data").map(|entry| &entry.value);
        let Some(Expr { kind: ExprKind::Call { callee, .. }, .. }) = data else { return false };
        let ExprKind::Name(name) = &callee.kind else { return false };
        let decl = self.program.lookup(self.module, name).and_then(|named| self.program.decl(named.decl));
        let Some(Decl { kind: DeclKind::Extern(data), .. }) = decl else { return false };
        self.locals.push(data.fields.iter().map(|field| field.name.as_str()).collect());
        true
    }

    fn params(&mut self, params: &'p [Param]) {
        for param in params {
            match &param.annotation {
                Some(Annotation::Shape(shape)) => self.pattern(shape),
                Some(Annotation::Kind(_)) | None => {}
            }
            param.default.iter().for_each(|value| self.expr(value));
            if let Some(range) = &param.range {
                self.expr(&range.low);
                self.expr(&range.high);
            }
            self.bind(&param.name.text);
        }
    }

    /// The shape of a signal: its bare names are sizes that it binds.
    fn pattern(&mut self, shape: &'p Shape) {
        for dim in &shape.dims {
            match &dim.kind {
                ExprKind::Name(name) => self.bind(name),
                _ => self.expr(dim),
            }
        }
    }

    fn shape(&mut self, shape: &'p Shape) {
        shape.dims.iter().for_each(|dim| self.expr(dim));
    }

    fn bind(&mut self, name: &'p str) {
        if let Some(scope) = self.locals.last_mut() {
            scope.insert(name);
        }
    }

    fn block(&mut self, block: &'p Block) {
        self.locals.push(BTreeSet::new());
        block.stmts.iter().for_each(|stmt| self.stmt(stmt));
        self.locals.pop();
    }

    fn stmt(&mut self, stmt: &'p Stmt) {
        match &stmt.kind {
            StmtKind::Param(param) => param.shape.iter().for_each(|shape| self.shape(shape)),
            StmtKind::State(vars) => vars.iter().flat_map(|var| &var.shape).for_each(|shape| self.shape(shape)),
            StmtKind::Input(input) => self.shape(&input.shape),
            _ => {}
        }
        stmt.for_each_expr(&mut |expr| self.expr(expr));
        match &stmt.kind {
            StmtKind::Param(param) => self.bind(&param.name.text),
            StmtKind::State(vars) => vars.iter().for_each(|var| self.bind(&var.name.text)),
            StmtKind::Input(input) => self.bind(&input.name.text),
            StmtKind::Let { name, .. } => self.bind(&name.text),
            _ => {}
        }
    }

    fn expr(&mut self, expr: &'p Expr) {
        match &expr.kind {
            ExprKind::Name(name) => self.name(name, expr.span),
            ExprKind::Call { callee, args } => {
                self.expr(callee);
                let settings = self.callee_settings(callee);
                for (at, arg) in args.iter().enumerate() {
                    if !self.is_word(arg, at, settings) {
                        self.expr(&arg.value);
                    }
                }
            }
            ExprKind::If(branch) => {
                self.expr(&branch.condition);
                self.block(&branch.then);
                branch.otherwise.iter().for_each(|block| self.block(block));
            }
            ExprKind::For(repeat) => {
                self.expr(&repeat.values);
                self.locals.push(BTreeSet::from([repeat.variable.as_str()]));
                self.block(&repeat.body);
                self.locals.pop();
            }
            _ => expr.for_each_child(&mut |child| self.expr(child)),
        }
    }

    fn name(&mut self, name: &'p str, span: Span) {
        if self.locals.iter().any(|scope| scope.contains(name)) {
            return;
        }
        if self.program.lookup(self.module, name).is_some() {
            self.used.insert((self.module, name));
        } else if !builtins::is_known(name) && !self.program.is_missing(self.module, name) {
            let locals = self.locals.iter().flatten().copied();
            self.report.add(unknown(self.program, self.module, name, span, locals));
        }
    }

    /// The settings of what is called; `None` where only elaboration can know.
    fn callee_settings(&self, callee: &'p Expr) -> Option<&'p [Param]> {
        let ExprKind::Name(name) = &callee.kind else { return None };
        if self.locals.iter().any(|scope| scope.contains(name.as_str())) {
            return None;
        }
        let named = self.program.lookup(self.module, name)?;
        self.program.decl(named.decl).map(settings_of)
    }

    /// Whether an argument is a bare word that is, or may be, the value of a string setting.
    fn is_word(&self, arg: &Arg, at: usize, settings: Option<&[Param]>) -> bool {
        let ExprKind::Name(word) = &arg.value.kind else { return false };
        if self.locals.iter().any(|scope| scope.contains(word.as_str())) {
            return false;
        }
        let Some(settings) = settings else { return arg.name.is_some() };
        let param = match &arg.name {
            Some(name) => settings.iter().find(|param| param.name.text == name.text),
            None => settings.get(at),
        };
        param.is_some_and(takes_word)
    }
}

/// Whether a setting is a string, so that a bare word given for it means itself.
pub(crate) fn takes_word(param: &Param) -> bool {
    matches!(&param.annotation, Some(Annotation::Kind(kind)) if kind.text == "string" || kind.text == "word")
        || matches!(&param.default, Some(Expr { kind: ExprKind::Str(_), .. }))
}

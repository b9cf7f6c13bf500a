//! Tokens and syntax trees as text, for `snnc dump`.
//!
//! One declaration, statement or setting a line; expressions on one line with every operator in brackets, so that the
//! text shows how the grammar grouped them. Must never know what the tree means.

use std::fmt::Write as _;

use crate::ast::*;
use crate::lexer;
use crate::parse::sign;
use crate::source::FileId;
use crate::token::Token;

/// The tokens of a text, one a line: byte range, kind, text.
pub fn dump_tokens(text: &str) -> String {
    let mut out = String::new();
    for lexeme in lexer::lex(FileId(0), text).tokens {
        let (kind, shown) = match lexeme.token {
            Token::Newline => ("newline", ""),
            Token::Word(word) => ("word", word),
            Token::Number(digits) => ("number", digits),
            Token::Duration(digits) => ("duration", digits),
            Token::Str(quoted) => ("string", quoted),
            Token::Keyword(keyword) => ("keyword", keyword.as_str()),
            other => ("sign", sign(other)),
        };
        let line = format!("{}..{} {kind} {shown}", lexeme.span.start, lexeme.span.end);
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The syntax tree of a file, indented.
pub fn print_file(file: &File) -> String {
    let mut out = Printer { text: String::new(), depth: 0 };
    if let Some(edition) = file.edition {
        out.line(&format!("edition {}", edition.number));
    }
    for line in &file.uses {
        out.line(&use_line(line));
    }
    for decl in &file.decls {
        out.decl(decl);
    }
    out.text
}

struct Printer {
    text: String,
    depth: usize,
}

impl Printer {
    fn line(&mut self, text: &str) {
        self.text.extend(std::iter::repeat_n("    ", self.depth));
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn inside(&mut self, body: impl FnOnce(&mut Self)) {
        self.depth += 1;
        body(self);
        self.depth -= 1;
    }

    fn doc(&mut self, doc: Option<&Doc>) {
        for line in doc.iter().flat_map(|doc| doc.text.lines()) {
            self.line(format!("/// {line}").trim_end());
        }
    }

    fn decl(&mut self, decl: &Decl) {
        self.doc(decl.doc.as_ref());
        let mark = if decl.broken { " (broken)" } else { "" };
        match &decl.kind {
            DeclKind::Surrogate(it) => {
                self.line(&format!("surrogate {}{mark}", it.name.text));
                self.inside(|out| {
                    out.params("setting", &it.settings);
                    out.params("signal", &it.signals);
                    out.line(&format!("value {}", print_expr(&it.value)));
                    if let Some(primitive) = &it.primitive {
                        out.line(&format!("primitive {}", print_expr(primitive)));
                    }
                });
            }
            DeclKind::Fn(it) => {
                self.line(&format!("fn {}{mark}", it.name.text));
                self.inside(|out| {
                    out.params("param", &it.params);
                    out.line(&format!("value {}", print_expr(&it.value)));
                });
            }
            DeclKind::Unit(it) => {
                self.line(&format!("{} {}{mark}", it.kind.as_str(), it.name.text));
                self.inside(|out| {
                    out.params("setting", &it.settings);
                    out.params("signal", &it.signals);
                    out.stmts(&it.body);
                });
            }
            DeclKind::Model(it) => {
                self.line(&format!("model {}{mark}", it.name.text));
                self.inside(|out| {
                    out.params("setting", &it.settings);
                    out.stmts(&it.body);
                });
            }
            DeclKind::Train(it) => self.config("train", it, mark),
            DeclKind::Convert(it) => self.config("convert", it, mark),
            DeclKind::Test(it) => {
                let training = if it.training { "training " } else { "" };
                self.line(&format!("test {training}{:?}{mark}", it.title.text));
                self.inside(|out| out.stmts(&it.body));
            }
            DeclKind::Extern(it) => {
                self.line(&format!("extern {} {}{mark}", it.kind.text, it.name.text));
                self.inside(|out| {
                    out.params("setting", &it.settings);
                    for field in &it.fields {
                        out.doc(field.doc.as_ref());
                        out.line(&format!("field {}: {}", field.name.text, field_type(&field.ty)));
                    }
                });
            }
        }
    }

    fn config(&mut self, word: &str, config: &Config, mark: &str) {
        self.line(&format!("{word} {}{mark}", config.model.text));
        self.inside(|out| {
            for entry in &config.entries {
                out.doc(entry.doc.as_ref());
                out.line(&format!("{} = {}", entry.key.text, print_expr(&entry.value)));
            }
        });
    }

    fn params(&mut self, word: &str, params: &[Param]) {
        for param in params {
            self.doc(param.doc.as_ref());
            let mut line = format!("{word} {}", param.name.text);
            match &param.annotation {
                Some(Annotation::Shape(dims)) => line.push_str(&format!(": {}", shape(dims))),
                Some(Annotation::Kind(kind)) => line.push_str(&format!(": {}", kind.text)),
                None => {}
            }
            if let Some(default) = &param.default {
                line.push_str(&format!(" = {}", print_expr(default)));
            }
            if let Some(limits) = &param.range {
                line.push_str(&format!(" in {}", range(limits)));
            }
            self.line(&line);
        }
    }

    fn stmts(&mut self, block: &Block) {
        for stmt in &block.stmts {
            self.doc(stmt.doc.as_ref());
            self.line(&print_stmt(stmt));
        }
    }
}

fn use_line(line: &Use) -> String {
    let source = match &line.source {
        UseSource::Module { path, .. } => path.iter().map(Name::as_str).collect::<Vec<_>>().join("."),
        UseSource::File { path, .. } => format!("{path:?}"),
    };
    let item = |item: &UseItem| match &item.alias {
        Some(alias) => format!("{} as {}", item.name.text, alias.text),
        None => item.name.text.clone(),
    };
    format!("use {source} {{ {} }}", join(&line.items, ", ", item))
}

fn field_type(ty: &FieldType) -> String {
    match ty {
        FieldType::Tensor { kind, shape: dims } => format!("{}{}", kind.as_ref().map_or("", Name::as_str), shape(dims)),
        FieldType::Kind { name, args } => format!("{}({})", name.text, join(args, ", ", arg)),
    }
}

fn shape(shape: &Shape) -> String {
    format!("[{}]", join(&shape.dims, ", ", print_expr))
}

fn range(range: &Range) -> String {
    let (open, close) = (if range.low_closed { '[' } else { '(' }, if range.high_closed { ']' } else { ')' });
    format!("{open}{}, {}{close}", print_expr(&range.low), print_expr(&range.high))
}

/// A statement on one line.
pub fn print_stmt(stmt: &Stmt) -> String {
    let shaped = |name: &Name, dims: &Option<Shape>| match dims {
        Some(dims) => format!("{}: {}", name.text, shape(dims)),
        None => name.text.clone(),
    };
    match &stmt.kind {
        StmtKind::Param(param) => {
            let head = format!("param {}", shaped(&param.name, &param.shape));
            match &param.init {
                Some(Init::Value(value)) => format!("{head} = {}", print_expr(value)),
                Some(Init::Draw(value)) => format!("{head} ~ {}", print_expr(value)),
                None => head,
            }
        }
        StmtKind::State(vars) => {
            let var = |var: &StateVar| format!("{} = {}", shaped(&var.name, &var.shape), print_expr(&var.start));
            format!("state {}", join(vars, ", ", var))
        }
        StmtKind::Let { name, value } => format!("let {} = {}", name.text, print_expr(value)),
        StmtKind::Next { name, value } => format!("next {} = {}", name.text, print_expr(value)),
        StmtKind::Equation { name, value } => format!("{}' = {}", name.text, print_expr(value)),
        StmtKind::On { signal, body } => format!("on {} {}", signal.text, assigns(body)),
        StmtKind::Spike(spike) => format!("spike when {} {}", print_expr(&spike.condition), assigns(&spike.reset)),
        StmtKind::Input(input) => {
            let kind = input.kind.as_ref().map_or("", Name::as_str);
            format!("input {}: {kind}{}", input.name.text, shape(&input.shape))
        }
        StmtKind::Time(Time { extent, step }) => match step {
            Some(step) => format!("time {} of {}", print_expr(extent), print_expr(step)),
            None => format!("time {}", print_expr(extent)),
        },
        StmtKind::Expect { condition, within } => match within {
            Some(within) => format!("expect {} within {}", print_expr(condition), print_expr(within)),
            None => format!("expect {}", print_expr(condition)),
        },
        StmtKind::Require { condition, message } => match message {
            Some(message) => format!("require {}, {message:?}", print_expr(condition)),
            None => format!("require {}", print_expr(condition)),
        },
        StmtKind::Expr(expr) => print_expr(expr),
        StmtKind::Error => "(a statement with an error)".to_string(),
    }
}

fn assigns(body: &[Assign]) -> String {
    let assign =
        |assign: &Assign| format!("{} {} {}", assign.target.text, assign.op.as_str(), print_expr(&assign.value));
    format!("{{ {} }}", join(body, ", ", assign))
}

fn arg(arg: &Arg) -> String {
    match &arg.name {
        Some(name) => format!("{} = {}", name.text, print_expr(&arg.value)),
        None => print_expr(&arg.value),
    }
}

fn block(block: &Block) -> String {
    format!("{{ {} }}", join(&block.stmts, "; ", print_stmt))
}

/// An expression on one line, every operator and pipe in brackets.
pub fn print_expr(expr: &Expr) -> String {
    let mut text = String::new();
    match &expr.kind {
        ExprKind::Number { value, .. } => text = format!("{value:?}").trim_end_matches(".0").to_string(),
        ExprKind::Duration(seconds) => text = format!("{seconds:?}s"),
        ExprKind::Str(value) => text = format!("{value:?}"),
        ExprKind::Bool(value) => text = value.to_string(),
        ExprKind::Name(name) => text.push_str(name),
        ExprKind::Rest => text.push_str(".."),
        ExprKind::List(elements) => text = format!("[{}]", join(elements, ", ", print_expr)),
        ExprKind::Unary { op, operand } => text = format!("({}{})", op.as_str(), print_expr(operand)),
        ExprKind::Binary { op, left, right, .. } => {
            text = format!("({} {} {})", print_expr(left), op.as_str(), print_expr(right));
        }
        ExprKind::Call { callee, args } => {
            text = format!("{}({})", print_expr(callee), join(args, ", ", arg));
        }
        ExprKind::Pipe(pipe) => {
            let item = |item: &PipeItem| match &item.label {
                Some(label) => format!("{} as {}", print_expr(&item.expr), label.text),
                None => print_expr(&item.expr),
            };
            text = format!("({})", join(&pipe.items, " -> ", item));
        }
        ExprKind::If(branch) => {
            let _ = write!(text, "if {} {}", print_expr(&branch.condition), block(&branch.then));
            if let Some(otherwise) = &branch.otherwise {
                let _ = write!(text, " else {}", block(otherwise));
            }
        }
        ExprKind::For(repeat) => {
            let values = print_expr(&repeat.values);
            text = format!("for {} in {values} {}", repeat.variable.text, block(&repeat.body));
        }
    }
    text
}

fn join<T>(parts: &[T], separator: &str, show: impl Fn(&T) -> String) -> String {
    parts.iter().map(show).collect::<Vec<_>>().join(separator)
}

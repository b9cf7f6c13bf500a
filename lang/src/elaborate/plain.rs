//! Values as plain data, for whoever runs the model: no syntax, no scopes.

use std::fmt;

use super::*;
use crate::ast::FieldType;
use crate::resolve::ModuleId;
use crate::value::{BuiltinValue, Spanned};

/// A setting of something built in.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// A number.
    Number(f64),
    /// A length of time in seconds.
    Duration(f64),
    /// A truth value.
    Truth(bool),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Plain>),
    /// Something built in, such as the schedule after a warm-up.
    Call(ExternCall),
    /// No value.
    Nothing,
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plain::Number(number) => write!(f, "{number}"),
            Plain::Duration(seconds) => write!(f, "{}ms", seconds * 1e3),
            Plain::Truth(truth) => write!(f, "{truth}"),
            Plain::Text(text) => write!(f, "{text:?}"),
            Plain::List(elements) => {
                write!(f, "[")?;
                for (at, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if at > 0 { ", " } else { "" })?;
                }
                write!(f, "]")
            }
            Plain::Call(call) => write!(f, "{call}"),
            Plain::Nothing => write!(f, "none"),
        }
    }
}

/// A use of something built in, checked against its signature: every setting, defaults included, in declared order.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternCall {
    /// Which kind: `dataset`, `optimizer`, `schedule`, `augmentation`, `criterion`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its settings.
    pub settings: Vec<(String, Plain)>,
}

impl ExternCall {
    /// A setting by name.
    pub fn setting(&self, name: &str) -> Option<&Plain> {
        self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A setting that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.setting(name)? {
            Plain::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A setting that is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.setting(name)? {
            Plain::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A setting that is a truth value.
    pub fn truth(&self, name: &str) -> Option<bool> {
        match self.setting(name)? {
            Plain::Truth(truth) => Some(*truth),
            _ => None,
        }
    }
}

impl fmt::Display for ExternCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (at, (name, value)) in self.settings.iter().enumerate() {
            write!(f, "{}{name} = {value}", if at > 0 { ", " } else { "" })?;
        }
        write!(f, ")")
    }
}

/// What a field of a data set holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldKind {
    /// A tensor: its kind, and its shape where the signature knows it.
    Tensor(Option<String>, Option<Vec<usize>>),
    /// A class: of how many, where the signature knows it.
    Class(Option<usize>),
}

impl<'p> Elaborator<'p, '_> {
    /// A value as plain data; signals and stages are none.
    pub(super) fn plain(&mut self, value: &Spanned<'p>) -> Option<Plain> {
        match &value.value {
            Value::Number(number) => Some(Plain::Number(*number)),
            Value::Duration(seconds) => Some(Plain::Duration(*seconds)),
            Value::Truth(truth) => Some(Plain::Truth(*truth)),
            Value::Text(text) => Some(Plain::Text(text.to_string())),
            Value::Nothing => Some(Plain::Nothing),
            Value::List(elements) => {
                let plain =
                    elements.iter().map(|element| self.plain(&Spanned { value: element.clone(), span: value.span }));
                plain.collect::<Option<Vec<Plain>>>().map(Plain::List)
            }
            Value::Builtin(builtin) => self.extern_call(builtin, value.span).map(Plain::Call),
            Value::Poison => None,
            other => {
                let message = format!("{} cannot be given here", other.describe());
                let error = self.error_at(Code::WrongType, message, value.span, "not plain data");
                self.fail(error);
                None
            }
        }
    }

    /// Something built in with all its settings.
    pub(super) fn extern_call(&mut self, builtin: &BuiltinValue<'p>, span: Span) -> Option<ExternCall> {
        let decl = builtin.decl;
        let env = self.bind_settings(&decl.name.text, builtin.id.module, &decl.settings, &builtin.given, true, span)?;
        let mut settings = Vec::new();
        for param in &decl.settings {
            let value = env.get(&param.name.text)?;
            settings.push((param.name.text.clone(), self.plain(&Spanned { value, span })?));
        }
        Some(ExternCall { kind: decl.kind.text.clone(), name: decl.name.text.clone(), settings })
    }

    /// What one sample of a data set holds, by field.
    pub(super) fn fields(&mut self, builtin: &BuiltinValue<'p>, span: Span) -> Option<Vec<(String, FieldKind)>> {
        let decl = builtin.decl;
        let module: ModuleId = builtin.id.module;
        let env = self.bind_settings(&decl.name.text, module, &decl.settings, &builtin.given, true, span)?;
        let mut fields = Vec::new();
        for field in &decl.fields {
            let kind = match &field.ty {
                FieldType::Tensor { kind, shape } => {
                    let open = shape.dims.iter().any(|dim| matches!(dim.kind, crate::ast::ExprKind::Rest));
                    let dims = if open { None } else { Some(self.shape_dims(shape, &env)?.0) };
                    FieldKind::Tensor(kind.as_ref().map(|kind| kind.text.clone()), dims)
                }
                FieldType::Kind { args, .. } => FieldKind::Class(match args.first() {
                    Some(arg) => {
                        let n = self.expr(&arg.value, &env);
                        Some(self.size(&n, "the number of classes", arg.span)?)
                    }
                    None => None,
                }),
            };
            fields.push((field.name.text.clone(), kind));
        }
        Some(fields)
    }
}

//! The data set of a `train`: which field feeds which input, and do they fit.
//!
//! Must never open a data set.

use super::*;

/// A data set with its fields.
pub(super) struct DataSet<'p> {
    /// The call.
    pub call: ExternCall,
    /// Its declaration.
    decl: &'p crate::ast::Extern,
    /// What one sample holds.
    fields: Vec<(String, FieldKind)>,
    /// Where it is called.
    span: Span,
}

impl<'p> DataSet<'p> {
    /// Whether its samples have a class.
    pub(super) fn has_class(&self) -> bool {
        self.fields.iter().any(|(_, kind)| matches!(kind, FieldKind::Class(_)))
    }

    /// The names of the fields that are targets, in the order of the targets.
    pub(super) fn target_names(&self, fields: &[DataField]) -> Vec<&'p str> {
        let targets = fields.iter().zip(&self.decl.fields).filter(|(field, _)| matches!(field.feeds, Feeds::Target(_)));
        targets.map(|(_, declared)| declared.name.text.as_str()).collect()
    }
}

/// What the fields are for, the number of classes, and the targets.
type Matched = (Vec<DataField>, Option<usize>, Vec<Input>);

impl<'p> Elaborator<'p, '_> {
    /// `data = digits()`
    pub(super) fn data_set(&mut self, train: &TrainDecl<'p>, env: &Env<'p>) -> Option<DataSet<'p>> {
        let Some(entry) = train.entry("data") else {
            let error = Diagnostic::error(Code::MissingTrainSetting, "this `train` has no `data`")
                .at(train.config.model.span, "there is no `data` to learn from")
                .help("write `data = digits()`");
            self.fail(error);
            return None;
        };
        let value = self.spanned(entry, env);
        let builtin = self.builtin("data", "dataset", &value, train)?;
        let call = self.extern_call(&builtin, entry.span)?;
        let fields = self.fields(&builtin, entry.span)?;
        Some(DataSet { call, decl: builtin.decl, fields, span: entry.span })
    }

    /// Decides what each field is for and compares shapes.
    pub(super) fn match_fields(&mut self, data: &DataSet<'p>, body: &Body<'p>) -> Matched {
        let mut fed = vec![false; body.inputs.len()];
        let n_tensors = data.fields.iter().filter(|(_, kind)| matches!(kind, FieldKind::Tensor(..))).count();
        let (mut fields, mut targets, mut classes) = (Vec::new(), Vec::new(), None);
        for (name, kind) in &data.fields {
            let by_name = body.inputs.iter().position(|input| input.name == *name);
            // With one of each there is nothing to confuse.
            let input = by_name.or((n_tensors == 1 && body.inputs.len() == 1).then_some(0));
            let feeds = match (kind, input) {
                (FieldKind::Tensor(word, dims), Some(at)) => {
                    if let Some(flag) = fed.get_mut(at) {
                        *flag = true;
                    }
                    self.compare(data, name, (word.as_deref(), dims.as_deref()), body, at);
                    Feeds::Input(at)
                }
                (FieldKind::Tensor(word, dims), None) => {
                    let dims = dims.clone().unwrap_or_default();
                    targets.extend(self.target(name, input_kind(word.as_deref()), dims, data.span));
                    Feeds::Target(targets.len().saturating_sub(1))
                }
                (FieldKind::Class(n), _) => {
                    classes = *n;
                    targets.extend(self.target(name, InputKind::Static, Vec::new(), data.span));
                    Feeds::Target(targets.len().saturating_sub(1))
                }
            };
            fields.push(DataField { name: name.clone(), feeds });
        }
        for (input, _) in body.inputs.iter().zip(fed).filter(|(_, fed)| !fed) {
            let message = format!("the data set `{}` has nothing for the input `{}`", data.call.name, input.name);
            let names: Vec<&str> = data.fields.iter().map(|(name, _)| name.as_str()).collect();
            let error =
                Diagnostic::error(Code::DataShape, message).at(data.span, format!("it has {}", names.join(", ")));
            let place = self.input_place(body, &input.name);
            self.fail(error.because(place, "the input"));
        }
        self.check_classes(data, classes, body);
        (fields, classes, targets)
    }

    fn target(&mut self, name: &str, kind: InputKind, dims: Vec<usize>, span: Span) -> Option<Input> {
        let ty = Ty::signal(kind != InputKind::Static, &dims);
        let ty = if dims.is_empty() { ty.with_kind(Kind::Counts) } else { ty };
        let node = self.input(name, ty, span)?;
        Some(Input { name: name.to_string(), kind, dims, node })
    }

    fn compare(
        &mut self,
        data: &DataSet<'p>,
        name: &str,
        (word, dims): (Option<&str>, Option<&[usize]>),
        body: &Body<'p>,
        at: usize,
    ) {
        let (Some(input), Some(dims)) = (body.inputs.get(at), dims) else { return };
        let field = input_kind(word);
        if input.dims == dims && input.kind == field {
            return;
        }
        let show = |kind: InputKind, dims: &[usize]| match kind {
            InputKind::Static => format!("{dims:?}"),
            InputKind::Frames => format!("frames{dims:?}"),
            InputKind::Spikes => format!("spikes{dims:?}"),
        };
        let message = format!("the data set `{}` does not fit the input `{}`", data.call.name, input.name);
        let error = Diagnostic::error(Code::DataShape, message)
            .at(data.span, format!("its `{name}` is {}", show(field, dims)))
            .because(self.input_place(body, &input.name), format!("the input is {}", show(input.kind, &input.dims)))
            .help(format!("write `input {}: {}`", input.name, show(field, dims)));
        self.fail(error);
    }

    fn check_classes(&mut self, data: &DataSet<'p>, classes: Option<usize>, body: &Body<'p>) {
        let (Some(classes), [n]) = (classes, self.graph.ty(body.output).dims.as_slice()) else { return };
        let n = *n;
        let message = format!("the model has {n} outputs, the data set `{}` {classes} classes", data.call.name);
        if n < classes {
            let error = Diagnostic::error(Code::DataShape, message).at(body.span, format!("{n} outputs"));
            self.fail(
                error.because(data.span, format!("{classes} classes")).help("give the model one output for each class"),
            );
        } else if n > classes {
            let warning = Diagnostic::warning(Code::ClassCount, message).at(body.span, format!("{n} outputs"));
            self.report.add(warning.because(data.span, format!("{classes} classes")));
        }
    }

    fn input_place(&self, body: &Body<'p>, name: &str) -> Span {
        let mut inputs = body.decl.body.stmts.iter().filter_map(|stmt| match &stmt.kind {
            crate::ast::StmtKind::Input(input) if input.name.text == name => Some(stmt.span),
            _ => None,
        });
        inputs.next().unwrap_or(body.decl.name.span)
    }
}

fn input_kind(word: Option<&str>) -> InputKind {
    match word {
        Some("spikes") => InputKind::Spikes,
        Some("frames") => InputKind::Frames,
        _ => InputKind::Static,
    }
}

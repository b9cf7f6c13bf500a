//! Paths of weights, and the identity of instances.
//!
//! A path is: labels and `let` names that hold the instance, the index of each repetition counted through the whole
//! labelled stretch, then the kind in lower case with a running number. A block that is the whole of a repetition is named
//! by the repetition's index alone. Must never know what an instance does.

use super::*;

impl<'p> Elaborator<'p, '_> {
    /// Elaborates something that a label or `let` name holds.
    pub(super) fn held_by<T>(&mut self, name: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.prefix.push(name.to_string());
        let value = inner(self);
        self.prefix.pop();
        value
    }

    /// Elaborates one element of a repetition under its index.
    pub(super) fn repetition(&mut self, inner: impl FnOnce(&mut Self) -> Value<'p>) -> Value<'p> {
        let counter = self.counters.entry(format!("{} *", self.prefix.join("."))).or_insert(0);
        let index = counter.to_string();
        *counter += 1;
        self.held_by(&index, |this| {
            let value = inner(this);
            if let Value::Unit(unit) = &value
                && unit.decl.kind == crate::ast::UnitKind::Block
                && let Some(instance) = &unit.instance
                && instance.prefix == this.prefix.join(".")
            {
                instance.whole.set(true);
            }
            value
        })
    }

    /// The identity that parentheses at a place make: a new one, or, where the body of a shared instance is elaborated
    /// once more, the one that it made before.
    pub(super) fn new_instance(&mut self, span: Span) -> Rc<Instance> {
        let fresh = Rc::new(Instance { prefix: self.prefix.join("."), ..Instance::default() });
        let Some(application) = self.applications.last_mut() else { return fresh };
        let count = application.counts.entry(span).or_insert(0);
        *count += 1;
        let mut children = application.instance.children.borrow_mut();
        Rc::clone(children.entry((span, *count)).or_insert(fresh))
    }

    /// The path of an instance of a kind, decided at its first use.
    pub(super) fn path_of(&mut self, instance: &Instance, kind: &str) -> Rc<str> {
        if let Some(path) = &*instance.path.borrow() {
            return Rc::clone(path);
        }
        let path = match instance.whole.get() {
            true => instance.prefix.clone(),
            false => self.numbered(&instance.prefix, &kind.to_lowercase()),
        };
        let path: Rc<str> = Rc::from(path);
        *instance.path.borrow_mut() = Some(Rc::clone(&path));
        path
    }

    /// `prefix.kind3`, the next number of that kind under that prefix.
    pub(super) fn numbered(&mut self, prefix: &str, kind: &str) -> String {
        let kind = join(prefix, kind);
        let counter = self.counters.entry(kind.clone()).or_insert(0);
        *counter += 1;
        format!("{kind}{counter}")
    }

    /// The path of something that the innermost instance itself holds.
    pub(super) fn own_path(&self, name: &str) -> String {
        let path = self.applications.last().and_then(|application| application.instance.path.borrow().clone());
        join(path.as_deref().unwrap_or(""), name)
    }
}

/// Two parts of a path; either may be empty.
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") }
}

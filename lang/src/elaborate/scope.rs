//! Names in sight: what a body, a block or a loop has bound.
//!
//! A stage keeps the scope that it was written in, which in turn holds the stage; [`Scopes`] knows them all and takes
//! them apart at the end. Must never know what a value is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use crate::resolve::ModuleId;
use crate::value::Value;

/// A scope that several values may keep.
pub(crate) type Env<'p> = Rc<Scope<'p>>;

/// Names bound in one place, and the scope around it.
#[derive(Debug)]
pub(crate) struct Scope<'p> {
    parent: Option<Env<'p>>,
    module: ModuleId,
    names: RefCell<BTreeMap<&'p str, Value<'p>>>,
}

impl<'p> Scope<'p> {
    /// Binds a name; one that is bound in this very scope already is replaced.
    pub(crate) fn bind(&self, name: &'p str, value: Value<'p>) {
        self.names.borrow_mut().insert(name, value);
    }

    /// The value of a name, here or further out.
    pub(crate) fn get(&self, name: &str) -> Option<Value<'p>> {
        let own = self.names.borrow().get(name).cloned();
        own.or_else(|| self.parent.as_ref().and_then(|parent| parent.get(name)))
    }

    /// The module whose names are in sight beyond all scopes.
    pub(crate) fn module(&self) -> ModuleId {
        self.module
    }

    /// Every name bound here or further out.
    pub(crate) fn names(&self) -> Vec<&'p str> {
        let mut names: Vec<&'p str> = self.names.borrow().keys().copied().collect();
        names.extend(self.parent.iter().flat_map(|parent| parent.names()));
        names
    }
}

/// Every scope of one elaboration.
#[derive(Debug, Default)]
pub(crate) struct Scopes<'p> {
    all: Vec<Weak<Scope<'p>>>,
}

impl<'p> Scopes<'p> {
    /// A scope that sees only what its module sees.
    pub(crate) fn root(&mut self, module: ModuleId) -> Env<'p> {
        self.add(Scope { parent: None, module, names: RefCell::default() })
    }

    /// A scope inside another.
    pub(crate) fn child(&mut self, parent: &Env<'p>) -> Env<'p> {
        self.add(Scope { parent: Some(Rc::clone(parent)), module: parent.module, names: RefCell::default() })
    }

    fn add(&mut self, scope: Scope<'p>) -> Env<'p> {
        let scope = Rc::new(scope);
        self.all.push(Rc::downgrade(&scope));
        scope
    }

    /// Unbinds every name, so that scopes and the stages in them let go of each other.
    pub(crate) fn clear(&mut self) {
        for scope in self.all.drain(..).filter_map(|scope| scope.upgrade()) {
            scope.names.borrow_mut().clear();
        }
    }
}

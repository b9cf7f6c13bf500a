//! Runs one loop nest.
//!
//! Must never know which kernel runs before or after.

use super::memory::Memory;
use super::scalar::{Value, apply};
use crate::dtype::Dtype;
use crate::index::{Ix, Var};
use crate::nest::{Access, Expr, Extent, LoopKind, Nest, Reg, Stmt, Val};

/// Runs a nest at a step of the enclosing `Repeat`.
pub(super) fn run(nest: &Nest, dtype: Dtype, memory: &mut Memory, step: i64) -> Result<(), String> {
    let mut frame = Frame {
        dtype,
        memory,
        step,
        vals: vec![None; nest.n_vals as usize],
        regs: vec![None; nest.n_regs as usize],
        vars: vec![None; nest.n_vars as usize],
    };
    frame.block(&nest.body)
}

/// The state of a nest. What is not defined yet is `None`.
struct Frame<'a> {
    dtype: Dtype,
    memory: &'a mut Memory,
    step: i64,
    vals: Vec<Option<Value>>,
    regs: Vec<Option<f64>>,
    vars: Vec<Option<i64>>,
}

impl Frame<'_> {
    fn block(&mut self, stmts: &[Stmt]) -> Result<(), String> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<(), String> {
        match stmt {
            Stmt::For { var, extent, kind, body } => self.iterate(*var, *extent, *kind, body),
            Stmt::Let(val, expr) => {
                let value = self.expr(expr)?;
                *slot(&mut self.vals, val.0, 'v')? = Some(value);
                Ok(())
            }
            Stmt::Set(reg, val) => {
                let value = self.float(*val)?;
                *slot(&mut self.regs, reg.0, 'r')? = Some(value);
                Ok(())
            }
            Stmt::Store(access, val) => {
                let (at, value) = (self.index(&access.index)?, self.float(*val)?);
                self.memory.store(access.buffer, at, value).map_err(|e| format!("a store outside of memory: {e}"))
            }
        }
    }

    fn iterate(&mut self, var: Var, extent: Extent, kind: LoopKind, body: &[Stmt]) -> Result<(), String> {
        let n = self.extent(extent)?;
        let is_independent = matches!(kind, LoopKind::Parallel | LoopKind::Lanes);
        let outside = if is_independent { self.regs.clone() } else { Vec::new() };
        for at in 0..n {
            *slot(&mut self.vars, var.0, 'i')? = Some(if kind == LoopKind::Reverse { n - 1 - at } else { at });
            if is_independent {
                self.regs.fill(None);
            }
            self.block(body)?;
        }
        if is_independent {
            self.regs = outside;
        }
        *slot(&mut self.vars, var.0, 'i')? = None;
        Ok(())
    }

    fn extent(&self, extent: Extent) -> Result<i64, String> {
        match extent {
            Extent::Fixed(n) => Ok(n as i64),
            Extent::Block { block, size, total } => {
                let (block, size, total) = (self.var(block)?, size as i64, total as i64);
                Ok(size.min(total.saturating_sub(block.saturating_mul(size))).max(0))
            }
        }
    }

    fn expr(&mut self, expr: &Expr) -> Result<Value, String> {
        Ok(match expr {
            Expr::Const(value) => Value::Float(self.dtype.round(*value)),
            Expr::Index(index) => {
                let value = self.index(index)?;
                Value::Float(match self.dtype {
                    Dtype::F32 => f64::from(value as f32),
                    Dtype::F64 => value as f64,
                })
            }
            Expr::Scalar(op, arguments) => {
                let mut values = [Value::Mask(false); 3];
                for (value, argument) in values.iter_mut().zip(arguments) {
                    *value = self.val(*argument)?;
                }
                let values = values.get(..arguments.len()).unwrap_or_default();
                apply(self.dtype, *op, values)
                    .ok_or_else(|| format!("`{}` does not take the arguments {values:?}", op.name()))?
            }
            Expr::Load(access) => Value::Float(self.load(access)?),
            Expr::Get(reg) => Value::Float(self.reg(*reg)?),
        })
    }

    fn load(&self, access: &Access) -> Result<f64, String> {
        for (index, extent) in &access.bounds {
            if !(0..*extent).contains(&self.index(index)?) {
                return Ok(self.dtype.round(access.padding()));
            }
        }
        let at = self.index(&access.index)?;
        self.memory.load(access.buffer, at).map_err(|e| format!("a load outside of memory: {e}"))
    }

    fn index(&self, index: &Ix) -> Result<i64, String> {
        // `evaluate` cannot fail, so a variable without a loop is looked for afterwards.
        let missing = std::cell::Cell::new(None);
        let value = index.evaluate(
            &|var| {
                self.var(var).unwrap_or_else(|e| {
                    missing.set(Some(e));
                    0
                })
            },
            self.step,
        );
        match missing.into_inner() {
            Some(error) => Err(error),
            None => Ok(value),
        }
    }

    fn var(&self, var: Var) -> Result<i64, String> {
        let value = self.vars.get(var.0 as usize).copied().flatten();
        value.ok_or_else(|| format!("i{} is used outside of its loop", var.0))
    }

    fn val(&self, val: Val) -> Result<Value, String> {
        let value = self.vals.get(val.0 as usize).copied().flatten();
        value.ok_or_else(|| format!("v{} is used before it is defined", val.0))
    }

    fn float(&self, val: Val) -> Result<f64, String> {
        match self.val(val)? {
            Value::Float(value) => Ok(value),
            Value::Mask(_) => Err(format!("v{} is a mask where a float is needed", val.0)),
        }
    }

    fn reg(&self, reg: Reg) -> Result<f64, String> {
        let value = self.regs.get(reg.0 as usize).copied().flatten();
        value.ok_or_else(|| format!("r{} is read before it is set", reg.0))
    }
}

fn slot<T>(slots: &mut [T], id: u32, prefix: char) -> Result<&mut T, String> {
    slots.get_mut(id as usize).ok_or_else(|| format!("{prefix}{id} does not exist"))
}

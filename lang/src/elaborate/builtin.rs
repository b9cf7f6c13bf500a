//! Calls of what is built in: initializers become data of the graph, everything else waits for `train` or `convert`.
//!
//! Must never know how an optimizer works or a file is read.

use snn_graph::Init;

use super::scope::Env;
use super::settings::Takes;
use super::*;
use crate::ast::Arg;
use crate::value::BuiltinValue;

impl<'p> Elaborator<'p, '_> {
    /// A call of something built in.
    pub(super) fn call_builtin(
        &mut self,
        builtin: &BuiltinValue<'p>,
        args: &'p [Arg],
        env: &Env<'p>,
        span: Span,
    ) -> Value<'p> {
        let decl = builtin.decl;
        let Some(given) = self.give(Takes::declared(&decl.name.text, &decl.settings), &builtin.given, args, env) else {
            return Value::Poison;
        };
        let builtin = BuiltinValue { id: builtin.id, decl, given: Rc::new(given), called: true };
        match decl.kind.text.as_str() {
            "initializer" => self.initializer(&builtin, span),
            _ => Value::Builtin(Rc::new(builtin)),
        }
    }

    fn initializer(&mut self, builtin: &BuiltinValue<'p>, span: Span) -> Value<'p> {
        let Some(call) = self.extern_call(builtin, span) else { return Value::Poison };
        let number = |name: &str| call.number(name).unwrap_or(f64::NAN);
        let init = match call.name.as_str() {
            "kaiming_normal" => match call.text("mode") {
                None | Some("fan_in") => Init::KaimingNormal,
                Some(other) => {
                    let message = format!("`kaiming_normal` has no mode `{other}`");
                    let error = self.error_at(Code::SettingRange, message, span, "here");
                    return self.fail(error.help("write `kaiming_normal(fan_in)`"));
                }
            },
            "kaiming_uniform" => Init::KaimingUniform { a: number("a") },
            "xavier_normal" => Init::XavierNormal,
            "xavier_uniform" => Init::XavierUniform,
            "uniform" => Init::Uniform { low: number("low"), high: number("high") },
            "normal" => Init::Normal { mean: number("mean"), std: number("std") },
            "constant" => Init::Constant(number("value")),
            other => {
                let message = format!("the compiler does not know the initializer `{other}`");
                let error = self.error_at(Code::WrongBuiltin, message, span, "used here");
                return self.fail(error);
            }
        };
        let numbers = match &init {
            Init::Uniform { low, high } => vec![*low, *high],
            Init::Normal { mean, std } => vec![*mean, *std],
            Init::Constant(value) => vec![*value],
            _ => Vec::new(),
        };
        if numbers.iter().any(|number| !number.is_finite()) {
            let error = self.error_at(Code::SettingType, "an initializer takes finite numbers", span, "here");
            return self.fail(error);
        }
        Value::Init(init)
    }
}

//! The grammar's expectations in human words.
//!
//! Must never know which mistake was made; it only turns a set of terminals into "a name or `)`".

/// The terminals that the grammar would have taken.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a>(pub(super) &'a [String]);

/// Signs that are worth naming, where an expression or operator does not already say it.
const SIGNS: [&str; 13] = ["=", ":", ",", ")", "]", "{", "}", "(", "[", "when", "in", "as", "'"];

impl Expected<'_> {
    /// Whether this terminal would have been taken.
    pub(super) fn has(self, terminal: &str) -> bool {
        self.0.iter().any(|name| name.trim_matches('"') == terminal)
    }

    /// Whether a whole expression would have been taken.
    pub(super) fn expression(self) -> bool {
        self.has("word") && self.has("number")
    }

    /// Whether an expression has just ended and could go on.
    pub(super) fn operator(self) -> bool {
        self.has("->") || self.has("+")
    }

    /// A name and nothing else of the kind.
    pub(super) fn only_name(self) -> bool {
        self.has("word") && !self.has("number")
    }

    /// The expectation as a phrase, or nothing if there is none to speak of.
    pub(super) fn phrase(self) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        if self.has("param") {
            parts.push("a statement".into());
        } else if self.expression() {
            parts.push("an expression".into());
        } else {
            let words = [("word", "a name"), ("number", "a number"), ("string", "a string")];
            let taken = words.iter().filter(|(terminal, _)| self.has(terminal));
            parts.extend(taken.map(|(_, words)| (*words).to_string()));
        }
        if self.operator() {
            parts.push("an operator".into());
        }
        parts.extend(SIGNS.iter().filter(|sign| self.has(sign) && self.worth_naming(sign)).map(|s| format!("`{s}`")));
        if self.has("newline") {
            parts.push("the end of the line".into());
        }
        let last = parts.pop()?;
        Some(if parts.is_empty() { last } else { format!("{} or {last}", parts.join(", ")) })
    }

    fn worth_naming(self, sign: &str) -> bool {
        match sign {
            "(" => !self.expression() && !self.operator(),
            "[" => !self.expression(),
            "=" | "as" | "in" | "'" => !self.operator(),
            "}" => !self.has("newline"),
            _ => true,
        }
    }
}

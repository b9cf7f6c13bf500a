//! Puts a grammar error into the words of the field.
//!
//! A short list of rules recognizes the mistakes that people make; the first that fits speaks, otherwise the message
//! says what was expected and what was found. Must never know how the parser goes on afterwards.

use crate::codes::Code;
use crate::diagnostic::{Diagnostic, nearest};
use crate::lexer::Lexeme;
use crate::parse::Context;
use crate::parse::expected::Expected;
use crate::parse::forms;
use crate::source::Span;
use crate::token::{Keyword, KeywordClass, Token};

/// Where the grammar stopped.
pub(super) struct Site<'a, 't, 's> {
    /// The tokens.
    pub(super) context: &'a Context<'t, 's>,
    /// The index of the token that did not fit; past the end at the end of an item.
    pub(super) at: usize,
    /// The index of the first token of the statement, or of the item where the error is in its head.
    pub(super) head: usize,
    /// The terminals that would have fitted.
    pub(super) expected: &'a [String],
}

type Rule = fn(&Site<'_, '_, '_>) -> Option<Diagnostic>;

const RULES: [Rule; 16] = [
    after_the_end,
    reserved_word,
    missing_signals,
    nested_declaration,
    colon_for_equals,
    rebinding,
    single_equals,
    double_equals,
    double_star,
    quote,
    dot,
    chained_comparison,
    headless_pipe,
    misspelled_statement,
    side_by_side,
    lonely_else,
];

/// The diagnostic for an error.
pub(super) fn explain(site: &Site<'_, '_, '_>) -> Diagnostic {
    RULES.iter().find_map(|rule| rule(site)).unwrap_or_else(|| site.plain())
}

/// The diagnostic for an item that begins with no keyword; `near` is the one that was probably meant.
pub(super) fn unknown_declaration(first: &Lexeme<'_>, near: Option<Keyword>) -> Diagnostic {
    let found = describe(first.token);
    let diagnostic = Diagnostic::error(Code::UnknownDeclaration, format!("{found} does not begin a declaration"));
    match (near, first.token) {
        (Some(near), _) => diagnostic.at(first.span, "unknown word").help(format!("did you mean `{}`?", near.as_str())),
        (None, Token::Keyword(keyword)) => diagnostic.at(first.span, "outside every declaration").help(format!(
            "`{}` stands inside the braces of a declaration; is a `}}` too many above?",
            keyword.as_str()
        )),
        (None, _) => {
            let words: Vec<String> =
                forms::of_class(KeywordClass::Declaration).map(|word| format!("`{}`", word.as_str())).collect();
            diagnostic
                .at(first.span, "outside every declaration")
                .help(format!("a declaration begins with one of {}", words.join(", ")))
        }
    }
}

impl<'s> Site<'_, '_, 's> {
    fn found(&self) -> Option<Token<'s>> {
        self.context.token(self.at)
    }

    fn before(&self, steps: usize) -> Option<Token<'s>> {
        self.at.checked_sub(steps).and_then(|at| self.context.token(at))
    }

    fn after(&self) -> Option<Token<'s>> {
        self.context.token(self.at + 1)
    }

    fn expected(&self) -> Expected<'_> {
        Expected(self.expected)
    }

    fn head(&self) -> Option<Token<'s>> {
        self.context.token(self.head)
    }

    fn head_keyword(&self) -> Option<Keyword> {
        match self.head() {
            Some(Token::Keyword(keyword)) => Some(keyword),
            _ => None,
        }
    }

    /// Whether the statement is one word so far.
    fn second_in_statement(&self) -> bool {
        self.at == self.head + 1
    }

    /// The token that did not fit; where it is no visible one, the place after the last that did.
    fn span(&self) -> Span {
        match self.found() {
            Some(Token::Newline) | None => self.context.span(self.at, self.at),
            Some(_) => self.context.span(self.at, self.at + 1),
        }
    }

    fn previous_span(&self) -> Span {
        self.context.span(self.at.saturating_sub(1), self.at)
    }

    fn error(&self, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::error(Code::UnexpectedToken, message).at(self.span(), label)
    }

    fn plain(&self) -> Diagnostic {
        let found = self.found().map_or("the end of the declaration".to_string(), describe);
        let mut diagnostic = match self.expected().phrase() {
            Some(phrase) => self.error(format!("expected {phrase}, found {found}"), format!("expected {phrase}")),
            None => self.error(format!("{found} does not fit here"), "unexpected"),
        };
        if let Some((keyword, form)) = self.head_keyword().and_then(|word| Some((word, forms::example(word)?))) {
            if self.at != self.head {
                let word = keyword.as_str();
                diagnostic =
                    diagnostic.because(self.context.span(self.head, self.head + 1), format!("in this `{word}`"));
            }
            diagnostic = diagnostic.help(format!("an example: `{form}`"));
        }
        diagnostic
    }
}

fn describe(token: Token<'_>) -> String {
    match token {
        Token::Newline => "the end of the line".into(),
        Token::Word(text) => format!("`{text}`"),
        Token::Number(text) => format!("the number `{text}`"),
        Token::Duration(text) => format!("the duration `{text}`"),
        Token::Str(text) => format!("the string {text}"),
        Token::Keyword(keyword) => format!("`{}`", keyword.as_str()),
        other => format!("`{}`", sign(other)),
    }
}

/// How a sign is written.
pub(crate) fn sign(token: Token<'_>) -> &'static str {
    match token {
        Token::ParenOpen => "(",
        Token::ParenClose => ")",
        Token::BracketOpen => "[",
        Token::BracketClose => "]",
        Token::BraceOpen => "{",
        Token::BraceClose => "}",
        Token::Comma => ",",
        Token::Colon => ":",
        Token::Semicolon => ";",
        Token::Dot => ".",
        Token::Rest => "..",
        Token::Prime => "'",
        Token::Arrow => "->",
        Token::Equals => "=",
        Token::AddAssign => "+=",
        Token::SubAssign => "-=",
        Token::MulAssign => "*=",
        Token::Tilde => "~",
        Token::EqEq => "==",
        Token::NotEq => "!=",
        Token::Less => "<",
        Token::LessEq => "<=",
        Token::Greater => ">",
        Token::GreaterEq => ">=",
        Token::And => "&&",
        Token::Or => "||",
        Token::Not => "!",
        Token::Plus => "+",
        Token::Minus => "-",
        Token::Star => "*",
        Token::Slash => "/",
        Token::Caret => "^",
        Token::Keyword(keyword) => keyword.as_str(),
        Token::Newline | Token::Bad => "line end",
        Token::Word(_) | Token::Number(_) | Token::Duration(_) => "word",
        Token::Str(_) | Token::OpenStr(_) | Token::Comment(_) => "text",
    }
}

fn after_the_end(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let ended = site.expected.is_empty() && site.before(1).is_some_and(Token::ends_expression);
    ended.then(|| {
        site.error("the declaration has ended before this", "goes on after the end")
            .help("declarations stand side by side, each beginning its own line")
    })
}

fn reserved_word(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let Some(Token::Keyword(keyword)) = site.found() else { return None };
    (keyword.class() == KeywordClass::Reserved && site.expected().only_name()).then(|| {
        let word = keyword.as_str();
        Diagnostic::error(Code::ReservedWord, format!("`{word}` is a reserved word and cannot be a name"))
            .at(site.span(), "a name belongs here")
            .help(format!("choose another name, `{word}_` for instance"))
    })
}

fn missing_signals(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let keyword = site.head_keyword()?;
    let two_lists = matches!(keyword, Keyword::Neuron | Keyword::Layer | Keyword::Block | Keyword::Surrogate);
    let body = matches!(site.found(), Some(Token::BraceOpen | Token::Equals));
    (two_lists && body && site.expected().has("(")).then(|| {
        let word = keyword.as_str();
        let missing = if site.before(1) == Some(Token::ParenClose) { "signals" } else { "settings and signals" };
        Diagnostic::error(Code::MissingSignals, format!("this {word} has no list of {missing}"))
            .at(site.previous_span().after(), format!("the {missing} belong here"))
            .help(format!(
                "a {word} has two lists, settings and then signals, even where one is empty: `{}`",
                forms::example(keyword).unwrap_or_default()
            ))
    })
}

fn nested_declaration(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let Some(Token::Keyword(keyword)) = site.found() else { return None };
    (keyword.class() == KeywordClass::Declaration).then(|| {
        let word = keyword.as_str();
        site.error(format!("`{word}` cannot stand inside another declaration"), "a new declaration begins here")
            .help("declarations stand side by side, each beginning its own line; is a `}` missing above?")
    })
}

fn colon_for_equals(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let in_list = |token| matches!(token, Some(Token::ParenOpen | Token::Comma));
    let (name, colon) = match (site.before(2), site.before(1), site.found()) {
        (before, Some(Token::Word(name)), Some(Token::Colon)) if in_list(before) || site.second_in_statement() => {
            (name, site.span())
        }
        (Some(Token::Word(name)), Some(Token::Colon), Some(token))
            if token.starts_expression() && (in_list(site.before(3)) || site.at == site.head + 2) =>
        {
            (name, site.previous_span())
        }
        _ => return None,
    };
    Some(
        Diagnostic::error(Code::UnexpectedToken, format!("the value of `{name}` is given with `=`"))
            .at(colon, "`=` belongs here")
            .help(format!("write `{name} = ...`; what follows `:` is a shape or a kind")),
    )
}

fn rebinding(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let (Some(Token::Word(name)), Some(op)) = (site.head(), site.found()) else { return None };
    if !site.second_in_statement() || site.expected().has(sign(op)) {
        return None;
    }
    match op {
        Token::Equals => Some(
            site.error(format!("`{name} = ...` is not a statement"), "nothing is assigned twice")
                .help(format!("`let {name} = ...` binds a new name; `next {name} = ...` gives a state its next value")),
        ),
        Token::AddAssign | Token::SubAssign | Token::MulAssign => Some(
            site.error(
                format!("`{name} {} ...` stands only inside `on` and `spike when`", sign(op)),
                "nothing is assigned twice",
            )
            .help(format!("`next {name} = ...` gives a state its next value")),
        ),
        _ => None,
    }
}

fn single_equals(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let compares = site.found() == Some(Token::Equals) && site.expected().operator();
    compares.then(|| {
        site.error("`=` does not compare", "found `=` inside an expression").help("write `==` to compare two values")
    })
}

fn double_equals(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let binds = site.found() == Some(Token::EqEq) && site.expected().has("=") && !site.expected().operator();
    binds.then(|| site.error("`==` compares and does not bind", "`=` belongs here").help("write `=`"))
}

fn double_star(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    (site.found() == Some(Token::Star) && site.before(1) == Some(Token::Star))
        .then(|| site.error("`**` is not an operator", "second `*`").help("a power is written `x^2`"))
}

fn quote(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    (site.found() == Some(Token::Prime)).then(|| {
        site.error("`'` does not fit here", "unexpected")
            .help("an equation stands on its own line, `v' = (i - v) / tau`; a string stands between two `\"`")
    })
}

fn dot(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    if site.found() != Some(Token::Dot) {
        return None;
    }
    let diagnostic = site.error("`.` does not fit here", "unexpected");
    Some(match (site.before(1), site.after()) {
        (_, Some(Token::Number(digits))) => diagnostic.help(format!("a number begins with a digit: `0.{digits}`")),
        (_, Some(Token::Word(name))) => {
            diagnostic.help(format!("nothing has methods or fields: write `{name}(x)` or `x -> {name}()`"))
        }
        _ => diagnostic,
    })
}

fn chained_comparison(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let chained = site.found().is_some_and(Token::is_comparison)
        && site.before(1).is_some_and(Token::ends_expression)
        && site.expected().has("&&");
    chained.then(|| site.error("comparisons do not chain", "a second comparison").help("write `a < b && b < c`"))
}

fn headless_pipe(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let headless = site.found() == Some(Token::Arrow) && site.expected().expression();
    headless.then(|| {
        site.error("this `->` has nothing before it", "nothing flows into it")
            .help("a pipe begins with a signal or a stage: `x -> Linear(10)` or `Linear(10) -> LIF()`")
    })
}

fn misspelled_statement(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let Some(Token::Word(word)) = site.head() else { return None };
    let begins_statement = site.expected().has("'") || site.expected().operator();
    if !begins_statement || !site.second_in_statement() || !site.found().is_some_and(Token::starts_expression) {
        return None;
    }
    let keywords = || forms::of_class(KeywordClass::Statement).chain([Keyword::Let, Keyword::If, Keyword::For]);
    let meant = match word {
        "return" | "yield" | "output" | "out" => None,
        "def" | "var" | "val" | "const" | "auto" => Some(Keyword::Let),
        "assert" | "check" => Some(Keyword::Expect),
        "when" => Some(Keyword::Spike),
        _ => {
            let near = nearest(word, keywords().map(Keyword::as_str))?;
            keywords().find(|keyword| keyword.as_str() == near)
        }
    };
    let diagnostic = Diagnostic::error(Code::UnexpectedToken, format!("`{word}` does not begin a statement here"))
        .at(site.context.span(site.head, site.head + 1), "not a keyword");
    Some(match meant.and_then(|keyword| Some((keyword, forms::example(keyword)?))) {
        Some((keyword, form)) if keyword.as_str() == word => {
            diagnostic.help(format!("it is written like this: `{form}`"))
        }
        Some((_, form)) => diagnostic.help(format!("did you mean `{form}`?")),
        None => diagnostic.help("the last expression of a body is its value and stands by itself"),
    })
}

fn side_by_side(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    let joined = site.before(1)?.ends_expression() && site.found()?.starts_expression();
    (joined && site.expected().operator()).then(|| {
        let help = if site.expected().has(",") {
            "is a `,` missing, or a `->` between two stages, or an operator?"
        } else {
            "stages are joined by `->`, numbers and signals by an operator"
        };
        Diagnostic::error(Code::MissingPipe, "two expressions stand side by side")
            .at(site.span(), "the second begins here")
            .because(site.previous_span(), "the first ends here")
            .help(help)
    })
}

fn lonely_else(site: &Site<'_, '_, '_>) -> Option<Diagnostic> {
    (site.found() == Some(Token::Keyword(Keyword::Else))).then(|| {
        site.error("this `else` belongs to no `if`", "unexpected")
            .help("`else` follows the `}` of an `if`: `if training { a } else { b }`")
    })
}

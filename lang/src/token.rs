//! The words and signs of the language.
//!
//! One closed enum for the scanner, the layout and the grammar. A scanner makes [`Token::Word`] of every word; which
//! words are keywords where is decided in [`crate::lexer`]. This module must never know what stands beside a token.

use logos::Logos;

/// One token. Texts are slices of the source; [`crate::lexer`] has checked that numbers and strings can be read.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
#[logos(skip r"[ \t\f]+")]
pub enum Token<'s> {
    /// A line end. After layout: the end of a statement.
    #[regex(r"\r\n|\n|\r")]
    Newline,
    /// `// ...`; never leaves the lexer.
    #[regex(r"//[^\r\n]*", allow_greedy = true)]
    Comment(&'s str),
    /// A name.
    #[regex(r"[A-Za-z_][A-Za-z0-9_]*")]
    Word(&'s str),
    /// A number such as `2.0`.
    #[regex(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", priority = 20)]
    Number(&'s str),
    /// A number with a unit, such as `20ms`.
    #[regex(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?[A-Za-z_][A-Za-z0-9_]*", priority = 10)]
    Duration(&'s str),
    /// A string with its quotes.
    #[regex(r#""([^"\\\r\n]|\\[^\r\n])*""#, priority = 20)]
    Str(&'s str),
    /// A string without its second quote; never leaves the lexer.
    #[regex(r#""([^"\\\r\n]|\\[^\r\n])*\\?"#, priority = 10)]
    OpenStr(&'s str),
    /// `;`; never leaves the lexer.
    #[token(";")]
    Semicolon,
    /// A word that is a keyword where it stands; made by the layout.
    Keyword(Keyword),
    /// A statement with a reported error; made by the parser.
    Bad,
    /// `(`
    #[token("(")]
    ParenOpen,
    /// `)`
    #[token(")")]
    ParenClose,
    /// `[`
    #[token("[")]
    BracketOpen,
    /// `]`
    #[token("]")]
    BracketClose,
    /// `{`
    #[token("{")]
    BraceOpen,
    /// `}`
    #[token("}")]
    BraceClose,
    /// `,`
    #[token(",")]
    Comma,
    /// `:`
    #[token(":")]
    Colon,
    /// `.`
    #[token(".")]
    Dot,
    /// `..`
    #[token("..")]
    Rest,
    /// `'`
    #[token("'")]
    Prime,
    /// `->`
    #[token("->")]
    Arrow,
    /// `=`
    #[token("=")]
    Equals,
    /// `+=`
    #[token("+=")]
    AddAssign,
    /// `-=`
    #[token("-=")]
    SubAssign,
    /// `*=`
    #[token("*=")]
    MulAssign,
    /// `~`
    #[token("~")]
    Tilde,
    /// `==`
    #[token("==")]
    EqEq,
    /// `!=`
    #[token("!=")]
    NotEq,
    /// `<`
    #[token("<")]
    Less,
    /// `<=`
    #[token("<=")]
    LessEq,
    /// `>`
    #[token(">")]
    Greater,
    /// `>=`
    #[token(">=")]
    GreaterEq,
    /// `&&`
    #[token("&&")]
    And,
    /// `||`
    #[token("||")]
    Or,
    /// `!`
    #[token("!")]
    Not,
    /// `+`
    #[token("+")]
    Plus,
    /// `-`
    #[token("-")]
    Minus,
    /// `*`
    #[token("*")]
    Star,
    /// `/`
    #[token("/")]
    Slash,
    /// `^`
    #[token("^")]
    Caret,
}

impl Token<'_> {
    /// Whether a line that ends in this token goes on in the next.
    pub fn continues_line(self) -> bool {
        self.is_operator() || matches!(self, Token::Comma | Token::Colon | Token::Equals)
    }

    /// Whether the token joins or precedes operands.
    pub fn is_operator(self) -> bool {
        use Token::*;
        self.is_comparison()
            || matches!(self, Arrow | AddAssign | SubAssign | MulAssign | And | Or | Not)
            || matches!(self, Plus | Minus | Star | Slash | Caret)
    }

    /// Whether the token compares, `~` included.
    pub fn is_comparison(self) -> bool {
        use Token::*;
        matches!(self, Tilde | EqEq | NotEq | Less | LessEq | Greater | GreaterEq)
    }

    /// Whether an expression may begin with this token.
    pub fn starts_expression(self) -> bool {
        use Token::*;
        match self {
            Word(_) | Number(_) | Duration(_) | Str(_) | ParenOpen | BracketOpen | Minus | Not => true,
            Keyword(keyword) => {
                matches!(keyword, self::Keyword::If | self::Keyword::For | self::Keyword::True | self::Keyword::False)
            }
            _ => false,
        }
    }

    /// Whether an expression may end with this token.
    pub fn ends_expression(self) -> bool {
        use Token::*;
        match self {
            Word(_) | Number(_) | Duration(_) | Str(_) | ParenClose | BracketClose | BraceClose => true,
            Keyword(keyword) => matches!(keyword, self::Keyword::True | self::Keyword::False),
            _ => false,
        }
    }
}

/// Where a word is a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordClass {
    /// Everywhere: it cannot be a name.
    Reserved,
    /// Where a declaration begins.
    Declaration,
    /// Where a statement begins.
    Statement,
    /// Inside one particular statement or declaration.
    Inner,
}

macro_rules! keywords {
    ($($name:ident = $text:literal $class:ident,)*) => {
        /// A word in the role of a keyword.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Keyword {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Keyword {
            /// Every keyword.
            pub const ALL: &[Keyword] = &[$(Keyword::$name,)*];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Keyword::$name => $text,)* }
            }

            /// Where the word is a keyword.
            pub fn class(self) -> KeywordClass {
                match self { $(Keyword::$name => KeywordClass::$class,)* }
            }
        }
    };
}

keywords! {
    As = "as" Reserved,
    Else = "else" Reserved,
    False = "false" Reserved,
    For = "for" Reserved,
    If = "if" Reserved,
    In = "in" Reserved,
    Let = "let" Reserved,
    True = "true" Reserved,
    Block = "block" Declaration,
    Convert = "convert" Declaration,
    Edition = "edition" Declaration,
    Extern = "extern" Declaration,
    Fn = "fn" Declaration,
    Layer = "layer" Declaration,
    Model = "model" Declaration,
    Neuron = "neuron" Declaration,
    Surrogate = "surrogate" Declaration,
    Test = "test" Declaration,
    Train = "train" Declaration,
    Use = "use" Declaration,
    Expect = "expect" Statement,
    Input = "input" Statement,
    Next = "next" Statement,
    On = "on" Statement,
    Param = "param" Statement,
    Require = "require" Statement,
    Spike = "spike" Statement,
    State = "state" Statement,
    Time = "time" Statement,
    Of = "of" Inner,
    Primitive = "primitive" Inner,
    Training = "training" Inner,
    When = "when" Inner,
    Within = "within" Inner,
}

impl Keyword {
    /// The keyword of this class that is spelled `word`.
    pub fn find(word: &str, class: KeywordClass) -> Option<Keyword> {
        Keyword::ALL.iter().copied().find(|keyword| keyword.class() == class && keyword.as_str() == word)
    }
}

//! The closed list of diagnostic codes, each with the line that explains it.
//!
//! `E01` words and grammar, `E02` names, `E03` types and shapes, `E04` settings and ranges, `E05` time, state and
//! feedback, `E06` train, test and convert, `W07` lints. A code, once released, never changes its meaning. This module
//! must never know which pass reports a code.

macro_rules! codes {
    ($($(#[$section:meta])* $name:ident = $text:literal: $explanation:literal,)*) => {
        /// The stable code of a diagnostic.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", $text, "`: ", $explanation)] $name,)*
        }

        impl Code {
            /// Every code, in the order of the list.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The code as users see it, such as `E0101`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// One line that says what the code is about.
            pub fn explanation(self) -> &'static str {
                match self { $(Code::$name => $explanation,)* }
            }
        }
    };
}

codes! {
    // E01: words and grammar.
    UnknownCharacter = "E0101": "a character that no .snn text may hold outside strings and comments",
    BadNumber = "E0102": "a number or duration that cannot be read, or a unit that does not exist",
    BadString = "E0103": "a string without its closing quote, or with an unknown escape",
    UnexpectedToken = "E0104": "something other than what the grammar allows at this place",
    UnbalancedBracket = "E0105": "a bracket without its partner",
    TooDeep = "E0106": "an expression nested more deeply than the compiler accepts",
    FileTooLarge = "E0107": "a source text larger than the compiler accepts",
    UnknownDeclaration = "E0108": "a declaration that begins with an unknown word",
    MisplacedStatement = "E0109": "a statement that may not stand in this kind of body",
    MisplacedEdition = "E0110": "an edition that is unknown or does not stand first in its file",
    MissingSignals = "E0111": "a neuron, layer, block or surrogate without its list of signals",
    MissingPipe = "E0112": "two expressions side by side with no pipe or operator between them",
    ReservedWord = "E0113": "a reserved word used as a name",
    TooManyErrors = "E0114": "so many errors in one file that the rest is left out",

    // E02: names.
    UnknownName = "E0201": "a name that nothing in sight bears",
    DuplicateName = "E0202": "two things of one name in one place",
    UnknownModule = "E0203": "a `use` of a module that the standard library does not have",
    ImportCycle = "E0204": "files that use each other in a circle",
    UnreadableFile = "E0205": "a `use` of a file that cannot be read",
    TooManyFiles = "E0206": "more files than the compiler accepts in one program",

    // E03: types and shapes.
    ShapeMismatch = "E0301": "shapes that do not fit together",
    WrongType = "E0302": "a value of the wrong kind",
    NotAStage = "E0303": "something in a pipe that cannot take a signal",
    BareDeclaration = "E0304": "a declaration in a pipe without the parentheses that make an instance of it",
    SharedState = "E0305": "one instance with state used in two places",
    SharedShape = "E0306": "one instance used with signals of different shapes",
    WrongBody = "E0307": "something that this kind of declaration may not do",
    WrongSignals = "E0308": "the wrong number of signals",
    TooLarge = "E0309": "a model larger than the compiler accepts",
    TooRecursive = "E0310": "declarations that use each other without end",

    // E04: settings and ranges.
    UnknownSetting = "E0401": "a setting that the declaration does not have",
    MissingSetting = "E0402": "a setting without default that is not given",
    DuplicateSetting = "E0403": "a setting that is given twice",
    SettingType = "E0404": "a setting of the wrong kind",
    SettingRange = "E0405": "a setting outside its range",
    SettingRelation = "E0406": "settings that do not go together",
    SettingUnit = "E0407": "a duration where steps are meant, or a number where a duration is meant",
    LibraryRefusal = "E0408": "settings that a declaration refuses in its own words",
    UnknownOverride = "E0409": "a `--set` that names nothing",

    // E05: time, state and feedback.
    MissingTime = "E0501": "a model that does not say how long it runs, or says it twice",
    BadTime = "E0502": "a time that cannot be: no step, a negative duration, too many steps",
    MissingNext = "E0503": "a state whose value after the step is not given",
    AssignedTwice = "E0504": "a state that is given two values",
    UnusedState = "E0505": "a state that nothing reads",
    UnknownState = "E0506": "something other than a state where a state must stand",
    MixedNeuron = "E0507": "a neuron written both as steps and as equations",
    IncompleteNeuron = "E0508": "a neuron whose equations are not complete",
    TimeInLoop = "E0509": "something inside a feedback loop that needs all time steps at once",
    BadEquation = "E0510": "an equation that says nothing a neuron can do, or that `gradient = exact` cannot solve",

    // E06: train, test and convert.
    UnknownTrainSetting = "E0601": "an entry that `train` or `convert` does not have",
    MissingTrainSetting = "E0602": "an entry that `train` or `convert` needs",
    WrongBuiltin = "E0603": "something else than the kind of built-in that an entry takes",
    BadLoss = "E0604": "a loss that is not one number a sample",
    BadPrediction = "E0605": "a prediction that is not one class a sample, or none that could be told",
    DataShape = "E0606": "data that do not fit the model",
    BadExpectation = "E0607": "an `expect` that compares nothing",
    BadInput = "E0608": "an input of an unknown kind or an impossible shape",

    // W07: lints.
    UnattachedDoc = "W0701": "a documentation comment that documents nothing",
    UnusedImport = "W0702": "a name that is brought in and never used",
    CountsIntoWeights = "W0703": "a sum of spikes that feeds a convolution or linear map",
    NormThreshold = "W0704": "a threshold-dependent norm whose v_th is not that of the neurons behind it",
    ClassCount = "W0705": "a model with more outputs than the data set has classes",
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

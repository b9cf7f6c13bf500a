//! A small model for every item of the standard library, read from the library itself: an item that needs more than
//! `x -> Item()` on eight numbers gets a line in `SPECIAL`.
//!
//! Must never know what is done with the models.

use snn_lang::ast::DeclKind;
use snn_lang::source::FileId;

/// Items whose use is not `x -> Item()` on eight numbers: how they are called, and on what.
const SPECIAL: &[(&str, &str, &str)] = &[
    ("Linear", "Linear(3)", "frames[8]"),
    ("Conv1d", "Conv1d(3, 3, stride = 2, bias = true)", "frames[2, 7]"),
    ("Conv2d", "Conv2d(4, 3, stride = 2, dilation = 1, groups = 2, bias = true)", "frames[2, 5, 6]"),
    ("AvgPool2d", "AvgPool2d(2)", "frames[2, 5, 6]"),
    ("MergePool2d", "MergePool2d(2)", "frames[2, 5, 6]"),
    ("MaxPool2d", "MaxPool2d(3, stride = 2, padding = 1)", "frames[2, 5, 6]"),
    ("Flatten", "Flatten()", "frames[2, 3, 4]"),
    ("Normalize", "Normalize(mean = [0.1, 0.2], std = [0.5, 0.7])", "frames[2, 3, 4]"),
    ("Dropout", "Dropout(0.5)", "frames[8]"),
    ("TdBN", "TdBN()", "frames[3, 4, 5]"),
    ("BatchNorm", "BatchNorm()", "frames[3, 4, 5]"),
    ("TEBN", "TEBN()", "frames[3, 4, 5]"),
    ("NeuNorm", "NeuNorm()", "frames[3, 4, 5]"),
    ("Vote", "Vote(2)", "frames[8]"),
    ("latency", "latency(window = 3)", "[8]"),
    ("Recurrent", "Recurrent(4)", "frames[8]"),
    ("BasicBlock", "BasicBlock(4, stride = 2)", "frames[2, 6, 6]"),
    ("Delay", "Delay(2)", "frames[8]"),
];

/// Items that there are only without a grid of steps; tests of events use them.
const WITHOUT_GRID: &[&str] = &["LearnedDelay"];

/// Models that use one item each, by the item's name: all items but those that there are only without a grid of steps.
pub fn models() -> Vec<(String, String)> {
    let mut models = Vec::new();
    for module in snn_stdlib::MODULES {
        // The library has no mistakes; its own tests say so.
        let (tree, _) = snn_lang::parse::parse_file(FileId(0), module.text);
        for decl in &tree.decls {
            let name = match &decl.kind {
                DeclKind::Unit(unit) => unit.name.as_str(),
                DeclKind::Surrogate(surrogate) => {
                    let name = surrogate.name.as_str();
                    let text = format!(
                        "use {} {{ {name} }}\nuse std.neurons {{ LIF }}\nmodel M {{\n input x: frames[8]\n time 4 of 10ms\n \
                         x -> LIF(surrogate = {name}())\n}}\n",
                        module.path
                    );
                    models.push((name.to_owned(), text));
                    continue;
                }
                _ => continue,
            };
            if WITHOUT_GRID.contains(&name) {
                continue;
            }
            let special = SPECIAL.iter().find(|(item, ..)| *item == name);
            let general = format!("{name}()");
            let (call, input) = special.map_or((general.as_str(), "frames[8]"), |(_, call, input)| (*call, *input));
            let text = format!(
                "use {} {{ {name} }}\nmodel M {{\n input x: {input}\n time 4 of 10ms\n x -> {call}\n}}\n",
                module.path
            );
            models.push((name.to_owned(), text));
        }
    }
    models
}

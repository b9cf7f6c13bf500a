//! Elaboration of whole programs: types, paths of weights, sharing, time, settings from outside.

use snn_graph::{Events, Kind, Op, TimeAxis};
use snn_lang::elaborate::{Feeds, GradientMethod, Plain};
use snn_lang::source::NoFiles;
use snn_lang::{Compiled, CompiledModel, Options, compile, render};

const USES: &str = "use std.neurons { LIF, IterativeLIF, PLIF, CubaLIF, LI }
use std.layers { Linear, Flatten, Conv2d, Dropout }
use std.norms { TdBN }
use std.blocks { Delay, UnitDelay }
";

fn compiled(text: &str, options: &Options) -> Compiled {
    let compiled = compile(&NoFiles, "test.snn", text, options);
    let errors: Vec<_> = compiled.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).cloned().collect();
    assert!(errors.is_empty(), "{}", render::render_all(&errors, &compiled.sources, false));
    compiled
}

fn only_model(text: &str, options: &Options) -> CompiledModel {
    let mut compiled = compiled(text, options);
    assert_eq!(compiled.models.len(), 1);
    compiled.models.remove(0)
}

/// A model of two steps over a vector of three, with that body.
fn with_body(body: &str) -> CompiledModel {
    let text = format!("{USES}model M {{\n    input x: frames[3]\n    time 2\n{body}\n}}\n");
    only_model(&text, &Options::default())
}

fn paths(compiled: &CompiledModel) -> Vec<&str> {
    compiled.model.parameters.iter().map(|parameter| parameter.path.as_str()).collect()
}

const DIGITS: &str = include_str!("../../examples/models/digits_mlp.snn");
const RESNET: &str = include_str!("../../examples/models/tdbn_resnet19.snn");
const NOISE: &str = include_str!("../../examples/models/noise_single_step.snn");
const EXACT: &str = include_str!("../../examples/models/exact_multispike.snn");

#[test]
fn the_models_of_the_papers_elaborate_without_a_word() {
    let cases = [
        (DIGITS, "stepped real [10]", 9_610, 1),
        (RESNET, "stepped real [10]", 12_698_506, 18),
        (NOISE, "stepped real [10]", 421_738, 3),
        (EXACT, "stepped spikes [10]", 635_200, 2),
        (include_str!("../../examples/models/exact_convnet.snn"), "stepped spikes [10]", 210_375, 4),
        (include_str!("../../examples/models/exact_fashion.snn"), "stepped spikes [10]", 477_600, 3),
        (include_str!("../../examples/convergence/convergence.snn"), "stepped spikes [2]", 8, 1),
        (include_str!("../../examples/models/neunorm_cifarnet.snn"), "stepped real [10]", 45_051_620, 8),
        (include_str!("../../examples/models/recurrent_spoken_digits.snn"), "stepped real [20]", 381_462, 2),
    ];
    for (text, output, n_parameters, n_spiking) in cases {
        let compiled = compile(&NoFiles, "model.snn", text, &Options::default());
        assert!(
            compiled.diagnostics.is_empty(),
            "{}",
            render::render_all(&compiled.diagnostics, &compiled.sources, false)
        );
        let model = &compiled.models[0].model;
        assert_eq!(model.graph.ty(model.output).to_string(), output, "{}", model.name);
        let total: usize = model.parameters.iter().map(|p| p.dims.iter().product::<usize>()).sum();
        assert_eq!(total, n_parameters, "{}", model.name);
        assert_eq!(model.spikes.len(), n_spiking, "{}", model.name);
        for spikes in &model.spikes {
            assert_eq!(model.graph.ty(spikes.node).kind.name(), "spikes", "{}", spikes.path);
        }
        let loss = model.graph.ty(model.loss.unwrap());
        assert_eq!((loss.time, loss.batch, loss.dims.len()), (false, true, 0), "{}", model.name);
        let prediction = model.graph.ty(model.prediction.unwrap());
        assert_eq!((prediction.time, prediction.dims.len()), (false, 0), "{}", model.name);
    }
}

#[test]
fn weights_of_the_resnet_have_the_documented_paths() {
    let compiled = only_model(RESNET, &Options::default());
    let paths = paths(&compiled);
    for path in [
        "stem.conv2d1.weight",
        "stem.tdbn1.gamma",
        "stage1.0.main.conv2d1.weight",
        "stage1.2.main.tdbn2.beta",
        "stage2.basicblock1.skip.conv2d1.weight",
        "stage2.1.main.conv2d2.weight",
        "stage3.basicblock2.main.conv2d1.weight",
        "head.linear2.bias",
    ] {
        assert!(paths.contains(&path), "no {path} in {paths:#?}");
    }
    // A bias that is not used does not exist.
    assert!(!paths.contains(&"stem.conv2d1.bias"));
    let averages: Vec<&str> = compiled.model.averages.iter().map(|average| average.path.as_str()).collect();
    assert!(averages.contains(&"stage1.0.main.tdbn1.mu") && averages.contains(&"head.tdbn1.var"), "{averages:?}");
    assert!(compiled.model.spikes.iter().any(|spikes| spikes.path == "stage1.0.iterativelif1"));
}

#[test]
fn the_table_of_stages_shows_types_and_counts() {
    let compiled = only_model(DIGITS, &Options::default());
    let rows: Vec<String> = compiled
        .stages
        .iter()
        .map(|stage| format!("{} {} {} {}", stage.path, stage.kind, stage.ty, stage.parameters))
        .collect();
    assert_eq!(
        rows,
        [
            "flatten1 layer static real [64] 0",
            "linear1 layer static real [128] 8320",
            "lif1 neuron stepped spikes [128] 0",
            "linear2 layer stepped real [10] 1290",
        ]
    );
}

#[test]
fn instances_are_shared_or_made_anew_as_they_are_written() {
    let cases: [(&str, &[&str]); 9] = [
        // One instance, used twice.
        ("let enc = Linear(3, bias = false)\n x -> enc -> enc", &["enc.linear1.weight"]),
        // Parentheses make a new one each time, with the settings given before.
        ("let enc = Linear(3, bias = false)\n x -> enc() -> enc()", &["linear1.weight", "linear2.weight"]),
        // A named pipe, shared and renewed.
        ("let unit = Linear(3, bias = false) -> Flatten()\n x -> unit -> unit", &["unit.linear1.weight"]),
        ("let unit = Linear(3, bias = false) -> LIF()\n x -> unit() -> unit()", &["linear1.weight", "linear2.weight"]),
        // Renewing leaves alone what was made elsewhere.
        (
            "let enc = Linear(3, bias = false)\n let unit = enc -> LIF()\n x -> unit() -> unit()",
            &["enc.linear1.weight"],
        ),
        (
            "x -> 2 * Linear(3, bias = false) as a -> Linear(3, bias = false) as b",
            &["a.0.linear1.weight", "a.1.linear1.weight", "b.linear1.weight"],
        ),
        (
            "x -> for n in [4, 5] { Linear(n, bias = false) -> LIF() } -> 2 * Linear(5, bias = false)",
            &["0.linear1.weight", "1.linear1.weight", "2.linear1.weight", "3.linear1.weight"],
        ),
        (
            "let y = (x -> Linear(3, bias = false)) + (x -> Linear(3, bias = false))\n y",
            &["y.linear1.weight", "y.linear2.weight"],
        ),
        // A stage that is not there.
        ("x -> if steps > 5 { Linear(3) } -> Linear(2, bias = false)", &["linear1.weight"]),
    ];
    for (body, expected) in cases {
        assert_eq!(paths(&with_body(body)), expected, "{body}");
    }
}

#[test]
fn a_shared_norm_averages_over_all_its_uses() {
    let compiled = with_body("let norm = TdBN()\n (x -> norm) + (x -> Linear(3) -> norm)");
    let stored: Vec<usize> = compiled.model.averages.iter().map(|average| average.stored.len()).collect();
    assert_eq!(stored, [2, 2]);
}

#[test]
fn neurons_and_feedback_become_loops() {
    let loops = |body: &str| {
        let compiled = with_body(body);
        let graph = &compiled.model.graph;
        let reachable = graph.reachable(&[compiled.model.output]);
        graph.ids().filter(|id| reachable[id.index()] && matches!(graph.node(*id).op, Op::Scan(_))).count()
    };
    assert_eq!(loops("x -> Linear(3)"), 0);
    assert_eq!(loops("x -> Linear(3) -> LIF() -> LIF()"), 2);
    assert_eq!(loops("x -> Delay(3)"), 3);
    // The neuron inside the feedback loop becomes part of it; spikes are recorded all the same.
    let feedback = "state s: [3] = 0.0\n let out = x + s -> Linear(3) -> LIF()\n next s = out\n out";
    assert_eq!(loops(feedback), 1);
    let compiled = with_body(feedback);
    let spikes = &compiled.model.spikes[0];
    assert_eq!(spikes.node, compiled.model.output);
}

#[test]
fn a_duration_is_divided_by_the_step() {
    let ops = |time: &str, tau: &str| {
        let text = format!("{USES}model M {{\n input x: frames[3]\n time {time}\n x -> LIF(tau = {tau})\n}}\n");
        let graph = only_model(&text, &Options::default()).model.graph;
        graph.ids().map(|id| format!("{:?}", graph.node(id).op)).collect::<Vec<String>>()
    };
    let steps = ops("4", "2.0");
    assert_eq!(ops("4 of 10ms", "20ms"), steps);
    assert_ne!(ops("4 of 10ms", "30ms"), steps);
}

#[test]
fn equations_stay_equations_and_keep_their_constants() {
    let compiled = only_model(EXACT, &Options::default());
    let expected = Events { max_spikes: 30, ..Events::lasting(0.2) };
    assert_eq!(compiled.model.time, TimeAxis::Continuous(expected));
    assert_eq!(compiled.train.unwrap().gradient, GradientMethod::Exact);
    let graph = &compiled.model.graph;
    let flows: Vec<_> = graph
        .ids()
        .filter_map(|id| match &graph.node(id).op {
            Op::Dynamics(dynamics) => Some(dynamics.flow.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(flows.len(), 2);
    assert_eq!(flows[0].states, ["u", "i"]);
    assert_eq!((flows[0].n_signals, flows[0].n_constants), (1, 0));
    assert!(flows[0].threshold.is_some() && flows[0].output.is_none());
}

#[test]
fn neurons_on_events_have_budgets_of_their_own() {
    let budgets = |text: &str| {
        let model = only_model(text, &Options::default()).model;
        let own: Vec<Option<usize>> = model.spikes.iter().map(|layer| layer.max_spikes).collect();
        let cut: Vec<usize> = model.spikes.iter().map(|layer| model.budget(&layer.path)).collect();
        (own, cut, model.time.steps())
    };
    assert_eq!(budgets(EXACT), (vec![None, None], vec![30, 30], 30));
    let given = EXACT.replace("v_th = 0.2", "v_th = 0.2, max_spikes = 3");
    assert_eq!(budgets(&given), (vec![Some(3), None], vec![3, 30], 30));
    // The model's is the upper limit; left out, it is as much as a neuron asks for.
    let more = EXACT.replace("v_th = 0.2", "v_th = 0.2, max_spikes = 40");
    assert_eq!(budgets(&more), (vec![Some(40), None], vec![30, 30], 30));
    let open = more.replace("    max_spikes = 30\n", "");
    assert_eq!(budgets(&open), (vec![Some(40), None], vec![40, 40], 40));
    // A declaration gives its neurons a default.
    let declared = EXACT.replace("v_th = 1.0,", "v_th = 1.0, max_spikes = 5,");
    assert_eq!(budgets(&declared), (vec![Some(5); 2], vec![5, 5], 30));
    let both = declared.replace("v_th = 1.3", "v_th = 1.3, max_spikes = 2");
    assert_eq!(budgets(&both), (vec![Some(5), Some(2)], vec![5, 2], 30));
}

#[test]
fn what_a_data_set_gives_is_matched_with_the_model() {
    let plan = only_model(DIGITS, &Options::default()).train.unwrap();
    assert_eq!(plan.data.name, "digits");
    assert_eq!(plan.classes, Some(10));
    let feeds: Vec<(&str, Feeds)> = plan.fields.iter().map(|field| (field.name.as_str(), field.feeds)).collect();
    assert_eq!(feeds, [("image", Feeds::Input(0)), ("label", Feeds::Target(0))]);
    assert_eq!((plan.epochs, plan.batch, plan.seed), (30, 64, 1));
    assert_eq!(plan.optimizer.number("lr"), Some(2e-3));
    assert_eq!(plan.optimizer.number("beta2"), Some(0.999), "defaults are filled in");
    let plan = only_model(RESNET, &Options::default()).train.unwrap();
    let augment: Vec<String> = plan.augment.iter().map(ToString::to_string).collect();
    assert_eq!(augment, ["random_crop(size = 32, padding = 4)", "horizontal_flip(p = 0.5)"]);
    assert_eq!(plan.schedule.map(|schedule| schedule.name), Some("cosine".to_string()));
}

#[test]
fn settings_come_from_outside_too() {
    let set = |pairs: &[(&str, &str)]| Options {
        overrides: pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        ..Options::default()
    };
    let options = set(&[("epochs", "3"), ("optimizer.lr", "1 / 4"), ("model.hidden", "7")]);
    let compiled = only_model(DIGITS, &options);
    let plan = compiled.train.unwrap();
    assert_eq!((plan.epochs, plan.optimizer.number("lr")), (3, Some(0.25)));
    assert_eq!(compiled.model.parameters[0].dims, [7, 64]);
    assert_eq!(only_model(RESNET, &set(&[("model.steps", "2")])).model.time, TimeAxis::Steps(2));
}

#[test]
fn a_conversion_has_one_model_for_each_listed_value() {
    let plan = only_model(NOISE, &Options::default()).convert.unwrap();
    let steps: Vec<usize> = plan.variants.iter().map(|variant| variant.model.time.steps()).collect();
    assert_eq!(steps, [1, 2, 4, 8]);
    assert_eq!(plan.variants[2].settings[1], ("steps".to_string(), "4".to_string()));
    assert_eq!(plan.keep.unwrap().criterion.setting("within"), Some(&Plain::Number(0.2)));
}

#[test]
fn smooth_spikes_keep_their_surrogate_as_gradient() {
    let text = format!(
        "{USES}use std.surrogates {{ atan }}\nmodel M {{\n input x: frames[3]\n time 2\n x -> IterativeLIF() -> LIF(surrogate = atan())\n}}\n"
    );
    // The declared gradients, and how many of them belong to a value that is a step, so 0 or 1.
    let surrogates = |smooth: bool| {
        let graph = only_model(&text, &Options { smooth, ..Options::default() }).model.graph;
        let mut found = (0, 0);
        for id in graph.ids() {
            let Op::Scan(scan) = &graph.node(id).op else { continue };
            let body = &scan.body.graph;
            for node in body.ids().map(|id| body.node(id)).filter(|node| matches!(node.op, Op::WithGradient(_))) {
                found.0 += 1;
                found.1 += usize::from(body.ty(node.inputs[0]).kind == Kind::Spikes);
            }
        }
        found
    };
    assert_eq!(surrogates(false), (2, 2));
    assert_eq!(surrogates(true), (2, 0));
}

#[test]
fn a_penalty_on_all_spikes_is_part_of_the_loss() {
    let text = format!(
        "{USES}model M {{\n input image: [1, 8, 8]\n time 4\n image -> Flatten() -> Linear(20) -> LIF() -> Linear(10) -> LIF()\n}}
train M {{
    data = digits()
    loss = cross_entropy(mean(out, over = time), label) + 1e-3 * sum(rate(spikes)) + mean(rate(spikes)^2)
}}\n"
    );
    let model = only_model(&text, &Options::default()).model;
    let graph = &model.graph;
    let reachable = graph.reachable(&[model.loss.unwrap()]);
    assert!(model.spikes.iter().all(|spikes| reachable[spikes.node.index()]));
}

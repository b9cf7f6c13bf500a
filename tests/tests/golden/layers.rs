//! Which layer of a peer's network is which of ours: the tables behind the comparisons of whole networks.
//!
//! Parameters have other names, and a peer holds `alpha v_th gamma` of a norm where our blocks hold `gamma`; gradients
//! differ by the same factor.

use crate::files::Golden;

/// What a layer is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Convolution, linear map: `weight` and perhaps `bias` under both names.
    Weights,
    /// A threshold-dependent norm whose weight at the peer is ours times this.
    Norm(f64),
    /// Neuron normalization: `w` at the peer, `weight` here.
    NeuNorm,
    /// Spiking neurons.
    Neuron,
}

/// A layer under both names.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The peer's path.
    pub peer: String,
    /// Ours.
    pub ours: String,
    /// What it is.
    pub kind: Kind,
}

/// A tensor under both names.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The peer's path.
    pub peer: String,
    /// Ours.
    pub ours: String,
    /// The peer's value divided by ours.
    pub factor: f64,
}

/// The parameters of a network: those that the golden file has under `prefix`.
pub fn parameters(layers: &[Layer], golden: &Golden, prefix: &str) -> Vec<Pair> {
    let all = layers.iter().flat_map(|layer| {
        let names: &[(&str, &str, f64)] = match layer.kind {
            Kind::Weights => &[("weight", "weight", 1.0), ("bias", "bias", 1.0)],
            Kind::Norm(factor) => &[("weight", "gamma", factor), ("bias", "beta", 1.0)],
            Kind::NeuNorm => &[("w", "weight", 1.0)],
            Kind::Neuron => &[],
        };
        pairs(layer, names)
    });
    all.filter(|pair| golden.tensors.contains_key(&format!("{prefix}.{}", pair.peer))).collect()
}

/// The moving averages of a network.
pub fn averages(layers: &[Layer]) -> Vec<Pair> {
    let names = [("running_mean", "mu", 1.0), ("running_var", "var", 1.0)];
    layers.iter().filter(|layer| matches!(layer.kind, Kind::Norm(_))).flat_map(|layer| pairs(layer, &names)).collect()
}

fn pairs(layer: &Layer, names: &[(&str, &str, f64)]) -> Vec<Pair> {
    let pair = |(peer, ours, factor): &(&str, &str, f64)| Pair {
        peer: format!("{}.{peer}", layer.peer),
        ours: format!("{}.{ours}", layer.ours),
        factor: *factor,
    };
    names.iter().map(pair).collect()
}

fn layer(peer: &str, ours: &str, kind: Kind) -> Layer {
    Layer { peer: peer.to_owned(), ours: ours.to_owned(), kind }
}

/// A residual block with the factors of its norms.
fn residual(peer: &str, ours: &str, factors: [f64; 2]) -> Vec<Layer> {
    let [first, second] = factors.map(Kind::Norm);
    let inside = [
        ("conv1", "main.conv2d1", Kind::Weights),
        ("bn1", "main.tdbn1", first),
        ("lif1", "main.iterativelif1", Kind::Neuron),
        ("conv2", "main.conv2d2", Kind::Weights),
        ("bn2", "main.tdbn2", second),
        ("short.0", "skip.conv2d1", Kind::Weights),
        ("short.1", "skip.tdbn1", second),
        ("lif2", "iterativelif1", Kind::Neuron),
    ];
    inside.iter().map(|(p, o, kind)| layer(&format!("{peer}.{p}"), &format!("{ours}.{o}"), *kind)).collect()
}

/// Layers that the golden file knows; a block without a convolution in its shortcut lacks two.
fn known(layers: Vec<Layer>, golden: &Golden) -> Vec<Layer> {
    let begins = |layer: &Layer| {
        let start = format!(".{}.", layer.peer);
        layer.kind == Kind::Neuron || golden.tensors.keys().any(|key| key.contains(&start))
    };
    layers.into_iter().filter(begins).collect()
}

/// The table of `smallres.snn`.
pub fn smallres(golden: &Golden) -> Vec<Layer> {
    let mut layers = vec![
        layer("conv0", "net.smallres1.stem.conv2d1", Kind::Weights),
        layer("bn0", "net.smallres1.stem.tdbn1", Kind::Norm(1.0)),
        layer("lif0", "net.smallres1.stem.iterativelif1", Kind::Neuron),
        layer("fc", "net.smallres1.head.linear1", Kind::Weights),
    ];
    layers.extend(residual("block", "net.smallres1.block.residual1", [1.0; 2]));
    known(layers, golden)
}

/// The table of `resnet19.snn`.
pub fn resnet19(golden: &Golden, v_th: f64) -> Vec<Layer> {
    let mut layers = vec![
        layer("conv0", "net.resnet191.stem.conv2d1", Kind::Weights),
        layer("bn0", "net.resnet191.stem.tdbn1", Kind::Norm(1.0)),
        layer("lif0", "net.resnet191.stem.iterativelif1", Kind::Neuron),
        layer("fc1", "net.resnet191.head.linear1", Kind::Weights),
        layer("lif_fc", "net.resnet191.head.iterativelif1", Kind::Neuron),
        layer("fc2", "net.resnet191.head.linear2", Kind::Weights),
    ];
    let blocks = [
        "stage1.0",
        "stage1.1",
        "stage1.2",
        "stage2.basicblock1",
        "stage2.0",
        "stage2.1",
        "stage3.basicblock1",
        "stage3.basicblock2",
    ];
    for (at, block) in blocks.iter().enumerate() {
        layers.extend(residual(
            &format!("blocks.{at}"),
            &format!("net.resnet191.{block}"),
            [v_th, v_th * 0.5f64.sqrt()],
        ));
    }
    known(layers, golden)
}

/// The table of `cifarnet.snn`.
pub fn cifarnet(golden: &Golden) -> Vec<Layer> {
    let mut layers = Vec::new();
    for at in 0..5 {
        let stage = format!("net.cifarnet1.features{at}.encode1");
        layers.push(layer(&format!("convs.{at}"), &format!("{stage}.spikes.conv2d1"), Kind::Weights));
        layers.push(layer(&format!("lifs.{at}"), &format!("{stage}.spikes.iterativelif1"), Kind::Neuron));
        layers.push(layer(&format!("nn_.{at}"), &format!("{stage}.neunorm1"), Kind::NeuNorm));
    }
    for at in 1..=2 {
        layers.push(layer(&format!("fc{at}"), &format!("net.cifarnet1.classifier.linear{at}"), Kind::Weights));
        layers.push(layer(&format!("l{at}"), &format!("net.cifarnet1.classifier.iterativelif{at}"), Kind::Neuron));
    }
    known(layers, golden)
}

/// The table of `mlp.snn`.
pub fn mlp() -> Vec<Layer> {
    vec![layer("fc1", "net.mlp1.linear1", Kind::Weights), layer("fc2", "net.mlp1.linear2", Kind::Weights)]
}

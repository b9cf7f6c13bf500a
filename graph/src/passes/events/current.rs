//! What reaches neurons: trains of spikes, and sums of linear maps of them.

use snn_loops::ConvShape;

use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::op::ShapeError;
use crate::ty::Ty;

/// A value that is made of spikes.
#[derive(Clone, Debug)]
pub enum Signal {
    /// The times of a train, and the windows in which neurons count as one.
    Train(NodeId, Option<Pool>),
    /// A sum of linear maps of trains.
    Current(Vec<Term>),
}

/// Windows of neurons that do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Height and width.
    pub size: [usize; 2],
}

/// A linear map of a train.
#[derive(Clone, Debug)]
pub struct Term {
    /// The times.
    pub train: NodeId,
    /// The geometry.
    pub shape: ConvShape,
    /// Height and width of the train's layer, and of the windows in which neurons count as one.
    pub image: [usize; 2],
    /// See `image`.
    pub pool: [usize; 2],
    /// The weight.
    pub weight: NodeId,
}

impl Signal {
    /// The signal as a sum of linear maps; a train by itself has a weight of 1 for each neuron.
    pub fn terms(&self, graph: &mut Graph) -> Result<Vec<Term>, ShapeError> {
        match self {
            Signal::Current(terms) => Ok(terms.clone()),
            Signal::Train(train, pool) => {
                let dims = graph.ty(*train).dims.clone();
                let ([channels, height, width], size) = (image(&dims), pool.map_or([1, 1], |pool| pool.size));
                let input = [height / size[0], width / size[1]];
                let shape =
                    ConvShape { groups: channels, input, output: input, ..ConvShape::linear(channels, channels) };
                let one = graph.constant(1.0)?;
                let weight = graph.broadcast(one, &Ty::fixed(&[channels, 1, 1, 1]))?;
                Ok(vec![Term { train: *train, shape, image: [height, width], pool: size, weight }])
            }
        }
    }
}

/// Channels, height and width of a layer.
pub fn image(dims: &[usize]) -> [usize; 3] {
    match dims {
        [] => [1, 1, 1],
        [channels] => [*channels, 1, 1],
        [channels, length] => [*channels, 1, *length],
        [channels, height, width, ..] => [*channels, *height, *width],
    }
}

/// Terms with their weights times a number.
pub fn scaled(graph: &mut Graph, terms: Vec<Term>, by: NodeId) -> Result<Vec<Term>, ShapeError> {
    let scale = |term: Term| Ok(Term { weight: scaled_weight(graph, term.weight, by)?, ..term });
    terms.into_iter().map(scale).collect()
}

fn scaled_weight(graph: &mut Graph, weight: NodeId, by: NodeId) -> Built {
    graph.mul(weight, by)
}

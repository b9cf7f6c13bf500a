//! What reaches neurons: trains of spikes, and sums of linear maps of them.

use snn_loops::ConvShape;

use crate::graph::{Graph, NodeId};
use crate::op::ShapeError;
use crate::ty::Ty;

/// Who sends spikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A train, by its times.
    Train(NodeId),
    /// The layer around which a feedback loop runs, perhaps after a delay.
    Own(Option<NodeId>),
}

/// A value that is made of spikes.
#[derive(Clone, Debug)]
pub enum Signal {
    /// Spikes of a layer of that shape.
    Spikes {
        /// Who sends them.
        from: Sender,
        /// The shape of the layer that sends.
        dims: Vec<usize>,
        /// Height and width of the windows in which neurons count as one.
        pool: [usize; 2],
        /// Whether all axes have become one.
        is_flat: bool,
    },
    /// Patches of a layer that do not overlap, not summed yet.
    Patches {
        /// Who sends the spikes.
        from: Sender,
        /// The shape of the layer that sends.
        dims: Vec<usize>,
        /// Height and width of a patch.
        size: [usize; 2],
    },
    /// Times of spikes of the layer itself, perhaps after a delay.
    OwnTimes(Option<NodeId>, Vec<usize>),
    /// A sum of linear maps of spikes.
    Current(Vec<Term>),
}

/// A linear map of spikes.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// Who sends them.
    pub from: Sender,
    /// The geometry.
    pub shape: ConvShape,
    /// Height and width of the layer that sends, and of the windows in which neurons count as one.
    pub image: [usize; 2],
    /// See `image`.
    pub pool: [usize; 2],
    /// The weight.
    pub weight: NodeId,
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

impl Signal {
    /// A train of a layer.
    pub fn train(times: NodeId, dims: &[usize]) -> Signal {
        Signal::Spikes { from: Sender::Train(times), dims: dims.to_vec(), pool: [1, 1], is_flat: false }
    }

    /// The times of a train whose neurons are all there is to it.
    pub fn times(&self) -> Option<NodeId> {
        match self {
            Signal::Spikes { from: Sender::Train(times), pool: [1, 1], is_flat: false, .. } => Some(*times),
            _ => None,
        }
    }

    /// A linear map of the signal; `None` where it is not made of spikes alone.
    pub fn mapped(&self, shape: &ConvShape, weight: NodeId) -> Option<Term> {
        let Signal::Spikes { from, dims, pool, is_flat } = self else { return None };
        let [channels, height, width] = image(dims);
        let mut shape = *shape;
        if *is_flat {
            // A linear map of a flattened layer is a convolution whose kernel covers it.
            let input = [height / pool[0], width / pool[1]];
            shape = ConvShape { cin: channels, input, kernel: input, ..shape };
        }
        Some(Term { from: *from, shape, image: [height, width], pool: *pool, weight })
    }

    /// The signal as a sum of linear maps; spikes by themselves have a weight of 1 for each neuron.
    pub fn terms(&self, graph: &mut Graph) -> Result<Option<Vec<Term>>, ShapeError> {
        match self {
            Signal::Current(terms) => Ok(Some(terms.clone())),
            Signal::Spikes { dims, pool, is_flat: false, .. } => {
                let [channels, height, width] = image(dims);
                let input = [height / pool[0], width / pool[1]];
                let shape =
                    ConvShape { groups: channels, input, output: input, ..ConvShape::linear(channels, channels) };
                let one = graph.constant(1.0)?;
                let weight = graph.broadcast(one, &Ty::fixed(&[channels, 1, 1, 1]))?;
                Ok(self.mapped(&shape, weight).map(|term| vec![term]))
            }
            _ => Ok(None),
        }
    }
}

/// Terms with their weights times a number.
pub fn scaled(graph: &mut Graph, terms: Vec<Term>, by: NodeId) -> Result<Vec<Term>, ShapeError> {
    let scale = |term: Term| Ok(Term { weight: graph.mul(term.weight, by)?, ..term });
    terms.into_iter().map(scale).collect()
}

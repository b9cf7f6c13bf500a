//! How a product is cut: tiles, slices, parts of sums; how its operands are read.
//!
//! Shapes, types and alignments decide alone. Must never know text.

use snn_loops::{Contraction, ContractionKind, Dtype, WeightValues};

use super::super::alignment;
use super::super::geometry::Geometry;
use super::operands::Operands;
use crate::emit::Storage;
use crate::target::{Arch, Target};

/// Bytes of a row of a slice.
const SLICE: usize = 64;
/// Bytes of what a thread moves at once.
const CHUNK: usize = 16;
/// Shared memory that a block takes without asking for it, in chunks.
const SHARED: usize = 48 * 1024 / CHUNK;
/// What warpgroups take that multiply gathered numbers: less than half of a processor's.
const LARGE: usize = 96 * 1024 / CHUNK;
/// Blocks that keep a device busy: sums are split until there are about as many.
const BLOCKS: usize = 264;
/// Slices of a part at least.
const PART: usize = 8;
/// Bytes that parts of sums take at most.
const PARTS_BYTES: usize = 64 << 20;

/// How the gathered operand is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gather {
    /// Taps and channels counted together, element by element.
    Any,
    /// Slices of one tap, converted in registers.
    Tap,
    /// Slices of one tap, copied as they are in the background.
    Async,
    /// Slices of one tap, spikes that stay bits until they are multiplied.
    Words,
}

/// A block's part of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Rows and columns.
    pub(crate) size: [usize; 2],
    /// Warps along both, where tensor cores multiply.
    pub(crate) warps: [usize; 2],
    /// Threads of a block.
    pub(crate) threads: usize,
    /// Blocks that a processor holds at least.
    pub(crate) blocks: usize,
    /// Whether four warps multiply together.
    pub(crate) warpgroups: bool,
}

/// How a product is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) operand: Operands,
    pub(crate) gather: Gather,
    pub(crate) tile: Tile,
    /// Elements of the first and of the second operand that are loaded together.
    pub(crate) vectors: [usize; 2],
    /// Whether neighboring results are stored together.
    pub(crate) pairs: bool,
    /// Parts of every sum.
    pub(crate) parts: usize,
    slices: usize,
    slices_of_tap: usize,
    stages: usize,
    tiles: [usize; 2],
    phases: usize,
    groups: usize,
    /// Steps of time whose sums a thread holds side by side.
    pub(crate) steps: usize,
}

impl Plan {
    /// The plan of a contraction, and the product that it cuts: spikes that stay bits are rows.
    pub(crate) fn of(c: &Contraction, geometry: &Geometry, storage: [Storage; 3], target: &Target) -> (Plan, Geometry) {
        let (operand, gather) = operands(c, geometry, storage, target);
        let is_turned = c.kind == ContractionKind::WeightGradient && gather == Gather::Words;
        let geometry = if is_turned { geometry.turned() } else { *geometry };
        let tile = warpgroups(c.kind, &geometry, gather, operand, target)
            .unwrap_or_else(|| tile(c.kind, &geometry, operand, gather));
        (Plan::with(c, &geometry, storage, (operand, gather), tile, None), geometry)
    }

    /// The plan of a forward contraction whose tiles hold all sums of `steps` steps of time, which go on in registers; none
    /// where they do not fit.
    pub(crate) fn fused(
        c: &Contraction,
        geometry: &Geometry,
        storage: [Storage; 3],
        target: &Target,
        steps: usize,
    ) -> Option<Plan> {
        let (operand, gather) = operands(c, geometry, storage, target);
        let mut tile = fused_tile(gather, operand, steps)?;
        let suits = tile.warps == [8, 1] && gather == Gather::Words;
        tile.warpgroups = suits && has_warpgroups(gather, operand, target);
        let plan = Plan::with(c, geometry, storage, (operand, gather), tile, Some(steps));
        (plan.stages >= 2).then_some(plan)
    }

    /// `fused` is the number of steps of sums that go on in registers and so must be whole.
    fn with(
        c: &Contraction,
        geometry: &Geometry,
        storage: [Storage; 3],
        (operand, gather): (Operands, Gather),
        tile: Tile,
        fused: Option<usize>,
    ) -> Plan {
        let steps = fused.unwrap_or(1);
        let elements = SLICE / operand.bytes();
        let slices_of_tap = match gather {
            Gather::Words => geometry.gathered.next_multiple_of(elements.max(32)) / elements,
            Gather::Any | Gather::Tap | Gather::Async => geometry.gathered.div_ceil(elements),
        };
        let slices = match (c.kind, gather) {
            (ContractionKind::WeightGradient, _) => geometry.pixels.div_ceil(elements),
            (_, Gather::Any) => (geometry.taps * geometry.gathered).div_ceil(elements),
            (_, Gather::Tap | Gather::Async | Gather::Words) => geometry.taps * slices_of_tap,
        };
        let tiles = [(geometry.m / steps).div_ceil(tile.size[0] / steps).max(1), geometry.n.div_ceil(tile.size[1])];
        let phases = geometry.phases[0] * geometry.phases[1];
        let results = c.lengths()[2];
        let blocks = tiles[0] * tiles[1] * phases * c.shape.groups;
        let most = if fused.is_some() { 1 } else { (PARTS_BYTES / 8 / results).min(slices / PART).clamp(1, 256) };
        let wanted = (BLOCKS / blocks).clamp(1, most);
        let parts = slices.div_ceil(slices.div_ceil(wanted).max(1)).max(1);
        let stages = match gather {
            // Warpgroups take rows of a slice while the one before is multiplied and the one behind comes in.
            _ if c.kind == ContractionKind::WeightGradient => 2 + usize::from(tile.warpgroups),
            Gather::Async | Gather::Words => 4,
            Gather::Any | Gather::Tap => 2,
        };
        let shared = if tile.warpgroups && gather == Gather::Async { LARGE } else { SHARED };
        let stages = stages.min(shared / (left_chunks(operand, gather, tile) + tile.size[1] * 4));
        let vectors = match c.kind {
            ContractionKind::WeightGradient => {
                [pair(c, geometry.gathered), pair_of_gradient(c, c.shape.cout / c.shape.groups)]
            }
            ContractionKind::Forward | ContractionKind::InputGradient => [vector(c, geometry, storage[0], operand), 1],
        };
        let pairs =
            geometry.n.is_multiple_of(2) && geometry.result_pitch.is_multiple_of(2) && alignment(&c.out, 2) == 2;
        Plan {
            operand,
            gather,
            tile,
            vectors,
            pairs,
            parts,
            slices,
            slices_of_tap,
            stages,
            tiles,
            phases,
            groups: c.shape.groups,
            steps,
        }
    }

    /// Blocks of the products' launch.
    pub(crate) fn blocks(&self) -> usize {
        self.tiles[0] * self.tiles[1] * self.phases * self.groups * self.parts
    }

    /// Bytes of shared memory that a launch asks for; 0 where its blocks have enough of their own.
    pub(crate) fn shared_bytes(&self) -> usize {
        let chunks = self.stages * (left_chunks(self.operand, self.gather, self.tile) + self.tile.size[1] * 4);
        if chunks > SHARED { chunks * CHUNK } else { 0 }
    }

    /// Chunks of the weights in the order of slices.
    pub(crate) fn packed_chunks(&self) -> usize {
        self.groups * self.tiles[1] * self.slices * self.tile.size[1] * (SLICE / CHUNK)
    }

    /// Where the scales of columns are in a workspace, behind the weights.
    pub(crate) fn scales_at(&self) -> usize {
        (self.packed_chunks() * CHUNK).next_multiple_of(256)
    }

    /// Scales of columns, also of those that fill a tile; none for operands without.
    pub(crate) fn scales(&self) -> usize {
        if self.operand == Operands::Int8 { self.groups * self.tiles[1] * self.tile.size[1] } else { 0 }
    }

    /// Bytes of weights and scales in a workspace.
    pub(crate) fn packed_bytes(&self) -> usize {
        (self.scales_at() + self.scales() * 4).next_multiple_of(256)
    }

    /// What sums are multiplied with at last.
    pub(crate) fn scale(&self) -> f64 {
        if self.gather == Gather::Words { 1.0 / self.operand.spike() } else { 1.0 }
    }

    /// What the products' kernel is called.
    pub(crate) fn name(&self, kind: ContractionKind) -> &'static str {
        match kind {
            ContractionKind::Forward => "forward",
            ContractionKind::InputGradient => "input_gradient",
            ContractionKind::WeightGradient => "weight_gradient",
        }
    }

    /// The numbers that templates need.
    pub(crate) fn numbers(&self) -> [(&'static str, usize); 16] {
        [
            ("BM", self.tile.size[0]),
            ("BN", self.tile.size[1]),
            ("WARPS_M", self.tile.warps[0]),
            ("WARPS_N", self.tile.warps[1]),
            ("THREADS", self.tile.threads),
            ("STAGES", self.stages),
            ("LEFT_QUADS", left_chunks(self.operand, self.gather, self.tile)),
            ("VECTOR", self.vectors[0]),
            ("VECTOR_B", self.vectors[1]),
            ("TILES_M", self.tiles[0]),
            ("TILES_N", self.tiles[1]),
            ("SLICES", self.slices),
            ("SLICES_OF_TAP", self.slices_of_tap.max(1)),
            ("SLICES_OF_PART", self.slices.div_ceil(self.parts)),
            ("PARTS", self.parts),
            ("GROUPS", self.groups),
        ]
    }
}

/// What is multiplied, and how it is read: whole numbers where the weights are such and spikes stay bits.
fn operands(c: &Contraction, geometry: &Geometry, storage: [Storage; 3], target: &Target) -> (Operands, Gather) {
    if c.weights == WeightValues::Int8 && target.dtype == Dtype::F32 {
        let gather = gather(c, geometry, storage, Operands::Int8);
        if gather == Gather::Words {
            return (Operands::Int8, gather);
        }
    }
    let operand = Operands::of(target);
    (operand, gather(c, geometry, storage, operand))
}

fn gather(c: &Contraction, geometry: &Geometry, storage: [Storage; 3], operand: Operands) -> Gather {
    let elements = SLICE / operand.bytes();
    let is_few = geometry.gathered.next_multiple_of(elements) > 2 * geometry.gathered;
    if c.kind == ContractionKind::WeightGradient {
        let is_whole = geometry.gathered.is_multiple_of(32) || (geometry.taps == 1 && c.shape.groups == 1);
        if c.packed && operand.is_tensor() && is_whole { Gather::Words } else { Gather::Tap }
    } else if is_few && geometry.taps > 1 {
        Gather::Any
    } else if c.packed {
        let is_whole = c.shape.groups == 1 || geometry.gathered.is_multiple_of(elements.max(32));
        if operand.is_tensor() && is_whole { Gather::Words } else { Gather::Tap }
    } else if operand.storage() == Some(storage[0])
        && vector(c, geometry, storage[0], operand) * operand.bytes() == CHUNK
    {
        Gather::Async
    } else {
        Gather::Tap
    }
}

/// Elements of the gathered operand that can be loaded together.
fn vector(c: &Contraction, geometry: &Geometry, storage: Storage, operand: Operands) -> usize {
    let bytes = match storage {
        Storage::Float if operand == Operands::F64 => 8,
        Storage::Float => 4,
        Storage::Bf16 | Storage::F16 => 2,
        Storage::Bits | Storage::Registers => return 1,
    };
    let most = (CHUNK / operand.bytes()).min(CHUNK / bytes);
    let divides = |number: usize| 1 << number.trailing_zeros().min(4);
    alignment(&c.a, most).min(divides(geometry.gathered)).min(divides(geometry.source_pitch))
}

/// Channels of a weight gradient's input that are loaded together.
fn pair(c: &Contraction, channels: usize) -> usize {
    if !c.packed && channels.is_multiple_of(2) { alignment(&c.a, 2) } else { 1 }
}

/// Channels of a weight gradient's other operand that are loaded together.
fn pair_of_gradient(c: &Contraction, channels: usize) -> usize {
    if channels.is_multiple_of(2) { alignment(&c.b, 2) } else { 1 }
}

/// Chunks of shared memory that a slice of the first operand takes.
fn left_chunks(operand: Operands, gather: Gather, tile: Tile) -> usize {
    let words = (SLICE / operand.bytes()).div_ceil(32);
    if gather == Gather::Words { tile.size[0] * words / 4 } else { tile.size[0] * 4 }
}

/// Whether a device multiplies such operands by the instructions of four warps.
fn has_warpgroups(gather: Gather, operand: Operands, target: &Target) -> bool {
    let is_known = match gather {
        Gather::Words => matches!(operand, Operands::F16 | Operands::Bf16 | Operands::Int8),
        Gather::Async => matches!(operand, Operands::F16 | Operands::Bf16),
        Gather::Any | Gather::Tap => false,
    };
    target.arch == Arch::Sm90a && is_known
}

/// A tile for them, where there is enough to do. Rows of numbers are read from shared memory for each tile of columns, so that
/// there are to be few of these; spikes are bits. Columns of a weight's gradient come through registers for each tile of rows.
fn warpgroups(
    kind: ContractionKind,
    geometry: &Geometry,
    gather: Gather,
    operand: Operands,
    target: &Target,
) -> Option<Tile> {
    let is_gradient = kind == ContractionKind::WeightGradient;
    let is_wide = gather != Gather::Words || (is_gradient && geometry.n > 64);
    let (columns, rows): (usize, &[usize]) = if is_wide { (128, &[256]) } else { (64, &[512, 256]) };
    let parts = if is_gradient { geometry.pixels * operand.bytes() / SLICE / PART } else { 1 };
    let tiles = |rows: usize| geometry.m.div_ceil(rows) * geometry.n.div_ceil(columns) * parts;
    let rows = *rows.iter().find(|rows| tiles(**rows) >= BLOCKS / 4 && geometry.m > **rows / 2)?;
    let suits = has_warpgroups(gather, operand, target) && geometry.n > columns / 2;
    suits.then_some(Tile { size: [rows, columns], warps: [8, 1], threads: 256, blocks: 1, warpgroups: true })
}

fn tile(kind: ContractionKind, geometry: &Geometry, operand: Operands, gather: Gather) -> Tile {
    let rows = if geometry.m <= 64 || operand == Operands::F64 { 64 } else { 128 };
    let most = if operand.is_tensor() { 128 } else { 64 };
    let columns = geometry.n.next_power_of_two().clamp(32, most);
    let warps = match (rows, columns) {
        (128, 32 | 64) | (64, 32) => [4, 2],
        _ => [2, 4],
    };
    // What turns pixels over into slices, or holds chunks until they are stored, takes the registers of a second block.
    let holds = kind != ContractionKind::WeightGradient && matches!(gather, Gather::Any | Gather::Tap);
    let blocks = if rows * columns == 128 * 128 || holds { 1 } else { 2 };
    Tile { size: [rows, columns], warps, threads: 256, blocks, warpgroups: false }
}

/// A tile whose threads own all steps of their pixels and channels.
fn fused_tile(gather: Gather, operand: Operands, steps: usize) -> Option<Tile> {
    if !(1..=16).contains(&steps) {
        return None;
    }
    if !operand.is_tensor() {
        let columns = if steps <= 8 { 64 } else { 32 };
        let rows = 16 * steps * (8 / steps).max(1);
        return Some(Tile { size: [rows, columns], warps: [1, 1], threads: 256, blocks: 1, warpgroups: false });
    }
    let most: usize = if gather == Gather::Words { 512 } else { 256 };
    let rows = 16 * steps * (4 / steps).max(1);
    // Registers of sums: 4 for every 16 rows and 8 columns of a warp, 128 at most.
    let fragments: usize = (16 * 32 / rows).clamp(2, 8);
    let along = (1 << fragments.ilog2()).min(most / rows);
    let along = 1 << along.ilog2();
    let columns = 64.max(16 * (8 / along));
    Some(Tile { size: [rows * along, columns], warps: [along, 8 / along], threads: 256, blocks: 1, warpgroups: false })
}

//! `snnc dump`: a program at any stage of its compilation.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use snnc::runtime::listing::Form;
use snnc::{Arch, Precision, Result, Source, stages};

use super::Status;
use super::machine::{Settings, by_name};
use super::terminal::write;

/// Shows a program at any stage of its compilation.
#[derive(clap::Args)]
pub struct Args {
    /// The program.
    file: PathBuf,
    /// Which representation.
    #[arg(long, value_enum)]
    stage: Stage,
    /// Shows the graph after the passes up to and including this one; without it, as written.
    #[arg(long, value_name = "PASS", value_parser = PossibleValuesParser::new(stages::pass_list().map(|(name, _)| name)))]
    until: Option<String>,
    /// The training update in place of the evaluation.
    #[arg(long)]
    training: bool,
    /// The device that CUDA text is for.
    #[arg(long, value_name = "ARCH", default_value = "sm_80", value_parser = by_name(Arch::ALL, Arch::name))]
    arch: Arch,
    /// How the products of CUDA text round.
    #[arg(long, value_name = "PRECISION", default_value = "f32", value_parser = by_name(Precision::ALL, Precision::name))]
    precision: Precision,
    #[command(flatten)]
    settings: Settings,
}

/// The representations that a program goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The words of the text.
    Tokens,
    /// The syntax tree.
    Ast,
    /// The dataflow graph of the model.
    Graph,
    /// The graph of a training update: forward pass, gradient, optimizer.
    Grad,
    /// The kernels as loop nests.
    Loops,
    /// The kernels in cranelift's intermediate form.
    Clif,
    /// The kernels as machine code of this machine.
    Asm,
    /// The kernels as CUDA text, with their launches.
    Cuda,
}

pub fn run(args: &Args) -> Result<Status> {
    let source = Source::from_file(&args.file)?;
    write(&text(source, args)?);
    Ok(Status::Success)
}

fn text(source: Source, args: &Args) -> Result<String> {
    let form = match args.stage {
        Stage::Tokens => return Ok(stages::tokens(&source)),
        Stage::Ast => return stages::syntax_tree(&source),
        Stage::Graph | Stage::Grad => None,
        Stage::Loops => Some(Form::Loops),
        Stage::Clif => Some(Form::Clif),
        Stage::Asm => Some(Form::Assembly),
        Stage::Cuda => Some(Form::Cuda(args.arch, args.precision)),
    };
    let model = args.settings.compile_source(source)?.model()?;
    match form {
        Some(form) => stages::program(&model, form, args.training),
        None if args.stage == Stage::Grad => stages::gradient(&model),
        None => stages::graph(&model, args.until.as_deref(), args.training),
    }
}

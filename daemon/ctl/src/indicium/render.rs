//! `psdctl indicium render`.

use crate::error::{CtlError, Exit};
use crate::input::{decode, one_mark};
use crate::output::{print, print_bytes, write_durably};
use crate::render::{Legend, Symbol, png, svg, text};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `psdctl indicium render`.
#[derive(Args, Debug)]
pub struct Render {
    /// The mark: hex, base64, a file of either or of bytes, or - for stdin
    input: String,
    /// How to draw it
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Where to; stdout if not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// For a terminal with a light background (text only)
    #[arg(long)]
    invert: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Half blocks, for a terminal
    Text,
    /// Physical size, modules of 0.5 mm
    Svg,
    /// 305 dpi
    Png,
}

pub(super) fn run(command: &Render) -> Result<Exit, CtlError> {
    let mark = one_mark(&command.input)?;
    let decoded = decode(&mark)?;
    let bytes = match command.format {
        Form::Text => text::draw(&Symbol::of(&mark.bytes)?, &Legend::of(&decoded), command.invert).into_bytes(),
        Form::Svg => svg::draw(&mark.bytes, &decoded)?.into_bytes(),
        Form::Png => png::draw(&mark.bytes, &decoded)?,
    };
    match &command.out {
        Some(path) => {
            write_durably(path, &bytes)?;
            print(&format!("{}\n", path.display()))?;
        }
        None => print_bytes(&bytes)?,
    }
    Ok(Exit::Done)
}

//! `psdctl ceremony plan`.

use super::file;
use crate::cli::Global;
use crate::error::Exit;
use crate::operator::{OperatorConfig, OperatorError};
use crate::output::{hex, print, print_json};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `psdctl ceremony plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// The ceremony file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Do not ask the daemon, even where psdctl.toml has an [operator]
    #[arg(long)]
    offline: bool,
}

pub(super) async fn run(global: &Global, command: &Plan) -> Result<Exit, OperatorError> {
    let ceremony = file::ceremony(&command.file)?;
    let config = if command.offline { None } else { OperatorConfig::read_if_present(global.config.as_deref())? };
    let judged = match config {
        Some(config) => Some(config.client()?.plan(ceremony.bytes()).await?),
        None => None,
    };
    let good = judged.as_ref().is_none_or(|plan| plan.problems.is_empty());
    if global.json {
        print_json(&serde_json::json!({
            "act": ceremony.act().table(),
            "number": ceremony.head().number,
            "digest": hex(&ceremony.digest()),
            "effects": ceremony.effects(),
            "judged_by_daemon": judged.is_some(),
            "problems": judged.as_ref().map_or(&[][..], |plan| &plan.problems),
        }))?;
        return Ok(if good { Exit::Done } else { Exit::Negative });
    }
    let mut text = format!("{}\n", rendered(&ceremony.effects(), &ceremony.digest()));
    match &judged {
        None => text += "the file is sound; the daemon was not asked\n",
        Some(plan) if plan.problems.is_empty() => {
            text += "the daemon has nothing against it; it can be approved and run\n"
        }
        Some(plan) => {
            text += "the daemon would refuse it now:\n";
            plan.problems.iter().for_each(|problem| text += &format!("  {}: {}\n", problem.code, problem.text));
        }
    }
    print(&text)?;
    Ok(if good { Exit::Done } else { Exit::Negative })
}

/// The effect as people read it before they approve.
pub(super) fn rendered(effects: &[String], digest: &[u8]) -> String {
    let lines: String =
        effects.iter().zip(1..).map(|(line, number): (_, u32)| format!("{number:>3}. {line}\n")).collect();
    format!("{lines}     SHA-256 of the file: {}\n", file::groups(digest))
}

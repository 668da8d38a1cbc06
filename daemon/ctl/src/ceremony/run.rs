//! `psdctl ceremony run` and `status`.

use super::file;
use crate::cli::Global;
use crate::error::Exit;
use crate::operator::{OperatorConfig, OperatorError};
use crate::output::{hex, print, print_json};
use crate::progress::bar;
use clap::Args;
use psdd_client::OperatorClient;
use psdd_wire::operator::{CeremonyResponse, CeremonyState};
use std::path::PathBuf;
use std::time::Duration;

/// Between two questions how far the ceremony is.
const PAUSE: Duration = Duration::from_millis(250);

/// Arguments of `psdctl ceremony run`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl ceremony run rotate.toml --approvals rotate.toml.ada.approval rotate.toml.ben.approval")]
pub struct Run {
    /// The ceremony file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The approvals, as many as the quorum needs
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    approvals: Vec<PathBuf>,
}

/// Arguments of `psdctl ceremony status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Number of the ceremony
    #[arg(value_name = "NUMBER")]
    number: u64,
}

pub(super) async fn run(global: &Global, command: &Run) -> Result<Exit, OperatorError> {
    let ceremony = file::ceremony(&command.file)?;
    let approvals = file::approvals(&command.approvals)?;
    let client = OperatorConfig::read(global.config.as_deref())?.client()?;
    let begun = client.run(ceremony.bytes(), &approvals).await?;
    let told = follow(&client, begun.number, !global.json).await?;
    tell(global, &told)
}

pub(super) async fn status(global: &Global, command: &Status) -> Result<Exit, OperatorError> {
    let client = OperatorConfig::read(global.config.as_deref())?.client()?;
    let told = client.ceremony(command.number).await?;
    if !global.json {
        print(&told.lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    }
    tell(global, &told)
}

/// Asks until the ceremony has ended: a bar with the latest step on a terminal, else a line for each step.
async fn follow(client: &OperatorClient, number: u64, show: bool) -> Result<CeremonyResponse, OperatorError> {
    let bar = bar(0, "steps");
    let mut shown = Vec::new();
    loop {
        let told = client.ceremony(number).await?;
        bar.set_length(told.steps_total);
        bar.set_position(told.steps_done);
        // The last line may be what it waits for, in whose place a step comes.
        let known = shown.iter().zip(&told.lines).take_while(|(before, now)| before == now).count();
        for line in told.lines.iter().skip(known) {
            if bar.is_hidden() && show {
                print(&format!("{line}\n"))?;
            }
            bar.set_message(line.clone());
        }
        shown.clone_from(&told.lines);
        if told.state.has_ended() {
            bar.finish_and_clear();
            return Ok(told);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn tell(global: &Global, told: &CeremonyResponse) -> Result<Exit, OperatorError> {
    let CeremonyResponse { number, state, steps_done, steps_total, transcript, lines, .. } = told;
    if global.json {
        print_json(&serde_json::json!({
            "number": number,
            "state": state.as_str(),
            "steps_done": steps_done,
            "steps_total": steps_total,
            "lines": lines,
            "transcript": transcript.as_ref().map(|bytes| hex(bytes)),
        }))?;
    } else {
        let next = match state {
            CeremonyState::Running | CeremonyState::Abandoned => String::new(),
            CeremonyState::Done => format!("; `psdctl ceremony print {number}` makes the page for signatures"),
            CeremonyState::Interrupted => "; run it again with the same approvals, or abandon it".to_owned(),
        };
        print(&format!("ceremony no. {number} {}: {steps_done} of {steps_total} steps{next}\n", state.as_str()))?;
    }
    Ok(match state {
        CeremonyState::Done | CeremonyState::Running => Exit::Done,
        CeremonyState::Interrupted | CeremonyState::Abandoned => Exit::Negative,
    })
}

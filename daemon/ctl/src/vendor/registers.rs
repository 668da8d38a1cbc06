//! `psdctl vendor registers`: the registers alone, with the reading they were taken at, and their sums.

use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::{CtlError, Exit};
use crate::output::{count, money, print, print_json, table};
use clap::Args;
use psd::{PostageAmount, UnixMillis};
use psdd_client::{Client, PsdView};
use serde::Serialize;

/// Arguments of `psdctl vendor registers`.
#[derive(Args, Debug)]
pub struct Registers {
    /// Only the PSDs of this licence
    #[arg(long, value_name = "NUMBER")]
    licence: Option<String>,
}

#[derive(Serialize)]
struct Reading {
    psd: String,
    licence: String,
    state: String,
    time: Option<String>,
    ascending: String,
    descending: String,
    control_total: String,
    pieces: u64,
}

pub(super) async fn run(global: &Global, command: &Registers) -> Result<Exit, CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    let client = Client::connect(config.client()).await?;
    let mut psds = client.psds().await?;
    psds.retain(|view| command.licence.as_ref().is_none_or(|licence| *licence == view.licence));
    if global.json {
        print_json(&psds.iter().map(reading).collect::<Vec<_>>())?;
    } else {
        print(&drawn(&psds))?;
    }
    Ok(Exit::Done)
}

fn reading(view: &PsdView) -> Reading {
    let registers = &view.registers;
    Reading {
        psd: view.psd.to_string(),
        licence: view.licence.clone(),
        state: view.state.clone(),
        time: view.clock.as_ref().map(|clock| UnixMillis(clock.time).to_string()),
        ascending: registers.ascending.to_string(),
        descending: registers.descending.to_string(),
        control_total: registers.control_total.to_string(),
        pieces: registers.pieces,
    }
}

fn drawn(psds: &[PsdView]) -> String {
    let headings = ["PSD", "licence", "state", "ascending", "descending", "control total", "pieces"];
    let row = |view: &PsdView| {
        let registers = &view.registers;
        vec![
            view.psd.to_string(),
            view.licence.clone(),
            view.state.clone(),
            money(registers.ascending),
            money(registers.descending),
            money(registers.control_total),
            count(registers.pieces),
        ]
    };
    let sum = |of: fn(&PsdView) -> PostageAmount| {
        let sum = psds.iter().map(of).try_fold(PostageAmount::ZERO, PostageAmount::checked_add);
        sum.map_or_else(|| "beyond any amount".to_owned(), money)
    };
    let pieces: u64 = psds.iter().map(|view| view.registers.pieces).sum();
    let all = vec![
        "all".to_owned(),
        String::new(),
        format!("{} PSDs", psds.len()),
        sum(|view| view.registers.ascending),
        sum(|view| view.registers.descending),
        sum(|view| view.registers.control_total),
        count(pieces),
    ];
    let clock = psds.iter().find_map(|view| view.clock.as_ref());
    let read = clock.map_or_else(
        || "no trusted time\n".to_owned(),
        |clock| format!("read at {}, ± {} ms ({})\n", UnixMillis(clock.time), clock.error_ms, clock.source),
    );
    format!("{}{read}", table(&headings, &[3, 4, 5, 6], psds.iter().map(row).chain([all])))
}

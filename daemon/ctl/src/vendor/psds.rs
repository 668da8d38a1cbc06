//! `psdctl vendor psds`.

use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::{CtlError, Exit};
use crate::output::{count, priced, print, print_json, table};
use clap::Args;
use psd::UnixMillis;
use psdd_client::{Client, InspectionView, PsdView};

/// Arguments of `psdctl vendor psds`.
#[derive(Args, Debug)]
pub struct Psds {
    /// Only this one
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
}

pub(super) async fn run(global: &Global, command: &Psds) -> Result<Exit, CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    let only = command.psd.as_deref().map(|id| config.psd(Some(id))).transpose()?;
    let client = Client::connect(config.client()).await?;
    let psds = match only {
        Some(psd) => vec![client.psd(psd).await?],
        None => client.psds().await?,
    };
    if global.json {
        print_json(&psds)?
    } else {
        print(&drawn(&psds))?
    }
    Ok(Exit::Done)
}

/// When the PSD is to be inspected, and whether that is near, by its own clock.
fn inspection(view: &PsdView) -> String {
    let Some(InspectionView { due, warn, .. }) = view.inspection else { return "never due".to_owned() };
    let now = view.clock.as_ref().map(|clock| clock.time);
    let word = match now {
        Some(now) if now >= due => "overdue since",
        Some(now) if now >= warn => "due soon, by",
        _ => "due by",
    };
    format!("{word} {}", UnixMillis(due))
}

pub(crate) fn drawn(psds: &[PsdView]) -> String {
    let headings = [
        "PSD",
        "state",
        "locks",
        "ascending",
        "descending",
        "control total",
        "pieces",
        "licence",
        "certificate",
        "value",
        "inspection",
    ];
    let rows = psds.iter().map(|view| {
        let registers = &view.registers;
        let money = |amount| priced(amount, view.currency);
        let locks = if view.locks.is_empty() { "none".to_owned() } else { view.locks.join(", ") };
        let value = match &view.value.pending {
            Some(pending) => format!("no. {}: {} under way", pending.sequence, money(pending.amount)),
            None if view.value.ended == 0 => "none yet".to_owned(),
            None => format!("no. {} ended", view.value.ended),
        };
        vec![
            view.psd.to_string(),
            view.state.clone(),
            locks,
            money(registers.ascending),
            money(registers.descending),
            money(registers.control_total),
            count(registers.pieces),
            view.licence.clone(),
            view.certificate.map_or_else(|| "none".to_owned(), |serial| serial.to_string()),
            value,
            inspection(view),
        ]
    });
    let word = if psds.len() == 1 { "PSD" } else { "PSDs" };
    format!("{}{} {word}\n", table(&headings, &[3, 4, 5, 6, 8], rows), psds.len())
}

//! `psdctl inspect`: the whole fleet at a glance, once or again and again.

use super::InspectError;
use super::config::InspectorConfig;
use super::report;
use super::round::{First, Inspection, Look};
use super::rules::RuleOptions;
use super::table;
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{print, print_json};
use clap::Args;
use console::Term;
use psd::PsdId;
use psdd_inspector::Rules;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `psdctl inspect` without a command.
#[derive(Args, Debug)]
pub struct FleetArgs {
    /// Where the mirror of the log lies [default: `mirror` in [authority], or inspection/ beside psdctl.toml]
    #[arg(long, value_name = "DIR")]
    mirror: Option<PathBuf>,
    /// At the first use: the appliance's log key, PEM, as it was written down at the birth
    #[arg(long, value_name = "FILE")]
    log_key: Option<PathBuf>,
    /// At the first use: a development appliance that nobody countersigned will do
    #[arg(long)]
    development: bool,
    /// Audit these PSDs alone
    #[arg(long, value_name = "ID")]
    psd: Vec<PsdId>,
    /// Show every PSD, however many there are
    #[arg(long)]
    all: bool,
    /// Look again every so many seconds, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
    /// Write the inspection as one HTML page with the signed evidence in it, for `psdctl inspect verify`
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    report: Option<PathBuf>,
    /// Write each report that holds to DIR/DEVICE.cose, to be accepted with `psdctl authority accept-audit`
    #[arg(long, value_name = "DIR", conflicts_with = "watch")]
    reports: Option<PathBuf>,
    #[command(flatten)]
    rules: RuleOptions,
}

impl FleetArgs {
    /// Whether there are any: a command has its own.
    pub(super) fn are_named(&self) -> bool {
        let files = [&self.mirror, &self.log_key, &self.report, &self.reports].into_iter().any(Option::is_some);
        let others = self.development || self.all || self.watch.is_some() || !self.psd.is_empty();
        files || others || self.rules.rules() != Rules::default()
    }
}

pub(super) fn run(global: &Global, command: &FleetArgs) -> Result<Exit, InspectError> {
    let config = InspectorConfig::read(global.config.as_deref())?;
    let (mirror, log_key) = (command.mirror.as_deref(), command.log_key.as_deref());
    let first = First { mirror, log_key, development: command.development };
    let mut inspection = Inspection::begin(&config, &first)?;
    let psds = (!command.psd.is_empty()).then_some(command.psd.as_slice());
    let rules = command.rules.rules();
    let Some(seconds) = command.watch else {
        let look = inspection.look(psds, &rules)?;
        shown(global, &look, command.all)?;
        if let Some(path) = &command.report {
            report::write(&mut inspection, &look, &rules, path)?;
        }
        if let Some(directory) = &command.reports {
            report::write_each(global, &look, directory)?;
        }
        return Ok(exit(&look));
    };
    let term = Term::stdout();
    loop {
        let look = inspection.look(psds, &rules)?;
        if term.is_term() && !global.json {
            // Written over what stood there, so that nothing flickers.
            let text = table::drawn(&look, command.all).replace('\n', "\x1b[K\n");
            print(&format!("\x1b[H{text}\x1b[J"))?;
        } else {
            shown(global, &look, command.all)?;
        }
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

fn shown(global: &Global, look: &Look, all: bool) -> Result<(), InspectError> {
    if global.json {
        print_json(&look.view)?
    } else {
        print(&table::drawn(look, all))?
    }
    Ok(())
}

fn exit(look: &Look) -> Exit {
    if look.view.has_red() { Exit::Negative } else { Exit::Done }
}

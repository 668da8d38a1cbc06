//! `psdctl inspect --report` and `psdctl inspect verify`: an inspection as one file, and the judgement of it without a connection.

use super::InspectError;
use super::config::authority_root;
use super::round::{Inspection, Look, read_key, read_root};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{count, print, print_json, write_durably};
use clap::Args;
use psd::UnixMillis;
use psdd_inspector::Rules;
use psdd_inspector::report::{Anchors, Evidence, Verified, verify as judged};
use std::path::{Path, PathBuf};

/// Arguments of `psdctl inspect verify`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl inspect verify inspection.html --authority-root root.pem

Exit code 0: page and evidence hold. 1: they do not; the first thing that is not so is told.")]
pub struct Verify {
    /// The page
    file: PathBuf,
    /// The authority's root, PEM [default: that of psdctl.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    authority_root: Option<PathBuf>,
    /// The appliance's log key, PEM
    #[arg(long, value_name = "FILE")]
    log_key: Option<PathBuf>,
}

/// Writes the page of a look.
pub(super) fn write(inspection: &mut Inspection, look: &Look, rules: &Rules, path: &Path) -> Result<(), InspectError> {
    let evidence = Evidence::gather(&mut inspection.mirror, &look.view, rules, (&look.audit, &look.held))?;
    write_durably(path, evidence.page().as_bytes())?;
    Ok(())
}

/// Writes each report that holds, by itself.
pub(super) fn write_each(global: &Global, look: &Look, directory: &Path) -> Result<(), InspectError> {
    let unwritable = |source| InspectError::File { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(unwritable)?;
    let Some(judged) = &look.view.audit else { return Ok(()) };
    let sound = look.audit.sound(judged, &look.view.findings);
    for (psd, report) in &sound {
        write_durably(&directory.join(format!("{psd}.cose")), report)?;
    }
    if !global.json {
        let left_out = look.audit.reports.len().saturating_sub(sound.len());
        let left = if left_out > 0 { format!("; {left_out} that do not hold are left out") } else { String::new() };
        print(&format!("reports      {} in {}{left}\n", count(sound.len()), directory.display()))?;
    }
    Ok(())
}

pub(super) fn verify(global: &Global, command: &Verify) -> Result<Exit, InspectError> {
    let file = |source| InspectError::File { path: command.file.clone(), source };
    let html = std::fs::read_to_string(&command.file).map_err(file)?;
    let root = match (&command.authority_root, &command.log_key) {
        (Some(root), _) => Some(root.clone()),
        (None, Some(_)) => None,
        (None, None) => authority_root(global.config.as_deref())?,
    };
    let anchors = Anchors {
        authority_root: root.as_deref().map(read_root).transpose()?,
        log_spki: command.log_key.as_deref().map(read_key).transpose()?,
    };
    let told = judged(&html, &anchors);
    let told = told.map_err(|source| InspectError::Report { path: command.file.clone(), source: Box::new(source) })?;
    if global.json {
        print_json(&told)?
    } else {
        print(&drawn(&told, &anchors))?
    }
    Ok(Exit::Done)
}

fn drawn(told: &Verified, anchors: &Anchors) -> String {
    let by = match (&anchors.authority_root, &anchors.log_spki) {
        (Some(_), Some(_)) => "the authority's root and the log key given".to_owned(),
        (None, Some(_)) => "the log key given; certificates lead to the root of leaf 0".to_owned(),
        _ => format!(
            "the authority's root given; compare the log key with that of the birth:\n             {}",
            told.log_key
        ),
    };
    format!(
        "the page and its evidence hold: {}, {}, inspected at {}\n\
         findings     {} red, {} amber\n\
         log          {} records under the signed root {}\n\
         proven       {} records in the log; registers of {} of {} PSDs\n\
         reports      {} judged again; they give state and keys of {} of {} PSDs\n\
         without one  {} withdrawn or scrapped by their records, {} shown without a device key\n\
         not proven   that the appliance has no other PSDs: the mirror knows\n\
         trusted      {by}\n",
        told.appliance,
        told.environment,
        UnixMillis(told.inspected_ms),
        told.red,
        told.amber,
        count(told.records),
        told.root,
        count(told.included),
        count(told.registers),
        count(told.psds),
        count(told.reports),
        count(told.states),
        count(told.psds),
        count(told.ended),
        count(told.silent),
    )
}

//! `psdctl scale check` and `list`.

use super::ScaleError;
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{Colour, count, hex, lit_table, print, print_json};
use clap::Args;
use psdd_certification::scale::{LONGEST_REGISTRY, Registry, ScaleStatus, Standing};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Arguments of both.
#[derive(Args, Debug)]
pub struct Registered {
    /// The registry, TOML
    #[arg(value_name = "FILE")]
    registry: PathBuf,
    /// Tell so many days ahead that a calibration ends
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    due_days: u32,
}

#[derive(Serialize)]
struct Row {
    scale: String,
    standing: &'static str,
    /// Until the calibration begins or ends, or since it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u64>,
    maker: String,
    model: String,
    site: String,
    certificate: String,
    issuer: String,
    valid_from: String,
    valid_until: String,
    capacity_mg: u64,
    minimum_mg: u64,
    resolution_mg: u64,
    signed: &'static str,
}

#[derive(Serialize)]
struct Report {
    registry_sha256: String,
    scales: Vec<Row>,
}

pub(super) fn list(global: &Global, command: &Registered) -> Result<Exit, ScaleError> {
    let (registry, now) = (read(&command.registry)?, psdd_authority::serve::now()?);
    tell(global, &registry, &registry.status(now, command.due_days), false)?;
    Ok(Exit::Done)
}

/// Shows what asks for something, and says no where readings of a scale do not count.
pub(super) fn check(global: &Global, command: &Registered) -> Result<Exit, ScaleError> {
    let (registry, now) = (read(&command.registry)?, psdd_authority::serve::now()?);
    let status = registry.status(now, command.due_days);
    tell(global, &registry, &status, true)?;
    Ok(verdict(&status))
}

fn verdict(status: &[ScaleStatus<'_>]) -> Exit {
    if status.iter().all(|status| status.standing.is_current()) { Exit::Done } else { Exit::Negative }
}

fn read(path: &Path) -> Result<Registry, ScaleError> {
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that there are too many.
    let most = u64::try_from(LONGEST_REGISTRY).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|source| ScaleError::File { path: path.to_owned(), source })?;
    Registry::parse(&bytes).map_err(|source| ScaleError::Registry { path: path.to_owned(), source })
}

fn tell(global: &Global, registry: &Registry, status: &[ScaleStatus<'_>], asking: bool) -> Result<(), ScaleError> {
    if global.json {
        let scales = status.iter().map(row).collect();
        return Ok(print_json(&Report { registry_sha256: hex(&registry.digest()), scales })?);
    }
    Ok(print(&drawn(registry, status, asking))?)
}

/// The table, of those alone that ask for something where that is wanted, and how many there are of each kind.
fn drawn(registry: &Registry, status: &[ScaleStatus<'_>], asking: bool) -> String {
    let shown = status.iter().filter(|status| !asking || status.standing != Standing::Valid).map(|status| {
        let row = row(status);
        let colour = match status.standing {
            Standing::Valid => Colour::Green,
            Standing::Due { .. } => Colour::Amber,
            Standing::NotYetValid { .. } | Standing::Overdue { .. } => Colour::Red,
        };
        let scale = status.scale;
        let range = format!("{} to {}", scale.minimum(), scale.capacity());
        let days = row.days.map_or_else(String::new, |days| format!("{} d", count(days)));
        let certificate = format!("{} ({})", row.certificate, row.issuer);
        let resolution = scale.resolution().to_string();
        let named = format!("{} {}", row.maker, row.model);
        let cells = [
            row.standing.to_owned(),
            row.scale,
            days,
            row.valid_until,
            range,
            resolution,
            row.signed.to_owned(),
            row.site,
            named,
            certificate,
        ];
        (colour, cells.to_vec())
    });
    let rows: Vec<(Colour, Vec<String>)> = shown.collect();
    let headings = [
        "standing",
        "scale",
        "days",
        "valid until",
        "range",
        "step",
        "signed",
        "site",
        "maker and model",
        "certificate",
    ];
    let table = if rows.is_empty() { String::new() } else { lit_table(&headings, &[2, 5], rows) };
    let of = |standing: fn(&Standing) -> bool| status.iter().filter(|status| standing(&status.standing)).count();
    let (refused, due) =
        (of(|standing| !standing.is_current()), of(|standing| matches!(standing, Standing::Due { .. })));
    format!(
        "{table}{} scales: readings of {refused} do not count, {due} are due\nregistry  SHA-256 {}\n",
        status.len(),
        hex(&registry.digest())
    )
}

fn row(status: &ScaleStatus<'_>) -> Row {
    let (scale, calibration) = (status.scale, status.scale.calibration());
    let (standing, days) = match status.standing {
        Standing::NotYetValid { days } => ("not yet valid", Some(days)),
        Standing::Valid => ("valid", None),
        Standing::Due { days } => ("due", Some(days)),
        Standing::Overdue { days } => ("overdue", Some(days)),
    };
    Row {
        scale: scale.id().to_string(),
        standing,
        days,
        maker: scale.maker().to_owned(),
        model: scale.model().to_owned(),
        site: scale.site().to_owned(),
        certificate: calibration.certificate().to_owned(),
        issuer: calibration.issuer().to_owned(),
        valid_from: calibration.from().to_string(),
        valid_until: calibration.until().to_string(),
        capacity_mg: scale.capacity().0,
        minimum_mg: scale.minimum().0,
        resolution_mg: scale.resolution().0,
        signed: scale.signing().name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CtlError;
    use psd::UnixMillis;

    /// 2026-11-20T12:00:00Z.
    const NOON: UnixMillis = UnixMillis(1_795_176_000_000);

    fn entry(id: &str, from: &str, until: &str) -> String {
        format!(
            "[[scale]]\nid = \"{id}\"\nmaker = \"Example\"\nmodel = \"EW\"\nsite = \"Dock\"\ncertificate = \"C-1\"\n\
             issuer = \"Lab\"\nvalid_from = {from}\nvalid_until = {until}\ncapacity_mg = 60000000\nminimum_mg = 20000\n\
             resolution_mg = 1000\n"
        )
    }

    #[test]
    fn what_asks_for_something_is_shown_and_refused() {
        let current = entry("dock-1", "2026-01-01", "2027-12-31");
        let due = entry("dock-2", "2026-01-01", "2026-11-30");
        let overdue = entry("dock-3", "2026-01-01", "2026-11-18");
        let early = entry("dock-4", "2026-12-01", "2027-11-30");
        let of = |text: &str| {
            let registry = Registry::parse(text.as_bytes()).unwrap();
            let status = registry.status(NOON, 30);
            (drawn(&registry, &status, false), drawn(&registry, &status, true), verdict(&status))
        };
        let (all, asking, exit) = of(&format!("{current}{due}{overdue}{early}"));
        assert_eq!(exit, Exit::Negative);
        for scale in ["dock-1", "dock-2", "dock-3", "dock-4"] {
            assert!(all.contains(scale), "{all}");
            assert_eq!(asking.contains(scale), scale != "dock-1", "{asking}");
        }
        assert!(asking.contains("4 scales: readings of 2 do not count, 1 are due"), "{asking}");
        let (_, asking, exit) = of(&format!("{current}{due}"));
        assert!(exit == Exit::Done && asking.contains("due") && asking.contains("11 d"), "{asking}");
        assert!(of(&current).1.starts_with("1 scales: readings of 0 do not count, 0 are due\nregistry  SHA-256 "));
    }

    #[test]
    fn a_file_that_is_no_registry_is_told_with_its_name_and_wrong_usage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scales.toml");
        let failed = || read(&path).map(|_| ()).unwrap_err();
        assert!(matches!(failed(), ScaleError::File { .. }));
        std::fs::write(&path, "[[scale]]\nid = 7\n").unwrap();
        let told = failed().to_string();
        assert!(told.contains("scales.toml: line 2: scale.id: "), "{told}");
        assert!(matches!(CtlError::from(failed()), CtlError::Group { code: 2, .. }));
        std::fs::write(&path, entry("dock-1", "2026-01-01", "2026-12-31")).unwrap();
        assert_eq!(read(&path).unwrap().scales().len(), 1);
    }
}

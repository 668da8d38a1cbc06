//! `psdctl inspect scales`: the registry of scales and the rate tables as the log has them, and whether the appliance tells the same.

use super::InspectError;
use super::config::InspectorConfig;
use super::round::{First, Inspection};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{Colour, count, lit_table, print, print_json, table};
use clap::Args;
use psd::UnixMillis;
use psdd_inspector::{RatesView, Rules, ScaleView};
use psdd_wire::message::ScaleView as ToldScale;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Characters of a digest that are shown.
const SHORT: usize = 16;

/// Arguments of `psdctl inspect scales`.
#[derive(Args, Debug)]
pub struct Scales {
    /// Where the mirror of the log lies [default: `mirror` in [authority], or inspection/ beside psdctl.toml]
    #[arg(long, value_name = "DIR")]
    mirror: Option<PathBuf>,
    /// At the first use: the appliance's log key, PEM, as it was written down at the birth
    #[arg(long, value_name = "FILE")]
    log_key: Option<PathBuf>,
    /// At the first use: a development appliance that nobody countersigned will do
    #[arg(long)]
    development: bool,
    /// Tell so many days ahead that a calibration ends
    #[arg(long, value_name = "DAYS", default_value_t = Rules::default().calibration_notice_days)]
    calibration_days: u32,
}

#[derive(Serialize)]
struct Shown<'v> {
    scales: &'v [ScaleView],
    rates: &'v [RatesView],
    /// Scales of which the appliance tells otherwise than its log.
    contradicted: &'v [String],
}

pub(super) fn run(global: &Global, command: &Scales) -> Result<Exit, InspectError> {
    let config = InspectorConfig::read(global.config.as_deref())?;
    let (mirror, log_key) = (command.mirror.as_deref(), command.log_key.as_deref());
    let mut inspection = Inspection::begin(&config, &First { mirror, log_key, development: command.development })?;
    let rules = Rules { calibration_notice_days: command.calibration_days, ..Rules::default() };
    let (view, told) = inspection.certifying(&rules)?;
    let contradicted = contradicted(&view.scales, &told);
    if global.json {
        print_json(&Shown { scales: &view.scales, rates: &view.rates, contradicted: &contradicted })?;
    } else {
        print(&drawn(&view.scales, &view.rates, &contradicted))?;
    }
    let counts = |scale: &ScaleView| matches!(scale.standing.as_str(), "valid" | "due");
    let right = contradicted.is_empty() && view.scales.iter().all(counts);
    Ok(if right { Exit::Done } else { Exit::Negative })
}

/// Names of scales that the log has otherwise than the appliance tells, or the one of them alone.
fn contradicted(scales: &[ScaleView], told: &[ToldScale]) -> Vec<String> {
    let by_log: BTreeMap<&str, _> = scales.iter().map(|scale| (scale.scale.as_str(), of_log(scale))).collect();
    let by_door: BTreeMap<&str, _> = told.iter().map(|scale| (scale.scale.as_str(), of_door(scale))).collect();
    let names: std::collections::BTreeSet<&str> = by_log.keys().chain(by_door.keys()).copied().collect();
    names.into_iter().filter(|name| by_log.get(name) != by_door.get(name)).map(str::to_owned).collect()
}

/// What both say of a scale, apart from how its calibration stands at their times.
type Entry<'v> = (u64, [&'v str; 8], [u64; 3]);

fn of_log(scale: &ScaleView) -> Entry<'_> {
    let texts = [
        &scale.site,
        &scale.maker,
        &scale.model,
        &scale.issuer,
        &scale.certificate,
        &scale.valid_from,
        &scale.valid_until,
        &scale.signed,
    ];
    (scale.leaf, texts.map(String::as_str), [scale.capacity_mg, scale.minimum_mg, scale.resolution_mg])
}

fn of_door(scale: &ToldScale) -> Entry<'_> {
    let texts = [
        &scale.site,
        &scale.maker,
        &scale.model,
        &scale.issuer,
        &scale.certificate,
        &scale.valid_from,
        &scale.valid_until,
        &scale.signed,
    ];
    (scale.leaf, texts.map(String::as_str), [scale.capacity, scale.minimum, scale.resolution])
}

fn drawn(scales: &[ScaleView], rates: &[RatesView], contradicted: &[String]) -> String {
    let mut text = scale_table(scales);
    if !rates.is_empty() {
        text.push('\n');
        text.push_str(&rates_table(rates));
    }
    let many = if scales.len() == 1 { "" } else { "s" };
    text.push_str(&format!("\n{} scale{many} by the log", count(scales.len())));
    match contradicted {
        [] => text.push_str("; the appliance tells the same\n"),
        names => text.push_str(&format!("; CONTRADICTED by what the appliance tells of {}\n", names.join(", "))),
    }
    text
}

/// Scales with their calibrations and what was certified on them; nothing where there are none.
pub(super) fn scale_table(scales: &[ScaleView]) -> String {
    let row = |scale: &ScaleView| {
        let colour = match scale.standing.as_str() {
            "valid" => Colour::Green,
            "due" => Colour::Amber,
            _ => Colour::Red,
        };
        let days = scale.days.map_or_else(String::new, |days| format!(" {} d", count(days)));
        let last = scale.last_reading_ms.map_or_else(|| "none".to_owned(), |at| UnixMillis(at).to_string());
        let cells = vec![
            format!("{}{days}", scale.standing),
            scale.scale.clone(),
            scale.site.clone(),
            format!("{} ({})", scale.certificate, scale.issuer),
            scale.valid_until.clone(),
            format!("{} to {} by {}", count(scale.minimum_mg), count(scale.capacity_mg), count(scale.resolution_mg)),
            count(scale.certifications),
            count(scale.weight_mg),
            last,
            scale.leaf.to_string(),
        ];
        (colour, cells)
    };
    if scales.is_empty() {
        return String::new();
    }
    let headings = [
        "standing",
        "scale",
        "site",
        "certificate",
        "valid until",
        "range, mg",
        "certifications",
        "weight, mg",
        "last reading",
        "leaf",
    ];
    lit_table(&headings, &[6, 7, 9], scales.iter().map(row))
}

/// Rate tables with their days and the pieces certified by them; nothing where there are none.
pub(super) fn rates_table(rates: &[RatesView]) -> String {
    if rates.is_empty() {
        return String::new();
    }
    let row = |table: &RatesView| {
        vec![
            table.name.clone(),
            table.version.to_string(),
            table.digest.chars().take(SHORT).collect(),
            table.from.clone(),
            table.until.clone().unwrap_or_else(|| "a later version".to_owned()),
            table.state.clone(),
            count(table.pieces),
            table.leaf.to_string(),
        ]
    };
    let headings = ["rate table", "version", "SHA-256", "from", "until", "state", "pieces", "leaf"];
    table(&headings, &[1, 6, 7], rates.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_log(name: &str) -> ScaleView {
        serde_json::from_value(serde_json::json!({
            "scale": name, "maker": "M", "model": "m", "site": "Dock", "certificate": "C-1", "issuer": "Lab",
            "valid_from": "2026-11-01", "valid_until": "2027-10-31", "capacity_mg": 60_000, "minimum_mg": 2_000,
            "resolution_mg": 500, "signed": "never", "standing": "valid", "days": null, "leaf": 7,
            "certifications": 1_234, "weight_mg": 5_000_000, "last_reading_ms": null
        }))
        .unwrap()
    }

    fn told(name: &str) -> ToldScale {
        serde_json::from_value(serde_json::json!({
            "leaf": 7, "site": "Dock", "maker": "M", "model": "m", "scale": name, "issuer": "Lab", "signed": "never",
            "minimum": 2_000, "capacity": 60_000, "standing": "overdue", "days": 3, "resolution": 500,
            "valid_from": "2026-11-01", "certificate": "C-1", "valid_until": "2027-10-31"
        }))
        .unwrap()
    }

    #[test]
    fn what_the_appliance_tells_is_held_against_the_log() {
        let log = [by_log("a"), by_log("b")];
        assert!(contradicted(&log, &[told("a"), told("b")]).is_empty(), "how it stands depends on the time of asking");
        assert_eq!(contradicted(&log, &[told("b"), told("c")]), ["a", "c"], "one is kept back, one made up");
        let rows: [fn(&mut ToldScale); 4] = [
            |it| it.valid_until = "2028-10-31".to_owned(),
            |it| it.leaf = 8,
            |it| it.capacity = 1,
            |it| it.signed = "required".to_owned(),
        ];
        for change in rows {
            let mut other = told("b");
            change(&mut other);
            assert_eq!(contradicted(&log, &[told("a"), other]), ["b"]);
        }
    }

    #[test]
    fn scales_and_tables_are_shown_with_what_was_certified() {
        let text = drawn(&[by_log("dock-1")], &[], &[]);
        for cell in ["valid", "dock-1", "C-1 (Lab)", "2027-10-31", "2,000 to 60,000 by 500", "1,234", "5,000,000"] {
            assert!(text.contains(cell), "{cell}: {text}");
        }
        assert!(text.ends_with("1 scale by the log; the appliance tells the same\n"), "{text}");
        assert!(drawn(&[], &[], &["x".to_owned()]).contains("CONTRADICTED by what the appliance tells of x"));
    }
}

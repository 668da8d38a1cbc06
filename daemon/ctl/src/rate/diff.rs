//! `psdctl rate diff`.

use super::RateError;
use super::source::TrustFile;
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{count, print, print_json, table as drawn};
use clap::Args;
use psdd_rates::{Diff as Differences, PriceChange, plain};
use std::path::PathBuf;

/// Arguments of `psdctl rate diff`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl rate diff us-2025.toml us-2026.toml

Prices are compared by class, weight, zone and discount, before rounding. The exit code is 0 whether or not anything differs.")]
pub struct Diff {
    /// The table before: TOML, or as the authority published it
    old: PathBuf,
    /// The table after
    new: PathBuf,
    #[command(flatten)]
    trust: TrustFile,
}

pub(super) fn diff(global: &Global, command: &Diff) -> Result<Exit, RateError> {
    let (old, _) = command.trust.table(&command.old)?;
    let (new, _) = command.trust.table(&command.new)?;
    let differences = psdd_rates::diff(&old, &new);
    if global.json {
        print_json(&view(&differences))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    if !differences.rules.is_empty() {
        let dash = || "–".to_owned();
        let rows = differences.rules.iter().map(|change| {
            let side = |side: &Option<String>| side.clone().unwrap_or_else(dash);
            vec![change.what.clone(), side(&change.old), side(&change.new)]
        });
        text += &format!("{}\n", drawn(&["rule", "old", "new"], &[], rows));
    }
    if !differences.prices.is_empty() {
        let headings = ["price", "at", "old", "new", "difference", "percent"];
        text += &drawn(&headings, &[2, 3, 4, 5], differences.prices.iter().map(row));
    }
    let of =
        |wanted: fn(&PriceChange) -> bool| count(differences.prices.iter().filter(|change| wanted(change)).count());
    let changed = of(|change| change.old.is_some() && change.new.is_some());
    let (added, gone) = (of(|change| change.old.is_none()), of(|change| change.new.is_none()));
    let rules = count(differences.rules.len());
    text += &format!(
        "{} to {}: {changed} prices changed, {added} new, {gone} gone; {rules} rules changed\n",
        old.label(),
        new.label()
    );
    print(&text)?;
    Ok(Exit::Done)
}

fn row(change: &PriceChange) -> Vec<String> {
    let amount = |amount: Option<_>, absent: &str| amount.map_or_else(|| absent.to_owned(), plain);
    let signed = |text: String| if text.starts_with('-') { text } else { format!("+{text}") };
    vec![
        change.what.clone(),
        change.at.clone(),
        amount(change.old, "new"),
        amount(change.new, "gone"),
        change.difference().map(plain).map(signed).unwrap_or_default(),
        change.percent().map(|percent| signed(percent.to_string())).unwrap_or_default(),
    ]
}

fn view(differences: &Differences) -> serde_json::Value {
    let rules = differences.rules.iter();
    let rules = rules.map(|rule| serde_json::json!({ "rule": rule.what, "old": rule.old, "new": rule.new }));
    let prices = differences.prices.iter().map(|change| {
        serde_json::json!({
            "price": change.what, "at": change.at, "old": change.old.map(plain), "new": change.new.map(plain),
            "difference": change.difference().map(plain), "percent": change.percent().map(|percent| percent.to_string()),
        })
    });
    serde_json::json!({ "rules": rules.collect::<Vec<_>>(), "prices": prices.collect::<Vec<_>>() })
}

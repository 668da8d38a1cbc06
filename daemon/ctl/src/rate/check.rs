//! `psdctl rate check`.

use super::RateError;
use super::source::{Signature, TrustFile};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{count, hex, print, print_json, table as drawn};
use clap::Args;
use psdd_rates::{Class, Discount, Table};
use std::path::PathBuf;

/// Arguments of `psdctl rate check`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  psdctl rate check us-2025.toml
  psdctl rate check us-2025.cose --authority-root authority-root.pem")]
pub struct Check {
    /// The rate table: TOML, or as the authority published it
    table: PathBuf,
    #[command(flatten)]
    trust: TrustFile,
}

pub(super) fn check(global: &Global, command: &Check) -> Result<Exit, RateError> {
    let (table, signature) = command.trust.table(&command.table)?;
    if global.json {
        print_json(&view(&table, signature))?;
    } else {
        print(&told(&table, signature))?;
    }
    Ok(Exit::Done)
}

fn until(table: &Table) -> Option<String> {
    table.until().map(|until| until.to_string())
}

fn told(table: &Table, signature: Signature) -> String {
    let effective = match until(table) {
        Some(until) => format!("{} to {until}", table.from()),
        None => format!("from {} on", table.from()),
    };
    let signature = match signature {
        Signature::None => "none; `psdctl authority publish-rates` signs it",
        Signature::Unverified => "not verified: name the authority's root with --authority-root",
        Signature::Verified => "by the policy key of the authority",
    };
    let counts = [
        ("classes", table.classes().count()),
        ("discounts", table.classes().map(|(_, class)| class.discounts.len()).sum()),
        ("surcharges", table.all_surcharges().len()),
        ("zones", table.zones().len()),
    ];
    let counted: Vec<String> = counts.iter().map(|(what, number)| format!("{} {what}", count(number))).collect();
    let facts = [
        ("table", table.label()),
        ("title", table.title().to_owned()),
        ("in force", effective),
        ("currency", table.currency().to_string()),
        ("rounded", table.rounding().to_string()),
        ("holds", counted.join(", ")),
        ("digest", hex(table.digest())),
        ("signature", signature.to_owned()),
    ];
    let facts = facts.into_iter().map(|(what, fact)| vec![what.to_owned(), fact]);
    let classes = table.classes().map(|(_, class)| {
        let steps = count(class.ladder.limits().len());
        vec![
            class.name.clone(),
            class.category.to_string(),
            class.ladder.heaviest().to_string(),
            steps,
            discounts(class),
        ]
    });
    let headings = ["class", "category", "up to", "steps", "discounts: pieces in a group, in the run"];
    format!("{}\n{}the table is in order\n", drawn(&[], &[], facts), drawn(&headings, &[3], classes))
}

fn discounts(class: &Class) -> String {
    let told = class.discounts.iter().map(|Discount { name, pieces, run, .. }| format!("{name}: {pieces}, {run}"));
    told.collect::<Vec<_>>().join("; ")
}

fn view(table: &Table, signature: Signature) -> serde_json::Value {
    let classes = table.classes().map(|(_, class)| {
        let discounts = class.discounts.iter().map(|discount| {
            serde_json::json!({
                "name": discount.name, "sorting": discount.sorting.to_string(), "level": discount.level.to_string(),
                "pieces": discount.pieces, "run": discount.run,
                "category": discount.category.map(|category| category.to_string()),
            })
        });
        serde_json::json!({
            "name": class.name, "title": class.title, "category": class.category.to_string(),
            "heaviest": class.ladder.heaviest().to_string(), "steps": class.ladder.limits().len(),
            "zoned": class.ladder.zoned(), "discounts": discounts.collect::<Vec<_>>(),
        })
    });
    let surcharges: Vec<&str> = table.all_surcharges().iter().map(|surcharge| surcharge.name.as_str()).collect();
    serde_json::json!({
        "table": table.name(), "version": table.version(), "title": table.title(),
        "from": table.from().to_string(), "until": until(table), "currency": table.currency().as_str(),
        "rounding": table.rounding().to_string(), "digest": hex(table.digest()), "signature": signature.as_str(),
        "zones": table.zones(), "classes": classes.collect::<Vec<_>>(), "surcharges": surcharges,
    })
}

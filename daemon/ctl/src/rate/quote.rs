//! `psdctl rate quote`.

use super::source::TrustFile;
use super::{RateError, manifest, now};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{count, hex, priced, print, print_json, table as drawn};
use clap::Args;
use psd::{Currency, MailingDate, PostageAmount};
use psdd_rates::{
    Manifest, Piece, Qualified, Quote as Quoted, RunTotal, Size, Table, Tariff, Weight, Zip, plain, qualify,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments of `psdctl rate quote`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  psdctl rate quote us-2025.toml --class letter --weight '1 oz' --with certified
  psdctl rate quote us-2025.toml --class ground --weight '3 lb' --size '12 x 9 x 6 in' --origin 10001 --destination 90001
  psdctl rate quote us-2025.toml --class letter-metered --weight '20 g' --manifest run.csv --discount 5-digit --discount aadc

A manifest is a CSV file with the columns zip and pieces, and a last row total,PIECES. With one, --discount names what is claimed, and
what the run qualifies for is applied; without one, the discounts named are taken to hold.")]
pub struct Quote {
    /// The rate table: TOML, or as the authority published it
    table: PathBuf,
    #[command(flatten)]
    trust: TrustFile,
    /// The class; `psdctl rate check` lists them
    #[arg(long)]
    class: String,
    /// What a piece weighs, such as '20 g', '3.5 oz' or '2 lb'
    #[arg(long, allow_hyphen_values = true)]
    weight: Weight,
    /// Where it is posted, a ZIP of five digits
    #[arg(long, value_name = "ZIP")]
    origin: Option<Zip>,
    /// Where it goes, a ZIP of five digits
    #[arg(long, value_name = "ZIP")]
    destination: Option<Zip>,
    /// What it measures, such as '12 x 9 x 6 in'
    #[arg(long)]
    size: Option<Size>,
    /// A surcharge that is asked for; may be given several times
    #[arg(long = "with", value_name = "SURCHARGE")]
    surcharges: Vec<String>,
    /// A discount; may be given several times
    #[arg(long = "discount", value_name = "DISCOUNT")]
    discounts: Vec<String>,
    /// The run the piece belongs to
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The day of mailing, on which the table must be in force; today where none is named
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<MailingDate>,
}

/// What pieces of one tariff and price cost together.
struct Line {
    tariff: Tariff,
    zips: usize,
    pieces: u64,
    price: PostageAmount,
    amount: PostageAmount,
}

pub(super) fn quote(global: &Global, command: &Quote) -> Result<Exit, RateError> {
    let (table, signature) = command.trust.table(&command.table)?;
    let day = match command.date {
        Some(day) => day,
        None => MailingDate::of(now()?).ok_or(RateError::NoDay)?,
    };
    table.in_force(day)?;
    let class = table.class_named(&command.class)?;
    let names: Vec<&str> = command.surcharges.iter().map(String::as_str).collect();
    let Quote { weight, origin, destination, size, .. } = *command;
    let piece = Piece { weight, origin, destination, size, surcharges: table.surcharges(&names)? };
    let run = command.run(&table)?;
    let tariff = match (&run, destination) {
        (Some(run), Some(destination)) => Some(run.tariff(destination)?),
        (Some(_), None) => None,
        (None, _) => {
            let names: Vec<&str> = command.discounts.iter().map(String::as_str).collect();
            Some(table.tariff(class, &names)?)
        }
    };
    let quoted = tariff.map(|tariff| table.quote(&piece, &tariff)).transpose()?;
    let lines = run.as_ref().map(|run| priced_run(&table, &piece, run)).transpose()?;
    if global.json {
        print_json(&serde_json::json!({
            "table": table.name(), "version": table.version(), "digest": hex(table.digest()),
            "signature": signature.as_str(), "currency": table.currency().as_str(), "date": day.to_string(),
            "quote": quoted.as_ref().map(view), "run": lines.as_ref().map(|lines| run_view(&table, lines)),
        }))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    if let Some(quoted) = &quoted {
        text += &told(quoted, table.currency());
    }
    if let Some((lines, total)) = &lines {
        text += &told_run(&table, lines, *total);
    }
    print(&text)?;
    Ok(Exit::Done)
}

impl Quote {
    /// What the manifest qualifies for.
    fn run(&self, table: &Table) -> Result<Option<Qualified>, RateError> {
        let Some(path) = &self.manifest else { return Ok(None) };
        let (counts, total) = manifest::read(path)?;
        let manifest = Manifest { class: self.class.clone(), claims: self.discounts.clone(), counts, total };
        let qualified = qualify(table, &manifest);
        qualified.map(Some).map_err(|source| RateError::Manifest { path: path.clone(), source })
    }
}

/// The lines of a run whose pieces are all like this one but for where they go, and their sum.
fn priced_run(table: &Table, piece: &Piece, run: &Qualified) -> Result<(Vec<Line>, PostageAmount), RateError> {
    let mut total = RunTotal::of(table);
    let mut zips: BTreeMap<(Tariff, PostageAmount), usize> = BTreeMap::new();
    for (zip, tariff, pieces) in run.destinations() {
        let price = table.price(&Piece { destination: Some(zip), ..*piece }, &tariff)?;
        total.add(tariff, price, pieces)?;
        *zips.entry((tariff, price)).or_default() += 1;
    }
    let lines = total.lines().map(|line| Line {
        tariff: line.tariff,
        zips: zips.get(&(line.tariff, line.price)).copied().unwrap_or_default(),
        pieces: line.pieces,
        price: line.price,
        amount: line.amount,
    });
    Ok((lines.collect(), total.total()))
}

fn told(quoted: &Quoted, currency: Currency) -> String {
    let rows = quoted.lines.iter().map(|line| vec![line.kind.to_string(), line.name.clone(), plain(line.amount)]);
    let total = vec!["total".to_owned(), String::new(), quoted.total.to_string()];
    let zone = quoted.zone.as_ref().map(|zone| format!(", zone {zone}")).unwrap_or_default();
    let Quoted { table, tariff, total: postage, .. } = quoted;
    let lines = drawn(&["part", "what", "amount"], &[2], rows.chain([total]));
    format!("{lines}{}: {tariff}{zone}, by {table}\n", priced(*postage, currency))
}

fn told_run(table: &Table, lines: &[Line], total: PostageAmount) -> String {
    let rows = lines.iter().map(|line| {
        let (zips, pieces) = (count(line.zips), count(line.pieces));
        vec![table.tariff_name(line.tariff), zips, pieces, line.price.to_string(), line.amount.to_string()]
    });
    let pieces = count(lines.iter().map(|line| line.pieces).sum::<u64>());
    let drawn = drawn(&["tariff", "ZIPs", "pieces", "each", "together"], &[1, 2, 3, 4], rows);
    let total = priced(total, table.currency());
    format!("{drawn}the run: {pieces} pieces, {total} where all of them weigh and measure the same\n")
}

fn view(quoted: &Quoted) -> serde_json::Value {
    let lines = quoted.lines.iter().map(
        |line| serde_json::json!({ "kind": line.kind.to_string(), "name": line.name, "amount": plain(line.amount) }),
    );
    serde_json::json!({
        "tariff": quoted.tariff, "zone": quoted.zone, "lines": lines.collect::<Vec<_>>(),
        "total": quoted.total.to_string(),
    })
}

fn run_view(table: &Table, (lines, total): &(Vec<Line>, PostageAmount)) -> serde_json::Value {
    let lines = lines.iter().map(|line| {
        serde_json::json!({
            "tariff": table.tariff_name(line.tariff), "zips": line.zips, "pieces": line.pieces,
            "each": line.price.to_string(), "together": line.amount.to_string(),
        })
    });
    serde_json::json!({ "lines": lines.collect::<Vec<_>>(), "total": total.to_string() })
}

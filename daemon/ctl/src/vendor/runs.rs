//! `psdctl vendor run`: mail runs, announced, looked at, counted and closed.

use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::{CtlError, Exit};
use crate::output::{count, priced, print, print_json, table};
use crate::rate::manifest;
use clap::{Args, Subcommand};
use psd::{Currency, MailingDate, RateName, RunId, UnixMillis};
use psdd_client::{Client, RunRequest, RunView, ZipCount};
use std::borrow::Cow;
use std::path::PathBuf;

/// Commands on mail runs.
#[derive(Subcommand, Debug)]
pub enum RunCommand {
    /// Announce a run with its manifest, and show what each ZIP qualifies for; the same again shows the run that there is
    Open(Open),
    /// Count a run and close it: what its pieces paid too little by the count is debited. Exit code 1 when discounts were lost
    Close(Named),
    /// Show a run as it stands
    Show(Named),
    /// List the runs that are open
    List(OfPsd),
}

/// Arguments of `psdctl vendor run open`.
#[derive(Args, Debug)]
pub struct Open {
    /// Name of the run: it names no other run of this tenant, ever
    #[arg(value_name = "RUN")]
    run: RunId,
    /// Name of the rate table
    #[arg(long, value_name = "NAME")]
    rates: RateName,
    /// Class of mail, of all pieces
    #[arg(long, value_name = "CLASS")]
    class: RateName,
    /// Pieces for each ZIP: a CSV file with the columns zip and pieces, and a last row total,PIECES
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// A discount that is claimed; once for each
    #[arg(long = "discount", value_name = "NAME")]
    discounts: Vec<String>,
    /// Day of mailing, YYYY-MM-DD; else today by the appliance's clock (UTC)
    #[arg(long, value_name = "DATE")]
    date: Option<MailingDate>,
    /// The PSD that shall certify; else the one in psdctl.toml
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
}

/// A run of a PSD.
#[derive(Args, Debug)]
pub struct Named {
    /// Name of the run
    #[arg(value_name = "RUN")]
    run: RunId,
    /// The PSD that certifies it; else the one in psdctl.toml
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
}

/// A PSD.
#[derive(Args, Debug)]
pub struct OfPsd {
    /// The PSD; else the one in psdctl.toml
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
}

pub(super) async fn run(global: &Global, command: &RunCommand) -> Result<Exit, CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    match command {
        RunCommand::Open(open) => {
            let (counts, total) =
                manifest::read(&open.manifest).map_err(|error| CtlError::Group { code: 2, source: Box::new(error) })?;
            let psd = config.psd(open.psd.as_deref())?;
            let client = Client::connect(config.client()).await?;
            let view = client.psd(psd).await?;
            let today = view.clock.as_ref().and_then(|clock| MailingDate::of(UnixMillis(clock.time)));
            let date = open.date.or(today).ok_or(super::JournalError::NoDay)?;
            let request = RunRequest {
                run: Cow::Borrowed(open.run.as_str()),
                date: Cow::Owned(date.to_string()),
                class: Cow::Borrowed(open.class.as_str()),
                rates: Cow::Borrowed(open.rates.as_str()),
                total,
                counts: counts.iter().map(|(zip, pieces)| ZipCount { zip: zip.to_string(), pieces }).collect(),
                discounts: open.discounts.clone(),
            };
            shown(global, &client.open_run(psd, &request).await?, view.currency)
        }
        RunCommand::Close(Named { run, psd }) | RunCommand::Show(Named { run, psd }) => {
            let psd = config.psd(psd.as_deref())?;
            let client = Client::connect(config.client()).await?;
            let currency = client.psd(psd).await?.currency;
            let view = match command {
                RunCommand::Close(_) => client.close_run(psd, run).await?,
                _ => client.run(psd, run).await?,
            };
            shown(global, &view, currency)
        }
        RunCommand::List(of) => {
            let psd = config.psd(of.psd.as_deref())?;
            let client = Client::connect(config.client()).await?;
            let runs = client.runs(psd).await?;
            if global.json {
                print_json(&runs)?;
                return Ok(Exit::Done);
            }
            let rows = runs.iter().map(|run| {
                vec![run.run.clone(), run.date.clone(), run.class.clone(), run.rates.clone(), count(run.total)]
            });
            print(&table(&["run", "mailing of", "class", "rate table", "pieces announced"], &[4], rows))?;
            Ok(Exit::Done)
        }
    }
}

fn shown(global: &Global, view: &RunView, currency: Currency) -> Result<Exit, CtlError> {
    if global.json {
        print_json(view)?;
    } else {
        print(&drawn(view, currency))?;
    }
    Ok(if !view.lost.is_empty() { Exit::Negative } else { Exit::Done })
}

/// The run, what each tariff holds for, and how it was closed.
fn drawn(view: &RunView, currency: Currency) -> String {
    let mut text = format!(
        "run {}   PSD {}   mailing of {}   {} by rate table {}, version {}   {}\n",
        view.run,
        view.psd,
        view.date,
        view.class,
        view.rates,
        view.version,
        if view.closed.is_some() { "closed" } else { "open" },
    );
    text.push_str(&tariffs(view));
    let Some(closed) = &view.closed else { return text };
    let amount = |amount| priced(amount, currency);
    let rows = [
        ("pieces counted", format!("{} of {} announced", count(closed.pieces), count(view.total))),
        ("owed by the count", amount(closed.owed)),
        ("debited piece by piece", amount(closed.debited)),
        ("debited by the closing", amount(closed.settled)),
        ("overpaid, not kept and not given back", amount(closed.overpaid)),
        ("record", format!("{} of the log, proven by a receipt", count(closed.leaf))),
    ];
    text.push('\n');
    text.push_str(&table(&[], &[], rows.into_iter().map(|(name, value)| vec![name.to_owned(), value])));
    if !view.lost.is_empty() {
        let rows = view.lost.iter().map(|lost| {
            let lacking = if lost.lacking > 0 {
                format!("{} too few", pieces(lost.lacking))
            } else {
                format!("the run has {} too few", pieces(lost.run_lacking))
            };
            vec![lost.discount.clone(), lost.group.clone(), count(lost.claimed), count(lost.counted), lacking]
        });
        text.push('\n');
        text.push_str(&table(&["discount lost", "for", "announced", "counted", "because"], &[2, 3], rows));
    }
    text
}

fn pieces(number: u64) -> String {
    if number == 1 { "1 piece".to_owned() } else { format!("{} pieces", count(number)) }
}

/// How many ZIPs and pieces have which tariff, as announced and as counted.
fn tariffs(view: &RunView) -> String {
    let sum = |of: &mut dyn Iterator<Item = (u64, u8)>, tariff: usize| {
        let of_tariff = of.filter(|(pieces, of)| usize::from(*of) == tariff && *pieces > 0);
        of_tariff.fold((0u64, 0u64), |(zips, all), (pieces, _)| (zips + 1, all.saturating_add(pieces)))
    };
    let rows = view.tariffs.iter().enumerate().filter_map(|(place, name)| {
        let (zips, pieces) = sum(&mut view.destinations.iter().map(|to| (to.pieces, to.tariff)), place);
        let mut row = vec![name.clone(), count(zips), count(pieces)];
        let mut any = pieces > 0;
        if view.closed.is_some() {
            let mut counted = view.destinations.iter().filter_map(|to| to.counted.zip(to.counted_tariff));
            let (zips, pieces) = sum(&mut counted, place);
            row.extend([count(zips), count(pieces)]);
            any |= pieces > 0;
        }
        any.then_some(row)
    });
    let headings: &[&str] = match view.closed {
        Some(_) => &["tariff", "ZIPs announced", "pieces", "ZIPs counted", "pieces"],
        None => &["tariff", "ZIPs announced", "pieces"],
    };
    table(headings, &[1, 2, 3, 4], rows)
}

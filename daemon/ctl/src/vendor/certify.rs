//! `psdctl vendor certify`: corrected mail certified from a list.

use super::certify_list::CertifyRow;
use super::journal::{Journal, Made};
use super::list::List;
use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::{CtlError, Exit};
use crate::output::{count, hex, priced, print, print_json, table, write_durably};
use crate::progress::bar;
use clap::{Args, value_parser};
use psd::{Currency, MailingDate, PieceKey, PostageAmount, RateName, RunId, UnixMillis};
use psdd_client::{CertifiedPiece, CertifyTerms, Client, Outcome, ProvenBy, Signer};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments of `psdctl vendor certify`.
#[derive(Args, Debug)]
pub struct Certify {
    /// The list: class,destination,weight_mg,scale,weighed (ms since 1970) and optionally imprint, indicium (hex), size, surcharges
    /// (separated by +), reading (hex), reference
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    /// Name of the rate table
    #[arg(long, value_name = "NAME")]
    rates: RateName,
    /// The open run that the pieces are part of (`psdctl vendor run open`): they are rated by what their ZIP qualified for in it
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// The PSD that shall certify; else the one in psdctl.toml
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
    /// Day of mailing, YYYY-MM-DD; else the day of the run that is repeated, or today by the appliance's clock (UTC)
    #[arg(long, value_name = "DATE")]
    date: Option<MailingDate>,
    /// Pieces in one request
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Have them proven by receipts of the log in place of a signature on each: faster than the HSM signs
    #[arg(long)]
    receipts: bool,
    /// Results, one JSON line a piece; the keys are kept beside it in FILE.keys.jsonl
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A piece and what became of it.
#[derive(Serialize)]
struct Line<'r> {
    line: u64,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'r str>,
    #[serde(flatten)]
    result: Told,
}

#[derive(Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time")]
enum Told {
    Certified {
        due: String,
        paid: String,
        debited: String,
        overpaid: String,
        rates: String,
        version: u64,
        tariff: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<String>,
        /// To be printed on the piece.
        #[serde(skip_serializing_if = "Option::is_none")]
        printed_line: Option<String>,
        leaf: u64,
        time: String,
        certification: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        receipt: Option<String>,
    },
    Refused {
        code: String,
        detail: String,
    },
}

/// What the run comes to.
#[derive(Serialize)]
struct Summary {
    psd: String,
    rates: String,
    date: String,
    pieces: usize,
    certified: usize,
    #[serde(skip)]
    currency: Currency,
    due: PostageText,
    paid: PostageText,
    debited: PostageText,
    overpaid: PostageText,
    refused: BTreeMap<String, usize>,
}

/// An amount that JSON has as text.
#[derive(Clone, Copy, Default)]
struct PostageText(PostageAmount);

impl Serialize for PostageText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl PostageText {
    fn add(&mut self, amount: PostageAmount) {
        self.0 = self.0.checked_add(amount).unwrap_or(PostageAmount::MAX);
    }
}

pub(super) async fn run(global: &Global, command: &Certify) -> Result<Exit, CtlError> {
    let list: List<CertifyRow> = List::read(&command.csv)?;
    let config = CtlConfig::read(global.config.as_deref())?;
    let psd = config.psd(command.psd.as_deref())?;
    let client = Client::connect(config.client()).await?;
    let view = client.psd(psd).await?;
    let today = view.clock.as_ref().and_then(|clock| MailingDate::of(UnixMillis(clock.time)));
    let mut name = command.out.file_name().unwrap_or_default().to_owned();
    name.push(".keys.jsonl");
    let path = command.out.with_file_name(name);
    let proof = if command.receipts { ProvenBy::Receipt } else { ProvenBy::Signature };
    let terms = CertifyTerms { rates: &command.rates, run: command.run.as_ref(), proof };
    let journal = Journal::open(&path, &list, &Signer::Psd(psd), Made::Certified(terms), command.date, today)?;
    let rows: Vec<(&CertifyRow, PieceKey)> = list.rows.iter().zip(journal.keys.iter().copied()).collect();
    let bar = bar(rows.len(), "pieces");
    let mut outcomes = Vec::with_capacity(rows.len());
    for part in rows.chunks(usize::from(command.batch)) {
        let items: Vec<_> = part.iter().map(|(row, key)| row.item(*key, journal.date)).collect();
        outcomes.extend(client.certify(psd, terms, &items, false).await?);
        bar.set_position(u64::try_from(outcomes.len()).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    let mut summary = Summary {
        psd: psd.to_string(),
        rates: command.rates.to_string(),
        date: journal.date.to_string(),
        pieces: rows.len(),
        certified: 0,
        currency: view.currency,
        due: PostageText::default(),
        paid: PostageText::default(),
        debited: PostageText::default(),
        overpaid: PostageText::default(),
        refused: BTreeMap::new(),
    };
    let mut text = String::new();
    for ((row, key), outcome) in rows.iter().zip(&outcomes) {
        summary.take(outcome);
        let (line, reference) = (row.line, row.reference.as_deref());
        let told = Line { line, key: key.to_string(), reference, result: told(outcome) };
        text.push_str(&serde_json::to_string(&told).map_err(crate::output::OutputError::Json)?);
        text.push('\n');
    }
    write_durably(&command.out, text.as_bytes())?;
    if global.json {
        print_json(&summary)?
    } else {
        print(&summary.drawn(command))?
    }
    Ok(if summary.refused.is_empty() { Exit::Done } else { Exit::Negative })
}

fn overpaid(piece: &CertifiedPiece) -> PostageAmount {
    piece.paid.checked_sub(piece.due).unwrap_or(PostageAmount::ZERO)
}

fn told(outcome: &Outcome<CertifiedPiece>) -> Told {
    match outcome {
        Outcome::Signed(piece) => Told::Certified {
            due: piece.due.to_string(),
            paid: piece.paid.to_string(),
            debited: piece.debited.to_string(),
            overpaid: overpaid(piece).to_string(),
            rates: piece.rates.clone(),
            version: piece.version,
            tariff: piece.tariff.clone(),
            number: piece.number.clone(),
            printed_line: piece.line.clone(),
            leaf: piece.leaf,
            time: UnixMillis(piece.time).to_string(),
            certification: hex(&piece.certification),
            receipt: piece.receipt.as_deref().map(hex),
        },
        Outcome::Refused(problem) => Told::Refused { code: problem.facts.code.clone(), detail: problem.to_string() },
    }
}

impl Summary {
    fn take(&mut self, outcome: &Outcome<CertifiedPiece>) {
        match outcome {
            Outcome::Signed(piece) => {
                self.certified += 1;
                self.due.add(piece.due);
                self.paid.add(piece.paid);
                self.debited.add(piece.debited);
                self.overpaid.add(overpaid(piece));
            }
            Outcome::Refused(problem) => *self.refused.entry(problem.facts.code.clone()).or_default() += 1,
        }
    }

    fn drawn(&self, command: &Certify) -> String {
        let amount = |amount: PostageText| priced(amount.0, self.currency);
        let rows = [
            ("certified", format!("{} of {} pieces", count(many(self.certified)), count(many(self.pieces)))),
            ("due", amount(self.due)),
            ("paid before", amount(self.paid)),
            ("debited", amount(self.debited)),
            ("overpaid, not kept and not given back", amount(self.overpaid)),
        ];
        let refused = self.refused.iter().map(|(code, pieces)| vec![format!("refused: {code}"), count(many(*pieces))]);
        let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).chain(refused);
        let files = [vec!["results".to_owned(), command.out.display().to_string()]];
        let table = table(&[], &[], rows.chain(files));
        format!("PSD {}   mailing of {}, by rate table {}\n{table}", self.psd, self.date, self.rates)
    }
}

fn many(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

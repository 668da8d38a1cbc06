//! What became of a mailing: a summary, a line a piece, a page of envelopes.

use super::journal::Journal;
use super::mailing::MailingRow;
use super::sign::Order;
use crate::error::CtlError;
use crate::input::{Mark, decode};
use crate::output::{OutputError, count, hex, priced, table};
use crate::render::RenderError;
use crate::render::sheet::{self, Envelope, Sheet};
use psd::{Currency, PieceKey, PostageAmount, PsdId, UnixMillis};
use psdd_client::verify::offline::{Bundle, Verdict};
use psdd_client::{Outcome, RegisterView, Signer};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A row with what was asked and what came of it.
pub(super) struct Piece<'a, R> {
    pub(super) row: &'a R,
    pub(super) key: PieceKey,
    /// Postage, or value of a voucher.
    pub(super) value: PostageAmount,
    pub(super) outcome: Outcome,
}

impl<R> Piece<'_, R> {
    /// The PSD that signed it.
    pub(super) fn signed_by(&self) -> Option<PsdId> {
        match &self.outcome {
            Outcome::Signed(told) => Some(told.psd),
            Outcome::Refused(_) => None,
        }
    }
}

/// A line of the results file.
#[derive(Serialize)]
struct ResultLine<'a> {
    line: u64,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    postage: String,
    #[serde(flatten)]
    outcome: ResultOutcome,
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
enum ResultOutcome {
    Signed {
        psd: String,
        leaf: u64,
        time: String,
        sequence: u64,
        ascending: String,
        descending: String,
        indicium: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    Refused {
        code: String,
        detail: Option<String>,
        retry: bool,
    },
}

/// The whole mailing in numbers.
#[derive(Serialize, Clone, Debug)]
pub(super) struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    psd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    /// How many each PSD signed.
    signed_by: BTreeMap<String, usize>,
    list: &'static str,
    date: String,
    pieces: usize,
    signed: usize,
    refused: BTreeMap<String, usize>,
    value: String,
    debited_now: String,
    ascending: String,
    descending: String,
    control_total: String,
    piece_count: u64,
    verified_offline: usize,
    not_verified: BTreeMap<&'static str, usize>,
    elapsed_ms: u128,
    pieces_per_second: u128,
    repeated: bool,
    journal: String,
    specimen: bool,
    #[serde(skip)]
    shown: Shown,
}

/// The amounts again, as people read them.
#[derive(Clone, Debug)]
struct Shown {
    signer: String,
    value: String,
    debited_now: String,
    ascending: String,
    descending: String,
    control_total: String,
}

impl Summary {
    pub(super) fn of<R: Order>(
        pieces: &[Piece<'_, R>],
        bundle: &Bundle,
        (signer, currency): (&Signer, Currency),
        journal: &Journal,
        (before, after): (&RegisterView, &RegisterView),
        elapsed: Duration,
    ) -> Self {
        let money = |amount| priced(amount, currency);
        let (mut refused, mut not_verified, mut signed_by) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (mut value, mut signed, mut specimen) = (PostageAmount::ZERO, 0, false);
        for piece in pieces {
            match &piece.outcome {
                Outcome::Signed(told) => {
                    signed += 1;
                    *signed_by.entry(told.psd.to_string()).or_insert(0) += 1;
                    value = value.checked_add(piece.value).unwrap_or(PostageAmount::MAX);
                    let mark = decode(&Mark { from: String::new(), bytes: told.indicium.clone() });
                    specimen |= mark.as_ref().is_ok_and(|mark| mark.specimen);
                    let verdict = mark.map_or("unreadable", |mark| bundle.judge(&mark).code());
                    if verdict != Verdict::Valid.code() {
                        *not_verified.entry(verdict).or_insert(0) += 1;
                    }
                }
                Outcome::Refused(problem) => *refused.entry(problem.facts.code.clone()).or_insert(0) += 1,
            }
        }
        // Others may use the same PSD, so this is what all of them used during the run.
        let debited = after.ascending.checked_sub(before.ascending).unwrap_or(PostageAmount::ZERO);
        let elapsed_ms = elapsed.as_millis();
        let bad: usize = not_verified.values().sum();
        Self {
            psd: match signer {
                Signer::Psd(psd) => Some(psd.to_string()),
                Signer::Licence { .. } => None,
            },
            licence: match signer {
                Signer::Psd(_) => None,
                Signer::Licence { licence, .. } => Some(licence.to_string()),
            },
            signed_by,
            list: R::LIST,
            date: journal.date.to_string(),
            pieces: pieces.len(),
            signed,
            refused,
            value: value.to_string(),
            debited_now: debited.to_string(),
            ascending: after.ascending.to_string(),
            descending: after.descending.to_string(),
            control_total: after.control_total.to_string(),
            piece_count: after.pieces,
            verified_offline: signed - bad,
            not_verified,
            elapsed_ms,
            pieces_per_second: u128::try_from(pieces.len()).unwrap_or(0) * 1000 / elapsed_ms.max(1),
            repeated: journal.repeated,
            journal: journal.path.display().to_string(),
            specimen,
            shown: Shown {
                signer: signer.to_string(),
                value: money(value),
                debited_now: money(debited),
                ascending: money(after.ascending),
                descending: money(after.descending),
                control_total: money(after.control_total),
            },
        }
    }

    /// Whether every piece was signed and every mark verified.
    pub(super) fn is_clean(&self) -> bool {
        self.refused.is_empty() && self.not_verified.is_empty()
    }

    pub(super) fn drawn(&self, out: Option<&Path>, html: Option<&Path>) -> String {
        let by_code = |codes: &BTreeMap<String, usize>| {
            let parts: Vec<_> = codes.iter().map(|(code, number)| format!("{} {code}", count(number))).collect();
            if parts.is_empty() { "0".to_owned() } else { parts.join(", ") }
        };
        let specimen = if self.specimen { "   specimens, worth nothing" } else { "" };
        let not_verified = self.not_verified.iter().map(|(code, number)| (code.to_string(), *number)).collect();
        let verified = match self.not_verified.is_empty() {
            true => format!("{} of {}", count(self.verified_offline), count(self.signed)),
            false => format!("{} of {}; {}", count(self.verified_offline), count(self.signed), by_code(&not_verified)),
        };
        let elapsed = format!("{}.{:03} s", self.elapsed_ms / 1000, self.elapsed_ms % 1000);
        let mut rows = vec![
            ("pieces signed", format!("{} of {}", count(self.signed), count(self.pieces))),
            ("value of the list", self.shown.value.clone()),
            ("debited in this run", self.shown.debited_now.clone()),
            ("refused", by_code(&self.refused)),
            ("verified offline", verified),
            ("ascending register", self.shown.ascending.clone()),
            ("descending register", self.shown.descending.clone()),
            ("control total", self.shown.control_total.clone()),
            ("piece count", count(self.piece_count)),
            ("time", elapsed),
            ("throughput", format!("{} pieces/s", count(self.pieces_per_second))),
        ];
        if self.licence.is_some() {
            rows.insert(1, ("signed by", format!("{} PSDs", count(self.signed_by.len()))));
        }
        let files = [("results", out), ("sheet", html)];
        rows.extend(files.into_iter().filter_map(|(name, path)| Some((name, path?.display().to_string()))));
        rows.push(("keys", self.journal.clone()));
        let table = table(&[], &[], rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]));
        let repeated =
            if self.repeated { "\nrepeats an earlier run with the same keys; nothing is debited twice" } else { "" };
        format!("{}   {} of {}{specimen}{repeated}\n{table}", self.shown.signer, self.list, self.date)
    }
}

/// The results file.
pub(super) fn lines<R: Order>(pieces: &[Piece<'_, R>]) -> Result<String, OutputError> {
    let mut text = String::new();
    for piece in pieces {
        let outcome = match &piece.outcome {
            Outcome::Signed(told) => ResultOutcome::Signed {
                psd: told.psd.to_string(),
                leaf: told.leaf,
                time: UnixMillis(told.time).to_string(),
                sequence: told.sequence,
                ascending: told.registers.ascending.to_string(),
                descending: told.registers.descending.to_string(),
                indicium: hex(&told.indicium),
                token: told.token.clone(),
            },
            Outcome::Refused(problem) => ResultOutcome::Refused {
                code: problem.facts.code.clone(),
                detail: problem.detail.clone(),
                retry: problem.facts.retry,
            },
        };
        let reference = piece.row.reference();
        let (line, key, postage) = (piece.row.line(), piece.key.to_string(), piece.value.to_string());
        let line = ResultLine { line, key, reference, postage, outcome };
        text.push_str(&serde_json::to_string(&line).map_err(OutputError::Json)?);
        text.push('\n');
    }
    Ok(text)
}

/// The page of envelopes.
pub(super) fn page(
    title: &str,
    sender: &str,
    summary: &Summary,
    pieces: &[Piece<'_, MailingRow>],
    most: usize,
) -> Result<String, CtlError> {
    let mut envelopes = Vec::new();
    for piece in pieces {
        let Outcome::Signed(told) = &piece.outcome else { continue };
        if envelopes.len() == most {
            break;
        }
        let mark = decode(&Mark { from: format!("line {}", piece.row.line), bytes: told.indicium.clone() })?;
        envelopes.push(Envelope {
            address: piece.row.address_lines(),
            bytes: told.indicium.clone(),
            mark,
            reference: piece.row.reference.clone().unwrap_or_else(|| format!("line {}", piece.row.line)),
            weight_g: piece.row.weight_g,
            sequence: told.sequence,
        });
    }
    let facts = [
        ("Pieces signed", count(summary.signed)),
        ("Postage", summary.shown.value.clone()),
        ("Verified offline", count(summary.verified_offline)),
        ("Throughput", format!("{} /s", count(summary.pieces_per_second))),
        ("Ascending register", summary.shown.ascending.clone()),
        ("Descending register", summary.shown.descending.clone()),
        ("Control total", summary.shown.control_total.clone()),
        ("Piece count", count(summary.piece_count)),
    ];
    let page = Sheet {
        title: capitalised(title),
        subtitle: format!("{}, mailing of {}", summary.shown.signer, summary.date),
        facts: facts.into_iter().map(|(label, value)| (label.to_owned(), value)).collect(),
        sender: sender.split(", ").filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        envelopes,
        pieces: summary.signed,
    };
    sheet::page(&page).map_err(|error: RenderError| error.into())
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

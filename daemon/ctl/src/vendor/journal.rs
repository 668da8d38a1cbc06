//! Which idempotency key belongs to which row, on stable storage before anything is sent.
//!
//! A run that crashed is repeated with the same keys and the same day of mailing, so the appliance gives back what it signed and
//! debits nothing twice. The journal belongs to one mailing list, one PSD or licence, one rate table where it certifies, and one day; for another it is refused, never
//! replaced. How a PSD of the licence is chosen may differ from run to run.

use super::list::{List, Row};
use crate::output::{OutputError, hex, write_durably};
use psd::{MailingDate, PieceKey};
use psdd_client::{CertifyTerms, ProvenBy, Signer, new_key};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Version of the file.
const VERSION: u32 = 1;

/// First line of the file: what the keys are for.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct JournalHead {
    journal: u32,
    mailing_sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    psd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rates: Option<String>,
    /// The run that certified pieces are part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// What proves certifications, where it is not a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<ProvenBy>,
    /// Whether pieces are to have digital tokens, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<bool>,
    date: String,
    pieces: usize,
}

/// What is made of the rows.
#[derive(Clone, Copy, Debug)]
pub enum Made<'a> {
    /// Indicia or vouchers, with digital tokens or without.
    Signed {
        /// Whether with.
        tokens: bool,
    },
    /// Certifications, under these terms.
    Certified(CertifyTerms<'a>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    line: u64,
    key: Uuid,
}

/// The keys of a mailing.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Where it lies.
    pub path: PathBuf,
    /// Day of mailing; of vouchers, the first day of the earliest.
    pub date: MailingDate,
    /// One key a row, in the order of the rows.
    pub keys: Vec<PieceKey>,
    /// Whether it was there before: this run repeats an earlier one.
    pub repeated: bool,
}

/// The journal cannot be used. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// No day of mailing is known.
    #[error("the appliance has no trusted time now, so name the day of mailing: --date YYYY-MM-DD")]
    NoDay,
    /// It cannot be read.
    #[error("cannot read the journal of keys {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be written, so nothing is sent.
    #[error("the keys must be on disk before anything is sent")]
    Unwritable(#[from] OutputError),
    /// A line is not one.
    #[error("{}:{line}: not a journal of keys; restore the file, or move it away if the mailing was never sent", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        line: usize,
    },
    /// It is of another mailing.
    #[error(
        "{} is the journal of another mailing: {field} is {found} there and {wanted} here; \
         use another --out for this mailing, or move the journal away if you mean to sign all of it anew",
        .path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs.
        field: &'static str,
        /// In the journal.
        found: String,
        /// In this run.
        wanted: String,
    },
}

impl JournalError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            JournalError::Unwritable(_) => 3,
            JournalError::NoDay
            | JournalError::Unreadable { .. }
            | JournalError::Malformed { .. }
            | JournalError::Other { .. } => 2,
        }
    }
}

impl Journal {
    /// The journal at this path, or a new one that is on stable storage when this returns.
    ///
    /// `date` is the day named by the person, `today` what counts if neither they nor an earlier run named one.
    pub fn open<R: Row>(
        path: &Path,
        mailing: &List<R>,
        signer: &Signer,
        made: Made<'_>,
        date: Option<MailingDate>,
        today: Option<MailingDate>,
    ) -> Result<Self, JournalError> {
        let (psd, licence) = match signer {
            Signer::Psd(psd) => (Some(psd.to_string()), None),
            Signer::Licence { licence, .. } => (None, Some(licence.to_string())),
        };
        let (terms, tokens) = match made {
            Made::Signed { tokens } => (None, tokens.then_some(true)),
            Made::Certified(terms) => (Some(terms), None),
        };
        let head = |date: MailingDate| JournalHead {
            journal: VERSION,
            mailing_sha256: hex(&mailing.sha256),
            psd: psd.clone(),
            licence: licence.clone(),
            rates: terms.map(|terms| terms.rates.to_string()),
            run: terms.and_then(|terms| terms.run).map(ToString::to_string),
            proof: terms.map(|terms| terms.proof).filter(|proof| *proof == ProvenBy::Receipt),
            tokens,
            date: date.to_string(),
            pieces: mailing.rows.len(),
        };
        match std::fs::read_to_string(path) {
            Ok(text) => resume(path, &text, mailing, |found| head(date.unwrap_or(found))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let date = date.or(today).ok_or(JournalError::NoDay)?;
                create(path, mailing, date, &head(date))
            }
            Err(source) => Err(JournalError::Unreadable { path: path.to_owned(), source }),
        }
    }
}

fn create<R: Row>(
    path: &Path,
    mailing: &List<R>,
    date: MailingDate,
    head: &JournalHead,
) -> Result<Journal, JournalError> {
    let keys: Vec<PieceKey> = mailing.rows.iter().map(|_| new_key()).collect();
    let mut text = json(head)?;
    for (row, key) in mailing.rows.iter().zip(&keys) {
        text.push_str(&json(&Line { line: row.line(), key: Uuid::from_bytes(*key.as_bytes()) })?);
    }
    write_durably(path, text.as_bytes())?;
    Ok(Journal { path: path.to_owned(), date, keys, repeated: false })
}

fn resume<R: Row>(
    path: &Path,
    text: &str,
    mailing: &List<R>,
    wanted: impl FnOnce(MailingDate) -> JournalHead,
) -> Result<Journal, JournalError> {
    let malformed = |line| JournalError::Malformed { path: path.to_owned(), line };
    let mut lines = text.lines();
    let found: Option<JournalHead> = lines.next().and_then(|line| serde_json::from_str(line).ok());
    let found = found.filter(|head| head.journal == VERSION).ok_or_else(|| malformed(1))?;
    let date: MailingDate = found.date.parse().ok().ok_or_else(|| malformed(1))?;
    let wanted = wanted(date);
    let or_none = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
    let pairs = [
        ("the mailing list (SHA-256)", found.mailing_sha256, wanted.mailing_sha256),
        ("the PSD", or_none(&found.psd), or_none(&wanted.psd)),
        ("the licence", or_none(&found.licence), or_none(&wanted.licence)),
        ("the rate table", or_none(&found.rates), or_none(&wanted.rates)),
        ("the run", or_none(&found.run), or_none(&wanted.run)),
        ("the proof", proof(found.proof), proof(wanted.proof)),
        ("whether there are digital tokens", tokens(found.tokens), tokens(wanted.tokens)),
        ("the day of mailing", found.date, wanted.date),
    ];
    if let Some((field, found, wanted)) = pairs.into_iter().find(|(_, found, wanted)| found != wanted) {
        let path = path.to_owned();
        return Err(JournalError::Other { path, field, found, wanted });
    }
    let mut keys = Vec::with_capacity(mailing.rows.len());
    for (index, row) in mailing.rows.iter().enumerate() {
        let line: Option<Line> = lines.next().and_then(|line| serde_json::from_str(line).ok());
        let key =
            line.filter(|line| line.line == row.line()).and_then(|line| PieceKey::from_bytes(*line.key.as_bytes()));
        keys.push(key.ok_or_else(|| malformed(index + 2))?);
    }
    if lines.next().is_some() {
        return Err(malformed(mailing.rows.len() + 2));
    }
    Ok(Journal { path: path.to_owned(), date, keys, repeated: true })
}

fn proof(of: Option<ProvenBy>) -> String {
    let word = if of == Some(ProvenBy::Receipt) { "a receipt" } else { "a signature" };
    word.to_owned()
}

fn tokens(asked: Option<bool>) -> String {
    let word = if asked == Some(true) { "yes" } else { "no" };
    word.to_owned()
}

fn json<T: Serialize>(value: &T) -> Result<String, OutputError> {
    serde_json::to_string(value).map(|text| text + "\n").map_err(OutputError::Json)
}

#[cfg(test)]
mod tests {
    use super::super::mailing::MailingRow;
    use super::*;

    const SIGNED: Made<'_> = Made::Signed { tokens: false };
    use psdd_client::Select;

    fn signer(psd: &str) -> Signer {
        Signer::Psd(psd.parse().unwrap())
    }

    fn mailing(postage: &str) -> (tempfile::TempDir, List<MailingRow>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.csv");
        let rows = format!("address,zip4,weight_g,class,postage\na,20500,20,FCL,{postage}\nb,20500,20,FCL,0.73\n");
        std::fs::write(&path, &rows).unwrap();
        let mailing = List::of(&path, rows.as_bytes()).unwrap();
        (dir, mailing)
    }

    #[test]
    fn a_second_run_has_the_same_keys_and_day() {
        let (dir, mailing) = mailing("0.73");
        let path = dir.path().join("results.jsonl.keys.jsonl");
        let psd = &signer("PS010000001");
        let [first_day, next_day] = ["2026-11-20", "2026-11-21"].map(|day| day.parse::<MailingDate>().unwrap());
        assert!(matches!(Journal::open(&path, &mailing, psd, SIGNED, None, None), Err(JournalError::NoDay)));
        let first = Journal::open(&path, &mailing, psd, SIGNED, None, Some(first_day)).unwrap();
        let again = Journal::open(&path, &mailing, psd, SIGNED, None, Some(next_day)).unwrap();
        assert_eq!((first.keys, first.date, first.repeated), (again.keys, again.date, false));
        assert!(again.repeated);

        let refused = |error| match error {
            Err(JournalError::Other { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            refused(Journal::open(&path, &mailing, psd, SIGNED, Some(next_day), Some(next_day))),
            "the day of mailing"
        );
        let licence = |select| Signer::Licence { licence: "L-1".parse().unwrap(), select };
        let by_licence = dir.path().join("by-licence.keys.jsonl");
        let first = Journal::open(&by_licence, &mailing, &licence(Select::Zip), SIGNED, None, Some(first_day)).unwrap();
        let again =
            Journal::open(&by_licence, &mailing, &licence(Select::MostFunds), SIGNED, None, Some(next_day)).unwrap();
        assert_eq!((first.keys, again.repeated), (again.keys, true), "another selection is the same mailing");
        assert_eq!(refused(Journal::open(&by_licence, &mailing, psd, SIGNED, None, Some(next_day))), "the PSD");
        let other = &signer("PS010000002");
        assert_eq!(refused(Journal::open(&path, &mailing, other, SIGNED, None, Some(next_day))), "the PSD");
        let (_other_dir, changed) = self::mailing("0.74");
        let rates = "postland".parse().unwrap();
        let with_tokens = Journal::open(&path, &mailing, psd, Made::Signed { tokens: true }, None, Some(next_day));
        assert_eq!(refused(with_tokens), "whether there are digital tokens");
        let certified = |terms| Journal::open(&path, &mailing, psd, Made::Certified(terms), None, Some(next_day));
        let terms = |proof| CertifyTerms::of(&rates, proof);
        assert_eq!(refused(certified(terms(ProvenBy::Signature))), "the rate table");
        let path = dir.path().join("certified.keys.jsonl");
        let certified = |terms| Journal::open(&path, &mailing, psd, Made::Certified(terms), None, Some(next_day));
        let receipts = terms(ProvenBy::Receipt);
        assert!(!certified(receipts).unwrap().repeated && certified(receipts).unwrap().repeated);
        assert_eq!(refused(certified(terms(ProvenBy::Signature))), "the proof");
        let run = "autumn-7".parse().unwrap();
        assert_eq!(refused(certified(CertifyTerms { run: Some(&run), ..receipts })), "the run");
        let path = dir.path().join("results.jsonl.keys.jsonl");
        assert_eq!(
            refused(Journal::open(&path, &changed, psd, SIGNED, None, Some(next_day))),
            "the mailing list (SHA-256)"
        );
    }

    #[test]
    fn a_damaged_journal_is_never_replaced() {
        let (dir, mailing) = mailing("0.73");
        let path = dir.path().join("j");
        let psd = &signer("PS010000001");
        let day = Some("2026-11-20".parse().unwrap());
        Journal::open(&path, &mailing, psd, SIGNED, None, day).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let damages =
            [(String::new(), 1), (lines[0].to_owned(), 2), (lines[..2].join("\n"), 3), (format!("{whole}x"), 4)];
        for (text, expected) in damages {
            std::fs::write(&path, &text).unwrap();
            let error = Journal::open(&path, &mailing, psd, SIGNED, None, day).unwrap_err();
            assert!(matches!(error, JournalError::Malformed { line, .. } if line == expected), "{error:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}

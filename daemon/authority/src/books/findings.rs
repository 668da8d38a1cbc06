//! Findings: statements that a PSD signed and that contradict the books. The authority looks into each and settles it.

use super::fault::Fault;
use super::rows::{column, unsigned};
use super::{Books, Entry};
use crate::decide::Refusal;
use crate::statement::Statement;
use psd::{PsdId, UnixMillis};

/// A finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Its number.
    pub id: u64,
    /// When it was found.
    pub time: UnixMillis,
    /// The PSD.
    pub psd: String,
    /// The download that the statement names.
    pub number: u64,
    /// Code of the refusal.
    pub code: String,
    /// What contradicts what.
    pub detail: String,
    /// The statement, COSE_Sign1: evidence that only the PSD's device key can have made.
    pub message: Vec<u8>,
    /// When it was settled, and how.
    pub settled: Option<(UnixMillis, String)>,
}

impl Entry<'_> {
    /// Records a refusal that contradicts the books; the same statement is recorded once.
    pub(crate) fn note_finding(&self, refusal: &Refusal, statement: &Statement, now: UnixMillis) -> Result<(), Fault> {
        if !refusal.is_finding() {
            return Ok(());
        }
        let claims = statement.claims();
        // A number beyond the columns is told in the detail.
        let number = i64::try_from(claims.sequence).unwrap_or(i64::MAX);
        let row = (
            column(now.0)?,
            claims.psd.to_string(),
            number,
            refusal.code(),
            refusal.to_string(),
            statement.digest(),
            statement.bytes(),
        );
        self.change(
            "INSERT INTO finding (time, psd, number, code, detail, digest, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (psd, code, digest) DO NOTHING",
            row,
        )
        .map(|_| ())
    }

    /// A gap is no contradiction any more once the numbers before it are known.
    pub(crate) fn settle_gaps(&self, psd: PsdId, known: u64, now: UnixMillis) -> Result<(), Fault> {
        let sql = "UPDATE finding SET settled = ?3, note = 'the numbers before it became known'
                   WHERE psd = ?1 AND code = 'download-gap' AND number <= ?2 + 1 AND settled IS NULL";
        self.change(sql, (psd.to_string(), column(known)?, column(now.0)?)).map(|_| ())
    }

    pub(super) fn findings(&self) -> Result<Vec<Finding>, Fault> {
        let sql = "SELECT id, time, psd, number, code, detail, message, settled, note FROM finding ORDER BY id";
        let rows = self.all(sql, [], |row| {
            let finding = Finding {
                id: 0,
                time: UnixMillis(0),
                psd: row.get(2)?,
                number: 0,
                code: row.get(4)?,
                detail: row.get(5)?,
                message: row.get(6)?,
                settled: None,
            };
            let numbers: (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(3)?);
            Ok((finding, numbers, row.get::<_, Option<i64>>(7)?, row.get::<_, Option<String>>(8)?))
        })?;
        let finding = |(finding, (id, time, number), settled, note): (Finding, _, Option<i64>, Option<String>)| {
            let settled = settled.map(unsigned).transpose()?.map(UnixMillis).zip(note);
            let (id, number) = (unsigned(id)?, unsigned(number)?);
            Ok(Finding { id, time: UnixMillis(unsigned(time)?), number, settled, ..finding })
        };
        rows.into_iter().map(finding).collect()
    }
}

impl Books {
    /// Settles a finding, with a word on how. Gives whether there is an open one of that number.
    pub fn settle(&mut self, id: u64, note: &str, now: UnixMillis) -> Result<bool, Fault> {
        self.enter(|entry| {
            let Ok(id) = i64::try_from(id) else { return Ok(false) };
            let sql = "UPDATE finding SET settled = ?2, note = ?3 WHERE id = ?1 AND settled IS NULL";
            Ok(entry.change(sql, (id, column(now.0)?, note))? == 1)
        })
    }
}

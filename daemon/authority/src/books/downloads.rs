//! Downloads: what was asked, authorised, applied, given up.

use super::Entry;
use super::account::{Account, What};
use super::fault::Fault;
use super::rows::{amount, column, digest, mills, parsed, unsigned};
use crate::decide::{Download, DownloadKind, DownloadState, EarlierRefund, PsdBook, Standing};
use crate::statement::Statement;
use psd::{ApplianceId, LicenceNumber, PostageAmount, PsdId, UnixMillis};
use psdd_wire::message::{RefundClaims, ValueRequestClaims};
use rusqlite::Row;

/// A download that is authorised for the first time.
pub struct NewDownload<'a> {
    /// What is asked for.
    pub kind: DownloadKind,
    /// The request.
    pub statement: &'a Statement,
    /// After the download.
    pub control_total: PostageAmount,
    /// When the authorisation ends.
    pub expires: UnixMillis,
    /// The authorisation.
    pub bytes: &'a [u8],
}

type DownloadRow = (i64, String, String, i64, Option<Vec<u8>>, i64);

const DOWNLOAD: &str = "SELECT number, kind, state, amount, request_digest, expires FROM download";

impl Entry<'_> {
    /// The books of a registered PSD for a statement about this download.
    pub(crate) fn psd_book(
        &self,
        psd: PsdId,
        number: u64,
        (appliance, licence): (ApplianceId, &LicenceNumber),
    ) -> Result<PsdBook, Fault> {
        let id = psd.to_string();
        let standing = standing(&self.value::<String>("SELECT standing FROM psd WHERE id = ?1", [&id])?)?;
        let locked = "SELECT lock IS NOT NULL FROM licence WHERE number = ?1";
        let last = self.one(&format!("{DOWNLOAD} WHERE psd = ?1 ORDER BY number DESC LIMIT 1"), [&id], read)?;
        // A number beyond the columns is beyond every number that is known.
        let named = match i64::try_from(number) {
            Ok(number) => self.one(&format!("{DOWNLOAD} WHERE psd = ?1 AND number = ?2"), (&id, number), read)?,
            Err(_beyond) => None,
        };
        Ok(PsdBook {
            appliance,
            booked: self.balance(&Account::Psd(psd))?,
            standing,
            licence_locked: self.value(locked, [licence.as_str()])?,
            balance: self.balance(&Account::Licence(licence.clone()))?,
            last: last.map(download).transpose()?,
            named: named.map(download).transpose()?,
        })
    }

    /// Notes what a statement says of the registers, if it is the newest so far.
    pub(crate) fn heard(&self, claims: &ValueRequestClaims) -> Result<(), Fault> {
        // A time or a count beyond the columns is not worth a broken book.
        let (Ok(time), Ok(pieces)) = (i64::try_from(claims.time), i64::try_from(claims.registers.pieces)) else {
            return Ok(());
        };
        let registers = &claims.registers;
        let row = (claims.psd.to_string(), time, mills(registers.ascending)?, mills(registers.control_total)?, pieces);
        let sql = "UPDATE psd SET said_time = ?2, said_ascending = ?3, said_control_total = ?4, said_pieces = ?5
                   WHERE id = ?1 AND coalesce(said_time, 0) <= ?2";
        self.change(sql, row).map(|_| ())
    }

    /// The PSD's registers have shown that a download was applied.
    pub(crate) fn set_applied(&self, psd: PsdId, number: u64) -> Result<(), Fault> {
        let sql = "UPDATE download SET state = 'applied' WHERE psd = ?1 AND number = ?2 AND state <> 'void'";
        self.write(sql, (psd.to_string(), column(number)?))
    }

    /// Books a download with its authorisation and moves its value.
    pub(crate) fn authorise(
        &self,
        new: &NewDownload<'_>,
        licence: &LicenceNumber,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let claims = new.statement.claims();
        let (psd, licence) = (Account::Psd(claims.psd), Account::Licence(licence.clone()));
        let (what, from, to, kind) = match new.kind {
            DownloadKind::Value => (What::Authorisation, licence, psd, "value"),
            DownloadKind::Refund => (What::Authorisation, Account::Refunds, psd, "refund"),
            DownloadKind::Withdrawal => (What::Withdrawal, psd, licence, "withdrawal"),
            DownloadKind::Unseen => return Err(Fault::broken("what was never asked for is not authorised")),
        };
        let row = (
            claims.psd.to_string(),
            column(claims.sequence)?,
            kind,
            mills(claims.amount)?,
            mills(new.control_total)?,
            column(new.expires.0)?,
            new.statement.digest(),
            new.statement.bytes(),
            column(now.0)?,
        );
        self.write(
            "INSERT INTO download (psd, number, kind, state, amount, control_total, expires, request_digest, request, time)
             VALUES (?1, ?2, ?3, 'authorised', ?4, ?5, ?6, ?7, ?8, ?9)",
            row,
        )?;
        if let Some(refund) = &claims.refund {
            self.note_refund(claims, refund)?;
        }
        self.post(what, &reference(claims.psd, claims.sequence), (&from, &to), claims.amount, now)?;
        if new.kind == DownloadKind::Withdrawal {
            self.set_standing(claims.psd, Standing::Withdrawing)?;
        }
        self.note_authorisation(claims.psd, claims.sequence, new.bytes, now)
    }

    /// Notes a new authorisation of a download that has one.
    pub(crate) fn renew(
        &self,
        (psd, number): (PsdId, u64),
        expires: UnixMillis,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let sql = "UPDATE download SET expires = ?3 WHERE psd = ?1 AND number = ?2 AND state = 'authorised'";
        self.write(sql, (psd.to_string(), column(number)?, column(expires.0)?))?;
        self.note_authorisation(psd, number, bytes, now)
    }

    fn note_authorisation(&self, psd: PsdId, number: u64, bytes: &[u8], now: UnixMillis) -> Result<(), Fault> {
        let row = (psd.to_string(), column(number)?, column(now.0)?, bytes);
        self.write("INSERT INTO authorisation (psd, number, time, bytes) VALUES (?1, ?2, ?3, ?4)", row)
    }

    /// The newest authorisation of a download, and the control total it leads to.
    pub(crate) fn authorisation(&self, psd: PsdId, number: u64) -> Result<(Vec<u8>, PostageAmount), Fault> {
        let key = (psd.to_string(), column(number)?);
        let sql = "SELECT bytes FROM authorisation WHERE psd = ?1 AND number = ?2 ORDER BY id DESC LIMIT 1";
        let bytes = self.value(sql, key.clone())?;
        let sql = "SELECT control_total FROM download WHERE psd = ?1 AND number = ?2";
        Ok((bytes, amount(self.value(sql, key)?)?))
    }

    /// Ends a download as void and gives its value back to where it came from.
    pub(crate) fn void(
        &self,
        known: &Download,
        statement: &Statement,
        licence: &LicenceNumber,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let psd = statement.claims().psd;
        let sql = "UPDATE download SET state = 'void', statement = ?3 WHERE psd = ?1 AND number = ?2 AND state = 'authorised'";
        self.write(sql, (psd.to_string(), column(known.number)?, statement.bytes()))?;
        let to = match known.kind {
            DownloadKind::Value => Account::Licence(licence.clone()),
            DownloadKind::Refund => Account::Refunds,
            DownloadKind::Withdrawal | DownloadKind::Unseen => {
                return Err(Fault::broken("only value and refunds come back by a void statement"));
            }
        };
        self.post(What::Void, &reference(psd, known.number), (&Account::Psd(psd), &to), known.amount, now)
    }

    /// Books a number that was given up before its request was seen, so that the request comes too late.
    pub(crate) fn void_unseen(&self, statement: &Statement, now: UnixMillis) -> Result<(), Fault> {
        let claims = statement.claims();
        let booked = self.balance(&Account::Psd(claims.psd))?;
        let time = column(now.0)?;
        let row = (claims.psd.to_string(), column(claims.sequence)?, mills(booked)?, statement.bytes(), time);
        self.write(
            "INSERT INTO download (psd, number, kind, state, amount, control_total, expires, statement, time)
             VALUES (?1, ?2, 'unseen', 'void', 0, ?3, 0, ?4, ?5)",
            row,
        )
    }

    /// Closes a PSD that reported that it holds nothing.
    pub(crate) fn close(&self, statement: &Statement) -> Result<(), Fault> {
        let claims = statement.claims();
        let sql = "UPDATE download SET statement = coalesce(statement, ?3) WHERE psd = ?1 AND number = ?2";
        self.write(sql, (claims.psd.to_string(), column(claims.sequence)?, statement.bytes()))?;
        self.set_standing(claims.psd, Standing::Closed)
    }

    fn set_standing(&self, psd: PsdId, standing: Standing) -> Result<(), Fault> {
        let text = match standing {
            Standing::Open => "open",
            Standing::Withdrawing => "withdrawing",
            Standing::Closed => "closed",
        };
        self.write("UPDATE psd SET standing = ?2 WHERE id = ?1", (psd.to_string(), text))
    }

    fn note_refund(&self, claims: &ValueRequestClaims, refund: &RefundClaims) -> Result<(), Fault> {
        let mark = crate::decide::read_mark(&refund.indicium);
        let mark = mark.map_err(|error| Fault::broken(format!("a refund of no mark was granted: {error}")))?;
        let row = (
            claims.psd.to_string(),
            column(claims.sequence)?,
            &claims.appliance,
            column(refund.leaf)?,
            crate::decide::mark_digest(&mark),
        );
        self.write("INSERT INTO refund (psd, number, appliance, leaf, mark) VALUES (?1, ?2, ?3, ?4, ?5)", row)
    }

    /// A refund of the same leaf of the appliance, or of the same mark, that did not end void.
    pub(crate) fn earlier_refund(
        &self,
        appliance: &str,
        leaf: u64,
        mark: Option<[u8; 32]>,
    ) -> Result<Option<EarlierRefund>, Fault> {
        let sql = "SELECT refund.psd, refund.number FROM refund JOIN download USING (psd, number)
                   WHERE state <> 'void' AND (refund.appliance = ?1 AND leaf = ?2 OR mark = ?3) LIMIT 1";
        let row = self.one(sql, (appliance, column(leaf)?, mark.as_ref()), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        row.map(|(psd, number)| Ok(EarlierRefund { psd: parsed(&psd)?, number: unsigned(number)? })).transpose()
    }
}

/// How postings name a download.
fn reference(psd: PsdId, number: u64) -> String {
    format!("{psd}/{number}")
}

fn read(row: &Row<'_>) -> rusqlite::Result<DownloadRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn download((number, kind, state, authorised, request, expires): DownloadRow) -> Result<Download, Fault> {
    Ok(Download {
        number: unsigned(number)?,
        kind: match kind.as_str() {
            "value" => DownloadKind::Value,
            "refund" => DownloadKind::Refund,
            "withdrawal" => DownloadKind::Withdrawal,
            "unseen" => DownloadKind::Unseen,
            other => return Err(Fault::broken(format!("a download of kind {other:?}"))),
        },
        state: match state.as_str() {
            "authorised" => DownloadState::Authorised,
            "applied" => DownloadState::Applied,
            "void" => DownloadState::Void,
            other => return Err(Fault::broken(format!("a download in state {other:?}"))),
        },
        amount: amount(authorised)?,
        request: request.as_deref().map(digest).transpose()?,
        expires: UnixMillis(unsigned(expires)?),
    })
}

fn standing(text: &str) -> Result<Standing, Fault> {
    match text {
        "open" => Ok(Standing::Open),
        "withdrawing" => Ok(Standing::Withdrawing),
        "closed" => Ok(Standing::Closed),
        other => Err(Fault::broken(format!("a PSD that stands {other:?}"))),
    }
}

//! Reconciliation: what was authorised, what PSDs say, and that no value came from nowhere.

use super::account::Account;
use super::fault::Fault;
use super::findings::Finding;
use super::rows::{amount, parsed, unsigned};
use super::{Books, Entry};
use psd::{PostageAmount, PsdId, UnixMillis};

/// One PSD by the books and by its own word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PsdLine {
    /// The PSD.
    pub psd: PsdId,
    /// Its appliance.
    pub appliance: String,
    /// Its licence.
    pub licence: String,
    /// `open`, `withdrawing` or `closed`.
    pub standing: String,
    /// Ever authorised from the licence's account, void downloads included.
    pub authorised: PostageAmount,
    /// Of what was authorised and refunded, that which is known to be applied.
    pub applied: PostageAmount,
    /// Of what was authorised and refunded, that which ended void.
    pub void: PostageAmount,
    /// Postage of spoiled marks authorised, void downloads included.
    pub refunds: PostageAmount,
    /// Given back at withdrawal.
    pub withdrawn: PostageAmount,
    /// Authorised, and neither known to be applied nor void.
    pub open: PostageAmount,
    /// The control total by the books, with what is open.
    pub booked: PostageAmount,
    /// What the downloads sum up to; the same as `booked` in sound books.
    pub by_downloads: Option<PostageAmount>,
    /// The control total that the PSD said last, and when.
    pub said: Option<(PostageAmount, UnixMillis)>,
    /// Findings that are not settled.
    pub findings: u64,
}

/// Everything together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Ever paid in.
    pub deposited: PostageAmount,
    /// Refunds paid and not void.
    pub refunded: PostageAmount,
    /// On the accounts of licences.
    pub balances: PostageAmount,
    /// In PSDs, used or not, and known to be.
    pub in_psds: PostageAmount,
    /// Authorised, and neither known to be applied nor void.
    pub open: PostageAmount,
    /// Accounts whose balance is not the sum of their postings.
    pub wrong_accounts: Vec<String>,
}

/// The reconciliation of all books at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// One line for each PSD.
    pub psds: Vec<PsdLine>,
    /// Everything together.
    pub totals: Totals,
    /// All findings, settled ones included.
    pub findings: Vec<Finding>,
}

impl PsdLine {
    /// Whether this control total is one that the books allow: with what is open, or without it; at a withdrawal, also as before it.
    pub fn allows(&self, control_total: PostageAmount) -> bool {
        control_total == self.booked
            || control_total.checked_add(self.open) == Some(self.booked)
            || (self.standing == "withdrawing" && Some(control_total) == self.booked.checked_add(self.withdrawn))
    }

    /// Whether the PSD's last word, its downloads and its account agree, and nothing was found.
    pub fn reconciles(&self) -> bool {
        let said = self.said.is_none_or(|(said, _)| self.allows(said));
        self.findings == 0 && self.by_downloads == Some(self.booked) && said
    }
}

impl Totals {
    /// Whether all value that came in is accounted for.
    pub fn conserved(&self) -> bool {
        let came_in = self.deposited.checked_add(self.refunded);
        let is_here = self.balances.checked_add(self.in_psds).and_then(|sum| sum.checked_add(self.open));
        self.wrong_accounts.is_empty() && came_in.is_some() && came_in == is_here
    }
}

impl Report {
    /// Whether everything agrees with everything.
    pub fn reconciles(&self) -> bool {
        self.totals.conserved() && self.psds.iter().all(PsdLine::reconciles)
    }
}

impl Books {
    /// Reconciles everything, at one moment.
    pub fn report(&mut self) -> Result<Report, Fault> {
        self.enter(|entry| {
            let ids: Vec<String> = entry.all("SELECT id FROM psd ORDER BY id", [], |row| row.get(0))?;
            let psds = ids.iter().map(|id| entry.psd_line(parsed(id)?)).collect::<Result<Vec<_>, Fault>>()?;
            let totals = entry.totals(&psds)?;
            Ok(Report { psds, totals, findings: entry.findings()? })
        })
    }
}

impl Entry<'_> {
    fn psd_line(&self, psd: PsdId) -> Result<PsdLine, Fault> {
        let id = psd.to_string();
        let sum = |condition: &str| {
            let sql = format!("SELECT coalesce(sum(amount), 0) FROM download WHERE psd = ?1 AND {condition}");
            amount(self.value(&sql, [&id])?)
        };
        let [authorised, refunds, withdrawn, applied, void, open] = [
            "kind = 'value'",
            "kind = 'refund'",
            "kind = 'withdrawal'",
            "kind IN ('value', 'refund') AND state = 'applied'",
            "kind IN ('value', 'refund') AND state = 'void'",
            "kind IN ('value', 'refund') AND state = 'authorised'",
        ]
        .map(sum);
        let (authorised, refunds, withdrawn) = (authorised?, refunds?, withdrawn?);
        let (applied, void, open) = (applied?, void?, open?);
        let sql = "SELECT appliance, licence, standing, said_control_total, said_time,
                   (SELECT count(*) FROM finding WHERE finding.psd = psd.id AND settled IS NULL) FROM psd WHERE id = ?1";
        let row = self.one(sql, [&id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<i64>>(3)?, row.get(4)?, row.get(5)?))
        })?;
        let (appliance, licence, standing, said, time, findings): (_, _, _, _, Option<i64>, i64) =
            row.ok_or_else(|| Fault::broken(format!("{id} is gone")))?;
        let said = match (said, time) {
            (Some(said), Some(time)) => Some((amount(said)?, UnixMillis(unsigned(time)?))),
            (None, _) | (_, None) => None,
        };
        let in_and_out = applied.checked_add(open).and_then(|sum| sum.checked_sub(withdrawn));
        Ok(PsdLine {
            psd,
            appliance,
            licence,
            standing,
            authorised,
            applied,
            void,
            refunds,
            withdrawn,
            open,
            booked: self.balance(&Account::Psd(psd))?,
            by_downloads: in_and_out,
            said,
            findings: unsigned(findings)?,
        })
    }

    fn totals(&self, psds: &[PsdLine]) -> Result<Totals, Fault> {
        let sum = |sql: &str| amount(self.value(sql, [])?);
        let in_all = sum("SELECT coalesce(sum(balance), 0) FROM account WHERE name GLOB 'psd:*'")?;
        let open = psds.iter().try_fold(PostageAmount::ZERO, |sum, line| sum.checked_add(line.open));
        let open = open.ok_or_else(|| Fault::broken("open downloads sum up to more than there is"))?;
        let wrong = "SELECT name FROM account WHERE balance <>
            (SELECT coalesce(sum(amount), 0) FROM posting WHERE credit = name)
            - (SELECT coalesce(sum(amount), 0) FROM posting WHERE debit = name)";
        Ok(Totals {
            deposited: self.paid_from(&Account::Cash)?,
            refunded: self.paid_from(&Account::Refunds)?,
            balances: sum("SELECT coalesce(sum(balance), 0) FROM account WHERE name GLOB 'licence:*'")?,
            in_psds: in_all.checked_sub(open).ok_or_else(|| Fault::broken("more is open than PSDs were given"))?,
            open,
            wrong_accounts: self.all(wrong, [], |row| row.get(0))?,
        })
    }
}

//! Accounts and the journal: every movement of value is one posting from one account to another, so the sum of all is always zero.

use super::Entry;
use super::fault::Fault;
use super::rows::{amount, column, mills};
use psd::{LicenceNumber, PostageAmount, PsdId, UnixMillis};
use std::fmt;

/// An account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Account {
    /// Where deposits come from: minus all that was ever paid in.
    Cash,
    /// What refunds are paid from: minus all that was ever refunded.
    Refunds,
    /// Prepaid by a licensee.
    Licence(LicenceNumber),
    /// In a PSD, or authorised to it.
    Psd(PsdId),
}

/// What a posting is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Deposit,
    Authorisation,
    Void,
    Withdrawal,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Cash => f.write_str("cash"),
            Account::Refunds => f.write_str("refunds"),
            Account::Licence(number) => write!(f, "licence:{number}"),
            Account::Psd(psd) => write!(f, "psd:{psd}"),
        }
    }
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
            What::Deposit => "deposit",
            What::Authorisation => "authorisation",
            What::Void => "void",
            What::Withdrawal => "withdrawal",
        }
    }
}

impl Entry<'_> {
    pub(super) fn open_account(&self, account: &Account) -> Result<(), Fault> {
        self.write("INSERT INTO account (name, balance) VALUES (?1, 0)", [account.to_string()])
    }

    /// The balance of a licence's or a PSD's account.
    pub(super) fn balance(&self, account: &Account) -> Result<PostageAmount, Fault> {
        amount(self.value("SELECT balance FROM account WHERE name = ?1", [account.to_string()])?)
    }

    /// What left an account that stands below zero.
    pub(super) fn paid_from(&self, account: &Account) -> Result<PostageAmount, Fault> {
        amount(self.value("SELECT -balance FROM account WHERE name = ?1", [account.to_string()])?)
    }

    /// Moves value. Nothing is moved by a posting over zero, so none is made.
    pub(super) fn post(
        &self,
        what: What,
        reference: &str,
        (debit, credit): (&Account, &Account),
        moved: PostageAmount,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        if moved == PostageAmount::ZERO {
            return Ok(());
        }
        let (moved, debit, credit) = (mills(moved)?, debit.to_string(), credit.to_string());
        let row = (column(now.0)?, what.as_str(), reference, &debit, &credit, moved);
        self.write(
            "INSERT INTO posting (time, what, reference, debit, credit, amount) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            row,
        )?;
        // The table's CHECK keeps balances of licences and PSDs from falling below zero, and STRICT columns from becoming floats.
        self.write("UPDATE account SET balance = balance - ?1 WHERE name = ?2", (moved, &debit))?;
        self.write("UPDATE account SET balance = balance + ?1 WHERE name = ?2", (moved, &credit))
    }
}

//! Licences, their prepaid accounts, deposits.

use super::account::{Account, What};
use super::fault::Fault;
use super::rows::{amount, column, mills, parsed, unsigned};
use super::{Books, Entry};
use psd::{LicenceNumber, PostageAmount, UnixMillis};

/// A licence as people see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LicenceView {
    /// Its number.
    pub number: LicenceNumber,
    /// Who holds it.
    pub holder: String,
    /// Why its account is locked.
    pub lock: Option<String>,
    /// Prepaid and not authorised.
    pub balance: PostageAmount,
    /// PSDs under it.
    pub psds: u64,
}

/// An account over all its life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountView {
    /// The licence.
    pub licence: LicenceView,
    /// Ever paid in.
    pub deposited: PostageAmount,
    /// Ever authorised to its PSDs, refunds included, less what came back from void downloads and withdrawals.
    pub authorised: PostageAmount,
}

/// A deposit that is in the books.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deposited {
    /// Of the account, afterwards.
    pub balance: PostageAmount,
    /// Whether it was there before.
    pub repeated: bool,
}

/// Why nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LicenceError {
    /// No such licence.
    #[error("there is no licence {0}; `psdctl authority licence list` shows all, `licence add` makes one")]
    Unknown(LicenceNumber),
    /// The number is taken by another holder.
    #[error("licence {number} exists and is held by {holder:?}")]
    Exists {
        /// Its number.
        number: LicenceNumber,
        /// Its holder.
        holder: String,
    },
    /// The reference stands for another payment.
    #[error(
        "reference {reference:?} is taken by a deposit of {amount} for licence {licence}; a payment has one reference"
    )]
    ReferenceTaken {
        /// The reference.
        reference: String,
        /// The licence it was paid in for.
        licence: String,
        /// How much.
        amount: PostageAmount,
    },
    /// Nothing is paid in.
    #[error("a deposit needs an amount above zero")]
    NoAmount,
    /// More than an account or all accounts together hold.
    #[error("the accounts cannot hold that much")]
    Overflow,
}

impl Books {
    /// Adds a licence with an empty account. The same licence with the same holder again changes nothing.
    pub fn add_licence(
        &mut self,
        number: &LicenceNumber,
        holder: &str,
        now: UnixMillis,
    ) -> Result<Result<(), LicenceError>, Fault> {
        self.enter(|entry| {
            let sql = "SELECT holder FROM licence WHERE number = ?1";
            match entry.one(sql, [number.as_str()], |row| row.get::<_, String>(0))? {
                Some(found) if found == holder => return Ok(Ok(())),
                Some(holder) => return Ok(Err(LicenceError::Exists { number: number.clone(), holder })),
                None => {}
            }
            entry.write(
                "INSERT INTO licence (number, holder, added) VALUES (?1, ?2, ?3)",
                (number.as_str(), holder, column(now.0)?),
            )?;
            entry.open_account(&Account::Licence(number.clone())).map(Ok)
        })
    }

    /// Locks the account of a licence, or unlocks it where no reason is given. Gives whether anything changed.
    pub fn set_lock(
        &mut self,
        number: &LicenceNumber,
        reason: Option<&str>,
    ) -> Result<Result<bool, LicenceError>, Fault> {
        self.enter(|entry| {
            let Some(licence) = entry.licence(number)? else { return Ok(Err(LicenceError::Unknown(number.clone()))) };
            entry.write("UPDATE licence SET lock = ?2 WHERE number = ?1", (number.as_str(), reason))?;
            Ok(Ok(licence.lock.as_deref() != reason))
        })
    }

    /// Books a payment. A payment is known by its reference: the same again changes nothing.
    pub fn deposit(
        &mut self,
        licence: &LicenceNumber,
        paid: PostageAmount,
        reference: &str,
        now: UnixMillis,
    ) -> Result<Result<Deposited, LicenceError>, Fault> {
        self.enter(|entry| {
            if paid == PostageAmount::ZERO {
                return Ok(Err(LicenceError::NoAmount));
            }
            let Some(view) = entry.licence(licence)? else { return Ok(Err(LicenceError::Unknown(licence.clone()))) };
            let sql = "SELECT licence, amount FROM deposit WHERE reference = ?1";
            let known = entry.one(sql, [reference], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            if let Some((of, known)) = known {
                let known = amount(known)?;
                if of == licence.as_str() && known == paid {
                    return Ok(Ok(Deposited { balance: view.balance, repeated: true }));
                }
                let reference = reference.to_owned();
                return Ok(Err(LicenceError::ReferenceTaken { reference, licence: of, amount: known }));
            }
            // All value comes from these two, so no account can overflow where their sum does not.
            let all = entry.paid_from(&Account::Cash)?.checked_add(entry.paid_from(&Account::Refunds)?);
            if all.and_then(|all| all.checked_add(paid)).is_none() {
                return Ok(Err(LicenceError::Overflow));
            }
            entry.write(
                "INSERT INTO deposit (reference, licence, amount, time) VALUES (?1, ?2, ?3, ?4)",
                (reference, licence.as_str(), mills(paid)?, column(now.0)?),
            )?;
            let account = Account::Licence(licence.clone());
            entry.post(What::Deposit, reference, (&Account::Cash, &account), paid, now)?;
            Ok(Ok(Deposited { balance: entry.balance(&account)?, repeated: false }))
        })
    }

    /// All licences.
    pub fn licences(&mut self) -> Result<Vec<LicenceView>, Fault> {
        self.enter(|entry| {
            let numbers: Vec<String> = entry.all("SELECT number FROM licence ORDER BY number", [], |row| row.get(0))?;
            let views = numbers.iter().map(|number| entry.licence(&parsed(number)?));
            Ok(views.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
    }

    /// The account of a licence.
    pub fn account(&mut self, number: &LicenceNumber) -> Result<Option<AccountView>, Fault> {
        self.enter(|entry| entry.account(number))
    }
}

impl Entry<'_> {
    pub(super) fn licence(&self, number: &LicenceNumber) -> Result<Option<LicenceView>, Fault> {
        let sql =
            "SELECT holder, lock, (SELECT count(*) FROM psd WHERE licence = number) FROM licence WHERE number = ?1";
        let row = self.one(sql, [number.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?)))?;
        let Some((holder, lock, psds)) = row else { return Ok(None) };
        let balance = self.balance(&Account::Licence(number.clone()))?;
        Ok(Some(LicenceView { number: number.clone(), holder, lock, balance, psds: unsigned(psds)? }))
    }

    pub(crate) fn account(&self, number: &LicenceNumber) -> Result<Option<AccountView>, Fault> {
        let Some(licence) = self.licence(number)? else { return Ok(None) };
        let paid = "SELECT coalesce(sum(amount), 0) FROM deposit WHERE licence = ?1";
        let deposited = amount(self.value(paid, [number.as_str()])?)?;
        let held = "SELECT coalesce(sum(balance), 0) FROM account JOIN psd ON name = 'psd:' || id WHERE licence = ?1";
        let authorised = amount(self.value(held, [number.as_str()])?)?;
        Ok(Some(AccountView { licence, deposited, authorised }))
    }

    pub(crate) fn licence_balance(&self, number: &LicenceNumber) -> Result<PostageAmount, Fault> {
        self.balance(&Account::Licence(number.clone()))
    }

    /// Whether a PSD of this appliance is under the licence.
    pub(crate) fn covers(&self, number: &LicenceNumber, appliance: &str) -> Result<bool, Fault> {
        let sql = "SELECT EXISTS (SELECT 1 FROM psd WHERE licence = ?1 AND appliance = ?2)";
        self.value(sql, (number.as_str(), appliance))
    }
}

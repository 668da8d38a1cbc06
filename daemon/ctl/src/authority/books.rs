//! `psdctl authority licence`, `deposit` and `account`.

use super::{At, AuthorityError, now};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{count, money, print, print_json, table};
use clap::{Args, Subcommand};
use psd::{LicenceNumber, PostageAmount};
use serde::Serialize;

/// Licences.
#[derive(Subcommand, Debug)]
pub enum LicenceCommand {
    /// Add a licence with an empty account
    #[command(after_help = "Example:
  psdctl authority licence add /srv/authority --licence L-1000 --holder 'Acme Postage'")]
    Add {
        #[command(flatten)]
        at: At,
        /// Its number
        #[arg(long)]
        licence: LicenceNumber,
        /// Who holds it
        #[arg(long)]
        holder: String,
    },
    /// Lock the account: nothing is authorised from it; what comes back is still credited
    Lock {
        #[command(flatten)]
        at: At,
        /// Its number
        #[arg(long)]
        licence: LicenceNumber,
        /// Why
        #[arg(long, default_value = "payment returned")]
        reason: String,
    },
    /// Unlock the account
    Unlock {
        #[command(flatten)]
        at: At,
        /// Its number
        #[arg(long)]
        licence: LicenceNumber,
    },
    /// List the licences with their balances
    List {
        #[command(flatten)]
        at: At,
    },
}

/// Arguments of `psdctl authority deposit`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority deposit /srv/authority --licence L-1000 --amount 50000.00 --reference 'wire 2026-11-20/17'

A payment is known by its reference: booking it again changes nothing.")]
pub struct Deposit {
    #[command(flatten)]
    at: At,
    /// The licence it was paid in for
    #[arg(long)]
    licence: LicenceNumber,
    /// How much, like 500.00
    #[arg(long)]
    amount: PostageAmount,
    /// The payment's own reference, which no other payment has
    #[arg(long)]
    reference: String,
}

/// Arguments of `psdctl authority account`.
#[derive(Args, Debug)]
pub struct Account {
    #[command(flatten)]
    at: At,
    /// The licence
    #[arg(long)]
    licence: LicenceNumber,
}

#[derive(Serialize)]
struct LicenceLine {
    licence: String,
    holder: String,
    lock: Option<String>,
    balance: String,
    psds: u64,
}

pub(super) fn licence(global: &Global, command: &LicenceCommand) -> Result<Exit, AuthorityError> {
    let (licence, text) = match command {
        LicenceCommand::Add { at, licence, holder } => {
            at.books()?.1.add_licence(licence, holder, now()?)??;
            (licence, format!("licence {licence} of {holder}\n"))
        }
        LicenceCommand::Lock { at, licence, reason } => {
            let changed = at.books()?.1.set_lock(licence, Some(reason))??;
            let already = if changed { "" } else { ", as before" };
            (licence, format!("licence {licence} is locked{already}: {reason}\n"))
        }
        LicenceCommand::Unlock { at, licence } => {
            let changed = at.books()?.1.set_lock(licence, None)??;
            (licence, format!("licence {licence} {}\n", if changed { "is unlocked" } else { "was not locked" }))
        }
        LicenceCommand::List { at } => return list(global, at),
    };
    if global.json {
        print_json(&serde_json::json!({ "licence": licence.as_str(), "done": text.trim() }))?;
    } else {
        print(&text)?;
    }
    Ok(Exit::Done)
}

fn list(global: &Global, at: &At) -> Result<Exit, AuthorityError> {
    let licences = at.books()?.1.licences()?;
    if global.json {
        let lines = licences.into_iter().map(|view| LicenceLine {
            licence: view.number.to_string(),
            holder: view.holder,
            lock: view.lock,
            balance: view.balance.to_string(),
            psds: view.psds,
        });
        print_json(&lines.collect::<Vec<_>>())?;
    } else {
        let rows = licences.into_iter().map(|view| {
            let lock = view.lock.unwrap_or_else(|| "no".to_owned());
            vec![view.number.to_string(), view.holder, money(view.balance), count(view.psds), lock]
        });
        print(&table(&["licence", "holder", "balance", "PSDs", "locked"], &[2, 3], rows))?;
    }
    Ok(Exit::Done)
}

pub(super) fn deposit(global: &Global, command: &Deposit) -> Result<Exit, AuthorityError> {
    let Deposit { at, licence, amount, reference } = command;
    let deposited = at.books()?.1.deposit(licence, *amount, reference, now()?)??;
    if global.json {
        print_json(&serde_json::json!({
            "licence": licence.as_str(),
            "balance": deposited.balance.to_string(),
            "repeated": deposited.repeated,
        }))?;
    } else {
        let done = if deposited.repeated { "was booked before" } else { "is booked" };
        let (amount, balance) = (money(*amount), money(deposited.balance));
        print(&format!("{amount} for licence {licence} {done}; its account holds {balance}\n"))?;
    }
    Ok(Exit::Done)
}

pub(super) fn account(global: &Global, command: &Account) -> Result<Exit, AuthorityError> {
    let view = command.at.books()?.1.account(&command.licence)?;
    let view = view.ok_or_else(|| AuthorityError::UnknownLicence(command.licence.clone()))?;
    if global.json {
        print_json(&serde_json::json!({
            "licence": view.licence.number.as_str(),
            "holder": view.licence.holder,
            "lock": view.licence.lock,
            "balance": view.licence.balance.to_string(),
            "deposited": view.deposited.to_string(),
            "authorised": view.authorised.to_string(),
            "psds": view.licence.psds,
        }))?;
    } else {
        let rows = [
            ("licence", view.licence.number.to_string()),
            ("holder", view.licence.holder),
            ("locked", view.licence.lock.unwrap_or_else(|| "no".to_owned())),
            ("balance", money(view.licence.balance)),
            ("ever paid in", money(view.deposited)),
            ("in its PSDs, used or not", money(view.authorised)),
            ("PSDs", count(view.licence.psds)),
        ];
        print(&table(&[], &[], rows.into_iter().map(|(name, value)| vec![name.to_owned(), value])))?;
    }
    Ok(Exit::Done)
}

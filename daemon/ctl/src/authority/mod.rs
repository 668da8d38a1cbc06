//! `psdctl authority`: the reference postal authority, run by its own people on its own machine.
//!
//! Owns the words and tables of the group; everything that decides is in `psdd-authority`. Every command works on the authority's
//! directory; `serve` may run beside all others.

mod books;
mod error;
mod instruct;
mod keys;
mod pki;
mod policy;
mod rates;
mod report;
mod serve;

pub use error::AuthorityError;

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use clap::{Args, Subcommand};
use psd::UnixMillis;
use psdd_authority::books::Books;
use psdd_authority::config::Config;
use psdd_authority::directory::AuthorityDir;
use std::path::PathBuf;

/// Commands of the postal authority.
#[derive(Subcommand, Debug)]
pub enum AuthorityCommand {
    /// Make an authority in a new directory: root, CA, keys, TLS, empty books
    Init(pki::Init),
    /// Certify the keys of new PSDs: PSD-ROLE[-GENERATION].csr becomes .pem
    Issue(pki::Issue),
    /// List the certified keys of PSDs with their generations and states
    Keys(keys::Keys),
    /// Revoke a certified key of a PSD, for good
    Revoke(keys::Revoke),
    /// Sign the X.509 revocation list of the CA of PSD keys, or of the root
    Crl(keys::Crl),
    /// Countersign a genesis file with the root's key
    Countersign(keys::Countersign),
    /// Certificates for the TLS clients of the funds system
    #[command(subcommand)]
    Client(pki::ClientCommand),
    /// Licences and their locks
    #[command(subcommand)]
    Licence(books::LicenceCommand),
    /// Book a payment to a licence's account
    Deposit(books::Deposit),
    /// Show the account of a licence
    Account(books::Account),
    /// Run the funds system
    Serve(serve::Serve),
    /// Sign an instruction that locks a PSD
    Lock(instruct::Lock),
    /// Sign an instruction that ends a lock of the same key
    Unlock(instruct::Lock),
    /// Sign an instruction that limits the value loaded under a licence
    Ceiling(instruct::Ceiling),
    /// Sign an instruction that says that verifiers know the certificate of a PSD's next key
    Acknowledge(instruct::Acknowledge),
    /// Sign an instruction that says how often the PSDs of a licence are inspected
    InspectionPeriods(instruct::Periods),
    /// Sign an instruction that accepts an audit report of a PSD: it is inspected
    AcceptAudit(instruct::AcceptAudit),
    /// Sign an instruction that revokes a key of a PSD: it signs nothing more
    RevokeKey(instruct::RevokeKey),
    /// Sign an instruction that has a new key of a role take over at a PSD
    ChangeKey(instruct::ChangeKey),
    /// Sign an instruction that puts the authority's own policy in force: what no permit of the vendor overrides
    Policy(policy::Policy),
    /// Sign a rate table with the policy key
    PublishRates(rates::PublishRates),
    /// Reconcile what was authorised with what PSDs say
    Report(report::ReportArgs),
    /// Settle a finding of the report, with a word on how
    Settle(report::Settle),
}

/// The authority a command works on.
#[derive(Args, Debug, Clone)]
pub struct At {
    /// Directory of the authority
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl At {
    fn authority(&self) -> AuthorityDir {
        AuthorityDir::at(&self.dir)
    }

    /// The books, if the directory holds a complete authority.
    fn books(&self) -> Result<(AuthorityDir, Books), AuthorityError> {
        let dir = self.authority();
        Config::read(&dir)?;
        let books = Books::open(&dir.books())?;
        Ok((dir, books))
    }
}

fn now() -> Result<UnixMillis, AuthorityError> {
    Ok(psdd_authority::serve::now()?)
}

/// Runs one of them.
pub fn run(global: &Global, command: AuthorityCommand) -> Result<Exit, CtlError> {
    let done = match command {
        AuthorityCommand::Init(command) => pki::init(global, &command),
        AuthorityCommand::Issue(command) => pki::issue(global, &command),
        AuthorityCommand::Keys(command) => keys::keys(global, &command),
        AuthorityCommand::Revoke(command) => keys::revoke(global, &command),
        AuthorityCommand::Crl(command) => keys::crl(global, &command),
        AuthorityCommand::Countersign(command) => keys::countersign(global, &command),
        AuthorityCommand::Client(command) => pki::client(global, &command),
        AuthorityCommand::Licence(command) => books::licence(global, &command),
        AuthorityCommand::Deposit(command) => books::deposit(global, &command),
        AuthorityCommand::Account(command) => books::account(global, &command),
        AuthorityCommand::Serve(command) => serve::serve(global, &command),
        AuthorityCommand::Lock(command) => instruct::lock(global, &command),
        AuthorityCommand::Unlock(command) => instruct::unlock(global, &command),
        AuthorityCommand::Ceiling(command) => instruct::ceiling(global, &command),
        AuthorityCommand::Acknowledge(command) => instruct::acknowledge(global, &command),
        AuthorityCommand::InspectionPeriods(command) => instruct::inspection_periods(global, &command),
        AuthorityCommand::AcceptAudit(command) => instruct::accept_audit(global, &command),
        AuthorityCommand::RevokeKey(command) => instruct::revoke_key(global, &command),
        AuthorityCommand::ChangeKey(command) => instruct::change_key(global, &command),
        AuthorityCommand::Policy(command) => policy::policy(global, &command),
        AuthorityCommand::PublishRates(command) => rates::publish_rates(global, &command),
        AuthorityCommand::Report(command) => report::report(global, &command),
        AuthorityCommand::Settle(command) => report::settle(global, &command),
    };
    done.map_err(AuthorityError::into)
}

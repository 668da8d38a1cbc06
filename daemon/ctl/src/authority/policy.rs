//! `psdctl authority policy`: the authority's own policy as a signed instruction.
//!
//! The text is checked here as the daemon checks it, by the schema of this version, so that neither a number nor a version is used up for what
//! no appliance would take.

use super::AuthorityError;
use super::instruct::{Order, instruct};
use crate::cli::Global;
use crate::error::Exit;
use clap::Args;
use psd::policy::{PolicyText, PolicyTooLong};
use psdd_authority::instructions::Act;
use psdd_policy::{Findings, InstructedPolicy};
use std::io;
use std::path::{Path, PathBuf};

/// Arguments of `psdctl authority policy`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority policy /srv/authority --appliance post-1 --file forbids.cedar --out policy.cose")]
pub struct Policy {
    #[command(flatten)]
    order: Order,
    /// Cedar policies, which may only forbid; an empty file lifts what was forbidden before
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The version in force at the appliance, where it is not the one that was signed last: an instruction that was never taken leaves none
    #[arg(long, value_name = "VERSION")]
    follows: Option<u64>,
}

/// Why a text is not to be signed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyTextError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(io::Error),
    /// It is too long.
    #[error(transparent)]
    TooLong(PolicyTooLong),
    /// It is no policy of the authority's.
    #[error("no appliance would take it:\n{0}")]
    Refused(Findings),
}

pub(super) fn policy(global: &Global, command: &Policy) -> Result<Exit, AuthorityError> {
    let (path, appliance) = (&command.file, &command.order.appliance);
    let text = read(path).map_err(|source| AuthorityError::PolicyText { path: path.clone(), source })?;
    let before = match command.follows {
        Some(version) => version,
        None => command.order.at.books()?.1.newest_policy(appliance)?,
    };
    let version =
        before.checked_add(1).ok_or_else(|| AuthorityError::PolicyVersions { appliance: appliance.clone() })?;
    instruct(global, &command.order, &Act::Policy(version, text))
}

fn read(path: &Path) -> Result<PolicyText, PolicyTextError> {
    let text = std::fs::read_to_string(path).map_err(PolicyTextError::Unreadable)?;
    let text = PolicyText::new(&text).map_err(PolicyTextError::TooLong)?;
    InstructedPolicy::read(&text).map_err(PolicyTextError::Refused)?;
    Ok(text)
}

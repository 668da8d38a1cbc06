//! `psdctl vendor top-up`, `refund`, `withdraw` and `carry`: what goes to the postal authority and comes back, in one step each.
//!
//! Each can be run again after any interruption: PSD and funds system give the same answers to the same question.

use super::value::read_cose;
use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::{CtlError, Exit};
use crate::output::{OutputError, count, money, print, print_json, table};
use clap::Args;
use psd::{PieceKey, PostageAmount, PsdId, UnixMillis};
use psdd_client::{Client, FundsSystem, InstructionResponse, RegisterView};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `psdctl vendor top-up`.
#[derive(Args, Debug)]
pub struct TopUp {
    /// The PSD to be loaded; else the one in psdctl.toml
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
    /// How much, like 500.00
    #[arg(long)]
    amount: PostageAmount,
}

/// Arguments of `psdctl vendor refund`.
#[derive(Args, Debug)]
pub struct Refund {
    /// The PSD that signed the mark; else the one in psdctl.toml
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
    /// Key of the spoiled mark, a UUID as in the results of `psdctl vendor sign`
    #[arg(long, value_name = "UUID")]
    key: uuid::Uuid,
}

/// Arguments of `psdctl vendor withdraw`.
#[derive(Args, Debug)]
pub struct Withdraw {
    /// The PSD to be withdrawn, always by name
    #[arg(long, value_name = "ID")]
    psd: String,
    /// Do it: the PSD never signs again, and there is no way back
    #[arg(long)]
    for_ever: bool,
}

/// Arguments of `psdctl vendor carry`.
#[derive(Args, Debug)]
pub struct Carry {
    /// The instruction: a file with the COSE_Sign1 as bytes, hex or base64, or - for stdin
    #[arg(value_name = "FILE")]
    instruction: PathBuf,
}

/// What cannot be done as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum FundsError {
    /// The key is no key of a piece.
    #[error("{0} is no key of a piece: those are UUIDs of version 7")]
    Key(uuid::Uuid),
    /// Withdrawal without the word for it.
    #[error("a withdrawn PSD never signs again, and there is no way back; add --for-ever if that is what you want")]
    NotForEver,
}

#[derive(Serialize)]
struct Moved {
    psd: String,
    what: &'static str,
    sequence: u64,
    amount: String,
    leaf: u64,
    time: String,
    ascending: String,
    descending: String,
    control_total: String,
    pieces: u64,
    balance: String,
}

pub(super) async fn top_up(global: &Global, command: &TopUp) -> Result<Exit, CtlError> {
    let (config, client, funds) = both(global).await?;
    let psd = config.psd(command.psd.as_deref())?;
    let asked = client.request_value(psd, command.amount).await?;
    apply(global, &client, &funds, ("loaded", psd), &asked.request).await
}

pub(super) async fn refund(global: &Global, command: &Refund) -> Result<Exit, CtlError> {
    let key = PieceKey::from_bytes(command.key.into_bytes()).ok_or(FundsError::Key(command.key))?;
    let (config, client, funds) = both(global).await?;
    let psd = config.psd(command.psd.as_deref())?;
    let asked = client.request_refund(psd, key).await?;
    apply(global, &client, &funds, ("refunded", psd), &asked.request).await
}

pub(super) async fn withdraw(global: &Global, command: &Withdraw) -> Result<Exit, CtlError> {
    if !command.for_ever {
        return Err(FundsError::NotForEver.into());
    }
    let (config, client, funds) = both(global).await?;
    let psd = config.psd(Some(&command.psd))?;
    let asked = client.request_withdrawal(psd).await?;
    let told = funds.withdraw(&asked.request).await.map_err(CtlError::FundsSystem)?;
    let done = client.acknowledge_withdrawal(psd, &told.acknowledgement).await?;
    let closed = funds.report(&done.report).await.map_err(CtlError::FundsSystem)?;
    let place = (done.sequence, done.amount, done.leaf, done.time);
    show(global, "withdrawn", psd, place, &done.registers, closed.balance)
}

pub(super) async fn carry(global: &Global, command: &Carry) -> Result<Exit, CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    let instruction = read_cose(&command.instruction)?;
    let client = Client::connect(config.client()).await?;
    taken(global, &client.carry_instruction(&instruction).await?)?;
    Ok(Exit::Done)
}

/// Tells of an instruction that was taken, at whichever door.
pub(crate) fn taken(global: &Global, told: &InstructionResponse) -> Result<(), OutputError> {
    if global.json {
        return print_json(told);
    }
    let time = UnixMillis(told.time);
    print(&format!(
        "instruction no. {} of the authority's {} key taken: leaf {}, {time}\n",
        told.sequence, told.purpose, told.leaf
    ))
}

async fn both(global: &Global) -> Result<(CtlConfig, Client, FundsSystem), CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    let funds = config.funds_client()?;
    let client = Client::connect(config.client()).await?;
    Ok((config, client, FundsSystem::start(&funds).map_err(CtlError::FundsSystem)?))
}

/// The authority's answer to a request, and its effect on the PSD.
async fn apply(
    global: &Global,
    client: &Client,
    funds: &FundsSystem,
    (what, psd): (&'static str, PsdId),
    request: &[u8],
) -> Result<Exit, CtlError> {
    let told = funds.authorise(request).await.map_err(CtlError::FundsSystem)?;
    let done = client.apply_value(psd, &told.authorisation).await?;
    show(global, what, psd, (done.sequence, done.amount, done.leaf, done.time), &done.registers, told.balance)
}

fn show(
    global: &Global,
    what: &'static str,
    psd: PsdId,
    (sequence, amount, leaf, time): (u64, PostageAmount, u64, u64),
    registers: &RegisterView,
    balance: PostageAmount,
) -> Result<Exit, CtlError> {
    let time = UnixMillis(time).to_string();
    if global.json {
        print_json(&Moved {
            psd: psd.to_string(),
            what,
            sequence,
            amount: amount.to_string(),
            leaf,
            time,
            ascending: registers.ascending.to_string(),
            descending: registers.descending.to_string(),
            control_total: registers.control_total.to_string(),
            pieces: registers.pieces,
            balance: balance.to_string(),
        })?;
        return Ok(Exit::Done);
    }
    let rows = [
        ("PSD", psd.to_string()),
        (what, format!("{}, no. {sequence}", money(amount))),
        ("ascending register", money(registers.ascending)),
        ("descending register", money(registers.descending)),
        ("control total", money(registers.control_total)),
        ("piece count", count(registers.pieces)),
        ("account of the licence", money(balance)),
        ("in the log", format!("leaf {leaf}, {time}")),
    ];
    print(&table(&[], &[], rows.into_iter().map(|(name, value)| vec![name.to_owned(), value])))?;
    Ok(Exit::Done)
}

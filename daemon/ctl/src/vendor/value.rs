//! `psdctl vendor value-request`, `value-apply` and `value-void`: a value download and its two ends.

use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::{CtlError, Exit};
use crate::input::from_text;
use crate::output::{count, hex, money, print, print_json, table, write_durably};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use psd::{PostageAmount, UnixMillis};
use psdd_client::Client;
use serde::Serialize;
use std::io::{self, Read};
use std::path::PathBuf;

/// First byte of CBOR tag 18, COSE_Sign1.
const COSE_SIGN1: u8 = 0xd2;
/// No authorisation is longer, bytes.
const LONGEST: u64 = 1 << 20;

/// Arguments of `psdctl vendor value-request`.
#[derive(Args, Debug)]
pub struct ValueRequest {
    /// The PSD to be loaded; else the one in psdctl.toml
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
    /// How much, like 500.00
    #[arg(long)]
    amount: PostageAmount,
    /// Write the request (COSE_Sign1, bytes) to a file instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to print the request
    #[arg(long, value_enum, default_value_t = Encoding::Base64)]
    encoding: Encoding,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Encoding {
    Base64,
    Hex,
}

/// Arguments of `psdctl vendor value-apply`.
#[derive(Args, Debug)]
pub struct ValueApply {
    /// The PSD to be loaded; else the one in psdctl.toml
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
    /// The authorisation: a file with the COSE_Sign1 as bytes, hex or base64, or - for stdin
    #[arg(long, value_name = "FILE")]
    authorisation: PathBuf,
}

/// Arguments of `psdctl vendor value-void`.
#[derive(Args, Debug)]
pub struct ValueVoid {
    /// The PSD; else the one in psdctl.toml
    #[arg(long, value_name = "ID")]
    psd: Option<String>,
    /// Number of the download under way, as `psdctl vendor psds` shows it
    #[arg(long, value_name = "N")]
    sequence: u64,
    /// Write the statement (COSE_Sign1, bytes) to a file instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to print the statement
    #[arg(long, value_enum, default_value_t = Encoding::Base64)]
    encoding: Encoding,
}

/// A file that is nothing the authority signed.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a COSE_Sign1 in any encoding taken.
    #[error("{} holds no COSE_Sign1, neither as bytes nor as hex or base64; nothing was sent", .path.display())]
    NotCose {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Serialize)]
struct Requested<'a> {
    psd: String,
    sequence: u64,
    amount: String,
    request: &'a str,
}

#[derive(Serialize)]
struct Voided<'a> {
    psd: String,
    sequence: u64,
    amount: String,
    leaf: u64,
    time: String,
    statement: &'a str,
}

#[derive(Serialize)]
struct Applied {
    psd: String,
    sequence: u64,
    amount: String,
    leaf: u64,
    time: String,
    ascending: String,
    descending: String,
    control_total: String,
    pieces: u64,
}

impl Encoding {
    fn text(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Base64 => STANDARD.encode(bytes),
            Encoding::Hex => hex(bytes),
        }
    }
}

pub(super) async fn request(global: &Global, command: &ValueRequest) -> Result<Exit, CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    let psd = config.psd(command.psd.as_deref())?;
    let client = Client::connect(config.client()).await?;
    let told = client.request_value(psd, command.amount).await?;
    let text = command.encoding.text(&told.request);
    if let Some(path) = &command.out {
        write_durably(path, &told.request)?;
    }
    if global.json {
        let (psd, amount) = (told.psd.to_string(), told.amount.to_string());
        print_json(&Requested { psd, sequence: told.sequence, amount, request: &text })?;
    } else if let Some(path) = &command.out {
        let (amount, path) = (money(told.amount), path.display());
        print(&format!("value request no. {} of {amount} for {} in {path}\n", told.sequence, told.psd))?;
    } else {
        print(&format!("{text}\n"))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn apply(global: &Global, command: &ValueApply) -> Result<Exit, CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    let psd = config.psd(command.psd.as_deref())?;
    let authorisation = read_cose(&command.authorisation)?;
    let client = Client::connect(config.client()).await?;
    let told = client.apply_value(psd, &authorisation).await?;
    let registers = &told.registers;
    if global.json {
        print_json(&Applied {
            psd: told.psd.to_string(),
            sequence: told.sequence,
            amount: told.amount.to_string(),
            leaf: told.leaf,
            time: UnixMillis(told.time).to_string(),
            ascending: registers.ascending.to_string(),
            descending: registers.descending.to_string(),
            control_total: registers.control_total.to_string(),
            pieces: registers.pieces,
        })?;
    } else {
        let rows = [
            ("PSD", told.psd.to_string()),
            ("value download", format!("no. {}", told.sequence)),
            ("loaded", money(told.amount)),
            ("ascending register", money(registers.ascending)),
            ("descending register", money(registers.descending)),
            ("control total", money(registers.control_total)),
            ("piece count", count(registers.pieces)),
            ("in the log", format!("leaf {}, {}", told.leaf, UnixMillis(told.time))),
        ];
        print(&table(&[], &[], rows.into_iter().map(|(name, value)| vec![name.to_owned(), value])))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn void(global: &Global, command: &ValueVoid) -> Result<Exit, CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    let psd = config.psd(command.psd.as_deref())?;
    let client = Client::connect(config.client()).await?;
    let told = client.void_value(psd, command.sequence).await?;
    let text = command.encoding.text(&told.statement);
    if let Some(path) = &command.out {
        write_durably(path, &told.statement)?;
    }
    if global.json {
        print_json(&Voided {
            psd: told.psd.to_string(),
            sequence: told.sequence,
            amount: told.amount.to_string(),
            leaf: told.leaf,
            time: UnixMillis(told.time).to_string(),
            statement: &text,
        })?;
    } else if let Some(path) = &command.out {
        let (amount, path) = (money(told.amount), path.display());
        print(&format!(
            "value download no. {} of {amount} for {} is void; statement in {path}\n",
            told.sequence, told.psd
        ))?;
    } else {
        print(&format!("{text}\n"))?;
    }
    Ok(Exit::Done)
}

/// The COSE_Sign1 in a file, as bytes, hex or base64, or on stdin.
pub(crate) fn read_cose(path: &PathBuf) -> Result<Vec<u8>, ValueError> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(LONGEST).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
    };
    read.map_err(|source| ValueError::Unreadable { path: path.clone(), source })?;
    if bytes.first() == Some(&COSE_SIGN1) {
        return Ok(bytes);
    }
    let decoded = std::str::from_utf8(&bytes).ok().and_then(from_text);
    decoded.filter(|bytes| bytes.first() == Some(&COSE_SIGN1)).ok_or_else(|| ValueError::NotCose { path: path.clone() })
}

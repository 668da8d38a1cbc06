//! `psdctl inspect receipt` and `verify-receipt`: a record and the proof that it is in the log, to be kept and shown.

use super::InspectError;
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{hex, print, print_json, write_durably};
use clap::Args;
use psdd_client::AuthorityClient;
use psdd_wire::receipt::{Receipt, ReceiptError};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

/// Arguments of `psdctl inspect receipt`.
#[derive(Args, Debug)]
pub struct Fetched {
    /// The leaf
    #[arg(long)]
    leaf: u64,
    /// Where the receipt goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the record goes
    #[arg(long, value_name = "FILE")]
    record: PathBuf,
}

/// Arguments of `psdctl inspect verify-receipt`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The receipt
    receipt: PathBuf,
    /// The record
    #[arg(long, value_name = "FILE")]
    record: PathBuf,
    /// Log key of the appliance, PEM (PUBLIC KEY), from its leaf 0
    #[arg(long, value_name = "FILE")]
    log_key: PathBuf,
}

pub(super) async fn fetch(global: &Global, door: &AuthorityClient, command: &Fetched) -> Result<Exit, InspectError> {
    let told = door.receipt(command.leaf).await?;
    write_durably(&command.record, &told.record)?;
    write_durably(&command.out, &told.receipt)?;
    let text = format!(
        "leaf {}: record in {}, receipt in {}; `psdctl inspect verify-receipt` judges them with the log key of leaf 0\n",
        told.leaf,
        command.record.display(),
        command.out.display()
    );
    if global.json {
        print_json(&serde_json::json!({ "leaf": told.leaf }))?
    } else {
        print(&text)?
    }
    Ok(Exit::Done)
}

pub(super) fn verify(global: &Global, command: &Verify) -> Result<Exit, InspectError> {
    let spki = SubjectPublicKeyInfoDer::from_pem_file(&command.log_key);
    let spki = spki.map_err(|source| InspectError::Key { path: command.log_key.clone(), source })?;
    let (bytes, record) = (read(&command.receipt)?, read(&command.record)?);
    let wrong = |source: ReceiptError| InspectError::Receipt { path: command.receipt.clone(), source };
    let receipt = Receipt::parse(&bytes).map_err(wrong)?;
    let root = receipt.verify(&record, &spki).map_err(wrong)?;
    let (leaf, size) = (receipt.proof.leaf, receipt.proof.size);
    if global.json {
        print_json(&serde_json::json!({ "leaf": leaf, "size": size, "root": hex(&root) }))?;
    } else {
        print(&format!("the record is leaf {leaf} of the log of {size} records with the root {}\n", hex(&root)))?;
    }
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Vec<u8>, InspectError> {
    std::fs::read(path).map_err(|source| InspectError::File { path: path.to_owned(), source })
}

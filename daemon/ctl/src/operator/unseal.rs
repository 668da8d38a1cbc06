//! `psdctl operator unseal`: a holder's share, sealed to the keeper of a host and brought to it.

use super::OperatorError;
use super::door::{OperatorConfig, within};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{print, print_json};
use clap::Args;
use psdd_seal::{Answer, HostPublicKey, RecipientKey, ShareFile, seal_share};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Arguments of `psdctl operator unseal`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl operator unseal --share main.share-1-of-3.anna.pem --holder-key anna.key.pem --host-key host.pem
The share is sealed to this start of this host's keeper before it leaves; psdd carries it and cannot read it.")]
pub struct Unseal {
    /// The file of the share
    #[arg(long, value_name = "FILE")]
    share: PathBuf,
    /// The holder's private key, PKCS#8 PEM, where the share is encrypted to it
    #[arg(long, value_name = "FILE")]
    holder_key: Option<PathBuf>,
    /// The host identity key that genesis pins, PEM
    #[arg(long, value_name = "FILE")]
    host_key: PathBuf,
}

fn secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, OperatorError> {
    let read = std::fs::read(path).map_err(|source| OperatorError::File { path: path.to_owned(), source })?;
    Ok(Zeroizing::new(read))
}

pub(super) fn run(global: &Global, command: &Unseal) -> Result<Exit, OperatorError> {
    let share_error = |problem: String| OperatorError::Share { path: command.share.clone(), problem };
    let host = HostPublicKey::from_pem(&secret(&command.host_key)?);
    let host = host.map_err(|error| share_error(format!("{}: {error}", command.host_key.display())))?;
    let share = match ShareFile::read(&secret(&command.share)?).map_err(|error| share_error(error.to_string()))? {
        ShareFile::Clear(share) => share,
        ShareFile::Encrypted(share) => {
            let missing = || share_error(format!("it is encrypted to {}: --holder-key FILE is needed", share.holder()));
            let path = command.holder_key.as_ref().ok_or_else(missing)?;
            let key = RecipientKey::from_pem(&secret(path)?).map_err(|error| share_error(error.to_string()))?;
            share.open(&key).map_err(|error| share_error(error.to_string()))?
        }
    };
    let config = OperatorConfig::read(global.config.as_deref())?;
    let answer = within(async {
        let client = config.client()?;
        let offer = client.unseal_status().await?;
        let sealed = seal_share(&offer, &host, &share).map_err(|error| share_error(error.to_string()))?;
        Ok(client.unseal(&sealed).await?)
    })?;
    let answer = Answer::decode(&answer).map_err(|error| share_error(error.to_string()))?;
    let (words, exit) = match &answer {
        Answer::Taken { token, index, held, threshold } => {
            (format!("token {token}: share {index} taken, {held} of {threshold}"), Exit::Done)
        }
        Answer::Unsealed { token } => (format!("token {token}: unsealed"), Exit::Done),
        Answer::Refused { refusal, text } => (format!("share refused ({refusal:?}): {text}"), Exit::Negative),
    };
    if global.json {
        print_json(&serde_json::json!({ "answer": words, "taken": matches!(exit, Exit::Done) }))?;
    } else {
        print(&format!("{words}\n"))?;
    }
    Ok(exit)
}

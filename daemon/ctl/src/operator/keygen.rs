//! `psdctl operator keygen` and `public-key`.

use super::key_place::{ask_pin, token_uri};
use super::{KeyFile, KeyPlace, OperatorError};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{hex, print, print_json, write_durably};
use clap::Args;
use psdd_operator_token::TokenKey;
use psdd_wire::ceremony::{OperatorKey, P256PublicKey};
use std::path::{Path, PathBuf};

/// Arguments of `psdctl operator keygen`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  psdctl operator keygen --out ada.key
writes the private key to ada.key (mode 0600; keep it on a medium of your own) and the public key, which goes into the
genesis file or the list of operators, to ada.key.pub.
  psdctl operator keygen --token 'pkcs11:token=ada;object=operator?module-path=/usr/lib/softhsm/libsofthsm2.so' --out ada
makes the private key in a PKCS#11 token, which it never leaves, asks for the PIN, and writes the public key to ada.pub.")]
pub struct Keygen {
    /// Where the private key goes; the public key goes beside it, with .pub at the end
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Make the private key in this token instead, with the URI's object as its label (RFC 7512)
    #[arg(long, value_name = "URI")]
    token: Option<KeyPlace>,
}

/// Arguments of `psdctl operator public-key`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl operator public-key --key 'pkcs11:token=ada;object=operator?module-path=/usr/lib/softhsm/libsofthsm2.so'")]
pub struct PublicKey {
    /// The operator's private key: a file (PKCS#8 PEM), or a PKCS#11 URI
    #[arg(long, value_name = "FILE|URI")]
    key: KeyPlace,
    /// Where the public key goes; else stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(global: &Global, command: &Keygen) -> Result<Exit, OperatorError> {
    let mut name = command.out.clone().into_os_string();
    name.push(".pub");
    let public = PathBuf::from(name);
    match &command.token {
        None => {
            let key = KeyFile::create(&command.out)?;
            told(global, &command.out.display().to_string(), key.public_key(), &public)
        }
        Some(KeyPlace::File(path)) => Err(OperatorError::NoToken(path.clone())),
        Some(KeyPlace::Token(uri)) => {
            // Looked for before the key is made, which cannot be made twice.
            if public.exists() {
                return Err(OperatorError::Exists(public));
            }
            let key = TokenKey::make(&token_uri(uri)?, &ask_pin)?;
            told(global, "the token", key.public_key(), &public)
        }
    }
}

fn told(global: &Global, private: &str, key: &P256PublicKey, public: &Path) -> Result<Exit, OperatorError> {
    write_durably(public, key.to_pem().as_bytes())?;
    if global.json {
        print_json(&serde_json::json!({
            "private_key": private,
            "public_key": public.display().to_string(),
            "spki_sha256": hex(&key.digest()),
        }))?;
    } else {
        print(&format!(
            "private key in {private}, for nobody but you\npublic key in {}\nits SHA-256, to be read to the others:\n  {}\n",
            public.display(),
            key.fingerprint()
        ))?;
    }
    Ok(Exit::Done)
}

pub(super) fn public_key(global: &Global, command: &PublicKey) -> Result<Exit, OperatorError> {
    let key = command.key.open()?;
    let key = key.public_key();
    match &command.out {
        Some(path) => write_durably(path, key.to_pem().as_bytes())?,
        None if global.json => print_json(&serde_json::json!({
            "public_key": key.to_pem(),
            "spki_sha256": hex(&key.digest()),
        }))?,
        None => print(&key.to_pem())?,
    }
    Ok(Exit::Done)
}

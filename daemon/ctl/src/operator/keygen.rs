//! `psdctl operator keygen`.

use super::{KeyFile, OperatorError};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{hex, print, print_json, write_durably};
use clap::Args;
use psdd_wire::ceremony::OperatorKey;
use std::path::PathBuf;

/// Arguments of `psdctl operator keygen`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl operator keygen --out ada.key.pem
writes the private key to ada.key.pem (mode 0600; keep it on a medium of your own) and the public key, which goes into the
genesis file or the list of operators, to ada.key.pem.pub.")]
pub struct Keygen {
    /// Where the private key goes; the public key goes beside it, with .pub at the end
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(global: &Global, command: &Keygen) -> Result<Exit, OperatorError> {
    let key = KeyFile::create(&command.out)?;
    let mut name = command.out.clone().into_os_string();
    name.push(".pub");
    let public = PathBuf::from(name);
    write_durably(&public, key.public_key().to_pem().as_bytes())?;
    if global.json {
        print_json(&serde_json::json!({
            "private_key": command.out.display().to_string(),
            "public_key": public.display().to_string(),
            "spki_sha256": hex(&key.public_key().digest()),
        }))?;
    } else {
        print(&format!(
            "private key in {}, for nobody but you\npublic key in {}\nits SHA-256, to be read to the others:\n  {}\n",
            command.out.display(),
            public.display(),
            key.public_key().fingerprint()
        ))?;
    }
    Ok(Exit::Done)
}

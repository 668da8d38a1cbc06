//! `psdctl authority publish-rates`.

use super::{At, AuthorityError};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{hex, print, print_json, write_durably};
use clap::Args;
use psdd_authority::rates::publish;
use psdd_rates::{EXTENSION, LONGEST_TABLE};
use psdd_wire::reviewed_file;
use std::path::{Path, PathBuf};

/// Arguments of `psdctl authority publish-rates`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority publish-rates /srv/authority us-2025.toml --out us-2025.cose
  psdctl rate check us-2025.cose --authority-root /srv/authority/authority-root.pem

A table that is not in order is not signed; `psdctl rate check` says all that is wrong with it.")]
pub struct PublishRates {
    #[command(flatten)]
    at: At,
    /// The rate table, TOML; every byte of it is signed
    table: PathBuf,
    /// Where the signed table (COSE_Sign1, bytes) goes; beside the table, ending in .cose, where none is named
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn publish_rates(global: &Global, command: &PublishRates) -> Result<Exit, AuthorityError> {
    let path = &command.table;
    let text = reviewed_file::bytes(path, LONGEST_TABLE)
        .map_err(|source| AuthorityError::Unreadable { path: path.clone(), source })?;
    let signed = publish(&command.at.authority(), &text);
    let signed = signed.map_err(|source| AuthorityError::Rates { path: path.clone(), source })?;
    let out = command.out.clone().unwrap_or_else(|| path.with_extension(EXTENSION));
    if same_file(path, &out) {
        return Err(AuthorityError::OutIsTable(out));
    }
    write_durably(&out, &signed.bytes)?;
    let (table, digest) = (&signed.table, hex(signed.table.digest()));
    let (out, from) = (out.display().to_string(), table.from().to_string());
    if global.json {
        print_json(&serde_json::json!({
            "table": table.name(), "version": table.version(), "from": from,
            "until": table.until().map(|until| until.to_string()), "digest": digest, "signed": out,
        }))?;
    } else {
        print(&format!(
            "rate table {}, in force from {from}, signed in {out}; SHA-256 of its text {digest}\n",
            table.label()
        ))?;
    }
    Ok(Exit::Done)
}

fn same_file(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

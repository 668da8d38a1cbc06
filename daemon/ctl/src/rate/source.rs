//! Tables from files: plain TOML, or as the authority published them.

use super::{RateError, now};
use clap::Args;
use psdd_rates::{CONTENT_TYPE, LONGEST_PUBLISHED, Published, PublishedError, Table};
use psdd_wire::cose::{CoseError, Sign1};
use psdd_wire::reviewed_file;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

/// The first byte of a COSE_Sign1 message, tag 18; no text begins with it.
const SIGNED: u8 = 0xd2;

/// Whose signature is believed.
#[derive(Args, Debug)]
pub(super) struct TrustFile {
    /// The postal authority's root certificate, PEM: the table must be signed by the policy key under it
    #[arg(long, value_name = "ROOT.pem")]
    authority_root: Option<PathBuf>,
}

/// What is known of who wrote a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Signature {
    /// Nothing: it is plain text.
    None,
    /// It is signed, and nobody said by whom it should be.
    Unverified,
    /// The authority's policy key signed it.
    Verified,
}

impl Signature {
    /// For people and programs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Signature::None => "none",
            Signature::Unverified => "not verified",
            Signature::Verified => "verified",
        }
    }
}

impl TrustFile {
    /// The table in a file.
    pub(super) fn table(&self, path: &Path) -> Result<(Table, Signature), RateError> {
        let bytes = reviewed_file::bytes(path, LONGEST_PUBLISHED)
            .map_err(|source| RateError::Unreadable { path: path.to_owned(), source })?;
        let signed = bytes.first() == Some(&SIGNED);
        match &self.authority_root {
            Some(_) if !signed => Err(RateError::Unsigned(path.to_owned())),
            Some(root) => {
                let failed = |source| RateError::Root { path: root.clone(), source };
                let root = CertificateDer::from_pem_file(root).map_err(failed)?;
                let opened = Published::open(&bytes, &root, now()?);
                let opened = opened.map_err(|source| RateError::Published { path: path.to_owned(), source })?;
                Ok((opened.table().clone(), Signature::Verified))
            }
            None if signed => Ok((read(path, &unverified(path, &bytes)?)?, Signature::Unverified)),
            None => Ok((read(path, &bytes)?, Signature::None)),
        }
    }
}

/// The text of a signed table, whoever signed it.
fn unverified(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, RateError> {
    let refused = |source| RateError::Published { path: path.to_owned(), source: PublishedError::Form(source) };
    let message = Sign1::parse(bytes).map_err(refused)?;
    if message.content_type != CONTENT_TYPE {
        return Err(refused(CoseError::ContentType(message.content_type)));
    }
    Ok(message.payload)
}

fn read(path: &Path, bytes: &[u8]) -> Result<Table, RateError> {
    let text = std::str::from_utf8(bytes).ok().ok_or_else(|| RateError::NotATable(path.to_owned()))?;
    Table::parse(text).map_err(|error| RateError::Table { path: path.to_owned(), error })
}

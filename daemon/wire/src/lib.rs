//! What crosses a door of `psdd`: CBOR messages, COSE_Sign1, checkpoints and problem details.
//!
//! Owns the shapes of `psdd.cddl` (the contract) and the strictness of reading them. Refuses to judge: whether a message may
//! have effect is the business of `psdd`. Called by the daemon, the SDK and `psdctl`.

pub mod audit;
pub mod authority_key;
pub mod ceremony;
pub mod certificate;
pub mod checkpoint;
pub mod cose;
pub mod countersignature;
pub mod crl;
pub mod digest;
pub mod enrolment;
pub mod evidence;
mod exact;
pub mod funds;
pub mod gather;
pub mod instruction;
pub mod item;
pub mod message;
pub mod operator;
pub mod pasted;
pub mod problem;
pub mod profile;
pub mod proof;
pub mod receipt;
pub mod reviewed_file;
pub mod scale;
mod sign_item;
mod sign_request;
pub mod spki;
pub mod status;
mod strict;
mod text;
pub mod tlog;

pub use strict::{DecodeError, encode, encode_with_capacity, read};

/// SHA-256, by which files, requests and keys are named.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    out
}

/// SHA-256 of a file, in memory of a few pages however long it is.
///
/// # Errors
///
/// When it cannot be read.
pub fn sha256_of_file(path: &std::path::Path) -> std::io::Result<[u8; 32]> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut part = vec![0; 64 << 10];
    loop {
        match file.read(&mut part)? {
            0 => break,
            read => context.update(&part[..read]),
        }
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Ok(out)
}

/// Media type of requests and responses.
pub const CBOR: &str = "application/cbor";
/// Media type of errors (RFC 9290 §6.3).
pub const PROBLEM: &str = "application/concise-problem-details+cbor";
/// Most items in a sign request.
pub const MOST_ITEMS: usize = 4096;

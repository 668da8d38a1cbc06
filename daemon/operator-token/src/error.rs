//! Why an operator's key in a token cannot be used.

use crate::pin::PinError;
use crate::uri::UriError;
use cryptoki::error::Error;
use psdd_wire::ceremony::{PublicKeyError, SignError};
use std::path::PathBuf;

/// What went wrong, with the step that did.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The URI.
    #[error("the URI of the key: {0}")]
    Uri(#[from] UriError),
    /// It names no module.
    #[error(
        "the URI names no module; add module-path=/PATH/OF/THE/MODULE.so to its query (a module-name is not looked up)"
    )]
    NoModule,
    /// The module cannot be loaded.
    #[error("the module {}: {source}", .path.display())]
    Load {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: Error,
    },
    /// A call to the module failed.
    #[error("{step}: {source}")]
    Call {
        /// The call.
        step: &'static str,
        /// As the module.
        source: Error,
    },
    /// No token is meant.
    #[error("no token matches the URI; there are: {}", list(.0))]
    NoToken(Vec<String>),
    /// Several could be meant.
    #[error("more than one token matches the URI, and no PIN was tried; name one of: {}", list(.0))]
    ManyTokens(Vec<String>),
    /// No key is meant.
    #[error("no private key in the token matches the URI; there are: {}", list(.0))]
    NoKey(Vec<String>),
    /// Several could be meant.
    #[error("more than one private key matches the URI; name one of: {}", list(.0))]
    ManyKeys(Vec<String>),
    /// The URI names something else than a private key.
    #[error("the URI's type is not private; an operator signs with a private key")]
    Type,
    /// The key cannot sign approvals.
    #[error("the key in the token cannot be an operator's: {0}")]
    Unfit(&'static str),
    /// Its public half cannot be had.
    #[error("the public half of the key: {0}")]
    Public(#[from] PublicKeyError),
    /// The public half is not in the token, or not one alone.
    #[error("{0} public keys in the token have the CKA_ID of the private key; exactly one must")]
    Publics(usize),
    /// The PIN.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The token takes no PIN any more.
    #[error("the token's PIN is locked; nothing was tried. Its security officer sets a new one")]
    Locked,
    /// A stored PIN is not worth the last try.
    #[error(
        "one try is left before the token's PIN is locked, and the PIN stored was not tried; leave out pin-source and pin-value, and type it"
    )]
    LastTry,
    /// The login failed. It is not tried again.
    #[error("C_Login: {source}; {tries}")]
    Login {
        /// As the module.
        source: Error,
        /// What the token says of the tries that are left.
        tries: &'static str,
    },
    /// A new key needs a label.
    #[error("the URI of a new key has an object (its CKA_LABEL)")]
    Unlabelled,
    /// A key of the name is there.
    #[error("the token has such a key already, and nothing was changed: {}", list(.0))]
    Exists(Vec<String>),
    /// The token made another key than was asked for; it was destroyed.
    #[error("the token did not make the key as it was asked to, and it was destroyed: {0}")]
    Template(&'static str),
    /// The new key did not prove itself.
    #[error(transparent)]
    Sign(#[from] SignError),
}

fn list(of: &[String]) -> String {
    if of.is_empty() { "none".to_owned() } else { of.join(", ") }
}

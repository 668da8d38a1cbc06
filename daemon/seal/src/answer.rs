//! What the keeper answers to a share, in words that psdctl can show.

use crate::codec;
use minicbor::{Decode, Encode};

/// The keeper's answer to a share.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Taken; more are needed.
    #[n(0)]
    Taken {
        /// The token's name.
        #[n(0)]
        token: String,
        /// The share's index.
        #[n(1)]
        index: u8,
        /// How many are in.
        #[n(2)]
        held: u8,
        /// How many are needed.
        #[n(3)]
        threshold: u8,
    },
    /// Taken, and it was the last: the PIN is rebuilt and the token's worker starts.
    #[n(1)]
    Unsealed {
        /// The token's name.
        #[n(0)]
        token: String,
    },
    /// Not taken; nothing has changed, unless the text says so.
    #[n(2)]
    Refused {
        /// Why, for programs.
        #[n(0)]
        refusal: Refusal,
        /// Why, for people.
        #[n(1)]
        text: String,
    },
}

/// Why a share was refused.
#[derive(Encode, Decode, Clone, Copy, PartialEq, Eq, Debug)]
#[cbor(index_only)]
pub enum Refusal {
    /// It is not of the form.
    #[n(1)]
    Malformed,
    /// It was sealed for another start or another host.
    #[n(2)]
    OtherStart,
    /// No such token is sealed here.
    #[n(3)]
    NoSuchToken,
    /// The token has its PIN.
    #[n(4)]
    AlreadyUnsealed,
    /// It does not open.
    #[n(5)]
    DoesNotOpen,
    /// It is of another set.
    #[n(6)]
    OtherSet,
    /// It is not as it was made.
    #[n(7)]
    Altered,
    /// It is in already.
    #[n(8)]
    AlreadyIn,
    /// The shares do not give the PIN back; all were let go.
    #[n(9)]
    DoNotCombine,
    /// The keeper failed.
    #[n(10)]
    Keeper,
}

/// Why bytes are not an answer.
#[derive(Debug, thiserror::Error)]
#[error("not an answer of the keeper: {0}")]
pub struct AnswerError(#[from] minicbor::decode::Error);

impl Answer {
    /// The bytes of the answer.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, AnswerError> {
        Ok(codec::decode(bytes)?)
    }
}

//! What psdd asks of the worker.

use super::{Form, Messages};
use crate::role::{Algorithm, Residence, Role, algorithm_codec, residence_codec, role_codec};
use minicbor::{Decode, Encode};

/// A request of psdd to the worker.
///
/// `incarnation` is what the worker said in its [`Welcome`](super::Welcome); another one is answered [`FaultClass::Stale`](super::FaultClass::Stale).
#[derive(Encode, Decode, Clone, PartialEq, Debug)]
pub enum Request {
    /// The first frame of a connection.
    #[n(0)]
    Hello {
        /// [`VERSION`](super::VERSION).
        #[n(0)]
        version: u32,
    },
    /// Sign all messages or none.
    #[n(1)]
    Sign {
        /// Chosen by psdd, given back in the answer.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_ID of the key.
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: Vec<u8>,
        /// The role the key must have.
        #[cbor(n(3), with = "role_codec")]
        role: Role,
        /// The form every message must have.
        #[n(4)]
        form: Form,
        /// The highest committed ascending register of the key's PSD, in the unit of the message; 0 for others.
        #[n(5)]
        floor: u64,
        /// What to sign.
        #[n(6)]
        messages: Messages,
    },
    /// Make a key in the token.
    #[n(2)]
    Generate {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// What the key will sign; must be the first byte of `key_id`.
        #[cbor(n(2), with = "role_codec")]
        role: Role,
        /// How it signs.
        #[cbor(n(3), with = "algorithm_codec")]
        algorithm: Algorithm,
        /// CKA_ID: the role's number and then whatever psdd chooses.
        #[cbor(n(4), with = "minicbor::bytes")]
        key_id: Vec<u8>,
        /// CKA_LABEL.
        #[n(5)]
        label: String,
        /// Where its private half is to be kept.
        #[cbor(n(6), with = "residence_codec")]
        residence: Residence,
    },
    /// Read a data object of the token.
    #[n(3)]
    ReadObject {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_LABEL.
        #[n(2)]
        label: String,
    },
    /// Write a data object of the token, in place of the one of that label.
    #[n(4)]
    WriteObject {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_LABEL.
        #[n(2)]
        label: String,
        /// CKA_VALUE.
        #[cbor(n(3), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// Read the token's own clock.
    #[n(5)]
    Clock {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
    },
    /// Let the key make a real signature that stays in the worker, as readiness asks.
    #[n(6)]
    TestSign {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_ID of the key.
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: Vec<u8>,
    },
    /// Know this wrapped key from now on. Without an answer: a frame for the key follows, and says what is wrong with it.
    #[n(7)]
    Adopt {
        /// The worker process meant; another one ignores it.
        #[n(0)]
        incarnation: u64,
        /// CKA_ID.
        #[cbor(n(1), with = "minicbor::bytes")]
        key_id: Vec<u8>,
        /// What it may sign; must be the first byte of `key_id`.
        #[cbor(n(2), with = "role_codec")]
        role: Role,
        /// How it signs.
        #[cbor(n(3), with = "algorithm_codec")]
        algorithm: Algorithm,
        /// The public half it must prove itself under: see [`KeyEntry::spki`](super::KeyEntry::spki).
        #[cbor(n(4), with = "minicbor::bytes")]
        spki: Vec<u8>,
        /// The private half, encrypted under the token's wrapping key.
        #[cbor(n(5), with = "minicbor::bytes")]
        wrapped: Vec<u8>,
    },
    /// Search the token, anew, for the key objects of a CKA_ID. A key that no sweep found can be used from then on.
    #[n(9)]
    Find {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_ID of the key.
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: Vec<u8>,
    },
    /// Destroy a key, wherever it is: private and public objects, session copies, what was adopted.
    #[n(8)]
    Destroy {
        /// Chosen by psdd.
        #[n(0)]
        request: u64,
        /// The worker process meant.
        #[n(1)]
        incarnation: u64,
        /// CKA_ID of the key; `Done` as well when there is none.
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: Vec<u8>,
    },
}

/// [`Request::Sign`] as it is written, without a copy of what it holds.
#[derive(Encode)]
pub(crate) enum RequestRef<'r> {
    #[n(1)]
    Sign {
        #[n(0)]
        request: u64,
        #[n(1)]
        incarnation: u64,
        #[cbor(n(2), with = "minicbor::bytes")]
        key_id: &'r [u8],
        #[cbor(n(3), with = "role_codec")]
        role: Role,
        #[n(4)]
        form: Form,
        #[n(5)]
        floor: u64,
        #[n(6)]
        messages: &'r Messages,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_borrowed_sign_request_is_written_like_an_owned_one() {
        let messages: Messages = [b"one".as_slice(), b"", b"three"].into_iter().collect();
        let key_id = vec![1, 2, 3];
        let borrowed = RequestRef::Sign {
            request: 7,
            incarnation: u64::MAX,
            key_id: &key_id,
            role: Role::Device,
            form: Form::CoseSign1,
            floor: 9,
            messages: &messages,
        };
        let bytes = crate::frame::encode(&borrowed).expect("short");
        let decoded: Request = crate::frame::decode(&bytes[4..]).expect("sound");
        let owned = Request::Sign {
            request: 7,
            incarnation: u64::MAX,
            key_id: key_id.clone(),
            role: Role::Device,
            form: Form::CoseSign1,
            floor: 9,
            messages: messages.clone(),
        };
        assert_eq!(decoded, owned);
    }
}

//! The SDK of a vendor backend: signatures on indicia, of mail and of vouchers, over the vendor door of `psdd`, and the way to the
//! authority's funds system.
//!
//! Owns the connections, the retries and the judgement of what comes back: a [`SignedPiece`] that a caller holds was checked
//! against what was asked, against the registers told before and, with [`Verification::Full`], against the postal authority's
//! root. Refuses to retry what could debit twice (every retry carries the same idempotency key) and to hand out what it could
//! not verify. Called by vendor backends and by `psdctl vendor`.

mod alert;
mod authority;
mod certification;
mod certify;
mod client;
mod config;
mod connection;
mod digital_token;
mod error;
mod exchange;
mod funds;
mod item;
mod operator;
mod retry;
mod rounds;
mod run;
mod sign;
mod signer;
mod tls;
mod value;
pub mod verify;

pub use authority::AuthorityClient;
pub use certification::CertificationAuthority;
pub use certify::{CertifyItem, CertifyTerms, Payment};
pub use client::Client;
pub use config::{ClientConfig, ConfigError, Files, Verification};
pub use error::{ClientError, ConnectError, ContractError, InputError};
pub use funds::FundsSystem;
pub use item::{Item, Outcome, VoucherItem, new_key};
pub use operator::OperatorClient;
pub use psdd_wire::message::Select;
pub use psdd_wire::message::{
    ApplianceResponse, CertificatesResponse, CertifiedPiece, HalfVerdict, InLog, InspectionView, InstructionResponse,
    ProvenBy, PsdView, RegisterView, RunRequest, RunView, SignedPiece, TokenQuery, TokenVerdict, ValueAppliedResponse,
    ValueRequestResponse, ValueVoidedResponse, WithdrawnResponse, ZipCount,
};
pub use psdd_wire::problem::Problem;
pub use signer::Signer;
pub use verify::VerificationError;

//! The Postal Security Device as pure state.
//!
//! Owns the registers, the lifecycle, the clock rules, the key epochs, the indicium layouts and the form of
//! every record. Refuses to do IO, to read a clock, to draw randomness or to know PKCS#11: all of that is
//! passed in. `psdd`'s core thread, the ledger's replay and every offline verifier call it.

pub mod appliance;
pub mod authority;
pub mod certification;
pub mod certifying;
mod claims;
pub mod clock;
pub mod currency;
pub mod custody;
pub mod device;
pub mod digest;
pub mod digital_token;
pub mod evidence;
pub mod governance;
pub mod id;
pub mod indicium;
pub mod inspection;
pub mod instructed;
pub mod key;
pub mod key_order;
pub mod lifecycle;
pub mod limits;
pub mod mac;
pub mod money;
pub mod policy;
pub mod record;
pub mod refusal;
pub mod register;
pub mod rotation;
pub mod run;
pub mod time;
pub mod tree;

pub use appliance::{Appliance, FollowError};
pub use currency::Currency;
pub use device::{Identity, PreparedPiece, Psd, State};
pub use id::{ApplianceId, LicenceNumber, OperatorName, PieceKey, PsdId, RateName, RunId, ScaleId, TenantName};
pub use money::PostageAmount;
pub use refusal::Refusal;
pub use register::Registers;
pub use time::{MailingDate, UnixMillis};

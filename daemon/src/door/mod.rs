//! The doors: listeners with identities and routes of their own.
//!
//! What they have in common is here: TLS, connections and their bounds, the form of answers. A door says who a certificate names and what
//! is answered ([`listener::Attendant`]), and nothing of the one is known at the other.

pub mod authority;
pub mod calendar;
mod certified;
pub mod digital_tokens;
pub mod failure;
pub mod identity;
mod instruction;
pub mod listener;
pub mod local;
pub mod log_readers;
pub mod numbers;
pub mod operator;
pub mod receipts;
mod standing;
pub mod tls;
pub mod vendor;
mod views;

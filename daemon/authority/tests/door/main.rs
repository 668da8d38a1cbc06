//! The funds system over real TLS, and its revocation lists over plain HTTP.

mod enrolment;
mod funds;
mod publication;
mod rig;

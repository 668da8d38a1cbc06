//! The ledger from the outside: what is durable, what is proven at a start, what a verification finds.

mod acknowledging;
mod back_up;
mod ceremony;
mod certifying;
mod digital_tokens;
mod evidence;
mod inspection;
mod journal;
mod key_orders;
mod open;
mod policy;
mod reading;
mod scrub;
mod tampering;
mod verify;
mod wal;
mod world;

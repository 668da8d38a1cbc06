//! A reference postal authority, which the engineers of a real one can start from (docs/authority.md).
//!
//! Owns what the authority decides and remembers: licences with prepaid accounts, the PSDs it certified, every download it
//! authorised, a double-entry journal of all value, the keys and certificates of each purpose, revocations and their lists, and signed
//! instructions: locks, ceilings, acknowledgements of keys, inspection periods, accepted audits. Signs rate tables. Refuses to authorise what the books do not
//! cover, to credit anything twice, and to go on after a failed write. `psdctl authority` and the tests call it; the daemon never does.

pub mod audit_report;
pub mod books;
pub mod config;
pub mod decide;
pub mod directory;
pub mod funds;
pub mod instructions;
pub mod keys;
pub mod pki;
pub mod rates;
pub mod serve;
pub mod statement;

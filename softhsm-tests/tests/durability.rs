//! What a client was told survives: SIGKILL, power loss, failing disks, and attempts to go back in time (DESIGN.md §4, §5).
//!
//! Every campaign judges its ledger with the independent checker, by what its clients saw. Delays before kills are drawn from a
//! seed; PSDD_SEED sets another.

#[path = "durability/campaign.rs"]
mod campaign;
#[path = "durability/disk.rs"]
mod disk;
#[path = "durability/funds.rs"]
mod funds;
#[path = "durability/kills.rs"]
mod kills;
#[path = "durability/rollback.rs"]
mod rollback;

//! psdd-hsm as it runs: the real keeper, real workers, SoftHSM2 in a directory of its own, and the link.

mod certification;
mod destroy;
mod foreign_keys;
mod latch;
mod notify;
mod recovery;
mod refusals;
mod rig;
mod sealed;
mod signing;
mod throughput;
mod wrapped;
mod wrapped_refusals;

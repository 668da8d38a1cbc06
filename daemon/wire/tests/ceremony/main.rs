//! Ceremony files, genesis files and approvals, as people and machines meet them.

mod approvals;
mod files;
mod genesis;
mod rig;

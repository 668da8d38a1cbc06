//! The inspector against logs that are validly hashed and signed and say what they must not, and against sources that lie.

mod audit;
mod certifications;
mod certifying;
mod findings;
mod log;
mod mirror;
mod page;
mod pin;
mod report;
mod runs;
mod scans;
mod world;

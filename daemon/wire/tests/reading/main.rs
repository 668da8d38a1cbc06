//! Reading what comes through a door: every refusal, and nothing that makes a reader panic.

mod bytes;
mod checkpoint;
mod cose;
mod file;
mod items;
mod strict;

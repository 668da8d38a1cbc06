//! Rate tables from the outside: the shipped ones against prices computed by hand, and everything that is refused.

mod archive;
mod diff;
mod laws;
mod prices;
mod published;
mod refusals;
mod runs;
mod tables;

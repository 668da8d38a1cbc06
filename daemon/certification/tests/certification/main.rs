//! Certification numbers, printed lines, scales and digital tokens, as docs/certification.md promises them.

mod documents;
mod holder;
mod line;
mod number;
mod scale;
mod token;
mod vectors;

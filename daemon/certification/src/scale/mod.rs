//! Scales: the registry of those that count, and what makes a reading of one count.
//!
//! A certification names a scale whose calibration is current. The registry is one reviewed file; its digest says which one was in
//! force. Refuses to weigh, to read a clock, and to remember readings: that one reading is used once is its caller's business.

mod entry;
mod reading;
mod registry;
mod status;
mod weight;
mod written;

pub use entry::{Calibration, Scale, Signing};
pub use reading::{Freshness, Reading, ReadingError, Weighed};
pub use registry::{LONGEST_REGISTRY, MOST_SCALES, Registry};
pub use status::{ScaleStatus, Standing};
pub use weight::Milligrams;

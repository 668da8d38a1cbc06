//! The inspector's side of remote inspection: what an authority can establish about a fleet of PSDs from signed evidence alone.
//!
//! Owns the mirror of an appliance's log, the state that its records lead to, what is wrong with them, audits held against the log, pages
//! with their evidence, and the judgement of scanned indicia. Trusts the authority's root, and a log key that is given or taken once
//! from leaf 0, and nobody at the vendor. Knows no HTTP: a [`Source`] fetches for it. docs/inspection.md says what each finding means.

pub mod audit;
mod certifying;
mod durable;
mod finding;
mod fold;
mod index;
mod inspect;
pub mod mirror;
mod page;
pub mod report;
mod rules;
pub mod scan;
mod source;
mod view;

pub use certifying::{RatesView, ScaleView};
pub use durable::DiskError;
pub use finding::{Code, Finding, MOST_LEAVES, Severity};
pub use fold::{Fold, FoldError, MOST_DAYS, MOST_HOURS, MOST_REFUNDS};
pub use mirror::{Mirror, Pin, PinError, Trust, Update, UpdateError, Witnessed};
pub use page::page;
pub use rules::{NoDigest, ProgramDigest, RefundRule, Rules, Velocity};
pub use source::{Directory, FetchError, MOST_BYTES, Source};
pub use view::{ClockView, DayView, FleetView, HourView, KeyView, Light, MovementView, PolicyView, PsdView};

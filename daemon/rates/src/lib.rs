//! What a mailpiece costs: rate tables, quotes, what a run qualified for, published tables and their archive.
//!
//! Owns the form of a table (docs/rates.md), the refusal of tables that contradict themselves, and all arithmetic from weight to postage.
//! Refuses to read files or a clock, to guess where a table is silent, and to use a float. `psdctl rate` and `psdctl authority` call it.

#![forbid(unsafe_code)]

mod archive;
mod build;
mod condition;
mod counts;
mod diff;
mod error;
mod label;
mod ladder;
mod length;
mod manifest;
mod names;
mod piece;
mod published;
mod qualify;
mod quantity;
mod quote;
mod quote_error;
mod rounding;
mod run;
mod shortfall;
mod table;
mod tariff;
mod text;
mod weight;
mod zone;

pub use archive::{Archive, ArchiveError, NotInForce};
pub use build::LONGEST_TABLE;
pub use condition::Condition;
pub use counts::{CountError, Counts};
pub use diff::{Change, Diff, PriceChange, diff};
pub use error::{Problem, TableError, TableFault};
pub use label::{FULL, discounts_of};
pub use ladder::Ladder;
pub use length::{Length, Size};
pub use manifest::{Manifest, ManifestError};
pub use names::{Level, Sorting};
pub use piece::{Piece, Surcharges};
pub use published::{CONTENT_TYPE, EXTENSION, LONGEST_PUBLISHED, Published, PublishedError};
pub use qualify::{Group, NotInRun, Qualified, qualify};
pub use quantity::QuantityError;
pub use quote::{LineKind, Quote, QuoteLine};
pub use quote_error::QuoteError;
pub use rounding::{Mode, Per, Rounding, Unit, plain};
pub use run::{RunError, RunLine, RunTotal};
pub use shortfall::{LostGroup, Shortfall, shortfall};
pub use table::{Charge, Class, Discount, Reduction, Shape, Surcharge, Table};
pub use tariff::{ClassId, NameError, Tariff};
pub use weight::{Limit, Weight, WeightError};
pub use zone::{Zip, ZipError};

//! What a development appliance certifies by: a table modelled on public prices, published by its authority, and a scale that does not exist.

use super::Layout;
use super::authority::directory;
use psd::{MailingDate, UnixMillis};
use psdd_authority::rates::{PublishError, publish};
use psdd_authority::serve::{ClockError, now};
use std::path::{Path, PathBuf};

/// The table, as the repository has it.
const TABLE: &str = include_str!("../../../../policy/rates/us-2025.toml");
/// Days before and after today on which the scale is calibrated.
const CALIBRATED_DAYS: i64 = 180;

/// There are no tables or scales.
#[derive(Debug, thiserror::Error)]
pub enum RatesError {
    /// The authority does not publish the table.
    #[error("publishing the rate table: {0}")]
    Publish(#[from] PublishError),
    /// The clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// A file.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn file(path: &Path) -> impl Fn(std::io::Error) -> RatesError {
    move |source| RatesError::File { path: path.to_owned(), source }
}

/// Has the authority publish the table, and registers a scale that is calibrated now.
pub(super) fn make(layout: &Layout) -> Result<(), RatesError> {
    let rates = layout.rates();
    std::fs::create_dir_all(&rates).map_err(file(&rates))?;
    let published = publish(&directory(layout), TABLE.as_bytes())?;
    let path = rates.join("us-domestic-1.cose");
    std::fs::write(&path, published.bytes).map_err(file(&path))?;
    let scales = layout.scales();
    std::fs::write(&scales, scale(now()?)).map_err(file(&scales))
}

fn scale(now: UnixMillis) -> String {
    let today = MailingDate::of(now).map_or(0, MailingDate::day_number);
    let day = |offset| MailingDate::from_day_number(today + offset).map_or_else(String::new, |day| day.to_string());
    format!(
        "# A scale that does not exist.\n[[scale]]\nid = \"dev-1\"\nmaker = \"None\"\nmodel = \"Development\"\nsite = \"This machine\"\n\
         certificate = \"DEV-1\"\nissuer = \"Nobody\"\nvalid_from = {}\nvalid_until = {}\ncapacity_mg = 30_000_000\nminimum_mg = 500\n\
         resolution_mg = 100\n",
        day(-CALIBRATED_DAYS),
        day(CALIBRATED_DAYS)
    )
}

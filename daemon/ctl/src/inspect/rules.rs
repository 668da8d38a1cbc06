//! The inspector's rules, as options.

use clap::Args;
use psdd_inspector::{ProgramDigest, Rules};

/// What is ordinary. The defaults are starting points.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Rules")]
pub struct RuleOptions {
    /// A key in use for more days is told
    #[arg(long, value_name = "DAYS", default_value_t = Rules::default().longest_key_age_days)]
    key_age_days: u32,
    /// A certificate that runs out within so many days is told
    #[arg(long, value_name = "DAYS", default_value_t = Rules::default().certificate_notice_days)]
    certificate_days: u32,
    /// The calibration of a scale that ends within so many days is told
    #[arg(long, value_name = "DAYS", default_value_t = Rules::default().calibration_notice_days)]
    calibration_days: u32,
    /// A clock that is off by more is told
    #[arg(long, value_name = "MS", default_value_t = Rules::default().largest_clock_error_ms)]
    clock_error_ms: u32,
    /// A scrub of the ledger that ended longer ago is told
    #[arg(long, value_name = "DAYS", default_value_t = Rules::default().longest_scrub_age_days)]
    scrub_days: u32,
    /// The program that is to run; another is told
    #[arg(long, value_name = "SHA256")]
    binary: Option<ProgramDigest>,
}

impl RuleOptions {
    pub(super) fn rules(&self) -> Rules {
        Rules {
            largest_clock_error_ms: self.clock_error_ms,
            calibration_notice_days: self.calibration_days,
            longest_key_age_days: self.key_age_days,
            certificate_notice_days: self.certificate_days,
            longest_scrub_age_days: self.scrub_days,
            program: self.binary,
            ..Rules::default()
        }
    }
}

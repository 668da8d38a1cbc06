//! Bars for what takes longer than a person likes to wait without a word.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar on stderr that counts these units to a total, with its message, its rate and the time that is left. indicatif draws none where
/// stderr is no terminal.
pub fn bar(total: usize, units: &str) -> ProgressBar {
    shown(
        ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX)),
        &format!("{{bar:32.cyan/dim}} {{human_pos}}/{{human_len}} {units}  {{per_sec}}  {{eta}}  {{wide_msg}}"),
    )
}

/// The same for a total that nobody knows: the count alone.
pub fn counter(units: &str) -> ProgressBar {
    shown(ProgressBar::new_spinner(), &format!("{{spinner:.cyan}} {{human_pos}} {units}  {{per_sec}}  {{elapsed}}"))
}

fn shown(bar: ProgressBar, template: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

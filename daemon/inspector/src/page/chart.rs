//! Bars of pieces by day and by hour, as SVG. Gaps are shown as gaps.

use super::{escaped, grouped};
use crate::view::{DayView, HourView};
use psd::{MailingDate, UnixMillis};
use std::fmt::Write;

/// Bars of a chart at most.
const MOST_BARS: u64 = 192;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

const WIDTH: u64 = 960;
const TOP: u64 = 16;
const HEIGHT: u64 = 130;

/// A bar: what it is of, and how much.
type Bar = (String, u64);

/// The days and hours of the fleet.
pub(super) fn volumes(days: &[DayView], hours: &[HourView]) -> String {
    let by_day = days.iter().filter_map(|day| {
        let date: MailingDate = day.day.parse().ok()?;
        Some((u64::try_from(date.day_number()).ok()?, day.pieces))
    });
    let by_hour = hours.iter().map(|hour| (hour.begins_ms / HOUR_MS, hour.pieces));
    let day = |number: u64| {
        MailingDate::of(UnixMillis(number.saturating_mul(DAY_MS))).map(|date| date.to_string()).unwrap_or_default()
    };
    // To the minute: 2026-11-20T12:00.
    let hour = |number: u64| UnixMillis(number.saturating_mul(HOUR_MS)).to_string().chars().take(16).collect();
    format!(
        "<h3>Pieces a day (UTC)</h3>\n{}<h3>Pieces an hour (UTC)</h3>\n{}",
        bars(&without_gaps(by_day.collect(), day)),
        bars(&without_gaps(by_hour.collect(), hour))
    )
}

/// Every number from the first to the last, with nothing where nothing was; the newest where there are too many.
fn without_gaps(known: Vec<(u64, u64)>, name: impl Fn(u64) -> String) -> Vec<Bar> {
    let (Some(first), Some(last)) = (known.first(), known.last()) else { return Vec::new() };
    let first = first.0.max(last.0.saturating_sub(MOST_BARS - 1));
    let pieces = |number| known.iter().find(|(known, _)| *known == number).map_or(0, |(_, pieces)| *pieces);
    (first..=last.0).map(|number| (name(number), pieces(number))).collect()
}

fn bars(bars: &[Bar]) -> String {
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
        return "<p>Nothing was signed.</p>\n".to_owned();
    };
    let most = bars.iter().map(|(_, pieces)| *pieces).max().unwrap_or(0).max(1);
    let count = u64::try_from(bars.len()).unwrap_or(1).max(1);
    let (floor, foot) = (TOP + HEIGHT, TOP + HEIGHT + 16);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\">\n", foot + 4);
    let written = (|| {
        for (at, label) in [(TOP, most), (TOP + HEIGHT / 2, most / 2)] {
            writeln!(
                svg,
                "<line x1=\"0\" x2=\"{WIDTH}\" y1=\"{at}\" y2=\"{at}\"/><text x=\"0\" y=\"{}\">{}</text>",
                at - 4,
                grouped(label)
            )?;
        }
        for (number, (name, pieces)) in (0u64..).zip(bars) {
            let (left, right) = (WIDTH * number / count, WIDTH * (number + 1) / count);
            let width = right.saturating_sub(left).saturating_sub(1).clamp(1, 28);
            // Whatever was signed is seen.
            let tall = u64::try_from(u128::from(*pieces) * u128::from(HEIGHT) / u128::from(most)).unwrap_or(HEIGHT);
            let tall = tall.max(u64::from(*pieces > 0));
            writeln!(
                svg,
                "<rect x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"{tall}\"><title>{}: {}</title></rect>",
                floor - tall,
                escaped(name),
                grouped(*pieces)
            )?;
        }
        writeln!(svg, "<line x1=\"0\" x2=\"{WIDTH}\" y1=\"{floor}\" y2=\"{floor}\"/>")?;
        writeln!(svg, "<text x=\"0\" y=\"{foot}\">{}</text>", escaped(&first.0))?;
        if count > 1 {
            writeln!(svg, "<text x=\"{WIDTH}\" y=\"{foot}\" text-anchor=\"end\">{}</text>", escaped(&last.0))?;
        }
        writeln!(svg, "</svg>")
    })();
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_bars_of_nothing_and_the_newest_are_shown() {
        let drawn = without_gaps(vec![(5, 10), (8, 20)], |number| number.to_string());
        let expected = [("5", 10), ("6", 0), ("7", 0), ("8", 20)].map(|(name, pieces)| (name.to_owned(), pieces));
        assert_eq!(drawn, expected);
        assert_eq!(without_gaps(vec![(0, 1), (1_000_000, 2)], |number| number.to_string()).len(), 192);
        assert_eq!(bars(&drawn).matches("<rect").count(), 4);
        assert!(bars(&[]).contains("Nothing"));
    }
}

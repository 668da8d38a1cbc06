//! Scales and rate tables as tables.

use super::tables::table;
use super::{escaped, grouped};
use crate::certifying::{RatesView, ScaleView};
use psd::UnixMillis;

/// Characters of a digest that are shown; the page's evidence has all of it.
const SHORT: usize = 16;

pub(super) fn scales(scales: &[ScaleView]) -> Option<String> {
    let rows = scales.iter().map(|scale| {
        let class = match scale.standing.as_str() {
            "valid" => "clear",
            "overdue" => "red",
            _ => "amber",
        };
        let days = scale.days.map_or_else(String::new, |days| format!(", {} days", grouped(days)));
        let last = scale.last_reading_ms.map_or_else(|| "none".to_owned(), |at| UnixMillis(at).to_string());
        format!(
            "<tr><td class=\"w\">{}</td><td>{}</td><td>{} ({})</td><td class=\"w\">{} to {}</td>\
             <td class=\"w\"><span class=\"{class}\">{}{days}</span></td><td class=\"n\">{} to {}, by {}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"w\">{last}</td><td class=\"n\">{}</td></tr>\n",
            escaped(&scale.scale),
            escaped(&scale.site),
            escaped(&scale.certificate),
            escaped(&scale.issuer),
            escaped(&scale.valid_from),
            escaped(&scale.valid_until),
            escaped(&scale.standing),
            grouped(scale.minimum_mg),
            grouped(scale.capacity_mg),
            grouped(scale.resolution_mg),
            grouped(scale.certifications),
            grouped(scale.weight_mg),
            scale.leaf
        )
    });
    let heads = "<th>scale</th><th>site</th><th>certificate</th><th>valid</th><th>standing</th><th class=\"n\">range in mg</th>\
                 <th class=\"n\">certifications</th><th class=\"n\">weight in mg</th><th>last reading</th><th class=\"n\">leaf</th>";
    (!scales.is_empty()).then(|| table("wide", heads, rows))
}

pub(super) fn tables(rates: &[RatesView]) -> Option<String> {
    let rows = rates.iter().map(|table| {
        let short: String = table.digest.chars().take(SHORT).collect();
        format!(
            "<tr><td class=\"w\">{}</td><td class=\"n\">{}</td><td><code>{}</code></td><td class=\"w\">{}</td><td class=\"w\">{}</td>\
             <td class=\"w\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            escaped(&table.name),
            table.version,
            escaped(&short),
            escaped(&table.from),
            escaped(table.until.as_deref().unwrap_or("a later version")),
            escaped(&table.state),
            grouped(table.pieces),
            table.leaf
        )
    });
    let heads = "<th>table</th><th class=\"n\">version</th><th>SHA-256</th><th>from</th><th>until</th><th>state</th>\
                 <th class=\"n\">pieces</th><th class=\"n\">leaf</th>";
    (!rates.is_empty()).then(|| table("wide", heads, rows))
}

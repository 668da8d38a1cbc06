//! A fleet on a terminal: findings first, then a row for each PSD, then the log and what all PSDs have in common.

use super::round::Look;
use super::scales::{rates_table, scale_table};
use crate::output::{Colour, count, lit_table};
use psd::UnixMillis;
use psdd_inspector::audit::Standing;
use psdd_inspector::{Finding, FleetView, Light, PsdView, Severity};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Of more PSDs than this, those that are green are counted and not shown.
const MOST_ROWS: usize = 40;
/// Findings of one code that are shown.
const MOST_FINDINGS: usize = 20;

/// The whole screen.
pub(super) fn drawn(look: &Look, all: bool) -> String {
    let view = &look.view;
    let mut text = findings(view);
    text.push('\n');
    text.push_str(&psds(view, all));
    for table in [scale_table(&view.scales), rates_table(&view.rates)] {
        if !table.is_empty() {
            text.push('\n');
            text.push_str(&table);
        }
    }
    let written = tail(look, &mut text);
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    text
}

fn colour(light: Light) -> Colour {
    match light {
        Light::Red => Colour::Red,
        Light::Amber => Colour::Amber,
        Light::Green => Colour::Green,
    }
}

/// The light as a word too, for those who see no colours and for logs.
fn lit(light: Light) -> String {
    format!("● {}", light.as_str())
}

fn findings(view: &FleetView) -> String {
    let of = |severity| view.findings.iter().filter(|finding| finding.severity == severity).count();
    let (red, amber) = (of(Severity::Red), of(Severity::Amber));
    if view.findings.is_empty() {
        return "no findings\n".to_owned();
    }
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    for finding in &view.findings {
        let number = shown.entry(finding.code.as_str()).or_default();
        *number += 1;
        if *number <= MOST_FINDINGS {
            rows.push((colour(finding.severity.into()), row(finding)));
        }
    }
    let mut text = lit_table(&["finding", "code", "PSD", "what", "leaves", "times"], &[5], rows);
    for (code, number) in shown.into_iter().filter(|(_, number)| *number > MOST_FINDINGS) {
        text.push_str(&format!("{} more {code}\n", count(number - MOST_FINDINGS)));
    }
    text.push_str(&format!("{red} red, {amber} amber\n"));
    text
}

fn row(finding: &Finding) -> Vec<String> {
    let leaves: Vec<String> = finding.leaves.iter().take(4).map(u64::to_string).collect();
    let more =
        if finding.times > u64::try_from(leaves.len()).unwrap_or(u64::MAX) && !leaves.is_empty() { " …" } else { "" };
    vec![
        lit(finding.severity.into()),
        finding.code.as_str().to_owned(),
        finding.psd.clone().unwrap_or_else(|| "appliance".to_owned()),
        finding.says.clone(),
        format!("{}{more}", leaves.join(", ")),
        count(finding.times),
    ]
}

fn psds(view: &FleetView, all: bool) -> String {
    let lights = view.lights();
    let light = |psd: &PsdView| lights.get(psd.psd.as_str()).copied().unwrap_or(Light::Red);
    let few = view.psds.len() <= MOST_ROWS;
    let shown = view.psds.iter().filter(|psd| all || few || light(psd) != Light::Green);
    let rows: Vec<_> = shown.map(|psd| (colour(light(psd)), psd_row(psd, light(psd)))).collect();
    let hidden = view.psds.len() - rows.len();
    let headings = [
        "light",
        "PSD",
        "licence",
        "state",
        "ascending",
        "descending",
        "control total",
        "pieces",
        "last download",
        "oldest key",
        "certificate to",
        "last record",
    ];
    let mut text = if rows.is_empty() { String::new() } else { lit_table(&headings, &[4, 5, 6, 7, 9], rows) };
    let of = |wanted| lights.values().filter(|light| **light == wanted).count();
    text.push_str(&format!(
        "{}: {} red, {} amber, {} green",
        of_many(view.psds.len(), "PSD"),
        count(of(Light::Red)),
        count(of(Light::Amber)),
        count(of(Light::Green))
    ));
    if hidden > 0 {
        text.push_str(&format!("; {} green ones are not shown (--all shows them)", count(hidden)));
    }
    text.push('\n');
    text
}

fn psd_row(psd: &PsdView, light: Light) -> Vec<String> {
    let in_use = || psd.keys.iter().filter(|key| key.state == "in use");
    let oldest = in_use().filter_map(|key| key.age_days).max();
    let ends = in_use().filter_map(|key| key.expires_ms).min();
    let state = if psd.locks.is_empty() {
        psd.lifecycle.clone()
    } else {
        format!("{}, locked: {}", psd.lifecycle, psd.locks.join(", "))
    };
    let download = psd
        .last_download
        .as_ref()
        .map_or_else(|| "none".to_owned(), |last| format!("{} on {}", last.amount, day(last.time_ms)));
    let pending = psd.pending.map_or_else(String::new, |number| format!("; no. {number} under way"));
    vec![
        lit(light),
        psd.psd.clone(),
        psd.licence.clone(),
        state,
        psd.ascending.clone(),
        psd.descending.clone(),
        format!("{} {}", psd.control_total, psd.currency),
        count(psd.pieces),
        download + &pending,
        oldest.map_or_else(|| "none".to_owned(), |days| format!("{} d", count(days))),
        ends.map_or_else(|| "none".to_owned(), day),
        minute(psd.last_record_ms),
    ]
}

fn tail(look: &Look, text: &mut String) -> std::fmt::Result {
    let view = &look.view;
    writeln!(text)?;
    writeln!(
        text,
        "appliance    {}, {}: {} pieces, inspected at {}",
        view.appliance,
        view.environment,
        count(view.pieces),
        UnixMillis(view.inspected_ms)
    )?;
    writeln!(
        text,
        "log          {} records, {} new, {} moved; root {}",
        count(view.records),
        count(look.records),
        size(look.bytes),
        view.root
    )?;
    let clock = &view.clock;
    writeln!(
        text,
        "clock        {}, within {} ms at the last record, {} ms at the most (record {})",
        clock.source, clock.error_ms, clock.largest_error_ms, clock.largest_error_leaf
    )?;
    if let Some(policy) = &view.policy {
        writeln!(text, "policy       version {} of the authority's own; SHA-256 {}", policy.version, policy.digest)?;
    }
    let Some(audit) = &view.audit else { return Ok(()) };
    for name in ["token", "program", "scrub"] {
        let mut said: BTreeMap<&str, usize> = BTreeMap::new();
        let lines = audit.reports.iter().flat_map(|report| &report.lines).filter(|line| line.name == name);
        lines.for_each(|line| *said.entry(&line.said).or_default() += 1);
        for (text_of, times) in said.iter().take(4) {
            let of = if *times < audit.reports.len() { format!(" ({times} reports)") } else { String::new() };
            writeln!(text, "{name:<12} {text_of}{of}")?;
        }
        if let Some(more) = said.len().checked_sub(4).filter(|more| *more > 0) {
            writeln!(text, "{name:<12} {more} others")?;
        }
    }
    let lines = [Standing::Proven, Standing::Asserted, Standing::Uncovered, Standing::Contradicted];
    let lines: Vec<String> = lines
        .iter()
        .filter(|standing| audit.count(**standing) > 0)
        .map(|standing| format!("{} {}", count(audit.count(*standing)), words(*standing)))
        .collect();
    writeln!(
        text,
        "audit        {} on a fresh challenge; lines: {}",
        of_many(audit.reports.len(), "report"),
        lines.join(", ")
    )
}

fn of_many(number: usize, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::Proven => "proven by the log",
        Standing::Asserted => "asserted by the devices",
        Standing::Uncovered => "not covered by the log yet",
        Standing::Contradicted => "CONTRADICTED by the log",
    }
}

fn day(time_ms: u64) -> String {
    UnixMillis(time_ms).to_string().chars().take(10).collect()
}

fn minute(time_ms: u64) -> String {
    UnixMillis(time_ms).to_string().chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", count(bytes / 1_000_000), bytes / 100_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_large_fleet_those_that_are_not_green_are_shown() {
        let psd = |number: usize| {
            let locks = if number == 7 { json!(["operator"]) } else { json!([]) };
            json!({
                "psd": format!("PS01{number:010}"), "tenant": "acme", "licence": "L-1", "format": "ibi", "currency": "USD",
                "lifecycle": "active", "locks": locks, "sequence": 1, "ascending": "0.00", "descending": "1.00",
                "control_total": "1.00", "pieces": 0, "last_leaf": 1, "last_record_ms": 0, "downloads": 0,
                "last_download": null, "pending": null, "refunds": 0, "refunded": "0.00", "keys": [], "days": [], "hours": []
            })
        };
        let view = json!({
            "appliance": "a-1", "environment": "production", "records": 2, "root": "00", "inspected_ms": 0,
            "last_record_ms": 0, "pieces": 0,
            "clock": { "source": "host", "error_ms": 1, "largest_error_ms": 1, "largest_error_leaf": 1, "epoch": 1 },
            "findings": [], "psds": (0..10_000).map(psd).collect::<Vec<_>>(), "days": [], "hours": [], "audit": null
        });
        let view: FleetView = serde_json::from_value(view).unwrap();
        let text = psds(&view, false);
        assert!(text.lines().count() < 6 && text.contains("PS010000000007") && text.contains("● amber"), "{text}");
        assert!(text.contains("10,000 PSDs: 0 red, 1 amber, 9,999 green; 9,999 green ones are not shown"), "{text}");
        assert!(psds(&view, true).lines().count() > 10_000);
    }
}

//! The view of a fleet as one page: no scripts, nothing fetched, readable on paper.
//!
//! Findings come first. Whatever the log says is text here, never markup.

mod audit;
mod certifying;
mod chart;
mod tables;

use crate::finding::Severity;
use crate::rules::Rules;
use crate::view::{FleetView, PolicyView};
use psd::UnixMillis;
use std::collections::BTreeMap;

const STYLE: &str = include_str!("page.css");

/// The page, HTML in UTF-8.
pub fn page(view: &FleetView) -> String {
    written(view, None)
}

/// The page with the rules and, in a template that no browser shows, the evidence: so many records, and the digest of all of it.
pub(crate) fn with_evidence(view: &FleetView, rules: &Rules, held: (usize, &str), template: &str) -> String {
    written(view, Some(audit::evidence(view, rules, held) + template + "\n"))
}

fn written(view: &FleetView, evidence: Option<String>) -> String {
    let title = format!("Inspection of appliance {}", escaped(&view.appliance));
    let sections = [
        ("Findings", Some(tables::findings(&view.findings))),
        ("Fleet at a glance", Some(glance(view))),
        ("Volumes", Some(chart::volumes(&view.days, &view.hours))),
        ("Registers", Some(tables::registers(&view.psds, &view.lights()))),
        ("Keys in use", Some(tables::keys(&view.psds, view.inspected_ms))),
        ("Scales", certifying::scales(&view.scales)),
        ("Rate tables", certifying::tables(&view.rates)),
        ("Clock", Some(clock(view))),
        ("The authority&#39;s policy", view.policy.as_ref().map(policy)),
        ("Device audit", view.audit.as_ref().map(audit::reports)),
        ("Evidence", evidence),
    ];
    let shown = sections.iter().filter_map(|(name, html)| Some((name, html.as_ref()?)));
    let body: String = shown.map(|(name, html)| format!("<section><h2>{name}</h2>\n{html}</section>\n")).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\n\
         <style>{STYLE}</style></head>\n<body>\n<header><h1>{title}</h1>\n{}\n{}</header>\n{body}</body></html>\n",
        verdict(view),
        head(view)
    )
}

/// How it stands, in one line.
fn verdict(view: &FleetView) -> String {
    let of = |severity| view.findings.iter().filter(|finding| finding.severity == severity).count();
    let (red, amber) = (of(Severity::Red), of(Severity::Amber));
    let (class, text) = match (red, amber) {
        (0, 0) => ("clear", "No findings".to_owned()),
        (0, amber) => ("amber", format!("No red and {amber} amber findings")),
        (red, amber) => ("red", format!("{red} red and {amber} amber findings")),
    };
    format!("<p class=\"verdict {class}\">{text}</p>")
}

fn head(view: &FleetView) -> String {
    let specimen = if view.environment == "development" { ", whose marks are specimens" } else { "" };
    format!(
        "<p class=\"facts\">{} appliance{specimen}. {} records, the last of {}; inspected at {}.<br>Root of the signed checkpoint: \
         <code>{}</code></p>",
        escaped(&view.environment),
        grouped(view.records),
        UnixMillis(view.last_record_ms),
        UnixMillis(view.inspected_ms),
        escaped(&view.root)
    )
}

fn glance(view: &FleetView) -> String {
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    for psd in &view.psds {
        let state = if psd.locks.is_empty() { psd.lifecycle.as_str() } else { "locked" };
        *states.entry(state).or_default() += 1;
    }
    let states = states.iter().map(|(state, count)| (escaped(state), grouped(*count)));
    let refunds: u64 = view.psds.iter().map(|psd| psd.refunds).sum();
    let downloads: u64 = view.psds.iter().map(|psd| psd.downloads).sum();
    let psds = u64::try_from(view.psds.len()).unwrap_or(u64::MAX);
    let facts = [
        ("PSDs".to_owned(), grouped(psds)),
        ("pieces".to_owned(), grouped(view.pieces)),
        ("downloads of value".to_owned(), grouped(downloads)),
        ("refunds".to_owned(), grouped(refunds)),
    ];
    let facts = facts.into_iter().chain(states.map(|(state, count)| (format!("PSDs {state}"), count)));
    let facts: String = facts.map(|(name, fact)| format!("<div><dt>{name}</dt><dd>{fact}</dd></div>")).collect();
    format!("<dl class=\"glance\">{facts}</dl>\n")
}

fn clock(view: &FleetView) -> String {
    let clock = &view.clock;
    format!(
        "<p>Source {}, epoch {}. Error bound {} ms at the last record; {} ms at the most, at record {}.</p>\n",
        escaped(&clock.source),
        clock.epoch,
        grouped(u64::from(clock.error_ms)),
        grouped(u64::from(clock.largest_error_ms)),
        clock.largest_error_leaf
    )
}

/// What the authority instructed, word for word.
fn policy(policy: &PolicyView) -> String {
    let text = match policy.text.as_str() {
        "" => "<p>It forbids nothing more.</p>\n".to_owned(),
        text => format!("<pre>{}</pre>\n", escaped(text)),
    };
    let PolicyView { version, leaf, digest, .. } = policy;
    format!("<p>Version {version}, record {leaf}; SHA-256 of its text: <code>{}</code></p>\n{text}", escaped(digest))
}

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// A number with thin spaces between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_text_are_for_people() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(escaped("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }
}

//! Findings, registers and keys as tables.

use super::{escaped, grouped};
use crate::finding::{Code, Finding, Severity};
use crate::view::{Light, PsdView};
use psd::UnixMillis;
use std::collections::BTreeMap;
use std::fmt::Write;

const DAY_MS: u64 = 86_400_000;

/// Findings of one code that are shown.
const MOST_ROWS: usize = 50;

/// The worst first, as the view has them.
pub(super) fn findings(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "<p class=\"clear\">The records are consistent, every signature verifies, and nothing is out of the ordinary.</p>\n"
            .to_owned();
    }
    // Of what holds for a whole fleet, such as certificates of one day, the first tell enough.
    let mut of_code: BTreeMap<Code, usize> = BTreeMap::new();
    let mut numbered = |finding: &Finding| {
        let number = of_code.entry(finding.code).or_default();
        *number += 1;
        *number
    };
    let shown: Vec<&Finding> = findings.iter().filter(|finding| numbered(finding) <= MOST_ROWS).collect();
    let rows = shown.into_iter().map(|finding| {
        let (class, word) = match finding.severity {
            Severity::Red => ("red", "red"),
            Severity::Amber => ("amber", "amber"),
        };
        let leaves: Vec<String> = finding.leaves.iter().map(u64::to_string).collect();
        let more = if !leaves.is_empty() && finding.times > u64::try_from(finding.leaves.len()).unwrap_or(u64::MAX) {
            " …"
        } else {
            ""
        };
        format!(
            "<tr><td class=\"w {class}\">{word}</td><td class=\"w\"><code>{}</code></td><td class=\"w\">{}</td>\
             <td class=\"says\">{}</td><td>{}{more}</td><td class=\"n\">{}</td><td class=\"w\">{}</td></tr>\n",
            finding.code.as_str(),
            escaped(finding.psd.as_deref().unwrap_or("appliance")),
            escaped(&finding.says),
            leaves.join(", "),
            grouped(finding.times),
            UnixMillis(finding.time_ms)
        )
    });
    let heads =
        "<th>severity</th><th>code</th><th>PSD</th><th>what</th><th>leaves</th><th class=\"n\">times</th><th>when</th>";
    let table = table("wide findings", heads, rows);
    let hidden = of_code.into_iter().filter_map(|(code, number)| Some((code, number.checked_sub(MOST_ROWS)?)));
    let hidden = hidden.filter(|(_, number)| *number > 0);
    let more: String =
        hidden.map(|(code, number)| format!("<p>{number} more <code>{}</code></p>\n", code.as_str())).collect();
    table + &more
}

/// Ascending + descending against the control total, for every PSD.
pub(super) fn registers(psds: &[PsdView], lights: &BTreeMap<&str, Light>) -> String {
    let rows = psds.iter().map(|psd| {
        let locks = if psd.locks.is_empty() { String::new() } else { format!(", locked: {}", psd.locks.join(", ")) };
        let download = psd.last_download.as_ref().map_or_else(
            || "none".to_owned(),
            |last| format!("{} at {}", escaped(&last.amount), UnixMillis(last.time_ms)),
        );
        let pending = psd.pending.map_or_else(String::new, |number| format!("; no. {number} is under way"));
        format!(
            "<tr><td class=\"w\">{}</td><td class=\"w\">{}</td><td>{}<br>{}</td><td>{}{}</td><td class=\"n\">{}</td><td class=\"n\">+ {}</td>\
             <td class=\"n\">= {} {}</td><td class=\"n\">{}</td><td>{download}{pending}</td><td class=\"n\">{}</td></tr>\n",
            light(lights.get(psd.psd.as_str()).copied().unwrap_or(Light::Red)),
            escaped(&psd.psd),
            escaped(&psd.tenant),
            escaped(&psd.licence),
            escaped(&psd.lifecycle),
            escaped(&locks),
            escaped(&psd.ascending),
            escaped(&psd.descending),
            escaped(&psd.control_total),
            escaped(&psd.currency),
            grouped(psd.pieces),
            grouped(psd.refunds)
        )
    });
    let heads = "<th>light</th><th>PSD</th><th>tenant, licence</th><th>state</th><th class=\"n\">ascending</th><th class=\"n\">descending</th>\
                 <th class=\"n\">control total</th><th class=\"n\">pieces</th><th>last download</th><th class=\"n\">refunds</th>";
    table("wide", heads, rows)
}

/// A light with its word.
fn light(light: Light) -> String {
    let class = if light == Light::Green { "clear" } else { light.as_str() };
    format!("<span class=\"{class}\">● {}</span>", light.as_str())
}

/// The keys that sign, the oldest first.
pub(super) fn keys(psds: &[PsdView], now_ms: u64) -> String {
    let in_use = psds.iter().flat_map(|psd| psd.keys.iter().map(move |key| (psd, key)));
    let mut in_use: Vec<_> = in_use.filter(|(_, key)| key.state == "in use").collect();
    in_use.sort_by_key(|(_, key)| key.activated_ms);
    let rows = in_use.into_iter().map(|(psd, key)| {
        let ends = match key.expires_ms {
            None => "no certificate".to_owned(),
            Some(at) if at < now_ms => format!("<span class=\"red\">{}, over</span>", UnixMillis(at)),
            Some(at) => format!("{}, in {} days", UnixMillis(at), grouped((at - now_ms) / DAY_MS)),
        };
        let ordered = key.ordered_ms.map(|at| format!(", to change by the order of {}", UnixMillis(at)));
        format!(
            "<tr><td class=\"w\">{}</td><td>{}{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"w\">{ends}</td>\
             <td class=\"n\">{}</td></tr>\n",
            escaped(&psd.psd),
            escaped(&key.role),
            ordered.unwrap_or_default(),
            escaped(&key.algorithm),
            key.age_days.map_or_else(String::new, grouped),
            key.serial.map_or_else(String::new, |serial| serial.to_string()),
            key.leaf.map_or_else(String::new, |leaf| leaf.to_string())
        )
    });
    let heads = "<th>PSD</th><th>role</th><th>algorithm</th><th class=\"n\">age in days</th><th class=\"n\">certificate</th>\
                 <th>ends</th><th class=\"n\">leaf</th>";
    table("wide", heads, rows)
}

pub(super) fn table(class: &str, heads: &str, rows: impl Iterator<Item = String>) -> String {
    let mut html = format!("<div class=\"{class}\"><table><thead><tr>{heads}</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str(&row);
    }
    let written = writeln!(html, "</tbody></table></div>");
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    html
}

//! What PSDs answered, line by line, and what the page rests on.

use super::{escaped, grouped};
use crate::audit::{AuditView, LineView, ReportView, Standing};
use crate::rules::Rules;
use crate::view::FleetView;
use psd::UnixMillis;

/// Reports that are shown of a large fleet, besides those with a line that does not hold.
const MOST_REPORTS: usize = 200;

/// A summary, and every report behind its PSD's name.
pub(super) fn reports(audit: &AuditView) -> String {
    let of = |standing| grouped(audit.count(standing));
    let count = u64::try_from(audit.reports.len()).unwrap_or(u64::MAX);
    let mut lead = format!(
        "<p>{} reports, signed by the device keys on a challenge sent at {} and answered by {}. Of their lines the log proves {} \
         and contradicts <strong>{}</strong>; the devices alone assert {}.",
        grouped(count),
        UnixMillis(audit.asked_ms),
        UnixMillis(audit.answered_ms),
        of(Standing::Proven),
        of(Standing::Contradicted),
        of(Standing::Asserted)
    );
    if audit.count(Standing::Uncovered) > 0 {
        lead.push_str(&format!(" {} no checkpoint covers yet.", of(Standing::Uncovered)));
    }
    lead.push_str("</p>\n");
    let odd = |report: &ReportView| {
        report.lines.iter().any(|line| matches!(line.standing, Standing::Contradicted | Standing::Uncovered))
    };
    let shown = audit.reports.iter().enumerate().filter(|(at, told)| *at < MOST_REPORTS || odd(told));
    let shown: Vec<String> = shown.map(|(_, told)| report(told)).collect();
    let hidden = audit.reports.len() - shown.len();
    lead.push_str(&shown.concat());
    if hidden > 0 {
        lead.push_str(&format!(
            "<p>{hidden} more reports, without a line that does not hold, are in the evidence.</p>\n"
        ));
    }
    lead
}

fn report(report: &ReportView) -> String {
    let of = |standing| report.lines.iter().filter(|line| line.standing == standing).count();
    let refuted = of(Standing::Contradicted);
    // What is contradicted stands open.
    let (open, class) = if refuted > 0 { (" open", " class=\"red\"") } else { ("", "") };
    let leaf = report.leaf.map_or_else(String::new, |leaf| format!(", leaf {leaf}"));
    let told = if refuted > 0 { format!(", {refuted} contradicted") } else { String::new() };
    let rows: String = report.lines.iter().map(line).collect();
    format!(
        "<details{open}><summary><b{class}>{}</b> record {}{leaf}: {} proven, {} asserted{told}</summary>\n\
         <div class=\"wide\"><table class=\"lines\"><tbody>\n{rows}</tbody></table></div></details>\n",
        escaped(&report.psd),
        grouped(report.sequence),
        of(Standing::Proven),
        of(Standing::Asserted)
    )
}

fn line(line: &LineView) -> String {
    let leaf = line.leaf.map_or_else(String::new, |leaf| format!(" (leaf {leaf})"));
    let (class, by) = match line.standing {
        Standing::Proven => ("clear", format!("proven by the log{leaf}")),
        Standing::Asserted => ("soft", "asserted by the device".to_owned()),
        Standing::Uncovered => ("amber", "not covered by the log yet".to_owned()),
        Standing::Contradicted => ("red", format!("CONTRADICTED by the log{leaf}")),
    };
    let log = line.log.as_ref().map_or_else(String::new, |log| format!("<br>the log: {}", escaped(log)));
    format!(
        "<tr><th>{}</th><td class=\"said\">{}{log}</td><td class=\"{class}\">{by}</td></tr>\n",
        escaped(&line.name),
        escaped(&line.said)
    )
}

/// What is embedded, and by which rules it was judged.
pub(super) fn evidence(view: &FleetView, rules: &Rules, (records, digest): (usize, &str)) -> String {
    let program = rules.program.map_or_else(|| "any program".to_owned(), |program| format!("the program {program}"));
    let (velocity, refunds) = (rules.velocity, rules.refunds);
    format!(
        "<p>This file holds the signed checkpoint, {records} records with their paths to its root, and every report as it was signed. \
         <code>psdctl inspect verify FILE</code> judges all of it again, and this page with it, from the authority&#39;s root alone. \
         Not in the file are the other records: findings about them stand by the mirror of {} records. SHA-256 of the evidence: \
         <code>{digest}</code></p>\n\
         <p>Rules: a clock within {} ms, keys in use for at most {} days, {} days of notice for certificates and {} for calibrations, a scrub within {} days, \
         {program}; a day&#39;s pieces within {} deviations of the {} days before it, or {} more; {} refunds in a thousand pieces over {} days, \
         or fewer than {}.</p>\n",
        grouped(view.records),
        rules.largest_clock_error_ms,
        rules.longest_key_age_days,
        rules.certificate_notice_days,
        rules.calibration_notice_days,
        rules.longest_scrub_age_days,
        velocity.deviations,
        velocity.history_days,
        velocity.least_pieces,
        refunds.most_per_mille,
        refunds.window_days,
        refunds.least_refunds
    )
}

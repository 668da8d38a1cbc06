//! From the fold to what an inspector reads: the view of the fleet, and the findings that depend on rules and on the time of day.

use crate::certifying::{calibration_findings, scales, tables};
use crate::finding::{Code, Finding};
use crate::fold::{Day, Fold, Movement, Tally};
use crate::mirror::Mirror;
use crate::rules::Rules;
use crate::view::{ClockView, DayView, FleetView, HourView, KeyView, MovementView, PolicyView, PsdView};
use psd::appliance::Appliance;
use psd::device::CertifiedKey;
use psd::digest::Facts;
use psd::lifecycle::Lifecycle;
use psd::policy::AuthorityPolicy;
use psd::record::{key_slot, run_slot};
use psd::run::{LATEST_CLOSING_DAYS, Run};
use psd::{MailingDate, PostageAmount, Psd, PsdId, UnixMillis};
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;

impl Fold {
    /// What the records taken in show, at this time of the inspector's own clock; `None` before the first record.
    pub fn view(&self, mirror: &Mirror, rules: &Rules, now: UnixMillis) -> Option<FleetView> {
        let appliance = self.appliance.as_ref()?;
        let mut findings: Vec<Finding> = self.found.all().cloned().collect();
        findings.extend(clock_findings(&self.fleet, rules));
        let (certifying, live) = (&appliance.certifying, &self.facts.appliance.live);
        let scales = scales(certifying, live, &self.certified, (rules, now));
        findings.extend(calibration_findings(&scales, rules, now));
        let mut psds = Vec::with_capacity(appliance.psds.len());
        for (id, psd) in &appliance.psds {
            let tally = self.tallies.get(id);
            let facts = self.facts.psds.get(id);
            let keys: Vec<KeyView> = psd.state().keys.iter().map(|key| self.key(*id, psd, key, facts, now)).collect();
            findings.extend(inspection_finding(appliance, psd, facts, now));
            findings.extend(run_findings(psd, facts, now));
            findings.extend(key_findings(&id.to_string(), psd.state().lifecycle.as_str(), &keys, rules, now));
            if let Some(tally) = tally {
                findings.extend(velocity_findings(*id, tally, rules));
                findings.extend(refund_finding(*id, tally, rules));
            }
            psds.push(psd_view(*id, psd, (tally, facts), keys));
        }
        findings.sort_by(|a, b| (a.severity, a.code, &a.psd, a.time_ms).cmp(&(b.severity, b.code, &b.psd, b.time_ms)));
        let largest = self.fleet.days.values().max_by_key(|day| day.error_ms);
        Some(FleetView {
            appliance: appliance.genesis.appliance.to_string(),
            environment: appliance.genesis.environment.as_str().to_owned(),
            records: self.size(),
            root: mirror.checkpoint().map(|checkpoint| hex(&checkpoint.root)).unwrap_or_default(),
            inspected_ms: now.0,
            last_record_ms: self.fleet.last_time_ms,
            pieces: psds.iter().map(|psd| psd.pieces).sum(),
            clock: ClockView {
                source: appliance.latest.source.as_str().to_owned(),
                error_ms: appliance.latest.error_ms,
                largest_error_ms: largest.map_or(0, |day| day.error_ms),
                largest_error_leaf: largest.map_or(0, |day| day.error_leaf),
                epoch: appliance.latest.epoch,
            },
            policy: self.policy(appliance),
            scales,
            rates: tables(certifying, live, &self.certified, now),
            findings,
            days: days(&self.fleet.days),
            hours: hours(&self.fleet.hours),
            psds,
            audit: None,
        })
    }

    fn policy(&self, appliance: &Appliance) -> Option<PolicyView> {
        let AuthorityPolicy { version, text } = appliance.authority.policy();
        Some(PolicyView {
            version: *version,
            digest: hex(&text.digest()),
            text: text.as_str().to_owned(),
            leaf: *self.facts.appliance.live.get("authority-policy")?,
        })
    }

    fn key(&self, id: PsdId, psd: &Psd, key: &CertifiedKey, facts: Option<&Facts>, now: UnixMillis) -> KeyView {
        let life = &key.life;
        let in_use = psd.key_in_use(key.key.role).is_some_and(|used| used.key.key_id == key.key.key_id);
        let state = match life {
            life if life.destroyed.is_some() => "destroyed",
            life if life.revoked.is_some() => "revoked",
            life if life.retired.is_some() => "retired",
            _ if in_use => "in use",
            life if life.activated.is_some() => "superseded",
            life if life.certified.is_some() => "certified",
            _ => "created",
        };
        let live = |slot: &str| {
            let slot = key_slot(&key.key.key_id).replacen("key:", slot, 1);
            facts.and_then(|facts| facts.live.get(&slot)).copied()
        };
        let serial = key.key.certificate_serial;
        let certified = serial.and_then(|serial| self.certificates.get(&(id, key.key.role, serial)));
        // The keys of other roles are not kept parsed; their certificates are read when they are looked at.
        let expires = match certified {
            Some(certified) => Some(certified.window().1),
            None => self.root().certify(&key.chain).ok().map(|certified| certified.window().1),
        };
        let activated = life.activated.map(|activation| activation.at);
        let ordered = psd.state().change_ordered(key.key.role).filter(|_| in_use);
        KeyView {
            role: key.key.role.to_string(),
            key_id: hex(&key.key.key_id),
            algorithm: key.key.algorithm.to_string(),
            state: state.to_owned(),
            created_ms: life.created.0,
            activated_ms: activated.map(|at| at.0),
            age_days: activated.filter(|_| in_use).map(|at| now.0.saturating_sub(at.0) / DAY_MS),
            serial,
            expires_ms: expires.filter(|_| serial.is_some()).map(|at| at.0),
            revoked_ms: life.revoked.map(|revocation| revocation.since.0),
            ordered_ms: ordered.map(|at| at.0),
            leaf: live("activated:").or_else(|| live("certificate:")).or_else(|| live("key:")),
        }
    }
}

fn clock_findings(fleet: &Tally, rules: &Rules) -> Vec<Finding> {
    let most = rules.largest_clock_error_ms;
    let wide = fleet.days.iter().filter(|(_, day)| day.error_ms > most);
    let finding = |(number, day): (&u64, &Day)| {
        let says = format!(
            "on {} the clock's error bound was {} ms, at record {}; at most {most} ms are allowed",
            date(*number),
            day.error_ms,
            day.error_leaf
        );
        Finding::new(Code::ClockError, None, &[day.error_leaf], number.saturating_mul(DAY_MS), says)
    };
    wide.map(finding).collect()
}

pub(crate) fn key_findings(
    psd: &str,
    lifecycle: &str,
    keys: &[KeyView],
    rules: &Rules,
    now: UnixMillis,
) -> Vec<Finding> {
    // What signs nothing any more needs no new keys.
    if [Lifecycle::Withdrawn, Lifecycle::Scrapped].iter().any(|over| over.as_str() == lifecycle) {
        return Vec::new();
    }
    let id = Some(psd.to_owned());
    let mut findings = Vec::new();
    for key in keys.iter().filter(|key| key.state == "in use") {
        let leaves: Vec<u64> = key.leaf.into_iter().collect();
        let most = rules.longest_key_age_days;
        if let Some(age) = key.age_days.filter(|age| *age > u64::from(most)) {
            let says = format!("the {} key in use is {age} days old; at most {most} are allowed", key.role);
            findings.push(Finding::new(Code::KeyOverdue, id.clone(), &leaves, key.activated_ms.unwrap_or(0), says));
        }
        let Some(expires) = key.expires_ms else { continue };
        let notice = u64::from(rules.certificate_notice_days).saturating_mul(DAY_MS);
        let until = UnixMillis(expires);
        if expires < now.0 {
            let says = format!("the certificate of the {} key in use ran out at {until}", key.role);
            findings.push(Finding::new(Code::CertificateExpired, id.clone(), &leaves, expires, says));
        } else if expires.saturating_sub(now.0) <= notice {
            let says = format!("the certificate of the {} key in use runs out at {until}", key.role);
            findings.push(Finding::new(Code::CertificateExpiring, id.clone(), &leaves, expires, says));
        }
    }
    findings
}

/// A PSD that signs, and is near the end of its period without an inspection or beyond it.
fn inspection_finding(appliance: &Appliance, psd: &Psd, facts: Option<&Facts>, now: UnixMillis) -> Option<Finding> {
    let (identity, state) = (psd.identity(), psd.state());
    let next = appliance.authority.inspection_due(&identity.licence, state.inspected);
    let next = next.filter(|next| state.lifecycle == Lifecycle::Active && next.warn <= now)?;
    let says = if next.due <= now {
        format!("it should have been inspected by {}, and signs nothing until a report of it is accepted", next.due)
    } else {
        format!("it was inspected at {} and signs nothing after {} without another inspection", next.last, next.due)
    };
    let live = |slot: &str| facts.and_then(|facts| facts.live.get(slot)).copied();
    let last = live("audit-accepted").max(live("value-applied")).or_else(|| live("created"));
    let leaves: Vec<u64> = last.into_iter().collect();
    Some(Finding::new(Code::InspectionDue, Some(identity.psd.to_string()), &leaves, next.due.0, says))
}

/// Runs whose pieces were mailed days ago, and which nobody counted since: what they lack is not debited.
fn run_findings(psd: &Psd, facts: Option<&Facts>, now: UnixMillis) -> Vec<Finding> {
    let today = MailingDate::of(now).map_or(0, MailingDate::day_number);
    let late = psd.state().runs.open().filter(|run| run.date.day_number() + LATEST_CLOSING_DAYS < today);
    let finding = |run: &Arc<Run>| {
        let opened = facts.and_then(|facts| facts.live.get(&run_slot(&run.id))).copied();
        let leaves: Vec<u64> = opened.into_iter().collect();
        let says = format!(
            "run {} was mailed on {} and is not closed: what it lacks by the count is not debited",
            run.id, run.date
        );
        Finding::new(Code::RunUnclosed, Some(psd.identity().psd.to_string()), &leaves, now.0, says)
    };
    late.map(finding).collect()
}

fn velocity_findings(psd: PsdId, tally: &Tally, rules: &Rules) -> Vec<Finding> {
    let mut past = Vec::new();
    let mut findings = Vec::new();
    for (number, day) in tally.days.iter().filter(|(_, day)| day.pieces > 0) {
        if let Some(most) = rules.velocity.most_ordinary(&past).filter(|most| day.pieces > *most) {
            let says = format!(
                "on {} it signed {} pieces; by the days before, up to {most} are ordinary",
                date(*number),
                day.pieces
            );
            let leaves = [day.first_leaf, day.last_leaf];
            let time = number.saturating_mul(DAY_MS);
            findings.push(Finding::new(Code::Velocity, Some(psd.to_string()), &leaves, time, says));
        }
        past.push(day.pieces);
    }
    findings
}

fn refund_finding(psd: PsdId, tally: &Tally, rules: &Rules) -> Option<Finding> {
    let rule = &rules.refunds;
    let window = u64::from(rule.window_days);
    let first_day = (tally.last_time_ms / DAY_MS).saturating_sub(window.saturating_sub(1));
    let pieces: u64 = tally.days.range(first_day..).map(|(_, day)| day.pieces).sum();
    let recent: Vec<&Movement> = tally.refunds.iter().filter(|refund| refund.time_ms / DAY_MS >= first_day).collect();
    let refunds = u64::try_from(recent.len()).unwrap_or(u64::MAX);
    let many = refunds >= u64::from(rule.least_refunds)
        && refunds.saturating_mul(1_000) > pieces.saturating_mul(u64::from(rule.most_per_mille));
    let first = recent.first().filter(|_| many)?;
    let leaves: Vec<u64> = recent.iter().map(|refund| refund.leaf).collect();
    let says = format!(
        "{refunds} marks were refunded in {window} days in which {pieces} pieces were signed; {} of a thousand are ordinary",
        rule.most_per_mille
    );
    Some(Finding {
        times: refunds,
        ..Finding::new(Code::RefundRate, Some(psd.to_string()), &leaves, first.time_ms, says)
    })
}

fn psd_view(id: PsdId, psd: &Psd, (tally, facts): (Option<&Tally>, Option<&Facts>), keys: Vec<KeyView>) -> PsdView {
    let (identity, state) = (psd.identity(), psd.state());
    let registers = &state.registers;
    let live = |slot: &str| facts.and_then(|facts| facts.live.get(slot)).copied();
    let over = matches!(state.lifecycle, Lifecycle::Withdrawn | Lifecycle::Scrapped);
    let movement = |of: &Movement| MovementView { leaf: of.leaf, time_ms: of.time_ms, amount: amount(of.mills) };
    PsdView {
        psd: id.to_string(),
        tenant: identity.tenant.to_string(),
        licence: identity.licence.to_string(),
        format: identity.format.name().to_owned(),
        currency: identity.currency.to_string(),
        lifecycle: state.lifecycle.as_str().to_owned(),
        locks: state.locks.reasons().map(|reason| reason.as_str().to_owned()).collect(),
        sequence: state.sequence,
        ascending: registers.ascending().to_string(),
        descending: registers.descending().to_string(),
        control_total: registers.control_total().to_string(),
        pieces: registers.piece_count(),
        last_leaf: tally.map_or(0, |tally| tally.last_leaf),
        ended_leaf: live("withdrawn").or_else(|| live("lifecycle")).filter(|_| over),
        last_record_ms: tally.map_or(0, |tally| tally.last_time_ms),
        downloads: tally.map_or(0, |tally| tally.downloads),
        last_download: tally.and_then(|tally| tally.last_download.as_ref()).map(movement),
        pending: state.pending.as_ref().map(|pending| pending.sequence),
        refunds: tally.map_or(0, |tally| tally.refunded),
        refunded: amount(tally.map_or(0, |tally| tally.refunded_mills)),
        keys,
        days: tally.map(|tally| days(&tally.days)).unwrap_or_default(),
        hours: tally.map(|tally| hours(&tally.hours)).unwrap_or_default(),
    }
}

fn days(days: &BTreeMap<u64, Day>) -> Vec<DayView> {
    let view = |(number, day): (&u64, &Day)| DayView {
        day: date(*number),
        pieces: day.pieces,
        postage: amount(day.postage_mills),
        first_leaf: day.first_leaf,
        last_leaf: day.last_leaf,
    };
    days.iter().map(view).collect()
}

fn hours(hours: &BTreeMap<u64, u64>) -> Vec<HourView> {
    hours.iter().map(|(hour, pieces)| HourView { begins_ms: hour.saturating_mul(HOUR_MS), pieces: *pieces }).collect()
}

fn date(day: u64) -> String {
    MailingDate::of(UnixMillis(day.saturating_mul(DAY_MS)))
        .map_or_else(|| format!("day {day}"), |date| date.to_string())
}

/// Sums may go beyond what one amount holds; then they are told in mills.
fn amount(mills: u64) -> String {
    PostageAmount::from_mills(mills).map_or_else(|| format!("{mills} mills"), |amount| amount.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

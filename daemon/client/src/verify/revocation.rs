//! What revocation means for a mark that is otherwise valid.
//!
//! A mark says the day of mailing and no time, and whoever has a key can write any day. So a verdict here is by whole days of UTC, and
//! on the day itself it is the stricter one; what a record proven in the appliance's log says of the time is finer, and goes first
//! where there is one (docs/protocol.md).

use super::offline::Verdict;
use psd::custody::RevocationReason;
use psd::indicium::Decoded;
use psd::{MailingDate, UnixMillis};
use psdd_wire::crl::Crl;
use psdd_wire::status::StatusList;
use std::collections::HashMap;

const DAY_MS: u64 = 86_400_000;

/// Revoked certificates by serial number, from lists that were verified.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Revocations {
    by_serial: HashMap<u32, RevokedKey>,
}

/// What the lists say of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct RevokedKey {
    since: UnixMillis,
    reason: RevocationReason,
    invalid_since: Option<UnixMillis>,
}

impl Revocations {
    /// Takes the certificates of a revocation list.
    pub fn add_crl(&mut self, list: &Crl) {
        for (serial, revoked) in &list.revoked {
            let (since, reason, invalid_since) = (revoked.since, revoked.reason, revoked.invalid_since);
            self.add(*serial, RevokedKey { since, reason, invalid_since });
        }
    }

    /// Takes the revoked keys of a status list.
    pub fn add_status(&mut self, list: &StatusList) {
        for entry in &list.entries {
            if let (Some(serial), Some(reason)) = (entry.serial, entry.revoked()) {
                self.add(serial, RevokedKey { since: UnixMillis(entry.since), reason, invalid_since: None });
            }
        }
    }

    /// Of two lists the worse counts: the earlier time, and a compromise before every other reason.
    fn add(&mut self, serial: u32, told: RevokedKey) {
        let known = self.by_serial.entry(serial).or_insert(told);
        known.since = known.since.min(told.since);
        known.invalid_since = [known.invalid_since, told.invalid_since].into_iter().flatten().min();
        if told.reason == RevocationReason::KeyCompromise {
            known.reason = told.reason;
        }
    }

    /// What the lists say of a certificate whose key signed last before `end`; `None` where none of them names it.
    ///
    /// Here the time is known, so the verdict is not by days: [`Verdict::ValidWhenSigned`], [`Verdict::SignedAfterRevocation`] or
    /// [`Verdict::KeyCompromised`].
    pub fn judge_key(&self, serial: u32, end: UnixMillis) -> Option<Verdict> {
        self.by_serial.get(&serial).map(|revoked| by_end(end, revoked))
    }

    /// The verdict on a mark with what the lists say of its key; one that is not valid stays as it is.
    pub fn judge(&self, mark: &Decoded, verdict: Verdict) -> Verdict {
        match (verdict, self.by_serial.get(&mark.certificate_serial)) {
            (Verdict::Valid, Some(revoked)) => by_day(mark.date, revoked),
            (verdict, _) => verdict,
        }
    }
}

fn by_day(yyyymmdd: u32, revoked: &RevokedKey) -> Verdict {
    let RevokedKey { since, reason, .. } = *revoked;
    let after = Verdict::SignedAfterRevocation { since, reason };
    // A day beyond the calendar proves nothing.
    let Some(date) = MailingDate::from_yyyymmdd(yyyymmdd) else { return after };
    let end = u64::try_from(date.day_number()).ok().and_then(|day| day.checked_add(1)?.checked_mul(DAY_MS));
    end.map_or(after, |end| by_end(UnixMillis(end), revoked))
}

/// The verdict on what was signed before an instant, and maybe right before it.
fn by_end(end: UnixMillis, revoked: &RevokedKey) -> Verdict {
    let RevokedKey { since, reason, invalid_since } = *revoked;
    match invalid_since.filter(|_| reason == RevocationReason::KeyCompromise) {
        Some(lost) if end > lost => Verdict::KeyCompromised { since: lost },
        _ if end > since => Verdict::SignedAfterRevocation { since, reason },
        _ => Verdict::ValidWhenSigned { since, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::custody::RevocationReason::{KeyCompromise, Superseded, Unspecified};

    /// 2026-11-20T00:00:00Z.
    const MIDNIGHT: u64 = 1_795_132_800_000;

    #[test]
    fn a_day_is_before_or_not_before() {
        let key = |since: u64, reason, lost: Option<u64>| RevokedKey {
            since: UnixMillis(since),
            reason,
            invalid_since: lost.map(UnixMillis),
        };
        let rows = [
            ("the day before", 20_261_119, key(MIDNIGHT, Superseded, None), "valid-when-signed"),
            (
                "the day itself, at its first instant",
                20_261_120,
                key(MIDNIGHT, Superseded, None),
                "signed-after-revocation",
            ),
            (
                "the day itself, at noon",
                20_261_120,
                key(MIDNIGHT + DAY_MS / 2, Unspecified, None),
                "signed-after-revocation",
            ),
            ("the day after", 20_261_121, key(MIDNIGHT, Unspecified, None), "signed-after-revocation"),
            (
                "a compromise of no known date, before",
                20_261_119,
                key(MIDNIGHT, KeyCompromise, None),
                "valid-when-signed",
            ),
            (
                "a compromise, before it was lost",
                20_261_110,
                key(MIDNIGHT, KeyCompromise, Some(MIDNIGHT - 2 * DAY_MS)),
                "valid-when-signed",
            ),
            (
                "a compromise, lost that day",
                20_261_118,
                key(MIDNIGHT, KeyCompromise, Some(MIDNIGHT - 2 * DAY_MS)),
                "key-compromised",
            ),
            (
                "a compromise, lost before and revoked after",
                20_261_119,
                key(MIDNIGHT, KeyCompromise, Some(MIDNIGHT - 2 * DAY_MS)),
                "key-compromised",
            ),
            (
                "lost, for another reason",
                20_261_119,
                key(MIDNIGHT, Superseded, Some(MIDNIGHT - 2 * DAY_MS)),
                "valid-when-signed",
            ),
            ("no day", 20_261_399, key(MIDNIGHT, Superseded, None), "signed-after-revocation"),
        ];
        for (name, day, revoked, wanted) in rows {
            assert_eq!(by_day(day, &revoked).code(), wanted, "{name}");
        }
    }

    #[test]
    fn what_a_key_signed_is_judged_by_the_instant() {
        let noon = MIDNIGHT + DAY_MS / 2;
        let told = |reason, lost: Option<u64>| RevokedKey {
            since: UnixMillis(noon),
            reason,
            invalid_since: lost.map(UnixMillis),
        };
        let mut revocations = Revocations::default();
        revocations.add(7, told(Superseded, Some(MIDNIGHT)));
        revocations.add(8, told(KeyCompromise, Some(MIDNIGHT)));
        let rows = [
            (7, noon, Some("valid-when-signed")),
            (7, noon + 1, Some("signed-after-revocation")),
            (8, MIDNIGHT, Some("valid-when-signed")),
            (8, MIDNIGHT + 1, Some("key-compromised")),
            (9, noon + 1, None),
        ];
        for (serial, end, wanted) in rows {
            let verdict = revocations.judge_key(serial, UnixMillis(end));
            assert_eq!(verdict.map(|verdict| verdict.code()), wanted, "{serial} up to {end}");
        }
    }

    #[test]
    fn of_two_lists_the_worse_counts() {
        let told = |since, reason, lost| RevokedKey { since: UnixMillis(since), reason, invalid_since: lost };
        let mut revocations = Revocations::default();
        revocations.add(7, told(9, KeyCompromise, None));
        revocations.add(7, told(5, Superseded, None));
        revocations.add(7, told(8, Unspecified, Some(UnixMillis(2))));
        assert_eq!(revocations.by_serial[&7], told(5, KeyCompromise, Some(UnixMillis(2))));
    }
}

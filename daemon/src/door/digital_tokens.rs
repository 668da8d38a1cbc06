//! Verification of digital tokens for the holders of either key: POST /v1/digital-tokens of the vendor door and of the authority door.
//!
//! Owns who may try how often. The vendor door judges the vendor's halves, the authority door the post's, each by MACs that the token makes; no key and no MAC
//! leaves. A half is short, so whoever asks as often as he likes guesses one: what does not hold is counted, and a client that spends
//! its tries waits.

use super::failure::Failure;
use super::log_readers::LogReaders;
use super::operator::{beside, refused};
use crate::ceremony::Ceremonies;
use crate::core::Sight;
use crate::spine::{Handle, Metrics, Newest};
use http::StatusCode;
use psd::PsdId;
use psd::device::CertifiedKey;
use psd::digital_token::{DigitalToken, Lengths, Party, TokenData};
use psd::record::{Event, Indicium, Record};
use psdd_wire::item::token_data;
use psdd_wire::message::{HalfVerdict, InLog, TokenQuery, TokenVerdict};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the token may take for a MAC.
const PATIENCE: Duration = Duration::from_secs(1);
/// Tokens that do not hold which a client may show one after the other.
const MOST_WRONG: u32 = 20;
/// How soon it may show one more.
const ONE_MORE: Duration = Duration::from_secs(60);

/// What judges tokens.
pub struct DigitalTokens {
    core: Handle,
    ceremonies: Ceremonies,
    log: Arc<LogReaders>,
    newest: Arc<Newest>,
    metrics: Arc<Metrics>,
    tries: Mutex<Tries>,
}

impl DigitalTokens {
    /// With these ways to committed state, tokens and log.
    pub fn new(
        (core, ceremonies): (Handle, Ceremonies),
        log: Arc<LogReaders>,
        newest: Arc<Newest>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { core, ceremonies, log, newest, metrics, tries: Mutex::default() }
    }

    /// Judges a party's half of what somebody read off a piece of a PSD about which they may ask.
    ///
    /// # Errors
    ///
    /// What is asked is malformed or not permitted, nobody can judge it at present, or whoever asks has no try left.
    pub(super) async fn judge(
        &self,
        asker: &str,
        party: Party,
        body: &[u8],
        may: impl FnOnce(PsdId) -> Result<(), Failure>,
    ) -> Result<Vec<u8>, Failure> {
        let query: TokenQuery<'_> = psdd_wire::read(body).map_err(|error| Failure::malformed(error.to_string()))?;
        let unknown = || Failure::unknown_psd(&query.psd);
        let psd: PsdId = query.psd.parse().ok().ok_or_else(unknown)?;
        may(psd)?;
        let mut view = self.core.view(Sight::Psd(psd))?.await.ok().ok_or_else(Failure::stopping)?;
        let (_, state) = view.psds.pop().ok_or_else(unknown)?;
        let data = token_data(psd, &query)
            .map_err(|error| Failure::lasting(StatusCode::BAD_REQUEST, error.code(), error.to_string()))?;
        let verdict = match DigitalToken::parse(&query.token, Lengths::default()) {
            Err(error) => Found { verdict: HalfVerdict::Misread, key: None, log: None, says: error.to_string() },
            Ok(token) => {
                let mut attempt = Attempt::of(&self.tries, asker)?;
                let keys = keys_of(&state.keys, party);
                let found = self.half(&token, party, &data, &keys, (psd, query.pieces), &mut attempt).await?;
                if found.is_wrong() {
                    Metrics::add(&self.metrics.digital_tokens_wrong, 1);
                    tracing::warn!(asker, %psd, pieces = query.pieces, half = %party, "a digital token does not hold");
                } else {
                    attempt.is_wrong = false;
                }
                found
            }
        };
        Metrics::add(&self.metrics.digital_tokens, 1);
        let Found { verdict, key, log, says } = verdict;
        Ok(psdd_wire::encode(&TokenVerdict {
            key,
            log: log.map(|(log, _)| log),
            psd,
            half: party.to_string(),
            leaf: log.and_then(|(_, leaf)| leaf),
            says,
            verdict,
            checkpoint: self.newest.note(),
        }))
    }

    async fn half(
        &self,
        token: &DigitalToken,
        party: Party,
        data: &TokenData,
        keys: &[Candidate],
        (psd, pieces): (PsdId, u64),
        attempt: &mut Attempt<'_>,
    ) -> Result<Found, Failure> {
        if keys.is_empty() {
            let detail =
                format!("the PSD never had a {} key in use, or it is destroyed: nobody can judge it", party.role());
            return Err(Failure::lasting(StatusCode::CONFLICT, "no-token-key", detail));
        }
        let message = data.message(party);
        let mac = |Candidate { key_id, token: name, .. }: &Candidate| {
            let (ceremonies, key_id, name) = (self.ceremonies.clone(), Arc::clone(key_id), Arc::clone(name));
            let message = message.clone();
            async move {
                let mac = beside(move || ceremonies.mac(&key_id, &name, &message, PATIENCE)).await?;
                mac.map_err(|failure| refused(&failure))
            }
        };
        let holding = made_by(keys, |mac| token.judge(party, mac).holds, mac, attempt).await?;
        let log = self.in_log(token, psd, pieces).await?;
        let verdict = if holding.is_some() { HalfVerdict::Holds } else { HalfVerdict::DoesNotHold };
        let says = says(party, verdict, log.0);
        Ok(Found { verdict, key: holding, log: Some(log), says })
    }

    /// What the log has for the piece of this number, and where.
    async fn in_log(&self, token: &DigitalToken, psd: PsdId, pieces: u64) -> Result<(InLog, Option<u64>), Failure> {
        let Some((leaf, bytes)) = self.log.read(move |log| log.digital_token(psd, pieces)).await? else {
            return Ok((InLog::None, None));
        };
        let stored = match Record::decode(&bytes).map(|record| record.event) {
            Ok(Event::Indicium(Indicium { stamp, token, .. })) if stamp.psd == psd => token,
            Ok(_) | Err(_) => {
                return Err(super::log_readers::damaged("the index of digital tokens names another record"));
            }
        };
        Ok((if stored == Some(*token) { InLog::Same } else { InLog::Other }, Some(leaf)))
    }
}

/// The generation of the key whose MAC holds. A key that cannot make its MAC now keeps no other from judging; where none holds, it may be the one, and
/// nobody can tell. What was compared by then was shown all the same.
async fn made_by<F: Future<Output = Result<[u8; 32], Failure>>>(
    keys: &[Candidate],
    holds: impl Fn(&[u8; 32]) -> bool,
    mac: impl Fn(&Candidate) -> F,
    attempt: &mut Attempt<'_>,
) -> Result<Option<u64>, Failure> {
    let mut failed = None;
    for key in keys {
        match mac(key).await {
            Ok(mac) => {
                attempt.is_wrong = true;
                if holds(&mac) {
                    return Ok(Some(u64::from(key.generation)));
                }
            }
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    failed.map_or(Ok(None), Err)
}

/// A key that may have made a half.
struct Candidate {
    key_id: Arc<[u8]>,
    token: Arc<str>,
    generation: u8,
}

/// Those of a party that were ever in use and are not gone, the newest first: what a key made holds after another took over.
fn keys_of(keys: &[CertifiedKey], party: Party) -> Vec<Candidate> {
    let of_role = keys.iter().rev().filter(|certified| certified.key.role == party.role());
    let alive = of_role.filter(|certified| certified.life.activated.is_some() && certified.life.destroyed.is_none());
    let candidate = |certified: &CertifiedKey| Candidate {
        key_id: Arc::clone(&certified.key.key_id),
        token: Arc::clone(&certified.key.token),
        generation: certified.key.generation(),
    };
    alive.map(candidate).collect()
}

struct Found {
    verdict: HalfVerdict,
    key: Option<u64>,
    log: Option<(InLog, Option<u64>)>,
    says: String,
}

impl Found {
    /// What the log has differently counts as well: else whoever makes one half himself could try the other one here.
    fn is_wrong(&self) -> bool {
        let other = matches!(self.log, Some((InLog::Other | InLog::None, _)));
        self.verdict == HalfVerdict::DoesNotHold || (self.verdict == HalfVerdict::Holds && other)
    }
}

fn says(party: Party, verdict: HalfVerdict, log: InLog) -> String {
    let half = match (party, verdict) {
        (Party::Vendor, HalfVerdict::Holds) => "the vendor's half is of these data",
        (Party::Vendor, _) => "the vendor's half is not of these data",
        (Party::Postal, HalfVerdict::Holds) => "the post's half is of these data",
        (Party::Postal, _) => "the post's half is not of these data",
    };
    let log = match log {
        InLog::Same => "the log has this token for the piece",
        InLog::Other => "the log has another token for the piece",
        InLog::None => "the log has no token for a piece of this number",
    };
    format!("{half}; {log}")
}

/// A token that is being judged: what becomes of the try when this ends, however it ends.
struct Attempt<'t> {
    tries: &'t Mutex<Tries>,
    asker: &'t str,
    /// Whether the try is spent: from the first MAC it was compared with until it is known to hold.
    is_wrong: bool,
}

impl<'t> Attempt<'t> {
    /// Begun before anything is judged, so that many at once are not more than one after the other.
    fn of(tries: &'t Mutex<Tries>, asker: &'t str) -> Result<Self, Failure> {
        lock(tries).begin(asker, Instant::now()).map_err(|refused| match refused {
            NoTry::Spent(wait) => spent(wait),
            NoTry::Judging => Failure::overloaded(),
        })?;
        Ok(Self { tries, asker, is_wrong: false })
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        lock(self.tries).end(self.asker, self.is_wrong, Instant::now());
    }
}

fn lock(tries: &Mutex<Tries>) -> std::sync::MutexGuard<'_, Tries> {
    tries.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spent(wait: Duration) -> Failure {
    let detail = format!(
        "{MOST_WRONG} digital tokens did not hold; one more can be shown in {} s, and another every {} s",
        wait.as_secs() + 1,
        ONE_MORE.as_secs()
    );
    // Nothing that a client should repeat by itself.
    Failure::lasting(StatusCode::TOO_MANY_REQUESTS, "token-tries-spent", detail)
}

/// Tokens of each client that are being judged, and wrong ones that are not forgiven yet.
#[derive(Default)]
struct Tries(HashMap<String, Spent>);

/// Why a client may not show a token now.
#[derive(PartialEq, Eq, Debug)]
enum NoTry {
    /// Too many did not hold; one more can be shown so much later.
    Spent(Duration),
    /// Too many might not hold that are being judged.
    Judging,
}

#[derive(Clone, Copy)]
struct Spent {
    judging: u32,
    wrong: u32,
    /// When the last of them was forgiven, or the first one shown.
    since: Instant,
}

/// Clients remembered before those that owe nothing are let go.
const REMEMBERED: usize = 1_024;

impl Tries {
    fn begin(&mut self, asker: &str, now: Instant) -> Result<(), NoTry> {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, spent| spent.judging > 0 || spent.at(now).wrong > 0);
        }
        let before = self.0.get(asker).map_or(Spent { judging: 0, wrong: 0, since: now }, |spent| spent.at(now));
        if before.wrong >= MOST_WRONG {
            return Err(NoTry::Spent(ONE_MORE.saturating_sub(now.duration_since(before.since))));
        }
        if before.wrong + before.judging >= MOST_WRONG {
            return Err(NoTry::Judging);
        }
        self.0.insert(asker.to_owned(), Spent { judging: before.judging + 1, ..before });
        Ok(())
    }

    fn end(&mut self, asker: &str, is_wrong: bool, now: Instant) {
        let Some(spent) = self.0.get_mut(asker) else { return };
        *spent = spent.at(now);
        spent.judging = spent.judging.saturating_sub(1);
        spent.wrong += u32::from(is_wrong);
    }
}

impl Spent {
    /// With what was forgiven since.
    fn at(self, now: Instant) -> Self {
        let periods = now.duration_since(self.since).as_secs() / ONE_MORE.as_secs();
        match u32::try_from(periods) {
            Ok(periods) if periods < self.wrong => {
                Self { wrong: self.wrong - periods, since: self.since + ONE_MORE * periods, ..self }
            }
            _ => Self { wrong: 0, since: now, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tries: &mut Tries, asker: &str, is_wrong: bool, now: Instant) -> Result<(), NoTry> {
        tries.begin(asker, now)?;
        tries.end(asker, is_wrong, now);
        Ok(())
    }

    #[test]
    fn a_client_has_so_many_tries_and_one_more_a_minute() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        let mut wrong = |asker, now| shown(&mut tries, asker, true, now);
        for _ in 0..MOST_WRONG {
            assert_eq!(wrong("acme", start), Ok(()));
        }
        assert_eq!(wrong("acme", start), Err(NoTry::Spent(ONE_MORE)));
        assert_eq!(wrong("acme", start + ONE_MORE / 2), Err(NoTry::Spent(ONE_MORE / 2)));
        assert_eq!(wrong("globex", start), Ok(()), "each client has its own");
        assert_eq!(wrong("acme", start + ONE_MORE), Ok(()));
        assert!(wrong("acme", start + ONE_MORE).is_err(), "one, and not all");
        let later = start + ONE_MORE * (MOST_WRONG + 1);
        for _ in 0..MOST_WRONG {
            assert_eq!(wrong("acme", later), Ok(()));
        }
        assert!(wrong("acme", later).is_err());
    }

    #[test]
    fn what_holds_spends_nothing() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        for _ in 0..3 * MOST_WRONG {
            assert_eq!(shown(&mut tries, "acme", false, now), Ok(()));
        }
        for _ in 0..MOST_WRONG {
            assert_eq!(shown(&mut tries, "acme", true, now), Ok(()));
        }
        assert!(shown(&mut tries, "acme", true, now).is_err());
    }

    #[test]
    fn tokens_judged_at_once_are_no_more_than_one_after_the_other_and_none_is_called_wrong() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        shown(&mut tries, "acme", true, now).unwrap();
        for _ in 1..MOST_WRONG {
            assert_eq!(tries.begin("acme", now), Ok(()));
        }
        assert_eq!(tries.begin("acme", now), Err(NoTry::Judging), "any of these may be wrong");
        tries.end("acme", false, now);
        assert_eq!(tries.begin("acme", now), Ok(()));
    }

    #[test]
    fn clients_that_owe_nothing_are_forgotten() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        for number in 0..3 * REMEMBERED {
            assert_eq!(shown(&mut tries, &format!("client {number}"), false, start), Ok(()));
        }
        assert!(tries.0.len() <= REMEMBERED, "{}", tries.0.len());
    }

    fn down() -> Failure {
        Failure::passing("token-unavailable", "it does not answer", 100)
    }

    /// What generation made the half, and how many tries are spent, where the newest of two keys makes `newest` and the older one `older`.
    async fn judged(newest: Result<u8, ()>, older: Result<u8, ()>) -> (Result<Option<u64>, &'static str>, u32) {
        let key = |generation| Candidate { key_id: [generation].into(), token: "t".into(), generation };
        let mac = |key: &Candidate| {
            let made = if key.generation == 2 { newest } else { older };
            std::future::ready(made.map(|byte| [byte; 32]).map_err(|()| down()))
        };
        let tries = Mutex::default();
        let mut attempt = Attempt::of(&tries, "acme").ok().unwrap();
        let found = made_by(&[key(2), key(1)], |mac| mac[0] == 7, mac, &mut attempt).await;
        if matches!(found, Ok(Some(_))) {
            attempt.is_wrong = false;
        }
        drop(attempt);
        let wrong = lock(&tries).0["acme"].wrong;
        (found.map_err(|_failure| "failed"), wrong)
    }

    /// Else whoever knows of a key that does not answer could try as often as he likes.
    #[tokio::test]
    async fn what_a_key_was_compared_with_is_spent_though_another_does_not_answer() {
        assert_eq!(judged(Ok(1), Err(())).await, (Err("failed"), 1), "the older key may have made it");
        assert_eq!(judged(Err(()), Ok(1)).await, (Err("failed"), 1));
        assert_eq!(judged(Err(()), Ok(7)).await, (Ok(Some(1)), 0), "the newest keeps no other from judging");
        assert_eq!(judged(Ok(7), Err(())).await, (Ok(Some(2)), 0));
        assert_eq!(judged(Ok(1), Ok(1)).await, (Ok(None), 1));
        assert_eq!(judged(Err(()), Err(())).await, (Err("failed"), 0), "nothing was compared");
    }

    #[test]
    fn a_half_that_holds_beside_another_token_in_the_log_is_wrong() {
        let found = |verdict, log| Found { verdict, key: None, log: Some((log, None)), says: String::new() };
        let rows = [
            (HalfVerdict::Holds, InLog::Same, false),
            (HalfVerdict::Holds, InLog::Other, true),
            (HalfVerdict::Holds, InLog::None, true),
            (HalfVerdict::DoesNotHold, InLog::Same, true),
            (HalfVerdict::DoesNotHold, InLog::None, true),
        ];
        for (verdict, log, wrong) in rows {
            assert_eq!(found(verdict, log).is_wrong(), wrong, "{verdict:?} {log:?}");
        }
    }
}

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
                // Taken before anything is judged, so that many at once are not more than one after the other.
                self.tries().take(asker, Instant::now()).map_err(spent)?;
                let keys = keys_of(&state.keys, party);
                let found = self.half(&token, party, &data, &keys, (psd, query.pieces)).await;
                let is_wrong = found.as_ref().is_ok_and(Found::is_wrong);
                if is_wrong {
                    Metrics::add(&self.metrics.digital_tokens_wrong, 1);
                    tracing::warn!(asker, %psd, pieces = query.pieces, half = %party, "a digital token does not hold");
                } else {
                    self.tries().give_back(asker);
                }
                found?
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
    ) -> Result<Found, Failure> {
        if keys.is_empty() {
            let detail =
                format!("the PSD never had a {} key in use, or it is destroyed: nobody can judge it", party.role());
            return Err(Failure::lasting(StatusCode::CONFLICT, "no-token-key", detail));
        }
        let mut holding = None;
        for Candidate { key_id, token: name, generation } in keys {
            let (ceremonies, key_id, name) = (self.ceremonies.clone(), Arc::clone(key_id), Arc::clone(name));
            let message = data.message(party);
            let mac = beside(move || ceremonies.mac(&key_id, &name, &message, PATIENCE)).await?;
            if token.judge(party, &mac.map_err(|failure| refused(&failure))?).holds {
                holding = Some(u64::from(*generation));
                break;
            }
        }
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

    fn tries(&self) -> std::sync::MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

fn spent(wait: Duration) -> Failure {
    let detail = format!(
        "{MOST_WRONG} digital tokens did not hold; one more can be shown in {} s, and another every {} s",
        wait.as_secs() + 1,
        ONE_MORE.as_secs()
    );
    // Nothing that a client should repeat by itself.
    Failure::lasting(StatusCode::TOO_MANY_REQUESTS, "token-tries-spent", detail)
}

/// Wrong tokens of each client that are not forgiven yet.
#[derive(Default)]
struct Tries(HashMap<String, Spent>);

#[derive(Clone, Copy)]
struct Spent {
    wrong: u32,
    /// When the last of them was forgiven, or the first one shown.
    since: Instant,
}

/// Clients remembered before those that owe nothing are let go.
const REMEMBERED: usize = 1_024;

impl Tries {
    /// Takes a try, or says how long there is none.
    fn take(&mut self, asker: &str, now: Instant) -> Result<(), Duration> {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, spent| spent.at(now).wrong > 0);
        }
        let before = self.0.get(asker).map_or(Spent { wrong: 0, since: now }, |spent| spent.at(now));
        if before.wrong >= MOST_WRONG {
            return Err(ONE_MORE.saturating_sub(now.duration_since(before.since)));
        }
        let since = if before.wrong == 0 { now } else { before.since };
        self.0.insert(asker.to_owned(), Spent { wrong: before.wrong + 1, since });
        Ok(())
    }

    /// What was shown holds, or was not judged.
    fn give_back(&mut self, asker: &str) {
        if let Some(spent) = self.0.get_mut(asker) {
            spent.wrong = spent.wrong.saturating_sub(1);
        }
    }
}

impl Spent {
    /// With what was forgiven since.
    fn at(self, now: Instant) -> Self {
        let periods = now.duration_since(self.since).as_secs() / ONE_MORE.as_secs();
        match u32::try_from(periods) {
            Ok(periods) if periods < self.wrong => {
                Self { wrong: self.wrong - periods, since: self.since + ONE_MORE * periods }
            }
            _ => Self { wrong: 0, since: now },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_tries_and_one_more_a_minute() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        for _ in 0..MOST_WRONG {
            assert_eq!(tries.take("acme", start), Ok(()));
        }
        assert_eq!(tries.take("acme", start), Err(ONE_MORE));
        assert_eq!(tries.take("acme", start + ONE_MORE / 2), Err(ONE_MORE / 2));
        assert_eq!(tries.take("globex", start), Ok(()), "each client has its own");
        assert_eq!(tries.take("acme", start + ONE_MORE), Ok(()));
        assert!(tries.take("acme", start + ONE_MORE).is_err(), "one, and not all");
        let later = start + ONE_MORE * (MOST_WRONG + 1);
        for _ in 0..MOST_WRONG {
            assert_eq!(tries.take("acme", later), Ok(()));
        }
        assert!(tries.take("acme", later).is_err());
    }

    #[test]
    fn what_holds_spends_nothing() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        for _ in 0..3 * MOST_WRONG {
            assert_eq!(tries.take("acme", now), Ok(()));
            tries.give_back("acme");
        }
        for _ in 0..MOST_WRONG {
            assert_eq!(tries.take("acme", now), Ok(()));
        }
        assert!(tries.take("acme", now).is_err());
    }

    #[test]
    fn clients_that_owe_nothing_are_forgotten() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        for number in 0..3 * REMEMBERED {
            let asker = format!("client {number}");
            assert_eq!(tries.take(&asker, start), Ok(()));
            tries.give_back(&asker);
        }
        assert!(tries.0.len() <= REMEMBERED, "{}", tries.0.len());
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

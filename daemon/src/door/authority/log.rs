//! Reading the log for others: off the core, on few threads, and in few answers at a time.
//!
//! A bundle can have 16 MiB, and a client may be slow to take it: so an answer counts until its last byte has left.

use super::AuthorityState;
use crate::door::failure::{Answer, Failure, SOON_MS};
use crate::door::log_readers::LogReaders;
use http::StatusCode;
use hyper::body::Bytes;
use psdd_ledger::LogReader;
use psdd_ledger::tile::TileError;
use psdd_wire::problem::Problem;
use psdd_wire::tlog::{TileOf, TilePath};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers about the log that are asked for, read or on their way out.
const ANSWERS: usize = 32;
/// Of them, those of one inspector: who takes none of what was asked for keeps others from nothing.
const ANSWERS_OF_ONE: usize = 8;

/// Answers about the log, and who reads for them.
pub struct LogAnswers {
    readers: Arc<LogReaders>,
    answers: Arc<Semaphore>,
    /// Answers of each inspector, by name.
    of: Arc<Mutex<HashMap<String, usize>>>,
}

/// One of the answers there may be at a time.
pub(super) struct Place {
    inspector: String,
    of: Arc<Mutex<HashMap<String, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        match of.get_mut(&self.inspector) {
            Some(answers) if *answers > 1 => *answers -= 1,
            _ => drop(of.remove(&self.inspector)),
        }
    }
}

impl LogAnswers {
    /// With these readers.
    pub fn new(readers: Arc<LogReaders>) -> Self {
        Self { readers, answers: Arc::new(Semaphore::new(ANSWERS)), of: Arc::default() }
    }

    /// A place for an answer to this inspector, or `overloaded`.
    pub(super) fn place(&self, inspector: &str) -> Result<Place, Failure> {
        let overloaded = |count: usize, whose: &str| {
            let detail = format!("{count} answers about the log {whose}are under way; come back when some have left");
            Failure::passing("overloaded", detail, SOON_MS)
        };
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = of.get(inspector).copied().unwrap_or(0);
        if answers >= ANSWERS_OF_ONE {
            return Err(overloaded(ANSWERS_OF_ONE, "to you "));
        }
        let permit = Arc::clone(&self.answers).try_acquire_owned().ok().ok_or_else(|| overloaded(ANSWERS, ""))?;
        of.insert(inspector.to_owned(), answers + 1);
        Ok(Place { inspector: inspector.to_owned(), of: Arc::clone(&self.of), _permit: permit })
    }

    /// Reads for whoever has a place.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        _of: &Place,
        read: impl FnOnce(&LogReader) -> Result<T, TileError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.readers.read(read).await
    }
}

/// No checkpoint covers what was asked for; where it is in the log already, one will soon.
pub(super) fn not_published(state: &AuthorityState, needed: Option<u64>) -> Failure {
    let (covered, written) = (state.newest.size(), state.log_size.load(Ordering::Relaxed));
    let detail = format!("the newest checkpoint covers {covered} records, and nothing beyond it is given out");
    let problem = match needed {
        Some(needed) if needed <= written => Problem::passing("not-published", detail, SOON_MS),
        Some(_) | None => Problem::lasting("not-published", detail),
    };
    Failure { status: StatusCode::NOT_FOUND, problem, allow: None }
}

/// `/log/checkpoint`: the newest, as a C2SP signed note.
pub(super) fn checkpoint(state: &AuthorityState) -> Result<Answer, Failure> {
    let note = state.newest.note().ok_or_else(|| not_published(state, Some(1)))?;
    Ok(Answer::of("text/plain; charset=utf-8", note.into()))
}

/// Keeps the place until the last byte has left.
struct Leaving {
    bytes: Vec<u8>,
    _place: Place,
}

impl AsRef<[u8]> for Leaving {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// `/log/tile/…`, the segments behind it.
pub(super) async fn tile(state: &AuthorityState, inspector: &str, segments: &[&str]) -> Result<Answer, Failure> {
    let tile = TilePath::parse(segments).ok_or_else(Failure::no_such_route)?;
    if !tile.lies_within(state.newest.size()) {
        return Err(not_published(state, None));
    }
    let place = state.log.place(inspector)?;
    let (number, width) = (tile.number, tile.width());
    let bytes = state.log.read(&place, move |log| match tile.of {
        TileOf::Hashes(level) => log.hashes(level, number, width),
        TileOf::Entries => log.bundle(number, width),
    });
    let answer =
        Answer::of("application/octet-stream", Bytes::from_owner(Leaving { bytes: bytes.await?, _place: place }));
    Ok(if tile.partial.is_none() { answer.immutable() } else { answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_until_its_last_byte_has_left() {
        let readers = LogAnswers::new(LogReaders::none());
        let leaving = |name: &str| {
            let place = readers.place(name).unwrap();
            Bytes::from_owner(Leaving { bytes: vec![7; 10], _place: place })
        };
        let mut mine: Vec<Bytes> = (0..ANSWERS_OF_ONE).map(|_| leaving("one")).collect();
        let refused = readers.place("one").err().unwrap();
        assert_eq!((refused.status.as_u16(), refused.problem.facts.code.as_str()), (503, "overloaded"));
        assert!(readers.place("two").is_ok(), "who takes nothing keeps others from nothing");
        // Half of it is on its way, the other half is not.
        let rest = mine[0].split_off(5);
        assert!(readers.place("one").is_err());
        mine.remove(0);
        assert!(readers.place("one").is_err());
        drop(rest);
        assert!(readers.place("one").is_ok());

        mine.push(leaving("one"));
        let others: Vec<Bytes> =
            (ANSWERS_OF_ONE..ANSWERS).map(|n| leaving(&format!("{}", n / ANSWERS_OF_ONE))).collect();
        assert!(readers.place("another").is_err(), "all places are taken");
        drop((mine, others));
        assert!(readers.place("another").is_ok() && readers.of.lock().unwrap().is_empty());
    }
}

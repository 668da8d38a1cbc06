//! The books failed: nothing may be retried in memory.

use crate::keys::SignError;

/// A read or write that failed. The process must stop, unless [`Fault::is_busy`] says that nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// SQLite.
    #[error("the books: {step} failed: {source}")]
    Store {
        /// What was being done.
        step: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The books hold what they cannot.
    #[error("the books are broken: {0}")]
    Broken(String),
    /// The funds key or an instruction key.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A transaction failed before.
    #[error("the books failed before; start again")]
    Dead,
}

const BEGIN: &str = "beginning a transaction";

impl Fault {
    pub(super) fn begin(source: rusqlite::Error) -> Self {
        Fault::Store { step: BEGIN, source }
    }

    pub(super) fn broken(what: impl Into<String>) -> Self {
        Fault::Broken(what.into())
    }

    /// Whether another process held the books for too long: nothing was begun, and the same may be tried again.
    pub fn is_busy(&self) -> bool {
        let Fault::Store { step, source } = self else { return false };
        *step == BEGIN && source.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
    }
}

pub(super) trait AtStep<T> {
    fn at(self, step: &'static str) -> Result<T, Fault>;
}

impl<T> AtStep<T> for Result<T, rusqlite::Error> {
    fn at(self, step: &'static str) -> Result<T, Fault> {
        self.map_err(|source| Fault::Store { step, source })
    }
}

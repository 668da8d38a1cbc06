//! Reading the log off the core, on few threads: each has a connection to the ledger of its own.

use super::failure::Failure;
use crate::spine::{Fatal, die};
use http::StatusCode;
use psdd_ledger::tile::TileError;
use psdd_ledger::{LogReader, StoreFault};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Readers, of which each reads for one at a time.
pub struct LogReaders {
    idle: Mutex<Vec<LogReader>>,
    reading: Arc<Semaphore>,
}

impl LogReaders {
    /// So many over the ledger in a state directory.
    pub fn open(state_dir: &Path, readers: usize) -> Result<Arc<Self>, StoreFault> {
        let idle = (0..readers).map(|_| LogReader::open(state_dir)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { idle: Mutex::new(idle), reading: Arc::new(Semaphore::new(readers)) }))
    }

    /// None at all, for tests of what is around them.
    #[cfg(test)]
    pub(super) fn none() -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), reading: Arc::new(Semaphore::new(0)) })
    }

    /// Reads on a thread of its own, when one is free. A read that was begun is finished, whether its client waits or not.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&LogReader) -> Result<T, TileError> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = Arc::clone(&self.reading).acquire_owned().await.ok().ok_or_else(Failure::stopping)?;
        let reader = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (reader, back) = (reader.ok_or_else(Failure::stopping)?, Arc::clone(self));
        let outcome = tokio::task::spawn_blocking(move || {
            let outcome = read(&reader);
            back.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            drop(turn);
            outcome
        });
        match outcome.await {
            Ok(Ok(read)) => Ok(read),
            // As everywhere: a ledger that cannot be read ends the process.
            Ok(Err(TileError::Store(fault))) => die(&Fatal::Ledger(fault.to_string())),
            Ok(Err(damage)) => Err(damaged(&damage.to_string())),
            Err(_gone) => Err(Failure::stopping()),
        }
    }
}

/// What lies on the disk is not what was signed. Whoever asked is told, and so is the operator.
pub(super) fn damaged(what: &str) -> Failure {
    tracing::error!(what, "the log is damaged");
    let detail = format!("{what}: the ledger was altered or is damaged; `psdctl ledger verify` says where");
    Failure::lasting(StatusCode::INTERNAL_SERVER_ERROR, "log-damaged", detail)
}

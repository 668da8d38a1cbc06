//! Copies the WAL into the database beside the writer, so that commits do not wait for megabytes to be synced.

use crate::{StoreFault, schema};
use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};

/// A thread with a connection of its own, which works when asked.
pub(crate) struct Copier {
    ask: Option<SyncSender<()>>,
    told: Receiver<Result<(), StoreFault>>,
    thread: Option<JoinHandle<()>>,
    working: bool,
}

/// How far a copy is.
pub(crate) enum Copy {
    /// None was asked for.
    Idle,
    /// Under way.
    Working,
    /// Done since the last look.
    Done,
}

impl Copier {
    pub(crate) fn start(path: &Path) -> Result<Self, StoreFault> {
        let connection = schema::writer(path)?;
        let (ask, asked) = sync_channel::<()>(1);
        let (tell, told) = sync_channel(1);
        let thread = Builder::new().name("ledger-wal".to_owned()).spawn(move || work(&connection, &asked, &tell));
        let thread = thread.ok().ok_or_else(|| StoreFault::broken("starting the copier", "no thread can be had"))?;
        Ok(Self { ask: Some(ask), told, thread: Some(thread), working: false })
    }

    /// Asks for a copy; only while none is under way.
    pub(crate) fn begin(&mut self) -> Result<(), StoreFault> {
        let sent = self.ask.as_ref().is_some_and(|ask| ask.try_send(()).is_ok());
        self.working = true;
        if sent { Ok(()) } else { Err(gone()) }
    }

    /// Looks how far it is; the error of a copy that failed comes from here.
    pub(crate) fn look(&mut self) -> Result<Copy, StoreFault> {
        if !self.working {
            return Ok(Copy::Idle);
        }
        match self.told.try_recv() {
            Ok(result) => self.done(result),
            Err(TryRecvError::Empty) => Ok(Copy::Working),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }

    /// Waits for the copy under way.
    pub(crate) fn finish(&mut self) -> Result<Copy, StoreFault> {
        if !self.working {
            return Ok(Copy::Idle);
        }
        match self.told.recv() {
            Ok(result) => self.done(result),
            Err(_) => Err(gone()),
        }
    }

    fn done(&mut self, result: Result<(), StoreFault>) -> Result<Copy, StoreFault> {
        self.working = false;
        result.map(|()| Copy::Done)
    }
}

fn gone() -> StoreFault {
    StoreFault::broken("checkpointing the WAL", "the thread that does it is gone")
}

fn work(connection: &Connection, asked: &Receiver<()>, tell: &SyncSender<Result<(), StoreFault>>) {
    while asked.recv().is_ok() {
        let result = schema::copy_wal(connection, schema::Wait::No).map(drop);
        let failed = result.is_err();
        if tell.send(result).is_err() || failed {
            return;
        }
    }
}

impl Drop for Copier {
    /// The thread must let go of its connection before the ledger counts as closed.
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that copies the WAL panicked");
        }
    }
}

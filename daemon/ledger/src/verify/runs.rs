//! Mail runs on the walk: every piece under the terms of its run, and every closing the sum of its pieces.

use super::finding::Fault;
use super::walk::{Stop, found};
use crate::rows;
use psd::certification::Certification;
use psd::record::{Event, InRun};
use psd::run::Tally;
use psd::{PsdId, RunId};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// The runs that are open where the walk is, counted so far.
#[derive(Default)]
pub(super) struct OpenRuns {
    open: BTreeMap<(PsdId, RunId), (u64, Tally)>,
    /// Pieces in runs, those of runs that are over included.
    pub(super) pieces: u64,
}

impl OpenRuns {
    /// A piece of a run.
    pub(super) fn piece(
        &mut self,
        connection: &Connection,
        leaf: u64,
        (psd, run): (PsdId, &InRun),
        certification: &Certification,
    ) -> Result<(), Stop> {
        let wrong = |what| found(leaf, Fault::Run { run: run.id.clone(), what });
        let (opened, tally) = self.open.get_mut(&(psd, run.id.clone())).ok_or_else(|| wrong("the run is not open"))?;
        tally.count(certification, &run.dues).map_err(|error| wrong(error.0))?;
        if !rows::in_run(connection, *opened, leaf)? {
            return Err(wrong("the index of pieces of runs has no row for the piece"));
        }
        self.pieces += 1;
        Ok(())
    }

    /// Whatever is no piece.
    pub(super) fn note(&mut self, leaf: u64, event: &Event) -> Result<(), Fault> {
        match event {
            Event::RunOpened { stamp, run, .. } => {
                self.open.insert((stamp.psd, run.id.clone()), (leaf, Tally::of(run)));
                Ok(())
            }
            Event::RunClosed { stamp, closed, .. } => {
                let wrong = |what| Fault::Run { run: closed.id.clone(), what };
                let run = self.open.remove(&(stamp.psd, closed.id.clone()));
                let (opened, tally) = run.ok_or_else(|| wrong("the run is not open"))?;
                let tariffs: Vec<u8> = closed.counted.iter().map(|counted| counted.tariff).collect();
                let same = tally.close(opened, &tariffs).is_some_and(|counted| counted == **closed);
                if same { Ok(()) } else { Err(wrong("its closing is not the sum of its pieces")) }
            }
            _ => Ok(()),
        }
    }
}

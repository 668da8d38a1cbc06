//! Mail runs: every piece under the terms of its run, and every closing the sum of its pieces.

use super::{Fold, FoldError};
use crate::finding::Code;
use crate::mirror::Mirror;
use psd::certification;
use psd::record::{CertifiedPiece, Event, Record, run_slot};
use psd::run::Tally;
use psd::{PsdId, RunId, UnixMillis};
use std::collections::BTreeMap;

/// The runs that are open, each with the leaf that opened it, counted so far. Memory grows with their ZIPs, not with their pieces.
pub(super) type OpenRuns = BTreeMap<(PsdId, RunId), (u64, Tally)>;

impl Fold {
    /// Counts a piece of a run.
    pub(super) fn piece_of_run(&mut self, leaf: u64, time: UnixMillis, piece: &CertifiedPiece) {
        let Some(run) = &piece.run else { return };
        let psd = piece.stamp.psd;
        let what = match self.runs.get_mut(&(psd, run.id.clone())) {
            // That it is not open, the rules of the PSD find.
            None => return,
            // So is what cannot be read.
            Some((_, tally)) => match certification::decode(&piece.certification) {
                Ok(read) => tally.count(&read.certification, &run.dues).err(),
                Err(_) => return,
            },
        };
        if let Some(error) = what {
            let says = format!("the piece at record {leaf} is not of run {} as it was announced: {}", run.id, error.0);
            self.find(Code::RunContradicted, Some(psd), &[leaf], time, says);
        }
    }

    /// Begins to count a run that is opened, and holds the sum of one that is closed against its pieces.
    pub(super) fn run(&mut self, leaf: u64, record: &Record) {
        match &record.event {
            Event::RunOpened { stamp, run, .. } => {
                self.runs.insert((stamp.psd, run.id.clone()), (leaf, Tally::of(run)));
            }
            Event::RunClosed { stamp, closed, .. } => {
                let Some((opened, tally)) = self.runs.remove(&(stamp.psd, closed.id.clone())) else { return };
                let tariffs: Vec<u8> = closed.counted.iter().map(|counted| counted.tariff).collect();
                if tally.close(opened, &tariffs).is_some_and(|counted| counted == **closed) {
                    return;
                }
                let says = format!(
                    "record {leaf} closes run {} with {} pieces, {} owed and {} debited before, and its pieces come to something else",
                    closed.id,
                    closed.pieces(),
                    closed.owed,
                    closed.debited
                );
                self.find(Code::RunContradicted, Some(stamp.psd), &[opened, leaf], record.at.time, says);
            }
            _ => {}
        }
    }

    /// Counts the runs again that were open when the state was saved; what was wrong with their pieces was found then.
    pub(super) fn resume_runs(&mut self, mirror: &mut Mirror) -> Result<(), FoldError> {
        let Some(appliance) = &self.appliance else { return Ok(()) };
        for (psd, device) in &appliance.psds {
            for run in device.state().runs.open() {
                let opened = self.facts.psds.get(psd).and_then(|facts| facts.live.get(&run_slot(&run.id)));
                let opened = *opened.ok_or(FoldError::Saved("a run is open that no record opened"))?;
                self.runs.insert((*psd, run.id.clone()), (opened, Tally::of(run)));
            }
        }
        let Some(first) = self.runs.values().map(|(opened, _)| *opened).min() else { return Ok(()) };
        for leaf in first..self.size {
            let Ok(Record { event: Event::Certification(piece), .. }) = Record::decode(mirror.entry(leaf)?) else {
                continue;
            };
            let Some(run) = &piece.run else { continue };
            let tally = self.runs.get_mut(&(piece.stamp.psd, run.id.clone()));
            if let Some((_, tally)) = tally.filter(|(opened, _)| *opened < leaf)
                && let Ok(read) = certification::decode(&piece.certification)
            {
                tally.count(&read.certification, &run.dues).ok();
            }
        }
        Ok(())
    }
}

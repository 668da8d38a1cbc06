//! The pieces of a run, counted and summed up.

use super::{ClosedRun, Counted, Run};
use crate::certification::Certification;
use crate::money::PostageAmount;
use std::sync::Arc;

/// The count of a run so far. Takes the memory of its ZIPs and tariffs, however many pieces there are.
#[derive(Clone, Debug)]
pub struct Tally {
    run: Arc<Run>,
    pieces: Vec<u32>,
    /// For each ZIP what its pieces owe beyond what was paid for them, under each tariff.
    owed: Vec<PostageAmount>,
    debited: PostageAmount,
}

/// A piece does not belong to the run it names; it was not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the piece is not of its run: {0}")]
pub struct NotOfRun(pub &'static str);

impl Tally {
    /// Of a run without a piece.
    pub fn of(run: &Arc<Run>) -> Self {
        let (zips, tariffs) = (run.destinations().len(), run.tariffs.len());
        Self {
            run: Arc::clone(run),
            pieces: vec![0; zips],
            owed: vec![PostageAmount::ZERO; zips * tariffs],
            debited: PostageAmount::ZERO,
        }
    }

    /// The run.
    pub const fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Counts a piece with what it owes under each tariff.
    ///
    /// # Errors
    ///
    /// When it is no piece of this run.
    pub fn count(&mut self, certification: &Certification, dues: &[PostageAmount]) -> Result<(), NotOfRun> {
        self.run.admits(certification, dues).map_err(NotOfRun)?;
        let place = self.run.place(certification.destination.zip()).ok_or(NotOfRun("its ZIP is not announced"))?;
        let beyond = NotOfRun("more than can be counted");
        let (paid, first) = (certification.paid.amount(), place * dues.len());
        let pieces = self.pieces[place].checked_add(1).ok_or(beyond)?;
        let debited = self.debited.checked_add(certification.shortfall()).ok_or(beyond)?;
        let owed = self.owed[first..first + dues.len()].iter().zip(dues).map(|(owed, due)| {
            let short = due.checked_sub(paid).unwrap_or(PostageAmount::ZERO);
            owed.checked_add(short).ok_or(beyond)
        });
        let owed = owed.collect::<Result<Vec<_>, _>>()?;
        self.owed[first..first + dues.len()].copy_from_slice(&owed);
        (self.pieces[place], self.debited) = (pieces, debited);
        Ok(())
    }

    /// ZIPs with their pieces, ascending; some may have none.
    pub fn counts(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.run.destinations().iter().zip(&self.pieces).map(|(to, pieces)| (to.zip, *pieces))
    }

    /// All pieces.
    pub fn total(&self) -> u64 {
        self.pieces.iter().copied().map(u64::from).sum()
    }

    /// The run as it is closed when each of its ZIPs has this tariff by the count; nothing where there are other than its ZIPs and tariffs, or
    /// the sum is beyond any amount. `opened` is the leaf of the record that opened it.
    pub fn close(&self, opened: u64, tariffs: &[u8]) -> Option<ClosedRun> {
        if tariffs.len() != self.pieces.len() {
            return None;
        }
        let (width, mut owed) = (self.run.tariffs.len(), PostageAmount::ZERO);
        for (place, tariff) in tariffs.iter().copied().map(usize::from).enumerate() {
            let here = self.owed[place * width..(place + 1) * width].get(tariff)?;
            owed = owed.checked_add(*here)?;
        }
        let counted =
            self.pieces.iter().zip(tariffs).map(|(pieces, tariff)| Counted { pieces: *pieces, tariff: *tariff });
        Some(ClosedRun { id: self.run.id.clone(), opened, owed, debited: self.debited, counted: counted.collect() })
    }
}

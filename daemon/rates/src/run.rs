//! What a run costs: its lines, and their sum.

use crate::rounding::Rounding;
use crate::table::Table;
use crate::tariff::Tariff;
use psd::PostageAmount;
use std::collections::BTreeMap;

/// Pieces of a run by tariff and price. Takes the memory of distinct prices, however many pieces there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunTotal {
    rounding: Rounding,
    lines: BTreeMap<(Tariff, PostageAmount), u64>,
    total: PostageAmount,
}

/// Pieces of one tariff and price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunLine {
    /// The tariff.
    pub tariff: Tariff,
    /// What each of them costs.
    pub price: PostageAmount,
    /// How many they are.
    pub pieces: u64,
    /// What they cost together, rounded as the table has it.
    pub amount: PostageAmount,
}

/// More than can be summed up; nothing was added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the run costs more than any amount this system holds")]
pub struct RunError;

impl RunTotal {
    /// A run without a piece, priced by a table.
    pub fn of(table: &Table) -> Self {
        Self { rounding: table.rounding(), lines: BTreeMap::new(), total: PostageAmount::ZERO }
    }

    /// Adds pieces of one price ([`Table::price`]).
    pub fn add(&mut self, tariff: Tariff, price: PostageAmount, pieces: u64) -> Result<(), RunError> {
        let before = self.lines.get(&(tariff, price)).copied().unwrap_or_default();
        let after = before.checked_add(pieces).ok_or(RunError)?;
        let amount = |pieces| self.rounding.line(price, pieces).ok_or(RunError);
        let rest = self.total.checked_sub(amount(before)?).ok_or(RunError)?;
        self.total = rest.checked_add(amount(after)?).ok_or(RunError)?;
        self.lines.insert((tariff, price), after);
        Ok(())
    }

    /// Its lines, by tariff and price.
    pub fn lines(&self) -> impl Iterator<Item = RunLine> + '_ {
        self.lines.iter().filter_map(|((tariff, price), pieces)| {
            let (tariff, price, pieces) = (*tariff, *price, *pieces);
            // Every line was rounded when it was added.
            let amount = self.rounding.line(price, pieces)?;
            Some(RunLine { tariff, price, pieces, amount })
        })
    }

    /// The sum of the lines.
    pub const fn total(&self) -> PostageAmount {
        self.total
    }
}

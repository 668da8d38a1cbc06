//! The value registers.
//!
//! Owns the arithmetic of value: ascending + descending = control total, always (DESIGN.md §4, guarantee 4).

use crate::money::PostageAmount;

/// The registers of a PSD (DOMAIN.md, "Words").
///
/// The control total is kept as a register of its own, because inspectors check it against the sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    ascending: PostageAmount,
    descending: PostageAmount,
    control_total: PostageAmount,
    piece_count: u64,
}

/// The registers cannot be moved that way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegisterError {
    /// The descending register is smaller than the debit.
    #[error("the descending register holds less than the debit")]
    InsufficientFunds,
    /// A register would leave its range.
    #[error("a register would leave its range")]
    Overflow,
    /// The three registers do not add up.
    #[error("ascending + descending is not the control total")]
    ControlTotal,
}

impl Registers {
    /// Registers read back from a record; refused unless they add up.
    pub fn from_parts(
        ascending: PostageAmount,
        descending: PostageAmount,
        control_total: PostageAmount,
        piece_count: u64,
    ) -> Result<Self, RegisterError> {
        if ascending.checked_add(descending) != Some(control_total) {
            return Err(RegisterError::ControlTotal);
        }
        Ok(Self { ascending, descending, control_total, piece_count })
    }

    /// Value ever used.
    pub fn ascending(&self) -> PostageAmount {
        self.ascending
    }

    /// Value left.
    pub fn descending(&self) -> PostageAmount {
        self.descending
    }

    /// Value ever loaded.
    pub fn control_total(&self) -> PostageAmount {
        self.control_total
    }

    /// Pieces ever signed.
    pub fn piece_count(&self) -> u64 {
        self.piece_count
    }

    /// The registers after one piece of this postage. The sum stays the control total.
    pub fn debited(self, postage: PostageAmount) -> Result<Self, RegisterError> {
        let descending = self.descending.checked_sub(postage).ok_or(RegisterError::InsufficientFunds)?;
        let ascending = self.ascending.checked_add(postage).ok_or(RegisterError::Overflow)?;
        let piece_count = self.piece_count.checked_add(1).ok_or(RegisterError::Overflow)?;
        Ok(Self { ascending, descending, control_total: self.control_total, piece_count })
    }

    /// The registers after a run was settled: a debit that is no piece.
    pub fn settled(self, amount: PostageAmount) -> Result<Self, RegisterError> {
        Ok(Self { piece_count: self.piece_count, ..self.debited(amount)? })
    }

    /// The registers after value was loaded.
    pub fn loaded(self, amount: PostageAmount) -> Result<Self, RegisterError> {
        let descending = self.descending.checked_add(amount).ok_or(RegisterError::Overflow)?;
        let control_total = self.control_total.checked_add(amount).ok_or(RegisterError::Overflow)?;
        Ok(Self { ascending: self.ascending, descending, control_total, piece_count: self.piece_count })
    }

    /// The registers after all that is left went back to the authority: descending zero, and the control total what was used.
    pub fn withdrawn(self) -> Self {
        Self { descending: PostageAmount::ZERO, control_total: self.ascending, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mills(mills: u64) -> PostageAmount {
        PostageAmount::from_mills(mills).unwrap()
    }

    proptest! {
        #[test]
        fn moves_keep_the_control_total(moves in prop::collection::vec((any::<bool>(), 0u64..1 << 40), 0..200)) {
            let mut registers = Registers::default();
            let (mut loaded, mut used, mut pieces) = (0u64, 0u64, 0u64);
            for (load, amount) in moves {
                let next = if load { registers.loaded(mills(amount)) } else { registers.debited(mills(amount)) };
                match next {
                    Ok(next) => {
                        registers = next;
                        if load { loaded += amount } else { used += amount; pieces += 1 }
                    }
                    Err(error) => {
                        prop_assert_eq!(error, RegisterError::InsufficientFunds);
                        prop_assert!(!load && amount > loaded - used);
                    }
                }
                prop_assert_eq!(registers.ascending().mills(), used);
                prop_assert_eq!(registers.descending().mills(), loaded - used);
                prop_assert_eq!(registers.control_total().mills(), loaded);
                prop_assert_eq!(registers.piece_count(), pieces);
            }
        }
    }

    #[test]
    fn registers_that_do_not_add_up_are_refused() {
        assert_eq!(Registers::from_parts(mills(1), mills(2), mills(4), 0), Err(RegisterError::ControlTotal));
        assert_eq!(Registers::from_parts(PostageAmount::MAX, mills(1), mills(0), 0), Err(RegisterError::ControlTotal));
        let full = Registers::default().loaded(PostageAmount::MAX).unwrap();
        assert_eq!(full.loaded(mills(1)), Err(RegisterError::Overflow));
    }
}

//! The parameters of a PSD that the licence sets (DOMAIN.md, "The PSD").

use crate::money::PostageAmount;

/// Limits on value, each in force for one PSD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Smallest postage of one piece.
    pub smallest_postage: PostageAmount,
    /// Largest postage of one piece.
    pub largest_postage: PostageAmount,
    /// Largest value the descending register may hold.
    pub largest_descending: PostageAmount,
    /// Smallest value of one download.
    pub smallest_refill: PostageAmount,
    /// Largest value of one download.
    pub largest_refill: PostageAmount,
}

/// Limits that contradict themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// The smallest postage is above the largest.
    #[error("the smallest postage is above the largest")]
    SmallestAboveLargest,
    /// A piece of no postage would not move the ascending register, and the token signs only what does.
    #[error("the smallest postage is zero")]
    SmallestIsZero,
    /// Not even one piece could ever be paid for.
    #[error("the largest descending register is below the smallest postage")]
    NoRoomForOnePiece,
    /// The smallest refill is above the largest.
    #[error("the smallest refill is above the largest")]
    SmallestRefillAboveLargest,
    /// Not even one refill would fit.
    #[error("the smallest refill is above the largest descending register")]
    NoRoomForOneRefill,
}

impl Limits {
    /// The limits themselves, if they leave room for at least one piece.
    pub fn checked(self) -> Result<Self, LimitsError> {
        if self.smallest_postage == PostageAmount::ZERO {
            return Err(LimitsError::SmallestIsZero);
        }
        if self.smallest_postage > self.largest_postage {
            return Err(LimitsError::SmallestAboveLargest);
        }
        if self.largest_descending < self.smallest_postage {
            return Err(LimitsError::NoRoomForOnePiece);
        }
        if self.smallest_refill > self.largest_refill {
            return Err(LimitsError::SmallestRefillAboveLargest);
        }
        if self.largest_descending < self.smallest_refill {
            return Err(LimitsError::NoRoomForOneRefill);
        }
        Ok(self)
    }
}

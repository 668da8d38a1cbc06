//! Statements that a download is void: the one thing that gives authorised value back to an account.

use super::{DownloadKind, DownloadState, PsdBook, Refusal, Verdict};
use crate::statement::Statement;
use psd::PostageAmount;

/// What a statement gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Voided {
    /// What was answered before.
    Repeat,
    /// The amount goes back to where it came from.
    Credit {
        /// What was authorised.
        amount: PostageAmount,
    },
    /// Nothing was authorised; a request of this number that comes later is refused.
    Unseen,
}

/// Judges a statement.
pub fn void_statement(book: &PsdBook, statement: &Statement) -> Verdict<Voided> {
    let claims = statement.claims();
    Verdict::of(|applied| {
        book.check_origin(claims)?;
        let Some(known) = &book.named else {
            book.check_standing()?;
            book.check_number(claims.sequence)?;
            *applied = book.check_previous(claims)?;
            return Ok(Voided::Unseen);
        };
        let number = known.number;
        match (known.state, known.kind) {
            (DownloadState::Void, _) => return Ok(Voided::Repeat),
            (_, DownloadKind::Withdrawal) => return Err(Refusal::VoidOfWithdrawal { number }),
            (DownloadState::Applied, _) => return Err(Refusal::VoidOfApplied { number }),
            (DownloadState::Authorised, DownloadKind::Value | DownloadKind::Refund | DownloadKind::Unseen) => {}
        }
        if claims.amount != known.amount {
            return Err(Refusal::Conflict { number });
        }
        let said = claims.registers.control_total;
        match book.booked.checked_sub(known.amount) {
            Some(before) if said == before => Ok(Voided::Credit { amount: known.amount }),
            _ if said == book.booked => Err(Refusal::VoidOfApplied { number }),
            _ => Err(Refusal::ControlTotal { said, booked: book.booked }),
        }
    })
}

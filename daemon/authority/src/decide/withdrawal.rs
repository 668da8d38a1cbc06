//! Withdrawal: all that the descending register holds goes back to the licence's account, and the PSD takes nothing again.

use super::{Download, DownloadKind, DownloadState, PsdBook, Refusal, Verdict};
use crate::statement::Statement;
use psd::{PostageAmount, UnixMillis};

/// What a request for withdrawal gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acknowledged {
    /// The acknowledgement that was given before.
    Repeat,
    /// A new acknowledgement of the same: the one before is past.
    Renew,
    /// An acknowledgement, and the credit.
    New {
        /// What goes back to the account.
        credit: PostageAmount,
        /// What is left of the control total: the ascending register.
        control_total: PostageAmount,
    },
}

/// Judges a request for withdrawal.
pub fn withdrawal_request(book: &PsdBook, statement: &Statement, now: UnixMillis) -> Verdict<Acknowledged> {
    let claims = statement.claims();
    Verdict::of(|applied| {
        book.check_origin(claims)?;
        if let Some(known) = &book.named {
            return repeated(known, statement, now);
        }
        book.check_standing()?;
        book.check_number(claims.sequence)?;
        *applied = book.check_previous(claims)?;
        let registers = &claims.registers;
        if claims.refund.is_some() || claims.amount != registers.descending {
            return Err(Refusal::WithdrawalAmount);
        }
        Ok(Acknowledged::New { credit: registers.descending, control_total: registers.ascending })
    })
}

fn repeated(known: &Download, statement: &Statement, now: UnixMillis) -> Result<Acknowledged, Refusal> {
    let number = known.number;
    if known.state == DownloadState::Void {
        return Err(Refusal::Void { number });
    }
    if known.request.as_ref() != Some(statement.digest()) {
        return Err(Refusal::Conflict { number });
    }
    match known.state {
        _ if now <= known.expires => Ok(Acknowledged::Repeat),
        DownloadState::Authorised => Ok(Acknowledged::Renew),
        DownloadState::Applied | DownloadState::Void => Err(Refusal::Withdrawn),
    }
}

/// Judges the final report. Gives the number of the download that is known to be applied by it.
pub fn withdrawal_report(book: &PsdBook, statement: &Statement) -> Verdict<()> {
    let claims = statement.claims();
    Verdict::of(|applied| {
        book.check_origin(claims)?;
        let number = claims.sequence;
        let withdrawal = book.named.as_ref().filter(|known| known.kind == DownloadKind::Withdrawal);
        let withdrawal = withdrawal.ok_or(Refusal::WithdrawalUnknown { number })?;
        let registers = &claims.registers;
        let right = registers.descending == PostageAmount::ZERO
            && registers.control_total == book.booked
            && claims.amount == withdrawal.amount;
        if !right {
            return Err(Refusal::WithdrawalRegisters { booked: book.booked });
        }
        *applied = Some(number);
        Ok(())
    })
}

//! Requests for value, and for the postage of spoiled marks.

use super::{Download, DownloadState, PsdBook, RefundCase, Refusal, Terms, Verdict};
use crate::statement::Statement;
use psd::{PostageAmount, UnixMillis};

/// What a request gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    /// The authorisation that was given before.
    Repeat,
    /// A new authorisation of the same number, amount and control total: the one before is past.
    Renew,
    /// An authorisation.
    New {
        /// After the download.
        control_total: PostageAmount,
    },
}

/// Judges a request. The order of the checks is the order of docs/authority.md.
pub fn value_request(
    book: &PsdBook,
    statement: &Statement,
    refund: Option<&RefundCase<'_>>,
    terms: &Terms,
    now: UnixMillis,
) -> Verdict<Grant> {
    let claims = statement.claims();
    Verdict::of(|applied| {
        book.check_origin(claims)?;
        if let Some(known) = &book.named {
            return repeated(book, known, statement, now);
        }
        book.check_standing()?;
        book.check_number(claims.sequence)?;
        *applied = book.check_previous(claims)?;
        if claims.amount == PostageAmount::ZERO {
            return Err(Refusal::NoAmount);
        }
        if book.licence_locked {
            return Err(Refusal::LicenceLocked);
        }
        let control_total = book.booked.checked_add(claims.amount).ok_or(Refusal::Overflow)?;
        match refund {
            Some(case) => case.judge(claims, terms, now)?,
            None if claims.amount > book.balance => {
                return Err(Refusal::FundsShort { balance: book.balance, amount: claims.amount });
            }
            None => {}
        }
        Ok(Grant::New { control_total })
    })
}

fn repeated(book: &PsdBook, known: &Download, statement: &Statement, now: UnixMillis) -> Result<Grant, Refusal> {
    let number = known.number;
    if known.state == DownloadState::Void {
        return Err(Refusal::Void { number });
    }
    if known.request.as_ref() != Some(statement.digest()) {
        return Err(Refusal::Conflict { number });
    }
    if book.licence_locked {
        return Err(Refusal::LicenceLocked);
    }
    match known.state {
        _ if now <= known.expires => Ok(Grant::Repeat),
        DownloadState::Authorised => book.check_standing().map(|()| Grant::Renew),
        DownloadState::Applied | DownloadState::Void => Err(Refusal::Applied { number }),
    }
}

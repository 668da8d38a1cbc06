//! The funds system: statements of PSDs in, signed answers out, each in one transaction of the books.
//!
//! Owns the way of a statement: parsed, its PSD looked up, its signature verified, judged by [`crate::decide`], booked, answered. An
//! answer is given out only after its transaction is on stable storage.

use crate::books::{Books, Entry, Fault, NewDownload};
use crate::decide::{
    self, Acknowledged, DownloadKind, Grant, PsdBook, RefundCase, Refusal, Terms, Verdict, Voided, read_mark,
};
use crate::keys::SigningKey;
use crate::statement::{Kind, Statement, StatementError, Unproven};
use psd::{LicenceNumber, PostageAmount, UnixMillis};
use psdd_wire::cose::{VALUE_AUTHORISATION, WITHDRAWAL_ACKNOWLEDGEMENT};
use psdd_wire::funds::{AccountResponse, FundsAcknowledgement, FundsAuthorisation, FundsClosed, FundsVoided};
use psdd_wire::message::{ValueAuthorisationClaims, ValueRequestClaims};

/// The funds system over its books.
pub struct FundsSystem {
    books: Books,
    key: SigningKey,
    terms: Terms,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FundsError {
    /// The statement is at fault, or what it asks for is not to be had.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The books failed: the process must stop, unless the fault says that nothing was begun.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A statement with the books it is judged by.
struct Case<'a> {
    entry: &'a Entry<'a>,
    statement: Statement,
    book: PsdBook,
    licence: LicenceNumber,
    now: UnixMillis,
}

impl FundsSystem {
    /// Over open books, with the funds key.
    pub fn new(books: Books, key: SigningKey, terms: Terms) -> Self {
        Self { books, key, terms }
    }

    /// The books, for what no statement of a PSD does.
    pub fn books(&mut self) -> &mut Books {
        &mut self.books
    }

    /// Has all that `act` enters in one transaction: one sync for many statements. What it gives may leave this process only after that.
    ///
    /// # Errors
    ///
    /// That of `act`, which ends the books; a fault of the transaction, which does as well unless it [is busy](Fault::is_busy).
    pub fn together<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.books.begin()?;
        match act(self) {
            Ok(done) => self.books.commit().map(|()| done),
            Err(fault) => {
                self.books.give_up();
                Err(fault)
            }
        }
    }

    /// Answers a request for value. `caller` is the appliance in the client's certificate; without one, everything may be carried.
    pub fn value_request(
        &mut self,
        caller: Option<&str>,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Result<FundsAuthorisation, FundsError> {
        let (key, terms) = (&self.key, self.terms);
        judged(&mut self.books, (Kind::ValueRequest, caller, bytes, now), |case| {
            let authorisation = match case.value_request(&terms)? {
                Ok(grant) => case.authorised(grant, key, &terms)?,
                Err(refusal) => return Ok(Err(refusal)),
            };
            Ok(Ok(FundsAuthorisation { balance: case.balance()?, authorisation }))
        })
    }

    /// Answers a statement that a download is void.
    pub fn void_statement(
        &mut self,
        caller: Option<&str>,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Result<FundsVoided, FundsError> {
        judged(&mut self.books, (Kind::ValueVoid, caller, bytes, now), |case| {
            let voided = match case.concluded(decide::void_statement(&case.book, &case.statement))? {
                Ok(voided) => voided,
                Err(refusal) => return Ok(Err(refusal)),
            };
            match (voided, &case.book.named) {
                (Voided::Credit { .. }, Some(known)) => {
                    case.entry.void(known, &case.statement, &case.licence, now)?;
                }
                (Voided::Unseen, _) => {
                    case.entry.void_unseen(&case.statement, now)?;
                    case.settle_gaps()?;
                }
                (Voided::Repeat | Voided::Credit { .. }, _) => {}
            }
            let credited = match voided {
                Voided::Credit { amount } => amount,
                Voided::Repeat => case.book.named.as_ref().map_or(PostageAmount::ZERO, |known| known.amount),
                Voided::Unseen => PostageAmount::ZERO,
            };
            let claims = case.statement.claims();
            let (psd, sequence) = (claims.psd, claims.sequence);
            Ok(Ok(FundsVoided { psd, balance: case.balance()?, credited, sequence }))
        })
    }

    /// Answers a request for withdrawal.
    pub fn withdrawal_request(
        &mut self,
        caller: Option<&str>,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Result<FundsAcknowledgement, FundsError> {
        let (key, terms) = (&self.key, self.terms);
        judged(&mut self.books, (Kind::WithdrawalRequest, caller, bytes, now), |case| {
            let verdict = decide::withdrawal_request(&case.book, &case.statement, now);
            let acknowledgement = match case.concluded(verdict)? {
                Ok(acknowledged) => case.acknowledged(acknowledged, key, &terms)?,
                Err(refusal) => return Ok(Err(refusal)),
            };
            Ok(Ok(FundsAcknowledgement { balance: case.balance()?, acknowledgement }))
        })
    }

    /// Answers the final report of a PSD.
    pub fn withdrawal_report(
        &mut self,
        caller: Option<&str>,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Result<FundsClosed, FundsError> {
        judged(&mut self.books, (Kind::WithdrawalReport, caller, bytes, now), |case| {
            if let Err(refusal) = case.concluded(decide::withdrawal_report(&case.book, &case.statement))? {
                return Ok(Err(refusal));
            }
            case.entry.close(&case.statement)?;
            let claims = case.statement.claims();
            Ok(Ok(FundsClosed { psd: claims.psd, balance: case.balance()?, sequence: claims.sequence }))
        })
    }

    /// The account of a licence. An appliance sees the licences that its PSDs are under.
    pub fn account(&mut self, caller: Option<&str>, licence: &str) -> Result<AccountResponse, FundsError> {
        let found = self.books.enter(|entry| {
            let Ok(number) = licence.parse::<LicenceNumber>() else { return Ok(None) };
            if let Some(appliance) = caller
                && !entry.covers(&number, appliance)?
            {
                return Ok(None);
            }
            entry.account(&number)
        })?;
        let shown = || licence.chars().take(64).collect();
        let account = found.ok_or_else(|| Refusal::UnknownLicence(shown()))?;
        Ok(AccountResponse {
            psds: account.licence.psds,
            balance: account.licence.balance,
            licence: account.licence.number.to_string(),
            deposited: account.deposited,
            authorised: account.authorised,
        })
    }
}

/// Parses, looks up and verifies, then acts, all in one transaction. A refusal is committed too: it may leave a finding.
fn judged<T>(
    books: &mut Books,
    (kind, caller, bytes, now): (Kind, Option<&str>, &[u8], UnixMillis),
    act: impl FnOnce(&Case<'_>) -> Result<Result<T, Refusal>, Fault>,
) -> Result<T, FundsError> {
    let unproven = Unproven::parse(kind, bytes).map_err(refused)?;
    let psd = unproven.psd();
    let outcome = books.enter(|entry| {
        let Some((appliance, licence)) = entry.registration(psd)? else { return Ok(Err(Refusal::UnknownPsd(psd))) };
        if let Some(client) = caller.filter(|client| *client != appliance.as_str()) {
            return Ok(Err(Refusal::NotPermitted { client: client.to_owned(), psd }));
        }
        let statement = match unproven.proven_by(&entry.device_keys(psd)?) {
            Ok(statement) => statement,
            Err(error) => return Ok(Err(refused(error))),
        };
        let book = entry.psd_book(psd, statement.claims().sequence, (appliance, &licence))?;
        entry.heard(statement.claims())?;
        act(&Case { entry, statement, book, licence, now })
    })?;
    Ok(outcome?)
}

fn refused(error: StatementError) -> Refusal {
    match error {
        StatementError::Malformed(_) | StatementError::Beyond(_) => Refusal::Malformed(error.to_string()),
        StatementError::Signature(psd) => Refusal::BadSignature(psd),
        StatementError::Revoked { psd, since } => Refusal::KeyRevoked { psd, since },
    }
}

impl Case<'_> {
    fn value_request(&self, terms: &Terms) -> Result<Result<Grant, Refusal>, Fault> {
        let claims = self.statement.claims();
        let keys = self.entry.mark_keys(claims.psd)?;
        let refund = claims.refund.as_ref().map(|refund| {
            let mark = read_mark(&refund.indicium);
            let digest = mark.as_ref().ok().map(decide::mark_digest);
            let earlier = self.entry.earlier_refund(&claims.appliance, refund.leaf, digest)?;
            Ok::<_, Fault>(RefundCase { mark, keys: &keys, earlier })
        });
        let refund = refund.transpose()?;
        self.concluded(decide::value_request(&self.book, &self.statement, refund.as_ref(), terms, self.now))
    }

    /// Books what a verdict proved, and the refusal where it is a finding.
    fn concluded<T>(&self, verdict: Verdict<T>) -> Result<Result<T, Refusal>, Fault> {
        let claims = self.statement.claims();
        if let Some(number) = verdict.applied {
            self.entry.set_applied(claims.psd, number)?;
        }
        if let Err(refusal) = &verdict.outcome {
            self.entry.note_finding(refusal, &self.statement, self.now)?;
        }
        Ok(verdict.outcome)
    }

    fn settle_gaps(&self) -> Result<(), Fault> {
        let claims = self.statement.claims();
        self.entry.settle_gaps(claims.psd, claims.sequence, self.now)
    }

    fn authorised(&self, grant: Grant, key: &SigningKey, terms: &Terms) -> Result<Vec<u8>, Fault> {
        let claims = self.statement.claims();
        let kind = if claims.refund.is_some() { DownloadKind::Refund } else { DownloadKind::Value };
        match grant {
            Grant::Repeat => self.repeat(),
            Grant::Renew => self.renew(VALUE_AUTHORISATION, key, terms),
            Grant::New { control_total } => self.anew(kind, control_total, VALUE_AUTHORISATION, key, terms),
        }
    }

    fn acknowledged(&self, acknowledged: Acknowledged, key: &SigningKey, terms: &Terms) -> Result<Vec<u8>, Fault> {
        match acknowledged {
            Acknowledged::Repeat => self.repeat(),
            Acknowledged::Renew => self.renew(WITHDRAWAL_ACKNOWLEDGEMENT, key, terms),
            Acknowledged::New { control_total, .. } => {
                self.anew(DownloadKind::Withdrawal, control_total, WITHDRAWAL_ACKNOWLEDGEMENT, key, terms)
            }
        }
    }

    fn repeat(&self) -> Result<Vec<u8>, Fault> {
        let claims = self.statement.claims();
        Ok(self.entry.authorisation(claims.psd, claims.sequence)?.0)
    }

    fn renew(&self, content_type: &str, key: &SigningKey, terms: &Terms) -> Result<Vec<u8>, Fault> {
        let claims = self.statement.claims();
        let (_, control_total) = self.entry.authorisation(claims.psd, claims.sequence)?;
        let expires = self.expires(terms)?;
        let bytes = key.sign(content_type, psdd_wire::encode(&answer(claims, control_total, expires)))?;
        self.entry.renew((claims.psd, claims.sequence), expires, &bytes, self.now)?;
        Ok(bytes)
    }

    fn anew(
        &self,
        kind: DownloadKind,
        control_total: PostageAmount,
        content_type: &str,
        key: &SigningKey,
        terms: &Terms,
    ) -> Result<Vec<u8>, Fault> {
        let expires = self.expires(terms)?;
        let bytes =
            key.sign(content_type, psdd_wire::encode(&answer(self.statement.claims(), control_total, expires)))?;
        let new = NewDownload { kind, statement: &self.statement, control_total, expires, bytes: &bytes };
        self.entry.authorise(&new, &self.licence, self.now)?;
        self.settle_gaps()?;
        Ok(bytes)
    }

    fn expires(&self, terms: &Terms) -> Result<UnixMillis, Fault> {
        let end = self.now.0.checked_add(terms.authorisation_ms);
        end.map(UnixMillis).ok_or_else(|| Fault::Broken("the clock of this machine is beyond all calendars".to_owned()))
    }

    fn balance(&self) -> Result<PostageAmount, Fault> {
        self.entry.licence_balance(&self.licence)
    }
}

fn answer(claims: &ValueRequestClaims, control_total: PostageAmount, expires: UnixMillis) -> ValueAuthorisationClaims {
    ValueAuthorisationClaims {
        psd: claims.psd,
        amount: claims.amount,
        refund: claims.refund.as_ref().map(|refund| refund.leaf),
        expires: expires.0,
        sequence: claims.sequence,
        appliance: claims.appliance.clone(),
        control_total,
    }
}

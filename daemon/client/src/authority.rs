//! The authority door, as inspectors see it: the log as evidence, every PSD, instructions.
//!
//! What comes back is read strictly by shape and by length. Whether it is what the appliance signed is judged with the log key of leaf 0, by
//! whoever holds that: [`psdd_wire::checkpoint`], [`psdd_wire::tlog`], [`psdd_wire::receipt`].

use crate::certify::plain_number;
use crate::client::is_psd;
use crate::config::ClientConfig;
use crate::digital_token::is_verdict;
use crate::error::{ClientError, ContractError, InputError};
use crate::exchange::{Call, Exchange, Expected};
use crate::operator::all_keys;
use bytes::Bytes;
use psd::PsdId;
use psd::certification::{Certification, decode};
use psd::digital_token::Party;
use psd::record::{Event, Record};
use psdd_wire::audit::{AuditRequest, AuditResponse, MOST_REPORTS};
use psdd_wire::message::{
    ApplianceResponse, CertificatesResponse, CertificationResponse, CertifiedPiece, Instruction, InstructionResponse,
    PsdResponse, PsdView, PsdsResponse, ScaleView, ScalesResponse, StatusResponse, TokenQuery, TokenVerdict,
};
use psdd_wire::operator::OperatorKeyView;
use psdd_wire::proof::{ConsistencyResponse, InclusionResponse, ReceiptResponse};
use psdd_wire::tlog::{TileOf, TilePath, records_of};
use std::sync::Arc;

const CHECKPOINT: &str = "/log/checkpoint";
/// Longest checkpoint: an origin of 73 characters, a size, a root and a signature line for each key a log could ever have.
const LONGEST_CHECKPOINT: usize = 16 << 10;

/// A handle on the authority door of one appliance. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct AuthorityClient {
    exchange: Arc<Exchange>,
}

impl AuthorityClient {
    /// Starts to connect, and does not wait for it: each call waits within its own deadline. Of the configuration, `verification` and
    /// `checkpoint` mean nothing here.
    ///
    /// Must be called inside a tokio runtime with IO and time.
    pub fn start(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { exchange: Arc::new(Exchange::start(config)?) })
    }

    /// The appliance: its name, version, environment and log key.
    pub async fn appliance(&self) -> Result<ApplianceResponse, ClientError> {
        self.exchange.ask(&Call::get("/v1/appliance".to_owned())).await
    }

    /// Every PSD of every tenant; committed state only.
    pub async fn psds(&self) -> Result<Vec<PsdView>, ClientError> {
        let told: PsdsResponse = self.exchange.ask(&Call::get("/v1/psds".to_owned())).await?;
        Ok(told.psds)
    }

    /// The registry of scales as the log has it, by name; each row names its record.
    pub async fn scales(&self) -> Result<Vec<ScaleView>, ClientError> {
        let told: ScalesResponse = self.exchange.ask(&Call::get("/v1/scales".to_owned())).await?;
        Ok(told.scales)
    }

    /// One PSD.
    pub async fn psd(&self, psd: PsdId) -> Result<PsdView, ClientError> {
        let told: PsdResponse = self.exchange.ask(&Call::get(format!("/v1/psds/{psd}"))).await?;
        is_psd(psd, told.psd.psd)?;
        Ok(told.psd)
    }

    /// Every generation of every key of a PSD.
    pub async fn certificates(&self, psd: PsdId) -> Result<CertificatesResponse, ClientError> {
        let told: CertificatesResponse = self.exchange.ask(&Call::get(format!("/v1/psds/{psd}/certificates"))).await?;
        is_psd(psd, told.psd)?;
        Ok(told)
    }

    /// The certification that has this number, as people write it, of whichever tenant. What it says is to be judged by its signature or its
    /// receipt.
    pub async fn certification_by_number(&self, number: &str) -> Result<(CertifiedPiece, Certification), ClientError> {
        let call = Call::get(format!("/v1/certifications/numbers/{}", plain_number(number)));
        let told: CertificationResponse = self.exchange.ask(&call).await?;
        let claims = claims_of(&told.piece);
        let (asked, told) = (number.to_owned(), told.piece);
        let other =
            || ContractError::OtherSubject { what: "the certification", asked, told: "no certification".to_owned() };
        let claims = claims.ok_or_else(other)?;
        Ok((told, claims))
    }

    /// Whether the post's half of a digital token, read off a piece of whichever tenant, holds.
    pub async fn judge_token(&self, query: &TokenQuery<'_>) -> Result<TokenVerdict, ClientError> {
        let call = Call::post("/v1/digital-tokens".to_owned(), psdd_wire::encode(query));
        let told: TokenVerdict = self.exchange.ask(&call).await?;
        is_verdict(query, Party::Postal, &told)?;
        Ok(told)
    }

    /// Every generation of every key, of one PSD or of all, with the daemon's time in milliseconds since 1970.
    pub async fn keys(&self, psd: Option<PsdId>) -> Result<(u64, Vec<OperatorKeyView>), ClientError> {
        all_keys(&self.exchange, psd).await
    }

    /// What the appliance says of every key of every tenant, COSE_Sign1 by its log key (`psdd_wire::status`).
    pub async fn status_list(&self) -> Result<Vec<u8>, ClientError> {
        let told: StatusResponse = self.exchange.ask(&Call::get("/v1/status".to_owned())).await?;
        Ok(told.list)
    }

    /// Has PSDs, or all, answer a challenge of 16 to 64 fresh bytes: reports, COSE_Sign1 each (`psdd_wire::audit`), in the order of
    /// device IDs, page after page. Every page is made of one look at committed state.
    pub async fn audit(&self, psds: Option<&[PsdId]>, challenge: &[u8]) -> Result<AuditResponse, ClientError> {
        let mut all = AuditResponse::default();
        let named = psds.into_iter().flat_map(|psds| psds.chunks(MOST_REPORTS)).map(Some);
        // None of a list is none, and not all.
        for psds in named.chain(psds.is_none().then_some(None)) {
            let psds: Option<Vec<String>> = psds.map(|psds| psds.iter().map(ToString::to_string).collect());
            let mut after = None;
            loop {
                let request = AuditRequest { psds: psds.clone(), after, challenge: challenge.to_vec() };
                let body = psdd_wire::encode(&request);
                let told: AuditResponse = self.exchange.ask(&Call::post("/v1/audits".to_owned(), body)).await?;
                all.reports.extend(told.reports);
                all.failures.extend(told.failures);
                all.checkpoint = told.checkpoint;
                after = told.next.filter(|next| request.after.as_ref() != Some(next));
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(all)
    }

    /// Brings an instruction (COSE_Sign1 by a key of the authority). Repeating it has no further effect.
    pub async fn carry_instruction(&self, instruction: &[u8]) -> Result<InstructionResponse, ClientError> {
        let body = psdd_wire::encode(&Instruction { instruction: instruction.to_vec() });
        self.exchange.ask(&Call::post("/v1/instructions".to_owned(), body)).await
    }

    /// A resource of the log by its path, `/log/checkpoint` or `/log/tile/…`, bounded by what it can be.
    pub async fn fetch(&self, path: &str) -> Result<Bytes, ClientError> {
        if path == CHECKPOINT {
            return self.checkpoint().await.map(Bytes::from);
        }
        let segments: Option<Vec<&str>> = path.strip_prefix("/log/tile/").map(|rest| rest.split('/').collect());
        let tile = segments.and_then(|segments| TilePath::parse(&segments));
        self.tile(&tile.ok_or_else(|| InputError::LogPath(path.chars().take(80).collect()))?).await
    }

    /// The newest checkpoint, a C2SP note (`psdd_wire::checkpoint`).
    pub async fn checkpoint(&self) -> Result<String, ClientError> {
        let answer = Expected { media: "text/plain; charset=utf-8", longest: LONGEST_CHECKPOINT };
        let call = Call { answer, ..Call::get(CHECKPOINT.to_owned()) };
        let note = self.exchange.answer(&call).await?.to_vec();
        let wrong = ContractError::LogResource { path: call.path, what: "not UTF-8" };
        Ok(String::from_utf8(note).ok().ok_or(wrong)?)
    }

    /// A tile: so many hashes of 32 bytes, or so many records, each behind its length.
    pub async fn tile(&self, tile: &TilePath) -> Result<Bytes, ClientError> {
        let answer = Expected { media: "application/octet-stream", longest: tile.longest() };
        let bytes = self.exchange.answer(&Call { answer, ..Call::get(tile.to_string()) }).await?;
        let what = match tile.of {
            TileOf::Hashes(_) if bytes.len() != tile.longest() => Some("another number of hashes"),
            TileOf::Entries if records_of(&bytes, tile.width()).is_none() => Some("another number of records"),
            TileOf::Hashes(_) | TileOf::Entries => None,
        };
        what.map_or(Ok(bytes), |what| Err(ContractError::LogResource { path: tile.to_string(), what }.into()))
    }

    /// The inclusion proof of a leaf in the tree of `size` leaves.
    pub async fn inclusion(&self, leaf: u64, size: u64) -> Result<InclusionResponse, ClientError> {
        let told: InclusionResponse =
            self.exchange.ask(&Call::get(format!("/v1/log/inclusion?leaf={leaf}&size={size}"))).await?;
        is("the proof", format!("of leaf {leaf} in {size}"), format!("of leaf {} in {}", told.leaf, told.size))?;
        Ok(told)
    }

    /// The consistency proof between the trees of `from` and `to` leaves.
    pub async fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyResponse, ClientError> {
        let told: ConsistencyResponse =
            self.exchange.ask(&Call::get(format!("/v1/log/consistency?from={from}&to={to}"))).await?;
        is("the proof", format!("from {from} to {to}"), format!("from {} to {}", told.from, told.to))?;
        Ok(told)
    }

    /// The record of a leaf and the receipt for it (`psdd_wire::receipt`); asked again until a checkpoint covers it, as often as retries
    /// are configured.
    pub async fn receipt(&self, leaf: u64) -> Result<ReceiptResponse, ClientError> {
        let told: ReceiptResponse = self.exchange.ask(&Call::get(format!("/v1/log/receipt?leaf={leaf}"))).await?;
        is("the receipt", format!("for leaf {leaf}"), format!("for leaf {}", told.leaf))?;
        Ok(told)
    }
}

/// What a certification claims, as it is told.
fn claims_of(piece: &CertifiedPiece) -> Option<Certification> {
    let read = match &piece.receipt {
        None => decode(&piece.certification).ok()?,
        Some(_) => match Record::decode(&piece.certification).ok()?.event {
            Event::Certification(recorded) => decode(&recorded.certification).ok()?,
            _ => return None,
        },
    };
    Some(read.certification)
}

fn is(what: &'static str, asked: String, told: String) -> Result<(), ContractError> {
    if asked == told { Ok(()) } else { Err(ContractError::OtherSubject { what, asked, told }) }
}

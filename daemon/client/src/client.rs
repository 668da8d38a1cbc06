//! The client: what a vendor backend calls.

use crate::config::ClientConfig;
use crate::error::{ClientError, ContractError};
use crate::exchange::{Call, Exchange};
use crate::tls;
use crate::verify::{Book, Checkpoints, History, VerificationError};
use psd::indicium::{Format, format_named};
use psd::{Currency, PieceKey, PsdId};
use psdd_wire::message::{
    ApplianceResponse, CertificatesResponse, PieceResponse, PsdResponse, PsdView, PsdsResponse, SignedPiece,
    StatusResponse,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A vendor backend's handle on one appliance. Cheap to clone; all clones share connections and memory.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What the clones share.
pub(crate) struct Shared {
    pub(crate) exchange: Exchange,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) history: Mutex<History>,
    /// Present with full verification.
    pub(crate) book: Option<Book>,
    known: RwLock<HashMap<PsdId, Known>>,
    appliance: String,
}

/// What a PSD is for life.
#[derive(Clone)]
pub(crate) struct Known {
    /// The layout of its indicia.
    pub(crate) format: &'static dyn Format,
    /// The number of its licence.
    pub(crate) licence: Arc<str>,
    /// What its registers count.
    pub(crate) currency: Currency,
}

impl Client {
    /// Connects and reads who the appliance is. Fails with the first connection's error.
    ///
    /// Must be called inside a tokio runtime with IO and time.
    pub async fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let book = tls::authority_root(&config)?.map(Book::new);
        let exchange = Exchange::start(&config)?;
        exchange.pool.first_contact().await?;
        let appliance: ApplianceResponse = exchange.ask(&Call::get("/v1/appliance".to_owned())).await?;
        if let Some(book) = &book {
            book.is_under(&appliance.authority_root)?;
        }
        let checkpoints = Checkpoints::of(&appliance)?;
        let before = checkpoints.floor();
        if let Some(note) = &config.checkpoint {
            checkpoints.judge(&before, Some(note))?;
        }
        checkpoints.judge(&checkpoints.floor(), appliance.checkpoint.as_deref())?;
        let (history, known) = (Mutex::new(History::new()), RwLock::default());
        let shared = Shared { exchange, checkpoints, history, book, known, appliance: appliance.appliance };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The newest checkpoint seen, a C2SP note. Keep it over restarts and give it back in [`ClientConfig::checkpoint`], so that a
    /// rollback in between shows.
    pub fn checkpoint(&self) -> Option<String> {
        self.shared.checkpoints.floor().note().map(str::to_owned)
    }

    /// The appliance: its name, version, environment and log key.
    pub async fn appliance(&self) -> Result<ApplianceResponse, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let told: ApplianceResponse = self.shared.exchange.ask(&Call::get("/v1/appliance".to_owned())).await?;
        if !self.shared.checkpoints.is_of(&told) || told.appliance != self.shared.appliance {
            return Err(VerificationError::OtherLog.into());
        }
        if let Some(book) = &self.shared.book {
            book.is_under(&told.authority_root)?;
        }
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        Ok(told)
    }

    /// What the appliance says of every key, COSE_Sign1 by its log key (`psdd_wire::status`), for verifiers without a connection.
    pub async fn status_list(&self) -> Result<Vec<u8>, ClientError> {
        let told: StatusResponse = self.shared.exchange.ask(&Call::get("/v1/status".to_owned())).await?;
        Ok(told.list)
    }

    /// The PSDs this client may read.
    pub async fn psds(&self) -> Result<Vec<PsdView>, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let told: PsdsResponse = self.shared.exchange.ask(&Call::get("/v1/psds".to_owned())).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        told.psds.iter().try_for_each(adds_up)?;
        Ok(told.psds)
    }

    /// One PSD: state, registers, limits; committed state only.
    pub async fn psd(&self, psd: PsdId) -> Result<PsdView, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let told: PsdResponse = self.shared.exchange.ask(&Call::get(format!("/v1/psds/{psd}"))).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        is_psd(psd, told.psd.psd)?;
        adds_up(&told.psd)?;
        Ok(told.psd)
    }

    /// Every generation of every key of a PSD. With full verification every certificate of an indicium key leads to the pinned root.
    pub async fn certificates(&self, psd: PsdId) -> Result<CertificatesResponse, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let call = Call::get(format!("/v1/psds/{psd}/certificates"));
        let told: CertificatesResponse = self.shared.exchange.ask(&call).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        is_psd(psd, told.psd)?;
        if let Some(book) = &self.shared.book {
            book.learn(&told)?;
        }
        Ok(told)
    }

    /// The stored result of a piece, verified like a fresh one except for what was asked, which only the caller knows.
    pub async fn piece(&self, key: PieceKey) -> Result<SignedPiece, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let told: PieceResponse = self.shared.exchange.ask(&Call::get(format!("/v1/indicia/{key}"))).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        if told.piece.key != *key.as_bytes() {
            let told = crate::sign::hex(&told.piece.key);
            return Err(VerificationError::Key { index: 0, asked: key, told }.into());
        }
        self.judge_pieces(None, &[(key, None, &told.piece)]).await?;
        Ok(told.piece)
    }

    /// What a PSD is for life, asked for once.
    pub(crate) async fn known(&self, psd: PsdId) -> Result<Known, ClientError> {
        let known = self.shared.known.read().unwrap_or_else(PoisonError::into_inner).get(&psd).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let PsdView { format, licence, currency, .. } = self.psd(psd).await?;
        let format = format_named(&format).ok_or(ContractError::Format(format))?;
        let known = Known { format, licence: licence.into(), currency };
        self.shared.known.write().unwrap_or_else(PoisonError::into_inner).insert(psd, known.clone());
        Ok(known)
    }

    pub(crate) fn appliance_name(&self) -> &str {
        &self.shared.appliance
    }
}

/// An answer about another PSD than the one asked for.
pub(crate) fn is_psd(asked: PsdId, told: PsdId) -> Result<(), ContractError> {
    if asked == told {
        return Ok(());
    }
    Err(ContractError::OtherSubject { what: "the PSD", asked: asked.to_string(), told: told.to_string() })
}

fn adds_up(view: &PsdView) -> Result<(), ClientError> {
    let registers = &view.registers;
    if registers.ascending.checked_add(registers.descending) == Some(registers.control_total) {
        return Ok(());
    }
    Err(VerificationError::ControlTotal { psd: view.psd, sequence: view.sequence }.into())
}

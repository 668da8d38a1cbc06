//! A small appliance for tests: a real TLS 1.3 and HTTP/2 server that signs with real keys, and misbehaves on demand.

#![allow(dead_code, reason = "each test binary uses a part of this module")]

pub mod pki;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pki::Pki;
use psd::device::Piece;
use psd::indicium::{Details, Fields, format_named};
use psd::{Currency, MailingDate, PostageAmount, PsdId, Registers, UnixMillis};
use psdd_client::PsdView;
use psdd_wire::checkpoint::{Checkpoint, LogKey};
use psdd_wire::cose::{Sign1, VALUE_REQUEST, VALUE_VOID};
use psdd_wire::item::piece_of;
use psdd_wire::message::*;
use psdd_wire::problem::Problem;
use serde::Serialize;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub const PSD: &str = "PS010000000001";
const ORIGIN: &str = "psdd.log/test";
const LOADED: u64 = 1_000_000;

/// What the appliance does wrong with the next sign requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Ends the connection after the debit and before the answer, so many times.
    Drop(u32),
    /// Answers after this time, so many times.
    Late(Duration, u32),
    /// Says busy, so many times.
    Busy(u32),
    /// Refuses the second item of a request with a passing problem, so many times.
    ItemBusy(u32),
    /// Tells an ascending register that does not add up.
    ControlTotal,
    /// Debits one mill more than the postage.
    Overcharge,
    /// Signs with a key that no certificate covers.
    ForeignSignature,
    /// Signs with a key of its own, under a certificate of another root.
    ForeignChain,
    /// Gives an earlier debit for a new piece.
    Replay,
    /// Gives an earlier debit for a new piece, with a later sequence.
    ReplayRenumbered,
    /// Gives the answer of another item.
    SwapKeys,
    /// Puts another holder into the voucher.
    OtherHolder,
    /// Puts another currency into the voucher.
    OtherCurrency,
    /// Puts another destination into the mark.
    OtherDestination,
    /// Shows a checkpoint smaller than before.
    RolledBack,
    /// Shows a checkpoint of the same size with another root.
    Forked,
    /// Shows a checkpoint with a broken signature.
    BadCheckpoint,
    /// Leaves the checkpoint out.
    NoCheckpoint,
    /// Answers with something else than CBOR.
    Garbage,
    /// Signs a value request over another amount than it tells.
    OtherAmountSigned,
    /// Signs a value request with a key that is not the device's.
    ForeignDevice,
    /// Answers a void with another request, which would let the authority credit and the PSD load.
    RequestForVoid,
    /// Loads less than the authority authorised.
    LoadsLess,
    /// Leaves a result out.
    ResultMissing,
}

pub struct Appliance {
    pub address: SocketAddr,
    pub pki: Pki,
    state: Arc<Mutex<State>>,
}

struct State {
    key: EcdsaKeyPair,
    foreign: EcdsaKeyPair,
    log: EcdsaKeyPair,
    device: EcdsaKeyPair,
    chain: Vec<Vec<u8>>,
    foreign_chain: Vec<Vec<u8>>,
    root: Vec<u8>,
    registers: Registers,
    sequence: u64,
    leaf: u64,
    done: HashMap<[u8; 16], SignedPiece>,
    last: Option<SignedPiece>,
    fault: Option<Fault>,
    format: &'static str,
    debits: u64,
    shown: Vec<String>,
    requests: u32,
}

impl Appliance {
    pub async fn start() -> Self {
        let pki = Pki::new();
        let state = Arc::new(Mutex::new(State::new(&pki)));
        let acceptor = TlsAcceptor::from(Arc::new(pki.server()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    assert_eq!(tls.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    // The client ends connections as it likes.
                    drop(server.serve_connection(TokioIo::new(tls), service).await);
                });
            }
        });
        Self { address, pki, state }
    }

    pub fn misbehave(&self, fault: Fault) {
        self.state.lock().unwrap().fault = Some(fault);
    }

    /// From now on its PSD makes vouchers.
    pub fn make_vouchers(&self) {
        self.state.lock().unwrap().format = "voucher";
    }

    pub fn behave(&self) {
        self.state.lock().unwrap().fault = None;
    }

    pub fn debits(&self) -> u64 {
        self.state.lock().unwrap().debits
    }

    pub fn requests(&self) -> u32 {
        self.state.lock().unwrap().requests
    }

    /// Checkpoints that clients sent along.
    pub fn shown(&self) -> Vec<String> {
        self.state.lock().unwrap().shown.clone()
    }

    pub fn registers(&self) -> Registers {
        self.state.lock().unwrap().registers
    }
}

type Answer = Result<Response<Full<Bytes>>, Broken>;

/// Ends the connection.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped")]
struct Broken(#[from] Option<Infallible>);

fn ok<T: Serialize>(message: &T) -> Answer {
    let body = Full::new(psdd_wire::encode(message).into());
    Ok(Response::builder().header(CONTENT_TYPE, psdd_wire::CBOR).body(body).unwrap())
}

fn problem(status: StatusCode, problem: &Problem) -> Answer {
    let body = Full::new(psdd_wire::encode(problem).into());
    Ok(Response::builder().status(status).header(CONTENT_TYPE, psdd_wire::PROBLEM).body(body).unwrap())
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    if path == "/v1/indicia" {
        let body = request.into_body().collect().await.map_err(|_lost| Broken(None))?.to_bytes();
        return sign(&state, &body).await;
    }
    if let Some(end) = path.strip_prefix(&format!("/v1/psds/{PSD}/value-")) {
        let body = request.into_body().collect().await.map_err(|_lost| Broken(None))?.to_bytes();
        let mut state = state.lock().unwrap();
        return match end {
            "requests" => state.value_request(&body),
            "voids" => state.value_voided(&body),
            _ => state.value_applied(&body),
        };
    }
    let state = state.lock().unwrap();
    let (checkpoint, authority_root) = (Some(state.checkpoint()), state.root.clone());
    if path == "/v1/appliance" {
        return ok(&ApplianceResponse {
            origin: ORIGIN.to_owned(),
            policy: None,
            version: "0".to_owned(),
            log_spki: state.log_key().spki,
            appliance: "test".to_owned(),
            checkpoint,
            environment: "development".to_owned(),
            authority_root,
        });
    }
    if path == format!("/v1/psds/{PSD}/certificates") {
        let foreign = state.fault == Some(Fault::ForeignChain);
        let (key, chain) = if foreign { (&state.foreign, &state.foreign_chain) } else { (&state.key, &state.chain) };
        let view = KeyView {
            role: "indicium".to_owned(),
            spki: pki::spki(key.public_key().as_ref()),
            chain: chain.iter().cloned().map(Into::into).collect(),
            key_id: vec![1],
            serial: Some(pki::SERIAL),
            algorithm: "ecdsa-p256".to_owned(),
        };
        let device = KeyView {
            role: "device".to_owned(),
            spki: pki::spki(state.device.public_key().as_ref()),
            chain: Vec::new(),
            key_id: vec![2],
            serial: None,
            algorithm: "ecdsa-p256".to_owned(),
        };
        return ok(&CertificatesResponse { psd: psd(), keys: vec![view, device], checkpoint, authority_root });
    }
    if path == format!("/v1/psds/{PSD}") {
        return ok(&PsdResponse { psd: state.view(), checkpoint });
    }
    if path == "/v1/psds" {
        return ok(&PsdsResponse { psds: vec![state.view()], checkpoint });
    }
    if let Some(key) = path.strip_prefix("/v1/indicia/") {
        let found = state.done.values().find(|piece| uuid::Uuid::from_bytes(piece.key).to_string() == key);
        if let Some(piece) = found {
            return ok(&PieceResponse { piece: piece.clone(), checkpoint });
        }
    }
    problem(StatusCode::NOT_FOUND, &Problem::lasting("not-found", path))
}

async fn sign(state: &Mutex<State>, body: &[u8]) -> Answer {
    let request: SignRequest<'_> = psdd_wire::read(body).unwrap();
    let (fault, response) = {
        let mut state = state.lock().unwrap();
        state.requests += 1;
        state.shown.extend(request.checkpoint.as_deref().map(str::to_owned));
        if let Some(Fault::Busy(left)) = state.fault {
            state.fault = (left > 1).then_some(Fault::Busy(left - 1));
            return problem(StatusCode::SERVICE_UNAVAILABLE, &Problem::passing("busy", "come back", 20));
        }
        let response = state.sign(&request);
        let fault = state.fault;
        state.fault = match fault {
            Some(Fault::Drop(left)) if left > 1 => Some(Fault::Drop(left - 1)),
            Some(Fault::Late(time, left)) if left > 1 => Some(Fault::Late(time, left - 1)),
            Some(Fault::ItemBusy(left)) if left > 1 => Some(Fault::ItemBusy(left - 1)),
            Some(Fault::ForeignChain) => fault,
            _ => None,
        };
        (fault, response)
    };
    match fault {
        Some(Fault::Drop(_)) => Err(Broken(None)),
        Some(Fault::Garbage) => {
            let body = Full::new(Bytes::from_static(b"<html>"));
            Ok(Response::builder().header(CONTENT_TYPE, "text/html").body(body).unwrap())
        }
        Some(Fault::Late(time, _)) => {
            tokio::time::sleep(time).await;
            ok(&response)
        }
        _ => ok(&response),
    }
}

pub fn psd() -> PsdId {
    PSD.parse().unwrap()
}

fn mills(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).unwrap()
}

fn now() -> UnixMillis {
    UnixMillis(psdd_client::new_key().unix_millis())
}

pub fn today() -> MailingDate {
    MailingDate::of(now()).unwrap()
}

impl State {
    fn new(pki: &Pki) -> Self {
        Self {
            key: pki.indicium_key(),
            foreign: pki.foreign_key(),
            log: pki.log_key(),
            device: pki.device_key(),
            chain: pki.chain.clone(),
            foreign_chain: pki.foreign_chain.clone(),
            root: pki.root.clone(),
            registers: Registers::from_parts(mills(0), mills(LOADED), mills(LOADED), 0).unwrap(),
            sequence: 5,
            leaf: 40,
            done: HashMap::new(),
            last: None,
            fault: None,
            format: "ibi",
            debits: 0,
            shown: Vec::new(),
            requests: 0,
        }
    }

    fn log_key(&self) -> LogKey {
        let spki = pki::spki(self.log.public_key().as_ref());
        LogKey { algorithm: psd::key::Algorithm::EcdsaP256, spki }
    }

    fn checkpoint(&self) -> String {
        let (size, root) = match self.fault {
            Some(Fault::RolledBack) => (self.leaf - 20, [9; 32]),
            Some(Fault::Forked) => (41, [8; 32]),
            // The log is signed now and then, so the size stays for a while.
            _ => (41 + (self.leaf - 40) / 8 * 8, [7; 32]),
        };
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root };
        let text = match self.fault {
            Some(Fault::BadCheckpoint) => "something else".to_owned(),
            _ => checkpoint.body(),
        };
        let signature = self.log.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        checkpoint.note(&self.log_key(), signature.as_ref())
    }

    fn view(&self) -> PsdView {
        PsdView {
            psd: psd(),
            zips: None,
            clock: Some(ClockView { time: now().0, epoch: 1, source: "development".to_owned(), error_ms: 0 }),
            locks: Vec::new(),
            state: "active".to_owned(),
            value: ValueState { ended: 1, pending: None },
            format: self.format.to_owned(),
            limits: LimitsView {
                largest_refill: mills(LOADED),
                largest_postage: mills(100_000),
                smallest_refill: mills(1),
                smallest_postage: mills(1),
                largest_descending: mills(LOADED),
            },
            licence: "L-1".to_owned(),
            currency: Currency::USD,
            sequence: self.sequence,
            registers: self.registers.into(),
            inspection: None,
            certificate: Some(pki::SERIAL),
        }
    }

    fn sign(&mut self, request: &SignRequest<'_>) -> SignResponse {
        let mut results: Vec<SignResult> = Vec::new();
        for (index, item) in request.items.iter().enumerate() {
            let key: [u8; 16] = item.key().try_into().unwrap();
            if index == 1 && matches!(self.fault, Some(Fault::ItemBusy(_))) {
                let problem = Problem::passing("clock-stopped", "soon", 10);
                results.push(SignResult::Refused(RefusedPiece { key: key.to_vec(), problem }));
                continue;
            }
            let done = self.done.get(&key).cloned();
            results.push(SignResult::Signed(done.unwrap_or_else(|| self.debit(key, item))));
        }
        match self.fault {
            Some(Fault::SwapKeys) => results.swap(0, 1),
            Some(Fault::ResultMissing) => drop(results.pop()),
            _ => {}
        }
        let checkpoint = (self.fault != Some(Fault::NoCheckpoint)).then(|| self.checkpoint());
        SignResponse { results, checkpoint }
    }

    fn value_request(&self, body: &[u8]) -> Answer {
        let asked: ValueRequest<'_> = psdd_wire::read(body).unwrap();
        let amount: PostageAmount = asked.amount.parse().unwrap();
        let request = self.device_statement(VALUE_REQUEST, amount);
        ok(&ValueRequestResponse { psd: psd(), amount, purpose: "download".to_owned(), request, sequence: 2 })
    }

    fn value_voided(&mut self, body: &[u8]) -> Answer {
        let asked: ValueVoid = psdd_wire::read(body).unwrap();
        let kind = if self.fault == Some(Fault::RequestForVoid) { VALUE_REQUEST } else { VALUE_VOID };
        let amount = mills(500_000);
        let statement = self.device_statement(kind, amount);
        self.leaf += 1;
        let (leaf, time, checkpoint) = (self.leaf, now().0, Some(self.checkpoint()));
        ok(&ValueVoidedResponse { psd: psd(), leaf, time, amount, sequence: asked.sequence, statement, checkpoint })
    }

    /// What the device key signs of download 2.
    fn device_statement(&self, content_type: &str, amount: PostageAmount) -> Vec<u8> {
        let over = if self.fault == Some(Fault::OtherAmountSigned) { mills(amount.mills() * 2) } else { amount };
        let claims = ValueRequestClaims {
            psd: psd(),
            time: now().0,
            nonce: [3; 16],
            amount: over,
            refund: None,
            sequence: 2,
            appliance: "test".to_owned(),
            registers: self.registers.into(),
        };
        let message = Sign1::unsigned(content_type, None, psdd_wire::encode(&claims));
        let signer = if self.fault == Some(Fault::ForeignDevice) { &self.foreign } else { &self.device };
        let signature = signer.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        message.with_signature(signature.as_ref())
    }

    fn value_applied(&mut self, body: &[u8]) -> Answer {
        let asked: ValueAuthorisation = psdd_wire::read(body).unwrap();
        let message = Sign1::parse(&asked.authorisation).unwrap();
        let claims: ValueAuthorisationClaims = psdd_wire::read(&message.payload).unwrap();
        let less = if self.fault == Some(Fault::LoadsLess) { 1 } else { 0 };
        self.registers = self.registers.loaded(mills(claims.amount.mills() - less)).unwrap();
        self.leaf += 1;
        ok(&ValueAppliedResponse {
            psd: psd(),
            leaf: self.leaf,
            time: now().0,
            amount: claims.amount,
            sequence: claims.sequence,
            registers: self.registers.into(),
            checkpoint: Some(self.checkpoint()),
        })
    }

    fn debit(&mut self, key: [u8; 16], item: &SignItem<'_>) -> SignedPiece {
        let replayed = matches!(self.fault, Some(Fault::Replay | Fault::ReplayRenumbered));
        if let (true, Some(last)) = (replayed, &self.last) {
            let later = if self.fault == Some(Fault::Replay) { 0 } else { 1 };
            return SignedPiece { key, sequence: last.sequence + later, leaf: last.leaf + later, ..last.clone() };
        }
        let Piece { postage, mut details, .. } = piece_of(&SignTarget::Psd(PSD.into()), item).unwrap();
        let debited = if self.fault == Some(Fault::Overcharge) { mills(postage.mills() + 1) } else { postage };
        self.registers = self.registers.debited(debited).unwrap();
        self.sequence += 1;
        self.leaf += 3;
        self.debits += 1;
        match &mut details {
            Details::Postal(postal) if self.fault == Some(Fault::OtherDestination) => {
                postal.destination = "00501".parse().unwrap();
            }
            Details::Voucher(voucher) if self.fault == Some(Fault::OtherHolder) => {
                Arc::make_mut(voucher).holder = Some("another".parse().unwrap());
            }
            Details::Postal(_) | Details::Voucher(_) | Details::Certification(..) | Details::NotCertifiable(..) => {}
        }
        let fields = Fields {
            psd: psd(),
            certificate_serial: pki::SERIAL,
            registers: self.registers,
            postage,
            currency: if self.fault == Some(Fault::OtherCurrency) { "CAD".parse().unwrap() } else { Currency::USD },
            licensing_zip: "94301".parse().unwrap(),
            software_id: *b"psdd01",
            specimen: true,
            details: &details,
        };
        let format = format_named(self.format).unwrap();
        let mut signed = Vec::new();
        format.encode_unsigned(&fields, &mut signed).unwrap();
        let foreign = matches!(self.fault, Some(Fault::ForeignSignature | Fault::ForeignChain));
        let signer = if foreign { &self.foreign } else { &self.key };
        let signature = signer.sign(&SystemRandom::new(), &signed).unwrap();
        let indicium = format.join(&signed, signature.as_ref());
        let mut registers = RegisterView::from(self.registers);
        if self.fault == Some(Fault::ControlTotal) {
            registers.control_total = mills(LOADED + 1);
        }
        let (leaf, sequence, time) = (self.leaf, self.sequence, now().0);
        let piece = SignedPiece { key, psd: psd(), leaf, time, token: None, indicium, sequence, registers };
        self.done.insert(key, piece.clone());
        self.last = Some(piece.clone());
        piece
    }
}

/// A key pair for ECDSA P-256 from PKCS#8.
pub fn key_pair(pkcs8: &[u8]) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap()
}

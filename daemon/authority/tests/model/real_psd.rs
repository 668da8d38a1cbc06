//! The daemon's own PSD beside the model: it must want what the model says, do what the model does, and come back from its records
//! wherever it crashes.

use crate::psd_model::{APPLIANCE, Message, PsdModel, mills, spki};
use psd::authority::Loaded;
use psd::clock::{ClockReading, ClockSource};
use psd::device::{Authorisation, DateWindow, Piece, PieceContext, Purpose, Spoiled, ValueRefusal, ValueTerms};
use psd::indicium::Details;
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, Locks};
use psd::limits::Limits;
use psd::record::{Applied, Environment, Event, Stamp};
use psd::{Currency, PieceKey, PostageAmount, Psd, Registers, State, TenantName, UnixMillis};
use psdd_wire::cose::{VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_REQUEST};
use psdd_wire::message::{ValueAuthorisationClaims, ValueRequestClaims};

/// A PSD and the records that were committed for it.
pub struct RealPsd {
    psd: Psd,
    records: Vec<Event>,
    /// The statement that ended the model's withdrawal is made of these.
    report: Option<ValueTerms>,
}

fn tenant() -> TenantName {
    "acme".parse().expect("a tenant")
}

/// The model knows pieces by their leaves.
fn spoiled(leaf: u64) -> Spoiled {
    Spoiled { leaf, ascending: mills(leaf) }
}

fn statement() -> std::sync::Arc<[u8]> {
    [7][..].into()
}

impl RealPsd {
    /// Active, with the model's key and certificate.
    pub fn of(model: &PsdModel) -> Self {
        let (id, any) = (model.id, PostageAmount::MAX);
        let least = mills(1);
        let created = Event::PsdCreated {
            stamp: Stamp { psd: id, sequence: 1, registers: Registers::default() },
            tenant: tenant(),
            licence: format!("L-{}", model.index).parse().expect("a licence"),
            licensing_zip: 94_301,
            format: "ibi".into(),
            software_id: *b"psdd01",
            limits: Limits {
                smallest_postage: least,
                largest_postage: any,
                largest_descending: any,
                smallest_refill: least,
                largest_refill: any,
            },
            currency: Currency::USD,
            zips: None,
        };
        let psd = Psd::from_created(&created, UnixMillis(1)).expect("a PSD");
        let mut real = Self { psd, records: vec![created], report: None };
        let key_id: std::sync::Arc<[u8]> = [1][..].into();
        let spki = spki(&model.indicium).into();
        let algorithm = Algorithm::EcdsaP256;
        real.learn(|stamp| Event::KeyCreated {
            stamp,
            key_id: key_id.clone(),
            role: Role::Indicium,
            algorithm,
            token: "token".into(),
            spki,
            wrapped: None,
        });
        let (serial, chain) = (model.certificate, vec![[1][..].into()]);
        real.learn(|stamp| Event::CertificateInstalled { stamp, key_id, serial, chain });
        for lifecycle in [Lifecycle::Authorised, Lifecycle::Active] {
            real.learn(|stamp| Event::LifecycleChanged { stamp, lifecycle, locks: Locks::NONE });
        }
        real
    }

    fn learn(&mut self, event: impl FnOnce(Stamp) -> Event) {
        let stamp = self.psd.stamp();
        let event = event(Stamp { sequence: stamp.sequence + 1, ..stamp });
        self.psd.replay(&event, psd::UnixMillis(1)).expect("a record that fits");
        self.records.push(event);
    }

    /// Whether the PSD would ask for this; why not, where it would not.
    pub fn would_ask(&self, amount: u64, refunded: Option<u64>) -> Result<(), ValueRefusal> {
        let terms = match refunded {
            Some(leaf) => self.psd.refund_terms(spoiled(leaf), mills(amount)),
            None => self.psd.value_terms(mills(amount)),
        };
        terms.map(|_| ())
    }

    /// The model said something for the first time: the PSD says the same, and it becomes a record before it leaves.
    pub fn says(&mut self, message: &Message) {
        let claims = &message.claims;
        let (terms, asks) = match (message.content_type, &claims.refund) {
            (VALUE_REQUEST, Some(refund)) => (self.psd.refund_terms(spoiled(refund.leaf), claims.amount), true),
            (VALUE_REQUEST, None) => (self.psd.value_terms(claims.amount), true),
            (WITHDRAWAL_REQUEST, _) => (self.psd.withdrawal_terms(), true),
            (VALUE_VOID, _) => (self.psd.void_terms(claims.sequence), false),
            // The report of a withdrawal was made when it was applied.
            _ => (Ok(self.report.take().expect("a report")), false),
        };
        let terms = terms.unwrap_or_else(|refusal| panic!("{} {claims:?}: {refusal}", message.content_type));
        assert_same(&terms, claims, message.content_type);
        let (value_sequence, amount, purpose) = (terms.sequence, terms.amount, terms.purpose);
        if asks {
            self.psd.value_requested(&terms, statement());
            let (stamp, request) = (self.psd.next_stamp(), statement());
            let tenant = tenant();
            self.records.push(Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request });
        } else if message.content_type == VALUE_VOID {
            self.psd.value_voided(&terms);
            let (stamp, statement) = (self.psd.next_stamp(), statement());
            self.records.push(Event::ValueVoided { stamp, tenant: tenant(), value_sequence, amount, statement });
        }
    }

    /// Takes an authorisation or an acknowledgement: whether it does.
    pub fn applies(&mut self, claims: &ValueAuthorisationClaims, now: UnixMillis) -> bool {
        let appliance = APPLIANCE.parse().expect("an appliance");
        let authorisation = Authorisation {
            appliance: claims.appliance.parse().expect("an appliance"),
            psd: claims.psd,
            amount: claims.amount,
            refund: claims.refund,
            control_total: claims.control_total,
            sequence: claims.sequence,
            expires: UnixMillis(claims.expires),
        };
        let (value_sequence, amount) = (claims.sequence, claims.amount);
        if self.psd.state().is_withdrawing() {
            let Ok(terms) = self.psd.report_terms(&authorisation, &appliance, now) else { return false };
            self.psd.withdrawn(&terms);
            self.report = Some(terms);
            let (stamp, acknowledgement, report) = (self.psd.next_stamp(), statement(), statement());
            let tenant = tenant();
            self.records.push(Event::Withdrawn { stamp, tenant, value_sequence, amount, acknowledgement, report });
            return true;
        }
        let Ok((purpose, _loaded)) = self.psd.apply_value(&authorisation, &appliance, now, Ok(())) else {
            return false;
        };
        let applied = match purpose {
            Purpose::Download => Applied::Download { loaded: Loaded::default() },
            Purpose::Refund(spoiled) => Applied::Refund(spoiled),
            Purpose::Withdrawal => panic!("a withdrawal loads nothing"),
        };
        let (stamp, authorisation) = (self.psd.next_stamp(), statement());
        let tenant = tenant();
        self.records.push(Event::ValueApplied { stamp, tenant, value_sequence, amount, authorisation, applied });
        true
    }

    /// Debits a piece: the bytes that are signed for it.
    pub fn debits(&mut self, postage: u64, details: &Details, now: UnixMillis) -> Option<Vec<u8>> {
        let piece = Piece {
            key: key(self.records.len()),
            digest: [3; 32],
            postage: mills(postage),
            details: details.clone(),
            recipient: None,
            reference: None,
            weight_g: None,
            token: None,
        };
        let context = PieceContext {
            tenant: &tenant(),
            clock: Ok(ClockReading { time: now, source: ClockSource::Host, error_ms: 5, epoch: 1 }),
            window: DateWindow { back_days: 1, ahead_days: 1 },
            environment: Environment::Production,
        };
        let prepared = self.psd.prepare(&piece, &context).ok()?;
        let message = prepared.message().to_vec();
        self.records.push(prepared.signed(&[1; 64]).event);
        Some(message)
    }

    /// Dies, and is what its records tell.
    pub fn crash(&mut self) {
        let mut psd = Psd::from_created(&self.records[0], UnixMillis(1)).expect("a PSD");
        for record in &self.records[1..] {
            psd.replay(record, psd::UnixMillis(1)).expect("a record that fits");
        }
        // Without the times that records have: when it was last inspected is not told here.
        psd.restore(State { inspected: self.psd.state().inspected, ..psd.state().clone() });
        assert_eq!(psd.state(), self.psd.state(), "what the records tell");
        self.psd = psd;
    }

    /// Its registers are the model's.
    pub fn assert_like(&self, model: &PsdModel) {
        let state = self.psd.state();
        assert_eq!(state.registers, model.memory.registers);
        assert_eq!(state.value_sequence, model.memory.ended);
        let pending = model.memory.pending.as_ref().map(|message| (message.claims.sequence, message.claims.amount));
        assert_eq!(state.pending.as_ref().map(|pending| (state.value_sequence + 1, pending.amount)), pending);
        assert_eq!(state.lifecycle == Lifecycle::Withdrawn, model.memory.withdrawn);
    }
}

fn assert_same(terms: &ValueTerms, claims: &ValueRequestClaims, what: &str) {
    assert_eq!(
        (terms.psd, terms.sequence, terms.amount, terms.purpose.refund()),
        (claims.psd, claims.sequence, claims.amount, claims.refund.as_ref().map(|refund| refund.leaf)),
        "{what}"
    );
    assert_eq!(psdd_wire::message::RegisterView::from(terms.registers), claims.registers, "{what}");
}

/// A UUID of version 7 (RFC 9562 §5.7).
fn key(number: usize) -> PieceKey {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&u64::try_from(number).expect("small").to_be_bytes());
    (bytes[6], bytes[8]) = (0x70, 0x80);
    PieceKey::from_bytes(bytes).expect("a key")
}

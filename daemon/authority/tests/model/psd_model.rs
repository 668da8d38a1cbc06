//! A PSD as the protocol has it, small: registers, one download at a time, statements under its device key, marks under its other key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use psd::indicium::{Details, Fields, Postal, format_named, ibi};
use psd::{Currency, MailingDate, PostageAmount, PsdId, Registers, UnixMillis};
use psdd_wire::cose::{Sign1, VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_REPORT, WITHDRAWAL_REQUEST};
use psdd_wire::message::{RefundClaims, ValueAuthorisationClaims, ValueRequestClaims};

pub const APPLIANCE: &str = "model-1";

pub fn mills(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).expect("an amount")
}

pub fn new_key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")
}

/// What every piece of these runs says.
pub fn details(now: UnixMillis) -> Details {
    Details::Postal(Postal {
        date: MailingDate::of(now).expect("a day"),
        destination: "20260".parse().expect("a ZIP"),
        rate: "FCM".parse().expect("a rate"),
    })
}

/// SubjectPublicKeyInfo of a P-256 key (RFC 5480 §2).
pub fn spki(key: &EcdsaKeyPair) -> Vec<u8> {
    let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let byte = |at: usize| u8::from_str_radix(&head[at..at + 2], 16).expect("hex");
    (0..head.len()).step_by(2).map(byte).chain(key.public_key().as_ref().iter().copied()).collect()
}

/// What a PSD said, as it travels.
#[derive(Clone)]
pub struct Message {
    pub psd: usize,
    pub content_type: &'static str,
    pub claims: ValueRequestClaims,
    pub bytes: Vec<u8>,
}

#[derive(Clone)]
pub struct Mark {
    pub leaf: u64,
    pub postage: u64,
    pub bytes: Vec<u8>,
}

/// Everything that a restored backup would bring back.
#[derive(Clone, Default)]
pub struct Memory {
    pub registers: Registers,
    pub ended: u64,
    pub pending: Option<Message>,
    pub withdrawn: bool,
}

pub struct PsdModel {
    pub index: usize,
    pub id: PsdId,
    pub device: EcdsaKeyPair,
    pub indicium: EcdsaKeyPair,
    pub certificate: u32,
    pub memory: Memory,
    pub earlier: Memory,
    pub marks: Vec<Mark>,
    pub rolled_back: bool,
    nonce: u64,
}

impl PsdModel {
    pub fn new(index: usize) -> Self {
        let id = PsdId::new(*b"PS", *b"01", u32::try_from(index).expect("small") + 1).expect("a PSD");
        let (device, indicium) = (new_key(), new_key());
        let (memory, earlier) = (Memory::default(), Memory::default());
        let (certificate, marks) = (0, Vec::new());
        Self { index, id, device, indicium, certificate, memory, earlier, marks, rolled_back: false, nonce: 0 }
    }

    pub fn say(
        &mut self,
        content_type: &'static str,
        number: u64,
        amount: PostageAmount,
        refund: Option<RefundClaims>,
        now: UnixMillis,
    ) -> Message {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        let claims = ValueRequestClaims {
            psd: self.id,
            time: now.0,
            nonce,
            amount,
            refund,
            sequence: number,
            appliance: APPLIANCE.to_owned(),
            registers: self.memory.registers.into(),
        };
        self.signed(content_type, claims)
    }

    pub fn signed(&self, content_type: &'static str, claims: ValueRequestClaims) -> Message {
        let message = Sign1::unsigned(content_type, None, psdd_wire::encode(&claims));
        let signature = self.device.sign(&SystemRandom::new(), &message.to_be_signed()).expect("a signature");
        let bytes = message.with_signature(signature.as_ref());
        Message { psd: self.index, content_type, claims, bytes }
    }

    /// Asks for value, or again for what is under way.
    pub fn ask(&mut self, amount: u64, refund: Option<RefundClaims>, now: UnixMillis) -> Option<Message> {
        if self.memory.withdrawn || self.memory.pending.is_some() {
            return self.memory.pending.clone();
        }
        let number = self.memory.ended + 1;
        let message = self.say(VALUE_REQUEST, number, mills(amount), refund, now);
        self.memory.pending = Some(message.clone());
        Some(message)
    }

    pub fn withdraw(&mut self, now: UnixMillis) -> Option<Message> {
        if self.memory.withdrawn || self.memory.pending.is_some() {
            return None;
        }
        let (number, all) = (self.memory.ended + 1, self.memory.registers.descending());
        let message = self.say(WITHDRAWAL_REQUEST, number, all, None, now);
        self.memory.pending = Some(message.clone());
        Some(message)
    }

    /// A withdrawal that was asked for is not given up: the authority may have credited it.
    pub fn void(&mut self, now: UnixMillis) -> Option<Message> {
        let pending = self.memory.pending.take_if(|pending| pending.content_type == VALUE_REQUEST)?;
        let claims = pending.claims;
        let message = self.say(VALUE_VOID, claims.sequence, claims.amount, claims.refund, now);
        self.memory.ended = claims.sequence;
        Some(message)
    }

    /// A withdrawal under way stops signing.
    pub fn spend(&mut self, postage: u64, now: UnixMillis) {
        let leaving = self.memory.pending.as_ref().is_some_and(|pending| pending.content_type == WITHDRAWAL_REQUEST);
        let Ok(registers) = self.memory.registers.debited(mills(postage)) else { return };
        if leaving || self.memory.withdrawn {
            return;
        }
        self.memory.registers = registers;
        let details = details(now);
        let fields = Fields {
            psd: self.id,
            certificate_serial: self.certificate,
            registers,
            postage: mills(postage),
            currency: Currency::USD,
            licensing_zip: "94301".parse().expect("a ZIP"),
            software_id: *b"psdd01",
            specimen: false,
            details: &details,
        };
        let mut signed = Vec::new();
        ibi::Ibi.encode_unsigned_into(&fields, &mut signed);
        let signature = self.indicium.sign(&SystemRandom::new(), &signed).expect("a signature");
        let bytes = format_named("ibi").expect("a layout").join(&signed, signature.as_ref());
        // Leaves of one appliance: the two PSDs write in turn.
        let leaf = u64::try_from(self.marks.len() * 2 + self.index).expect("small") + 10;
        self.marks.push(Mark { leaf, postage, bytes });
    }

    /// Applies an answer as a PSD must: to the download under way, in time, leading to the right control total.
    pub fn apply(&mut self, claims: &ValueAuthorisationClaims, now: UnixMillis) -> Option<Message> {
        let pending = self.memory.pending.as_ref()?;
        let right = claims.psd == self.id
            && claims.sequence == pending.claims.sequence
            && claims.amount == pending.claims.amount
            && claims.expires >= now.0;
        if !right {
            return None;
        }
        let leaving = pending.content_type == WITHDRAWAL_REQUEST;
        let registers = if leaving {
            let ascending = self.memory.registers.ascending();
            let pieces = self.memory.registers.piece_count();
            Registers::from_parts(ascending, PostageAmount::ZERO, ascending, pieces).expect("registers")
        } else {
            self.memory.registers.loaded(claims.amount).expect("room")
        };
        if registers.control_total() != claims.control_total {
            return None;
        }
        self.earlier = self.memory.clone();
        self.memory.registers = registers;
        self.memory.ended = claims.sequence;
        self.memory.pending = None;
        self.memory.withdrawn = leaving;
        leaving.then(|| self.say(WITHDRAWAL_REPORT, claims.sequence, claims.amount, None, now))
    }

    /// An older backup of its ledger is brought back.
    pub fn roll_back(&mut self) {
        self.rolled_back = true;
        self.memory = self.earlier.clone();
    }
}

/// The layout's encoder, which cannot fail for amounts as small as these.
trait Encode {
    fn encode_unsigned_into(&self, fields: &Fields, out: &mut Vec<u8>);
}

impl Encode for ibi::Ibi {
    fn encode_unsigned_into(&self, fields: &Fields, out: &mut Vec<u8>) {
        psd::indicium::Format::encode_unsigned(self, fields, out).expect("small fields");
    }
}

//! Value commands and instructions, as a client brings them.

use super::{START, Shell, mills, psd_id, tenant};
use crate::core::{Event, InstructionCommand, RequestId, ValueCommand, ValueStep};
use psd::UnixMillis;
use psd::authority::{Act, Instruction};
use psd::device::Authorisation;
use psd::record::AuthorityPurpose;
use psdd_wire::message::RefundClaims;

impl Shell {
    pub fn value(&mut self, psd: usize, step: ValueStep) -> RequestId {
        let request = self.request_id();
        self.event(Event::Value(ValueCommand { request, tenant: tenant(psd), client: None, psd: psd_id(psd), step }));
        request
    }

    pub fn ask_value(&mut self, psd: usize, amount: u64) -> RequestId {
        self.value(psd, ValueStep::Request { amount: mills(amount), nonce: [3; 16] })
    }

    pub fn void_value(&mut self, psd: usize, sequence: u64) -> RequestId {
        self.value(psd, ValueStep::Void { sequence, nonce: [4; 16] })
    }

    pub fn apply_value(&mut self, psd: usize, sequence: u64, amount: u64, control_total: u64) -> RequestId {
        let authorisation = answer(psd, sequence, amount, control_total);
        self.value(psd, ValueStep::Apply { authorisation, bytes: b"authorised"[..].into() })
    }

    pub fn apply_refund(&mut self, psd: usize, sequence: u64, amount: u64, control_total: u64, leaf: u64) -> RequestId {
        let authorisation = Authorisation { refund: Some(leaf), ..answer(psd, sequence, amount, control_total) };
        self.value(psd, ValueStep::Apply { authorisation, bytes: b"authorised"[..].into() })
    }

    /// Of a mark whose ascending register is as many mills as its leaf.
    pub fn ask_refund(&mut self, psd: usize, leaf: u64, postage: u64) -> RequestId {
        let piece = RefundClaims { key: [1; 16], leaf, indicium: vec![1] };
        self.value(psd, ValueStep::Refund { piece, ascending: mills(leaf), postage: mills(postage), nonce: [5; 16] })
    }

    pub fn withdraw(&mut self, psd: usize) -> RequestId {
        self.value(psd, ValueStep::Withdraw { nonce: [6; 16] })
    }

    pub fn acknowledge(&mut self, psd: usize, sequence: u64, amount: u64, control_total: u64) -> RequestId {
        let acknowledgement = answer(psd, sequence, amount, control_total);
        let bytes = b"acknowledged"[..].into();
        self.value(psd, ValueStep::Acknowledge { acknowledgement, bytes, nonce: [7; 16] })
    }

    pub fn instruct(&mut self, purpose: AuthorityPurpose, number: u64, act: Act) -> RequestId {
        let request = self.request_id();
        let (appliance, expires) = ("test-1".parse().unwrap(), UnixMillis(START + self.now_ms + 86_400_000));
        let instruction = Instruction { purpose, appliance, number, expires, act };
        let bytes = b"instructed"[..].into();
        self.event(Event::Instruct(InstructionCommand::new(request, instruction, bytes)));
        request
    }
}

/// What the authority answers to PSD `psd`.
fn answer(psd: usize, sequence: u64, amount: u64, control_total: u64) -> Authorisation {
    Authorisation {
        appliance: "test-1".parse().unwrap(),
        psd: psd_id(psd),
        amount: mills(amount),
        refund: None,
        control_total: mills(control_total),
        sequence,
        expires: UnixMillis(START + 10 * 86_400_000),
    }
}

//! Every message between an appliance and the postal authority's systems, with all its optional fields or with none.

use psd::record::Environment;
use psd::{PostageAmount, PsdId};
use psdd_wire::countersignature::claims_over;
use psdd_wire::encode;
use psdd_wire::enrolment::*;
use psdd_wire::funds::*;
use psdd_wire::status::{KeyState, StatusEntry, StatusList};
use serde_bytes::ByteBuf;

fn amount(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).expect("an amount")
}

fn psd() -> PsdId {
    "PS010000001".parse().expect("a PSD")
}

/// What the authority's funds system hears and says.
pub fn funds_messages() -> Vec<(&'static str, Vec<u8>)> {
    let (cose, balance) = (vec![0xd2, 0x84], amount(1_000));
    vec![
        ("funds-request", encode(&FundsRequest { request: cose.clone() })),
        ("funds-authorisation", encode(&FundsAuthorisation { balance, authorisation: cose.clone() })),
        ("funds-void", encode(&FundsVoid { statement: cose.clone() })),
        ("funds-voided", encode(&FundsVoided { psd: psd(), balance, credited: amount(0), sequence: 4 })),
        ("funds-withdrawal", encode(&FundsRequest { request: cose.clone() })),
        ("funds-acknowledgement", encode(&FundsAcknowledgement { balance, acknowledgement: cose.clone() })),
        ("funds-report", encode(&FundsReport { report: cose })),
        ("funds-closed", encode(&FundsClosed { psd: psd(), balance, sequence: 4 })),
        (
            "account-response",
            encode(&AccountResponse {
                psds: 2,
                balance,
                licence: "L-1000".to_owned(),
                deposited: amount(5_000),
                authorised: amount(4_000),
            }),
        ),
    ]
}

/// What is said of keys: enrolment, the status list, the countersignature of a genesis file.
pub fn key_messages(full: bool) -> Vec<(&'static str, Vec<u8>)> {
    let entry = StatusEntry {
        psd: psd(),
        since: 1_795_176_000_000,
        state: if full { KeyState::Revoked } else { KeyState::Created },
        key_id: vec![1; 12],
        reason: full.then(|| "keyCompromise".to_owned()),
        serial: full.then_some(1000),
    };
    let entries = if full { vec![entry.clone(), entry] } else { vec![entry] };
    let claims = EnrolmentClaims {
        psd: psd(),
        role: if full { "device" } else { "certification" }.to_owned(),
        time: 1,
        nonce: [9; 16],
        appliance: "dev".to_owned(),
        csr_digest: [7; 32],
        generation: 2,
    };
    let environment = if full { Environment::Production } else { Environment::Development };
    vec![
        ("enrolment-request", encode(&EnrolmentRequest { csr: vec![0x30; 200], statement: vec![0xd2, 0x84] })),
        ("enrolment-claims", encode(&claims)),
        ("enrolment-response", encode(&EnrolmentResponse { chain: vec![ByteBuf::from(vec![0x30; 400])] })),
        (
            "status-list",
            encode(&StatusList {
                time: 1,
                tenant: full.then(|| "acme".to_owned()),
                entries,
                appliance: "dev".to_owned(),
                next_update: 2,
            }),
        ),
        (
            "genesis-countersignature",
            encode(&claims_over(b"a genesis file", ("dev", environment), full, psd::UnixMillis(3))),
        ),
    ]
}

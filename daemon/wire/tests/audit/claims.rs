//! What a report says, with all its optional fields or with none.

use psd::{PostageAmount, PsdId};
use psdd_wire::audit::*;
use psdd_wire::message::{ClockView, InspectionView, RegisterView};
use psdd_wire::status::KeyState;
use serde_bytes::ByteBuf;

pub fn amount(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).expect("an amount")
}

fn psd() -> PsdId {
    "PS010000001".parse().expect("a PSD")
}

fn key(full: bool) -> AuditKey {
    AuditKey {
        role: "indicium".to_owned(),
        since: 1,
        state: KeyState::Active,
        value: amount(175),
        key_id: vec![1; 12],
        pieces: 3,
        serial: full.then_some(1_000),
        created: 1,
        activated: full.then_some(2),
        algorithm: "ecdsa-p256-sha256".to_owned(),
        not_after: full.then_some(9),
        residence: if full { "wrapped" } else { "resident" }.to_owned(),
        generation: 1,
        certificate: full.then(|| ByteBuf::from(vec![7; 32])),
    }
}

pub fn claims(full: bool) -> AuditClaims {
    AuditClaims {
        psd: psd(),
        logged: Logged {
            keys: if full { vec![key(true), key(false)] } else { Vec::new() },
            locks: if full { vec!["clock".to_owned()] } else { Vec::new() },
            state: "active".to_owned(),
            format: "ibi".to_owned(),
            tenant: "acme".parse().expect("a tenant"),
            licence: "L-1".parse().expect("a licence"),
            pending: full.then(|| PendingLine { amount: amount(1_000), purpose: "download".to_owned(), sequence: 3 }),
            currency: "USD".parse().expect("a currency"),
            sequence: 12,
            downloads: 2,
            registers: RegisterView {
                pieces: 3,
                ascending: amount(175),
                descending: amount(825),
                control_total: amount(1_000),
            },
            environment: "development".to_owned(),
            last_download: full.then(|| DownloadLine { leaf: 7, time: 1, amount: amount(1_000), sequence: 2 }),
        },
        asserted: Asserted {
            hsm: HsmLine::default(),
            clock: full.then(|| ClockView { time: 1, epoch: 1, source: "host".to_owned(), error_ms: 3 }),
            scrub: full.then(|| ScrubLine { time: 1, records: 9, finding: Some("record 3 is missing".to_owned()) }),
            binary: full.then(|| ByteBuf::from(vec![8; 32])),
            version: "0.1.0".to_owned(),
            inspection: full.then_some(InspectionView { due: 3, last: 1, warn: 2 }),
            last_audit: full.then_some(5),
            clock_stopped: (!full).then(|| "the clock source is not synchronised".to_owned()),
        },
        appliance: "dev".to_owned(),
        challenge: vec![5; if full { 64 } else { 16 }],
        checkpoint: full.then(|| "psdd.log/dev\n".to_owned()),
    }
}

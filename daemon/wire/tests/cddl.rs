//! What the types encode is what `psdd.cddl` says, in the deterministic encoding; and the contract does refuse.

mod audit;
mod authority;
mod certify;
mod contract;
mod operator;
mod scale;
mod voucher;

use contract::{Contract, V, deterministic};
use psd::indicium::voucher::CONTENT_TYPE;
use psd::{PostageAmount, PsdId};
use psdd_wire::cose::{INSTRUCTION, Sign1, VALUE_AUTHORISATION, VALUE_REQUEST};
use psdd_wire::message::*;
use psdd_wire::problem::Problem;
use psdd_wire::proof::*;
use psdd_wire::receipt::{InclusionProof, Receipt};
use psdd_wire::spki::KeyKind;
use serde_bytes::ByteBuf;
use std::borrow::Cow;

fn amount(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).expect("an amount")
}

fn psd() -> PsdId {
    "PS010000001".parse().expect("a PSD")
}

fn registers() -> RegisterView {
    let (ascending, descending, control_total) = (amount(1_234_567), amount(175), amount(1_234_742));
    RegisterView { pieces: 70_000, ascending, descending, control_total }
}

fn item() -> PostalItem<'static> {
    PostalItem {
        key: Cow::Borrowed(&[1; 16]),
        date: "2026-11-20".into(),
        rate: "FCM1".into(),
        token: true,
        weight: Some(28),
        postage: "0.735".into(),
        recipient: Some("A. Resident".into()),
        reference: Some("r-1".into()),
        destination: "20260-0004-99".into(),
    }
}

fn requested() -> ValueRequestResponse {
    ValueRequestResponse {
        psd: psd(),
        amount: amount(5_000),
        purpose: "download".to_owned(),
        request: vec![0xd2],
        sequence: 3,
    }
}

fn piece(full: bool) -> SignedPiece {
    let (leaf, time, sequence) = (65_536, 1_795_176_000_000, 255);
    SignedPiece {
        key: [7; 16],
        psd: psd(),
        leaf,
        time,
        token: full.then(|| "12345 67890 6".to_owned()),
        indicium: vec![0; 113],
        sequence,
        registers: registers(),
    }
}

fn view(full: bool) -> PsdView {
    let clock = ClockView { time: 1_795_176_000_000, epoch: 1, source: "development".to_owned(), error_ms: 0 };
    PsdView {
        psd: psd(),
        zips: full.then(|| ["00501".to_owned(), "94999".to_owned()]),
        clock: full.then_some(clock),
        locks: if full { vec!["authority".to_owned()] } else { Vec::new() },
        state: "active".to_owned(),
        value: ValueState { ended: 2, pending: full.then(requested) },
        format: "ibi".to_owned(),
        limits: LimitsView {
            largest_refill: amount(4_000_000_000),
            largest_postage: amount(100_000),
            smallest_refill: amount(10),
            smallest_postage: amount(10),
            largest_descending: amount(4_000_000_000),
        },
        licence: "L-1000".to_owned(),
        currency: "EUR".parse().unwrap(),
        sequence: 24,
        registers: registers(),
        inspection: full.then_some(InspectionView { due: 1_795_176_000_000, last: 1, warn: 2 }),
        certificate: full.then_some(1_000),
    }
}

fn scales(full: bool, checkpoint: Option<String>) -> ScalesResponse {
    let scale = |standing: Option<&str>| ScaleView {
        days: standing.filter(|standing| *standing != "valid").map(|_| 12),
        leaf: 17,
        site: "Dock 1".to_owned(),
        maker: "Maker".to_owned(),
        model: "Model".to_owned(),
        scale: "dock-1".to_owned(),
        issuer: "Laboratory".to_owned(),
        signed: if full { "required" } else { "never" }.to_owned(),
        minimum: 20_000,
        capacity: 60_000_000,
        standing: standing.map(str::to_owned),
        resolution: 1_000,
        valid_from: "2026-11-01".to_owned(),
        certificate: "C-1".to_owned(),
        valid_until: "2027-10-31".to_owned(),
    };
    let standings = [None, Some("valid"), Some("due"), Some("overdue"), Some("not yet valid")];
    ScalesResponse { scales: if full { standings.map(scale).into() } else { Vec::new() }, checkpoint }
}

fn key(full: bool) -> KeyView {
    KeyView {
        role: "indicium".to_owned(),
        spki: vec![0x30; 91],
        chain: if full { vec![ByteBuf::from(vec![0x30; 300])] } else { Vec::new() },
        key_id: vec![1; 10],
        serial: full.then_some(1_000),
        algorithm: if full { "ed25519" } else { "ecdsa-p256" }.to_owned(),
    }
}

/// A lock, or a ceiling with or without an amount.
fn instruction(ceiling: Option<bool>) -> InstructionClaims {
    InstructionClaims {
        act: if ceiling.is_some() { "ceiling" } else { "unlock" }.to_owned(),
        psd: ceiling.is_none().then(|| "PS010000000001".to_owned()),
        amount: ceiling.filter(|amount| *amount).map(|_| "1000.00".to_owned()),
        role: None,
        text: None,
        warn: None,
        block: None,
        since: None,
        digest: None,
        reason: None,
        period: ceiling.map(|_| "month".to_owned()),
        serial: None,
        expires: 1_795_176_000_000,
        licence: ceiling.map(|_| "L-1000".to_owned()),
        version: None,
        sequence: 1,
        appliance: "dev".to_owned(),
    }
}

/// Every message type, with all its optional fields and with none of them, by its rule.
fn messages() -> Vec<(&'static str, Vec<u8>)> {
    use psdd_wire::encode;
    let mut all = Vec::new();
    for full in [false, true] {
        let checkpoint = full.then(|| "psdd.log/dev\n1\nAA==\n\n— psdd.log/dev AA==\n".to_owned());
        let mut bare = item();
        if !full {
            (bare.weight, bare.recipient, bare.reference, bare.token) = (None, None, None, false);
        }
        let by_licence = Select::ALL.map(|select| SignTarget::Licence { licence: "L-1000".into(), select });
        for target in [SignTarget::Psd("PS010000001".into())].into_iter().chain(by_licence) {
            let pieces = vec![bare.clone().into(); if full { 30 } else { 1 }];
            let request = SignRequest {
                target,
                items: std::iter::once(voucher::item(full).into()).chain(pieces).collect(),
                checkpoint: checkpoint.as_deref().map(Cow::Borrowed),
                all_or_none: full,
            };
            all.push(("sign-request", encode(&request)));
        }
        all.push(("voucher-claims", voucher::claims(full).1));
        let problem = if full { Problem::passing("overloaded", "x", 100) } else { Problem::lasting("key-reused", "y") };
        let refused = RefusedPiece { key: vec![1, 2], problem: problem.clone() };
        let results = vec![SignResult::Signed(piece(full)), SignResult::Refused(refused)];
        all.push(("sign-response", encode(&SignResponse { results, checkpoint: checkpoint.clone() })));
        all.push(("piece-response", encode(&PieceResponse { piece: piece(full), checkpoint: checkpoint.clone() })));
        let psds = if full { vec![view(true), view(false)] } else { Vec::new() };
        all.push(("psds-response", encode(&PsdsResponse { psds, checkpoint: checkpoint.clone() })));
        all.push(("scales-response", encode(&scales(full, checkpoint.clone()))));
        all.push(("status-response", encode(&StatusResponse { list: vec![0xd2, 0x84] })));
        let path = if full { vec![ByteBuf::from([7; 32]), ByteBuf::from([8; 32])] } else { Vec::new() };
        all.push(("inclusion-response", encode(&InclusionResponse { leaf: 1, path: path.clone(), size: 3 })));
        all.push(("consistency-response", encode(&ConsistencyResponse { to: 3, from: 2, path: path.clone() })));
        let proof = InclusionProof { size: 3, leaf: 1, path: hashes_of(&path).unwrap() };
        let kind = if full { KeyKind::Ed25519 } else { KeyKind::P256 };
        let receipt = Receipt::new(kind, proof, &[1; 64]).encode();
        all.push(("receipt-response", encode(&ReceiptResponse { leaf: 1, record: vec![0xa0], receipt })));
        all.push(("psd-response", encode(&PsdResponse { psd: view(full), checkpoint: checkpoint.clone() })));
        all.push((
            "certificates-response",
            encode(&CertificatesResponse {
                psd: psd(),
                keys: vec![key(full), key(!full)],
                checkpoint: checkpoint.clone(),
                authority_root: vec![0x30; 400],
            }),
        ));
        all.push((
            "appliance-response",
            encode(&ApplianceResponse {
                origin: "psdd.log/dev".to_owned(),
                policy: full.then_some(AuthorityPolicyView { digest: [7; 32], version: 2 }),
                version: "0.1.0".to_owned(),
                log_spki: vec![0x30; 44],
                appliance: "dev".to_owned(),
                checkpoint: checkpoint.clone(),
                environment: if full { "production" } else { "development" }.to_owned(),
                authority_root: vec![0x30; 400],
            }),
        ));
        let query = TokenQuery {
            psd: "PS010000001".into(),
            date: "2026-11-20".into(),
            token: "12345 67890 6".into(),
            pieces: 7,
            postage: "0.73".into(),
            recipient: full.then(|| "A. Resident".into()),
            destination: "20500-0003-12".into(),
        };
        all.push(("token-query", encode(&query)));
        all.push((
            "token-verdict",
            encode(&TokenVerdict {
                key: full.then_some(1),
                log: full.then_some(InLog::Same),
                psd: psd(),
                half: "vendor".to_owned(),
                leaf: full.then_some(5),
                says: "the vendor's half is of these data".to_owned(),
                verdict: if full { HalfVerdict::Holds } else { HalfVerdict::DoesNotHold },
                checkpoint: checkpoint.clone(),
            }),
        ));
        all.push(("value-request", encode(&ValueRequest { amount: "12".into() })));
        all.push(("value-request-response", encode(&requested())));
        let claims = ValueRequestClaims {
            psd: psd(),
            time: 1,
            nonce: [9; 16],
            amount: amount(1),
            refund: full.then(|| RefundClaims { key: [7; 16], leaf: 5, indicium: vec![0; 113] }),
            sequence: 1,
            appliance: "dev".to_owned(),
            registers: registers(),
        };
        let of_the_device_key =
            ["value-request-claims", "value-void-claims", "withdrawal-request-claims", "withdrawal-report-claims"];
        all.extend(of_the_device_key.map(|rule| (rule, encode(&claims))));
        all.push(("value-authorisation", encode(&ValueAuthorisation { authorisation: vec![0xd2, 0x84] })));
        let answer = ValueAuthorisationClaims {
            psd: psd(),
            amount: amount(1),
            refund: full.then_some(5),
            expires: 2,
            sequence: 1,
            appliance: "dev".to_owned(),
            control_total: amount(3),
        };
        let of_the_funds_key = ["value-authorisation-claims", "withdrawal-acknowledgement-claims"];
        all.extend(of_the_funds_key.map(|rule| (rule, encode(&answer))));
        all.push((
            "value-applied-response",
            encode(&ValueAppliedResponse {
                psd: psd(),
                leaf: 1,
                time: 2,
                amount: amount(3),
                sequence: 4,
                registers: registers(),
                checkpoint: checkpoint.clone(),
            }),
        ));
        all.push(("value-void", encode(&ValueVoid { sequence: 4 })));
        all.push((
            "value-voided-response",
            encode(&ValueVoidedResponse {
                psd: psd(),
                leaf: 1,
                time: 2,
                amount: amount(3),
                sequence: 4,
                statement: vec![0xd2, 0x84],
                checkpoint: checkpoint.clone(),
            }),
        ));
        all.push(("refund-request", encode(&RefundRequest { key: Cow::Borrowed(&[7; 16]) })));
        all.push(("withdrawal", encode(&Withdrawal {})));
        all.push((
            "withdrawal-acknowledgement",
            encode(&WithdrawalAcknowledgement { acknowledgement: vec![0xd2, 0x84] }),
        ));
        all.push((
            "withdrawn-response",
            encode(&WithdrawnResponse {
                psd: psd(),
                leaf: 1,
                time: 2,
                amount: amount(3),
                report: vec![0xd2, 0x84],
                sequence: 4,
                registers: registers(),
                checkpoint: checkpoint.clone(),
            }),
        ));
        all.push(("instruction", encode(&Instruction { instruction: vec![0xd2, 0x84] })));
        let inspection = InspectionView { due: 1_795_176_000_000, last: 1, warn: 2 };
        all.push(("inspection-view", encode(&inspection)));
        all.push(("authority-policy", encode(&AuthorityPolicyView { digest: [7; 32], version: 2 })));
        all.push(("lock-claims", encode(&instruction(None))));
        all.push(("ceiling-claims", encode(&instruction(Some(full)))));
        let acknowledgement = InstructionClaims {
            act: "acknowledge".to_owned(),
            role: Some("indicium".to_owned()),
            serial: Some(1_001),
            ..instruction(None)
        };
        all.push(("acknowledge-claims", encode(&acknowledgement)));
        all.push(("instruction-claims", encode(&instruction(full.then_some(true)))));
        all.push(("instruction-claims", encode(&acknowledgement)));
        let periods = InstructionClaims {
            act: "inspection-periods".to_owned(),
            warn: full.then_some(48),
            block: full.then_some(72),
            amount: None,
            period: None,
            ..instruction(Some(true))
        };
        let acceptance = InstructionClaims {
            act: "accept-audit".to_owned(),
            digest: Some(ByteBuf::from(vec![7; 32])),
            ..instruction(None)
        };
        let policy = InstructionClaims {
            act: "policy".to_owned(),
            text: Some(if full { "a".repeat(24_576) } else { String::new() }),
            psd: None,
            version: Some(1),
            ..instruction(None)
        };
        let revocation = InstructionClaims {
            act: "revoke-key".to_owned(),
            role: Some("device".to_owned()),
            since: Some(1_795_176_000_000),
            reason: Some("keyCompromise".to_owned()),
            serial: Some(1_001),
            ..instruction(None)
        };
        let role = if full { "token-mac" } else { "indicium" };
        let change =
            InstructionClaims { act: "change-key".to_owned(), role: Some(role.to_owned()), ..instruction(None) };
        let rows = [
            ("inspection-periods-claims", periods),
            ("accept-audit-claims", acceptance),
            ("revoke-key-claims", revocation),
            ("change-key-claims", change),
            ("policy-claims", policy),
        ];
        for (rule, claims) in rows {
            all.push((rule, encode(&claims)));
            all.push(("instruction-claims", encode(&claims)));
        }
        all.push((
            "instruction-response",
            encode(&InstructionResponse {
                leaf: 1,
                time: 2,
                purpose: "policy".to_owned(),
                sequence: 4,
                checkpoint: checkpoint.clone(),
            }),
        ));
        all.extend(authority::funds_messages());
        all.extend(authority::key_messages(full));
        all.extend(operator::messages(full));
        all.extend(audit::messages(full));
        all.extend(scale::messages(full));
        all.extend(certify::messages(full));
        let problem = if full { problem } else { Problem { detail: None, ..problem } };
        all.push(("problem", encode(&problem)));
    }
    all
}

#[test]
fn every_message_type_is_encoded_as_the_contract_says() {
    let contract = Contract::read();
    for (rule, bytes) in messages() {
        let value = contract.message(rule, &bytes).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(value.encode(), bytes, "{rule}: the walker and the encoder agree");
    }
}

#[test]
fn the_test_above_leaves_no_rule_out() {
    let contract = Contract::read();
    let parts = [
        "amount",
        "currency",
        "psd-id",
        "date",
        "piece-key",
        "zip",
        "licence-number",
        "selection",
        "unix-ms",
        "certificate",
        "checkpoint",
        "registers",
        "clock-reading",
        "sign-item",
        "postal-item",
        "voucher-item",
        "voucher-kind",
        "certification-number",
        "run-id",
        "run-view",
        "run-destination",
        "zip-count",
        "closed-run",
        "lost-discount",
        "open-run",
        "scale-view",
        "sign-result",
        "signed-piece",
        "digital-token",
        "refused-piece",
        "psd-view",
        "limits",
        "value-state",
        "key-view",
        "refund-claims",
        "problem-facts",
        "status-entry",
        "operator-view",
        "token-view",
        "plan-problem",
        "ceremony-state",
        "request-view",
        "certificate-chain",
        "install-result",
        "installed-certificate",
        "refused-certificate",
        "operator-key-view",
        "next-rotation",
        "transcript-key",
        "audit-failure",
        "audit-logged",
        "audit-pending",
        "audit-download",
        "audit-key",
        "audit-asserted",
        "audit-hsm",
        "audit-scrub",
        "scale-id",
        "rate-name",
        "certify-item",
        "certify-result",
        "certified-piece",
    ];
    let messages = messages();
    let known = |rule: &str| parts.contains(&rule) || messages.iter().any(|(name, _)| *name == rule);
    let unknown: Vec<&str> = contract.rules().filter(|rule| !known(rule)).collect();
    assert!(unknown.is_empty(), "rules without a test: {unknown:?}");
}

#[test]
fn the_contract_refuses_what_it_must() {
    let contract = Contract::read();
    for (rule, bytes) in messages() {
        let value = deterministic(&bytes).expect("deterministic");
        let more = value.clone().with("surplus", V::Int(1)).encode();
        // RFC 9290 leaves problems open; the contract closes ours.
        assert!(contract.judge(rule, &more).is_err(), "{rule} with a field too many");
    }
    let item = V::map([
        ("key", V::Bytes(vec![1; 16])),
        ("date", V::text("2026-11-20")),
        ("rate", V::text("FCM")),
        ("postage", V::text("0.73")),
        ("destination", V::text("20260")),
    ]);
    let judge = |item: V| {
        let request = V::map([("psd", V::text("PS010000001")), ("items", V::Array(vec![item]))]);
        contract.judge("sign-request", &request.encode())
    };
    judge(item.clone()).expect("the plain item");
    let wrong = [
        ("key", V::Bytes(vec![1; 15])),
        ("key", V::text("0123456789abcdef")),
        ("date", V::text("2026-11-20 ")),
        ("rate", V::text("FCM12")),
        ("rate", V::text("fcm")),
        ("postage", V::text("-0.73")),
        ("postage", V::Int(73)),
        ("weight", V::Int(-1)),
        ("destination", V::text("2026")),
        ("destination", V::text("x20260")),
    ];
    for (key, value) in wrong {
        assert!(judge(item.clone().with(key, value.clone())).is_err(), "{key} = {value:?}");
    }
    for key in ["key", "date", "rate", "postage", "destination"] {
        assert!(judge(item.clone().without(key)).is_err(), "without {key}");
    }
    let targets = [
        (vec![("licence", "L-1")], true),
        (vec![("licence", "L-1"), ("select", "most-funds")], true),
        (vec![("licence", "L-1"), ("select", "best")], false),
        (vec![("licence", "-1")], false),
        (vec![("psd", "PS010000001"), ("select", "zip")], false),
        (vec![("psd", "PS010000001"), ("licence", "L-1")], false),
        (vec![("select", "zip")], false),
        (Vec::new(), false),
    ];
    for (fields, valid) in targets {
        let request = V::map([("items", V::Array(vec![item.clone()]))]);
        let request = fields.iter().fold(request, |request, (key, word)| request.with(key, V::text(word)));
        assert_eq!(contract.judge("sign-request", &request.encode()).is_ok(), valid, "{fields:?}");
    }
    let none = V::map([("psd", V::text("PS010000001")), ("items", V::Array(Vec::new()))]);
    assert!(contract.judge("sign-request", &none.encode()).is_err(), "no items");
}

#[test]
fn the_walker_refuses_every_other_encoding() {
    let rows: [(&str, &[u8]); 12] = [
        ("an integer in two bytes", &[0x18, 0x17]),
        ("an integer in three bytes", &[0x19, 0x00, 0xff]),
        ("an integer in five bytes", &[0x1a, 0x00, 0x00, 0xff, 0xff]),
        ("an integer in nine bytes", &[0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        ("a length in two bytes", &[0x58, 0x01, 0x00]),
        ("keys out of order", &[0xa2, 0x61, b'b', 0x00, 0x61, b'a', 0x00]),
        ("a longer key first", &[0xa2, 0x62, b'a', b'a', 0x00, 0x61, b'b', 0x00]),
        ("a key twice", &[0xa2, 0x61, b'a', 0x00, 0x61, b'a', 0x00]),
        ("an indefinite map", &[0xbf, 0xff]),
        ("a float", &[0xf9, 0x00, 0x00]),
        ("null", &[0xf6]),
        ("something after it", &[0x00, 0x00]),
    ];
    for (name, bytes) in rows {
        assert!(deterministic(bytes).is_err(), "{name}");
    }
    assert!(deterministic(&[0xa2, 0x20, 0x00, 0x61, b'a', 0x00]).is_ok(), "negative integers come before text");
}

#[test]
fn cose_payloads_are_the_claims_of_the_contract() {
    let contract = Contract::read();
    for (rule, bytes) in messages() {
        let (content_type, certificate) = match rule {
            "value-request-claims" => (VALUE_REQUEST, None),
            "voucher-claims" => (CONTENT_TYPE, None),
            "value-authorisation-claims" => (VALUE_AUTHORISATION, Some([0x30; 8].as_slice())),
            "instruction-claims" => (INSTRUCTION, Some([0x30; 8].as_slice())),
            _ => continue,
        };
        let message = match rule {
            "voucher-claims" => voucher::claims(deterministic(&bytes).expect("claims").find("specimen").is_some()).0,
            _ => Sign1::unsigned(content_type, certificate, bytes.clone()).with_signature(&[1; 64]),
        };
        // Tag 18, then an array whose first element is the protected header, a map of its own.
        assert_eq!(message[0], 0xd2);
        let array = deterministic(&message[1..]).expect("deterministic below the tag");
        let [protected, unprotected, payload, signature] = array.list() else { panic!("four elements") };
        let protected = deterministic(protected.bytes()).expect("a deterministic header");
        let V::Map(header) = &protected else { panic!("a header is a map") };
        assert_eq!(header[0], (V::Int(1), V::Int(-7)), "ES256");
        assert_eq!(header[1], (V::Int(3), V::text(content_type)));
        assert_eq!(header.get(2).map(|(label, _)| label.clone()), certificate.map(|_| V::Int(33)), "x5chain");
        assert_eq!((unprotected, signature.bytes().len()), (&V::Map(Vec::new()), 64));
        contract.message(rule, payload.bytes()).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(payload.bytes(), bytes);
    }
}

#[test]
fn the_operator_door_reads_its_own_messages_back_and_no_obliging_ones() {
    use psdd_wire::operator::*;
    let messages = operator::messages(true);
    let find = |rule| &messages.iter().find(|(name, _)| *name == rule).expect("a message").1;
    let run: RunRequest = psdd_wire::read(find("run-request")).unwrap();
    assert_eq!(run.approvals.len(), 2);
    let install: InstallRequest = psdd_wire::read(find("install-request")).unwrap();
    assert_eq!(install.chains[0].chain.len(), 2);
    let told: InstallResponse = serde_cbor::from_slice(find("install-response")).unwrap();
    assert!(matches!(told.results.as_slice(), [InstallResult::Installed(_), InstallResult::Refused(_)]));
    let of = |approvals| V::map([("file", V::Bytes(vec![1])), ("approvals", approvals)]).encode();
    for approvals in [V::Array(vec![V::text("no bytes")]), V::Array(vec![V::Array(vec![V::Int(1)])]), V::Bytes(vec![1])]
    {
        assert!(psdd_wire::read::<RunRequest>(&of(approvals.clone())).is_err(), "{approvals:?}");
    }
}

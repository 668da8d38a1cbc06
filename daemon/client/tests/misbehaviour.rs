//! The SDK against an appliance that misbehaves: each wrong is detected and has its type.

mod appliance;

use appliance::{Appliance, Fault, psd, today};
use psd::indicium::{Mismatch, Validity, Voucher};
use psdd_client::{
    Client, ClientError, ConfigError, ConnectError, ContractError, InputError, Item, Outcome, Select, Signer,
    Verification, VerificationError, VoucherItem, new_key,
};
use psdd_wire::cose::{Sign1, VALUE_AUTHORISATION};
use psdd_wire::message::ValueAuthorisationClaims;
use std::sync::Arc;
use std::time::Duration;

fn item(postage: &str) -> Item {
    Item {
        key: new_key(),
        postage: postage.parse().unwrap(),
        date: today(),
        destination: "20500-0003".parse().unwrap(),
        rate: "FCL".parse().unwrap(),
        recipient: Some("Ada Moor, 1 Elm St".to_owned()),
        reference: None,
        weight_g: Some(20),
        token: false,
    }
}

fn items(number: usize) -> Vec<Item> {
    (0..number).map(|_| item("0.545")).collect()
}

async fn connected() -> (Appliance, Client) {
    let appliance = Appliance::start().await;
    let client = Client::connect(appliance.pki.config(appliance.address)).await.unwrap();
    (appliance, client)
}

fn all_signed(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome, Outcome::Signed(_)))
}

/// Signs ten good pieces, then two with a fault, and gives what the SDK says to these.
async fn verdict(fault: Fault) -> ClientError {
    let (appliance, client) = connected().await;
    assert!(all_signed(&client.sign(psd(), items(10), false).await.unwrap()));
    appliance.misbehave(fault);
    client.sign(psd(), items(2), false).await.expect_err(&format!("{fault:?} went unnoticed"))
}

macro_rules! verification {
    ($fault:expr, $pattern:pat) => {
        match verdict($fault).await {
            ClientError::Verification(error) => assert!(matches!(*error, $pattern), "{:?}: {error:?}", $fault),
            other => panic!("{:?}: {other:?}", $fault),
        }
    };
}

#[tokio::test]
async fn good_pieces_are_signed_in_order_and_found_again() {
    let (appliance, client) = connected().await;
    let asked = items(100);
    let outcomes = client.sign(psd(), asked.clone(), false).await.unwrap();
    let mut sequences = Vec::new();
    for (item, outcome) in asked.iter().zip(&outcomes) {
        let Outcome::Signed(piece) = outcome else { panic!("{outcome:?}") };
        assert_eq!(piece.key, *item.key.as_bytes());
        assert_eq!(client.piece(item.key).await.unwrap(), *piece);
        sequences.push(piece.sequence);
    }
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(client.sign(psd(), asked, false).await.unwrap(), outcomes);
    assert_eq!((appliance.debits(), appliance.registers().ascending().mills()), (100, 54_500));
    assert_eq!(client.psds().await.unwrap().len(), 1);
    assert_eq!(client.appliance().await.unwrap().appliance, "test");
    assert!(
        matches!(client.piece(new_key()).await, Err(ClientError::Refused(problem)) if problem.facts.code == "not-found")
    );
}

#[tokio::test]
async fn a_licence_is_served_by_its_own_psds_only() {
    let (appliance, client) = connected().await;
    let of = |licence: &str, select| Signer::Licence { licence: licence.parse().unwrap(), select };
    let asked = items(3);
    let outcomes = client.sign(of("L-1", Select::MostFunds), asked.clone(), false).await.unwrap();
    assert!(all_signed(&outcomes));
    assert_eq!(client.sign(of("L-1", Select::Zip), asked, false).await.unwrap(), outcomes);
    assert_eq!(appliance.debits(), 3);
    match client.sign(of("L-2", Select::RoundRobin), items(1), false).await {
        Err(ClientError::Verification(error)) => {
            assert!(matches!(*error, VerificationError::Licence { .. }), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn more_than_a_request_holds_goes_in_several() {
    let (appliance, client) = connected().await;
    let most = psdd_wire::MOST_ITEMS;
    let one = || item("0.001");
    let many: Vec<Item> = (0..most + 3).map(|_| one()).collect();
    let refused = client.sign(psd(), many.clone(), true).await;
    assert!(matches!(refused, Err(ClientError::Input(InputError::TooManyForAllOrNone { items })) if items == most + 3));
    assert_eq!(appliance.requests(), 0);
    let outcomes = client.sign(psd(), many, false).await.unwrap();
    assert!(all_signed(&outcomes) && outcomes.len() == most + 3);
    assert_eq!(appliance.requests(), 2);
    let twice = vec![one(); 2];
    let refused = client.sign(psd(), twice, false).await;
    assert!(matches!(refused, Err(ClientError::Input(InputError::SameKey { first: 0, second: 1 }))));
}

#[tokio::test]
async fn a_lost_connection_is_repeated_with_the_same_keys() {
    let (appliance, client) = connected().await;
    appliance.misbehave(Fault::Drop(2));
    assert!(all_signed(&client.sign(psd(), items(3), false).await.unwrap()));
    assert_eq!((appliance.debits(), appliance.requests()), (3, 3));
    appliance.misbehave(Fault::Drop(100));
    let lost = client.sign(psd(), items(1), false).await;
    assert!(matches!(lost, Err(ClientError::Connect { source: ConnectError::Lost(_), .. })), "{lost:?}");
    assert_eq!((appliance.debits(), appliance.requests()), (4, 9));
}

#[tokio::test]
async fn a_late_answer_is_repeated_with_the_same_keys() {
    let appliance = Appliance::start().await;
    let mut config = appliance.pki.config(appliance.address);
    (config.deadline, config.most_retries) = (Duration::from_millis(300), 2);
    let client = Client::connect(config).await.unwrap();
    let late = Duration::from_secs(30);
    appliance.misbehave(Fault::Late(late, 1));
    assert!(all_signed(&client.sign(psd(), items(2), false).await.unwrap()));
    assert_eq!((appliance.debits(), appliance.requests()), (2, 2));
    appliance.misbehave(Fault::Late(late, 100));
    let error = client.sign(psd(), items(1), false).await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline { attempts: 3, .. }), "{error:?}");
    assert_eq!(appliance.debits(), 3);
}

#[tokio::test]
async fn passing_problems_are_repeated_and_no_others() {
    let (appliance, client) = connected().await;
    appliance.misbehave(Fault::Busy(3));
    assert!(all_signed(&client.sign(psd(), items(1), false).await.unwrap()));
    assert_eq!(appliance.requests(), 4);
    appliance.misbehave(Fault::Busy(100));
    let busy = client.sign(psd(), items(1), false).await;
    assert!(matches!(busy, Err(ClientError::Refused(problem)) if problem.facts.code == "busy"));
}

#[tokio::test]
async fn a_passing_problem_of_an_item_repeats_that_item_alone() {
    let (appliance, client) = connected().await;
    appliance.misbehave(Fault::ItemBusy(1));
    assert!(all_signed(&client.sign(psd(), items(5), false).await.unwrap()));
    assert_eq!((appliance.debits(), appliance.requests()), (5, 2));
}

#[tokio::test]
async fn wrong_registers_are_detected() {
    verification!(Fault::ControlTotal, VerificationError::ControlTotal { .. });
    verification!(Fault::Overcharge, VerificationError::Movement { .. });
}

fn voucher() -> VoucherItem {
    let validity = Validity::new(today(), today()).unwrap();
    let (kind, holder) = ("ticket".parse().unwrap(), Some("seat 12 B".parse().unwrap()));
    let voucher = Arc::new(Voucher { kind, holder, validity });
    VoucherItem { key: new_key(), value: "25.00".parse().unwrap(), voucher, reference: Some("r-1".to_owned()) }
}

#[tokio::test]
async fn vouchers_are_signed_and_verified_as_marks_are() {
    let (appliance, client) = connected().await;
    appliance.make_vouchers();
    let items = vec![voucher(), voucher(), voucher()];
    let first = client.sign_vouchers(psd(), items.clone(), false).await.unwrap();
    assert!(all_signed(&first));
    let again = client.sign_vouchers(psd(), items.clone(), true).await.unwrap();
    assert_eq!((again, appliance.debits()), (first.clone(), 3));
    let Outcome::Signed(told) = &first[0] else { panic!() };
    let mark = psd::indicium::decode(&told.indicium).unwrap();
    assert_eq!((mark.format, mark.postage.mills(), mark.specimen), ("voucher", 25_000, true));
    assert_eq!(client.piece(items[0].key).await.unwrap(), *told);
    for (fault, field) in [(Fault::OtherHolder, "holder"), (Fault::OtherCurrency, "currency")] {
        appliance.misbehave(fault);
        match client.sign_vouchers(psd(), vec![voucher()], false).await {
            Err(ClientError::Verification(error)) => {
                assert!(
                    matches!(&*error, VerificationError::Field { mismatch, .. } if mismatch.field == field),
                    "{error:?}"
                );
            }
            other => panic!("{fault:?}: {other:?}"),
        }
    }
    appliance.misbehave(Fault::ForeignSignature);
    let forged = client.sign_vouchers(psd(), vec![voucher()], false).await;
    assert!(
        matches!(forged, Err(ClientError::Verification(error)) if matches!(*error, VerificationError::Signature { .. }))
    );
}

#[tokio::test]
async fn wrong_marks_are_detected() {
    verification!(
        Fault::OtherDestination,
        VerificationError::Field { mismatch: Mismatch { field: "destination", .. }, .. }
    );
    verification!(Fault::SwapKeys, VerificationError::Key { index: 0, .. });
}

#[tokio::test]
async fn foreign_signatures_are_detected() {
    verification!(Fault::ForeignSignature, VerificationError::Signature { serial: appliance::pki::SERIAL, .. });
}

#[tokio::test]
async fn a_chain_to_another_root_is_detected() {
    let (appliance, client) = connected().await;
    appliance.misbehave(Fault::ForeignChain);
    match client.sign(psd(), items(1), false).await {
        Err(ClientError::Verification(error)) => {
            assert!(matches!(*error, VerificationError::Chain { .. }), "{error:?}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn replays_are_detected() {
    verification!(Fault::Replay, VerificationError::Replayed { .. });
    verification!(Fault::ReplayRenumbered, VerificationError::Movement { .. });
}

#[tokio::test]
async fn a_log_that_goes_back_is_detected() {
    verification!(Fault::RolledBack, VerificationError::RolledBack { told: Some(_), .. });
    verification!(Fault::NoCheckpoint, VerificationError::RolledBack { told: None, .. });
    verification!(Fault::BadCheckpoint, VerificationError::Checkpoint(_));
}

#[tokio::test]
async fn a_forked_log_is_detected() {
    let (appliance, client) = connected().await;
    appliance.misbehave(Fault::Forked);
    match client.sign(psd(), items(1), false).await {
        Err(ClientError::Verification(error)) => {
            assert!(matches!(*error, VerificationError::Forked { size: 41 }), "{error:?}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_newest_checkpoint_goes_along_and_survives_a_restart() {
    let (appliance, client) = connected().await;
    for _ in 0..5 {
        client.sign(psd(), items(10), false).await.unwrap();
    }
    let newest = client.checkpoint().unwrap();
    client.sign(psd(), items(1), false).await.unwrap();
    assert_eq!(appliance.shown().last(), Some(&newest));
    let mut config = appliance.pki.config(appliance.address);
    config.checkpoint = client.checkpoint();
    appliance.misbehave(Fault::RolledBack);
    // A fault of the appliance that shows in the first answer, before anything is asked for.
    let older = Client::connect(config).await.map(drop);
    match older {
        Err(ClientError::Verification(error)) => {
            assert!(matches!(*error, VerificationError::RolledBack { .. }), "{error:?}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn broken_contracts_are_told() {
    match verdict(Fault::Garbage).await {
        ClientError::Contract(error) => {
            assert!(matches!(&*error, ContractError::MediaType { told, .. } if told == "text/html"))
        }
        other => panic!("{other:?}"),
    }
    match verdict(Fault::ResultMissing).await {
        ClientError::Contract(error) => assert!(matches!(*error, ContractError::ResultCount { items: 2, results: 1 })),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn strangers_and_unreachable_doors_are_told_apart() {
    let appliance = Appliance::start().await;
    let mut config = appliance.pki.config(appliance.address);
    config.files.client_cert = appliance.pki.file("stranger.pem");
    config.files.client_key = appliance.pki.file("stranger.key");
    let stranger = Client::connect(config.clone()).await.map(drop);
    assert!(matches!(stranger, Err(ClientError::Tls { .. })), "{stranger:?}");
    config = appliance.pki.config(appliance.address);
    config.files.server_ca = appliance.pki.file("root.pem");
    let other_ca = Client::connect(config.clone()).await.map(drop);
    assert!(matches!(other_ca, Err(ClientError::Tls { .. })), "{other_ca:?}");
    config.endpoint = "127.0.0.1:9".to_owned();
    let nobody = Client::connect(config).await.map(drop);
    assert!(matches!(nobody, Err(ClientError::Connect { source: ConnectError::Unreachable(_), .. })), "{nobody:?}");
}

#[tokio::test]
async fn another_authority_is_refused_at_the_door() {
    let appliance = Appliance::start().await;
    let mut config = appliance.pki.config(appliance.address);
    config.files.authority_root = Some(appliance.pki.file("other-root.pem"));
    match Client::connect(config.clone()).await.map(drop) {
        Err(ClientError::Verification(error)) => {
            assert!(matches!(*error, VerificationError::OtherAuthority), "{error:?}")
        }
        other => panic!("{other:?}"),
    }
    config.verification = Verification::Registers;
    assert!(all_signed(&Client::connect(config.clone()).await.unwrap().sign(psd(), items(1), false).await.unwrap()));
    config.verification = Verification::Full;
    config.files.authority_root = None;
    match Client::connect(config).await.map(drop) {
        Err(ClientError::Config(error)) => assert!(matches!(*error, ConfigError::NoAuthorityRoot)),
        other => panic!("{other:?}"),
    }
}

/// The authority's answer to download 2 of this amount. The appliance of these tests does not look at its signature.
fn authorisation(amount: u64) -> Vec<u8> {
    let mills = |mills| psd::PostageAmount::from_mills(mills).unwrap();
    let claims = ValueAuthorisationClaims {
        psd: psd(),
        amount: mills(amount),
        refund: None,
        expires: u64::MAX,
        sequence: 2,
        appliance: "test".to_owned(),
        control_total: mills(1_000_000 + amount),
    };
    Sign1::unsigned(VALUE_AUTHORISATION, Some(&[1]), psdd_wire::encode(&claims)).with_signature(&[0; 64])
}

#[tokio::test]
async fn value_is_asked_for_and_loaded() {
    let (appliance, client) = connected().await;
    let amount = "500.00".parse().unwrap();
    let request = client.request_value(psd(), amount).await.unwrap();
    assert_eq!((request.amount, request.sequence), (amount, 2));
    let applied = client.apply_value(psd(), &authorisation(500_000)).await.unwrap();
    assert_eq!((applied.amount, applied.registers.control_total.mills()), (amount, 1_500_000));
    assert_eq!(appliance.registers().descending().mills(), 1_500_000);
}

#[tokio::test]
async fn wrong_value_downloads_are_detected() {
    let (appliance, client) = connected().await;
    let amount = "500.00".parse().unwrap();
    appliance.misbehave(Fault::OtherAmountSigned);
    let signed = client.request_value(psd(), amount).await.map(drop);
    assert!(is_value_error(signed, |error| matches!(
        error,
        VerificationError::Value { what: "the amount signed", .. }
    )));
    appliance.misbehave(Fault::ForeignDevice);
    let foreign = client.request_value(psd(), amount).await.map(drop);
    assert!(is_value_error(foreign, |error| matches!(error, VerificationError::ValueRequest { .. })));
    appliance.misbehave(Fault::LoadsLess);
    let less = client.apply_value(psd(), &authorisation(500_000)).await.map(drop);
    assert!(is_value_error(less, |error| matches!(error, VerificationError::Value { what: "the control total", .. })));
}

#[tokio::test]
async fn a_statement_that_gives_nothing_up_is_detected() {
    let (appliance, client) = connected().await;
    let void = client.void_value(psd(), 2).await.unwrap();
    assert_eq!((void.sequence, void.amount.mills()), (2, 500_000));
    let other = client.void_value(psd(), 3).await.map(drop);
    assert!(is_value_error(other, |error| matches!(error, VerificationError::Value { what: "the number signed", .. })));
    appliance.misbehave(Fault::OtherAmountSigned);
    let signed = client.void_value(psd(), 2).await.map(drop);
    assert!(is_value_error(signed, |error| matches!(
        error,
        VerificationError::Value { what: "the amount signed", .. }
    )));
    for fault in [Fault::ForeignDevice, Fault::RequestForVoid] {
        appliance.misbehave(fault);
        let foreign = client.void_value(psd(), 2).await.map(drop);
        assert!(is_value_error(foreign, |error| matches!(error, VerificationError::ValueRequest { .. })));
    }
}

fn is_value_error(result: Result<(), ClientError>, expected: impl Fn(&VerificationError) -> bool) -> bool {
    matches!(result, Err(ClientError::Verification(error)) if expected(&error))
}

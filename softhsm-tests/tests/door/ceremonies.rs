//! Ceremonies over the operator door: by quorum only, step by step across kills, while vendors sign.

use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, item, outcome, outcomes};
use crate::run;
use psd::PsdId;
use psdctl::dev::{self, OPERATORS};
use psdctl::operator::OperatorConfig;
use psdd_authority::books::Books;
use psdd_authority::directory::AuthorityDir;
use psdd_authority::pki::{Order, issue};
use psdd_client::{Client, ClientError, OperatorClient};
use psdd_wire::ceremony::transcript::TranscriptClaims;
use psdd_wire::operator::{CeremonyState, InstallResult, KeyState, OperatorKeyView};
use psdd_wire::status::{self, StatusList};
use softhsm_tests::Appliance;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const QUORUM: [&str; 2] = [OPERATORS[0], OPERATORS[1]];

pub fn door(appliance: &Appliance) -> OperatorClient {
    let config = OperatorConfig::read(Some(&appliance.layout.psdctl_config())).expect("psdctl.toml");
    config.client().expect("a client of the operator door")
}

/// A ceremony file for what comes next on an appliance.
async fn file(door: &OperatorClient, act: &str) -> String {
    let told = door.appliance().await.expect("the appliance");
    let genesis: String = told.genesis.iter().map(|byte| format!("{byte:02x}")).collect();
    let at = |ms: u64| dev::instant(psd::UnixMillis(ms));
    format!(
        "appliance = \"{}\"\ngenesis = \"{genesis}\"\nnumber = {}\nnonce = \"000102030405060708090a0b0c0d0e0f\"\n\
         not_before = {}\nnot_after = {}\n\n{act}",
        told.appliance,
        told.last_ceremony + 1,
        at(told.time - 60_000),
        at(told.time + 3_600_000)
    )
}

async fn hold(appliance: &Appliance, door: &OperatorClient, file: &str) -> CeremonyState {
    let approvals = dev::approve(&appliance.layout, file.as_bytes(), &QUORUM).expect("approvals");
    let begun = door.run(file.as_bytes(), &approvals).await.unwrap_or_else(|error| panic!("{error:?}\n{file}"));
    ended(door, begun.number).await
}

async fn ended(door: &OperatorClient, number: u64) -> CeremonyState {
    let begun = Instant::now();
    loop {
        let told = door.ceremony(number).await.expect("the ceremony");
        if told.state.has_ended() {
            return told.state;
        }
        assert!(begun.elapsed() < PATIENCE, "ceremony {number}: {told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The code by which the door refuses.
fn code(refused: Result<impl std::fmt::Debug, ClientError>) -> String {
    match refused {
        Err(ClientError::Refused(problem)) => problem.facts.code,
        other => panic!("{other:?}"),
    }
}

/// What the authority's CA makes of all requests that wait, installed.
async fn certify(appliance: &Appliance, door: &OperatorClient) -> Vec<InstallResult> {
    let layout = &appliance.layout;
    let exchange = appliance.around().join(format!("exchange-{}", std::process::id()));
    std::fs::create_dir_all(&exchange).expect("a directory");
    for request in door.requests().await.expect("requests") {
        let generation = if request.generation > 1 { format!("-{}", request.generation) } else { String::new() };
        let pem = psdctl::operator::csr_pem(&request.csr);
        let path = exchange.join(format!("{}-{}{generation}.csr", request.psd, request.role));
        std::fs::write(path, pem).expect("a request");
    }
    let dir = AuthorityDir::at(&layout.authority());
    let mut books = Books::open(&dir.books()).expect("the books");
    let name = std::fs::read_to_string(layout.appliance()).expect("its name").parse().expect("a name");
    let licence = "L-1000".parse().expect("a licence");
    let order = Order { exchange: &exchange, appliance: &name, licence: &licence, renew: true };
    let issued = issue(&dir, &mut books, &order, psdd_authority::serve::now().expect("a time")).expect("certificates");
    let chains = issued.iter().map(|key| psdctl::operator::chain(&key.file).expect("certificates in PEM"));
    let results = door.install(chains.collect()).await.expect("results");
    std::fs::remove_dir_all(&exchange).expect("it goes");
    results
}

async fn key(door: &OperatorClient, of: PsdId, generation: u8) -> OperatorKeyView {
    let (_, keys) = door.keys(Some(of)).await.expect("keys");
    let found = keys.into_iter().find(|key| key.role == "indicium" && key.generation == generation);
    found.unwrap_or_else(|| panic!("no indicium key {generation} of {of}"))
}

fn rotate(of: PsdId, generation: u8) -> String {
    format!(
        "[rotate-key]\npsd = \"{of}\"\nrole = \"indicium\"\nexpected = {{ state = \"active\", locks = [], generation = {generation} }}\n"
    )
}

const ACTIVE: &str = "expected = { state = \"active\", locks = [] }\n";

#[test]
fn a_rotation_and_a_revocation_under_load_lose_nothing_and_sign_nothing_wrongly() {
    let mut appliance = raise(Wanted { psds: 2, value: "1000.00", ..Wanted::default() });
    let caller = Caller::new(&appliance.layout);
    run(async {
        let operators = door(&appliance);
        let wire = caller.connect().await;
        let (stop, revoked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let load = {
            let (wire, stop, revoked) = (wire.clone(), Arc::clone(&stop), Arc::clone(&revoked));
            tokio::spawn(async move {
                let (mut signed, mut refused) = (0_u32, 0_u32);
                while !stop.load(Ordering::Relaxed) {
                    let late = revoked.load(Ordering::Relaxed);
                    let results = wire.sign(psd(1), &[item("0.01"), item("0.01")]).await;
                    for result in &results {
                        match outcome(result) {
                            "signed" => {
                                assert!(!late, "signed after the revocation was answered");
                                signed += 1;
                            }
                            "no-certified-key" | "key-revoked" | "token-unavailable" => refused += 1,
                            other => panic!("{other}"),
                        }
                    }
                    if !late && refused > 0 {
                        // The revocation is on its way; before it nothing is refused.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                (signed, refused)
            })
        };
        let rotation = file(&operators, &rotate(psd(1), 1)).await;
        assert_eq!(hold(&appliance, &operators, &rotation).await, CeremonyState::Interrupted, "no certificate yet");
        assert_eq!(key(&operators, psd(1), 1).await.state, KeyState::Active);
        let installed = certify(&appliance, &operators).await;
        assert!(matches!(installed[..], [InstallResult::Installed(_)]), "{installed:?}");
        assert_eq!(key(&operators, psd(1), 2).await.state, KeyState::Certified);
        assert_eq!(hold(&appliance, &operators, &rotation).await, CeremonyState::Done);
        let (old, new) = (key(&operators, psd(1), 1).await, key(&operators, psd(1), 2).await);
        assert_eq!((old.state, new.state), (KeyState::Superseded, KeyState::Active));
        while key(&operators, psd(1), 2).await.pieces == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The transcript is the log key's word on it.
        let told = operators.ceremony(1).await.expect("the ceremony");
        let transcript = told.transcript.expect("a transcript");
        let log_spki = log_spki(&appliance);
        let claims = TranscriptClaims::verify(&transcript, &log_spki).expect("it verifies");
        assert_eq!((claims.number, claims.steps, claims.keys.len()), (1, 2, 1));
        assert_eq!(claims.approvers, QUORUM);

        let revoke = format!(
            "[revoke-key]\npsd = \"{}\"\nrole = \"indicium\"\ngeneration = 2\nreason = \"keyCompromise\"\n{ACTIVE}",
            psd(1)
        );
        let revoke = file(&operators, &revoke).await;
        assert_eq!(hold(&appliance, &operators, &revoke).await, CeremonyState::Done);
        revoked.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.store(true, Ordering::Relaxed);
        let (signed, refused) = load.await.expect("not one wrong answer");
        assert!(signed > 20 && refused > 0, "{signed} signed, {refused} refused");
        assert_eq!(outcomes(&wire.sign(psd(2), &[item("0.01")]).await), ["signed"], "the other PSD signs on");
        assert_eq!(u64::from(signed), wire.registers(psd(1)).await.pieces);
        let (old, new) = (key(&operators, psd(1), 1).await, key(&operators, psd(1), 2).await);
        assert_eq!((old.pieces + new.pieces, new.state), (u64::from(signed), KeyState::Revoked));

        // Verifiers without a connection are told by the signed list.
        let client = Client::connect(appliance.client_config()).await.expect("a vendor's client");
        let list = client.status_list().await.expect("a list");
        let now = psdd_authority::serve::now().expect("a time");
        let list = StatusList::verify(&list, &log_spki, None, now).expect("it verifies");
        let entry = list.entries.iter().find(|entry| entry.serial == new.serial).expect("the revoked key");
        assert_eq!((entry.state, entry.reason.as_deref()), (status::KeyState::Revoked, Some("keyCompromise")));

        // What is retired is destroyed in the token, and its marks still verify.
        for act in ["retire-key", "destroy-key"] {
            let text = format!("[{act}]\npsd = \"{}\"\nrole = \"indicium\"\ngeneration = 1\n{ACTIVE}", psd(1));
            let text = file(&operators, &text).await;
            assert_eq!(hold(&appliance, &operators, &text).await, CeremonyState::Done, "{act}");
        }
        assert_eq!(key(&operators, psd(1), 1).await.state, KeyState::Destroyed);
    });
    appliance.check(None).assert_clean("after rotation, revocation and destruction");
    appliance.restart();
    assert_eq!(run(async { key(&door(&appliance), psd(1), 1).await.state }), KeyState::Destroyed);
}

/// The log key of the appliance, by the answer of the vendor door.
fn log_spki(appliance: &Appliance) -> Vec<u8> {
    let reader = psdd_ledger::Reader::open(&appliance.layout.state()).expect("the ledger");
    let born = reader.record(0).expect("it reads").expect("leaf 0");
    match &born.record().event {
        psd::record::Event::Genesis(genesis) => genesis.log_spki.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_its_quorum_a_ceremony_changes_nothing() {
    let appliance = raise(Wanted::default());
    let layout = &appliance.layout;
    run(async {
        let operators = door(&appliance);
        let lock = format!("[lock]\npsd = \"{}\"\n{ACTIVE}", psd(1));
        let text = file(&operators, &lock).await;
        let bytes = text.as_bytes();
        let approve = |who: &[&str]| dev::approve(layout, bytes, who).expect("approvals");
        let [anna, ben, _] = OPERATORS;
        assert_eq!(code(operators.run(bytes, &[]).await), "below-quorum");
        assert_eq!(code(operators.run(bytes, &approve(&[anna])).await), "below-quorum");
        assert_eq!(code(operators.run(bytes, &approve(&[anna, anna])).await), "same-operator-twice");
        let other = text.replace("000102", "ff0102");
        let of_other = dev::approve(layout, other.as_bytes(), &[anna, ben]).expect("approvals");
        assert_eq!(code(operators.run(bytes, &of_other).await), "approval-of-other-file");
        let mut tampered = approve(&[anna, ben]);
        if let Some(byte) = tampered[1].last_mut() {
            *byte ^= 1;
        }
        assert_eq!(code(operators.run(bytes, &tampered).await), "bad-approval-signature");
        for (from, to, expected) in [
            ("number = 1", "number = 2", "wrong-ceremony-number"),
            ("appliance = \"", "appliance = \"other-", "other-appliance"),
            ("genesis = \"", "genesis = \"00", "ceremony-malformed"),
            ("locks = []", "locks = [\"operator\"]", "ceremony-unexpected-state"),
        ] {
            let changed = text.replacen(from, to, 1);
            let refused = match dev::approve(layout, changed.as_bytes(), &[anna, ben]) {
                Ok(approvals) => operators.run(changed.as_bytes(), &approvals).await,
                Err(_) => operators.run(changed.as_bytes(), &[]).await,
            };
            assert_eq!(code(refused), expected, "{to}");
        }
        assert_eq!(operators.appliance().await.expect("the appliance").last_ceremony, 0, "none of them began");
        let planned = operators.plan(bytes).await.expect("a plan");
        assert!(planned.problems.is_empty() && planned.effects.len() >= 3, "{planned:?}");

        let good = approve(&[anna, ben]);
        let begun = operators.run(bytes, &good).await.expect("a quorum");
        assert_eq!(ended(&operators, begun.number).await, CeremonyState::Done);
        let wire = Caller::new(layout).connect().await;
        assert_eq!(outcomes(&wire.sign(psd(1), &[item("0.01")]).await), ["psd-locked"]);
        // A copy of it, later and under another number, is not what was approved.
        let replayed = text.replace("number = 1", "number = 2");
        assert_eq!(code(operators.run(replayed.as_bytes(), &good).await), "approval-of-other-file");
        let unlock =
            format!("[unlock]\npsd = \"{}\"\nexpected = {{ state = \"active\", locks = [\"operator\"] }}\n", psd(1));
        let unlock = file(&operators, &unlock).await;
        assert_eq!(hold(&appliance, &operators, &unlock).await, CeremonyState::Done);
        assert_eq!(outcomes(&wire.sign(psd(1), &[item("0.01")]).await), ["signed"]);

        // An operator who is revoked approves nothing more; the quorum that is left goes on.
        let [_, _, cleo] = OPERATORS;
        let revoke = file(&operators, "[revoke-operator]\nname = \"anna\"\nreason = \"keyCompromise\"\n").await;
        assert_eq!(hold(&appliance, &operators, &revoke).await, CeremonyState::Done);
        let next = file(&operators, &lock).await;
        let approvals = dev::approve(layout, next.as_bytes(), &[anna, ben]).expect("approvals");
        assert_eq!(code(operators.run(next.as_bytes(), &approvals).await), "revoked-operator");
        let approvals = dev::approve(layout, next.as_bytes(), &[cleo, ben]).expect("approvals");
        let begun = operators.run(next.as_bytes(), &approvals).await.expect("a quorum");
        assert_eq!(ended(&operators, begun.number).await, CeremonyState::Done);
    });
    appliance.check(None).assert_clean("after ceremonies that were refused");
}

#[test]
fn a_client_and_an_account_are_revoked_for_the_very_next_item() {
    let appliance = raise(Wanted::default());
    let second = appliance.issue("second", "acme", 200);
    run(async {
        let operators = door(&appliance);
        let caller = Caller::new(&appliance.layout);
        let (first, other) = (caller.connect().await, caller.with(&second).connect().await);
        let act = "[revoke-client]\ntenant = \"acme\"\nclient = \"second\"\nreason = \"keyCompromise\"\n";
        let text = file(&operators, act).await;
        assert_eq!(hold(&appliance, &operators, &text).await, CeremonyState::Done);
        assert_eq!(outcomes(&other.sign(psd(1), &[item("0.01")]).await), ["client-revoked"]);
        assert_eq!(outcomes(&first.sign(psd(1), &[item("0.01")]).await), ["signed"]);
        let act = "[revoke-account]\ntenant = \"acme\"\nreason = \"privilegeWithdrawn\"\n";
        let text = file(&operators, act).await;
        assert_eq!(hold(&appliance, &operators, &text).await, CeremonyState::Done);
        assert_eq!(outcomes(&first.sign(psd(1), &[item("0.01")]).await), ["client-revoked"]);
    });
    appliance.check(None).assert_clean("after clients were revoked");
}

#[test]
fn a_ceremony_goes_on_after_every_kill_and_its_psds_sign_without_a_restart() {
    const PSDS: u32 = 70;
    let mut appliance = raise(Wanted::default());
    let act = format!(
        "[create-psds]\n[[create-psds.psds]]\nfirst = \"PS010000501\"\ncount = {PSDS}\ntenant = \"acme\"\nlicence = \"L-1000\"\n\
         licensing_zip = \"94301\"\nformat = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n[create-psds.psds.limits]\n\
         smallest_postage = \"0.01\"\nlargest_postage = \"100\"\nlargest_descending = \"1000\"\n"
    );
    let text = run(async { file(&door(&appliance), &act).await });
    let approvals = dev::approve(&appliance.layout, text.as_bytes(), &QUORUM).expect("approvals");
    let mut kills = 0;
    let mut steps = Vec::new();
    let done = |told: &psdd_wire::operator::CeremonyResponse| told.state == CeremonyState::Done;
    loop {
        let told = run(async {
            let operators = door(&appliance);
            operators.run(text.as_bytes(), &approvals).await.expect("it begins or goes on");
            let at = steps.len();
            let begun = Instant::now();
            loop {
                let told = operators.ceremony(1).await.expect("the ceremony");
                // Killed somewhere in the step after another one was done.
                if done(&told) || told.steps_done > u64::try_from(at).expect("few") || begun.elapsed() > PATIENCE {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
        if done(&told) {
            break;
        }
        steps.push(told.steps_done);
        appliance.kill9();
        kills += 1;
        assert!(kills < 20, "{steps:?}");
        appliance.start().expect("psdd");
    }
    assert!(kills >= 2, "{steps:?}");
    run(async {
        let operators = door(&appliance);
        let told = operators.appliance().await.expect("the appliance");
        assert_eq!((told.psds, told.last_ceremony), (u64::from(PSDS) + 1, 1));
        // Whoever carried it out to its end, the transcript names who approved and when it began.
        let transcript = operators.ceremony(1).await.expect("the ceremony").transcript.expect("a transcript");
        let claims = TranscriptClaims::verify(&transcript, &log_spki(&appliance)).expect("it verifies");
        assert!(claims.approvers == QUORUM && claims.begun > 0 && claims.begun <= claims.ended, "{claims:?}");
        let new: PsdId = "PS010000501".parse().expect("a device ID");
        let installed = certify(&appliance, &operators).await;
        assert_eq!(installed.len(), usize::try_from(PSDS * 2).expect("few"));
        assert!(installed.iter().all(|result| matches!(result, InstallResult::Installed(_))));
        let wire = Caller::new(&appliance.layout).connect().await;
        assert_eq!(outcomes(&wire.sign(new, &[item("0.01")]).await), ["insufficient-funds"], "it is active, and empty");
    });
    appliance.check(None).assert_clean("after a ceremony that was killed again and again");
}

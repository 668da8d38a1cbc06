//! Ceremonies over the operator door: by quorum only, while vendors sign.

use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, Wire, item, outcome, outcomes};
use crate::holding::{ACTIVE, QUORUM, certify, code, door, ended, file, hold, key, log_spki, rotate};
use crate::run;
use psdctl::dev::{self, OPERATORS};
use psdd_client::Client;
use psdd_wire::ceremony::transcript::TranscriptClaims;
use psdd_wire::operator::{CeremonyState, InstallResult, KeyState};
use psdd_wire::status::{self, StatusList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// PSD 1 signs, two pieces at a time, until its key is revoked and for a while after that; any refusal but for that is a failure.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    revoked: Arc<AtomicBool>,
    task: JoinHandle<(u32, u32)>,
}

impl Load {
    pub(crate) fn begin(wire: &Wire) -> Self {
        let (stop, revoked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let task = {
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
        Self { stop, revoked, task }
    }

    /// The revocation was answered. Gives how many pieces were signed, and how many were refused since.
    pub(crate) async fn end_after_revocation(self) -> (u32, u32) {
        self.revoked.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("not one wrong answer")
    }
}

#[test]
fn a_rotation_and_a_revocation_under_load_lose_nothing_and_sign_nothing_wrongly() {
    let mut appliance = raise(Wanted { psds: 2, value: "1000.00", ..Wanted::default() });
    let caller = Caller::new(&appliance.layout);
    run(async {
        let operators = door(&appliance);
        let wire = caller.connect().await;
        let load = Load::begin(&wire);
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
        let (signed, refused) = load.end_after_revocation().await;
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
        assert_eq!(list.tenant.as_deref(), Some("acme"));
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
    appliance.stop();
    appliance.check(None).assert_clean("after rotation, revocation and destruction");
    crate::inspecting::nothing_is_found(&appliance);
    appliance.restart();
    assert_eq!(run(async { key(&door(&appliance), psd(1), 1).await.state }), KeyState::Destroyed);
}

#[test]
fn without_its_quorum_a_ceremony_changes_nothing() {
    let mut appliance = raise(Wanted::default());
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
    appliance.stop();
    appliance.check(None).assert_clean("after ceremonies that were refused");
}

#[test]
fn a_client_and_an_account_are_revoked_for_the_very_next_item() {
    let mut appliance = raise(Wanted::default());
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
    appliance.stop();
    appliance.check(None).assert_clean("after clients were revoked");
    crate::inspecting::nothing_is_found(&appliance);
}

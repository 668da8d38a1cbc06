//! Orders of the postal authority about keys: a change that it orders leads to a new key in use, and a key that it revokes signs nothing more.

use crate::acknowledging::{at_the_door, name};
use crate::authority::{path, psdctl};
use crate::bench::{Wanted, psd, raise};
use crate::ceremonies::Load;
use crate::client::{Caller, item, outcomes};
use crate::holding::{door, log_spki};
use crate::instructions::{Authority, carry, signed};
use crate::reload::until;
use crate::rotation::{configure_with, keys};
use crate::run;
use crate::value::assert_code;
use psd::UnixMillis;
use psd::authority::Act;
use psd::custody::{Revocation, RevocationReason};
use psd::key::Role;
use psdd_authority::serve::now;
use psdd_client::Client;
use psdd_wire::operator::{KeyState, OperatorKeyView};
use psdd_wire::status::{self, StatusList};
use softhsm_tests::Appliance;
use std::time::Duration;

/// `psdctl authority` with an order about PSD 1, and the file it wrote.
fn ordered(appliance: &Appliance, act: &str, more: &[&str]) -> String {
    let (authority, name, psd) = (path(appliance.layout.authority()), name(appliance), psd(1).to_string());
    let out = path(appliance.layout.authority().join(format!("{act}.cose")));
    let order = ["authority", act, &authority, "--appliance", &name, "--psd", &psd, "--out", &out];
    let (code, said) = psdctl(appliance, &[&order[..], more].concat());
    assert_eq!(code, Some(0), "{said}");
    out
}

fn indicium_keys(appliance: &Appliance) -> Vec<OperatorKeyView> {
    run(async { keys(&door(appliance)).await })
}

fn revoke(serial: u32, since: UnixMillis) -> Act {
    let revocation = Revocation { since, reason: RevocationReason::KeyCompromise };
    Act::RevokeKey { psd: psd(1), role: Role::Indicium, serial, revocation }
}

#[test]
fn a_change_that_the_authority_orders_leads_to_a_new_key_in_use_and_the_old_one_cannot_be_revoked_once_it_is_gone() {
    let mut appliance = raise(Wanted { psds: 1, value: "1000.00", ..Wanted::default() });
    appliance.start_authority().expect("the authority");
    let address = std::fs::read_to_string(appliance.layout.funds_address()).expect("the authority's address");
    let order = ordered(&appliance, "change-key", &["--role", "indicium"]);
    for time in ["first", "second"] {
        let (code, said) = at_the_door(&appliance, &["vendor", "carry", &order]);
        assert!(code == Some(0) && said.contains("the authority's inspection key taken"), "{time}: {said}");
    }
    // Nobody rotates by rule here: it stays ordered, and everybody sees it.
    let before = indicium_keys(&appliance);
    assert!(before.len() == 1 && before[0].ordered.is_some(), "{before:#?}");
    for (command, words) in [("list", "no rule is for it"), ("show", "change ordered")] {
        let psd = psd(1).to_string();
        let of = if command == "show" { vec!["key", "show", &psd] } else { vec!["key", "list"] };
        let (code, said) = at_the_door(&appliance, &of);
        assert!(code == Some(0) && said.contains("by the authority") && said.contains(words), "{command}: {said}");
    }
    let caller = Caller::new(&appliance.layout);
    run(async {
        let wire = caller.connect().await;
        let authority = Authority::of(&caller, &wire).await;
        let order = |role| signed(&authority.inspection, &authority.claims(&Act::ChangeKey { psd: psd(1), role }, 10));
        assert_code(&carry(&wire, order(Role::Indicium)).await, 409, "key-change-ordered", "once more");
        assert_code(&carry(&wire, order(Role::TokenMac)).await, 404, "key-role-unknown", "of no key");
        assert_eq!(outcomes(&wire.sign(psd(1), &[item("0.73")]).await), ["signed"], "the key in use signs on");
    });
    appliance.stop();
    // By the rule it is far from due: 20 pieces. The start knows of the order.
    configure_with(&appliance, address.trim(), "");
    appliance.start().expect("psdd");
    until("the old key has gone", || {
        let keys = indicium_keys(&appliance);
        keys.len() == 2 && keys[0].state == KeyState::Destroyed && keys[1].state == KeyState::Active
    });
    let keys = indicium_keys(&appliance);
    assert_eq!((keys[0].pieces, keys[0].ordered, keys[1].ordered), (1, None, None), "the order alone made it due");
    assert!(keys[1].created >= before[0].ordered.expect("the time of the order"));
    let serials = [&keys[0], &keys[1]].map(|key| key.serial.expect("a certificate"));
    let caller = Caller::new(&appliance.layout);
    run(async {
        let wire = caller.connect().await;
        let authority = Authority::of(&caller, &wire).await;
        let order = |number, act: &Act| signed(&authority.inspection, &authority.claims(act, number));
        let (now, hour) = (now().expect("a time"), 3_600_000);
        let rows = [
            ("of a key that is gone", revoke(serials[0], now), 409, "key-destroyed"),
            ("of a key that never was", revoke(u32::MAX, now), 404, "certificate-unknown"),
            ("from a time to come", revoke(serials[1], UnixMillis(now.0 + hour)), 409, "revocation-ahead"),
        ];
        for (name, act, status, code) in rows {
            assert_code(&carry(&wire, order(20, &act)).await, status, code, name);
        }
        assert_eq!(outcomes(&wire.sign(psd(1), &[item("0.73")]).await), ["signed"], "none of it revoked anything");
        let of_today = revoke(serials[1], UnixMillis(now.0 - 1_000));
        assert_eq!(carry(&wire, order(20, &of_today)).await.status, 200);
        assert_eq!(outcomes(&wire.sign(psd(1), &[item("0.73")]).await), ["no-certified-key"]);
        assert_code(&carry(&wire, order(21, &of_today)).await, 409, "key-revoked-before", "once");
    });
    appliance.stop();
    appliance.check(None).assert_clean("after orders about keys");
    crate::inspecting::nothing_is_found(&appliance);
}

#[test]
fn a_key_that_the_authority_revokes_under_load_signs_nothing_after_it() {
    let mut appliance = raise(Wanted { psds: 2, value: "1000.00", ..Wanted::default() });
    let caller = Caller::new(&appliance.layout);
    let serial = indicium_keys(&appliance)[0].serial.expect("a certificate").to_string();
    let order = ordered(&appliance, "revoke-key", &["--serial", &serial, "--reason", "keyCompromise"]);
    let order = std::fs::read(order).expect("the instruction");
    run(async {
        let (wire, operators) = (caller.connect().await, door(&appliance));
        let load = Load::begin(&wire);
        while keys(&operators).await[0].pieces < 40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let taken = carry(&wire, order).await;
        assert_eq!((taken.status, taken.body.get("purpose").str()), (200, "inspection"), "{:?}", taken.body);
        let (signed, refused) = load.end_after_revocation().await;
        assert!(signed > 20 && refused > 0, "{signed} signed, {refused} refused");
        assert_eq!(outcomes(&wire.sign(psd(2), &[item("0.01")]).await), ["signed"], "the other PSD signs on");
        assert_eq!(u64::from(signed), wire.registers(psd(1)).await.pieces);
        let revoked = &keys(&operators).await[0];
        assert_eq!((revoked.pieces, revoked.state), (u64::from(signed), KeyState::Revoked));
        // As an operator's revocation is shown.
        let client = Client::connect(appliance.client_config()).await.expect("a vendor's client");
        let list = client.status_list().await.expect("a list");
        let list = StatusList::verify(&list, &log_spki(&appliance), None, now().expect("a time")).expect("it verifies");
        let entry = list.entries.iter().find(|entry| entry.serial == revoked.serial).expect("the revoked key");
        assert_eq!((entry.state, entry.reason.as_deref()), (status::KeyState::Revoked, Some("keyCompromise")));
    });
    appliance.stop();
    appliance.check(None).assert_clean("after a revocation by the authority");
    crate::inspecting::nothing_is_found(&appliance);
    appliance.restart();
    assert_eq!(indicium_keys(&appliance)[0].state, KeyState::Revoked);
}

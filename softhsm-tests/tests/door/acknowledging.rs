//! A rule that demands it: no next key takes over, by rule or by order, before the authority's word that verifiers know its certificate.

use crate::authority::{path, psdctl};
use crate::bench::{Wanted, psd, raise};
use crate::client::Caller;
use crate::hindered::{last_line, told};
use crate::holding::{QUORUM, door, file, key, rotate};
use crate::rotation::{configure_with, keys, sign_until};
use crate::run;
use psdctl::dev;
use psdd_wire::operator::{CeremonyState, KeyState};
use softhsm_tests::Appliance;

/// An appliance with the authority's CA, whose rule demands acknowledgement.
fn demanding() -> Appliance {
    let mut appliance = raise(Wanted { psds: 1, value: "1000.00", ..Wanted::default() });
    appliance.start_authority().expect("the authority");
    let address = std::fs::read_to_string(appliance.layout.funds_address()).expect("the authority's address");
    appliance.stop();
    configure_with(&appliance, address.trim(), "await_acknowledgement = true\n");
    appliance.start().expect("psdd");
    appliance
}

pub(crate) fn name(appliance: &Appliance) -> String {
    let caller = Caller::new(&appliance.layout);
    let told = run(async { caller.connect().await.get("/v1/appliance").await });
    told.body.get("appliance").str().to_owned()
}

/// `psdctl authority acknowledge`, and what it wrote.
fn acknowledged(appliance: &Appliance, serial: u32) -> String {
    let (authority, name, psd) = (path(appliance.layout.authority()), name(appliance), psd(1).to_string());
    let (serial, out) = (serial.to_string(), path(appliance.layout.authority().join("known.cose")));
    let order = ["authority", "acknowledge", &authority, "--appliance", &name, "--psd", &psd, "--serial", &serial];
    let (code, said) = psdctl(appliance, &[&order[..], &["--out", &out]].concat());
    assert_eq!(code, Some(0), "{said}");
    out
}

pub(crate) fn at_the_door(appliance: &Appliance, arguments: &[&str]) -> (Option<i32>, String) {
    let config = path(appliance.layout.psdctl_config());
    psdctl(appliance, &[&["--config", &config], arguments].concat())
}

#[test]
fn a_due_and_certified_key_waits_for_its_acknowledgement_and_then_takes_over() {
    let mut appliance = demanding();
    let caller = Caller::new(&appliance.layout);
    let waiting = run(async {
        let (wire, door) = (caller.connect().await, door(&appliance));
        // Long due, and certified: the first key goes on.
        let certified = |keys: &[psdd_wire::operator::OperatorKeyView]| {
            keys[0].pieces > 80 && keys.get(1).is_some_and(|key| key.state == KeyState::Certified)
        };
        sign_until(&wire, &door, certified).await
    });
    assert_eq!((waiting[0].state, waiting[1].pieces, waiting.len()), (KeyState::Active, 0, 2));
    assert_eq!(waiting[1].waits_for.as_deref(), Some("the verifiers' acknowledgement"));
    let (code, said) = at_the_door(&appliance, &["key", "list"]);
    assert!(code == Some(0) && said.contains("waits for the verifiers' acknowledgement"), "{said}");
    // A look of the custodian and more.
    let still = run(async {
        let (wire, door, before) = (caller.connect().await, door(&appliance), waiting[0].pieces);
        sign_until(&wire, &door, |keys| keys[0].pieces > before + 200).await
    });
    assert_eq!((still[0].state, still[1].state), (KeyState::Active, KeyState::Certified));

    let serial = waiting[1].serial.expect("a certificate");
    let word = acknowledged(&appliance, serial);
    let (code, said) = at_the_door(&appliance, &["vendor", "carry", &word]);
    assert!(code == Some(0) && said.contains("the authority's inspection key taken"), "{said}");
    let (code, said) = at_the_door(&appliance, &["vendor", "carry", &word]);
    assert_eq!(code, Some(0), "the same answer: {said}");
    let used = run(async {
        let (wire, door) = (caller.connect().await, door(&appliance));
        sign_until(&wire, &door, |keys| keys[1].activated.is_some() && keys[1].pieces > 40).await
    });
    assert!(used[1].acknowledged.is_some_and(|time| used[1].activated.is_some_and(|activated| time <= activated)));
    assert!(used.iter().skip(2).all(|key| key.activated.is_none()), "the one after it waits for a word of its own");
    let again = acknowledged(&appliance, serial);
    let (code, said) = at_the_door(&appliance, &["vendor", "carry", &again]);
    assert!(code != Some(0) && said.contains("does not wait for it"), "it took over before: {said}");
    let restarted = run(async { keys(&door(&appliance)).await });
    assert!(restarted[1].acknowledged.is_some());
    appliance.restart();
    let restarted = run(async { keys(&door(&appliance)).await });
    assert_eq!(restarted[1].acknowledged, used[1].acknowledged, "a restart changes nothing");
    appliance.stop();
    appliance.check(None).assert_clean("after an acknowledgement");
}

#[test]
fn a_rotation_by_order_waits_for_the_acknowledgement_unless_its_file_says_that_it_does_not() {
    let mut appliance = demanding();
    let begin = |act: &str| {
        let text = run(async { file(&door(&appliance), act).await });
        let approvals = dev::approve(&appliance.layout, text.as_bytes(), &QUORUM).expect("approvals");
        run(async { door(&appliance).run(text.as_bytes(), &approvals).await }).expect("it begins");
    };
    begin(&rotate(psd(1), 1));
    let waits = told(&appliance, 1, |told| last_line(told).starts_with("stopped: awaiting-acknowledgement: "));
    assert_eq!((waits.state, waits.steps_done), (CeremonyState::Interrupted, 1), "{waits:?}");
    let next = run(async { key(&door(&appliance), psd(1), 2).await });
    assert_eq!(next.state, KeyState::Certified);
    let word = acknowledged(&appliance, next.serial.expect("a certificate"));
    let (code, said) = at_the_door(&appliance, &["vendor", "carry", &word]);
    assert_eq!(code, Some(0), "{said}");
    told(&appliance, 1, |told| told.state == CeremonyState::Done);
    begin(&rotate(psd(1), 2).replacen("expected", "without_acknowledgement = true\nexpected", 1));
    told(&appliance, 2, |told| told.state == CeremonyState::Done);
    let used = run(async { key(&door(&appliance), psd(1), 3).await });
    assert_eq!((used.state, used.acknowledged), (KeyState::Active, None));
    appliance.stop();
    appliance.check(None).assert_clean("after rotations by order");
}

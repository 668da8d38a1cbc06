//! What is told of keys: to a vendor of its own tenant's, to operators of all, and what the authority's list says of them.

use crate::bench::{Wanted, psd, raise};
use crate::holding::{certify, door, file, hold, key, log_spki, rotate};
use crate::{run, shared};
use psd::custody::RevocationReason;
use psd::key::Role;
use psdd_authority::books::{Books, CrlIssuer, Revoke};
use psdd_authority::directory::AuthorityDir;
use psdd_authority::pki::write_list;
use psdd_authority::serve::now;
use psdd_client::Client;
use psdd_wire::operator::CeremonyState;
use psdd_wire::status::StatusList;
use softhsm_tests::Appliance;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_vendor_is_told_of_its_own_psds_and_operators_of_all() {
    let shared = shared();
    let appliance = &shared.appliance;
    let rival = appliance.issue("lister", "rival", 390);
    let nobody = appliance.issue("other-lister", "nobody", 391);
    let spki = log_spki(appliance);
    run(async {
        let list = |bytes: Vec<u8>| {
            let list = StatusList::verify(&bytes, &spki, None, now().expect("a time")).expect("it verifies");
            let psds: BTreeSet<String> = list.entries.iter().map(|entry| entry.psd.to_string()).collect();
            (list.tenant, psds)
        };
        let of = |config| async move {
            Client::connect(config).await.expect("a client").status_list().await.expect("a list")
        };
        let (tenant, acme) = list(of(appliance.client_config()).await);
        assert_eq!(tenant.as_deref(), Some("acme"));
        assert!(acme.len() > 20 && acme.iter().all(|psd| !psd.starts_with("PU")), "{acme:?}");
        let (tenant, rivals) = list(of(appliance.client_config_of(&rival)).await);
        assert_eq!((tenant.as_deref(), rivals.len()), (Some("rival"), 1));
        assert!(rivals.iter().all(|psd| psd.starts_with("PU")), "{rivals:?}");
        let (tenant, none) = list(of(appliance.client_config_of(&nobody)).await);
        assert_eq!((tenant.as_deref(), none.len()), (Some("nobody"), 0));
        // The lists are kept for some seconds, each for whom it is.
        assert_eq!(list(of(appliance.client_config()).await).1, acme);
        let (tenant, all) = list(door(appliance).status_list().await.expect("a list"));
        assert_eq!((tenant, all), (None, acme.union(&rivals).cloned().collect()));
    });
}

/// Revokes a generation of PSD 1's indicium key at the authority, and writes its list.
fn revoke(appliance: &Appliance, generation: u8, reason: RevocationReason) {
    let dir = AuthorityDir::at(&appliance.layout.authority());
    let mut books = Books::open(&dir.books()).expect("the books");
    let order = Revoke { psd: psd(1), role: Role::Indicium, generation: Some(generation), reason, invalid_since: None };
    let time = now().expect("a time");
    books.revoke_key(&order, time).expect("books that work").expect("a key");
    write_list(&dir, &mut books, CrlIssuer::PsdCa, 1, time).expect("a list");
}

/// `psdctl key verify`: its exit code, and of each generation of PSD 1's indicium key whether it is good and what the list says.
fn verify(appliance: &Appliance) -> (Option<i32>, Vec<(bool, String)>) {
    let crl = AuthorityDir::at(&appliance.layout.authority()).psd_crl();
    let mut command = Command::new(&appliance.options.tools.ctl);
    command.arg("--json").arg("--config").arg(appliance.layout.psdctl_config());
    let output = command.args(["key", "verify", "--crl"]).arg(crl).output().expect("psdctl runs");
    let told: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let keys = told.iter().filter(|key| key["psd"] == psd(1).to_string() && key["role"] == "indicium");
    let one = |key: &serde_json::Value| {
        let word = key["revocation"].as_str().unwrap_or_default();
        (key["good"].as_bool().expect("a verdict"), word.to_owned())
    };
    (output.status.code(), keys.map(one).collect())
}

#[test]
fn a_key_that_was_valid_when_it_signed_is_told_from_one_that_signs_on() {
    let appliance = raise(Wanted::default());
    run(async {
        let operators = door(&appliance);
        let rotation = file(&operators, &rotate(psd(1), 1)).await;
        assert_eq!(hold(&appliance, &operators, &rotation).await, CeremonyState::Interrupted);
        certify(&appliance, &operators).await;
        assert_eq!(hold(&appliance, &operators, &rotation).await, CeremonyState::Done);
        let ended = key(&operators, psd(1), 1).await.ended.expect("another took over");
        assert_eq!(Some(ended), key(&operators, psd(1), 2).await.activated);
        // A list tells whole seconds.
        while now().expect("a time").0 / 1000 <= ended / 1000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let good = (true, String::new());
    let before = (true, "valid-when-signed".to_owned());
    assert_eq!(verify(&appliance), (Some(0), vec![good.clone(), good.clone()]));
    revoke(&appliance, 1, RevocationReason::Superseded);
    assert_eq!(verify(&appliance), (Some(0), vec![before.clone(), good]));
    revoke(&appliance, 2, RevocationReason::KeyCompromise);
    let after = (false, "signed-after-revocation".to_owned());
    assert_eq!(verify(&appliance), (Some(1), vec![before, after]));
}

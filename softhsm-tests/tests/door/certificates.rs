//! Certificates in batches: each is judged by itself, and what is wrong with one costs the others nothing.

use crate::bench::{Wanted, raise};
use crate::holding::{door, file, hold};
use crate::run;
use psdctl::dev;
use psdd_client::OperatorClient;
use psdd_wire::operator::{CeremonyState, InstallResult, KeyState};
use softhsm_tests::{Appliance, copy_dir};

async fn install(operators: &OperatorClient, chains: &[&Vec<Vec<u8>>]) -> Vec<String> {
    let results = operators.install(chains.iter().copied().cloned().collect()).await.expect("results");
    let word = |result: InstallResult| match result {
        InstallResult::Installed(installed) => format!("{} {}", installed.psd, installed.role),
        InstallResult::Refused(refused) => refused.problem.facts.code,
    };
    results.into_iter().map(word).collect()
}

/// How the keys of the new PSDs stand, by PSD and role.
async fn standing(operators: &OperatorClient) -> Vec<KeyState> {
    let (_, keys) = operators.keys(None).await.expect("keys");
    let mut new: Vec<_> = keys.into_iter().filter(|key| key.psd.serial() > 500).collect();
    new.sort_by(|one, other| (one.psd, &one.role).cmp(&(other.psd, &other.role)));
    new.into_iter().map(|key| key.state).collect()
}

/// Where the new PSDs stand in their lives.
async fn lifecycles(appliance: &Appliance) -> Vec<String> {
    let psds = appliance.client(appliance.client_config()).await.psds().await.expect("PSDs");
    psds.into_iter().filter(|view| view.psd.serial() > 500).map(|view| view.state).collect()
}

#[test]
fn of_a_batch_each_certificate_is_judged_by_itself() {
    let mut appliance = raise(Wanted::default());
    let act = "[create-psds]\nresidence = \"wrapped\"\n[[create-psds.psds]]\nfirst = \"PS010000501\"\ncount = 3\ntenant = \"acme\"\n\
        licence = \"L-1000\"\nlicensing_zip = \"94301\"\nformat = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n\
        [create-psds.psds.limits]\nsmallest_postage = \"0.01\"\nlargest_postage = \"100\"\nlargest_descending = \"1000\"\n";
    let (exchange, other) = (appliance.around().join("requests"), appliance.around().join("of-502"));
    let twin = appliance.around().join("twin");
    run(async {
        let operators = door(&appliance);
        let text = file(&operators, act).await;
        assert_eq!(hold(&appliance, &operators, &text).await, CeremonyState::Done);
        dev::fetch_requests(&operators, &exchange).await.expect("requests");
        // An authority that has forgotten what it certified gives the same serial numbers once more.
        copy_dir(&appliance.layout.authority(), &twin);
        std::fs::create_dir(&other).expect("a directory");
        for name in ["PS010000000502-device.csr", "PS010000000502-indicium.csr"] {
            std::fs::copy(exchange.join(name), other.join(name)).expect("a copy");
        }
        let chains = dev::issue_chains(&appliance.layout, &appliance.layout.authority(), &exchange).expect("chains");
        let twins = dev::issue_chains(&appliance.layout, &twin, &other).expect("chains");
        let [a_device, a_indicium, b_device, b_indicium, c_device, c_indicium] = &chains[..] else {
            panic!("{}", chains.len())
        };
        let mut altered = b_indicium.clone();
        *altered[0].last_mut().expect("a signature") ^= 1;
        let no_certificate = vec![b"no certificate".to_vec()];
        let mut endless = c_device.clone();
        endless.push(vec![0x30; 16_384]);

        let batch = [a_device, &no_certificate, &altered, a_indicium, &twins[0], b_device, a_indicium, &endless];
        let (a, b) = ("PS010000000501", "PS010000000502");
        let a_both = [format!("{a} device"), format!("{a} indicium")];
        assert_eq!(
            install(&operators, &batch).await,
            [
                &*a_both[0],
                "certificate-for-no-key",
                "certificate-wrong-issuer",
                &*a_both[1],
                "certificate-serial-taken",
                &*format!("{b} device"),
                &*a_both[1],
                "certificate-too-large"
            ]
        );
        let (made, active) = (KeyState::Created, KeyState::Active);
        let states = standing(&operators).await;
        assert_eq!(states, [active, active, active, made, made, made], "the first PSD has both, the second one of two");
        assert_eq!(lifecycles(&appliance).await, ["active", "initialised", "initialised"]);

        let batch = [&twins[0], b_indicium, a_device, c_device, c_indicium];
        let words = install(&operators, &batch).await;
        assert_eq!(words[0], "certificate-second", "the key has its certificate");
        assert_eq!(words[2], a_both[0], "what is installed already is no error");
        assert_eq!(lifecycles(&appliance).await, ["active"; 3]);
    });
    appliance.stop();
    appliance.check(None).assert_clean("after certificates in batches");
    crate::inspecting::nothing_is_found(&appliance);
}

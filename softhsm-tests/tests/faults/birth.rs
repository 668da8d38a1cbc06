//! A step of a birth that was interrupted is repeated: keys that it had made in the token are taken over, none is made twice.

use crate::bench::{Wanted, born, plan};
use psdctl::dev::OPERATORS;
use softhsm_tests::Appliance;
use std::path::Path;
use std::process::Command;

/// Whether it succeeded, and its words.
fn psdd(appliance: &Appliance, command: &str, more: &[(&str, &Path)]) -> (bool, String) {
    let config = appliance.layout.psdd_config();
    let mut run = Command::new(&appliance.options.tools.psdd);
    run.arg(command).arg("--config").arg(config);
    for (name, value) in more {
        run.arg(name).arg(value);
    }
    let output = run.output().expect("psdd runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// Lines of a request between its length and its signature, which differ each time: most of the subject and all of the key but its end.
fn subject_and_key(request: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(request).expect("a request");
    text.lines().skip(2).take(2).map(str::to_owned).collect()
}

#[test]
fn creating_psds_is_repeated_where_it_stopped() {
    let mut appliance = born(&Wanted::default());
    appliance.start_hsm().expect("psdd-hsm");
    let layout = appliance.layout.clone();
    let (file, requests) = (appliance.around().join("plan.toml"), layout.exchange());
    let (ledger, kept) = (layout.state().join("ledger.db"), appliance.around().join("ledger.kept"));
    let create = || psdd(&appliance, "birth-psds", &[("--plan", &file), ("--requests", &requests)]);
    std::fs::write(&file, plan("PS010000050", 3, "acme", "1.00", "100.00")).expect("a plan");
    std::fs::copy(&ledger, &kept).expect("a copy");

    let (made, told) = create();
    assert!(made && told.contains("3 PSDs created"), "{told}");
    let request = requests.join("PS010000000051-indicium.csr");
    let key = subject_and_key(&request);

    // Nothing is left to do, but for a request that was lost.
    std::fs::remove_file(&request).expect("a request");
    let (repeated, told) = create();
    assert!(repeated && told.contains("0 PSDs created"), "{told}");
    assert_eq!(subject_and_key(&request), key);

    // As if the power had gone before the records were written: the keys are in the token already.
    std::fs::copy(&kept, &ledger).expect("a copy");
    let (repeated, told) = create();
    assert!(repeated && told.contains("3 PSDs created"), "{told}");
    assert_eq!(subject_and_key(&request), key, "the key that is there is taken over");

    std::fs::write(&file, plan("PS010000050", 3, "acme", "2.00", "100.00")).expect("a plan");
    let (refused, told) = create();
    assert!(!refused && told.contains("PS010000000050 exists already and is not what the plan says"), "{told}");
}

#[test]
fn a_birth_is_repeated_until_leaf_0_stands() {
    let mut appliance = born(&Wanted::default());
    appliance.start_hsm().expect("psdd-hsm");
    let layout = appliance.layout.clone();
    let operators = layout.operators();
    let bear = || {
        let (file, countersignature) = (operators.join("genesis.toml"), operators.join("genesis.countersignature"));
        let approvals = OPERATORS.map(|name| operators.join(format!("genesis.{name}.approval")));
        let mut more: Vec<(&str, &Path)> = vec![("--genesis", &file), ("--countersignature", &countersignature)];
        more.extend(approvals.iter().map(|approval| ("--approval", approval.as_path())));
        psdd(&appliance, "birth-genesis", &more)
    };
    let (again, told) = bear();
    assert!(!again && told.contains("exists already; an appliance is born once"), "{told}");

    // As if the power had gone after the log key was made, before or after the tables were.
    for left in [None, Some("")] {
        std::fs::remove_file(layout.state().join("ledger.db")).expect("a ledger");
        if let Some(left) = left {
            std::fs::write(layout.state().join("ledger.db"), left).expect("an empty ledger");
        }
        let (repeated, told) = bear();
        assert!(repeated, "{told}");
    }
}

//! Periods of inspection, from the authority's word to all that shows them. A blocking period has 72 hours at least and the development clock cannot
//! be moved, so what comes after it is tested in the core (`daemon/src/core/tests/inspection.rs`).

use crate::acknowledging::{at_the_door, name};
use crate::authority::{path, psdctl};
use crate::bench::{Wanted, psd, raise};
use crate::client::Caller;
use crate::contract::V;
use crate::run;
use softhsm_tests::Appliance;

/// `psdctl authority …` for the appliance, and then `psdctl vendor carry` of what it wrote.
fn carried(appliance: &Appliance, order: &[&str]) -> (Option<i32>, String) {
    let (authority, name) = (path(appliance.layout.authority()), name(appliance));
    let out = path(appliance.layout.authority().join("order.cose"));
    let all = [&["authority", order[0], &authority, "--appliance", &name, "--out", &out], &order[1..]].concat();
    let (code, said) = psdctl(appliance, &all);
    assert_eq!(code, Some(0), "{said}");
    at_the_door(appliance, &["vendor", "carry", &out])
}

fn view(appliance: &Appliance) -> V {
    let caller = Caller::new(&appliance.layout);
    let told = run(async { caller.connect().await.get(&format!("/v1/psds/{}", psd(1))).await });
    told.body.get("psd").clone()
}

/// What `psd-view` says of the inspection: last, warning and due.
fn inspection(appliance: &Appliance) -> Option<(u64, u64, u64)> {
    let view = view(appliance).find("inspection")?.clone();
    let of = |name: &str| view.get(name).u64();
    Some((of("last"), of("warn"), of("due")))
}

#[test]
fn periods_are_set_and_shown_and_survive_a_restart() {
    let mut appliance = raise(Wanted { psds: 2, value: "1000.00", ..Wanted::default() });
    assert_eq!(inspection(&appliance), None);
    let licence = view(&appliance).get("licence").str().to_owned();
    let (code, said) =
        carried(&appliance, &["inspection-periods", "--licence", &licence, "--warn", "1", "--block", "72"]);
    assert!(code == Some(0) && said.contains("the authority's inspection key taken"), "{said}");
    let (last, warn, due) = inspection(&appliance).expect("periods");
    assert_eq!((warn - last, due - last), (3_600_000, 72 * 3_600_000));
    let (code, said) = at_the_door(&appliance, &["vendor", "psds"]);
    assert!(code == Some(0) && said.matches("due by ").count() == 2, "{said}");
    let metrics = appliance.local("/metrics");
    assert!(metrics.contains("\npsdd_inspection_warned 0\n") && metrics.contains("\npsdd_inspection_overdue 0\n"));
    appliance.restart();
    assert_eq!(inspection(&appliance), Some((last, warn, due)), "a restart changes nothing");
    let (code, said) = carried(&appliance, &["inspection-periods", "--licence", &licence]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(inspection(&appliance), None);
    appliance.stop();
    appliance.check(None).assert_clean("after periods of inspection");
}

#[test]
fn an_accepted_report_counts_as_an_inspection_and_an_audit_alone_does_not() {
    let mut appliance = raise(Wanted { psds: 2, value: "1000.00", ..Wanted::default() });
    let licence = view(&appliance).get("licence").str().to_owned();
    let (code, said) =
        carried(&appliance, &["inspection-periods", "--licence", &licence, "--warn", "1", "--block", "72"]);
    assert_eq!(code, Some(0), "{said}");
    let before = inspection(&appliance);
    let dir = path(appliance.around().join("reports"));
    let (code, said) = at_the_door(&appliance, &["inspect", "--clock-error-ms", "4294967295", "--reports", &dir]);
    assert!(code == Some(0) && said.contains("reports      2 in "), "{said}");
    assert_eq!(inspection(&appliance), before, "an audit that merely ran");
    let (one, two) = (psd(1).to_string(), psd(2).to_string());
    let file = format!("{dir}/{one}.cose");
    let refused = |psd: &str, file: &str| {
        let (authority, name) = (path(appliance.layout.authority()), name(&appliance));
        let order = ["authority", "accept-audit", &authority, "--appliance", &name, "--psd", psd, "--report", file];
        let (code, said) = psdctl(&appliance, &order);
        assert_eq!(code, Some(1), "{said}");
        said
    };
    let said = refused(&two, &file);
    assert!(said.contains(&format!("it is no audit report of {two}: ")), "it is of another PSD: {said}");
    let page = format!("{dir}/page.html");
    std::fs::write(&page, b"<!doctype html>").expect("a file");
    let said = refused(&one, &page);
    assert!(said.contains("page.html: it is no audit report") && said.contains("inspect --reports DIR"), "{said}");
    let (code, said) = carried(&appliance, &["accept-audit", "--psd", &one, "--report", &file]);
    assert_eq!(code, Some(0), "{said}");
    let (last, ..) = inspection(&appliance).expect("periods");
    assert!(before.is_some_and(|(before, ..)| last > before), "from the acceptance on");
    let (code, said) = carried(&appliance, &["accept-audit", "--psd", &one, "--report", &file]);
    assert!(code != Some(0) && said.contains("gave no such report"), "once: {said}");
    appliance.stop();
    appliance.check(None).assert_clean("after an acceptance");
    crate::inspecting::nothing_is_found(&appliance);
}

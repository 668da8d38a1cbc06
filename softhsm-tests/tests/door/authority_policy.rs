//! The authority's own policy, from its signature to the refusal of a piece: in force for the next request on open connections, after a reload and
//! after a restart, until an empty text lifts it.

use crate::acknowledging::{at_the_door, name};
use crate::authority::{path, psdctl};
use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, Wire, code_of, item, items, outcomes, request};
use crate::contract::V;
use crate::reload::reload;
use crate::run;
use softhsm_tests::Appliance;

/// The tenant's pieces above 5.00.
const ABOVE_FIVE: &str = r#"@id("post-above-five")
forbid (principal in Tenant::"acme", action == Action::"sign_indicium", resource) when { context.largest > 5000 };
"#;

/// `psdctl authority policy` of this text, with these further arguments; where its instruction is.
fn ordered(appliance: &Appliance, text: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let (authority, name) = (path(appliance.layout.authority()), name(appliance));
    let [file, out] = ["policy.cedar", "policy.cose"].map(|file| path(appliance.layout.authority().join(file)));
    std::fs::write(&file, text).expect("a file");
    let order = ["authority", "policy", &authority, "--appliance", &name, "--file", &file, "--out", &out];
    let (code, said) = psdctl(appliance, &[&order[..], more].concat());
    (code, said, out)
}

/// Signed by the authority and carried to the appliance.
fn carried(appliance: &Appliance, text: &str, more: &[&str]) -> (Option<i32>, String) {
    let (code, said, out) = ordered(appliance, text, more);
    assert_eq!(code, Some(0), "{said}");
    at_the_door(appliance, &["vendor", "carry", &out])
}

/// What a piece of 5.001 is answered, alone and in the words of the refusal.
async fn above_five(wire: &Wire) -> String {
    let reply = wire.post("/v1/indicia", &request(psd(1), &[item("5.001")], false)).await;
    match reply.status {
        200 => outcomes(reply.body.get("results").list())[0].to_string(),
        status => format!("{status} {} {:?}", code_of(&reply.body), reply.body),
    }
}

#[track_caller]
fn assert_forbidden(answer: &str, when: &str) {
    let by = "forbidden by post-above-five of the authority's instruction";
    assert!(answer.starts_with("403 not-permitted") && answer.contains(by), "{when}: {answer}");
}

/// The version that both doors and the local door show; none where none was ever instructed.
fn version(appliance: &Appliance) -> Option<u64> {
    let caller = Caller::new(&appliance.layout);
    let told = run(async { caller.connect().await.get("/v1/appliance").await });
    let version = told.body.find("policy").map(|policy| policy.get("version").u64());
    let (code, said) = at_the_door(appliance, &["inspect", "appliance"]);
    assert_eq!(code, Some(0), "{said}");
    let ready = appliance.local("/ready");
    for (text, words) in [(&said, "policy       version "), (&ready, "the authority's policy: version ")] {
        let shown = text.split_once(words).and_then(|(_, rest)| rest.split([' ', ',']).next()?.parse().ok());
        assert_eq!(shown, version, "{text}");
    }
    let gauge = format!("\npsdd_authority_policy_version {}\n", version.unwrap_or(0));
    assert!(appliance.local("/metrics").contains(&gauge));
    version
}

/// The same on a new connection; a daemon that started anew has another address.
fn asked(appliance: &Appliance) -> String {
    run(async { above_five(&Caller::new(&appliance.layout).connect().await).await })
}

#[test]
fn what_the_authority_forbids_by_instruction_binds_the_next_request_and_stays_until_it_lifts_it() {
    let mut appliance = raise(Wanted { psds: 1, value: "1000.00", ..Wanted::default() });
    assert_eq!(version(&appliance), None);
    let caller = Caller::new(&appliance.layout);
    run(async {
        let open = caller.connect().await;
        assert_eq!(above_five(&open).await, "signed");
        let (code, said) = tokio::task::block_in_place(|| carried(&appliance, ABOVE_FIVE, &[]));
        assert!(code == Some(0) && said.contains("the authority's policy key taken"), "{said}");
        assert_forbidden(&above_five(&open).await, "a connection that was open and remembered the permit");
        assert_eq!(outcomes(&open.sign(psd(1), &[item("5.00")]).await), ["signed"], "no more than it forbids");
    });
    assert_eq!(version(&appliance), Some(1));
    appliance.restart();
    assert_forbidden(&asked(&appliance), "after a restart");
    reload(&appliance);
    assert_forbidden(&asked(&appliance), "after SIGHUP");
    assert!(appliance.stop().success(), "{}", appliance.log_tail());
    appliance.start().expect("psdd starts again");
    assert_forbidden(&asked(&appliance), "after a clean stop");

    // What the authority would not sign, and a version that does not follow.
    let (code, said, _) = ordered(&appliance, &ABOVE_FIVE.replace("forbid", "permit"), &[]);
    assert!(code == Some(2) && said.contains("instruction:1:1: post-above-five permits"), "{said}");
    let (code, said) = carried(&appliance, "", &["--follows", "7"]);
    assert!(
        code != Some(0) && said.contains("version 8 of the authority's policy does not follow version 1"),
        "{said}"
    );
    assert_forbidden(&asked(&appliance), "after a refusal");
    assert_eq!(version(&appliance), Some(1));

    let (code, said) = carried(&appliance, "", &["--follows", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(asked(&appliance), "signed");
    assert_eq!(version(&appliance), Some(2));
    let (code, said) = carried(&appliance, ABOVE_FIVE, &[]);
    assert_eq!(code, Some(0), "the books go on from what they signed last: {said}");
    assert_forbidden(&asked(&appliance), "again");
    appliance.stop();
    appliance.check(None).assert_clean("after policies of the authority");
    let policy = crate::inspecting::nothing_is_found(&appliance).policy.expect("a policy");
    assert_eq!((policy.version, policy.text.as_str()), (3, ABOVE_FIVE));
}

/// Policies that come and go in the middle of load refuse nothing that they do not forbid.
#[test]
fn policies_of_the_authority_in_the_middle_of_load_refuse_nothing_else() {
    let mut appliance = raise(Wanted { psds: 1, value: "1000.00", ..Wanted::default() });
    let caller = Caller::new(&appliance.layout);
    run(async {
        let wire = caller.connect().await;
        let flood = tokio::spawn(async move {
            for _ in 0..20 {
                assert_eq!(outcomes(&wire.sign(psd(1), &items(200, "0.01")).await), vec!["signed"; 200]);
            }
        });
        let mut taken = 0;
        while !flood.is_finished() {
            let text = if taken % 2 == 0 { ABOVE_FIVE } else { "" };
            let (code, said) = tokio::task::block_in_place(|| carried(&appliance, text, &[]));
            assert_eq!(code, Some(0), "{said}");
            taken += 1;
        }
        flood.await.expect("no refusal");
        assert!(taken > 0);
        let told = caller.connect().await.get("/v1/appliance").await;
        assert_eq!(told.body.get("policy").get("version"), &V::Int(taken));
    });
    appliance.stop();
    appliance.check(None).assert_clean("after many policies");
}

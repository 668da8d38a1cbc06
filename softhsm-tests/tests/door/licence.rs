//! One licence over several PSDs: which signs, what is passed over, and that a piece has one outcome whichever it was.

use crate::bench::{Wanted, load, psd, raise};
use crate::client::{Caller, code_of, day, item, items, outcome, outcomes};
use crate::contract::V;
use crate::run;
use psd::{LicenceNumber, PostageAmount, PsdId};
use psdd_client::{Client, Item, Outcome, Select, SignedPiece, Signer, new_key};
use softhsm_tests::Appliance;
use std::collections::BTreeSet;
use std::process::Command;

/// What `psdctl dev` calls its licence.
const LICENCE: &str = "L-1000";

/// PSD 3 is named by the authority, PSD 5 is another tenant's, and two PSDs of a licence of their own are for ZIPs apart.
const VENDOR: &str = r#"
@id("own") permit (principal is Client, action, resource is Psd) when { principal in resource.tenant };
@id("appliance") permit (principal is Client, action == Action::"read_appliance", resource is Appliance);
"#;
const AUTHORITY: &str = r#"
@id("not-this-one") forbid (principal, action == Action::"sign_indicium", resource == Psd::"PS010000000003");
"#;

fn group(first: &str, tenant: &str, licence: &str, zips: &str) -> String {
    format!(
        "[[psds]]\nfirst = \"{first}\"\ncount = 1\ntenant = \"{tenant}\"\nlicence = \"{licence}\"\nlicensing_zip = \"94301\"\n\
         format = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n{zips}\n[psds.limits]\nsmallest_postage = \"0.01\"\n\
         largest_postage = \"100.00\"\nlargest_descending = \"4000000.00\"\n"
    )
}

fn id(text: &str) -> PsdId {
    text.parse().expect("a device ID")
}

fn appliance() -> Appliance {
    let plan = [
        group("PT010000001", "rival", LICENCE, ""),
        group("PZ010000001", "acme", "L-zips", "zips = [\"20000\", \"29999\"]"),
        group("PZ010000002", "acme", "L-zips", "zips = [\"90000\", \"99999\"]"),
    ];
    let appliance = raise(Wanted {
        psds: 4,
        value: "1.00",
        policy: Some((VENDOR, AUTHORITY)),
        plan: Some(&plan.concat()),
        ..Wanted::default()
    });
    // PSD 2 stays short, PSDs 3 and that of the rival would be the richest.
    for (device, value) in [
        (psd(1), "99.00"),
        (psd(3), "900.00"),
        (psd(4), "99.00"),
        (id("PZ010000001"), "50.00"),
        (id("PZ010000002"), "50.00"),
    ] {
        load(&appliance.layout, device, value);
    }
    appliance
}

fn signer(select: Select) -> Signer {
    Signer::Licence { licence: LICENCE.parse::<LicenceNumber>().expect("a licence"), select }
}

fn pieces(count: usize, postage: &str, destination: &str) -> Vec<Item> {
    let piece = || Item {
        key: new_key(),
        postage: postage.parse::<PostageAmount>().expect("an amount"),
        date: day(0).parse().expect("a day"),
        destination: destination.parse().expect("a destination"),
        rate: "FCM".parse().expect("a rate"),
        recipient: Some("A. Resident".to_owned()),
        reference: None,
        weight_g: None,
        token: false,
    };
    (0..count).map(|_| piece()).collect()
}

/// Signs with everything verified and noted.
async fn sign(appliance: &Appliance, client: &Client, signer: Signer, items: &[Item], whole: bool) -> Vec<SignedPiece> {
    let outcomes = client.sign(signer, items.to_vec(), whole).await.expect("an answer that verifies");
    let signed = |outcome| match outcome {
        Outcome::Signed(piece) => piece,
        Outcome::Refused(problem) => panic!("{problem:?}"),
    };
    let signed: Vec<SignedPiece> = outcomes.into_iter().map(signed).collect();
    signed.iter().for_each(|piece| appliance.notes.signed("acme", piece));
    signed
}

fn signers(pieces: &[SignedPiece]) -> BTreeSet<PsdId> {
    pieces.iter().map(|piece| piece.psd).collect()
}

#[test]
fn a_licence_signs_with_whichever_of_its_psds_can() {
    let mut appliance = appliance();
    let items = [pieces(30, "1.50", "20260"), pieces(1, "0.60", "20260"), pieces(20, "0.70", "94301")];
    let first = run(async {
        let client = appliance.client(appliance.client_config()).await;
        let [dear, cheap, more] = &items;
        let mut all = Vec::new();
        for batch in dear.chunks(6) {
            all.extend(sign(&appliance, &client, signer(Select::RoundRobin), batch, false).await);
        }
        assert_eq!(signers(&all), BTreeSet::from([psd(1), psd(4)]), "PSD 2 is short, 3 forbidden, 5 another's");
        let batches: Vec<_> = all.chunks(6).map(signers).collect();
        assert!(batches.iter().all(|of_batch| of_batch.len() == 1), "a batch is one chunk: {batches:?}");
        assert!(batches.windows(2).all(|pair| pair[0] != pair[1]), "one after the other: {batches:?}");
        all.extend(sign(&appliance, &client, signer(Select::MostFunds), cheap, false).await);
        assert_ne!(all[30].psd, psd(2));
        let whole = sign(&appliance, &client, signer(Select::MostFunds), more, true).await;
        assert_eq!(signers(&whole).len(), 1, "all or none is one PSD's");
        all.extend(whole);
        all
    });
    refusals(&appliance);
    by_zip(&appliance);
    mailing(&appliance);

    // Asked again, by another selection and after a crash, every piece has the outcome it had.
    let items = items.concat();
    let again = run(async {
        let client = appliance.client(appliance.client_config()).await;
        sign(&appliance, &client, signer(Select::Zip), &items, false).await
    });
    assert_eq!(again, first);
    appliance.restart();
    let again = run(async {
        let client = appliance.client(appliance.client_config()).await;
        sign(&appliance, &client, signer(Select::RoundRobin), &items, false).await
    });
    assert_eq!(again, first);

    appliance.stop();
    appliance.check(None).assert_clean("a licence over several PSDs");
    crate::inspecting::nothing_is_found(&appliance);
    let verify = psdctl(&appliance, &["ledger", "verify", appliance.layout.state().to_str().expect("a path")]);
    assert!(verify.0, "{}", verify.1);
}

fn ask(fields: &[(&str, &str)], items: &[V]) -> Vec<u8> {
    let request = V::map([("items", V::Array(items.to_vec()))]);
    fields.iter().fold(request, |request, (key, text)| request.with(key, V::text(text))).encode_indefinite()
}

fn refusals(appliance: &Appliance) {
    let rival = appliance.issue("rival-1", "rival", 300);
    run(async {
        let caller = Caller::new(&appliance.layout);
        let wire = caller.connect().await;
        let before = [wire.registers(psd(1)).await, wire.registers(psd(3)).await, wire.registers(psd(4)).await];
        let licence = ("licence", LICENCE);
        let rows = [
            (vec![("licence", "L-9999")], 404, "licence-unknown"),
            (vec![("licence", "-")], 404, "licence-unknown"),
            (vec![("psd", "PS010000001"), licence], 400, "malformed"),
            (vec![("psd", "PS010000001"), ("select", "zip")], 400, "malformed"),
            (vec![licence, ("select", "best")], 400, "malformed"),
            (vec![], 400, "malformed"),
        ];
        for (fields, status, code) in rows {
            let reply = wire.post("/v1/indicia", &ask(&fields, &[item("0.73")])).await;
            assert_eq!((reply.status, code_of(&reply.body)), (status, code), "{fields:?}");
        }
        let results = |reply: crate::client::Reply| {
            assert_eq!(reply.status, 200, "{:?}", reply.body);
            reply.body.get("results").list().to_vec()
        };
        let short = results(wire.post("/v1/indicia", &ask(&[licence], &[item("99.00"), item("0.005")])).await);
        assert_eq!(outcomes(&short), ["insufficient-funds", "no-psd-available"]);
        let detail = |result: &V| format!("{:?}", result.get("problem"));
        assert!(detail(&short[1]).contains("not for this destination or postage"), "{}", detail(&short[1]));
        let all = V::map([("items", V::Array(items(80, "1.00"))), ("all_or_none", V::Bool(true))]);
        let whole = results(wire.post("/v1/indicia", &all.with("licence", V::text(LICENCE)).encode()).await);
        assert_eq!(outcome(&whole[0]), "insufficient-funds");
        assert!(whole[1..].iter().all(|result| outcome(result) == "all-or-none"));
        // The rival may use its own PSD under the licence, which has no funds, and none of the others.
        let theirs = caller.with(&rival).connect().await;
        let poor = results(theirs.post("/v1/indicia", &ask(&[licence], &[item("0.73")])).await);
        assert_eq!(outcomes(&poor), ["insufficient-funds"]);
        let reply = theirs.post("/v1/indicia", &ask(&[("licence", "L-zips")], &[item("0.73")])).await;
        assert_eq!((reply.status, code_of(&reply.body)), (403, "not-permitted"));
        let after = [wire.registers(psd(1)).await, wire.registers(psd(3)).await, wire.registers(psd(4)).await];
        assert_eq!(before, after);
    });
}

fn by_zip(appliance: &Appliance) {
    run(async {
        let client = appliance.client(appliance.client_config()).await;
        let zips = Signer::Licence { licence: "L-zips".parse().expect("a licence"), select: Select::Zip };
        let east = pieces(3, "0.73", "20260-0004");
        let west = pieces(3, "0.73", "94301");
        let mixed: Vec<Item> = east.iter().zip(&west).flat_map(|(east, west)| [east.clone(), west.clone()]).collect();
        let signed = sign(appliance, &client, zips.clone(), &mixed, false).await;
        let expected = [id("PZ010000001"), id("PZ010000002")];
        assert!(signed.chunks(2).all(|pair| [pair[0].psd, pair[1].psd] == expected), "{signed:?}");
        let view = client.psd(id("PZ010000002")).await.expect("a PSD");
        assert_eq!(view.zips, Some(["90000".to_owned(), "99999".to_owned()]), "what it is meant for can be read");
        let nowhere = client.sign(zips, pieces(1, "0.73", "10001"), false).await.expect("an answer");
        let Outcome::Refused(problem) = &nowhere[0] else { panic!("{nowhere:?}") };
        assert_eq!((problem.facts.code.as_str(), problem.facts.retry), ("no-psd-available", false));
    });
}

/// `psdctl vendor sign --licence`: verified offline, and the same again.
fn mailing(appliance: &Appliance) {
    let csv = appliance.around().join("mailing.csv");
    let rows: String = (0..40).map(|n| format!("\"Row {n}, 1 Elm St\",20260,20,FCM,0.5{}\n", n % 10)).collect();
    std::fs::write(&csv, format!("address,zip4,weight_g,class,postage\n{rows}")).expect("a mailing list");
    let config = appliance.layout.psdctl_config();
    let (csv, config) = (csv.to_str().expect("a path"), config.to_str().expect("a path"));
    for (select, repeated) in [("round-robin", "false"), ("most-funds", "true")] {
        let arguments = ["--json", "--config", config, "vendor", "sign", "--csv", csv, "--batch", "8"];
        let (done, told) = psdctl(appliance, &[&arguments[..], &["--licence", LICENCE, "--select", select]].concat());
        assert!(done, "{told}");
        let summary: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!((&summary["signed"], &summary["verified_offline"]), (&40.into(), &40.into()), "{told}");
        assert_eq!(summary["repeated"].to_string(), repeated);
        // PSD 2 has enough for one such piece.
        assert_eq!(summary["signed_by"].as_object().map(serde_json::Map::len), Some(3), "{told}");
    }
}

fn psdctl(appliance: &Appliance, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(appliance.options.tools.psdd.with_file_name("psdctl")).args(arguments).output();
    let output = output.expect("psdctl runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), if told.is_empty() { String::from_utf8_lossy(&output.stderr).into_owned() } else { told })
}

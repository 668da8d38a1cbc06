//! Scales and rate tables of the real daemon in its log: recorded before they certify, once, and shown to inspectors.

use crate::certify::{certify, letter, psdctl, told};
use crate::client::{Caller, day, outcome, outcomes};
use crate::contract::V;
use crate::inspecting::nothing_is_found;
use crate::reload::{log, reload};
use crate::run;
use psd::record::Event;
use psdctl::dev::DevOptions;
use psdd_ledger::Reader;
use softhsm_tests::Appliance;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Events of the log so far that are about tables and scales, in words, each with its leaf.
fn recorded(appliance: &Appliance) -> Vec<(u64, String)> {
    let reader = Reader::open(&appliance.layout.state()).expect("a reader");
    let records = (0..).map_while(|leaf| Some((leaf, reader.record(leaf).expect("a record")?.record().event.clone())));
    let word = |(leaf, event): (u64, Event)| match event {
        Event::RatesTaken(table) => Some((leaf, format!("{} {} taken", table.name, table.version))),
        Event::ScaleRegistered(scale) => Some((leaf, format!("{} at {}", scale.scale, scale.site))),
        Event::ScaleRemoved { scale } => Some((leaf, format!("{scale} removed"))),
        _ => None,
    };
    records.filter_map(word).collect()
}

fn words(appliance: &Appliance) -> Vec<String> {
    recorded(appliance).into_iter().map(|(_, word)| word).collect()
}

fn scale(id: &str, site: &str) -> String {
    let (from, until) = (day(-1), day(60));
    format!(
        "[[scale]]\nid = \"{id}\"\nmaker = \"None\"\nmodel = \"Development\"\nsite = \"{site}\"\ncertificate = \"C-7\"\nissuer = \"Nobody\"\n\
         valid_from = {from}\nvalid_until = {until}\ncapacity_mg = 30_000_000\nminimum_mg = 500\nresolution_mg = 100\n"
    )
}

fn register(appliance: &Appliance, scales: &[String]) -> String {
    std::fs::write(appliance.layout.scales(), scales.concat()).expect("written");
    reload(appliance)
}

fn certified(appliance: &Appliance, items: &[V]) -> Vec<V> {
    let caller = Caller::new(&appliance.layout);
    run(async { certify(&caller.connect().await, items).await })
}

fn on(scale: &str) -> V {
    letter().with("scale", V::text(scale))
}

#[test]
fn what_certifications_rest_on_stands_in_the_log_before_them() {
    let options = DevOptions { psds: 2, certifying: true, ..softhsm_tests::options() };
    let mut appliance = Appliance::up(options);
    let born = words(&appliance);
    assert_eq!(born, ["us-domestic 1 taken", "dev-1 at This machine"], "before anything is certified");
    assert_eq!(outcomes(&certified(&appliance, &[letter(), on("dock-1")])), ["signed", "scale-unknown"]);

    // What is the same is not written again, by a reload or by a start.
    assert!(!reload(&appliance).contains("but for"));
    assert!(appliance.stop().success());
    appliance.start().expect("psdd starts again");
    assert_eq!(words(&appliance), born);

    under_load(&appliance);
    what_contradicts_the_log_is_not_taken(&mut appliance);
    inspectors_see_the_registry(&appliance);

    assert!(appliance.stop().success());
    appliance.check(None).assert_clean("scales and tables that came and went");
    let (state, root) = (appliance.layout.state(), appliance.layout.authority_root());
    let (state, root) = (state.display().to_string(), root.display().to_string());
    let verified = psdctl(&appliance, &["ledger", "verify", &state, "--appliance-root", &root]);
    assert!(verified.status.success(), "{}", told(&verified));
    let leaf = recorded(&appliance).last().expect("a record").0.to_string();
    let shown = psdctl(&appliance, &["ledger", "show", &state, &leaf]);
    for says in ["scale registered", "C-7 of Nobody", "Dock 9"] {
        assert!(told(&shown).contains(says), "{says}: {}", told(&shown));
    }
    let view = nothing_is_found(&appliance);
    assert_eq!(view.scales.iter().map(|scale| scale.site.as_str()).collect::<Vec<_>>(), ["This machine", "Dock 9"]);
    assert!(view.scales.iter().all(|scale| scale.certifications > 0) && view.rates[0].pieces > 1);
}

/// Scales come, change and go while two clients certify without a pause: none of their requests is dropped, and the inspection at the end finds no
/// certification in front of a record that it rests on or behind one that takes that away.
fn under_load(appliance: &Appliance) {
    let dev = scale("dev-1", "This machine");
    register(appliance, &[dev.clone(), scale("dock-1", "Dock 1")]);
    let ended = Arc::new(AtomicBool::new(false));
    let clients = [(); 2].map(|()| {
        let (caller, ended) = (Caller::new(&appliance.layout), Arc::clone(&ended));
        std::thread::spawn(move || {
            run(async {
                let wire = caller.connect().await;
                let (mut certified, mut refused) = (0, 0);
                while !ended.load(Ordering::Relaxed) {
                    let items: Vec<V> = (0..8).map(|nth| on(if nth % 2 == 0 { "dev-1" } else { "dock-1" })).collect();
                    for (nth, result) in certify(&wire, &items).await.iter().enumerate() {
                        match (outcome(result), nth % 2) {
                            ("signed", 0) => {}
                            ("signed", _) => certified += 1,
                            ("scale-unknown", 1) => refused += 1,
                            (other, _) => panic!("item {nth}: {other}"),
                        }
                    }
                }
                (certified, refused)
            })
        })
    });
    for round in 0..8 {
        register(appliance, std::slice::from_ref(&dev));
        register(appliance, &[dev.clone(), scale("dock-1", &format!("Dock {}", round + 2))]);
    }
    ended.store(true, Ordering::Relaxed);
    for client in clients {
        let (certified, refused) = client.join().expect("a client");
        assert!(
            certified > 0 && refused > 0,
            "{certified} certified on the scale that came and went, {refused} refused"
        );
    }
    assert_eq!(words(appliance).iter().filter(|word| *word == "dock-1 removed").count(), 8);
}

fn what_contradicts_the_log_is_not_taken(appliance: &mut Appliance) {
    let before = words(appliance);
    let path = appliance.layout.rates().join("us-domestic-1.cose");
    let first = std::fs::read(&path).expect("the first table");
    let text = psdd_wire::cose::Sign1::parse(&first).expect("a signed table").payload;
    let dearer = String::from_utf8(text).expect("text").replace("\"0.74\"", "\"0.75\"");
    let dir = psdd_authority::directory::AuthorityDir::at(&appliance.layout.authority());
    let again = psdd_authority::rates::publish(&dir, dearer.as_bytes()).expect("a table in order");
    std::fs::write(&path, again.bytes).expect("written");
    let said = register(appliance, &[scale("dev-1", "Elsewhere")]);
    assert!(
        said.contains("us-domestic version 1 stands in the log already") && said.contains("next version"),
        "{said}"
    );
    assert!(said.contains("reloaded, but for") && said.contains("rate tables and scales"), "{said}");
    assert_eq!(certified(appliance, &[letter()])[0].get("due").str(), "0.74", "the old ones stay in force");

    // Nor does a start take it.
    assert!(appliance.stop().success());
    assert!(appliance.start().is_err(), "it starts with a table that the log has otherwise");
    assert!(log(appliance).contains("us-domestic version 1 stands in the log already"));
    assert_eq!(words(appliance), before);
    std::fs::write(&path, first).expect("written");
    std::fs::write(appliance.layout.scales(), scale("dev-1", "This machine") + &scale("dock-1", "Dock 9"))
        .expect("written");
    appliance.start().expect("psdd starts again");
}

/// The door names the record of each scale, a receipt proves it, and what the door tells is what the log says.
fn inspectors_see_the_registry(appliance: &Appliance) {
    let shown = psdctl(appliance, &["--json", "inspect", "scales", "--development"]);
    assert!(shown.status.success(), "{}", told(&shown));
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!((json["scales"].as_array().map(Vec::len), &json["contradicted"]), (Some(2), &serde_json::json!([])));
    let scale = &json["scales"][1];
    assert_eq!(
        (scale["scale"].as_str(), scale["standing"].as_str(), scale["days"].as_u64()),
        (Some("dock-1"), Some("valid"), None)
    );
    assert_eq!(json["rates"][0]["state"].as_str(), Some("in force"));
    let (leaf, word) = recorded(appliance).pop().expect("a record");
    assert_eq!((scale["leaf"].as_u64(), word.as_str()), (Some(leaf), "dock-1 at Dock 9"));
    let text = psdctl(appliance, &["inspect", "scales"]);
    for says in ["dock-1", "C-7 (Nobody)", "us-domestic", "2 scales by the log; the appliance tells the same"] {
        assert!(told(&text).contains(says), "{says}: {}", told(&text));
    }
    let file = |name: &str| appliance.around().join(name).display().to_string();
    let (receipt, record, leaf) = (file("scale.receipt"), file("scale.record"), leaf.to_string());
    let fetched = psdctl(appliance, &["inspect", "receipt", "--leaf", &leaf, "--out", &receipt, "--record", &record]);
    assert!(fetched.status.success(), "{}", told(&fetched));
}

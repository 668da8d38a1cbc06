//! An inspection as one file, judged again; and every way in which it was changed since.

use crate::audit::Rig;
use crate::world::{Key, World, ca};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use psd::UnixMillis;
use psd::authority::Act;
use psd::policy::PolicyText;
use psd::record::{AuthorityPurpose, Event};
use psd::tree::{leaf_hash, root_of_path};
use psdd_inspector::Rules;
use psdd_inspector::report::{Anchors, Evidence, ReportError, verify};
use serde_cbor::Value;

const FORBID: &str = "@id(\"f\") forbid (principal, action, resource);";

fn text_of(text: &str) -> PolicyText {
    PolicyText::new(text).unwrap()
}

/// A fleet of two with a policy of the authority and a red finding: the second says that it signed less than it did.
fn inspected() -> (Rig, Evidence, Anchors) {
    let mut world = World::born(2);
    world.sign_many(0, 3);
    world.instruct_as(AuthorityPurpose::Policy, 1, &Act::Policy { version: 1, text: text_of(FORBID) });
    world.push(Event::AuthorityPolicySet { version: 1, text: text_of(FORBID) });
    world.certifying(0);
    world.push(Event::ScaleRegistered(World::scale("dock-2", "2025-01-01", "2025-12-31")));
    world.certify(0, None);
    let mut rig = Rig::over(world);
    let mut second = rig.claims(1);
    second.logged.registers.pieces += 1;
    let audit = rig.audit(vec![rig.signed(&rig.claims(0)), rig.signed(&second)]);
    let rules = Rules { certificate_notice_days: 90, ..Rules::default() };
    let (answers, findings) = rig.judged(&audit, &rules);
    let view = rig.fold.view(&rig.mirror, &rules, UnixMillis(audit.answered_ms)).unwrap().audited(answers, findings);
    let held = rig.held(&audit);
    let evidence = Evidence::gather(&mut rig.mirror, &view, &rules, (&audit, &held)).unwrap();
    let anchors =
        Anchors { authority_root: Some(rig.world.root.der().to_vec()), log_spki: Some(rig.world.log_key.spki()) };
    (rig, evidence, anchors)
}

#[test]
fn a_page_holds_by_its_own_evidence() {
    let (rig, evidence, anchors) = inspected();
    let html = evidence.page();
    if let Some(path) = std::env::var_os("PSDD_PAGE") {
        std::fs::write(path, &html).unwrap();
    }
    let told = verify(&html, &anchors).unwrap();
    assert_eq!((told.reports, told.registers, told.psds, told.red, told.amber), (2, 2, 2, 1, 6));
    assert_eq!(told.states, 1, "of the second, report and log differ");
    assert_eq!(told.records, rig.world.size());
    assert!(html.contains("CONTRADICTED by the log") && html.contains("<details open>"));
    for outside in ["<script", "http:", "https:", "src=", "url(", "@import", "<link", "<img", "onload"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.find("audit-contradicted").unwrap() < html.find("Fleet at a glance").unwrap(), "findings first");
    // One anchor will do, none will not, and another is told.
    let root = Anchors { log_spki: None, ..anchors.clone() };
    let key = Anchors { authority_root: None, ..anchors.clone() };
    assert!(verify(&html, &root).is_ok() && verify(&html, &key).is_ok());
    assert!(matches!(verify(&html, &Anchors::default()), Err(ReportError::NoAnchor)));
    let other = Anchors { authority_root: Some(ca().der().to_vec()), log_spki: None };
    assert!(matches!(verify(&html, &other), Err(ReportError::Anchor("authority root"))));
    let other = Anchors { authority_root: None, log_spki: Some(Key::new().spki()) };
    assert!(matches!(verify(&html, &other), Err(ReportError::Anchor("log key"))));
    assert!(matches!(verify("<html></html>", &anchors), Err(ReportError::NoEvidence)));
}

#[test]
fn a_changed_digit_is_found_wherever_it_stands() {
    let (_rig, evidence, anchors) = inspected();
    let html = evidence.page();
    let (begin, end) = (html.find("<template").unwrap(), html.find("</template>").unwrap());
    let digits = |(at, c): &(usize, char)| c.is_ascii_digit() && (*at < begin || *at > end);
    let mut changed = 0;
    for (at, digit) in html.char_indices().filter(digits).step_by(3) {
        let other = if digit == '9' { "0" } else { "9" };
        let text = format!("{}{other}{}", &html[..at], &html[at + 1..]);
        let told = verify(&text, &anchors).unwrap_err();
        let ReportError::Page { line, .. } = told else { panic!("{told}") };
        assert_eq!(line, html[..at].matches('\n').count() + 1, "it is named where it stands");
        changed += 1;
    }
    assert!(changed > 300, "{changed}");
    // And in the evidence.
    for at in (begin + 30..end - 1).step_by(101) {
        let other = if &html[at..at + 1] == "A" { "B" } else { "A" };
        if &html[at..at + 1] == "\n" {
            continue;
        }
        let text = format!("{}{other}{}", &html[..at], &html[at + 1..]);
        assert!(verify(&text, &anchors).is_err(), "byte {at}");
    }
    assert!(verify(&html.replace("Fleet at a glance", "Fleet"), &anchors).is_err());
    assert!(verify(&format!("{html}\n"), &anchors).is_err());
}

/// Page and evidence changed together, so that they agree.
fn forged(evidence: &Evidence, change: impl Fn(&mut Value)) -> String {
    let mut value = serde_cbor::value::to_value(evidence).unwrap();
    change(&mut value);
    serde_cbor::value::from_value::<Evidence>(value).unwrap().page()
}

fn at<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(value, |value, step| match value {
        Value::Map(map) => map.get_mut(&Value::Text((*step).to_owned())).unwrap(),
        Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
        _ => panic!("{step}"),
    })
}

#[test]
fn who_changes_page_and_evidence_together_is_found_by_the_signatures() {
    let (_rig, evidence, anchors) = inspected();
    let text = |text: &str| Value::Text(text.to_owned());
    let rows: [(&str, &[&str], Value, &str); 22] = [
        ("a register", &["view", "psds", "0", "ascending"], text("0.00"), "the ascending register"),
        ("pieces", &["view", "psds", "1", "pieces"], Value::Integer(7), "the number of pieces"),
        ("a lock", &["view", "psds", "0", "locks"], Value::Array(vec![text("operator")]), "the locks"),
        ("a state", &["view", "psds", "0", "lifecycle"], text("suspended"), "the state"),
        ("a key's state", &["view", "psds", "0", "keys", "0", "state"], text("revoked"), "the state of a key"),
        ("a key's age", &["view", "psds", "0", "keys", "0", "age_days"], Value::Integer(1), "the age of a key"),
        ("the root", &["view", "root"], text("00"), "the root"),
        ("the size", &["view", "records"], Value::Integer(4), "the number of records"),
        ("the time", &["view", "inspected_ms"], Value::Integer(0), "the time is not that of the answers"),
        ("the findings", &["view", "findings"], Value::Array(vec![]), "missing is audit-contradicted"),
        ("the audit", &["view", "audit", "reports", "1", "lines", "1", "standing"], text("proven"), "registers"),
        ("the environment", &["view", "environment"], text("production"), "the environment"),
        ("the policy", &["view", "policy", "text"], text(""), "the authority's policy"),
        ("its version", &["view", "policy", "version"], Value::Integer(2), "the authority's policy"),
        ("its digest", &["view", "policy", "digest"], text("00"), "the authority's policy"),
        ("its record", &["view", "policy", "leaf"], Value::Integer(0), "the authority's policy"),
        ("a calibration", &["view", "scales", "1", "valid_until"], text("2027-12-31"), "the scale"),
        ("its standing", &["view", "scales", "1", "standing"], text("valid"), "the scale"),
        ("its record", &["view", "scales", "1", "leaf"], Value::Integer(0), "the scale"),
        ("a table", &["view", "rates", "0", "digest"], text("00"), "the rate table"),
        ("its record", &["view", "rates", "0", "leaf"], Value::Integer(0), "the rate table"),
        ("notice of calibrations", &["view", "scales", "0", "days"], Value::Integer(3), "the scale"),
    ];
    for (name, path, value, told) in rows {
        let html = forged(&evidence, |evidence| *at(evidence, path) = value.clone());
        let error = verify(&html, &anchors).expect_err(name).to_string();
        assert!(error.contains(told), "{name}: {error}");
    }
    // What is signed.
    let flip = |value: &mut Value| match value {
        Value::Bytes(bytes) => *bytes.last_mut().unwrap() ^= 1,
        Value::Text(text) => text.insert(0, 'x'),
        _ => panic!("{value:?}"),
    };
    let rows: [(&[&str], &str); 5] = [
        (&["records", "1", "record"], "is not in the log"),
        (&["records", "2", "path"], "is not in the log"),
        (&["note"], "checkpoint"),
        (&["audit", "reports", "0"], "the audit shown"),
        (&["audit", "challenge"], "the audit shown"),
    ];
    for (path, told) in rows {
        let html = forged(&evidence, |evidence| flip(at(evidence, path)));
        let error = verify(&html, &anchors).expect_err(told).to_string();
        assert!(error.contains(told), "{path:?}: {error}");
    }
    // What the log had of the second, made to agree with what it said.
    let html = forged(&evidence, |evidence| {
        let psd = match at(evidence, &["held"]) {
            Value::Map(held) => held.keys().last().cloned().unwrap(),
            _ => panic!("no map"),
        };
        let Value::Text(psd) = psd else { panic!("no name") };
        *at(evidence, &["held", &psd, "logged", "registers", "pieces"]) = Value::Integer(1);
    });
    assert!(verify(&html, &anchors).is_err());
    assert!(
        STANDARD.decode(evidence.page().split("<template id=\"evidence\">\n").nth(1).unwrap()[..120].trim()).is_ok()
    );
}

/// The keeper of a page takes out what accuses him, with everything that belongs to it.
#[test]
fn a_report_that_was_taken_out_is_missed() {
    let (_rig, evidence, anchors) = inspected();
    let drop_of = |value: &mut Value, path: &[&str], which: usize| match at(value, path) {
        Value::Array(items) => drop(items.remove(which)),
        Value::Map(map) => {
            let key = map.keys().nth(which).cloned().unwrap();
            drop(map.remove(&key));
        }
        other => panic!("{other:?}"),
    };
    let take_out = |value: &mut Value| {
        for path in [&["audit", "reports"][..], &["view", "audit", "reports"], &["held"]] {
            drop_of(value, path, 1);
        }
        let Value::Array(findings) = at(value, &["view", "findings"]) else { panic!("no findings") };
        findings.retain(|finding| {
            let Value::Map(finding) = finding else { panic!("no finding") };
            finding[&Value::Text("code".to_owned())] != Value::Text("audit-contradicted".to_owned())
        });
    };
    let told = verify(&forged(&evidence, take_out), &anchors).unwrap_err().to_string();
    assert!(told.contains("nothing in the file says why it is silent"), "{told}");
    // A life that did not end, and one that some other record ends.
    for leaf in [0, 3] {
        let html = forged(&evidence, |value| {
            take_out(value);
            *at(value, &["view", "psds", "1", "ended_leaf"]) = Value::Integer(leaf);
        });
        assert!(verify(&html, &anchors).is_err(), "{leaf}");
    }
    let no_download = |value: &mut Value| *at(value, &["view", "psds", "0", "last_download"]) = Value::Null;
    let told = verify(&forged(&evidence, no_download), &anchors).unwrap_err().to_string();
    assert!(told.contains("the record of the last download shown is None"), "{told}");
}

#[test]
fn inclusion_paths_of_every_leaf_lead_to_the_root() {
    let mut world = World::born(1);
    for pieces in [0, 1, 240, 300] {
        world.sign_many(0, pieces);
        let dir = tempfile::tempdir().unwrap();
        let (mirror, _) = world.inspected(dir.path());
        let root = mirror.checkpoint().unwrap().root;
        for (leaf, entry) in (0..).zip(&world.entries) {
            let path = mirror.inclusion(leaf).unwrap();
            assert_eq!(root_of_path(leaf, leaf_hash(entry), world.size(), &path), Some(root), "{leaf}");
        }
        assert!(mirror.inclusion(world.size()).is_err());
    }
}

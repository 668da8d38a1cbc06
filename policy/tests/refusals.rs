//! Every way in which policy files are refused, and where the refusal points.

use psdd_policy::{Decision, LoadError, Pairing, PolicySet, Problem, Reason, Resource, Subject};
use std::fs;
use std::path::Path;

const FORBID: &str = r#"@id("f") forbid (principal, action, resource);"#;

/// What the refusal of these texts says, one line for each finding.
fn refusal(vendor: &str, authority: &str) -> Vec<String> {
    match PolicySet::from_texts(vendor, authority) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn each_refusal_names_file_line_and_column() {
    let unnamed = "\n\n  forbid (principal, action, resource);";
    let rows: [(&str, &str, &str, &str); 13] = [
        ("no id", unnamed, "", "vendor.cedar:3:3: the policy has no @id"),
        ("no id", "", unnamed, "authority.cedar:3:3: the policy has no @id"),
        (
            "empty id",
            r#"@id("") forbid (principal, action, resource);"#,
            "",
            "vendor.cedar:1:1: @id(\"\") is not 1 to 64",
        ),
        ("bad id", r#"@id("ä b") forbid (principal, action, resource);"#, "", "vendor.cedar:1:1: @id(\"ä b\") is not"),
        ("id twice", FORBID, &format!("\n{FORBID}"), "authority.cedar:2:1: @id(\"f\") names another policy too"),
        ("permit", "", r#"@id("p") permit (principal, action, resource);"#, "authority.cedar:1:1: p permits"),
        ("syntax", "// é\n@id(\"s\") forbid (principal, action resource);", "", "vendor.cedar:2:36: unexpected token"),
        ("cut off", "", "@id(\"s\")\nforbid (principal", "authority.cedar:2:18: unexpected end"),
        (
            "template",
            r#"@id("t") permit (principal == ?principal, action, resource);"#,
            "",
            "vendor.cedar:1:1: templates",
        ),
        (
            "unknown attribute",
            "@id(\"u\") permit (principal, action, resource is Psd)\nwhen { resource.owner == principal };",
            "",
            "vendor.cedar:2:8: u: for policy `u`, attribute `owner` on entity type `Psd` not found",
        ),
        (
            "context of another action",
            "",
            "@id(\"u\") forbid (principal, action == Action::\"read_result\", resource)\nwhen { context.largest > 1 };",
            "authority.cedar:2:8: u: for policy `u`, attribute `largest` in context for",
        ),
        (
            "unknown action",
            "",
            r#"@id("u") forbid (principal, action == Action::"sign", resource);"#,
            "authority.cedar:1:39: u: for policy `u`, unrecognized action `Action::\"sign\"`",
        ),
        (
            "never applies",
            "",
            r#"@id("u") forbid (principal is Tenant, action, resource);"#,
            "authority.cedar:1:1: u: for policy `u`, ",
        ),
    ];
    for (name, vendor, authority, expected) in rows {
        let said = refusal(vendor, authority);
        assert!(said.iter().any(|line| line.starts_with(expected)), "{name}: {said:#?}");
    }
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_files() {
    let vendor = "permit (principal, action, resource);\npermit (principal, action, resource);";
    let authority = r#"forbid (principal, action, resource); @id("p") permit (principal, action, resource);"#;
    let said = refusal(vendor, authority);
    let places: Vec<&str> = said.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(places, ["vendor.cedar:1:1", "vendor.cedar:2:1", "authority.cedar:1:1", "authority.cedar:1:39"]);
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        fs::write(dir.join(name), text).unwrap();
    }
}

fn load(files: &[(&str, &str)]) -> Result<PolicySet, LoadError> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    PolicySet::load(dir.path())
}

#[test]
fn a_directory_holds_both_files_and_no_other_policies() {
    let missing = |files: &[(&str, &str)], name: &str| match load(files) {
        Err(LoadError::Read { path, source }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
            assert!(path.ends_with(name), "{path:?}");
        }
        other => panic!("{name}: {other:?}"),
    };
    missing(&[], "vendor.cedar");
    missing(&[("authority.cedar", "")], "vendor.cedar");
    missing(&[("vendor.cedar", "")], "authority.cedar");
    assert!(matches!(PolicySet::load(Path::new("/nonexistent")), Err(LoadError::Read { .. })));

    let both = [("vendor.cedar", ""), ("authority.cedar", "")];
    let with = |name, text| load(&[both[0], both[1], (name, text)]);
    assert!(matches!(with("extra.cedar", ""), Err(LoadError::Unexpected { path }) if path.ends_with("extra.cedar")));
    assert!(matches!(with("old.cedarschema", ""), Err(LoadError::Unexpected { .. })));
    assert!(matches!(with("psdd.cedarschema", "entity Client;"), Err(LoadError::OtherSchema { .. })));
    assert!(
        matches!(with("README", "").map(|set| set.digest()), Ok(digest) if digest == load(&both).unwrap().digest())
    );
    let large = "//".repeat(1 << 20);
    assert!(matches!(load(&[("vendor.cedar", &large), both[1]]), Err(LoadError::TooLarge { .. })));
}

#[test]
fn the_shipped_files_load_from_a_directory_as_they_are_built_in() {
    let shipped = PolicySet::load(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert_eq!(shipped.digest(), PolicySet::shipped().unwrap().digest());
}

#[test]
fn empty_files_deny_everything() {
    let set = load(&[("vendor.cedar", "// nothing yet\n"), ("authority.cedar", "")]).unwrap();
    let tenant = "acme".parse().unwrap();
    let psd = Resource::new("062S0007358267".parse().unwrap(), &"L-1".parse().unwrap(), &tenant);
    let decision = set.decide(&Pairing::new(&Subject::new(&tenant, "b"), &psd), psdd_policy::Action::ReadRegisters);
    assert_eq!(decision, Decision::Deny { reasons: vec![Reason::NoPermit] });
}

#[test]
fn a_finding_names_the_file_it_was_read_from() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("vendor.cedar", ""), ("authority.cedar", "\nforbid (principal, action, resource);")]);
    let Err(LoadError::Refused(findings)) = PolicySet::load(dir.path()) else { panic!("accepted") };
    let [finding] = findings.iter().collect::<Vec<_>>()[..] else { panic!("{findings}") };
    assert_eq!(finding.file, dir.path().join("authority.cedar").display().to_string());
    assert_eq!((finding.line, finding.column, &finding.problem), (2, 1, &Problem::NoId));
}

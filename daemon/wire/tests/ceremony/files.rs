//! What is read, what is refused and where, and that the effect tells all.

use crate::rig::{ACTIVE, HEAD, MemoryKey, NOON, lock_file};
use psd::key::{Algorithm, Residence, Role};
use psdd_wire::ceremony::act::{Act, CreatePsds};
use psdd_wire::ceremony::{Ceremony, CeremonyError, LONGEST_FILE, OperatorKey};

const GROUP: &str = "[[create-psds.psds]]\nfirst = \"PS010000001\"\ncount = 3\ntenant = \"acme\"\nlicence = \"L-1\"\n\
    licensing_zip = \"94301\"\nformat = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n[create-psds.psds.limits]\n\
    smallest_postage = \"0.01\"\nlargest_postage = \"100\"\nlargest_descending = \"1000\"\n";

fn read(act: &str) -> Result<Ceremony, CeremonyError> {
    Ceremony::read(format!("{HEAD}{act}").as_bytes())
}

/// Every act once, in the form that is valid.
fn acts() -> Vec<(&'static str, String)> {
    let key = |more: &str| format!("psd = \"PS010000001\"\nrole = \"indicium\"\n{more}");
    let pem = MemoryKey::new().public_key().to_pem();
    let other = MemoryKey::new().public_key().to_pem();
    let people = |list: &str| {
        format!(
            "[[{list}]]\nname = \"ada\"\npublic_key = '''{pem}'''\n[[{list}]]\nname = \"ben\"\npublic_key = '''{other}'''\n"
        )
    };
    vec![
        ("create-psds", format!("[create-psds]\n{GROUP}")),
        ("rotate-key", key("expected = { state = \"active\", locks = [\"operator\"], generation = 2 }\n")),
        ("revoke-key", key(&format!("generation = 1\nreason = \"keyCompromise\"\n{ACTIVE}"))),
        ("retire-key", key(&format!("generation = 1\n{ACTIVE}"))),
        ("destroy-key", key(&format!("generation = 1\n{ACTIVE}"))),
        ("operators", format!("quorum = 2\n{}", people("operators.list"))),
        ("revoke-operator", "name = \"ada\"\nreason = \"affiliationChanged\"\n".to_owned()),
        ("revoke-psd", format!("psd = \"PS010000001\"\nreason = \"cessationOfOperation\"\n{ACTIVE}")),
        ("revoke-client", "tenant = \"acme\"\nclient = \"press-1\"\nreason = \"superseded\"\n".to_owned()),
        ("revoke-account", "tenant = \"acme\"\nreason = \"privilegeWithdrawn\"\n".to_owned()),
        ("lock", format!("psd = \"PS010000001\"\n{ACTIVE}")),
        ("unlock", format!("psd = \"PS010000001\"\n{ACTIVE}")),
        ("scrap", format!("psd = \"PS010000001\"\n{ACTIVE}")),
        ("back-up", "directory = \"/var/backups/psdd\"\n".to_owned()),
        ("initialise-token", "token = \"main\"\nlabel = \"psdd main\"\n".to_owned()),
        ("split-pin", format!("token = \"main\"\nshares = 2\nthreshold = 2\n{}", people("split-pin.holders"))),
        ("abandon", "number = 6\n".to_owned()),
    ]
}

fn table(name: &str, body: &str) -> String {
    if body.starts_with('[') { body.to_owned() } else { format!("[{name}]\n{body}") }
}

#[test]
fn every_act_is_read_and_tells_its_effect() {
    for (name, body) in acts() {
        let ceremony = read(&table(name, &body)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(ceremony.act().table(), name);
        let effects = ceremony.effects();
        assert!(effects.len() >= 3, "{name}: {effects:?}");
        assert!(effects[0].contains("no. 7 of appliance post-1"), "{}", effects[0]);
        for psd in ceremony.act().psds().iter().take(1) {
            assert!(effects.iter().any(|line| line.contains(&psd.to_string())), "{name}: {effects:?}");
        }
        assert_eq!(ceremony.head().not_before.0, NOON);
        assert_eq!((ceremony.head().not_after.0 - NOON) / 3_600_000, 24);
    }
}

#[test]
fn every_field_of_every_act_is_needed_and_no_other_is_known() {
    for (name, body) in acts() {
        let whole = table(name, &body);
        let unknown = whole.replacen('\n', "\nsurprise = 1\n", 1);
        let error = read(&unknown).expect_err(name);
        assert!(error.problem.contains("surprise"), "{name}: {error}");
        assert_eq!(error.line, Some(8), "{name}: {error}");
        if name == "create-psds" {
            continue;
        }
        for line in body.lines().filter(|line| line.contains(" = ") && !line.starts_with("expected")) {
            if line.starts_with("public_key") {
                continue;
            }
            let without = whole.replacen(&format!("{line}\n"), "", 1);
            assert!(read(&without).is_err(), "{name} without {line}");
        }
    }
}

#[test]
fn what_is_changed_changes_effect_and_digest() {
    let effects = |text: &str| {
        let ceremony = Ceremony::read(text.as_bytes()).unwrap();
        (ceremony.effects(), ceremony.digest())
    };
    let before = effects(&lock_file());
    for (old, new) in [
        ("post-1", "post-2"),
        ("number = 7", "number = 8"),
        ("PS010000001", "PS010000002"),
        ("active", "authorised"),
        ("locks = []", "locks = [\"funds\"]"),
        ("000102", "ff0102"),
        ("genesis = \"0101", "genesis = \"0202"),
        ("12:00:00Z\nnot_after", "12:00:01Z\nnot_after"),
        ("[lock]", "[unlock]"),
    ] {
        let after = effects(&lock_file().replacen(old, new, 1));
        assert_ne!(before.0, after.0, "{new} is not told");
        assert_ne!(before.1, after.1, "{new} is not in the digest");
    }
}

#[test]
fn errors_name_line_field_and_remedy() {
    let file = lock_file();
    for (old, new, line, field, words) in [
        ("number = 7", "number = -7", Some(3), "number", "integer"),
        ("number = 7", "number = 0", None, "number", "counted from 1"),
        ("post-1", "post 1", Some(1), "appliance", "a-z A-Z 0-9"),
        ("\"0101", "\"01", Some(2), "genesis", "32 bytes as 64 hex digits"),
        ("12:00:00Z\nnot_after", "12:00:00+01:00\nnot_after", Some(5), "not_before", "UTC"),
        ("2026-11-21T12:00:00Z", "2026-11-20T12:00:00Z", None, "not_after", "not after not_before"),
        ("2026-11-21T12:00:00Z", "2026-11-27T12:00:01Z", None, "not_after", "7 days"),
        ("PS010000001", "PS01", Some(8), "lock.psd", "device"),
        ("active", "broken", Some(9), "lock.expected", "initialised"),
        ("locks = []", "locks = [\"mood\"]", Some(9), "lock.expected", "inspection-overdue"),
        ("[lock]", "[abandon]\nnumber = 1\n[lock]", None, "(file)", "2 acts"),
    ] {
        assert!(file.contains(old), "{old}");
        let error = Ceremony::read(file.replacen(old, new, 1).as_bytes()).expect_err(new);
        assert_eq!((error.line, error.field.as_str()), (line, field), "{new}: {error}");
        let whole = error.problem.to_string();
        assert!(whole.contains(words) || (words == "device" && whole.contains("manufacturer")), "{new}: {error}");
    }
    assert!(read("").unwrap_err().problem.contains("no act"));
    assert!(read("[abandon]\nnumber = 7\n").unwrap_err().to_string().starts_with("abandon.number: 7 is not before"));
}

#[test]
fn what_hides_or_floods_is_refused_before_it_is_parsed() {
    let long = vec![b'#'; LONGEST_FILE + 1];
    assert!(Ceremony::read(&long).unwrap_err().problem.contains("bytes"));
    assert!(Ceremony::read(&vec![b'\n'; 60_000]).unwrap_err().problem.contains("lines"));
    assert!(Ceremony::read(&[0xff]).unwrap_err().problem.contains("UTF-8"));
    let reversed = format!("{}# \u{202e}kcol\n", lock_file());
    let error = Ceremony::read(reversed.as_bytes()).unwrap_err();
    assert_eq!(error.line, Some(10));
    assert!(error.problem.contains("U+202E"), "{error}");
}

#[test]
fn new_psds_get_the_keys_named() {
    let creation = |lines: &str| -> Result<CreatePsds, CeremonyError> {
        let ceremony = read(&format!("[create-psds]\n{lines}{GROUP}"))?;
        match ceremony.act() {
            Act::CreatePsds(act) => Ok(act.clone()),
            other => panic!("{other:?}"),
        }
    };
    let plain = creation("").unwrap();
    assert_eq!((plain.roles.as_slice(), plain.count()), ([Role::Indicium, Role::Device].as_slice(), 3));
    assert_eq!(plain.residence, Residence::Resident);
    let full = "roles = [\"token-mac\", \"device\", \"certification\", \"indicium\"]\ncertification = \"p384\"\n\
        residence = \"wrapped\"\n";
    let full = creation(full).unwrap();
    assert_eq!(full.roles, [Role::Indicium, Role::Device, Role::Certification, Role::TokenMac]);
    assert_eq!(full.algorithm(Role::Certification), Algorithm::EcdsaP384);
    assert_eq!(full.residence, Residence::Wrapped);
    let overlapping = GROUP.replace("0000001", "0000003");
    let (many, cheap) = (GROUP.replace("count = 3", "count = 100000"), GROUP.replace("\"100\"", "\"0.001\""));
    for (lines, words) in [
        ("roles = [\"indicium\"]\n", "device key"),
        ("roles = [\"indicium\", \"device\", \"device\"]\n", "twice"),
        ("roles = [\"indicium\", \"device\", \"log\"]\n", "no role"),
        ("certification = \"p384\"\n", "no certification key"),
        ("residence = \"cloud\"\n", "resident or wrapped"),
        (overlapping.as_str(), "named twice"),
        (many.as_str(), "can be made at once"),
        (cheap.as_str(), "group 1, limits"),
    ] {
        let error = creation(lines).expect_err(lines);
        assert!(error.problem.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_list_of_operators_is_of_different_people() {
    let (name, body) = acts().swap_remove(5);
    let file = table(name, &body);
    for (old, new, words) in [
        ("\"ben\"", "\"ada\"", "twice"),
        ("quorum = 2", "quorum = 3", "3 of 2"),
        ("quorum = 2", "quorum = 0", "0 of 2"),
    ] {
        let error = read(&file.replacen(old, new, 1)).expect_err(new);
        assert!(error.problem.contains(words), "{error}");
    }
    let pem = MemoryKey::new().public_key().to_pem();
    let same = format!(
        "[operators]\nquorum = 1\n[[operators.list]]\nname = \"a\"\npublic_key = '''{pem}'''\n[[operators.list]]\nname = \"b\"\n\
         public_key = '''{pem}'''\n"
    );
    assert!(read(&same).unwrap_err().problem.contains("public key of another operator"));
}

#[test]
fn a_rotation_without_acknowledgement_says_so() {
    let act = "[rotate-key]\npsd = \"PS010000001\"\nrole = \"indicium\"\n";
    let expected = "expected = { state = \"active\", locks = [], generation = 1 }\n";
    let told = |more: &str| read(&format!("{act}{more}{expected}")).expect("an act").effects().join("\n");
    assert!(told("").contains("only after verifiers acknowledged its certificate"));
    assert_eq!(told(""), told("without_acknowledgement = false\n"));
    assert!(told("without_acknowledgement = true\n").contains("even if verifiers have not acknowledged"));
}

//! `psdd check-config`: errors name file, line and field; the shipped examples hold.

use crate::shared;
use softhsm_tests::Appliance;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Exit code and words.
fn check(appliance: &Appliance, file: &Path) -> (Option<i32>, String) {
    let output = Command::new(&appliance.options.tools.psdd).arg("check-config").arg(file).output().expect("psdd runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

#[test]
fn a_wrong_configuration_is_told_by_file_line_and_field() {
    let appliance = &shared().appliance;
    let dir = appliance.layout.dir();
    let good = std::fs::read_to_string(appliance.layout.psdd_config()).expect("psdd.toml");
    let write = |name: &str, text: &str| -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    assert_eq!(check(appliance, &write("good.toml", &good)).0, Some(0));
    let line_of = |text: &str, what: &str| text.lines().position(|line| line.contains(what)).map_or(0, |at| at + 1);
    // What is replaced, by what, and what is said: after the file, `LINE` stands for the line of the replacement.
    let rows = [
        ("state_dir =", "state_dri =", ":LINE: state_dri: unknown field"),
        ("listen =", "lissten =", ":LINE: vendor.lissten: unknown field"),
        ("max_streams = 64", "max_streams = \"many\"", ":LINE: vendor.max_streams: invalid type"),
        ("max_streams = 64", "max_streams = -1", ":LINE: vendor.max_streams: "),
        ("max_streams = 64", "max_streams = 0", ": vendor.max_"),
        ("max_streams = 64", "max_body_bytes = 1", ": vendor.max_body_bytes: 4096"),
        ("127.0.0.1:0", "localhost", ":LINE: vendor.listen: "),
        ("source = \"development\"", "source = \"sundial\"", ":LINE: clock.source: unknown variant"),
        ("name = \"main\"\n", "", ": token: missing field `name`"),
        ("client_crl = ", "# client_crl = ", ": vendor: missing field `client_crl`"),
        ("[clock]\nsource = \"development\"", "", "missing field `clock`"),
        ("[[token]]", "[[token", "psdd-test.toml:"),
        ("pki/vendor-ca.crl", "pki/none.crl", "pki/none.crl"),
        ("pki/vendor-ca.crl", "pki/server.pem", "pki/server.pem: holds no revocation list"),
        ("pki/server.key", "pki/client.key", "pki/server.pem: "),
        ("pki/server.key", "pki/none.key", "pki/none.key"),
        ("policy_dir = \"policy\"", "policy_dir = \"nowhere\"", "nowhere"),
    ];
    for (from, to, said) in rows {
        assert!(good.contains(from), "{from} is not in psdd.toml");
        let text = good.replacen(from, to, 1);
        let file = write("psdd-test.toml", &text);
        let (code, told) = check(appliance, &file);
        assert_eq!(code, Some(78), "{to}: {told}");
        let line = line_of(&text, to.trim());
        let said = if said.starts_with(':') {
            format!("{}{}", file.display(), said.replace("LINE", &line.to_string()))
        } else {
            said.to_owned()
        };
        let place =
            said.strip_prefix(&file.display().to_string()).filter(|rest| !rest.starts_with(&format!(":{line}")));
        match place {
            // No line is known for what is not there, but the table's.
            Some(rest) => assert!(told.contains(&file.display().to_string()) && told.contains(rest), "{to}: {told}"),
            None => assert!(told.contains(&said), "{to}: wanted {said:?}, told {told}"),
        }
    }
    for (table, text, field) in [
        ("signing", "chunk_items = 0", "signing.chunk_items"),
        ("signing", "queued_items_per_tenant = 10", "signing.queued_items"),
        ("signing", "in_flight_items = 100000", "signing.in_flight_items"),
        ("ledger", "checkpoint_bound_ms = 1", "ledger.checkpoint_bound_ms"),
        ("ledger", "state_digest_records = 1", "ledger.state_digest_records"),
    ] {
        let file = write("psdd-test.toml", &format!("{good}\n[{table}]\n{text}\n"));
        let (code, told) = check(appliance, &file);
        assert_eq!(code, Some(78), "{text}: {told}");
        assert!(told.contains(&format!("{}: {field}", file.display())), "{text}: {told}");
    }
    // Two doors that are one.
    std::fs::copy(dir.join("pki/vendor-ca.pem"), dir.join("pki/test-copied-ca.pem")).expect("a copy");
    for (from, to, said) in [
        ("127.0.0.1:0", "127.0.0.1:8443", "operator.listen: 127.0.0.1:8443 is taken"),
        ("pki/operator-ca.pem", "pki/vendor-ca.pem", "operator.client_ca: "),
        ("pki/operator-ca.pem", "pki/test-copied-ca.pem", "each door needs a CA of its own"),
        ("[operator]", "[operator]\nmax_connections_per_tenant = 3", "operator.max_connections_per_tenant: "),
        ("pki/inspector-ca.pem", "pki/operator-ca.pem", "authority.client_ca: "),
        ("pki/inspector-ca.pem", "pki/test-copied-ca.pem", "authority.client_ca: "),
        ("[authority]", "[authority]\nmax_connections_per_tenant = 3", "authority.max_connections_per_tenant: "),
        ("[authority]", "[authority]\nmax_streams = 0", "authority.max_"),
        ("[vendor]", "[vendor]\nmax_connections_per_tenant = 0", "vendor.max_connections_per_tenant: "),
        ("state_dir =", "crl_alarm_days = 400\nstate_dir =", "crl_alarm_days: 0 to 366"),
    ] {
        let (code, told) = check(appliance, &write("psdd-test.toml", &good.replace(from, to)));
        assert_eq!(code, Some(78), "{to}: {told}");
        assert!(told.contains(said), "{to}: {told}");
    }
    assert_eq!(check(appliance, &dir.join("nowhere.toml")).0, Some(78));
}

#[test]
fn a_wrong_policy_is_told_by_file_and_line() {
    let appliance = &shared().appliance;
    let layout = &appliance.layout;
    let good = std::fs::read_to_string(layout.psdd_config()).expect("psdd.toml");
    let dir = layout.dir().join("policy-test");
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = layout.dir().join("psdd-policy.toml");
    std::fs::write(&file, good.replace("policy_dir = \"policy\"", "policy_dir = \"policy-test\"")).expect("written");
    let rows = [
        ("vendor.cedar", "\n\npermit (principal", "vendor.cedar:3:", ""),
        ("vendor.cedar", "// nothing\npermit (principal, action, resource);", "vendor.cedar:2:", "@id"),
        (
            "vendor.cedar",
            "@id(\"a\") permit (principal, action == Action::\"fly\", resource);",
            "vendor.cedar:1:",
            "a: ",
        ),
        (
            "authority.cedar",
            "\n@id(\"a\") permit (principal, action, resource);",
            "authority.cedar:2:",
            "may only forbid",
        ),
        ("authority.cedar", "@id(\"a b\") forbid (principal, action, resource);", "authority.cedar:1:", "@id"),
    ];
    for (name, text, place, words) in rows {
        for file in ["vendor.cedar", "authority.cedar"] {
            std::fs::write(dir.join(file), if file == name { text } else { "" }).expect("written");
        }
        let (code, told) = check(appliance, &file);
        assert_eq!(code, Some(78), "{text}: {told}");
        assert!(told.contains(&format!("{}/{place}", dir.display())) && told.contains(words), "{text}: {told}");
    }
    for file in ["vendor.cedar", "authority.cedar"] {
        std::fs::write(dir.join(file), "").expect("written");
    }
    std::fs::write(dir.join("more.cedar"), "").expect("written");
    let (code, told) = check(appliance, &file);
    assert!(code == Some(78) && told.contains("more.cedar is not read"), "{told}");
}

/// The examples name files that are not there, so only their form is judged: whatever is wrong must be a file.
#[test]
fn the_shipped_examples_are_of_the_form() {
    let appliance = &shared().appliance;
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("packaging/etc");
    let entries = std::fs::read_dir(&etc).expect("packaging/etc");
    for path in entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
    {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let text = std::fs::read_to_string(&path).expect("an example");
        if name.contains("hsm") {
            let checked =
                Command::new(&appliance.options.tools.hsm).args(["check-config", "--config"]).arg(&path).output();
            let told = String::from_utf8_lossy(&checked.expect("psdd-hsm runs").stderr).into_owned();
            assert!(!told.contains(&format!("{}:", path.display())), "{name}: {told}");
        } else if text.contains("[vendor]") {
            let (_, told) = check(appliance, &path);
            assert!(!told.contains(&format!("{}:", path.display())), "{name}: {told}");
        }
    }
}

//! An operator whose key is in a PKCS#11 token of her own: made there, enrolled, and approving what then runs.

use crate::bench::{Wanted, psd, raise};
use crate::holding::{ACTIVE, code, door, file, hold};
use crate::run;
use psd::OperatorName;
use psdctl::dev;
use psdd_wire::ceremony::{Approval, Operator, P256PublicKey};
use psdd_wire::operator::CeremonyState;
use softhsm_tests::Appliance;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
];
const PIN: &str = "ann4-pin";

/// Anna's own machine: a SoftHSM2 of hers, and psdctl.
struct Desk {
    dir: PathBuf,
    ctl: PathBuf,
    module: &'static str,
}

/// How a command ended, and all it said.
struct Told {
    code: Option<i32>,
    text: String,
}

impl Desk {
    fn of(appliance: &Appliance) -> Self {
        let dir = appliance.around().join("anna");
        std::fs::create_dir_all(dir.join("tokens")).expect("a directory");
        let config = format!("directories.tokendir = {}\nlog.level = ERROR\n", dir.join("tokens").display());
        std::fs::write(dir.join("softhsm2.conf"), config).expect("softhsm2.conf");
        let module = MODULES.into_iter().find(|path| Path::new(path).is_file()).expect("SoftHSM2 is installed");
        let desk = Self { dir, ctl: appliance.options.tools.ctl.clone(), module };
        desk.pin("pin", PIN, 0o600);
        desk.token("anna");
        desk
    }

    fn at(&self, name: &str) -> String {
        self.dir.join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    fn pin(&self, name: &str, pin: &str, mode: u32) -> String {
        std::fs::write(self.at(name), format!("{pin}\n")).expect("a PIN");
        std::fs::set_permissions(self.at(name), std::fs::Permissions::from_mode(mode)).expect("its mode");
        self.at(name)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Told {
        let mut command = Command::new(program);
        command.args(arguments).env("SOFTHSM2_CONF", self.at("softhsm2.conf")).stdin(std::process::Stdio::null());
        let output = command.output().expect("it runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Told { code: output.status.code(), text }
    }

    fn psdctl(&self, arguments: &[&str]) -> Told {
        self.run(self.ctl.to_str().expect("a path in UTF-8"), arguments)
    }

    fn done(&self, arguments: &[&str]) -> String {
        let told = self.psdctl(arguments);
        assert_eq!(told.code, Some(0), "{arguments:?}: {}", told.text);
        told.text
    }

    fn token(&self, label: &str) {
        let arguments = ["--init-token", "--free", "--label", label, "--so-pin", "so-pin", "--pin", PIN];
        let told = self.run("softhsm2-util", &arguments);
        assert_eq!(told.code, Some(0), "{}", told.text);
    }

    /// A key that OpenSSL made, brought into the token.
    fn import(&self, label: &str, id: &str, algorithm: &[&str]) {
        let key = self.at(&format!("{label}.pem"));
        let made = self.run("openssl", &[&["genpkey", "-out", &key], algorithm].concat());
        assert_eq!(made.code, Some(0), "{}", made.text);
        let arguments = ["--import", &key, "--token", "anna", "--label", label, "--id", id, "--pin", PIN];
        let told = self.run("softhsm2-util", &arguments);
        assert_eq!(told.code, Some(0), "{}", told.text);
    }

    fn uri(&self, path: &str, query: &str) -> String {
        format!("pkcs11:{path}?module-path={}{query}", self.module)
    }

    /// A URI with the PIN from its file.
    fn key(&self, path: &str) -> String {
        self.uri(path, &format!("&pin-source=file:{}", self.at("pin")))
    }

    fn public(&self, key: &str) -> P256PublicKey {
        self.done(&["operator", "public-key", "--key", key]).parse().expect("a public key in PEM")
    }
}

const OPERATOR: &str = "token=anna;object=operator;type=private";

#[test]
fn a_key_in_a_token_is_made_enrolled_and_approves_what_runs() {
    let appliance = raise(Wanted::default());
    let desk = Desk::of(&appliance);
    let key = desk.key(OPERATOR);
    let public_file = desk.at("anna.pub");
    let make = ["operator", "keygen", "--token", &key, "--out", public_file.trim_end_matches(".pub")];
    desk.done(&make);
    let public = desk.public(&key);
    assert_eq!(std::fs::read_to_string(&public_file).expect("the public key"), public.to_pem());
    assert!(!Path::new(&desk.at("anna")).exists(), "no private key in a file");
    let again = desk.psdctl(&make);
    assert!(again.code == Some(2) && again.text.contains("exists already"), "{}", again.text);
    std::fs::remove_file(&public_file).expect("it goes");
    let again = desk.psdctl(&make);
    assert!(again.code == Some(2) && again.text.contains("has such a key already"), "{}", again.text);
    assert_eq!(desk.public(&key), public, "the key is the same");

    let old = |name: &str| format!("{}/{name}.key", appliance.layout.operators().display());
    let mut list = format!(
        "[operators]\nquorum = 2\n[[operators.list]]\nname = \"anna\"\npublic_key = '''\n{}'''\n",
        public.to_pem()
    );
    for name in ["ben", "cleo"] {
        let pem = desk.public(&old(name)).to_pem();
        list += &format!("[[operators.list]]\nname = \"{name}\"\npublic_key = '''\n{pem}'''\n");
    }
    run(async {
        let door = door(&appliance);
        let enrolment = file(&door, &list).await;
        assert_eq!(hold(&appliance, &door, &enrolment).await, CeremonyState::Done);

        let lock = file(&door, &format!("[lock]\npsd = \"{}\"\n{ACTIVE}", psd(1))).await;
        let path = desk.at("lock.toml");
        std::fs::write(&path, &lock).expect("a file");
        let out = desk.at("lock.approval");
        let approve = |key: &str| {
            desk.psdctl(&["ceremony", "approve", &path, "--operator", "anna", "--key", key, "--yes", "--out", &out])
        };
        let told = approve(&key);
        assert!(told.code == Some(0) && told.text.contains("approved by anna"), "{}", told.text);
        let hers = std::fs::read(&out).expect("an approval");
        let both = dev::approve(&appliance.layout, lock.as_bytes(), &["anna", "ben"]).expect("approvals");
        assert_eq!(
            code(door.run(lock.as_bytes(), &both).await),
            "bad-approval-signature",
            "her old key counts no more"
        );
        let begun = door.run(lock.as_bytes(), &[hers, both[1].clone()]).await.expect("a quorum");
        assert_eq!(crate::holding::ended(&door, begun.number).await, CeremonyState::Done);
    });

    // The birth of another appliance, with the same key.
    let genesis = desk.at("genesis.toml");
    let authority = appliance.layout.authority_root().display().to_string();
    let funds = appliance.layout.funds().display().to_string();
    std::fs::write(desk.at("anna.pem"), public.to_pem()).expect("a public key");
    let named = format!("anna={}", desk.at("anna.pem"));
    let new = ["ceremony", "genesis", "new", "--quorum", "1", "--operator", &named, "--authority-root", &authority];
    desk.done(&[&new[..], &["--funds", &funds, "--out", &genesis]].concat());
    desk.done(&["ceremony", "genesis", "plan", &genesis]);
    let out = desk.at("genesis.approval");
    let approve = ["ceremony", "genesis", "approve", &genesis, "--operator", "anna", "--key", &key, "--yes"];
    desk.done(&[&approve[..], &["--out", &out]].concat());
    let name: OperatorName = "anna".parse().expect("a name");
    let anna = Operator { name: name.clone(), key: public, revoked: false };
    let approval = Approval::verify(&std::fs::read(&out).expect("an approval"), &[anna]).expect("it verifies");
    assert_eq!((approval.operator, approval.file), (name, std::fs::read(&genesis).expect("the file")));
}

#[test]
fn a_uri_names_one_token_and_one_key_or_is_refused_before_a_pin_is_tried() {
    let appliance = Appliance::unborn(softhsm_tests::options());
    let desk = Desk::of(&appliance);
    for (path, out) in [(OPERATOR, "one"), ("token=anna;object=second%20key;id=%0A%3B", "two")] {
        desk.done(&["operator", "keygen", "--token", &desk.key(path), "--out", &desk.at(out)]);
    }
    assert_ne!(desk.public(&desk.key(OPERATOR)), desk.public(&desk.key("token=anna;id=%0A%3B")));
    desk.import("p384", "0384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    desk.import("rsa", "2048", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let exposed = format!("&pin-source={}", desk.pin("exposed", PIN, 0o644));
    let wrong = format!("&pin-source={}", desk.pin("wrong", "not-her-pin", 0o600));
    let foreign = "pkcs11:token=anna;object=operator?module-path=/usr/lib/no-module.so&pin-value=1".to_owned();
    let rows = [
        ("no key of that label", desk.key("token=anna;object=nobody"), 2, "object=operator;id=%"),
        ("several keys", desk.key("token=anna"), 2, "object=second%20key;id=%0A%3B"),
        ("no token of that label", desk.key("token=ben;object=operator"), 2, "pkcs11:token=anna;serial="),
        ("no token of that model", desk.key("model=other;object=operator"), 2, "no token matches"),
        ("a public key", desk.key("token=anna;object=operator;type=public"), 2, "type is not private"),
        ("a path attribute that is not known", desk.key("token=anna;x-object=operator"), 2, "\"x-object\""),
        ("P-384", desk.key("token=anna;object=p384"), 2, "not on P-256"),
        ("RSA", desk.key("token=anna;object=rsa"), 2, "no key on an elliptic curve"),
        ("no module", format!("pkcs11:{OPERATOR}?pin-value={PIN}"), 2, "module-path"),
        ("a module that is not there", foreign, 3, "no-module.so"),
        ("a PIN that others can read", desk.uri(OPERATOR, &exposed), 2, "mode 644"),
        ("nobody to ask", desk.uri(OPERATOR, ""), 2, "pin-source"),
        ("a wrong PIN", desk.uri(OPERATOR, &wrong), 1, "C_Login"),
    ];
    for (name, key, exit, text) in rows {
        let told = desk.psdctl(&["operator", "public-key", "--key", &key]);
        assert!(told.code == Some(exit) && told.text.contains(text), "{name}: {:?} {}", told.code, told.text);
        assert!(!told.text.contains(PIN), "{name}: {}", told.text);
    }
    // What is not known in the query is told and ignored; a PIN can stand in the URI.
    let told =
        desk.done(&["operator", "public-key", "--key", &desk.uri(OPERATOR, &format!("&x-hint=a&pin-value={PIN}"))]);
    assert!(told.contains("x-hint in the URI of the key is not known"), "{told}");

    // A second token of the same label: no PIN is tried on either, and the serial number tells them apart.
    desk.token("anna");
    let told = desk.psdctl(&["operator", "public-key", "--key", &desk.key(OPERATOR)]);
    assert!(told.code == Some(2) && told.text.contains("more than one token"), "{}", told.text);
    let tokens: Vec<&str> = told.text.split_whitespace().filter_map(|word| word.strip_prefix("pkcs11:")).collect();
    assert_eq!(tokens.len(), 2, "{}", told.text);
    let with_key = tokens.iter().filter(|token| {
        let key = desk.key(&format!("{};object=operator", token.trim_end_matches(',')));
        desk.psdctl(&["operator", "public-key", "--key", &key]).code == Some(0)
    });
    assert_eq!(with_key.count(), 1, "the other has no key");
}

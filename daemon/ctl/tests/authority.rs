//! `psdctl authority` as its people run it: the quick start, the report's verdicts, and a funds system that is killed at any moment.

#[path = "../../wire/tests/audit/claims.rs"]
mod claims;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use psd::{PostageAmount, Registers};
use psdd_wire::audit::{AUDIT_REPORT, AuditClaims};
use psdd_wire::cose::{INSTRUCTION, Sign1, VALUE_REQUEST, VALUE_VOID};
use psdd_wire::funds::{FundsAuthorisation, FundsRequest, FundsVoid, FundsVoided};
use psdd_wire::message::{InstructionClaims, ValueRequestClaims};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const PSD: &str = "PS010000000001";

/// A directory with an authority that has one PSD under a licence.
struct Desk {
    around: tempfile::TempDir,
    device: EcdsaKeyPair,
}

impl Desk {
    fn open() -> Self {
        let around = tempfile::tempdir().unwrap();
        let device = KeyPair::generate().unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &device.serialize_der()).unwrap();
        let desk = Self { around, device: pair };
        desk.done(&["init", "DIR", "--name", "Test Post", "--listen", "127.0.0.1:0"]);
        desk.done(&["licence", "add", "DIR", "--licence", "L-1", "--holder", "Acme"]);
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, PSD);
        params.distinguished_name.push(DnType::OrganizationalUnitName, "device");
        std::fs::create_dir(desk.path("exchange")).unwrap();
        let request = params.serialize_request(&device).unwrap().pem().unwrap();
        std::fs::write(desk.path("exchange").join(format!("{PSD}-device.csr")), request).unwrap();
        let exchange = desk.text("exchange");
        let issued = desk.done(&["issue", "DIR", "--exchange", &exchange, "--appliance", "post-1", "--licence", "L-1"]);
        assert!(issued.contains("1 certificates, 1 new"), "{issued}");
        let (certificate, key) = (desk.text("post-1.pem"), desk.text("post-1.key"));
        desk.done(&["client", "issue", "DIR", "--appliance", "post-1", "--certificate", &certificate, "--key", &key]);
        desk
    }

    /// A report of the PSD, signed by its device key, of this appliance.
    fn report(&self, appliance: &str) -> Vec<u8> {
        let claims = AuditClaims { appliance: appliance.to_owned(), ..claims::claims(true) };
        let message = Sign1::unsigned(AUDIT_REPORT, None, psdd_wire::encode(&claims));
        let signature = self.device.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        message.with_signature(signature.as_ref())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.around.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_psdctl"));
        command.arg("authority");
        for argument in arguments {
            if *argument == "DIR" {
                command.arg(self.path("authority"))
            } else {
                command.arg(argument)
            };
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Exit code and what was said, of a command that does not succeed.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    /// Starts the funds system and gives its address.
    fn serve(&self) -> (Child, String) {
        let file = self.path("address");
        if file.exists() {
            std::fs::remove_file(&file).unwrap();
        }
        let address = self.text("address");
        let mut command = self.command(&["serve", "DIR", "--address-file", &address]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !file.exists() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the funds system does not listen");
            std::thread::sleep(Duration::from_millis(2));
        }
        (child, std::fs::read_to_string(file).unwrap().trim().to_owned())
    }

    fn say(&self, content_type: &str, number: u64, amount: PostageAmount, registers: Registers) -> Vec<u8> {
        let claims = ValueRequestClaims {
            psd: PSD.parse().unwrap(),
            time: 1_795_176_000_000,
            nonce: [1; 16],
            amount,
            refund: None,
            sequence: number,
            appliance: "post-1".to_owned(),
            registers: registers.into(),
        };
        let message = Sign1::unsigned(content_type, None, psdd_wire::encode(&claims));
        let signature = self.device.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        message.with_signature(signature.as_ref())
    }

    fn connector(&self) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("authority/tls/server-ca.pem")).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_file(self.path("post-1.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path("post-1.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        TlsConnector::from(Arc::new(config))
    }
}

/// One POST on a connection of its own; nothing where the funds system is gone.
async fn post(connector: &TlsConnector, address: &str, path: &str, body: Vec<u8>) -> Option<(u16, Vec<u8>)> {
    let tcp = TcpStream::connect(address).await.ok()?;
    tcp.set_nodelay(true).ok()?;
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = hyper::Request::post(path).header("host", "localhost").header("content-type", "application/cbor");
    let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.ok()?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.ok()?.to_bytes().to_vec();
    Some((status, body))
}

fn amount(text: &str) -> PostageAmount {
    text.parse().unwrap()
}

#[test]
fn the_quick_start_does_what_it_says() {
    let desk = Desk::open();
    let deposit = ["deposit", "DIR", "--licence", "L-1", "--amount", "500.00", "--reference", "wire 1"];
    assert!(desk.done(&deposit).contains("is booked"));
    assert!(desk.done(&deposit).contains("was booked before"), "a payment counts once");
    let account = desk.json(&["account", "DIR", "--licence", "L-1"]);
    assert_eq!((account["balance"].as_str(), account["psds"].as_u64()), (Some("500.00"), Some(1)));
    let other = ["deposit", "DIR", "--licence", "L-1", "--amount", "1.00", "--reference", "wire 1"];
    let (code, said) = desk.refused(&other);
    assert!(code == 1 && said.contains("\"wire 1\" is taken by a deposit of 500.00"), "{code}: {said}");
    let (code, said) = desk.refused(&["account", "DIR", "--licence", "L-9"]);
    assert!(code == 1 && said.contains("no licence L-9"), "{code}: {said}");
    let (code, said) = desk.refused(&["init", "DIR"]);
    assert!(code == 2 && said.contains("not empty"), "{code}: {said}");
    let nowhere = desk.text("exchange");
    let (code, said) = desk.refused(&["report", &nowhere]);
    assert!(code == 2 && said.contains("psdctl authority init"), "{code}: {said}");

    // Locks by two keys: each counts for itself.
    for (by, sequence) in [("inspection", 1), ("inspection", 2), ("funds", 1)] {
        let file = desk.text("lock.cose");
        let arguments = ["lock", "DIR", "--appliance", "post-1", "--psd", PSD, "--by", by, "--out", &file];
        assert_eq!(desk.json(&arguments)["sequence"].as_u64(), Some(sequence));
        let message = Sign1::parse(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(message.content_type, INSTRUCTION);
        let claims: InstructionClaims = psdd_wire::read(&message.payload).unwrap();
        assert_eq!((claims.act.as_str(), claims.psd.as_deref(), claims.sequence), ("lock", Some(PSD), sequence));
    }

    let keys = desk.json(&["keys", "DIR"]);
    let serial = keys[0]["serial"].as_u64().unwrap();
    let (file, text) = (desk.text("known.cose"), serial.to_string());
    let order = ["acknowledge", "DIR", "--appliance", "post-1", "--psd", PSD, "--serial"];
    let said = desk.json(&[&order[..], &[&text, "--out", &file]].concat());
    assert_eq!((said["purpose"].as_str(), said["sequence"].as_u64()), (Some("inspection"), Some(3)));
    let message = Sign1::parse(&std::fs::read(&file).unwrap()).unwrap();
    let claims: InstructionClaims = psdd_wire::read(&message.payload).unwrap();
    assert_eq!((claims.act.as_str(), claims.serial.map(u64::from)), ("acknowledge", Some(serial)));
    let (code, said) = desk.refused(&[&order[..], &["999"]].concat());
    assert!(code == 1 && said.contains("`psdctl authority keys` lists"), "{code}: {said}");

    let file = desk.text("periods.cose");
    let order = ["inspection-periods", "DIR", "--appliance", "post-1", "--licence", "L-1"];
    let said = desk.json(&[&order[..], &["--warn", "48", "--block", "72", "--out", &file]].concat());
    assert_eq!((said["purpose"].as_str(), said["sequence"].as_u64()), (Some("inspection"), Some(4)));
    let message = Sign1::parse(&std::fs::read(&file).unwrap()).unwrap();
    let claims: InstructionClaims = psdd_wire::read(&message.payload).unwrap();
    assert_eq!((claims.licence.as_deref(), claims.warn, claims.block), (Some("L-1"), Some(48), Some(72)));
    for (warn, block, why) in [("48", "71", "--block: is not 72 to 2880"), ("72", "72", "--warn: is not at least")] {
        let (code, said) = desk.refused(&[&order[..], &["--warn", warn, "--block", block]].concat());
        assert!(code == 2 && said.contains(why), "{code}: {said}");
    }
    let (cedar, file) = (desk.text("policy.cedar"), desk.text("policy.cose"));
    let order = ["policy", "DIR", "--appliance", "post-1", "--file", &cedar, "--out", &file];
    std::fs::write(&cedar, "@id(\"p\")\npermit (principal, action, resource);").unwrap();
    let (code, said) = desk.refused(&order);
    assert!(
        code == 2 && said.contains("policy.cedar: ") && said.contains("instruction:1:1: p permits"),
        "{code}: {said}"
    );
    std::fs::write(&cedar, "/".repeat(24_577)).unwrap();
    let (code, said) = desk.refused(&order);
    assert!(code == 2 && said.contains("the policy has 24577 bytes, more than 24576"), "{code}: {said}");
    let forbid = "@id(\"f\") forbid (principal, action, resource);";
    std::fs::write(&cedar, forbid).unwrap();
    for (further, sequence, version) in [(&[][..], 1, 1), (&[], 2, 2), (&["--follows", "0"], 3, 1), (&[], 4, 2)] {
        let said = desk.json(&[&order[..], further].concat());
        assert_eq!((said["purpose"].as_str(), said["sequence"].as_u64()), (Some("policy"), Some(sequence)));
        let message = Sign1::parse(&std::fs::read(&file).unwrap()).unwrap();
        let claims: InstructionClaims = psdd_wire::read(&message.payload).unwrap();
        assert_eq!((claims.text.as_deref(), claims.version), (Some(forbid), Some(version)));
    }
    let (code, said) = desk.refused(&[&order[..], &["--follows", "18446744073709551615"]].concat());
    assert!(code == 2 && said.contains("the last version there is"), "{code}: {said}");
    let (report, file) = (desk.text("report.cose"), desk.text("accepted.cose"));
    std::fs::write(&report, b"a report").unwrap();
    let unsigned = ["accept-audit", "DIR", "--appliance", "post-1", "--psd", PSD, "--report", &report];
    let (code, said) = desk.refused(&unsigned);
    assert!(code == 1 && said.contains("it is no audit report of PS010000000001"), "{code}: {said}");
    let signed = desk.report("post-2");
    std::fs::write(&report, &signed).unwrap();
    let (code, said) = desk.refused(&unsigned);
    assert!(code == 1 && said.contains("of appliance \"post-2\""), "{code}: {said}");
    let signed = desk.report("post-1");
    std::fs::write(&report, &signed).unwrap();
    let order = ["accept-audit", "DIR", "--appliance", "post-1", "--psd", PSD, "--report", &report, "--out", &file];
    assert_eq!(desk.json(&order)["sequence"].as_u64(), Some(5), "what was refused used no number up");
    let message = Sign1::parse(&std::fs::read(&file).unwrap()).unwrap();
    let claims: InstructionClaims = psdd_wire::read(&message.payload).unwrap();
    let digest = psdd_wire::sha256(&signed).to_vec();
    assert_eq!((claims.act.as_str(), claims.psd.as_deref()), ("accept-audit", Some(PSD)));
    assert_eq!(claims.digest, Some(digest.into()));

    let file = desk.text("revoked.cose");
    let order =
        ["revoke-key", "DIR", "--appliance", "post-1", "--psd", PSD, "--serial", &text, "--reason", "keyCompromise"];
    let (code, said) = desk.refused(&[&order[..], &["--since", "2096-11-05T00:00:00Z"]].concat());
    assert!(code == 1 && said.contains("yet to come"), "{code}: {said}");
    let (code, said) = desk.refused(&[&order[..9], &["certificateHold"]].concat());
    assert!(code == 2 && said.contains("is no reason"), "{code}: {said}");
    let said = desk.json(&[&order[..], &["--since", "2026-01-05T00:00:00Z", "--out", &file]].concat());
    assert_eq!((said["purpose"].as_str(), said["sequence"].as_u64()), (Some("inspection"), Some(6)));
    let message = Sign1::parse(&std::fs::read(&file).unwrap()).unwrap();
    let claims: InstructionClaims = psdd_wire::read(&message.payload).unwrap();
    assert_eq!((claims.act.as_str(), claims.serial.map(u64::from)), ("revoke-key", Some(serial)));
    assert_eq!((claims.reason.as_deref(), claims.since), (Some("keyCompromise"), Some(1_767_571_200_000)));
    let file = desk.text("change.cose");
    let order = ["change-key", "DIR", "--appliance", "post-1", "--psd", PSD, "--role"];
    let (code, said) = desk.refused(&[&order[..], &["log"]].concat());
    assert!(code == 2 && said.contains("one of indicium"), "{code}: {said}");
    assert_eq!(desk.json(&[&order[..], &["token-mac", "--out", &file]].concat())["sequence"].as_u64(), Some(7));
    let message = Sign1::parse(&std::fs::read(&file).unwrap()).unwrap();
    let claims: InstructionClaims = psdd_wire::read(&message.payload).unwrap();
    assert_eq!((claims.act.as_str(), claims.role.as_deref()), ("change-key", Some("token-mac")));

    let (mut child, _) = desk.serve();
    assert!(
        desk.done(&["licence", "lock", "DIR", "--licence", "L-1"]).contains("is locked"),
        "beside a running server"
    );
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "SIGTERM ends it in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_compares_with_what_psds_say_now() {
    let desk = Desk::open();
    desk.done(&["deposit", "DIR", "--licence", "L-1", "--amount", "500.00", "--reference", "wire 1"]);
    let (mut child, address) = desk.serve();
    let request = desk.say(VALUE_REQUEST, 1, amount("120.00"), Registers::default());
    let body = psdd_wire::encode(&FundsRequest { request });
    let (status, _) = post(&desk.connector(), &address, "/v1/value-requests", body).await.expect("an answer");
    assert_eq!(status, 200);
    child.kill().unwrap();
    child.wait().unwrap();

    let registers = |control_total: &str, psd: &str| {
        let text = format!(
            r#"[{{"psd": "{psd}", "locks": [], "state": "active", "value": {{"ended": 1}}, "format": "ibi",
                "limits": {{"largest_refill": "1000.00", "smallest_refill": "1.00", "largest_postage": "1.00", "smallest_postage": "0.01", "largest_descending": "1000.00"}},
                "licence": "L-1", "currency": "USD", "sequence": 5, "registers": {{"pieces": 0, "ascending": "0.00",
                "descending": "{control_total}", "control_total": "{control_total}"}}}}]"#
        );
        std::fs::write(desk.path("registers.json"), text).unwrap();
        desk.run(&["report", "DIR", "--registers", &desk.text("registers.json"), "--json"])
    };
    // Not applied yet, and applied: both are what the books allow.
    for (control_total, psd, code, difference) in [
        ("0.00", PSD, 0, Some("0.00")),
        ("120.00", PSD, 0, Some("0.00")),
        ("120.01", PSD, 1, Some("+0.01")),
        ("60.00", PSD, 1, Some("-60.00")),
        ("120.00", "PS010000000002", 1, Some("0.00")),
    ] {
        let output = registers(control_total, psd);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{control_total} of {psd}: {told}");
        assert_eq!(told["psds"][0]["difference"].as_str(), difference, "{told}");
        assert_eq!(told["totals"]["conserved"].as_bool(), Some(true));
        assert_eq!(told["totals"]["open"].as_str(), Some("120.00"));
    }
}

/// SIGKILL at any moment: what was answered stays as it was answered, and every value is in one place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_funds_system_that_is_killed_forgets_no_answer() {
    let desk = Desk::open();
    desk.done(&["deposit", "DIR", "--licence", "L-1", "--amount", "100000.00", "--reference", "wire 1"]);
    let connector = desk.connector();
    let one = amount("7.00");
    let (mut registers, mut number, mut void) = (Registers::default(), 1u64, None::<Vec<u8>>);
    let mut request = desk.say(VALUE_REQUEST, 1, one, registers);
    let (mut authorised, mut kills) = (None::<Vec<u8>>, 0u64);
    while kills < 25 {
        let (mut child, address) = desk.serve();
        let until = Instant::now() + Duration::from_millis(15 + kills * 29 % 150);
        let killer = tokio::task::spawn_blocking(move || {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        loop {
            let (path, body) = match &void {
                None => ("/v1/value-requests", psdd_wire::encode(&FundsRequest { request: request.clone() })),
                Some(statement) => ("/v1/value-voids", psdd_wire::encode(&FundsVoid { statement: statement.clone() })),
            };
            let Some((status, body)) = post(&connector, &address, path, body).await else { break };
            assert_eq!(status, 200, "download {number}, {path}");
            if void.is_some() {
                let answer: FundsVoided = psdd_wire::read(&body).unwrap();
                assert_eq!((answer.credited, answer.sequence), (one, number));
                void = None;
            } else {
                let answer: FundsAuthorisation = psdd_wire::read(&body).unwrap();
                // Asked twice, sometimes with a kill between: the same bytes.
                match authorised.take() {
                    None => {
                        authorised = Some(answer.authorisation);
                        continue;
                    }
                    Some(before) => assert_eq!(before, answer.authorisation, "download {number}"),
                }
                if number.is_multiple_of(3) {
                    void = Some(desk.say(VALUE_VOID, number, one, registers));
                    continue;
                }
                registers = registers.loaded(one).unwrap();
            }
            number += 1;
            request = desk.say(VALUE_REQUEST, number, one, registers);
        }
        killer.await.unwrap();
        kills += 1;
    }
    assert!(number > 10, "only {number} downloads in {kills} lives");
    let report = desk.json(&["report", "DIR"]);
    assert_eq!(report["reconciles"].as_bool(), Some(true), "{report}");
    let parse = |field: &Value| amount(field.as_str().unwrap()).mills();
    let (line, totals) = (&report["psds"][0], &report["totals"]);
    let in_psd = parse(&line["booked"]);
    assert_eq!(in_psd + parse(&totals["balances"]), 100_000_000);
    let open = parse(&line["open"]);
    assert!(in_psd == registers.control_total().mills() || in_psd - open == registers.control_total().mills());
}

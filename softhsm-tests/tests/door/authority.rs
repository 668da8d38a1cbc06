//! The postal authority of a development appliance, its funds system and a real PSD: value comes in over the wire, comes back by the
//! void statement alone, and everything reconciles although the funds system is killed in between.

use crate::bench::{amount, psd};
use crate::client::PATIENCE;
use crate::run;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use psdd_wire::funds::{FundsAuthorisation, FundsRequest, FundsVoid, FundsVoided};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use softhsm_tests::Appliance;
use std::process::Command;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The appliance's way to the funds system.
struct Funds {
    address: String,
    config: Arc<ClientConfig>,
}

impl Funds {
    fn of(appliance: &Appliance) -> Self {
        let layout = &appliance.layout;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(layout.funds_ca()).expect("a CA")).expect("a trust anchor");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("TLS");
        let chain = vec![CertificateDer::from_pem_file(layout.appliance_certificate()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_file(layout.appliance_key()).expect("a key");
        let config = builder.with_root_certificates(roots).with_client_auth_cert(chain, key).expect("an identity");
        let address = std::fs::read_to_string(layout.funds_address()).expect("an address").trim().to_owned();
        Self { address, config: Arc::new(config) }
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let tcp = TcpStream::connect(&self.address).await.expect("the funds system");
        tcp.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await.expect("TLS");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        let request = http::Request::post(path).header("host", "localhost").header("content-type", "application/cbor");
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let response = tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("in time");
        let (parts, body) = response.expect("an answer").into_parts();
        (parts.status.as_u16(), body.collect().await.expect("a body").to_bytes().to_vec())
    }

    async fn authorise(&self, request: &[u8]) -> FundsAuthorisation {
        let body = psdd_wire::encode(&FundsRequest { request: request.to_vec() });
        let (status, body) = self.post("/v1/value-requests", body).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        psdd_wire::read(&body).expect("an authorisation")
    }

    async fn give_up(&self, statement: &[u8]) -> FundsVoided {
        let body = psdd_wire::encode(&FundsVoid { statement: statement.to_vec() });
        let (status, body) = self.post("/v1/value-voids", body).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        psdd_wire::read(&body).expect("a credit")
    }
}

pub(crate) fn psdctl(appliance: &Appliance, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(&appliance.options.tools.ctl).args(arguments).output().expect("psdctl runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

pub(crate) fn path(path: std::path::PathBuf) -> String {
    path.to_str().expect("a path of plain characters").to_owned()
}

#[test]
fn value_goes_both_ways_between_a_psd_and_the_authority() {
    let mut appliance = Appliance::up(softhsm_tests::options());
    let authority = path(appliance.layout.authority());
    let deposit = ["authority", "deposit", &authority, "--licence", "L-1000", "--amount", "500.00", "--reference", "t"];
    let (code, said) = psdctl(&appliance, &deposit);
    assert_eq!(code, Some(0), "{said}");
    let (config, psd) = (appliance.client_config(), psd(1));
    let funds = Funds::of(&appliance);
    let (asked, first) = run(async {
        let client = appliance.client(config.clone()).await;
        // A download that ends well.
        let asked = client.request_value(psd, amount("100.00")).await.expect("a request");
        let answer = funds.authorise(&asked.request).await;
        assert_eq!(answer.balance, amount("400.00"));
        let before = client.psd(psd).await.expect("the PSD").registers;
        let applied = client.apply_value(psd, &answer.authorisation).await.expect("applied");
        assert_eq!(Some(applied.registers.control_total), before.control_total.checked_add(amount("100.00")));
        // One whose answer is lost with the funds system.
        let asked = client.request_value(psd, amount("250.00")).await.expect("a request");
        (asked.clone(), funds.authorise(&asked.request).await)
    });
    appliance.kill_authority();
    appliance.start_authority().expect("the funds system");
    let again = Funds::of(&appliance);
    assert_eq!(again.address, funds.address, "at the same address, which configurations name");
    run(async {
        assert_eq!(again.authorise(&asked.request).await, first, "the same answer");
        assert_eq!(first.balance, amount("150.00"));
        let client = appliance.client(config).await;
        let told = client.void_value(psd, asked.sequence).await.expect("void");
        for _ in 0..2 {
            let credited = again.give_up(&told.statement).await;
            assert_eq!((credited.credited, credited.balance), (amount("250.00"), amount("400.00")), "once");
        }
    });
    // What the PSD says now and what was authorised.
    let config = path(appliance.layout.psdctl_config());
    let (code, registers) = psdctl(&appliance, &["--config", &config, "--json", "vendor", "psds"]);
    assert_eq!(code, Some(0), "{registers}");
    let file = appliance.around().join("registers.json");
    std::fs::write(&file, registers).expect("a file");
    let (code, report) = psdctl(&appliance, &["authority", "report", &authority, "--registers", &path(file)]);
    assert!(code == Some(0) && report.contains("everything reconciles"), "{report}");
    assert!(report.contains("10100.00"), "{report}");

    // `dev up` again starts nothing twice; `dev down` stops the funds system too.
    let pid = std::fs::read_to_string(appliance.layout.authority_pid()).expect("a process id");
    let dir = path(appliance.layout.dir().to_owned());
    let (code, said) = psdctl(&appliance, &["dev", "up", &dir]);
    assert!(code == Some(0) && said.contains(&funds.address), "{said}");
    assert_eq!(std::fs::read_to_string(appliance.layout.authority_pid()).expect("a process id"), pid);
    let (code, said) = psdctl(&appliance, &["dev", "down", &dir]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!appliance.layout.authority_pid().exists());
}

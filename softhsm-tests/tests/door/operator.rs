//! The operator door beside the vendor door: each with its own clients and its own routes.

use crate::admission::{admitted, assert_refused};
use crate::bench::{Wanted, raise};
use crate::client::Caller;
use crate::reload::reload;
use crate::run;
use psdctl::config::CtlConfig;
use psdctl::dev::{ClientIdentity, issue_operator_client, revoke_operator_clients};

#[test]
fn a_certificate_opens_its_own_door_only() {
    let appliance = raise(Wanted::default());
    let layout = &appliance.layout;
    let vendor = Caller::new(layout);
    let identity = ClientIdentity { certificate: layout.operator(), key: layout.operator_key() };
    let config = CtlConfig::read(Some(&layout.psdctl_config())).expect("psdctl.toml");
    let address = config.operator.expect("psdctl knows the operator door").endpoint;
    let operator = Caller { address, identity: identity.clone(), ..vendor.clone() };
    let other = issue_operator_client(layout, "other", 101).expect("a certificate");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    run(async {
        admitted(&vendor, Some(&vendor.identity)).await.expect("a vendor at the vendor door");
        assert_refused(&vendor, Some(&identity), "an operator at the vendor door", "UnknownCA").await;
        assert_refused(&operator, Some(&vendor.identity), "a vendor at the operator door", "UnknownCA").await;
        assert_refused(&operator, None, "nobody", "CertificateRequired").await;

        let told = operator.http1(get("/v1/appliance").as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 200 ") && told.contains("development") && told.contains("dev-"), "{told}");
        for path in ["/v1/psds", "/v1/indicia", "/v1/nothing", "/"] {
            let told = operator.http1(get(path).as_bytes()).await;
            assert!(told.starts_with("HTTP/1.1 404 ") && told.contains("no-such-route"), "{path}: {told}");
        }
        let told = operator.http1(get("/v1/appliance").replace("GET", "DELETE").as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 405 ") && told.to_lowercase().contains("allow: get"), "{told}");

        // Its list is its own.
        revoke_operator_clients(layout, &[101]).expect("a CRL");
        reload(&appliance);
        assert_refused(&operator, Some(&other), "revoked", "CertificateRevoked").await;
        assert!(operator.http1(get("/v1/appliance").as_bytes()).await.starts_with("HTTP/1.1 200 "));
        admitted(&vendor, Some(&vendor.identity)).await.expect("the vendor's list is another");
    });
}

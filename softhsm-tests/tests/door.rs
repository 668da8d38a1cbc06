//! The vendor door of the real daemon, attacked row by row: whatever is refused changes no register, answers with its documented
//! code, and leaves connection and daemon alive. Every answer is held against `daemon/wire/psdd.cddl`.

#[path = "../../daemon/wire/tests/contract/mod.rs"]
mod contract;

#[path = "door/acknowledging.rs"]
mod acknowledging;
#[path = "door/admission.rs"]
mod admission;
#[path = "door/auditing.rs"]
mod auditing;
#[path = "door/authority.rs"]
mod authority;
#[path = "door/authority_policy.rs"]
mod authority_policy;
#[path = "door/bench.rs"]
mod bench;
#[path = "door/ceremonies.rs"]
mod ceremonies;
#[path = "door/certificates.rs"]
mod certificates;
#[path = "door/certify.rs"]
mod certify;
#[path = "door/certify_numbers.rs"]
mod certify_numbers;
#[path = "door/certify_receipts.rs"]
mod certify_receipts;
#[path = "door/certify_runs.rs"]
mod certify_runs;
#[path = "door/certify_scales.rs"]
mod certify_scales;
#[path = "door/client.rs"]
mod client;
#[path = "door/configuration.rs"]
mod configuration;
#[path = "door/digital_tokens.rs"]
mod digital_tokens;
#[path = "door/fleet.rs"]
mod fleet;
#[path = "door/form.rs"]
mod form;
#[path = "door/hindered.rs"]
mod hindered;
#[path = "door/holding.rs"]
mod holding;
#[path = "door/inspecting.rs"]
mod inspecting;
#[path = "door/inspection.rs"]
mod inspection;
#[path = "door/inspection_due.rs"]
mod inspection_due;
#[path = "door/instructions.rs"]
mod instructions;
#[path = "door/judging.rs"]
mod judging;
#[path = "door/key_orders.rs"]
mod key_orders;
#[path = "door/killed.rs"]
mod killed;
#[path = "door/licence.rs"]
mod licence;
#[path = "door/load.rs"]
mod load;
#[path = "door/operator.rs"]
mod operator;
#[path = "door/operator_token.rs"]
mod operator_token;
#[path = "door/python.rs"]
mod python;
#[path = "door/reload.rs"]
mod reload;
#[path = "door/revoked_keys.rs"]
mod revoked_keys;
#[path = "door/rotation.rs"]
mod rotation;
#[path = "door/screens.rs"]
mod screens;
#[path = "door/script.rs"]
mod script;
#[path = "door/staying.rs"]
mod staying;
#[path = "door/timing.rs"]
mod timing;
#[path = "door/unsealing.rs"]
mod unsealing;
#[path = "door/value.rs"]
mod value;
#[path = "door/voucher.rs"]
mod voucher;
#[path = "door/way_back.rs"]
mod way_back;

use bench::{Psds, Wanted, end_with_this_process, plan, raise};
use client::Caller;
use softhsm_tests::Appliance;
use std::process::Child;
use std::sync::OnceLock;

/// Vendor's permits: everybody's own PSDs, and those of `acme` for the tenant `guest`, so that two tenants meet on one PSD.
pub(crate) const VENDOR: &str = r#"
@id("own") permit (principal is Client, action, resource is Psd) when { principal in resource.tenant };
@id("guest") permit (principal in Tenant::"guest", action == Action::"sign_indicium", resource is Psd);
@id("appliance") permit (principal is Client, action == Action::"read_appliance", resource is Appliance);
"#;

/// The authority's limit, above what an indicium can hold.
pub(crate) const AUTHORITY: &str = r#"
@id("authority-largest-piece")
forbid (principal, action == Action::"sign_indicium", resource) when { context.largest > 30000000 };
"#;

/// The appliance that most tests share.
pub(crate) struct Shared {
    pub(crate) appliance: Appliance,
    pub(crate) psds: Psds,
    _end: Child,
}

impl Shared {
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.appliance.layout)
    }
}

/// Not from inside a runtime: loading value has one of its own.
pub(crate) fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let appliance = raise(Wanted {
            psds: 24,
            value: "1000.00",
            vendor: "header_timeout_ms = 3000\nbody_timeout_ms = 3000\nmax_streams = 64\nkeep_alive_ms = 2000",
            policy: Some((VENDOR, AUTHORITY)),
            // Large enough for an amount that no indicium holds, and small enough for a download that is too large.
            plan: Some(&format!(
                "{}\n{}",
                plan("PT010000001", 1, "acme", "40000.00", "50000.00"),
                plan("PU010000001", 1, "rival", "100.00", "1000.00")
            )),
            inactive: Some(&plan("PV010000001", 1, "acme", "100.00", "1000.00")),
            ..Wanted::default()
        });
        let end = end_with_this_process(&appliance);
        Shared { appliance, psds: Psds::new(), _end: end }
    })
}

/// Runs a test's exchanges.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(test)
}

/// Codes of docs/protocol.md that no client can bring about on an appliance of this version.
const OUT_OF_REACH: [&str; 5] = ["clock-stopped", "run-miscounted", "run-unclosed", "stopping", "value-overflow"];

#[test]
fn every_documented_code_has_a_row() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let protocol = read(&here.join("../docs/protocol.md"));
    let codes = protocol.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(code, _)| code));
    let codes: Vec<&str> =
        codes.filter(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())).collect();
    assert!(codes.len() > 40, "docs/protocol.md lists its codes in tables: {codes:?}");
    let mut rows = String::new();
    for dir in ["tests/door", "tests/faults"] {
        for entry in std::fs::read_dir(here.join(dir)).expect("the tests").map(|entry| entry.expect("an entry").path())
        {
            rows.push_str(&read(&entry));
        }
    }
    for code in codes {
        let has_row = rows.contains(&format!("\"{code}\""));
        assert_ne!(has_row, OUT_OF_REACH.contains(&code), "{code}: give it a row, or say why it has none");
    }
}

//! Everything a token can do wrong, under load: what is in flight gets a fault that says "again", nothing is debited for it, the
//! same keys succeed afterwards, and registers are the sum of the signed pieces.

#[path = "../../daemon/wire/tests/contract/mod.rs"]
mod contract;

#[path = "door/bench.rs"]
mod bench;
#[path = "door/client.rs"]
mod client;
#[path = "door/script.rs"]
mod script;

#[path = "faults/birth.rs"]
mod birth;
#[path = "faults/login.rs"]
mod login;
#[path = "faults/signing.rs"]
mod signing;

use bench::{Wanted, raise};
use script::Script;
use softhsm_tests::Appliance;
use std::time::{Duration, Instant};

/// An appliance whose token does what a script says.
pub(crate) struct Faulty {
    pub(crate) appliance: Appliance,
    script: Script,
}

impl Faulty {
    /// With deadlines that tests can wait for.
    pub(crate) fn raise(psds: u32) -> Self {
        let script = Script::new();
        let mut options = script.options();
        options.hsm_extra = "deadlines = { sign_ms = 1000 }\n".to_owned();
        options.psdd_extra = "sign_deadline_ms = 3000\n".to_owned();
        let end = "[ledger]\ncheckpoint_every_ms = 500\ncheckpoint_bound_ms = 1500\n[signing]\nchunk_items = 64\n";
        let appliance = raise(Wanted { psds, value: "10000.00", end, options, ..Wanted::default() });
        Self { appliance, script }
    }

    /// From now on, or from the next look of the module at the file, some milliseconds later.
    pub(crate) fn script(&self, text: &str) {
        self.script.write(text);
    }
}

/// Polls until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < client::PATIENCE, "{what}: not after {:?}", client::PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a test's exchanges.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(test)
}

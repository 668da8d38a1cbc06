//! Everything a token can do wrong, under load: what is in flight gets a fault that says "again", nothing is debited for it, the
//! same keys succeed afterwards, and registers are the sum of the signed pieces.

#[path = "../../daemon/wire/tests/contract/mod.rs"]
mod contract;

#[path = "door/bench.rs"]
mod bench;
#[path = "door/client.rs"]
mod client;

#[path = "faults/birth.rs"]
mod birth;
#[path = "faults/login.rs"]
mod login;
#[path = "faults/signing.rs"]
mod signing;

use bench::{Wanted, raise};
use softhsm_tests::Appliance;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An appliance whose token does what a script says.
pub(crate) struct Faulty {
    pub(crate) appliance: Appliance,
    script: PathBuf,
    _dir: tempfile::TempDir,
}

impl Faulty {
    /// With deadlines that tests can wait for.
    pub(crate) fn raise(psds: u32) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let script = dir.path().join("script");
        let faulty = |wanted: Wanted<'_>| Self { appliance: raise(wanted), script: script.clone(), _dir: dir };
        std::fs::write(&script, "").expect("a script");
        let mut options = softhsm_tests::options();
        options.module = Some(faulty_pkcs11::built_module().expect("the faulty module is built beside this test"));
        let real = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
        let real = real.into_iter().find(|path| Path::new(path).exists()).expect("SoftHSM: install softhsm2");
        options.worker_environment = BTreeMap::from([
            ("FAULTY_PKCS11_REAL".to_owned(), real.to_owned()),
            ("FAULTY_PKCS11_SCRIPT".to_owned(), script.display().to_string()),
        ]);
        options.hsm_extra = "deadlines = { sign_ms = 1000 }\n".to_owned();
        options.psdd_extra = "sign_deadline_ms = 3000\n".to_owned();
        let end = "[ledger]\ncheckpoint_every_ms = 500\ncheckpoint_bound_ms = 1500\n[signing]\nchunk_items = 64\n";
        faulty(Wanted { psds, value: "10000.00", end, options, ..Wanted::default() })
    }

    /// From now on, or from the next look of the module at the file, some milliseconds later.
    pub(crate) fn script(&self, text: &str) {
        let new = self.script.with_extension("new");
        std::fs::write(&new, text).expect("a script");
        std::fs::rename(&new, &self.script).expect("a script");
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

//! A token that does what a script says (softhsm-tests/faulty-pkcs11).

use psdctl::dev::DevOptions;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The script of one token.
pub(crate) struct Script {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Script {
    /// An empty one: the token is SoftHSM as it is.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("script");
        std::fs::write(&path, "").expect("a script");
        Self { path, _dir: dir }
    }

    /// Options of an appliance with this token.
    pub(crate) fn options(&self) -> DevOptions {
        let mut options = softhsm_tests::options();
        options.module = Some(faulty_pkcs11::built_module().expect("the faulty module is built beside this test"));
        let real = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
        let real = real.into_iter().find(|path| Path::new(path).exists()).expect("SoftHSM: install softhsm2");
        options.worker_environment = BTreeMap::from([
            ("FAULTY_PKCS11_REAL".to_owned(), real.to_owned()),
            ("FAULTY_PKCS11_SCRIPT".to_owned(), self.path.display().to_string()),
        ]);
        options
    }

    /// What the token does from the next look of the module at the file on, some milliseconds later.
    pub(crate) fn write(&self, text: &str) {
        let new = self.path.with_extension("new");
        std::fs::write(&new, text).expect("a script");
        std::fs::rename(&new, &self.path).expect("a script");
    }
}

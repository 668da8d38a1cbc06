//! Runs the independent checker (Python, written from docs/ledger.md alone) and reads its verdict.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the checker says of a ledger.
#[derive(Deserialize, Clone, Debug, Default)]
pub struct Verdict {
    /// Records read.
    #[serde(default)]
    pub records: u64,
    /// Indicia among them.
    #[serde(default)]
    pub indicia: u64,
    /// Indicium signatures verified.
    #[serde(default)]
    pub signatures: u64,
    /// Notes of clients compared.
    #[serde(default)]
    pub notes: u64,
    /// How long it took.
    #[serde(default)]
    pub seconds: f64,
    /// What does not hold.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Why the ledger cannot be judged at all.
    #[serde(default)]
    pub unusable: Option<String>,
}

/// One thing that does not hold.
#[derive(Deserialize, Clone, Debug)]
pub struct Finding {
    /// Stable code.
    pub code: String,
    /// How often.
    pub count: u64,
    /// Place, code and words.
    pub line: String,
}

impl Verdict {
    /// Panics unless everything holds.
    pub fn assert_clean(&self, when: &str) {
        assert!(self.unusable.is_none(), "{when}: the ledger cannot be judged: {self:?}");
        let lines: Vec<&str> = self.findings.iter().map(|finding| finding.line.as_str()).collect();
        assert!(lines.is_empty(), "{when}: {} findings:\n{}", lines.len(), lines.join("\n"));
    }

    /// How often a finding of this code was made.
    pub fn count(&self, code: &str) -> u64 {
        self.findings.iter().filter(|finding| finding.code == code).map(|finding| finding.count).sum()
    }
}

/// Judges a ledger whose daemon does not run. `sample_signatures` limits how many indicium signatures are verified.
pub fn check(state: &Path, notes: &[&Path], sample_signatures: Option<u32>) -> Verdict {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"));
    let python = match std::env::var_os("PSDD_PYTHON") {
        Some(named) => PathBuf::from(named),
        None => workspace.join("target/venv/bin/python"),
    };
    assert!(
        python.is_file(),
        "no Python for the checker at {}: run `make venv`, or name one with its packages in PSDD_PYTHON",
        python.display()
    );
    let mut command = Command::new(&python);
    command.current_dir(workspace.join("softhsm-tests/python")).args(["-m", "psdd_checker", "--json"]).arg(state);
    notes.iter().for_each(|notes| {
        command.arg("--notes").arg(notes);
    });
    if let Some(sample) = sample_signatures {
        command.arg("--sample-signatures").arg(sample.to_string());
    }
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("the checker ended with {}: {error}\n{}", output.status, String::from_utf8_lossy(&output.stderr))
    })
}

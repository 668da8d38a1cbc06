//! An appliance that many tests of a binary share, and the two that a test may want besides.
#![allow(dead_code, reason = "each test binary uses its part")]

use psd::{PostageAmount, PsdId};
use psdctl::dev::{self, DevOptions, Layout};
use softhsm_tests::Appliance;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Everything a table needs and `psdctl dev` does not make.
pub struct Wanted<'a> {
    /// PSDs of tenant `acme`, PS010000001 and on.
    pub psds: u32,
    /// Value of each of them.
    pub value: &'a str,
    /// Lines after `[vendor]` of psdd.toml.
    pub vendor: &'a str,
    /// Lines for the end of psdd.toml.
    pub end: &'a str,
    /// `vendor.cedar` and `authority.cedar`, in place of the shipped ones.
    pub policy: Option<(&'a str, &'a str)>,
    /// More PSDs, as a plan.
    pub plan: Option<&'a str>,
    /// PSDs of a plan whose certificates nobody issues.
    pub inactive: Option<&'a str>,
    /// What else differs from the defaults.
    pub options: DevOptions,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        let options = softhsm_tests::options();
        Self { psds: 1, value: "1000.00", vendor: "", end: "", policy: None, plan: None, inactive: None, options }
    }
}

/// A plan of PSDs like those of `psdctl dev`.
pub fn plan(first: &str, count: u32, tenant: &str, largest_postage: &str, largest_descending: &str) -> String {
    format!(
        "[[psds]]\nfirst = \"{first}\"\ncount = {count}\ntenant = \"{tenant}\"\nlicence = \"L-{tenant}\"\n\
         licensing_zip = \"94301\"\nformat = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n[psds.limits]\n\
         smallest_postage = \"0.10\"\nlargest_postage = \"{largest_postage}\"\nlargest_descending = \"{largest_descending}\"\n"
    )
}

/// Gives birth to an appliance and starts it. Not from inside a runtime.
pub fn raise(wanted: Wanted<'_>) -> Appliance {
    let mut appliance = born(&wanted);
    appliance.start_hsm().expect("psdd-hsm");
    appliance.start().expect("psdd");
    for serial in 1..=wanted.psds {
        load(&appliance.layout, psd(serial), wanted.value);
    }
    appliance
}

/// The same, with nothing running and no value loaded.
pub fn born(wanted: &Wanted<'_>) -> Appliance {
    let options = DevOptions { psds: wanted.psds, ..wanted.options.clone() };
    let mut appliance = Appliance::unborn(options);
    let layout = appliance.layout.clone();
    dev::birth(&layout, &appliance.options).expect("a birth");
    let config = layout.psdd_config();
    let text = std::fs::read_to_string(&config).expect("psdd.toml");
    let top = if wanted.policy.is_some() { "policy_dir = \"policy\"\n\n" } else { "" };
    if let Some((vendor, authority)) = wanted.policy {
        std::fs::create_dir(layout.dir().join("policy")).expect("a directory for policies");
        set_policy(&layout, vendor, authority);
    }
    let text = text.replacen("[vendor]\n", &format!("{top}[vendor]\n{}\n", wanted.vendor), 1);
    std::fs::write(&config, format!("{text}\n{}\n", wanted.end)).expect("psdd.toml");
    if wanted.plan.is_some() || wanted.inactive.is_some() {
        appliance.start_hsm().expect("psdd-hsm");
        if let Some(plan) = wanted.plan {
            create(&appliance, plan);
            dev::issue_psd_certificates(&layout).expect("certificates");
            let exchange = layout.exchange();
            psdd(&appliance, &["birth-certificates", "--config", path(&config), "--certificates", path(&exchange)]);
        }
        if let Some(plan) = wanted.inactive {
            create(&appliance, plan);
        }
        appliance.kill_hsm();
    }
    appliance
}

/// Replaces the policies; SIGHUP puts them in force.
pub fn set_policy(layout: &Layout, vendor: &str, authority: &str) {
    for (name, text) in [("vendor.cedar", vendor), ("authority.cedar", authority)] {
        std::fs::write(layout.dir().join("policy").join(name), text).expect("a policy");
    }
}

fn create(appliance: &Appliance, plan: &str) {
    let layout = &appliance.layout;
    let file = appliance.around().join("more-psds.toml");
    std::fs::write(&file, plan).expect("a plan");
    let (config, exchange) = (layout.psdd_config(), layout.exchange());
    psdd(appliance, &["birth-psds", "--config", path(&config), "--plan", path(&file), "--requests", path(&exchange)]);
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of plain characters")
}

fn psdd(appliance: &Appliance, arguments: &[&str]) {
    let output = Command::new(&appliance.options.tools.psdd).args(arguments).output().expect("psdd runs");
    assert!(output.status.success(), "psdd {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The nth PSD of `psdctl dev`.
pub fn psd(serial: u32) -> PsdId {
    PsdId::new(*b"PS", *b"01", serial).expect("a PSD")
}

pub fn amount(text: &str) -> PostageAmount {
    text.parse().expect("an amount")
}

/// Loads value. Not from inside a runtime.
pub fn load(layout: &Layout, psd: PsdId, value: &str) {
    dev::load_value(layout, psd, amount(value)).unwrap_or_else(|error| panic!("loading value: {error}"));
}

/// Gives every test a PSD of its own, so that tests can run side by side.
pub struct Psds(AtomicU32);

impl Psds {
    pub const fn new() -> Self {
        Self(AtomicU32::new(1))
    }

    pub fn take(&self, appliance: &Appliance) -> PsdId {
        let serial = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(serial <= appliance.options.psds, "more tests than PSDs: raise the number in the set-up");
        psd(serial)
    }
}

/// Ends an appliance that nothing drops, because it is static, when this process ends, however it does.
///
/// The shell waits for the end of its input, which is this process's to hold open.
pub fn end_with_this_process(appliance: &Appliance) -> Child {
    let around: PathBuf = appliance.around();
    assert!(around.components().count() > 2, "{} is not a test's directory", around.display());
    let script = "cat >/dev/null; for file in \"$1\"/a/run/*.pid; do kill -9 \"$(cat \"$file\")\"; done; \
                  [ -n \"$PSDD_KEEP\" ] || rm -rf \"$1\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh"]).arg(around).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C must end the tests, not this.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().expect("/bin/sh")
}

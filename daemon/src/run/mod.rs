//! From a configuration to a serving daemon, and to a clean stop.
//!
//! The order matters: nothing is served until what was read from the ledger is durable and proven, every token holds every key,
//! no anchor is ahead of the ledger, and this daemon has raised its fence. Until then the operator door takes shares of sealed PINs only.

mod authority;
mod entrance;
mod error;
mod fit;
mod notify;
mod serve;
mod start;
mod tls;

pub use error::RunError;
pub(crate) use fit::verify_note;

use crate::certify::{Desk, LoadError};
use crate::config::Config;
use entrance::{Entrance, Signals};
use error::io;
use psd::UnixMillis;
use psd::policy::AuthorityPolicy;
use psdd_policy::{InstructedPolicy, PolicySet};
use psdd_tls::UnixTime;
use serve::serve;
use start::{open, start};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tls::read_tls;

/// Serves until SIGTERM or SIGINT.
pub fn run(config: &Config) -> Result<(), RunError> {
    // With pages of 2 MiB, a few scattered allocations hold more memory than the whole daemon needs.
    rustix::thread::disable_transparent_huge_pages(true).map_err(|error| io("keeping pages small")(error.into()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |cores| cores.get().div_ceil(2).max(2)))
        .enable_all()
        .build()
        .map_err(io("starting the runtime"))?;
    let opened = open(config)?;
    let (tls, tokens) = (&opened.tls, &opened.tokens);
    let mut signals = runtime.block_on(async { Signals::watch() })?;
    let entrance = runtime.block_on(Entrance::open(config, tls, tokens))?;
    let Some(welcomes) = runtime.block_on(entrance.wait(config, tls, tokens, &mut signals))? else {
        tracing::info!("told to stop before the tokens were up");
        return Ok(());
    };
    let started = start(config, opened, &welcomes)?;
    let served = runtime.block_on(serve(config, &started, entrance, &mut signals));
    started.stop.store(true, Ordering::Release);
    started.spine.stop(Duration::from_secs(10));
    served
}

fn load_policies(config: &Config) -> Result<PolicySet, RunError> {
    let loaded = match &config.policy_dir {
        Some(dir) => PolicySet::load(dir).map_err(|error| error.to_string()),
        None => PolicySet::shipped().map_err(|error| error.to_string()),
    };
    loaded.map_err(RunError::Policy)
}

/// Rate tables and scales, where the configuration names some; the authority's root (DER) says which tables count.
fn load_desk(config: &Config, root: &[u8]) -> Result<Option<Arc<Desk>>, LoadError> {
    let now = UnixMillis(UnixTime::now().as_secs().saturating_mul(1_000));
    let loaded = config.certification.as_ref().map(|config| Desk::load(config, root, now)).transpose()?;
    Ok(loaded.map(Arc::new))
}

/// What the authority instructed as its own policy, which a version of the program with another schema may not understand.
fn instructed_policy(policy: &AuthorityPolicy) -> Result<InstructedPolicy, RunError> {
    InstructedPolicy::read(&policy.text).map_err(|findings| {
        RunError::Policy(format!(
            "version {} of the authority's policy, which it instructed, cannot be in force under this psdd; run the one before, until the \
             authority has instructed another: {findings}",
            policy.version
        ))
    })
}

/// Everything `check-config` can check without a ledger and without tokens.
pub fn check(config: &Config) -> Result<(), RunError> {
    load_policies(config)?;
    read_tls(config)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::policy::PolicyText;

    #[test]
    fn an_instructed_policy_that_is_not_understood_keeps_the_daemon_from_starting() {
        let policy = |text| AuthorityPolicy { version: 7, text: PolicyText::new(text).unwrap() };
        let forbid = r#"@id("f") forbid (principal, action, resource);"#;
        assert!(instructed_policy(&policy(forbid)).is_ok() && instructed_policy(&AuthorityPolicy::default()).is_ok());
        let unknown = forbid.replace("action,", "action == Action::\"fly\",");
        let told = instructed_policy(&policy(&unknown)).unwrap_err();
        assert_eq!(told.exit_code(), 78);
        let told = told.to_string();
        assert!(told.starts_with("policy: version 7 of the authority's policy, which it instructed, cannot"), "{told}");
        assert!(told.contains("instruction:1:") && told.contains("unrecognized action"), "{told}");
    }
}

//! One look at an appliance: the mirror brought up to date, the fold advanced, every PSD audited, and all of it judged.

use super::InspectError;
use super::config::InspectorConfig;
use super::source::Door;
use crate::error::CtlError;
use crate::progress;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use psd::{PsdId, UnixMillis};
use psdd_inspector::audit::{Audit, Held, Watch, judge};
use psdd_inspector::{FleetView, Fold, Mirror, Rules, Trust, UpdateError};
use psdd_wire::message::ScaleView;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The log covers what is committed within a second; after this it is told that it does not.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);
/// Records from which on a person is shown that something goes on.
const LONG: u64 = 20_000;

/// Where the evidence is kept and what is believed at its first use.
pub(super) struct First<'a> {
    pub(super) mirror: Option<&'a Path>,
    pub(super) log_key: Option<&'a Path>,
    pub(super) development: bool,
}

/// A mirror with its fold, and the way to the appliance.
pub(super) struct Inspection {
    door: Door,
    pub(super) mirror: Mirror,
    pub(super) fold: Fold,
    // Dropped last: the door's connections live in it.
    runtime: Runtime,
}

/// What one look gave.
pub(super) struct Look {
    pub(super) view: FleetView,
    pub(super) audit: Audit,
    pub(super) held: BTreeMap<PsdId, Held>,
    /// Bytes of the log that were moved.
    pub(super) bytes: u64,
    /// Records that were new.
    pub(super) records: u64,
}

impl Inspection {
    /// Opens the mirror, or makes it and pins what it is of.
    pub(super) fn begin(config: &InspectorConfig, first: &First<'_>) -> Result<Self, InspectError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(CtlError::Runtime)?;
        let client = {
            let _inside = runtime.enter();
            config.client()?
        };
        let mut door = Door { client, runtime: runtime.handle().clone() };
        let directory = first.mirror.unwrap_or(&config.mirror);
        let mut mirror = match Mirror::open(directory) {
            Ok(mirror) => mirror,
            Err(UpdateError::NotPinned { .. } | UpdateError::Disk(_)) if !directory.join("pin").exists() => {
                let trust = trust(config, first, &door)?;
                Mirror::create(directory, &trust, &mut door)?
            }
            Err(error) => return Err(error.into()),
        };
        let fold = Fold::open(&mut mirror)?;
        Ok(Self { door, mirror, fold, runtime })
    }

    /// Looks once, with a fresh challenge.
    pub(super) fn look(&mut self, psds: Option<&[PsdId]>, rules: &Rules) -> Result<Look, InspectError> {
        let (mut records, mut bytes) = self.follow(&mut Watch::default())?;
        let mut watch = Watch::begin(&self.fold);
        let mut challenge = [0; 32];
        SystemRandom::new().fill(&mut challenge).ok().ok_or(InspectError::Random)?;
        let asked = now()?;
        let told = self.runtime.block_on(self.door.client.audit(psds, &challenge))?;
        let audit = Audit::new(&challenge, (asked.0, now()?.0), psds, told);
        watch.expect(&audit, &self.fold);
        let begun = Instant::now();
        while !watch.is_complete() && begun.elapsed() < PATIENCE {
            std::thread::sleep(PAUSE);
            let (new, moved) = self.follow(&mut watch)?;
            (records, bytes) = (records + new, bytes + moved);
        }
        for note in audit.checkpoints() {
            match self.mirror.witness(&note) {
                // A checkpoint that the log key did not sign makes its report invalid, and is told there.
                Ok(_) | Err(UpdateError::Checkpoint(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let held = watch.into_held();
        let (answers, findings) = judge(&audit, &held, self.mirror.pin(), rules);
        let view = self.fold.view(&self.mirror, rules, UnixMillis(audit.answered_ms)).ok_or(InspectError::Empty)?;
        Ok(Look { view: view.audited(answers, findings), audit, held, bytes, records })
    }

    /// Scales and rate tables as the log has them, and what the appliance tells of scales.
    pub(super) fn certifying(&mut self, rules: &Rules) -> Result<(FleetView, Vec<ScaleView>), InspectError> {
        let told = self.runtime.block_on(self.door.client.scales())?;
        let newest = told.iter().map(|scale| scale.leaf).max().unwrap_or(0);
        let begun = Instant::now();
        // The log covers what is committed within a second.
        loop {
            self.follow(&mut Watch::default())?;
            if newest < self.mirror.size() || begun.elapsed() > PATIENCE {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        let view = self.fold.view(&self.mirror, rules, now()?).ok_or(InspectError::Empty)?;
        Ok((view, told))
    }

    /// Takes in what is new. Gives records and bytes.
    fn follow(&mut self, watch: &mut Watch) -> Result<(u64, u64), InspectError> {
        let update = self.mirror.update(&mut self.door)?;
        let missing = self.mirror.size().saturating_sub(self.fold.size());
        let begin = self.fold.size();
        let bar = (missing > LONG).then(|| progress::bar(usize::try_from(missing).unwrap_or(usize::MAX), "records"));
        let mut tell = |size: u64| {
            if let Some(bar) = &bar {
                bar.set_position(size.saturating_sub(begin));
            }
        };
        let records = self.fold.advance_watching(&mut self.mirror, watch, &mut tell)?;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        Ok((records, update.bytes))
    }
}

/// What is believed at the first use.
fn trust(config: &InspectorConfig, first: &First<'_>, door: &Door) -> Result<Trust, InspectError> {
    let root = read_root(config.authority_root.as_deref().ok_or(InspectError::NoRoot)?)?;
    let Some(log_key) = first.log_key else {
        return Ok(Trust::Authority { root, development: first.development || config.door.development });
    };
    let spki = read_key(log_key)?;
    // The name is bound by the key: a checkpoint that the key signed has it in its first line.
    let told = door.runtime.block_on(door.client.appliance())?;
    let appliance = told.appliance.parse().ok().ok_or(InspectError::Name(told.appliance))?;
    Ok(Trust::LogKey { appliance, spki, authority_root: root })
}

pub(super) fn read_root(path: &Path) -> Result<Vec<u8>, InspectError> {
    let root = CertificateDer::from_pem_file(path);
    Ok(root.map_err(|source| InspectError::Root { path: path.to_owned(), source })?.to_vec())
}

pub(super) fn read_key(path: &Path) -> Result<Vec<u8>, InspectError> {
    let spki = SubjectPublicKeyInfoDer::from_pem_file(path);
    Ok(spki.map_err(|source| InspectError::Key { path: PathBuf::from(path), source })?.to_vec())
}

fn now() -> Result<UnixMillis, InspectError> {
    psdd_authority::serve::now()
        .map_err(|error| InspectError::Ctl(Box::new(crate::authority::AuthorityError::from(error).into())))
}

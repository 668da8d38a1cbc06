//! TLS of the doors: read together, put in force together.

use super::error::RunError;
use crate::config::{Config, DoorConfig};
use crate::door::tls::DoorTls;
use psdd_tls::ServerTls;
use std::sync::Arc;

/// What the TLS files of the doors make, as they are on the disk.
pub(super) struct ReadTls {
    vendor: ServerTls,
    operator: Option<ServerTls>,
}

/// TLS of the doors in force.
pub(super) struct DoorsTls {
    pub(super) vendor: Arc<DoorTls>,
    pub(super) operator: Option<Arc<DoorTls>>,
}

impl From<ReadTls> for DoorsTls {
    fn from(read: ReadTls) -> Self {
        let in_force = |tls| Arc::new(DoorTls::new(tls));
        Self { vendor: in_force(read.vendor), operator: read.operator.map(in_force) }
    }
}

impl DoorsTls {
    pub(super) fn replace(&self, read: ReadTls) {
        self.vendor.replace(read.vendor);
        if let (Some(door), Some(tls)) = (&self.operator, read.operator) {
            door.replace(tls);
        }
    }

    pub(super) fn named(&self) -> Vec<(&'static str, Arc<DoorTls>)> {
        let operator = self.operator.iter().map(|tls| ("operator", Arc::clone(tls)));
        [("vendor", Arc::clone(&self.vendor))].into_iter().chain(operator).collect()
    }
}

/// All doors or none: half a reload would be neither the old nor the new.
pub(super) fn read_tls(config: &Config) -> Result<ReadTls, RunError> {
    let read =
        |door, config: &DoorConfig| ServerTls::read(&config.tls()).map_err(|source| RunError::Tls { door, source });
    let vendor = read("vendor", &config.vendor)?;
    let Some(door) = &config.operator else { return Ok(ReadTls { vendor, operator: None }) };
    let operator = read("operator", door)?;
    if operator.shares_a_client_ca_with(&vendor) {
        let (operator, vendor) = (door.client_ca.clone(), config.vendor.client_ca.clone());
        return Err(RunError::SharedCa { operator, vendor });
    }
    Ok(ReadTls { vendor, operator: Some(operator) })
}

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
    authority: Option<ServerTls>,
}

/// TLS of the doors in force.
pub(super) struct DoorsTls {
    pub(super) vendor: Arc<DoorTls>,
    pub(super) operator: Option<Arc<DoorTls>>,
    pub(super) authority: Option<Arc<DoorTls>>,
}

impl From<ReadTls> for DoorsTls {
    fn from(read: ReadTls) -> Self {
        let in_force = |tls| Arc::new(DoorTls::new(tls));
        let (operator, authority) = (read.operator.map(in_force), read.authority.map(in_force));
        Self { vendor: in_force(read.vendor), operator, authority }
    }
}

impl DoorsTls {
    /// Reads the files anew; what is in force stays where they are not right.
    /// Whether it was read and is in force.
    pub(super) fn reload(&self, config: &Config) -> bool {
        match read_tls(config) {
            Ok(read) => {
                self.replace(read);
                true
            }
            Err(error) => {
                tracing::error!(%error, "TLS is not reloaded; the old configuration stays in force");
                false
            }
        }
    }

    fn replace(&self, read: ReadTls) {
        self.vendor.replace(read.vendor);
        for (door, tls) in [(&self.operator, read.operator), (&self.authority, read.authority)] {
            if let (Some(door), Some(tls)) = (door, tls) {
                door.replace(tls);
            }
        }
    }

    pub(super) fn named(&self) -> Vec<(&'static str, Arc<DoorTls>)> {
        let operator = self.operator.iter().map(|tls| ("operator", Arc::clone(tls)));
        let authority = self.authority.iter().map(|tls| ("authority", Arc::clone(tls)));
        [("vendor", Arc::clone(&self.vendor))].into_iter().chain(operator).chain(authority).collect()
    }
}

/// All doors or none: half a reload would be neither the old nor the new.
pub(super) fn read_tls(config: &Config) -> Result<ReadTls, RunError> {
    let read =
        |door, config: &DoorConfig| ServerTls::read(&config.tls()).map_err(|source| RunError::Tls { door, source });
    let vendor = read("vendor", &config.vendor)?;
    let operator = config.operator.as_ref().map(|door| read("operator", door)).transpose()?;
    let authority = config.authority.as_ref().map(|door| read("authority", door)).transpose()?;
    let all = [Some(&vendor), operator.as_ref(), authority.as_ref()].into_iter().flatten();
    let doors: Vec<_> = config.doors().into_iter().zip(all).collect();
    for (index, ((door, files), tls)) in doors.iter().enumerate() {
        if let Some(((other, shared), _)) = doors[..index].iter().find(|(_, other)| tls.shares_a_client_ca_with(other))
        {
            let (ca, other_ca) = (files.client_ca.clone(), shared.client_ca.clone());
            return Err(RunError::SharedCa { door, ca, other, other_ca });
        }
    }
    Ok(ReadTls { vendor, operator, authority })
}

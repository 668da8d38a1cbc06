//! Connections by tenant: nobody takes all of the door.

use crate::door::failure::{Failure, SOON_MS};
use psd::TenantName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections each tenant has.
pub struct TenantPlaces {
    most: usize,
    taken: Mutex<HashMap<TenantName, usize>>,
}

/// One connection of a tenant; it counts until it is dropped.
pub(super) struct TenantPlace {
    places: Arc<TenantPlaces>,
    tenant: TenantName,
}

impl TenantPlaces {
    /// At most so many each.
    pub fn new(most: usize) -> Self {
        Self { most, taken: Mutex::new(HashMap::new()) }
    }

    /// A place, or `overloaded` where the tenant has as many as it may have.
    pub(super) fn take(self: &Arc<Self>, tenant: &TenantName) -> Result<TenantPlace, Failure> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(tenant).copied().unwrap_or(0);
        if count >= self.most {
            let detail = format!(
                "{tenant} has {count} connections open, as many as vendor.max_connections_per_tenant allows; use those, or close some"
            );
            return Err(Failure::passing("overloaded", detail, SOON_MS));
        }
        taken.insert(tenant.clone(), count + 1);
        Ok(TenantPlace { places: Arc::clone(self), tenant: tenant.clone() })
    }
}

impl Drop for TenantPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.tenant) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_its_places_and_no_more() {
        let places = Arc::new(TenantPlaces::new(2));
        let (acme, rival): (TenantName, TenantName) = ("acme".parse().unwrap(), "rival".parse().unwrap());
        let first = places.take(&acme).ok().unwrap();
        let second = places.take(&acme).ok().unwrap();
        let refused = places.take(&acme).err().unwrap();
        assert_eq!((refused.status.as_u16(), refused.problem.facts.code.as_str()), (503, "overloaded"));
        drop(places.take(&rival).ok().unwrap());
        drop(first);
        let third = places.take(&acme).ok().unwrap();
        assert!(places.take(&acme).is_err());
        drop((second, third));
        assert!(places.taken.lock().unwrap().is_empty(), "nothing is kept of who is gone");
    }
}

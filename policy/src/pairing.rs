//! Clients and PSDs in Cedar's terms, built ahead of the requests that name them.
//!
//! Owns the mapping from our names to entity UIDs and attributes; `psdd.cedarschema` is the other half of it, and a
//! test holds them together. A [`Subject`] lives as long as a connection, a [`Resource`], of some 5 KB, as long as it takes to
//! pair it. A [`Pairing`] of both costs more than the decision itself, so a connection keeps those it uses, within a bound of
//! its own choosing, and one for all PSDs that its policies cannot tell apart.

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use psd::{ApplianceId, LicenceNumber, PsdId, TenantName};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// A client of the vendor door.
#[derive(Debug, Clone)]
pub struct Subject {
    client: Entity,
}

impl Subject {
    /// The client with this name in this tenant: `Client::"tenant/name"`.
    ///
    /// Tenant names hold no `/`, so no two clients share a UID whatever is in the name.
    pub fn new(tenant: &TenantName, name: &str) -> Self {
        let uid = uid(&KINDS.client, &format!("{tenant}/{name}"));
        let attributes = [("name", RestrictedExpression::new_string(name.to_owned()))];
        Self { client: entity(uid, attributes, [uid_of_tenant(tenant)]) }
    }
}

/// All that policies may know of a PSD but its name: among PSDs that agree in it, they tell only those apart that they name
/// ([`crate::PolicySet::named_psds`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PsdAttributes {
    tenant: TenantName,
    licence: LicenceNumber,
    manufacturer: [u8; 2],
    model: [u8; 2],
}

impl PsdAttributes {
    /// Those of this PSD.
    pub fn of(psd: PsdId, licence: &LicenceNumber, tenant: &TenantName) -> Self {
        let (tenant, licence) = (tenant.clone(), licence.clone());
        Self { tenant, licence, manufacturer: psd.manufacturer(), model: psd.model() }
    }
}

/// A PSD with its licence and tenant.
#[derive(Debug, Clone)]
pub struct Resource {
    psd: Entity,
    licence: Entity,
}

impl Resource {
    /// The PSD under this licence, which is this tenant's.
    pub fn new(psd: PsdId, licence: &LicenceNumber, tenant: &TenantName) -> Self {
        // Whatever else a policy shall see of a PSD belongs to its attributes first: licences are sorted by them.
        let PsdAttributes { tenant, licence, manufacturer, model } = PsdAttributes::of(psd, licence, tenant);
        let tenant = uid_of_tenant(&tenant);
        let licence = uid(&KINDS.licence, licence.as_str());
        let text =
            |characters: [u8; 2]| RestrictedExpression::new_string(characters.into_iter().map(char::from).collect());
        let attributes = [
            ("tenant", RestrictedExpression::new_entity_uid(tenant.clone())),
            ("licence", RestrictedExpression::new_entity_uid(licence.clone())),
            ("manufacturer", text(manufacturer)),
            ("model", text(model)),
        ];
        let of_licence = [("tenant", RestrictedExpression::new_entity_uid(tenant))];
        Self {
            psd: entity(uid(&KINDS.psd, &psd.to_string()), attributes, [licence.clone()]),
            licence: entity(licence, of_licence, []),
        }
    }
}

/// A client and a PSD, ready to be judged.
#[derive(Debug, Clone)]
pub struct Pairing(pub(crate) Known);

impl Pairing {
    /// This client and this PSD.
    pub fn new(subject: &Subject, resource: &Resource) -> Self {
        Self(Known {
            principal: subject.client.uid(),
            resource: resource.psd.uid(),
            entities: store([subject.client.clone(), resource.psd.clone(), resource.licence.clone()]),
        })
    }
}

/// A client and the appliance as a whole, ready to be judged.
#[derive(Debug, Clone)]
pub struct AppliancePairing(pub(crate) Known);

impl AppliancePairing {
    /// This client and this appliance.
    pub fn new(subject: &Subject, appliance: &ApplianceId) -> Self {
        let resource = uid(&KINDS.appliance, appliance.as_str());
        Self(Known {
            principal: subject.client.uid(),
            entities: store([subject.client.clone(), entity(resource.clone(), [], [])]),
            resource,
        })
    }
}

/// The two sides of a request and all that policies may know about them.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) principal: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) entities: Entities,
}

struct Kinds {
    tenant: EntityTypeName,
    client: EntityTypeName,
    licence: EntityTypeName,
    psd: EntityTypeName,
    appliance: EntityTypeName,
}

static KINDS: LazyLock<Kinds> = LazyLock::new(|| {
    let kind = |name: &str| name.parse().expect("a plain word is the name of an entity type");
    Kinds {
        tenant: kind("Tenant"),
        client: kind("Client"),
        licence: kind("Licence"),
        psd: kind("Psd"),
        appliance: kind("Appliance"),
    }
});

/// The PSD that a UID names, if it is one's.
pub(crate) fn psd_of(uid: &EntityUid) -> Option<PsdId> {
    (*uid.type_name() == KINDS.psd).then(|| uid.id().unescaped().parse().ok()).flatten()
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn uid_of_tenant(tenant: &TenantName) -> EntityUid {
    uid(&KINDS.tenant, tenant.as_str())
}

fn entity<const A: usize, const P: usize>(
    uid: EntityUid,
    attributes: [(&str, RestrictedExpression); A],
    parents: [EntityUid; P],
) -> Entity {
    let attributes: HashMap<_, _> = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Entity::new(uid, attributes, HashSet::from(parents)).expect("text and entity UIDs evaluate to themselves")
}

fn store<const N: usize>(entities: [Entity; N]) -> Entities {
    Entities::from_entities(entities, None).expect("entities of different kinds are different and have no cycle")
}

//! The plan file of new PSDs: TOML, reviewed before anything is made.

use psd::device::Identity;
use psd::indicium::{LicensingZip, format_named};
use psd::limits::Limits;
use psd::{LicenceNumber, PostageAmount, PsdId, TenantName};
use serde::Deserialize;

/// New PSDs in groups.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The groups.
    #[serde(rename = "psds")]
    pub groups: Vec<PlannedPsds>,
}

/// PSDs with consecutive serial numbers and all else in common.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct PlannedPsds {
    /// Device ID of the first.
    pub first: String,
    /// How many.
    pub count: u32,
    /// Whose they are.
    pub tenant: String,
    /// Licence number.
    pub licence: String,
    /// ZIP of the licence.
    pub licensing_zip: String,
    /// Indicium layout.
    pub format: String,
    /// Software ID in the marks: six characters.
    pub software_id: String,
    /// Token of the keys, by its name in the configuration.
    pub token: String,
    /// Limits on value.
    pub limits: PlannedLimits,
}

/// Limits as decimal text.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct PlannedLimits {
    /// Smallest postage of one piece.
    pub smallest_postage: String,
    /// Largest postage of one piece.
    pub largest_postage: String,
    /// Largest descending register.
    pub largest_descending: String,
    /// Smallest value of one download; the smallest postage where absent.
    pub smallest_refill: Option<String>,
    /// Largest value of one download; the largest descending register where absent.
    pub largest_refill: Option<String>,
}

/// A group that was checked.
pub(super) struct Group {
    pub(super) psds: Vec<PsdId>,
    pub(super) tenant: TenantName,
    pub(super) licence: LicenceNumber,
    pub(super) licensing_zip: LicensingZip,
    pub(super) format: &'static str,
    pub(super) software_id: [u8; 6],
    pub(super) token: String,
    pub(super) limits: Limits,
}

/// A field of the plan is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("group {group}, {field}: {problem}")]
pub struct PlanError {
    /// From 1.
    pub group: usize,
    /// The field.
    pub field: &'static str,
    /// What is wrong.
    pub problem: String,
}

impl Group {
    /// Whether a PSD is what this group says.
    pub(super) fn describes(&self, identity: &Identity) -> bool {
        let Identity { psd: _, tenant, licence, licensing_zip, format, software_id, limits } = identity;
        (tenant, licence, licensing_zip) == (&self.tenant, &self.licence, &self.licensing_zip)
            && (format.name(), software_id, limits) == (self.format, &self.software_id, &self.limits)
    }
}

impl PlannedPsds {
    pub(super) fn check(&self, group: usize) -> Result<Group, PlanError> {
        let wrong = |field: &'static str, problem: String| PlanError { group, field, problem };
        let amount = |field: &'static str, text: &str| {
            text.parse::<PostageAmount>().map_err(|error| wrong(field, error.to_string()))
        };
        let first: PsdId = self.first.parse().map_err(|error: psd::id::NameError| wrong("first", error.to_string()))?;
        if !(1..=100_000).contains(&self.count) {
            return Err(wrong("count", "1 to 100000".to_owned()));
        }
        let nth = |n| PsdId::new(first.manufacturer(), first.model(), first.serial().checked_add(n)?);
        let psds: Option<Vec<PsdId>> = (0..self.count).map(nth).collect();
        let planned = &self.limits;
        let or = |given: &Option<String>, other: &String| given.as_ref().unwrap_or(other).clone();
        let limits = Limits {
            smallest_postage: amount("limits.smallest_postage", &planned.smallest_postage)?,
            largest_postage: amount("limits.largest_postage", &planned.largest_postage)?,
            largest_descending: amount("limits.largest_descending", &planned.largest_descending)?,
            smallest_refill: amount(
                "limits.smallest_refill",
                &or(&planned.smallest_refill, &planned.smallest_postage),
            )?,
            largest_refill: amount("limits.largest_refill", &or(&planned.largest_refill, &planned.largest_descending))?,
        };
        let software_id = <[u8; 6]>::try_from(self.software_id.as_bytes()).ok().filter(|id| id.is_ascii());
        let format = format_named(&self.format)
            .ok_or_else(|| wrong("format", format!("{:?} is no layout known", self.format)))?;
        Ok(Group {
            psds: psds.ok_or_else(|| wrong("count", "serial numbers end at 4294967295".to_owned()))?,
            tenant: self.tenant.parse().map_err(|error: psd::id::NameError| wrong("tenant", error.to_string()))?,
            licence: self.licence.parse().map_err(|error: psd::id::NameError| wrong("licence", error.to_string()))?,
            licensing_zip: self
                .licensing_zip
                .parse()
                .map_err(|error: psd::indicium::AddressError| wrong("licensing_zip", error.to_string()))?,
            format: format.name(),
            software_id: software_id
                .filter(|id| *id != psd::indicium::ibi::SPECIMEN)
                .ok_or_else(|| wrong("software_id", "six ASCII characters, and not those of a specimen".to_owned()))?,
            token: self.token.clone(),
            limits: limits.checked().map_err(|error| wrong("limits", error.to_string()))?,
        })
    }
}

//! Groups of new PSDs, as a ceremony file and the local console's plan file write them: TOML, reviewed before anything is made.

use super::TokenName;
use psd::device::Identity;
use psd::indicium::{AddressError, LicensingZip, ZipRange, format_named};
use psd::limits::Limits;
use psd::{Currency, LicenceNumber, PostageAmount, PsdId, TenantName};
use serde::Deserialize;

/// New PSDs in groups.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The groups.
    #[serde(rename = "psds")]
    pub groups: Vec<PlannedPsds>,
    /// Whether each PSD gets a certification key beside its others.
    #[serde(default)]
    pub certifying: bool,
    /// Whether each PSD gets the keys that make digital tokens.
    #[serde(default)]
    pub digital_tokens: bool,
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
    /// What the registers count, ISO 4217.
    #[serde(default = "dollars")]
    pub currency: String,
    /// First and last ZIP of the destinations they are meant for; all where it is absent.
    pub zips: Option<[String; 2]>,
    /// Limits on value.
    pub limits: PlannedLimits,
}

fn dollars() -> String {
    Currency::USD.to_string()
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
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// Device IDs, consecutive.
    pub psds: Vec<PsdId>,
    /// Whose they are.
    pub tenant: TenantName,
    /// Licence number.
    pub licence: LicenceNumber,
    /// ZIP of the licence.
    pub licensing_zip: LicensingZip,
    /// Name of the indicium layout.
    pub format: &'static str,
    /// Software ID in the marks.
    pub software_id: [u8; 6],
    /// Token of the keys.
    pub token: TokenName,
    /// Limits on value.
    pub limits: Limits,
    /// What the registers count.
    pub currency: Currency,
    /// First and last ZIP of the destinations they are meant for; all where it is absent.
    pub zips: Option<ZipRange>,
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
    pub fn describes(&self, identity: &Identity) -> bool {
        let Identity { psd: _, tenant, licence, licensing_zip, format, software_id, limits, currency, zips } = identity;
        (tenant, licence, licensing_zip) == (&self.tenant, &self.licence, &self.licensing_zip)
            && (format.name(), software_id, limits, currency)
                == (self.format, &self.software_id, &self.limits, &self.currency)
            && *zips == self.zips
    }
}

impl PlannedPsds {
    /// How many PSDs it asks for.
    pub(super) fn count(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// The group, if every field of it is valid. `group` counts from 1 and is for the error.
    ///
    /// # Errors
    ///
    /// With the first field that is not valid.
    pub fn check(&self, group: usize) -> Result<Group, PlanError> {
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
        let zips = self.zips.as_ref().map(|[low, high]| ZipRange::parse(low, high)).transpose();
        let software_id = <[u8; 6]>::try_from(self.software_id.as_bytes()).ok().filter(|id| id.is_ascii());
        let format = format_named(&self.format)
            .ok_or_else(|| wrong("format", format!("{:?} is no layout known", self.format)))?;
        let currency: Currency = self
            .currency
            .parse()
            .map_err(|error: psd::currency::CurrencyError| wrong("currency", error.to_string()))?;
        if !format.counts(currency) {
            return Err(wrong("currency", format!("{} marks are not of {currency}", format.name())));
        }
        Ok(Group {
            psds: psds.ok_or_else(|| wrong("count", "serial numbers end at 4294967295".to_owned()))?,
            tenant: self.tenant.parse().map_err(|error: psd::id::NameError| wrong("tenant", error.to_string()))?,
            licence: self.licence.parse().map_err(|error: psd::id::NameError| wrong("licence", error.to_string()))?,
            licensing_zip: self
                .licensing_zip
                .parse()
                .map_err(|error: AddressError| wrong("licensing_zip", error.to_string()))?,
            format: format.name(),
            software_id: software_id
                .filter(|id| *id != psd::indicium::ibi::SPECIMEN)
                .ok_or_else(|| wrong("software_id", "six ASCII characters, and not those of a specimen".to_owned()))?,
            token: self.token.parse().map_err(|error: psd::id::NameError| wrong("token", error.to_string()))?,
            limits: limits.checked().map_err(|error| wrong("limits", error.to_string()))?,
            currency,
            zips: zips.map_err(|error: AddressError| wrong("zips", error.to_string()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(lines: &str) -> Result<Group, String> {
        let text = format!(
            "[[psds]]\nfirst = \"PS010000001\"\ncount = 1\ntenant = \"acme\"\nlicence = \"L-1\"\nlicensing_zip = \"94301\"\n\
             format = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n{lines}\n[psds.limits]\nsmallest_postage = \"0.01\"\n\
             largest_postage = \"100\"\nlargest_descending = \"1000\"\n"
        );
        let plan: Plan = toml::from_str(&text).map_err(|error| error.to_string())?;
        plan.groups[0].check(1).map_err(|error| error.to_string())
    }

    #[test]
    fn a_currency_is_dollars_unless_the_plan_names_another() {
        let currency = |lines| group(lines).map(|group| group.currency.to_string());
        assert_eq!(currency(""), Ok("USD".to_owned()));
        let refused = currency("currency = \"EUR\"").unwrap_err();
        assert!(refused.ends_with("ibi marks are not of EUR"), "{refused}");
        let refused = currency("currency = \"eur\"").unwrap_err();
        assert!(refused.starts_with("group 1, currency: \"eur\" is not a currency code"), "{refused}");
    }

    fn plan(more: &str) -> Plan {
        let text = format!(
            "[[psds]]\nfirst = \"PS010000001\"\ncount = 2\ntenant = \"acme\"\nlicence = \"L-1\"\nlicensing_zip = \"94301\"\n\
             format = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n{more}\n[psds.limits]\n\
             smallest_postage = \"0.01\"\nlargest_postage = \"100\"\nlargest_descending = \"4000000\"\n"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_range_of_zips_is_two_zips_in_order() {
        let zips = |more: &str| plan(more).groups[0].check(1).map(|group| group.zips);
        assert_eq!(zips(""), Ok(None));
        assert_eq!(zips("zips = [\"00501\", \"94999\"]"), Ok(ZipRange::new(501, 94_999)));
        for more in
            ["zips = [\"94999\", \"94000\"]", "zips = [\"940\", \"94999\"]", "zips = [\"94000\", \"94999-0001\"]"]
        {
            let error = zips(more).unwrap_err();
            assert_eq!((error.group, error.field), (1, "zips"), "{more}: {error}");
        }
    }

    #[test]
    fn a_psd_with_other_zips_is_not_what_the_plan_says() {
        let group = plan("zips = [\"94000\", \"94999\"]").groups[0].check(1).unwrap();
        let identity = |zips| Identity {
            psd: group.psds[0],
            tenant: group.tenant.clone(),
            licence: group.licence.clone(),
            licensing_zip: group.licensing_zip,
            format: format_named("ibi").unwrap(),
            software_id: group.software_id,
            limits: group.limits,
            currency: group.currency,
            zips,
        };
        assert!(group.describes(&identity(ZipRange::new(94_000, 94_999))));
        assert!(!group.describes(&identity(None)) && !group.describes(&identity(ZipRange::new(94_000, 94_998))));
    }
}

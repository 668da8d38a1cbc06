//! `[custodian]`: when keys are rotated without an order, and the authority's CA that certifies the next ones.

use super::funds::FundsConfig;
use psd::key::Role;
use psd::rotation::RotationRule;
use psd::{LicenceNumber, PostageAmount};
use serde::Deserialize;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The custodian of keys.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct CustodianConfig {
    /// Looks at all keys so often, seconds.
    #[serde(default = "every_s")]
    pub every_s: u64,
    /// The authority's CA of PSD keys; without it certificates are carried (`psdctl operator requests`, `certificates`).
    pub ca: Option<FundsConfig>,
    /// When to rotate; the first rule for a role that names a PSD's licence, else the first that names none.
    #[serde(rename = "rotation", default)]
    pub rotations: Vec<RotationConfig>,
}

/// When the keys of a licence are rotated.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct RotationConfig {
    /// The licence; all that no other rule names where absent.
    pub licence: Option<String>,
    /// Of which roles.
    #[serde(default = "roles")]
    pub roles: Vec<String>,
    /// Due so many days after a key took over.
    pub after_days: Option<u32>,
    /// Due after so many pieces.
    pub after_pieces: Option<u64>,
    /// Due after so much value, decimal text.
    pub after_value: Option<String>,
    /// Due so many days before its certificate ends.
    pub before_expiry_days: Option<u32>,
    /// The next key is made and certified when so much of the way is left, percent.
    #[serde(default = "ahead_percent")]
    pub ahead_percent: u8,
    /// A certificate holds for so many hours before its key takes over.
    #[serde(default)]
    pub notice_hours: u32,
    /// A key takes over only after the authority's signed word that verifiers know its certificate, however long it was there.
    #[serde(default)]
    pub await_acknowledgement: bool,
    /// A superseded key is retired after so many days; never where absent.
    pub retire_after_days: Option<u32>,
    /// A retired key is destroyed after so many days; never where absent.
    pub destroy_after_days: Option<u32>,
    /// Most generations of a role with their private half.
    #[serde(default = "most_generations")]
    pub most_generations: u8,
}

/// A rule that was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// The licence; all others where absent.
    pub licence: Option<LicenceNumber>,
    /// Of which roles.
    pub roles: Vec<Role>,
    /// When.
    pub rule: RotationRule,
}

/// The rule for the keys of a role under a licence.
pub fn rule_for<'r>(rotations: &'r [Rotation], licence: &LicenceNumber, role: Role) -> Option<&'r RotationRule> {
    let of_role = || rotations.iter().filter(|rotation| rotation.roles.contains(&role));
    let named = of_role().find(|rotation| rotation.licence.as_ref() == Some(licence));
    named.or_else(|| of_role().find(|rotation| rotation.licence.is_none())).map(|rotation| &rotation.rule)
}

fn every_s() -> u64 {
    60
}

fn roles() -> Vec<String> {
    vec![Role::Indicium.to_string()]
}

fn ahead_percent() -> u8 {
    10
}

fn most_generations() -> u8 {
    16
}

impl CustodianConfig {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if !(1..=3_600).contains(&self.every_s) {
            return Err(("custodian.every_s".to_owned(), "1 to 3600".to_owned()));
        }
        if let Some(ca) = &self.ca {
            ca.check().map_err(|(field, problem)| (field.replacen("funds", "custodian.ca", 1), problem))?;
        }
        let mut named = Vec::new();
        for rotation in &self.rotations {
            let Rotation { licence, roles, .. } = rotation.check()?;
            for role in roles {
                if named.contains(&(licence.clone(), role)) {
                    let licence = licence.map_or_else(|| "(all others)".to_owned(), |licence| licence.to_string());
                    let problem = format!("licence {licence} has two rules for its {role} keys");
                    return Err(("custodian.rotation".to_owned(), problem));
                }
                named.push((licence.clone(), role));
            }
        }
        Ok(())
    }
}

impl RotationConfig {
    pub(super) fn check(&self) -> Result<Rotation, (String, String)> {
        let wrong = |field: &str, problem: String| Err((format!("custodian.rotation.{field}"), problem));
        let days = |days: u32| u64::from(days) * DAY_MS;
        let licence = match self.licence.as_deref().map(str::parse::<LicenceNumber>).transpose() {
            Ok(licence) => licence,
            Err(error) => return wrong("licence", error.to_string()),
        };
        let named = self.roles.iter().map(|name| Role::certified_named(name));
        let Some(roles) = named.collect::<Option<Vec<Role>>>().filter(|roles| !roles.is_empty()) else {
            return wrong("roles", "some of indicium, certification and device".to_owned());
        };
        let after_value = match self.after_value.as_deref().map(str::parse::<PostageAmount>).transpose() {
            Ok(value) => value,
            Err(error) => return wrong("after_value", error.to_string()),
        };
        let counts = [self.after_days.map(u64::from), self.after_pieces, after_value.map(PostageAmount::mills)];
        if counts.contains(&Some(0)) {
            return wrong("after_*", "above zero".to_owned());
        }
        let counted = self.after_pieces.is_some() || after_value.is_some();
        if counted && roles.iter().any(|role| *role != Role::Indicium) {
            return wrong("roles", "after_pieces and after_value are counted for indicium keys alone".to_owned());
        }
        if counts == [None; 3] && self.before_expiry_days.is_none() {
            let fields = "one of after_days, after_pieces, after_value, before_expiry_days is needed";
            return Err(("custodian.rotation".to_owned(), fields.to_owned()));
        }
        if !(1..=90).contains(&self.ahead_percent) {
            return wrong("ahead_percent", "1 to 90".to_owned());
        }
        if !(2..=254).contains(&self.most_generations) {
            return wrong("most_generations", "2 to 254: the key in use and the next one".to_owned());
        }
        let rule = RotationRule {
            after_ms: self.after_days.map(days),
            after_pieces: self.after_pieces,
            after_value,
            before_expiry_ms: self.before_expiry_days.map(days),
            ahead_percent: self.ahead_percent,
            notice_ms: u64::from(self.notice_hours) * HOUR_MS,
            await_acknowledgement: self.await_acknowledgement,
            retire_after_ms: self.retire_after_days.map(days),
            destroy_after_ms: self.destroy_after_days.map(days),
            most_generations: self.most_generations,
        };
        Ok(Rotation { licence, roles, rule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<CustodianConfig, (String, String)> {
        let config: CustodianConfig = hsm_profiles::parse_toml("a test", text).expect("TOML");
        config.check().map(|()| config)
    }

    #[test]
    fn a_licence_of_its_own_has_the_rule_that_names_it() {
        let text = "[[rotation]]\nafter_days = 365\n[[rotation]]\nlicence = \"L-1\"\nafter_pieces = 5\n\
                    [[rotation]]\nroles = [\"device\"]\nafter_days = 700";
        let rotations: Vec<_> =
            config(text).expect("sound").rotations.iter().map(|rotation| rotation.check().expect("sound")).collect();
        let licence = |text: &str| text.parse::<LicenceNumber>().expect("a licence");
        let pieces = |name, role| rule_for(&rotations, &licence(name), role).map(|rule| rule.after_pieces);
        assert_eq!(pieces("L-1", Role::Indicium), Some(Some(5)));
        assert_eq!(pieces("L-2", Role::Indicium), Some(None));
        assert_eq!(pieces("L-1", Role::Device), Some(None), "no rule of its own for that role");
        assert_eq!(pieces("L-1", Role::Certification), None);
    }

    #[test]
    fn nobody_waits_for_an_acknowledgement_that_no_rule_demands() {
        let demands = |text: &str| {
            let config = config(text).expect("sound");
            config.rotations[0].check().expect("sound").rule.await_acknowledgement
        };
        assert!(!demands("[[rotation]]\nafter_days = 1\nnotice_hours = 72"));
        assert!(demands("[[rotation]]\nafter_days = 1\nnotice_hours = 72\nawait_acknowledgement = true"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let rows = [
            ("every_s = 0", "custodian.every_s"),
            ("[[rotation]]", "custodian.rotation"),
            ("[[rotation]]\nafter_days = 0", "custodian.rotation.after_*"),
            ("[[rotation]]\nafter_value = \"0\"", "custodian.rotation.after_*"),
            ("[[rotation]]\nafter_value = \"x\"", "custodian.rotation.after_value"),
            ("[[rotation]]\nafter_days = 1\nroles = []", "custodian.rotation.roles"),
            ("[[rotation]]\nafter_days = 1\nroles = [\"log\"]", "custodian.rotation.roles"),
            ("[[rotation]]\nafter_pieces = 1\nroles = [\"device\"]", "custodian.rotation.roles"),
            ("[[rotation]]\nafter_days = 1\nahead_percent = 0", "custodian.rotation.ahead_percent"),
            ("[[rotation]]\nafter_days = 1\nmost_generations = 1", "custodian.rotation.most_generations"),
            ("[[rotation]]\nafter_days = 1\nlicence = \"\"", "custodian.rotation.licence"),
            ("[[rotation]]\nafter_days = 1\n[[rotation]]\nafter_days = 2", "custodian.rotation"),
        ];
        for (text, field) in rows {
            assert_eq!(config(text).expect_err(text).0, field, "{text}");
        }
    }
}

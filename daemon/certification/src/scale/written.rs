//! The registry as it is written: TOML, unknown fields refused, every error with line and field.

use super::entry::{Calibration, Scale, Signing};
use super::{LONGEST_REGISTRY, MOST_SCALES, Milligrams};
use psd::{MailingDate, ScaleId};
use psdd_wire::reviewed_file::{self, FileError, LONGEST_LINE, is_line, line_at};
use psdd_wire::spki::{KeyKind, PublicKey, spki_of_pem};
use serde::{Deserialize, Deserializer, de};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use toml::Spanned;
use toml::value::Datetime;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scale: Vec<Spanned<Entry>>,
}

/// `[[scale]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(deserialize_with = "id")]
    id: ScaleId,
    #[serde(deserialize_with = "line")]
    maker: String,
    #[serde(deserialize_with = "line")]
    model: String,
    #[serde(deserialize_with = "line")]
    site: String,
    #[serde(deserialize_with = "line")]
    certificate: String,
    #[serde(deserialize_with = "line")]
    issuer: String,
    #[serde(deserialize_with = "day")]
    valid_from: MailingDate,
    #[serde(deserialize_with = "day")]
    valid_until: MailingDate,
    capacity_mg: u64,
    minimum_mg: u64,
    resolution_mg: u64,
    signed: Option<Signed>,
    #[serde(default, deserialize_with = "key")]
    public_key: Option<Arc<[u8]>>,
}

/// `signed`.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Signed {
    Required,
    Optional,
}

/// The scales of a file.
pub(super) fn scales(bytes: &[u8]) -> Result<BTreeMap<ScaleId, Scale>, FileError> {
    let file: File = reviewed_file::read(bytes, LONGEST_REGISTRY)?;
    if file.scale.len() > MOST_SCALES {
        let problem = format!("{} scales, and there are {MOST_SCALES} at most", file.scale.len());
        return Err(FileError::new("scale", problem));
    }
    let text = str::from_utf8(bytes).unwrap_or_default();
    let (mut scales, mut keys) = (BTreeMap::new(), BTreeSet::new());
    for entry in file.scale {
        let line = Some(line_at(text, entry.span().start));
        let refused = |field: &str, problem: String| FileError { line, field: format!("scale.{field}"), problem };
        let scale = entry.into_inner().scale().map_err(|(field, problem)| refused(field, problem.to_owned()))?;
        if scale.signing.spki().is_some_and(|spki| !keys.insert(spki.to_vec())) {
            return Err(refused(
                "public_key",
                "another scale has this key; each scale has a key of its own".to_owned(),
            ));
        }
        if let Some(other) = scales.insert(scale.id.clone(), scale) {
            return Err(refused("id", format!("there are two scales {}; each has a name of its own", other.id)));
        }
    }
    Ok(scales)
}

impl Entry {
    /// The scale, or the field that makes no sense and why.
    fn scale(self) -> Result<Scale, (&'static str, &'static str)> {
        let [capacity, minimum, resolution] = [self.capacity_mg, self.minimum_mg, self.resolution_mg];
        if resolution == 0 {
            return Err(("resolution_mg", "a scale resolves one milligram or more"));
        }
        if capacity == 0 || !capacity.is_multiple_of(resolution) || i64::try_from(capacity).is_err() {
            return Err(("capacity_mg", "the capacity is a multiple of resolution_mg above zero, below 2^63"));
        }
        if minimum > capacity {
            return Err(("minimum_mg", "the smallest load is above capacity_mg"));
        }
        if self.valid_until < self.valid_from {
            return Err(("valid_until", "the calibration ends before it begins"));
        }
        let signing = match (self.signed, self.public_key) {
            (None, None) => Signing::Never,
            (Some(Signed::Optional), Some(spki)) => Signing::Optional(spki),
            (Some(Signed::Required), Some(spki)) => Signing::Required(spki),
            (Some(_), None) => return Err(("signed", "there is no public_key that a signature could verify under")),
            (None, Some(_)) => {
                return Err(("public_key", "say whether readings are signed: signed = \"required\" or \"optional\""));
            }
        };
        Ok(Scale {
            id: self.id,
            maker: self.maker,
            model: self.model,
            site: self.site,
            calibration: Calibration {
                certificate: self.certificate,
                issuer: self.issuer,
                from: self.valid_from,
                until: self.valid_until,
            },
            capacity: Milligrams(capacity),
            minimum: Milligrams(minimum),
            resolution: Milligrams(resolution),
            signing,
        })
    }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ScaleId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

/// A text for people that stands on one line.
fn line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let plain = is_line(&text);
    plain.then_some(text).ok_or_else(|| de::Error::custom(format!("a line of 1 to {LONGEST_LINE} characters")))
}

/// A day: TOML's local date.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MailingDate, D::Error> {
    let written = Datetime::deserialize(deserializer)?;
    let day = match (written.date, written.time, written.offset) {
        (Some(date), None, None) => MailingDate::new(date.year, date.month, date.day),
        (_, _, _) => None,
    };
    day.ok_or_else(|| de::Error::custom(format!("{written} is no day such as 2026-11-20, of the years 2000 to 2999")))
}

/// A public key in PEM, or the base64 of its SPKI.
fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<[u8]>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let spki = if text.contains("-----") { spki_of_pem(&text) } else { psdd_wire::pasted::from_text(&text) };
    let spki = spki.ok_or_else(|| de::Error::custom("no public key in PEM, and no base64 of one"))?;
    let usable = PublicKey::of_spki(&spki).is_some_and(|key| match key.kind() {
        KeyKind::P256 | KeyKind::Ed25519 => key.is_point(),
        KeyKind::P384 => false,
    });
    let problem = "not a SubjectPublicKeyInfo of a key on P-256 (uncompressed) or Ed25519";
    if usable { Ok(Some(spki.into())) } else { Err(de::Error::custom(problem)) }
}

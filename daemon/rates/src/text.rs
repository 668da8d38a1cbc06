//! A rate table as it is written, before anything is checked but its form: unknown fields are refused by name.

use crate::names::{Level, Sorting};
use crate::rounding::Rounding;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// A text with its place.
pub(crate) type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableText {
    pub(crate) name: Text,
    pub(crate) version: Spanned<u32>,
    pub(crate) title: String,
    pub(crate) currency: Text,
    pub(crate) effective: EffectiveText,
    pub(crate) rounding: Rounding,
    pub(crate) zones: Option<ZonesText>,
    #[serde(default, rename = "shape")]
    pub(crate) shapes: Vec<ShapeText>,
    #[serde(default, rename = "class")]
    pub(crate) classes: Vec<ClassText>,
    #[serde(default, rename = "surcharge")]
    pub(crate) surcharges: Vec<SurchargeText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EffectiveText {
    pub(crate) from: Text,
    pub(crate) until: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ZonesText {
    pub(crate) names: Spanned<Vec<Text>>,
    #[serde(default, rename = "area")]
    pub(crate) areas: Vec<AreaText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AreaText {
    pub(crate) name: Text,
    /// `005` or `010-069`.
    pub(crate) zip3: Vec<Text>,
    /// Area to zone.
    pub(crate) to: Spanned<BTreeMap<String, Text>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShapeText {
    pub(crate) name: Text,
    pub(crate) least: Option<Spanned<SidesText>>,
    pub(crate) most: Option<Spanned<SidesText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SidesText {
    pub(crate) length: Option<Text>,
    pub(crate) height: Option<Text>,
    pub(crate) thickness: Option<Text>,
    pub(crate) length_and_girth: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassText {
    pub(crate) name: Text,
    pub(crate) title: String,
    pub(crate) category: Text,
    pub(crate) shape: Option<Text>,
    pub(crate) dimensional: Option<Spanned<DimensionalText>>,
    pub(crate) steps: Spanned<Vec<Spanned<StepText>>>,
    pub(crate) further: Option<Spanned<FurtherText>>,
    #[serde(default, rename = "discount")]
    pub(crate) discounts: Vec<DiscountText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DimensionalText {
    pub(crate) cubic_inches_over: u32,
    pub(crate) cubic_inches_per_lb: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepText {
    pub(crate) over: Text,
    pub(crate) up_to: Text,
    pub(crate) price: Option<Text>,
    pub(crate) by_zone: Option<Vec<Text>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FurtherText {
    pub(crate) every: Text,
    pub(crate) up_to: Text,
    pub(crate) price: Option<Text>,
    pub(crate) by_zone: Option<Vec<Text>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiscountText {
    pub(crate) name: Text,
    pub(crate) sorting: Sorting,
    pub(crate) level: Level,
    pub(crate) pieces: Option<Spanned<u64>>,
    pub(crate) run: Option<Spanned<u64>>,
    pub(crate) category: Option<Text>,
    pub(crate) off: Option<Text>,
    pub(crate) percent: Option<Text>,
    pub(crate) steps: Option<Spanned<Vec<Spanned<StepText>>>>,
    pub(crate) further: Option<Spanned<FurtherText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SurchargeText {
    pub(crate) name: Text,
    pub(crate) title: String,
    pub(crate) classes: Vec<Text>,
    pub(crate) price: Option<Text>,
    pub(crate) percent: Option<Text>,
    #[serde(default)]
    pub(crate) needs: Vec<Text>,
    #[serde(rename = "where")]
    pub(crate) condition: Option<Spanned<WhereText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhereText {
    pub(crate) length_over: Option<Text>,
    pub(crate) length_up_to: Option<Text>,
    pub(crate) length_and_girth_over: Option<Text>,
    pub(crate) cubic_inches_over: Option<u32>,
}

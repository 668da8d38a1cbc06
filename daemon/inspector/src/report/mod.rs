//! An inspection as one file: the page, and in it the signed evidence by which it is judged again years later.
//!
//! The page is a function of the evidence, so whoever has the file writes it anew and compares. What the evidence says is judged by
//! [`verify`]: what is signed by signatures, what the log proves by inclusion paths, and the tables by both.

mod certifying;
mod tables;
mod verify;

pub use verify::{Anchors, ReportError, Verified, verify};

use crate::audit::{Audit, Held};
use crate::mirror::{Mirror, Pin, UpdateError};
use crate::page;
use crate::rules::Rules;
use crate::view::FleetView;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use psd::PsdId;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};

/// The form of the evidence.
const FORMAT: &str = "psdd-inspection-1";
const BEGIN: &str = "<template id=\"evidence\">\n";
const END: &str = "</template>";
/// Characters of a line of base64.
const LINE: usize = 120;

/// Everything that an inspection rests on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    format: String,
    pin: Pin,
    /// The signed checkpoint.
    note: String,
    /// The genesis, the last record of every PSD and that by which its life ended, those of the authority's policy, of scales and of rate tables, and what reports and findings name.
    records: Vec<Included>,
    audit: Audit,
    /// What the log had of each PSD at the record that its report names.
    held: BTreeMap<String, Held>,
    rules: Rules,
    /// What the inspector saw.
    view: FleetView,
}

/// A record, and the path that leads from it to the root of the checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Included {
    leaf: u64,
    record: ByteBuf,
    path: ByteBuf,
}

impl Evidence {
    /// Gathers what a view rests on. The mirror is as it was when the view was made.
    pub fn gather(
        mirror: &mut Mirror,
        view: &FleetView,
        rules: &Rules,
        (audit, held): (&Audit, &BTreeMap<PsdId, Held>),
    ) -> Result<Self, UpdateError> {
        let mut view = view.clone();
        for psd in &mut view.psds {
            // The page shows those of the fleet.
            psd.days.clear();
            psd.hours.clear();
        }
        let held: BTreeMap<String, Held> = held.iter().map(|(psd, held)| (psd.to_string(), held.clone())).collect();
        let named = view.findings.iter().flat_map(|finding| finding.leaves.iter().copied());
        let last = view.psds.iter().map(|psd| psd.last_leaf).chain(held.values().filter_map(|held| held.leaf));
        let ended = view.psds.iter().filter_map(|psd| psd.ended_leaf);
        let policy = view.policy.iter().map(|policy| policy.leaf);
        let certifying = view.scales.iter().map(|scale| scale.leaf).chain(view.rates.iter().map(|table| table.leaf));
        let leaves = [0].into_iter().chain(named).chain(last).chain(ended).chain(policy).chain(certifying);
        let leaves: BTreeSet<u64> = leaves.collect();
        let size = mirror.size();
        let mut records = Vec::with_capacity(leaves.len());
        for leaf in leaves.into_iter().filter(|leaf| *leaf < size) {
            let path = ByteBuf::from(mirror.inclusion(leaf)?.concat());
            let record = ByteBuf::from(mirror.entry(leaf)?.to_vec());
            records.push(Included { leaf, record, path });
        }
        let note = mirror.note().unwrap_or_default().to_owned();
        Ok(Self {
            format: FORMAT.to_owned(),
            pin: mirror.pin().clone(),
            note,
            records,
            audit: audit.clone(),
            held,
            rules: *rules,
            view,
        })
    }

    /// The page with the evidence in it, HTML in UTF-8.
    pub fn page(&self) -> String {
        let bytes = psdd_wire::encode(self);
        // Shown, so that nothing in it is changed without the page, also what is neither shown nor signed.
        let digest = crate::mirror::hex(&psdd_wire::sha256(&bytes));
        let encoded = STANDARD.encode(bytes);
        let mut template = String::with_capacity(encoded.len() + encoded.len() / LINE + 64);
        template.push_str(BEGIN);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(LINE));
            template.push_str(line);
            template.push('\n');
            rest = more;
        }
        template.push_str(END);
        page::with_evidence(&self.view, &self.rules, (self.records.len(), &digest), &template)
    }

    /// The evidence in a page. Nothing of it is judged.
    fn of_page(html: &str) -> Option<Self> {
        let (_, rest) = html.split_once(BEGIN)?;
        let (text, _) = rest.split_once(END)?;
        let encoded: String = text.split('\n').collect();
        serde_cbor::from_slice(&STANDARD.decode(encoded).ok()?).ok()
    }
}

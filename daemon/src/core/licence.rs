//! Which PSDs each licence has, in the order in which they are sought.
//!
//! Made once, at the start, and shared: the vendor door says by it which members a client may use, the core finds one among them.

use psd::device::Identity;
use psd::indicium::{Kind, ZipRange};
use psd::{LicenceNumber, PostageAmount, PsdId};
use psdd_policy::PsdAttributes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Members of a licence that stand side by side.
pub type Span = Range<usize>;

/// Every licence with its members.
#[derive(Debug, Default)]
pub struct Licences {
    by_number: HashMap<LicenceNumber, usize>,
    members: Vec<Members>,
    places: HashMap<PsdId, Place>,
}

/// Where a PSD stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The licence, by its number in [`Licences`].
    pub licence: usize,
    /// The member.
    pub member: usize,
}

/// The PSDs of one licence: those that policies cannot tell apart side by side, of these those with the same kind of mark and the same
/// limits, of these by the ZIPs they are meant for.
#[derive(Debug, Default)]
pub struct Members {
    identities: Vec<Arc<Identity>>,
    zips: Vec<ZipRange>,
    classes: Vec<Span>,
    grades: Vec<Grade>,
}

/// Members that sign the same kind of piece within the same limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Grade {
    pub(super) span: Span,
    kind: Kind,
    smallest: PostageAmount,
    largest: PostageAmount,
}

impl Licences {
    /// The licences of these PSDs.
    pub fn of<'a>(identities: impl IntoIterator<Item = &'a Arc<Identity>>) -> Self {
        let mut licences = Self::default();
        let mut sorted: Vec<Vec<_>> = Vec::new();
        for identity in identities {
            let Identity { psd, tenant, licence, format, limits, zips, .. } = &**identity;
            let next = sorted.len();
            let number = *licences.by_number.entry(licence.clone()).or_insert(next);
            if number == next {
                sorted.push(Vec::new());
            }
            let class = PsdAttributes::of(*psd, licence, tenant);
            let limits = (format.kind(), limits.smallest_postage, limits.largest_postage);
            sorted[number].push((class, limits, zips.unwrap_or(ZipRange::ALL), *psd, Arc::clone(identity)));
        }
        for (licence, mut rows) in sorted.into_iter().enumerate() {
            rows.sort_by(|one, other| (&one.0, &one.1, &one.2, &one.3).cmp(&(&other.0, &other.1, &other.2, &other.3)));
            let mut members = Members::default();
            let mut before: Option<(PsdAttributes, _)> = None;
            for (member, (class, limits, zips, psd, identity)) in rows.into_iter().enumerate() {
                if before.as_ref().is_none_or(|(before, _)| *before != class) {
                    members.classes.push(member..member);
                    before = None;
                }
                if before.is_none_or(|(_, before)| before != limits) {
                    let (kind, smallest, largest) = limits;
                    members.grades.push(Grade { span: member..member, kind, smallest, largest });
                }
                if let Some(span) = members.classes.last_mut() {
                    span.end = member + 1;
                }
                if let Some(grade) = members.grades.last_mut() {
                    grade.span.end = member + 1;
                }
                members.identities.push(identity);
                members.zips.push(zips);
                licences.places.insert(psd, Place { licence, member });
                before = Some((class, limits));
            }
            licences.members.push(members);
        }
        licences
    }

    /// The licence of this number.
    pub fn find(&self, licence: &LicenceNumber) -> Option<(usize, &Members)> {
        let number = *self.by_number.get(licence)?;
        Some((number, &self.members[number]))
    }

    /// Where a PSD stands.
    pub fn place(&self, psd: PsdId) -> Option<Place> {
        self.places.get(&psd).copied()
    }

    /// What a PSD is for life.
    pub fn identity(&self, psd: PsdId) -> Option<&Arc<Identity>> {
        let Place { licence, member } = self.place(psd)?;
        self.members.get(licence)?.identities.get(member)
    }

    /// How many PSDs there are.
    pub fn psds(&self) -> usize {
        self.places.len()
    }

    /// The members of the licence with this number.
    pub(super) fn members(&self, licence: usize) -> Option<&Members> {
        self.members.get(licence)
    }

    /// All of them, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Members> {
        self.members.iter()
    }
}

impl Members {
    /// The PSDs in their order.
    pub fn psds(&self) -> impl Iterator<Item = PsdId> {
        self.identities.iter().map(|identity| identity.psd)
    }

    /// The PSD in this place.
    pub fn psd(&self, member: usize) -> PsdId {
        self.identities[member].psd
    }

    /// Members that no policy can tell apart but by their names.
    pub fn classes(&self) -> &[Span] {
        &self.classes
    }

    pub(super) fn zips(&self) -> &[ZipRange] {
        &self.zips
    }

    pub(super) fn grades(&self) -> &[Grade] {
        &self.grades
    }

    /// Which of the grades a member is of.
    pub(super) fn grade_of(&self, member: usize) -> usize {
        self.grades.partition_point(|grade| grade.span.end <= member)
    }

    /// The grades that reach into a span, by their numbers.
    pub(super) fn grades_in(&self, span: &Span) -> impl Iterator<Item = (usize, &Grade)> {
        let end = span.end;
        self.grades
            .iter()
            .enumerate()
            .skip(self.grade_of(span.start))
            .take_while(move |(_, grade)| grade.span.start < end)
    }

    /// The members of a stretch of one grade whose range begins at this ZIP or before it; ranges stand in order of their begin.
    pub(super) fn begun_by(&self, stretch: &Span, zip: u32) -> Span {
        let begun = self.zips[stretch.clone()].partition_point(|zips| zips.low() <= zip);
        stretch.start..stretch.start + begun
    }
}

impl Grade {
    /// Whether they sign this kind, and the limits leave room for all postage between these two.
    pub(super) fn admits(&self, kind: Option<Kind>, smallest: PostageAmount, largest: PostageAmount) -> bool {
        kind == Some(self.kind) && self.smallest <= smallest && largest <= self.largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::indicium::format_named;
    use psd::limits::Limits;

    fn identity(serial: u32, licence: &str, tenant: &str, largest: u64, zips: Option<(u32, u32)>) -> Arc<Identity> {
        let mills = |mills| PostageAmount::from_mills(mills).unwrap();
        Arc::new(Identity {
            psd: PsdId::new(*b"PS", *b"01", serial).unwrap(),
            tenant: tenant.parse().unwrap(),
            licence: licence.parse().unwrap(),
            licensing_zip: "94301".parse().unwrap(),
            format: format_named("ibi").unwrap(),
            software_id: *b"psdd01",
            limits: Limits {
                smallest_postage: mills(1),
                largest_postage: mills(largest),
                largest_descending: mills(1_000_000),
                smallest_refill: mills(1),
                largest_refill: mills(1_000_000),
            },
            currency: psd::Currency::USD,
            zips: zips.and_then(|(low, high)| ZipRange::new(low, high)),
        })
    }

    #[test]
    fn members_stand_by_policy_class_then_limits_then_zips() {
        let identities = [
            identity(9, "L-1", "acme", 700, Some((5, 9))),
            identity(8, "L-1", "globex", 500, None),
            identity(7, "L-2", "acme", 700, None),
            identity(6, "L-1", "acme", 500, Some((1, 3))),
            identity(5, "L-1", "acme", 700, Some((1, 4))),
            identity(4, "L-1", "acme", 700, None),
        ];
        let licences = Licences::of(&identities);
        let (number, members) = licences.find(&"L-1".parse().unwrap()).unwrap();
        let serials: Vec<u32> = members.psds().map(|psd| psd.serial()).collect();
        assert_eq!(serials, [6, 4, 5, 9, 8]);
        assert_eq!(members.classes(), [0..4, 4..5]);
        let grades: Vec<Span> = members.grades().iter().map(|grade| grade.span.clone()).collect();
        assert_eq!(grades, [0..1, 1..4, 4..5], "limits that agree across classes stay apart");
        let of = |span: Span| members.grades_in(&span).map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!((of(0..5), of(1..4), of(2..3), of(4..4)), (vec![0, 1, 2], vec![1], vec![1], vec![]));
        assert_eq!([0, 1, 3, 4].map(|member| members.grade_of(member)), [0, 1, 1, 2]);
        assert_eq!(
            (members.begun_by(&(1..4), 0), members.begun_by(&(1..4), 1), members.begun_by(&(1..4), 5)),
            (1..2, 1..3, 1..4)
        );
        assert_eq!(licences.place(identities[0].psd), Some(Place { licence: number, member: 3 }));
        assert!(licences.find(&"L-3".parse().unwrap()).is_none());
        assert_eq!(licences.psds(), 6);
        for known in &identities {
            assert!(licences.identity(known.psd).is_some_and(|found| Arc::ptr_eq(found, known)), "{}", known.psd);
        }
    }
}

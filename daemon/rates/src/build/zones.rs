//! Zones and the areas between which they lie.

use super::fields::Fields;
use super::{Build, named, place_of};
use crate::error::Problem;
use crate::text::{AreaText, ZonesText};
use crate::zone::Zones;

/// Areas and zones are numbered in a byte.
const MOST: usize = 200;

impl Build<'_> {
    pub(super) fn zones(&mut self, written: &ZonesText) -> Option<Zones> {
        let names = written.names.get_ref();
        self.unique("zones.names, zone", names.iter());
        let read: Vec<_> = names.iter().map(|name| self.noted(name, "zones.names", named(name.get_ref()))).collect();
        let start = written.names.span().start;
        if names.is_empty() || written.areas.is_empty() {
            let what = if names.is_empty() { "zone" } else { "area" };
            let problem = Problem::Unknown { kind: what, name: String::new(), known: "none".to_owned() };
            self.fault(start, "zones", problem);
        }
        for (what, found) in [("zones", names.len()), ("areas", written.areas.len())] {
            if found > MOST {
                self.fault(start, "zones", Problem::TooMany { what, found, most: MOST });
                return None;
            }
        }
        self.unique("zones.area", written.areas.iter().map(|area| &area.name));
        let mut area_of = Box::new([None; 1000]);
        for (index, area) in (0u8..).zip(&written.areas) {
            self.area(index, area, &written.areas, &mut area_of);
        }
        let mut between = Vec::with_capacity(written.areas.len() * written.areas.len());
        let names: Vec<String> = read.into_iter().flatten().collect();
        for area in &written.areas {
            between.extend(self.zones_from(area, &written.areas, &names));
        }
        Some(Zones::new(names, area_of, written.areas.len(), between))
    }

    fn area(&mut self, index: u8, area: &AreaText, areas: &[AreaText], area_of: &mut [Option<u8>; 1000]) {
        self.name("zones.area", &area.name);
        let place = format!("zones.area {}", area.name.get_ref());
        if area.zip3.is_empty() {
            self.fault(area.name.span().start, &place, Problem::Zip3(String::new()));
        }
        for text in &area.zip3 {
            let range = range(text.get_ref()).ok_or_else(|| Problem::Zip3(text.get_ref().chars().take(40).collect()));
            let Some((low, high)) = self.noted(text, &place, range) else { continue };
            for (zip3, area) in area_of.iter_mut().enumerate().take(high + 1).skip(low) {
                if let Some(other) = area.replace(index) {
                    let other = areas.get(usize::from(other)).map(|area| area.name.get_ref().clone());
                    let problem = Problem::InTwoAreas { zip3, other: other.unwrap_or_default() };
                    self.fault(text.span().start, &place, problem);
                    // Told once for each range.
                    break;
                }
            }
        }
    }

    fn zones_from(&mut self, area: &AreaText, areas: &[AreaText], zones: &[String]) -> Vec<u8> {
        let place = format!("zones.area {}", area.name.get_ref());
        let to = area.to.get_ref();
        for (name, zone) in to {
            let known = place_of(areas.iter().map(|area| area.name.get_ref().as_str()), "area", name);
            self.noted(zone, &place, known);
        }
        let numbers = areas.iter().map(|other| {
            let Some(zone) = to.get(other.name.get_ref()) else {
                self.fault(area.to.span().start, &place, Problem::NoZoneTo(other.name.get_ref().clone()));
                return 0;
            };
            let found = place_of(zones.iter().map(String::as_str), "zone", zone.get_ref());
            self.noted(zone, &place, found).and_then(|found| u8::try_from(found).ok()).unwrap_or_default()
        });
        numbers.collect()
    }
}

/// `005` or `010-069`, both ends within.
fn range(text: &str) -> Option<(usize, usize)> {
    let digits = |text: &str| {
        let plain = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.bytes().fold(0, |number, b| number * 10 + usize::from(b - b'0')))
    };
    let (low, high) = match text.split_once('-') {
        Some((low, high)) => (digits(low)?, digits(high)?),
        None => (digits(text)?, digits(text)?),
    };
    (low <= high).then_some((low, high))
}

//! Surcharges.

use super::fields::Fields;
use super::{Build, place_of};
use crate::condition::Condition;
use crate::error::Problem;
use crate::piece::{MOST_SURCHARGES, Surcharges};
use crate::table::{Charge, Class, Surcharge};
use crate::tariff::ClassId;
use crate::text::{SurchargeText, Text, WhereText};
use toml::Spanned;

impl Build<'_> {
    pub(super) fn surcharges(&mut self, written: &[SurchargeText], classes: &[Class]) -> Vec<Surcharge> {
        if written.len() > MOST_SURCHARGES {
            let problem = Problem::TooMany { what: "surcharges", found: written.len(), most: MOST_SURCHARGES };
            self.fault(written[MOST_SURCHARGES].name.span().start, "surcharge", problem);
            return Vec::new();
        }
        self.unique("surcharge", written.iter().map(|surcharge| &surcharge.name));
        // Names of classes are looked at only where all classes could be read.
        let judged = self.faults.is_empty();
        let surcharges: Vec<Surcharge> =
            written.iter().filter_map(|surcharge| self.surcharge(surcharge, written, classes, judged)).collect();
        if judged && self.faults.is_empty() {
            self.needs_are_there(written, &surcharges, classes);
        }
        surcharges
    }

    fn surcharge(
        &mut self,
        written: &SurchargeText,
        all: &[SurchargeText],
        classes: &[Class],
        judged: bool,
    ) -> Option<Surcharge> {
        let name = self.name("surcharge", &written.name)?;
        let (place, at) = (format!("surcharge {name}"), written.name.span().start);
        self.title(&place, &written.title, at);
        if written.classes.is_empty() {
            self.fault(at, &place, Problem::ForNothing);
        }
        let mut of: Vec<ClassId> = Vec::new();
        for text in written.classes.iter().filter(|_| judged) {
            let found = place_of(classes.iter().map(|class| class.name.as_str()), "class", text.get_ref());
            let found = self.noted(text, &place, found).and_then(|found| u16::try_from(found).ok());
            of.extend(found.map(ClassId));
        }
        self.unique(&format!("{place}, class"), written.classes.iter());
        of.sort_unstable();
        let charge = match (&written.price, &written.percent) {
            (Some(price), None) => self.something(&place, price).map(Charge::Amount),
            (None, Some(percent)) => self.percent(&place, percent).map(Charge::Percent),
            _ => {
                self.fault(at, &place, Problem::ChargeForm);
                None
            }
        };
        let needs = written.needs.iter().filter_map(|text| self.need(&place, &name, text, all));
        let needs = needs.fold(Surcharges::default(), Surcharges::with);
        let condition = match &written.condition {
            Some(condition) => Some(self.condition(&place, condition)?),
            None => None,
        };
        Some(Surcharge { name, title: written.title.clone(), classes: of, charge: charge?, needs, condition })
    }

    fn need(&mut self, place: &str, name: &str, text: &Text, all: &[SurchargeText]) -> Option<usize> {
        let names = all.iter().map(|surcharge| surcharge.name.get_ref().as_str());
        let found = self.noted(text, place, place_of(names, "surcharge", text.get_ref()))?;
        if text.get_ref() == name {
            self.fault(text.span().start, place, Problem::NeedsItself);
        }
        if all[found].condition.is_some() {
            self.fault(text.span().start, place, Problem::NeedsUnasked(text.get_ref().clone()));
        }
        Some(found)
    }

    fn condition(&mut self, place: &str, written: &Spanned<WhereText>) -> Option<Condition> {
        let WhereText { length_over, length_up_to, length_and_girth_over, cubic_inches_over } = written.get_ref();
        let before = self.faults.len();
        let mut length = |text: &Option<Text>| text.as_ref().and_then(|text| self.length(place, text));
        let condition = Condition {
            length_over: length(length_over),
            length_up_to: length(length_up_to),
            length_and_girth_over: length(length_and_girth_over),
            cubic_inches_over: *cubic_inches_over,
        };
        if self.faults.len() != before {
            return None;
        }
        if condition == Condition::default() {
            self.fault(written.span().start, place, Problem::EmptyCondition);
        }
        if let (Some(over), Some(up_to)) = (condition.length_over, condition.length_up_to)
            && over >= up_to
        {
            let crossed = Problem::Crossed { side: "length", least: over.to_string(), most: up_to.to_string() };
            self.fault(written.span().start, place, crossed);
        }
        Some(condition)
    }

    /// That what a surcharge needs can be had in each of its classes.
    fn needs_are_there(&mut self, written: &[SurchargeText], surcharges: &[Surcharge], classes: &[Class]) {
        for (surcharge, text) in surcharges.iter().zip(written) {
            for (_, needed) in surcharges.iter().enumerate().filter(|(place, _)| surcharge.needs.holds(*place)) {
                let missing = surcharge.classes.iter().find(|class| !needed.classes.contains(class));
                let Some(class) = missing.and_then(|class| classes.get(class.index())) else { continue };
                let (needed, class) = (needed.name.clone(), class.name.clone());
                let problem = Problem::NeedsElsewhere { needed, class };
                self.fault(text.name.span().start, &format!("surcharge {}", surcharge.name), problem);
            }
        }
    }
}

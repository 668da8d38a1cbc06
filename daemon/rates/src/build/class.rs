//! Classes.

use super::fields::Fields;
use super::{Build, MOST_CLASSES, place_of};
use crate::error::Problem;
use crate::table::Class;
use crate::text::{ClassText, Text};
use psd::indicium::RateCategory;
use toml::Spanned;

impl Build<'_> {
    pub(super) fn classes(&mut self, written: &[ClassText]) -> Vec<Class> {
        if written.is_empty() {
            self.fault(self.text.len(), "", Problem::NoClass);
        }
        if written.len() > MOST_CLASSES {
            let problem = Problem::TooMany { what: "classes", found: written.len(), most: MOST_CLASSES };
            self.fault(written[MOST_CLASSES].name.span().start, "class", problem);
        }
        self.unique("class", written.iter().map(|class| &class.name));
        self.categories(written);
        written.iter().filter_map(|class| self.class(class)).collect()
    }

    fn class(&mut self, written: &ClassText) -> Option<Class> {
        let name = self.name("class", &written.name)?;
        let (place, at) = (format!("class {name}"), written.name.span().start);
        self.title(&place, &written.title, at);
        let category = self.read::<RateCategory>(&place, &written.category);
        let shape = match &written.shape {
            Some(text) => {
                let found = place_of(self.shapes.iter().map(|shape| shape.name.as_str()), "shape", text.get_ref());
                Some(self.noted(text, &place, found).map(|found| self.shapes[found].clone()))
            }
            None => None,
        };
        let dimensional = written.dimensional.as_ref().map(|rule| {
            let (over, per_lb) = (rule.get_ref().cubic_inches_over, rule.get_ref().cubic_inches_per_lb);
            if per_lb == 0 {
                self.fault(rule.span().start, &place, Problem::Zero("cubic_inches_per_lb"));
            }
            (over, per_lb)
        });
        let ladder = self.ladder(&place, &written.steps, written.further.as_ref());
        let discounts = match &ladder {
            Some(ladder) => self.discounts(&place, ladder, &written.discounts),
            None => Vec::new(),
        };
        let shape = match shape {
            Some(shape) => Some(shape?),
            None => None,
        };
        Some(Class {
            name,
            title: written.title.clone(),
            category: category?,
            shape,
            dimensional,
            ladder: ladder?,
            discounts,
        })
    }

    /// That every rate category stands for one tariff.
    fn categories(&mut self, written: &[ClassText]) {
        let mut seen: Vec<(String, String)> = Vec::new();
        for class in written {
            let of_discounts =
                class.discounts.iter().filter_map(|discount| Some((discount.category.as_ref()?, Some(&discount.name))));
            for (category, discount) in std::iter::once((&class.category, None::<&Spanned<String>>)).chain(of_discounts)
            {
                let place = place_told(&class.name, discount);
                let text = category.get_ref().clone();
                if let Some((_, other)) = seen.iter().find(|(known, _)| *known == text) {
                    let problem = Problem::CategoryTwice(text, other.clone());
                    self.fault(category.span().start, &place, problem);
                    continue;
                }
                seen.push((text, place));
            }
        }
    }
}

/// `class letter`, or `class letter, discount aadc`.
pub(super) fn place_told(class: &Text, discount: Option<&Text>) -> String {
    let class = class.get_ref();
    discount
        .map_or_else(|| format!("class {class}"), |discount| format!("class {class}, discount {}", discount.get_ref()))
}

//! Single fields, and faults with their lines.

use super::{Build, line_at, named};
use crate::error::{Problem, TableFault};
use crate::length::Length;
use crate::rounding::decimal;
use crate::text::Text;
use crate::weight::Limit;
use psd::PostageAmount;
use psdd_wire::reviewed_file::is_line;
use rust_decimal::Decimal;
use std::str::FromStr;

/// Reading of fields: what cannot be read is noted as a fault, and is nothing.
pub(super) trait Fields {
    /// Notes a fault at an offset of the text.
    fn fault(&mut self, offset: usize, place: &str, problem: Problem);
    /// The value, or a fault.
    fn noted<T>(&mut self, text: &Text, place: &str, value: Result<T, Problem>) -> Option<T>;
    /// A name.
    fn name(&mut self, place: &str, text: &Text) -> Option<String>;
    /// That a title says something.
    fn title(&mut self, place: &str, title: &str, offset: usize);
    /// Anything that is read from text.
    fn read<T: FromStr>(&mut self, place: &str, text: &Text) -> Option<T>
    where
        Problem: From<T::Err>;
    /// An amount that can be charged.
    fn amount(&mut self, place: &str, text: &Text) -> Option<Decimal>;
    /// An amount that can be charged and is something.
    fn something(&mut self, place: &str, text: &Text) -> Option<Decimal>;
    /// A percentage.
    fn percent(&mut self, place: &str, text: &Text) -> Option<Decimal>;
    /// A length that is something.
    fn length(&mut self, place: &str, text: &Text) -> Option<Length>;
    /// A weight that is something.
    fn weight(&mut self, place: &str, what: &'static str, text: &Text) -> Option<Limit>;
    /// That no name stands there twice.
    fn unique<'a>(&mut self, kind: &str, names: impl Iterator<Item = &'a Text>);
}

impl Fields for Build<'_> {
    fn fault(&mut self, offset: usize, place: &str, problem: Problem) {
        let line = line_at(self.text, offset);
        self.faults.push(TableFault { line, place: place.to_owned(), problem });
    }

    fn noted<T>(&mut self, text: &Text, place: &str, value: Result<T, Problem>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(problem) => {
                self.fault(text.span().start, place, problem);
                None
            }
        }
    }

    fn name(&mut self, place: &str, text: &Text) -> Option<String> {
        self.noted(text, place, named(text.get_ref()))
    }

    fn title(&mut self, place: &str, title: &str, offset: usize) {
        if !is_line(title) {
            self.fault(offset, place, Problem::Title);
        }
    }

    fn read<T: FromStr>(&mut self, place: &str, text: &Text) -> Option<T>
    where
        Problem: From<T::Err>,
    {
        self.noted(text, place, text.get_ref().parse::<T>().map_err(Problem::from))
    }

    fn amount(&mut self, place: &str, text: &Text) -> Option<Decimal> {
        let amount = self.read::<PostageAmount>(place, text)?;
        let rounding = self.rounding;
        let finer = || Problem::Finer { amount, unit: rounding.unit };
        self.noted(text, place, rounding.expresses(amount).then(|| decimal(amount)).ok_or_else(finer))
    }

    fn something(&mut self, place: &str, text: &Text) -> Option<Decimal> {
        let amount = self.amount(place, text)?;
        self.noted(text, place, if amount.is_zero() { Err(Problem::Nothing) } else { Ok(amount) })
    }

    fn percent(&mut self, place: &str, text: &Text) -> Option<Decimal> {
        let written = text.get_ref();
        let plain = written.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let percent = Decimal::from_str_exact(written).ok().map(|percent| percent.normalize());
        let percent = percent.filter(|percent| plain && !percent.is_zero() && *percent <= Decimal::ONE_HUNDRED);
        let percent = percent.filter(|percent| percent.scale() <= 3);
        self.noted(text, place, percent.ok_or_else(|| Problem::Percent(written.chars().take(40).collect())))
    }

    fn length(&mut self, place: &str, text: &Text) -> Option<Length> {
        let length = self.read::<Length>(place, text)?;
        self.noted(text, place, if length.is_zero() { Err(Problem::Zero("a length")) } else { Ok(length) })
    }

    fn weight(&mut self, place: &str, what: &'static str, text: &Text) -> Option<Limit> {
        let limit = self.read::<Limit>(place, text)?;
        self.noted(text, place, if limit.picograms() == 0 { Err(Problem::Zero(what)) } else { Ok(limit) })
    }

    fn unique<'a>(&mut self, kind: &str, names: impl Iterator<Item = &'a Text>) {
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            if seen.contains(&name.get_ref().as_str()) {
                self.fault(
                    name.span().start,
                    &format!("{kind} {}", name.get_ref()),
                    Problem::Twice(name.get_ref().clone()),
                );
            }
            seen.push(name.get_ref());
        }
    }
}

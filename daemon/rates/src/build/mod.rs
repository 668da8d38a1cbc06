//! From the text of a table to the table, or to everything that is wrong with it.
//!
//! Checks go from the top of the file to its end, and on past a fault wherever the rest can still be judged.

mod class;
mod discount;
mod fields;
mod prices;
mod surcharge;
mod zones;

use crate::error::{Problem, TableError, TableFault};
use crate::names::is_name;
use crate::table::{Shape, Table, listed};
use crate::text::{EffectiveText, ShapeText, SidesText, TableText, Text};
use crate::zone::Zones;
use crate::{Length, Rounding};
use fields::Fields;
use psd::{Currency, MailingDate};
use psdd_wire::reviewed_file::{self, line_at};
use sha2::{Digest, Sha256};
use toml::Spanned;

/// Most bytes of a table's text.
pub const LONGEST_TABLE: usize = 1 << 20;
/// The most classes there are numbers for.
const MOST_CLASSES: usize = 1000;

/// What the parts of a table are checked against, and where faults are put.
pub(crate) struct Build<'t> {
    text: &'t str,
    faults: Vec<TableFault>,
    rounding: Rounding,
    zones: Option<Zones>,
    shapes: Vec<Shape>,
}

pub(crate) fn table(text: &str) -> Result<Table, TableError> {
    let syntax = |line, problem| {
        TableError::new(vec![TableFault { line, place: String::new(), problem: Problem::Syntax(problem) }])
    };
    reviewed_file::text(text.as_bytes(), LONGEST_TABLE)
        .map_err(|error| syntax(error.line.unwrap_or(1), error.problem))?;
    let written: TableText = toml::from_str(text).map_err(|error| {
        syntax(line_at(text, error.span().map_or(0, |span| span.start)), error.message().to_owned())
    })?;
    let mut build = Build { text, faults: Vec::new(), rounding: written.rounding, zones: None, shapes: Vec::new() };
    let table = build.table(&written);
    match table.filter(|_| build.faults.is_empty()) {
        Some(table) => Ok(table),
        None => Err(TableError::new(build.faults)),
    }
}

impl Build<'_> {
    fn table(&mut self, written: &TableText) -> Option<Table> {
        let name = self.name("", &written.name);
        self.title("", &written.title, written.name.span().start);
        let version = *written.version.get_ref();
        if version == 0 {
            self.fault(written.version.span().start, "version", Problem::Version);
        }
        let currency = self.read::<Currency>("currency", &written.currency);
        let dates = self.dates(&written.effective);
        self.zones = written.zones.as_ref().and_then(|zones| self.zones(zones));
        self.shapes = written.shapes.iter().filter_map(|shape| self.shape(shape)).collect();
        self.unique("shape", written.shapes.iter().map(|shape| &shape.name));
        let classes = self.classes(&written.classes);
        let surcharges = self.surcharges(&written.surcharges, &classes);
        let (from, until) = dates?;
        Some(Table {
            name: name?,
            version,
            title: written.title.clone(),
            currency: currency?,
            from,
            until,
            rounding: self.rounding,
            zones: self.zones.take(),
            classes,
            surcharges,
            digest: Sha256::digest(self.text.as_bytes()).into(),
        })
    }

    fn dates(&mut self, written: &EffectiveText) -> Option<(MailingDate, Option<MailingDate>)> {
        let from = self.read::<MailingDate>("effective.from", &written.from);
        let until = match &written.until {
            Some(until) => Some((until, self.read::<MailingDate>("effective.until", until)?)),
            None => None,
        };
        let from = from?;
        if let Some((text, until)) = until.filter(|(_, until)| *until < from) {
            self.fault(text.span().start, "effective.until", Problem::Ends { from, until });
        }
        Some((from, until.map(|(_, until)| until)))
    }

    fn shape(&mut self, written: &ShapeText) -> Option<Shape> {
        let name = self.name("shape", &written.name)?;
        let place = format!("shape {name}");
        let least = self.sides(&place, written.least.as_ref());
        let most = self.sides(&place, written.most.as_ref());
        for (side, (least, most)) in ["length", "height", "thickness"].into_iter().zip(least.0.iter().zip(&most.0)) {
            if let (Some(least), Some(most)) = (least, most)
                && least > most
            {
                let crossed = Problem::Crossed { side, least: least.to_string(), most: most.to_string() };
                self.fault(written.name.span().start, &place, crossed);
            }
        }
        if let (Some(around), Some(least)) = (least.1, &written.least) {
            let unknown = Problem::Syntax(format!("least has no length_and_girth ({around}); most has"));
            self.fault(least.span().start, &place, unknown);
        }
        Some(Shape { name, least: least.0, most: most.0, most_around: most.1 })
    }

    fn sides(&mut self, place: &str, sides: Option<&Spanned<SidesText>>) -> ([Option<Length>; 3], Option<Length>) {
        let Some(sides) = sides.map(Spanned::get_ref) else { return ([None; 3], None) };
        let mut length = |text: &Option<Text>| text.as_ref().and_then(|text| self.length(place, text));
        ([length(&sides.length), length(&sides.height), length(&sides.thickness)], length(&sides.length_and_girth))
    }
}

/// The place of the name among those that are known, or a fault.
fn place_of<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    kind: &'static str,
    name: &str,
) -> Result<usize, Problem> {
    let found = names.clone().position(|known| known == name);
    found.ok_or_else(|| Problem::Unknown { kind, name: name.to_owned(), known: listed(names) })
}

fn named(text: &str) -> Result<String, Problem> {
    if is_name(text) { Ok(text.to_owned()) } else { Err(Problem::Name(text.chars().take(60).collect())) }
}

//! Why a text is no rate table that is in order.

use crate::quantity::QuantityError;
use crate::rounding::{Unit, plain};
use crate::weight::Limit;
use psd::indicium::AddressError;
use psd::money::AmountError;
use psd::time::DateError;
use psd::{MailingDate, PostageAmount};
use rust_decimal::Decimal;
use std::fmt;

/// Everything that is wrong with a table, in the order of the checks; at least one fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableError {
    faults: Vec<TableFault>,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableFault {
    /// Line of the text, counted from one.
    pub line: usize,
    /// Where: `class letter, step 2`.
    pub place: String,
    /// What.
    pub problem: Problem,
}

/// What is wrong at a place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// Not TOML, a field that is missing or unknown, or a word where another is wanted.
    #[error("{0}")]
    Syntax(String),
    /// Not the form of a name.
    #[error("{0:?} is no name: 1 to 40 of a-z, 0-9 and hyphens between them")]
    Name(String),
    /// A discount that would be taken for none.
    #[error("no discount is named full: that is what a class without any discount is called")]
    FullName,
    /// A title that says nothing.
    #[error("the title is empty")]
    Title,
    /// Named before.
    #[error("the name {0:?} stands there twice; give one of them another")]
    Twice(String),
    /// Named and not there.
    #[error("there is no {kind} {name:?}; the table has {known}")]
    Unknown {
        /// What it should be.
        kind: &'static str,
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// Version zero.
    #[error("version 0: the first version is 1")]
    Version,
    /// Not a currency.
    #[error("{0}")]
    Currency(#[from] psd::currency::CurrencyError),
    /// Not a rate category.
    #[error("{0}")]
    Category(#[from] AddressError),
    /// A rate category that already stands for something.
    #[error("the rate category {0} stands for {1} already; a mark could mean either")]
    CategoryTwice(String, String),
    /// Not a date.
    #[error("{0}")]
    Date(#[from] DateError),
    /// The last day before the first.
    #[error("the table would end on {until}, before it begins on {from}")]
    Ends {
        /// First day.
        from: MailingDate,
        /// Last day.
        until: MailingDate,
    },
    /// Not an amount, or finer than a mill.
    #[error("{0}")]
    Amount(#[from] AmountError),
    /// Finer than the rounding rule can charge.
    #[error("{amount} is finer than the {unit} that a piece is rounded to; write what is charged, or round per line")]
    Finer {
        /// The amount.
        amount: PostageAmount,
        /// The unit.
        unit: Unit,
    },
    /// An amount of zero where it would say nothing.
    #[error("the amount is zero; leave it out")]
    Nothing,
    /// Not a share of a hundred.
    #[error("{0:?} is no percentage: over 0 and up to 100, with at most three decimals")]
    Percent(String),
    /// Not a weight or a length.
    #[error("{0}")]
    Quantity(#[from] QuantityError),
    /// Weights, lengths or volumes of zero.
    #[error("{0} is zero, so it limits nothing")]
    Zero(&'static str),
    /// Least above most.
    #[error("nothing has a {side} of at least {least} and at most {most}")]
    Crossed {
        /// The measure.
        side: &'static str,
        /// The least.
        least: String,
        /// The most.
        most: String,
    },
    /// No class.
    #[error("the table has no class, so nothing can be priced by it")]
    NoClass,
    /// More of something than there is room for.
    #[error("the table has {found} {what}; {most} is the most there is room for")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
    /// No step.
    #[error("there is no step of weight, so nothing has a price")]
    NoStep,
    /// The first step begins too late.
    #[error("the first step begins over {over}: what weighs up to that has no price; begin over 0 g")]
    First {
        /// Where it begins.
        over: Limit,
    },
    /// A step that holds nothing.
    #[error("a step over {over} and up to {up_to} holds nothing")]
    EmptyStep {
        /// Its begin.
        over: Limit,
        /// Its end.
        up_to: Limit,
    },
    /// Weights without a price.
    #[error("a gap: what weighs over {from} and up to {to} has no price")]
    Gap {
        /// End of the step before.
        from: Limit,
        /// Begin of the step.
        to: Limit,
    },
    /// Weights with two prices.
    #[error("an overlap: what weighs over {from} and up to {to} has two prices")]
    Overlap {
        /// Begin of the step.
        from: Limit,
        /// End of the step before.
        to: Limit,
    },
    /// Neither one price nor one for each zone, or both.
    #[error("a step has either price or by_zone, the same in all steps of a ladder")]
    PriceForm,
    /// Prices by zones that the table has not.
    #[error("by_zone has prices for zones, but the table has no [zones]")]
    NoZones,
    /// As many prices as there are zones.
    #[error("by_zone has {found} prices, and the table {zones} zones")]
    ZonePrices {
        /// Prices.
        found: usize,
        /// Zones.
        zones: usize,
    },
    /// A price below that of a lighter piece.
    #[error("the price falls with weight{zone}: {} up to {at}, {} below", plain(*.price), plain(*.before))]
    Falls {
        /// In which zone, with words before it; empty where there are none.
        zone: String,
        /// Where.
        at: Limit,
        /// The price.
        price: Decimal,
        /// That of the lighter piece.
        before: Decimal,
    },
    /// No count that qualifies.
    #[error("a discount without pieces, the count that qualifies for it")]
    NoCount,
    /// A run smaller than its group.
    #[error("the run must have {run} pieces, and {pieces} of them in one group: the run cannot be smaller")]
    RunBelowGroup {
        /// The run's.
        run: u64,
        /// The group's.
        pieces: u64,
    },
    /// Not one of the three forms.
    #[error("a discount has exactly one of off, percent and steps; further goes with steps")]
    ReductionForm,
    /// Prices that would undo a presort discount.
    #[error(
        "a bundle discount goes with any presort discount, so it cannot have prices of its own; write off or percent"
    )]
    BundlePrices,
    /// Dearer than what it is a discount from.
    #[error("{what}: {} at {at}{zone}, against {}", plain(*.price), plain(*.base))]
    Dearer {
        /// Dearer than what.
        what: String,
        /// In which zone, with words before it; empty where there are none.
        zone: String,
        /// At which weight.
        at: Limit,
        /// The price with the discount.
        price: Decimal,
        /// The price it must not be above.
        base: Decimal,
    },
    /// More off than there is.
    #[error("{} off is more than the lowest price it may be taken from, {}", plain(*.off), plain(*.lowest))]
    BelowZero {
        /// What it takes off.
        off: Decimal,
        /// What there is.
        lowest: Decimal,
    },
    /// Other weights than the class.
    #[error("its prices end at {discount}, those of the class at {class}; they must hold for the same weights")]
    Heaviest {
        /// Of the discount.
        discount: Limit,
        /// Of the class.
        class: Limit,
    },
    /// Two discounts that one group would qualify for alike.
    #[error("it is {sorting} at the level {level} with {pieces} pieces, as {other} is; neither comes first")]
    SameCount {
        /// Why both cost less.
        sorting: crate::names::Sorting,
        /// Where both count.
        level: crate::names::Level,
        /// How many both take.
        pieces: u64,
        /// The other.
        other: String,
    },
    /// Neither an amount nor a percentage, or both.
    #[error("a surcharge has exactly one of price and percent")]
    ChargeForm,
    /// For no class.
    #[error("a surcharge for no class is never due")]
    ForNothing,
    /// A condition that says nothing.
    #[error("where says nothing; leave it out for a surcharge that is asked for")]
    EmptyCondition,
    /// Needs what is not asked for.
    #[error("it needs {0}, which is not asked for but due by what a piece measures")]
    NeedsUnasked(String),
    /// Needs itself.
    #[error("it needs itself")]
    NeedsItself,
    /// Needs what a class of it has not.
    #[error("it needs {needed}, which class {class} has not")]
    NeedsElsewhere {
        /// What is needed.
        needed: String,
        /// Where it is not.
        class: String,
    },
    /// Not first three digits.
    #[error("{0:?} is not three digits such as 005, nor a range of them such as 010-069")]
    Zip3(String),
    /// In two areas.
    #[error("the ZIPs {zip3:03}xx are in the area {other} already")]
    InTwoAreas {
        /// First three digits.
        zip3: usize,
        /// The other area.
        other: String,
    },
    /// No zone to an area.
    #[error("there is no zone to the area {0}")]
    NoZoneTo(String),
}

impl TableError {
    /// `faults` is not empty.
    pub(crate) fn new(faults: Vec<TableFault>) -> Self {
        Self { faults }
    }

    /// Everything that is wrong, at least one.
    pub fn faults(&self) -> &[TableFault] {
        &self.faults
    }
}

impl fmt::Display for TableError {
    /// A line for each fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.faults.iter().map(TableFault::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for TableError {}

impl fmt::Display for TableFault {
    /// `line 12: class letter, step 2: a gap: …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, place, problem } = self;
        if place.is_empty() {
            write!(f, "line {line}: {problem}")
        } else {
            write!(f, "line {line}: {place}: {problem}")
        }
    }
}

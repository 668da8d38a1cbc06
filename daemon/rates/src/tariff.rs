//! Which prices of a table hold for a piece: the full ones of its class, or those of discounts that its run qualified for.

/// A class by its place in a table. It means nothing in another table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClassId(pub(crate) u16);

/// The class with the discounts that hold, by their places in a table. It means nothing in another table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tariff {
    pub(crate) class: ClassId,
    pub(crate) presort: Option<u8>,
    pub(crate) bundle: Option<u8>,
}

/// A name that the table has not.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// Of a class.
    #[error("table {table} has no class {name:?}; it has {known}")]
    Class {
        /// The table.
        table: String,
        /// The name.
        name: String,
        /// Those it has.
        known: String,
    },
    /// Of a discount of a class.
    #[error("class {class} has no discount {name:?}; it has {known}")]
    Discount {
        /// The class.
        class: String,
        /// The name.
        name: String,
        /// Those it has.
        known: String,
    },
    /// Two discounts of which a piece has at most one.
    #[error("the discounts {first} and {second} of class {class} are both for {sorting}; a piece has one of them")]
    Both {
        /// The class.
        class: String,
        /// One.
        first: String,
        /// The other.
        second: String,
        /// What for.
        sorting: crate::names::Sorting,
    },
    /// Of a surcharge.
    #[error("table {table} has no surcharge {name:?} that can be asked for; it has {known}")]
    Surcharge {
        /// The table.
        table: String,
        /// The name.
        name: String,
        /// Those it has.
        known: String,
    },
}

impl ClassId {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Tariff {
    /// The full prices of a class.
    pub const fn full(class: ClassId) -> Self {
        Self { class, presort: None, bundle: None }
    }

    /// The class.
    pub const fn class(self) -> ClassId {
        self.class
    }

    /// Whether no discount holds.
    pub const fn is_full(self) -> bool {
        self.presort.is_none() && self.bundle.is_none()
    }
}

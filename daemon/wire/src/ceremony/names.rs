//! Names of tokens and vendors' clients: the same rule as every name of the domain.

use psd::TenantName;
use psd::id::NameError;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                // One rule for every name, and one place for it.
                let judged: Result<TenantName, NameError> = text.parse();
                match judged {
                    Ok(_) => Ok(Self(text.into())),
                    Err(error) => Err(NameError { kind: $kind, ..error }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// A token, as the configuration of `psdd` calls it.
    TokenName, "token name"
);
name!(
    /// A client of a tenant, as its certificate names it.
    ClientName, "client name"
);

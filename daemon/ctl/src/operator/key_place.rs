//! Where an operator's private key is: in a file, or in a token by its URI (RFC 7512).

use super::{KeyFile, OperatorError};
use console::Term;
use psdd_operator_token::{TokenKey, TokenUri};
use psdd_wire::ceremony::OperatorKey;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use zeroize::Zeroizing;

/// As it was named on the command line. Debug shows no URI, which may hold a PIN.
#[derive(Clone)]
pub enum KeyPlace {
    /// PKCS#8 in PEM.
    File(PathBuf),
    /// A PKCS#11 URI, not read yet: what is wrong with it is told without repeating it.
    Token(Zeroizing<String>),
}

impl FromStr for KeyPlace {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if TokenUri::is_meant_by(text) {
            KeyPlace::Token(Zeroizing::new(text.to_owned()))
        } else {
            KeyPlace::File(text.into())
        })
    }
}

impl fmt::Debug for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyPlace::File(path) => write!(f, "File({})", path.display()),
            KeyPlace::Token(_) => f.write_str("Token(…)"),
        }
    }
}

impl KeyPlace {
    /// The key, ready to sign. Of a token, its PIN is asked for at the terminal where the URI does not say where it is.
    pub fn open(&self) -> Result<Box<dyn OperatorKey>, OperatorError> {
        Ok(match self {
            KeyPlace::File(path) => Box::new(KeyFile::read(path)?),
            KeyPlace::Token(uri) => Box::new(TokenKey::open(&token_uri(uri)?, &ask_pin)?),
        })
    }
}

/// Reads a URI and tells of what in it is ignored.
pub(super) fn token_uri(text: &str) -> Result<TokenUri, OperatorError> {
    let uri: TokenUri = text.parse().map_err(psdd_operator_token::TokenError::from)?;
    for name in &uri.ignored {
        eprintln!("psdctl: {name} in the URI of the key is not known and is ignored");
    }
    Ok(uri)
}

/// Asks at the terminal, without echo.
pub(super) fn ask_pin(token: &str) -> io::Result<Zeroizing<String>> {
    let term = Term::stderr();
    if !term.is_term() {
        return Err(io::Error::other("no terminal"));
    }
    term.write_str(&format!("PIN of token {token}: "))?;
    term.read_secure_line().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_a_file_unless_a_uri_names_it() {
        let Ok(file) = "pkcs11.key".parse::<KeyPlace>();
        assert!(matches!(&file, KeyPlace::File(path) if path.as_os_str() == "pkcs11.key"));
        let Ok(token) = "PKCS11:object=anna?pin-value=s3cret".parse::<KeyPlace>();
        assert!(matches!(token, KeyPlace::Token(_)));
        assert_eq!(format!("{token:?}"), "Token(…)");
        let Ok(wrong) = "pkcs11:type=private?pin-value=s3cret&pin-value=s3cret".parse::<KeyPlace>();
        let error = wrong.open().err().expect("a URI with two PINs").to_string();
        assert!(error.contains("pin-value stands there twice") && !error.contains("s3cret"), "{error}");
    }
}

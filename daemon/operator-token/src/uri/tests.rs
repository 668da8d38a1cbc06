//! The examples of RFC 7512 §3, and what is refused.

use super::*;

fn read(text: &str) -> TokenUri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    let blank = TokenUri::default;
    let file = |path: &str| Some(PinOrigin::File(path.into()));
    let rows = [
        ("pkcs11:", blank()),
        (
            "pkcs11:object=my-pubkey;type=public",
            TokenUri { object: some("my-pubkey"), object_type: Some(ObjectType::Public), ..blank() },
        ),
        (
            "pkcs11:object=my-key;type=private?pin-source=file:/etc/token",
            TokenUri {
                object: some("my-key"),
                object_type: Some(ObjectType::Private),
                pin: file("/etc/token"),
                ..blank()
            },
        ),
        (
            "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;\
             object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
            TokenUri {
                token: some("The Software PKCS#11 Softtoken"),
                manufacturer: some("Snake Oil, Inc."),
                model: some("1.0"),
                object: some("my-certificate"),
                object_type: Some(ObjectType::Cert),
                id: Some(vec![0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91]),
                serial: some(""),
                pin: file("/etc/token_pin"),
                ..blank()
            },
        ),
        (
            "pkcs11:object=my-sign-key;type=private?module-name=mypkcs11",
            TokenUri {
                object: some("my-sign-key"),
                object_type: Some(ObjectType::Private),
                module_name: some("mypkcs11"),
                ..blank()
            },
        ),
        (
            "pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1",
            TokenUri {
                object: some("my-sign-key"),
                object_type: Some(ObjectType::Private),
                module_path: Some("/mnt/libmypkcs11.so.1".into()),
                ..blank()
            },
        ),
        (
            "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.?pin-value=the-pin",
            TokenUri {
                token: some("Software PKCS#11 softtoken"),
                manufacturer: some("Snake Oil, Inc."),
                pin: Some(PinOrigin::Value(Zeroizing::new("the-pin".to_owned()))),
                ..blank()
            },
        ),
        ("pkcs11:slot-description=Sun%20Metaslot", TokenUri { slot_description: some("Sun Metaslot"), ..blank() }),
        (
            "pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;library-version=1.23",
            TokenUri {
                library_manufacturer: some("Snake Oil, Inc."),
                library_description: some("Soft Token Library"),
                library_version: Some((1, 23)),
                ..blank()
            },
        ),
        (
            "pkcs11:token=My%20token%25%20created%20by%20Joe;library-version=3;id=%01%02%03%Ba%dd%Ca%fe%04%05%06",
            TokenUri {
                token: some("My token% created by Joe"),
                library_version: Some((3, 0)),
                id: Some(vec![1, 2, 3, 0xba, 0xdd, 0xca, 0xfe, 4, 5, 6]),
                ..blank()
            },
        ),
        (
            "pkcs11:token=A%20name%20with%20a%20substring%20%25%3B;object=my-certificate;type=cert",
            TokenUri {
                token: some("A name with a substring %;"),
                object: some("my-certificate"),
                object_type: Some(ObjectType::Cert),
                ..blank()
            },
        ),
        (
            "pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1;object=my-certificate;type=cert",
            TokenUri {
                token: some("Name with a small A with acute: á"),
                object: some("my-certificate"),
                object_type: Some(ObjectType::Cert),
                ..blank()
            },
        ),
    ];
    for (text, wanted) in rows {
        assert_eq!(read(text), wanted, "{text}");
    }
}

#[test]
fn vendors_attributes_match_nothing_in_the_path_and_are_ignored_in_the_query() {
    let path = "pkcs11:token=my-token;object=my-certificate;type=cert;vendor-aaa=value-a";
    assert_eq!(path.parse::<TokenUri>(), Err(UriError::Unknown("vendor-aaa".to_owned())));
    let query = read("pkcs11:token=my-token?vendor-bbb=value-b&vendor-bbb=again&pin-value=1");
    assert_eq!(query.ignored, ["vendor-bbb", "vendor-bbb"]);
    assert!(query.pin.is_some());
}

#[test]
fn what_is_no_uri_says_why_and_never_repeats_a_value() {
    let value = |name, rule| UriError::Value { name, rule };
    let source = "is file:/ABSOLUTE/PATH, /ABSOLUTE/PATH or fd:NUMBER; no program is run for a PIN";
    let bare = |name: &str, problem| UriError::Encoding { name: name.to_owned(), problem };
    let rows = [
        ("file:/etc/token", UriError::Scheme),
        ("pkcs11", UriError::Scheme),
        ("pkcs11:token", UriError::NoAttribute(1, "path")),
        ("pkcs11:token=a;", UriError::NoAttribute(2, "path")),
        ("pkcs11:;token=a", UriError::NoAttribute(1, "path")),
        ("pkcs11:to%6ben=a", UriError::NoAttribute(1, "path")),
        ("pkcs11:token=a?pin-value=1&", UriError::NoAttribute(2, "query")),
        ("pkcs11:Token=a", UriError::Unknown("Token".to_owned())),
        ("pkcs11:pin-value=1234", UriError::Unknown("pin-value".to_owned())),
        ("pkcs11:token=a;token=a", UriError::Twice("token".to_owned())),
        ("pkcs11:?pin-value=1&pin-value=2", UriError::Twice("pin-value".to_owned())),
        ("pkcs11:?pin-value=1&pin-source=/p", UriError::TwoPins),
        ("pkcs11:?pin-source=/p&pin-value=1", UriError::TwoPins),
        ("pkcs11:token=a b", bare("token", EncodingError::Bare(' '))),
        ("pkcs11:token=a/b", bare("token", EncodingError::Bare('/'))),
        ("pkcs11:token=á", bare("token", EncodingError::Bare('á'))),
        ("pkcs11:token=a#b", bare("token", EncodingError::Bare('#'))),
        ("pkcs11:token=a%2", bare("token", EncodingError::Percent)),
        ("pkcs11:token=a%+1", bare("token", EncodingError::Percent)),
        ("pkcs11:?pin-value=12%G4", bare("pin-value", EncodingError::Percent)),
        ("pkcs11:token=%FF", value("token", "is UTF-8, percent-encoded")),
        ("pkcs11:type=private-key", value("type", "is public, private, cert, secret-key or data")),
        ("pkcs11:slot-id=+1", value("slot-id", "is a number")),
        ("pkcs11:slot-id=", value("slot-id", "is a number")),
        ("pkcs11:library-version=1.", value("library-version", "is MAJOR or MAJOR.MINOR, each 0 to 255")),
        ("pkcs11:library-version=1.2.3", value("library-version", "is MAJOR or MAJOR.MINOR, each 0 to 255")),
        ("pkcs11:library-version=256", value("library-version", "is MAJOR or MAJOR.MINOR, each 0 to 255")),
        ("pkcs11:?pin-source=%7C/usr/lib/pinomatic", value("pin-source", source)),
        ("pkcs11:?pin-source=|/usr/lib/pinomatic", value("pin-source", source)),
        ("pkcs11:?pin-source=pin.txt", value("pin-source", source)),
        ("pkcs11:?pin-source=file://elsewhere/pin", value("pin-source", source)),
        ("pkcs11:?pin-source=fd:x", value("pin-source", source)),
    ];
    for (text, wanted) in rows {
        assert_eq!(text.parse::<TokenUri>(), Err(wanted), "{text}");
    }
    assert!(!format!("{:?}", read("pkcs11:?pin-value=s3cret")).contains("s3cret"));
}

#[test]
fn pins_come_from_files_and_descriptors() {
    for (text, path) in [
        ("pkcs11:?pin-source=/run/pin", "/run/pin"),
        ("pkcs11:?pin-source=file:///run/pin", "/run/pin"),
        ("pkcs11:?pin-source=file://localhost/run/pin", "/run/pin"),
        ("PKCS11:?pin-source=file:/run/my%2520pin", "/run/my pin"),
    ] {
        assert_eq!(read(text).pin, Some(PinOrigin::File(path.into())), "{text}");
    }
    assert_eq!(read("pkcs11:?pin-source=fd:3").pin, Some(PinOrigin::Descriptor(3)));
}

#[test]
fn what_is_listed_can_be_given_again() {
    let label = "a label; with ?&=% and á/";
    let (id, text) = ([0_u8, 0x3b, 0xff], percent::encode(label.as_bytes()));
    let uri = read(&format!("pkcs11:object={text};id={}", percent::encode_all(&id)));
    assert_eq!((uri.object.as_deref(), uri.id.as_deref()), (Some(label), Some(&id[..])));
}

//! Requests in any valid encoding, and nothing but the contract.

use ciborium::value::{Integer, Value};
use psdd_wire::message::{PostalItem, Select, SignItem, SignRequest, SignTarget, ValueAuthorisation, ValueRequest};
use psdd_wire::{DecodeError, read};

pub fn cbor(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

pub fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| (Value::Text((*key).to_owned()), value.clone())).collect())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn number(number: u64) -> Value {
    Value::Integer(Integer::from(number))
}

/// A sign request with one item.
pub fn request() -> Value {
    let item = map(&[
        ("key", Value::Bytes(vec![1; 16])),
        ("date", text("2026-11-20")),
        ("rate", text("FCL")),
        ("postage", text("0.73")),
        ("weight", number(28)),
        ("recipient", text("A. Resident")),
        ("reference", text("r-1")),
        ("destination", text("20500-0003")),
    ]);
    map(&[
        ("psd", text("PS010000001")),
        ("items", Value::Array(vec![item])),
        ("checkpoint", text("psdd.log/a\n1\nAAAA\n")),
        ("all_or_none", Value::Bool(true)),
    ])
}

/// The request with another value under a key, of the item where the name begins with a dot.
fn with(path: &str, value: Option<Value>) -> Vec<u8> {
    let mut request = request();
    let (target, key) = match path.strip_prefix('.') {
        Some(key) => {
            let items = request.as_map_mut().unwrap().iter_mut().find(|(key, _)| *key == text("items")).unwrap();
            (&mut items.1.as_array_mut().unwrap()[0], key)
        }
        None => (&mut request, path),
    };
    let entries = target.as_map_mut().unwrap();
    entries.retain(|(name, _)| *name != text(key));
    entries.extend(value.map(|value| (text(key), value)));
    cbor(&request)
}

fn voucher_item() -> Value {
    map(&[
        ("key", Value::Bytes(vec![1; 16])),
        ("kind", text("ticket")),
        ("value", text("25.00")),
        ("holder", text("seat 12 B")),
        ("reference", text("r-1")),
        ("valid_from", text("2026-11-20")),
        ("valid_until", text("2027-11-20")),
    ])
}

fn reads(bytes: &[u8]) -> bool {
    read::<SignRequest<'_>>(bytes).is_ok()
}

#[test]
fn keys_may_stand_in_any_order_and_lengths_may_be_indefinite() {
    let mut backwards = request();
    backwards.as_map_mut().unwrap().reverse();
    let message: SignRequest<'_> = read(&cbor(&request())).map(|m: SignRequest<'_>| owned(&m)).unwrap();
    assert_eq!(format!("{message:?}"), format!("{:?}", read::<SignRequest<'_>>(&cbor(&backwards)).unwrap()));
    // {_ "amount": (_ "1", "2.5")}
    let bytes = b"\xbf\x66amount\x7f\x611\x632.5\xff\xff";
    assert_eq!(read::<ValueRequest<'_>>(bytes).unwrap().amount, "12.5");
    let bytes = b"\xbf\x66amount\x6412.5\xff";
    assert_eq!(read::<ValueRequest<'_>>(bytes).unwrap().amount, "12.5");
    // Lengths and numbers in more bytes than they need.
    let bytes = b"\xb8\x01\x78\x06amount\x78\x0412.5";
    assert_eq!(read::<ValueRequest<'_>>(bytes).unwrap().amount, "12.5");
}

fn owned(message: &SignRequest<'_>) -> SignRequest<'static> {
    let own = |text: &std::borrow::Cow<'_, str>| std::borrow::Cow::Owned(text.clone().into_owned());
    let item = |item: &SignItem<'_>| {
        let SignItem::Postal(item) = item else { panic!("not a postal item") };
        SignItem::Postal(PostalItem {
            token: false,
            key: item.key.to_vec().into(),
            date: own(&item.date),
            rate: own(&item.rate),
            weight: item.weight,
            postage: own(&item.postage),
            recipient: item.recipient.as_ref().map(own),
            reference: item.reference.as_ref().map(own),
            destination: own(&item.destination),
        })
    };
    SignRequest {
        target: match &message.target {
            SignTarget::Psd(psd) => SignTarget::Psd(own(psd)),
            SignTarget::Licence { licence, select } => SignTarget::Licence { licence: own(licence), select: *select },
        },
        items: message.items.iter().map(item).collect(),
        checkpoint: message.checkpoint.as_ref().map(own),
        all_or_none: message.all_or_none,
    }
}

#[test]
fn each_value_is_of_its_kind() {
    assert!(reads(&cbor(&request())));
    let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec());
    let sixteen = Value::Array((0..16).map(number).collect());
    let rows: [(&str, Value); 24] = [
        ("psd", number(1)),
        ("psd", bytes("PS010000001")),
        ("psd", Value::Array(vec![text("PS010000001")])),
        ("items", map(&[])),
        ("items", text("")),
        ("items", Value::Array(vec![number(1)])),
        ("items", Value::Array(vec![Value::Array(Vec::new())])),
        ("checkpoint", bytes("note")),
        ("checkpoint", Value::Null),
        ("all_or_none", number(1)),
        ("all_or_none", Value::Null),
        ("all_or_none", text("true")),
        (".key", text("0123456789abcdef")),
        (".key", sixteen),
        (".date", bytes("2026-11-20")),
        (".date", number(20_261_120)),
        (".rate", Value::Null),
        (".weight", text("28")),
        (".weight", Value::Float(28.0)),
        (".weight", Value::Integer(Integer::from(-1))),
        (".weight", Value::Null),
        (".postage", Value::Float(0.73)),
        (".recipient", bytes("A. Resident")),
        (".destination", number(20_500)),
    ];
    for (path, value) in rows {
        assert!(!reads(&with(path, Some(value.clone()))), "{path} = {value:?}");
    }
    let authorisation = |value| read::<ValueAuthorisation>(&cbor(&map(&[("authorisation", value)]))).is_ok();
    assert!(authorisation(Value::Bytes(vec![1])));
    assert!(!authorisation(text("a")) && !authorisation(Value::Array(vec![number(1)])));
    assert!(read::<ValueRequest<'_>>(&cbor(&map(&[("amount", bytes("1"))]))).is_err());
}

#[test]
fn fields_that_must_stand_and_fields_that_may() {
    for path in ["psd", "items", ".key", ".date", ".rate", ".postage", ".destination"] {
        assert!(!reads(&with(path, None)), "without {path}");
    }
    for path in ["checkpoint", "all_or_none", ".weight", ".recipient", ".reference"] {
        assert!(reads(&with(path, None)), "without {path}");
    }
}

#[test]
fn an_item_is_of_one_kind() {
    let request = |item: Value| cbor(&map(&[("psd", text("PS010000001")), ("items", Value::Array(vec![item]))]));
    let changed = |key: &str, value: Option<Value>| {
        let mut item = voucher_item();
        let entries = item.as_map_mut().unwrap();
        entries.retain(|(name, _)| *name != text(key));
        entries.extend(value.map(|value| (text(key), value)));
        request(item)
    };
    let bytes = request(voucher_item());
    let read_back: SignRequest<'_> = read(&bytes).unwrap();
    let SignItem::Voucher(item) = &read_back.items[0] else { panic!("{read_back:?}") };
    assert_eq!((&*item.kind, &*item.value, item.holder.as_deref()), ("ticket", "25.00", Some("seat 12 B")));
    assert_eq!(
        (&*item.valid_from, &*item.valid_until, item.reference.as_deref()),
        ("2026-11-20", "2027-11-20", Some("r-1"))
    );
    for key in ["key", "kind", "value", "valid_from", "valid_until"] {
        let error = read::<SignRequest<'_>>(&changed(key, None)).unwrap_err().to_string();
        assert!(error.contains(&format!("missing field `{key}`")), "{error}");
    }
    for key in ["holder", "reference"] {
        assert!(reads(&changed(key, None)), "without {key}");
    }
    for key in ["kind", "value", "holder", "valid_from", "valid_until", "reference"] {
        for value in [number(1), Value::Bytes(b"ticket".to_vec()), Value::Null] {
            assert!(!reads(&changed(key, Some(value.clone()))), "{key} = {value:?}");
        }
    }
    assert!(!reads(&changed("currency", Some(text("EUR")))), "an unknown key");
    for (key, value) in [
        ("date", text("2026-11-20")),
        ("rate", text("FCL")),
        ("weight", number(28)),
        ("postage", text("0.73")),
        ("recipient", text("A. Resident")),
        ("destination", text("20500")),
    ] {
        let error = read::<SignRequest<'_>>(&changed(key, Some(value))).unwrap_err().to_string();
        assert!(error.contains("not of both"), "{key}: {error}");
    }
    for (key, value) in [("kind", "ticket"), ("value", "1"), ("holder", "h"), ("valid_from", "x"), ("valid_until", "x")]
    {
        assert!(!reads(&with(&format!(".{key}"), Some(text(value)))), "mail with {key}");
    }
}

#[test]
fn a_request_names_a_psd_or_a_licence() {
    let target = |fields: &[(&str, Value)]| {
        let mut request = request();
        let entries = request.as_map_mut().unwrap();
        entries.retain(|(name, _)| *name != text("psd"));
        entries.extend(fields.iter().map(|(key, value)| (text(key), value.clone())));
        read::<SignRequest<'_>>(&cbor(&request))
            .map(|request| owned(&request).target)
            .map_err(|error| error.to_string())
    };
    let licence = |select| SignTarget::Licence { licence: "L-1".into(), select };
    assert_eq!(target(&[("psd", text("P"))]), Ok(SignTarget::Psd("P".into())));
    assert_eq!(target(&[("licence", text("L-1"))]), Ok(licence(Select::RoundRobin)));
    for select in Select::ALL {
        assert_eq!(target(&[("licence", text("L-1")), ("select", text(select.as_str()))]), Ok(licence(select)));
    }
    let rows = [
        (vec![], "either `psd` or `licence`"),
        (vec![("psd", text("P")), ("licence", text("L-1"))], "either `psd` or `licence`"),
        (vec![("select", text("zip"))], "either `psd` or `licence`"),
        (vec![("psd", text("P")), ("select", text("zip"))], "stands with `licence`"),
        (vec![("licence", text("L-1")), ("select", text("Zip"))], "round-robin, most-funds or zip"),
        (vec![("licence", text("L-1")), ("select", number(1))], "text string"),
        (vec![("licence", text("L-1")), ("select", Value::Null)], "null"),
        (vec![("licence", Value::Bytes(b"L-1".to_vec()))], "text string"),
    ];
    for (fields, wanted) in rows {
        let error = target(&fields).unwrap_err();
        assert!(error.contains(wanted), "{fields:?}: {error}");
    }
}

#[test]
fn keys_are_known_and_stand_once() {
    for path in ["more", ".more", "PSD", ".Key"] {
        assert!(
            matches!(read::<SignRequest<'_>>(&with(path, Some(number(1)))), Err(DecodeError::Message(_))),
            "{path}"
        );
    }
    let twice = b"\xa2\x66amount\x611\x66amount\x612";
    assert!(matches!(read::<ValueRequest<'_>>(twice), Err(DecodeError::Message(_))));
}

#[test]
fn each_shape_that_no_message_has_is_refused_by_name() {
    let rows: [(&str, &[u8], &str); 16] = [
        ("an array", b"\x81\x611", "a message is a map"),
        ("a number", b"\x01", "a message is a map"),
        ("a tagged map", b"\xc1\xa1\x66amount\x611", "a message is a map"),
        ("a tagged value", b"\xa1\x66amount\xc1\x611", "no message has tags"),
        ("self-described CBOR", b"\xd9\xd9\xf7\xa1\x66amount\x611", "a message is a map"),
        ("a number for a name", b"\xa1\x00\x611", "keys of a map are text"),
        ("bytes for a name", b"\xa1\x46amount\x611", "keys of a map are text"),
        ("an array in an array", b"\xa1\x65items\x81\x80", "no message has an array in an array"),
        ("null", b"\xa1\x66amount\xf6", "no message has null or undefined"),
        ("undefined", b"\xa1\x66amount\xf7", "no message has null or undefined"),
        ("a lone break", b"\xff", "a break stands where none may"),
        ("a break in a definite map", b"\xa1\xff", "a break stands where none may"),
        ("a break after a key", b"\xbf\x66amount\xff", "a break stands where none may"),
        ("a number in an indefinite text", b"\xa1\x66amount\x7f\x01\xff", "an indefinite string holds something else"),
        ("bytes after the message", b"\xa1\x66amount\x611\x00", "bytes follow the message"),
        ("six maps in each other", b"\xa1\x61a\xa1\x61a\xa1\x61a\xa1\x61a\xa1\x61a\xa0", "nested deeper than 4 levels"),
    ];
    for (name, bytes, wanted) in rows {
        let error = read::<ValueRequest<'_>>(bytes).unwrap_err().to_string();
        assert!(error.contains(wanted), "{name}: {error}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = cbor(&request());
    for end in 0..bytes.len() {
        assert!(matches!(read::<SignRequest<'_>>(&bytes[..end]), Err(DecodeError::Truncated)), "{end} bytes");
    }
}

#[test]
fn lengths_without_end_cost_nothing() {
    // Maps and arrays and strings announced with up to 2^64 - 1 entries.
    for head in [&b"\xbb"[..], b"\xa1\x65items\x9b", b"\xa1\x66amount\x7b", b"\xa1\x66amount\x5b"] {
        let bytes = [head, &[0xff; 8]].concat();
        assert!(read::<SignRequest<'_>>(&bytes).is_err());
    }
}

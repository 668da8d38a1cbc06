//! What is not a request of the contract, and what is one in an unusual encoding.

use crate::client::{CBOR, Reply, code_of, day, item, items, key, outcomes, request};
use crate::contract::V;
use crate::{run, shared};
use psd::PsdId;

fn well_formed(psd: PsdId) -> V {
    V::map([("psd", V::Text(psd.to_string())), ("items", V::Array(vec![item("0.73")]))])
}

/// The first item changed.
fn with_item(psd: PsdId, change: impl FnOnce(V) -> V) -> V {
    well_formed(psd).with("items", V::Array(vec![change(item("0.73"))]))
}

/// An array in an array, so deep.
fn deep(levels: usize) -> V {
    (0..levels).fold(V::Int(0), |inner, _| V::Array(vec![inner]))
}

fn deep_maps(levels: usize) -> V {
    (0..levels).fold(V::Int(0), |inner, _| V::map([("a", inner)]))
}

fn truncated(psd: PsdId, by: usize) -> Vec<u8> {
    let mut bytes = well_formed(psd).encode();
    bytes.truncate(bytes.len() - by);
    bytes
}

/// Bodies that are refused as a whole, as malformed.
fn malformed(psd: PsdId) -> Vec<(&'static str, Vec<u8>)> {
    let good = well_formed(psd);
    let bytes = good.encode();
    let entry = |key: &str, value: V| [V::text(key).encode(), value.encode()].concat();
    let psd_entry = entry("psd", V::Text(psd.to_string()));
    let items_entry = entry("items", V::Array(vec![item("0.73")]));
    let joined = |parts: &[&[u8]]| parts.concat();
    let tagged_item = [&[0xc0][..], &item("0.73").encode()].concat();
    let in_item = |key: &'static str, value: V| with_item(psd, |item| item.with(key, value)).encode();
    let uuid_as_array = V::Array(key().iter().map(|byte| V::Int(i128::from(*byte))).collect());
    vec![
        ("nothing", Vec::new()),
        ("text", b"psd=PS01".to_vec()),
        ("JSON", br#"{"psd":"PS010000001","items":[]}"#.to_vec()),
        ("one byte short", truncated(psd, 1)),
        ("half", bytes[..bytes.len() / 2].to_vec()),
        ("only the head of a map", vec![0xa2]),
        ("a map that announces 2^64 - 1 entries", joined(&[&[0xbb], &[0xff; 8]])),
        (
            "an array that announces 2^64 - 1 items",
            joined(&[&[0xa2], &psd_entry, &V::text("items").encode(), &[0x9b], &[0xff; 8]]),
        ),
        ("a string that announces 2^63 bytes", joined(&[&[0xa1], &V::text("psd").encode(), &[0x7b, 0x7f], &[0xff; 7]])),
        ("a trailing byte", joined(&[&bytes, &[0]])),
        ("two messages", joined(&[&bytes, &bytes])),
        ("an array for the map", V::Array(vec![V::Text(psd.to_string()), V::Array(vec![item("0.73")])]).encode()),
        ("an array for an item", with_item(psd, |_| V::Array(vec![V::Bytes(key().to_vec()), V::text("x")])).encode()),
        ("a map for the items", good.clone().with("items", V::map([("0", item("0.73"))])).encode()),
        ("an integer", vec![0x05]),
        ("self-described CBOR", joined(&[&[0xd9, 0xd9, 0xf7], &bytes])),
        ("a tagged item", joined(&[&[0xa2], &psd_entry, &V::text("items").encode(), &[0x81], &tagged_item])),
        ("a tagged text", in_item("date", V::Raw([&[0xc0][..], &V::Text(day(0)).encode()].concat()))),
        ("a key twice", joined(&[&[0xa3], &psd_entry, &psd_entry, &items_entry])),
        ("the items twice", joined(&[&[0xa3], &items_entry, &psd_entry, &items_entry])),
        (
            "an item's field twice",
            joined(&[&[0xa2], &psd_entry, &V::text("items").encode(), &[0x81], &{
                let mut twice = item("0.73").encode();
                twice[0] += 1;
                twice.extend(entry("postage", V::text("0.01")));
                twice
            }]),
        ),
        ("an unknown field", good.clone().with("surplus", V::Int(1)).encode()),
        ("an unknown field of an item", in_item("surplus", V::Int(1))),
        ("a field in capitals", good.clone().without("psd").with("PSD", V::Text(psd.to_string())).encode()),
        (
            "integer keys",
            V::Map(vec![(V::Int(0), V::Text(psd.to_string())), (V::Int(1), V::Array(vec![item("0.73")]))]).encode(),
        ),
        ("integer keys of an item", with_item(psd, |_| V::Map(vec![(V::Int(0), V::Bytes(key().to_vec()))])).encode()),
        ("byte string keys", V::Map(vec![(V::Bytes(b"psd".to_vec()), V::Text(psd.to_string()))]).encode()),
        ("a map as a key", V::Map(vec![(V::map([]), V::Int(0))]).encode()),
        ("no psd", good.clone().without("psd").encode()),
        ("no items", good.clone().without("items").encode()),
        ("an item without a key", with_item(psd, |item| item.without("key")).encode()),
        ("an item without postage", with_item(psd, |item| item.without("postage")).encode()),
        ("an empty item", with_item(psd, |_| V::map([])).encode()),
        ("postage as an integer", in_item("postage", V::Int(1))),
        ("postage as a float", in_item("postage", V::Raw(vec![0xfb, 0x3f, 0xe7, 0x5c, 0x28, 0xf5, 0xc2, 0x8f, 0x5c]))),
        ("postage as bytes", in_item("postage", V::Bytes(b"0.73".to_vec()))),
        ("the key as text", in_item("key", V::text("0123456789abcdef"))),
        ("the key as an array of integers", in_item("key", uuid_as_array)),
        ("weight below zero", in_item("weight", V::Int(-1))),
        ("weight as a float", in_item("weight", V::Raw(vec![0xf9, 0x4e, 0x00]))),
        ("weight as a bignum", in_item("weight", V::Raw(vec![0xc2, 0x41, 0x01]))),
        ("weight null", in_item("weight", V::Raw(vec![0xf6]))),
        ("recipient null", in_item("recipient", V::Raw(vec![0xf6]))),
        ("reference undefined", in_item("reference", V::Raw(vec![0xf7]))),
        ("checkpoint null", good.clone().with("checkpoint", V::Raw(vec![0xf6])).encode()),
        ("all_or_none as an integer", good.clone().with("all_or_none", V::Int(1)).encode()),
        ("all_or_none null", good.clone().with("all_or_none", V::Raw(vec![0xf6])).encode()),
        ("a simple value", in_item("weight", V::Raw(vec![0xf8, 0xff]))),
        ("reserved additional information", in_item("weight", V::Raw(vec![0x1c]))),
        ("a break for a value", in_item("weight", V::Raw(vec![0xff]))),
        ("text that is not UTF-8", in_item("date", V::Raw(vec![0x62, 0xc3, 0x28]))),
        ("a character cut by chunks", in_item("reference", V::Raw(vec![0x7f, 0x61, 0xc3, 0x61, 0xa9, 0xff]))),
        ("chunks of another kind", in_item("reference", V::Raw(vec![0x7f, 0x41, 0x61, 0xff]))),
        ("indefinite chunks in chunks", in_item("reference", V::Raw(vec![0x7f, 0x7f, 0x61, 0x61, 0xff, 0xff]))),
        ("a map that ends after a key", joined(&[&[0xbf], &V::text("psd").encode(), &[0xff]])),
        ("an indefinite map without an end", joined(&[&[0xbf], &psd_entry, &items_entry])),
        ("items nested 8 deep", good.clone().with("items", deep(8)).encode()),
        ("maps nested 64 deep", good.clone().with("items", V::Array(vec![deep_maps(64)])).encode()),
        ("arrays nested 100,000 deep", joined(&[&[0xa1], &V::text("items").encode(), &vec![0x81; 100_000], &[0x00]])),
        ("indefinite arrays nested 100,000 deep", joined(&[&[0xa1], &V::text("items").encode(), &vec![0x9f; 100_000]])),
    ]
}

#[test]
fn what_is_not_a_request_is_malformed() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    run(async {
        let wire = shared.caller().connect().await;
        let before = wire.registers(psd).await;
        for (name, body) in malformed(psd) {
            let Reply { status, body } = wire.post("/v1/indicia", &body).await;
            assert_eq!(status, 400, "{name}: {body:?}");
            assert_eq!(code_of(&body), "malformed", "{name}: {body:?}");
            assert_eq!(wire.registers(psd).await, before, "{name}");
        }
        for (path, field) in [("value-requests", "amount"), ("value-authorisations", "authorisation")] {
            let path = format!("/v1/psds/{psd}/{path}");
            let rows = [
                ("empty", Vec::new()),
                ("an empty map", V::map([]).encode()),
                ("an integer", V::map([(field, V::Int(5))]).encode()),
                ("an array", V::Array(vec![V::text("5")]).encode()),
                ("an array of integers", V::map([(field, V::Array(vec![V::Int(5)]))]).encode()),
                ("an unknown field", V::map([(field, V::text("5")), ("surplus", V::Int(5))]).encode()),
                ("null", V::map([(field, V::Raw(vec![0xf6]))]).encode()),
            ];
            for (name, body) in rows {
                let reply = wire.post(&path, &body).await;
                assert_eq!((reply.status, code_of(&reply.body)), (400, "malformed"), "{path}: {name}");
            }
            let authorisation = V::map([("authorisation", V::text("5"))]).encode();
            let reply = wire.post(&path, &authorisation).await;
            assert_eq!((reply.status, code_of(&reply.body)), (400, "malformed"), "{path}: text for bytes");
        }
        assert_eq!(wire.registers(psd).await, before);
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.73")]).await), ["signed"]);
    });
}

#[test]
fn any_valid_encoding_is_read() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    run(async {
        let wire = shared.caller().connect().await;
        let full = item("0.73")
            .with("weight", V::Int(28))
            .with("recipient", V::text("Ärztehaus, 1 Any Street"))
            .with("reference", V::text("r-000000000000001"));
        let message = V::map([
            ("psd", V::Text(psd.to_string())),
            ("items", V::Array(vec![full.clone()])),
            ("all_or_none", V::Bool(false)),
        ]);
        let V::Map(mut entries) = message.clone() else { unreachable!() };
        entries.reverse();
        let V::Map(mut fields) = full else { unreachable!() };
        fields.reverse();
        let mut wide = fields.clone();
        for (name, value) in &mut wide {
            // Every length and integer in nine bytes.
            let long = |major: u8, n: usize| {
                [&[major << 5 | 27][..], &u64::try_from(n).expect("small").to_be_bytes()].concat()
            };
            *value = match &*value {
                V::Text(text) => V::Raw([long(3, text.len()), text.clone().into_bytes()].concat()),
                V::Bytes(bytes) => V::Raw([long(2, bytes.len()), bytes.clone()].concat()),
                V::Int(n) => V::Raw(long(0, usize::try_from(*n).expect("small"))),
                other => other.clone(),
            };
            *name = V::Raw([long(3, name.str().len()), name.str().as_bytes().to_vec()].concat());
        }
        let with_fields = |fields: Vec<(V, V)>| message.clone().with("items", V::Array(vec![V::Map(fields)]));
        let first = wire.post("/v1/indicia", &message.encode()).await;
        let rows = [
            ("indefinite lengths everywhere", message.encode_indefinite()),
            ("entries in another order", V::Map(entries).encode()),
            ("fields in another order", with_fields(fields).encode()),
            ("the longest heads", with_fields(wide).encode()),
        ];
        let after = wire.registers(psd).await;
        for (name, bytes) in rows {
            let reply = wire.post("/v1/indicia", &bytes).await;
            assert_eq!(reply.status, 200, "{name}: {:?}", reply.body);
            assert_eq!(
                reply.body.get("results"),
                first.body.get("results"),
                "{name}: the same item, so the same piece"
            );
        }
        assert_eq!(wire.registers(psd).await, after, "nothing was debited twice");
        assert_eq!(after.pieces, 1);
    });
}

#[test]
fn routes_methods_and_media_are_as_documented() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    run(async {
        let wire = shared.caller().connect().await;
        let before = wire.registers(psd).await;
        let good = request(psd, &items(1, "0.73"), false);
        let view = format!("/v1/psds/{psd}");
        type Row<'a> = (&'a str, &'a str, Option<&'a str>, &'a [u8], u16, &'a str);
        let rows: [Row<'_>; 24] = [
            ("GET", "/", None, &[], 404, "no-such-route"),
            ("GET", "/v1", None, &[], 404, "no-such-route"),
            ("GET", "/v2/psds", None, &[], 404, "no-such-route"),
            ("GET", "/v1/psds/", None, &[], 404, "psd-unknown"),
            ("GET", "/v1//psds", None, &[], 404, "no-such-route"),
            ("GET", "/v1/psds/../appliance", None, &[], 404, "no-such-route"),
            ("GET", "/v1/psds/%50S010000000001", None, &[], 404, "psd-unknown"),
            ("GET", "/v1/psds/PS019999999999", None, &[], 404, "psd-unknown"),
            ("GET", "/v1/psds/x", None, &[], 404, "psd-unknown"),
            ("GET", "/v1/psds/x/certificates", None, &[], 404, "psd-unknown"),
            ("GET", "/v1/psds/x/keys", None, &[], 404, "no-such-route"),
            ("GET", "/v1/indicia/x", None, &[], 400, "key-not-uuid7"),
            ("GET", "/v1/indicia/f81d4fae-7dec-11d0-a765-00a0c91e6bf6", None, &[], 400, "key-not-uuid7"),
            ("GET", "/v1/indicia/019a9f00-0000-7000-8000-000000000000", None, &[], 404, "key-unknown"),
            ("PUT", "/v1/indicia", Some(CBOR), &good, 405, "method-not-allowed"),
            ("DELETE", &view, None, &[], 405, "method-not-allowed"),
            ("PATCH", "/v1/appliance", None, &[], 405, "method-not-allowed"),
            ("GET", "/v1/indicia", None, &[], 405, "method-not-allowed"),
            ("POST", "/v1/appliance", Some(CBOR), &good, 405, "method-not-allowed"),
            ("POST", &view, Some(CBOR), &good, 405, "method-not-allowed"),
            ("POST", "/v1/indicia", None, &good, 415, "unsupported-media-type"),
            ("POST", "/v1/indicia", Some("application/json"), &good, 415, "unsupported-media-type"),
            ("POST", "/v1/indicia", Some("application/cbor-seq"), &good, 415, "unsupported-media-type"),
            (
                "POST",
                "/v1/psds/PS019999999999/value-requests",
                Some(CBOR),
                &V::map([("amount", V::text("1"))]).encode(),
                404,
                "psd-unknown",
            ),
        ];
        for (method, path, media, body, status, code) in rows {
            let reply = wire.ask(method, path, media, body).await;
            assert_eq!(
                (reply.status, code_of(&reply.body)),
                (status, code),
                "{method} {path} {media:?}: {:?}",
                reply.body
            );
        }
        for (id, code) in [("PS019999999999", "psd-unknown"), ("", "psd-unknown"), ("ps010000001", "psd-unknown")] {
            let body = V::map([("psd", V::text(id)), ("items", V::Array(items(2, "0.73")))]).encode();
            let reply = wire.post("/v1/indicia", &body).await;
            assert_eq!((reply.status, code_of(&reply.body)), (404, code), "{id:?}");
        }
        assert_eq!(wire.registers(psd).await, before);
        for path in ["/v1/psds", "/v1/appliance", &view, &format!("{view}/certificates")] {
            assert_eq!(wire.get(path).await.status, 200, "{path}");
        }
        // A query is no part of a route.
        assert_eq!(wire.get(&format!("{view}?x=1")).await.status, 200);
    });
}

#[test]
fn bodies_and_batches_have_a_largest_size() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    run(async {
        let wire = shared.caller().connect().await;
        let before = wire.registers(psd).await;
        for count in [0, 4097] {
            let reply = wire.post("/v1/indicia", &request(psd, &items(count, "0.01"), false)).await;
            assert_eq!((reply.status, code_of(&reply.body)), (400, "item-count"), "{count} items");
        }
        // HTTP/2 with the length announced.
        let large = vec![0; 2 * 1024 * 1024 + 1];
        let reply = wire.post("/v1/indicia", &large).await;
        assert_eq!((reply.status, code_of(&reply.body)), (413, "body-too-large"));
        assert_eq!(wire.registers(psd).await, before);
        // HTTP/1.1 without, in chunks: refused as soon as it is too long.
        let head = "POST /v1/indicia HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cbor\r\n";
        let mut chunked = format!("{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n").into_bytes();
        for _ in 0..33 {
            chunked.extend_from_slice(b"10000\r\n");
            chunked.extend_from_slice(&vec![0; 0x10000]);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let answer = shared.caller().http1(&chunked).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:.200}");
        // A length that is announced and never comes is refused before it is waited for.
        let announced = format!("{head}Content-Length: 99999999999\r\n\r\n");
        let answer = shared.caller().http1(announced.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:.200}");
        // The most items there may be, the largest they may be, still go through.
        let longest =
            item("0.01").with("recipient", V::Text("x".repeat(512))).with("reference", V::Text("y".repeat(64)));
        let some: Vec<V> = (0..64).map(|_| longest.clone().with("key", V::Bytes(key().to_vec()))).collect();
        assert!(outcomes(&wire.sign(psd, &some).await).iter().all(|outcome| *outcome == "signed"));
        let most = items(4096, "0.01");
        assert!(outcomes(&wire.sign(psd, &most).await).iter().all(|outcome| *outcome == "signed"));
        assert_eq!(wire.registers(psd).await, before.after(&[10; 4096 + 64]));
    });
}

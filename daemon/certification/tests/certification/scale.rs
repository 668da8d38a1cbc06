//! Which scales count, and which readings of them.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use psd::UnixMillis;
use psdd_certification::scale::{
    Freshness, LONGEST_REGISTRY, Milligrams, Reading, ReadingError, Registry, Signing, Standing,
};
use psdd_wire::cose::CoseError;
use psdd_wire::scale::ReadingClaims;

/// 2026-11-20T12:00:00Z.
const NOON: UnixMillis = UnixMillis(1_795_176_000_000);
const DAY: u64 = 86_400_000;
const FRESH: Freshness = Freshness { max_age_ms: 60_000, max_ahead_ms: 2_000 };

const PLAIN: &str = "[[scale]]
id = \"dock-1\"
maker = \"Example Waagen\"
model = \"EW 60\"
site = \"Dock 1\"
certificate = \"D-K-15000-2026-07\"
issuer = \"Example Calibration Laboratory\"
valid_from = 2026-11-01
valid_until = 2026-11-30
capacity_mg = 60_000_000
minimum_mg = 20_000
resolution_mg = 1_000
";

/// A scale's key.
struct Key {
    pair: Ed25519KeyPair,
    spki: Vec<u8>,
}

impl Key {
    fn new() -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key");
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
        let spki = der.as_ref().to_vec();
        Self { pair, spki }
    }

    /// What the file says of it.
    fn lines(&self, signed: &str) -> String {
        format!("signed = \"{signed}\"\npublic_key = \"{}\"\n", STANDARD.encode(&self.spki))
    }

    /// Its word for a reading.
    fn signed(&self, scale: &str, weight: i64, time: UnixMillis) -> Vec<u8> {
        let claims = ReadingClaims { time: time.0, scale: scale.parse().expect("a name"), weight };
        let message = claims.unsigned(&self.spki).expect("Ed25519");
        let signature = self.pair.sign(&message.to_be_signed());
        message.with_signature(signature.as_ref())
    }
}

fn parsed(text: &str) -> Registry {
    Registry::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn reading(weight_mg: i64, taken_at: UnixMillis) -> Reading {
    Reading { scale: "dock-1".parse().expect("a name"), weight_mg, taken_at, signature: None }
}

#[test]
fn a_scale_is_what_its_entry_says() {
    let key = Key::new();
    let text = format!("{PLAIN}{}", key.lines("required"));
    let registry = parsed(&text);
    assert_eq!(registry.digest(), psdd_wire::sha256(text.as_bytes()));
    let scales: Vec<_> = registry.scales().collect();
    let [scale] = scales.as_slice() else { panic!("one scale") };
    assert_eq!(
        (scale.id().as_str(), scale.maker(), scale.model(), scale.site()),
        ("dock-1", "Example Waagen", "EW 60", "Dock 1")
    );
    let calibration = scale.calibration();
    assert_eq!(
        (calibration.certificate(), calibration.issuer()),
        ("D-K-15000-2026-07", "Example Calibration Laboratory")
    );
    assert_eq!(
        (calibration.from().to_string(), calibration.until().to_string()),
        ("2026-11-01".to_owned(), "2026-11-30".to_owned())
    );
    assert_eq!(
        (scale.capacity(), scale.minimum(), scale.resolution()),
        (Milligrams(60_000_000), Milligrams(20_000), Milligrams(1_000))
    );
    assert_eq!(scale.signing(), &Signing::Required(key.spki.clone().into()));
    let pem = "public_key = '''\n-----BEGIN PUBLIC KEY-----\n#\n-----END PUBLIC KEY-----\n'''\nsigned = \"optional\"\n";
    let optional = parsed(&format!("{PLAIN}{}", pem.replace('#', &STANDARD.encode(&key.spki))));
    let expected = Signing::Optional(key.spki.into());
    assert_eq!(optional.scale(scale.id()).expect("the scale").signing(), &expected);
}

#[test]
fn a_registry_that_is_wrong_is_refused_with_line_and_field() {
    let key = Key::new();
    let spki_of = |algorithm| {
        let pair = EcdsaKeyPair::generate(algorithm).expect("a key");
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
        der.as_ref().to_vec()
    };
    let p384 = STANDARD.encode(spki_of(&ECDSA_P384_SHA384_FIXED_SIGNING));
    let mut beside = spki_of(&ECDSA_P256_SHA256_FIXED_SIGNING);
    *beside.last_mut().expect("bytes") ^= 1;
    let with = |from: &str, to: &str| {
        assert!(PLAIN.contains(from), "{from}");
        PLAIN.replace(from, to)
    };
    let keyed = |key: &str| format!("{PLAIN}signed = \"optional\"\npublic_key = \"{key}\"\n");
    let rows = [
        (String::new(), "missing field `scale`"),
        (format!("{PLAIN}colour = \"red\"\n"), "line 13: scale.colour: unknown field `colour`"),
        (format!("# all of them\nscales = 1\n{PLAIN}"), "line 2: scales: unknown field `scales`"),
        (with("site = \"Dock 1\"\n", ""), "missing field `site`"),
        (with("dock-1", "dock 1"), "line 2: scale.id: \"dock 1\" is not a valid scale id"),
        (with("Example Waagen", " "), "line 3: scale.maker: a line of 1 to 80 characters"),
        (with("EW 60", &"w".repeat(81)), "line 4: scale.model: a line of 1 to 80 characters"),
        (with("Dock 1", "Dock\\n1"), "line 5: scale.site: a line of 1 to 80 characters"),
        (with("2026-11-01", "2026-11-01T00:00:00Z"), "line 8: scale.valid_from: 2026-11-01T00:00:00Z is no day"),
        (with("2026-11-30", "2026-10-31"), "line 1: scale.valid_until: the calibration ends before it begins"),
        (with("= 1_000\n", "= 0\n"), "line 1: scale.resolution_mg: a scale resolves one milligram or more"),
        (with("60_000_000", "60_000_001"), "line 1: scale.capacity_mg: the capacity is a multiple of resolution_mg"),
        (with("60_000_000", "0"), "line 1: scale.capacity_mg: the capacity is a multiple of resolution_mg"),
        (with("60_000_000", "-1"), "line 10: scale.capacity_mg: invalid value"),
        (with("= 20_000\n", "= 60_001_000\n"), "line 1: scale.minimum_mg: the smallest load is above capacity_mg"),
        (format!("{PLAIN}signed = \"required\"\n"), "line 1: scale.signed: there is no public_key"),
        (format!("{PLAIN}public_key = \"{}\"\n", STANDARD.encode(&key.spki)), "line 1: scale.public_key: say whether"),
        (keyed("no key!"), "line 14: scale.public_key: no public key in PEM"),
        (keyed(&p384), "line 14: scale.public_key: not a SubjectPublicKeyInfo of a key on P-256"),
        (keyed(&STANDARD.encode(&beside)), "line 14: scale.public_key: not a SubjectPublicKeyInfo of a key on P-256"),
        (format!("{PLAIN}{PLAIN}"), "line 13: scale.id: there are two scales dock-1"),
        (
            format!("{PLAIN}{0}{1}{0}", key.lines("optional"), PLAIN.replace("dock-1", "dock-2")),
            "line 15: scale.public_key: another scale has this key",
        ),
        (format!("# \u{202e}\n{PLAIN}"), "line 1: (file): holds the invisible character U+202E"),
        (format!("{PLAIN}#{}", " ".repeat(LONGEST_REGISTRY)), "bytes, at most 1048576 are read"),
    ];
    for (text, expected) in rows {
        let error = Registry::parse(text.as_bytes()).map(|_| ()).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}\nnot: {expected}");
    }
    let many: String = (0..=1_000).map(|n| PLAIN.replace("dock-1", &format!("dock-{n}"))).collect();
    let error = Registry::parse(many.as_bytes()).map(|_| ()).expect_err("too many").to_string();
    assert!(error.contains("1001 scales, and there are 1000 at most"), "{error}");
}

#[test]
fn a_calibration_holds_from_its_first_day_to_the_end_of_its_last() {
    let registry = parsed(PLAIN);
    let at = |day: i64, ms: i64| {
        UnixMillis(u64::try_from(i64::try_from(NOON.0).expect("small") + day * 86_400_000 + ms).expect("later"))
    };
    let half = 43_200_000;
    let standing = |now| registry.status(now, 10)[0].standing;
    let rows = [
        (at(-19, -half - 1), Standing::NotYetValid { days: 1 }),
        (at(-20, -half - 1), Standing::NotYetValid { days: 2 }),
        (at(-19, -half), Standing::Valid),
        (at(0, half - 1), Standing::Valid),
        (at(0, half), Standing::Due { days: 10 }),
        (at(10, half - 1), Standing::Due { days: 1 }),
        (at(10, half), Standing::Overdue { days: 1 }),
        (at(11, half), Standing::Overdue { days: 2 }),
    ];
    for (now, expected) in rows {
        assert_eq!(standing(now), expected, "{now}");
        let judged = registry.judge(&reading(21_000, now), now, FRESH);
        assert_eq!(judged.is_ok(), expected.is_current(), "{now}");
        match (expected, judged) {
            (Standing::NotYetValid { .. }, Err(ReadingError::NotYetValid { .. }))
            | (Standing::Overdue { .. }, Err(ReadingError::Overdue { .. }))
            | (Standing::Valid | Standing::Due { .. }, Ok(_)) => {}
            (_, judged) => panic!("{now}: {judged:?}"),
        }
    }
    // Weighed in time and judged too late, or weighed by a clock that is ahead of the beginning.
    let ends = at(10, half);
    let late = registry.judge(&reading(21_000, UnixMillis(ends.0 - 1)), ends, FRESH);
    assert!(matches!(late, Err(ReadingError::Overdue { .. })), "{late:?}");
    let begins = at(-19, -half);
    let early = registry.judge(&reading(21_000, UnixMillis(begins.0 - 1)), begins, FRESH);
    assert!(matches!(early, Err(ReadingError::NotYetValid { .. })), "{early:?}");
}

#[test]
fn readings_are_refused_by_age_and_range() {
    let registry = parsed(PLAIN);
    let judged = |reading: &Reading| registry.judge(reading, NOON, FRESH);
    let weighed = judged(&reading(28_000, NOON)).expect("a weight");
    assert_eq!((weighed.scale().as_str(), weighed.weight(), weighed.taken_at()), ("dock-1", Milligrams(28_000), NOON));
    assert!(!weighed.is_signed());
    let refusal = |weight, at: u64| {
        judged(&reading(weight, UnixMillis(at))).map(|weighed| weighed.weight()).map_err(|error| error.to_string())
    };
    for good in [20_000, 21_000, 59_999_000, 60_000_000] {
        assert!(refusal(good, NOON.0).is_ok(), "{good}");
    }
    for (age, counts) in [(60_000, true), (60_001, false)] {
        assert_eq!(refusal(21_000, NOON.0 - age).is_ok(), counts, "{age} ms old");
    }
    for (ahead, counts) in [(2_000, true), (2_001, false)] {
        assert_eq!(refusal(21_000, NOON.0 + ahead).is_ok(), counts, "{ahead} ms ahead");
    }
    let rows = [
        (21_000, NOON.0 - 60_001, "is 60001 ms old, at most 60000 ms are allowed"),
        (21_000, u64::MAX, "set the clock of scale dock-1"),
        (-1_000, NOON.0, "reads -1000 mg; set it to zero"),
        (i64::MIN, NOON.0, "set it to zero"),
        (19_000, NOON.0, "19 g is below what scale dock-1 weighs (20 g)"),
        (0, NOON.0, "0 g is below"),
        (60_001_000, NOON.0, "60001 g is above what scale dock-1 weighs (60000 g)"),
        (i64::MAX, NOON.0, "is above"),
        (21_500, NOON.0, "reads in steps of 1 g, and 21.5 g is none"),
        // The first that applies: age before range, range before steps.
        (-1, NOON.0 - 60_001, "is 60001 ms old"),
        (19_500, NOON.0, "is below"),
    ];
    for (weight, at, expected) in rows {
        let error = refusal(weight, at).expect_err(expected);
        assert!(error.contains(expected), "{error}\nnot: {expected}");
    }
    let other = Reading { scale: "dock-2".parse().expect("a name"), ..reading(21_000, NOON) };
    assert!(matches!(judged(&other), Err(ReadingError::UnknownScale(scale)) if scale.as_str() == "dock-2"));
}

#[test]
fn a_signed_reading_is_its_scales_word_for_this_reading() {
    let (key, other) = (Key::new(), Key::new());
    let never = parsed(PLAIN);
    let optional = parsed(&format!("{PLAIN}{}", key.lines("optional")));
    let required = parsed(&format!("{PLAIN}{}", key.lines("required")));
    let judged = |registry: &Registry, signature: Option<Vec<u8>>| {
        registry.judge(&Reading { signature, ..reading(28_000, NOON) }, NOON, FRESH)
    };
    let good = key.signed("dock-1", 28_000, NOON);
    assert!(judged(&optional, Some(good.clone())).expect("a weight").is_signed());
    assert!(judged(&required, Some(good.clone())).expect("a weight").is_signed());
    assert!(!judged(&optional, None).expect("a weight").is_signed());
    assert!(matches!(judged(&required, None), Err(ReadingError::Unsigned(_))));
    assert!(matches!(judged(&never, Some(good.clone())), Err(ReadingError::NoKey(_))));
    let mut altered = good.clone();
    *altered.last_mut().expect("bytes") ^= 1;
    for (signature, why) in [
        (other.signed("dock-1", 28_000, NOON), "another key"),
        (altered, "a signature altered"),
        (good[..good.len() - 1].to_vec(), "cut short"),
        (Vec::new(), "empty"),
    ] {
        for registry in [&optional, &required] {
            let refused = judged(registry, Some(signature.clone()));
            assert!(matches!(refused, Err(ReadingError::Signature { .. })), "{why}: {refused:?}");
        }
    }
    for (scale, weight, time) in
        [("dock-2", 28_000, NOON), ("dock-1", 27_000, NOON), ("dock-1", 28_000, UnixMillis(NOON.0 - 1))]
    {
        let refused = judged(&required, Some(key.signed(scale, weight, time)));
        assert!(matches!(refused, Err(ReadingError::SignedOther { .. })), "{scale} {weight} {time}: {refused:?}");
    }
    // What a message says by itself is a reading like any other: signed over nonsense, refused as nonsense.
    let whole = Reading::of_signed(&good).expect("a reading");
    assert!(required.judge(&whole, NOON, FRESH).expect("a weight").is_signed());
    let nonsense = Reading::of_signed(&key.signed("dock-1", -1, NOON)).expect("a reading");
    assert!(matches!(required.judge(&nonsense, NOON, FRESH), Err(ReadingError::Negative { .. })));
    assert!(matches!(Reading::of_signed(b"28 g"), Err(CoseError::Form(_))));
}

#[test]
fn a_p256_scale_signs_too() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
    let spki = der.as_ref().to_vec();
    let claims = ReadingClaims { time: NOON.0, scale: "dock-1".parse().expect("a name"), weight: 28_000 };
    let message = claims.unsigned(&spki).expect("P-256");
    let signature = pair.sign(&SystemRandom::new(), &message.to_be_signed()).expect("a signature");
    let signed = message.with_signature(signature.as_ref());
    let text = format!("{PLAIN}signed = \"required\"\npublic_key = \"{}\"\n", STANDARD.encode(&spki));
    let weighed = parsed(&text).judge(&Reading::of_signed(&signed).expect("a reading"), NOON, FRESH);
    assert!(weighed.expect("a weight").is_signed());
    assert!(parsed(&text).judge(&reading(28_000, UnixMillis(NOON.0 + DAY)), NOON, FRESH).is_err());
}

//! Records to bytes and back, over every kind; and bytes that are no record.

use proptest::prelude::*;
use psd::authority::{Loaded, Period};
use psd::certifying::{ReadingsSigned, RegisteredScale, TakenTable};
use psd::clock::{ClockReading, ClockSource};
use psd::custody::{KeyStep, Revocation, RevocationReason};
use psd::device::{Purpose, Spoiled};
use psd::digital_token::DigitalToken;
use psd::governance::{CeremonyEnd, Operator, Subject};
use psd::indicium::ZipRange;
use psd::inspection::InspectionPeriods;
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, Locks};
use psd::limits::Limits;
use psd::policy::PolicyText;
use psd::record::{
    Applied, AuthorityPurpose, Charter, Environment, Event, Genesis, Indicium, LONGEST_RECORD, Record, RecordError,
    Stamp,
};
use psd::{LicenceNumber, MailingDate, PieceKey, PostageAmount, PsdId, Registers, TenantName, UnixMillis};
use std::sync::Arc;

fn amount() -> impl Strategy<Value = PostageAmount> {
    prop_oneof![0u64..1_000, any::<u64>().prop_map(|n| n >> 2)]
        .prop_map(|mills| PostageAmount::from_mills(mills).unwrap())
}

fn bytes(longest: usize) -> impl Strategy<Value = Arc<[u8]>> {
    prop::collection::vec(any::<u8>(), 0..longest).prop_map(Into::into)
}

fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-zä-ü☃ -]{0,40}".prop_map(Into::into)
}

fn tenant() -> impl Strategy<Value = TenantName> {
    "[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}".prop_map(|name| name.parse().unwrap())
}

fn reading() -> impl Strategy<Value = ClockReading> {
    let source = prop::sample::select(vec![ClockSource::Token, ClockSource::Host, ClockSource::Development]);
    (any::<u64>(), source, any::<u32>(), any::<u32>()).prop_map(|(time, source, error_ms, epoch)| ClockReading {
        time: UnixMillis(time),
        source,
        error_ms,
        epoch,
    })
}

fn stamp() -> impl Strategy<Value = Stamp> {
    let id = ("[A-Z0-9]{4}", any::<u32>());
    (id, any::<u64>(), amount(), amount(), any::<u64>()).prop_map(|((name, serial), sequence, a, d, pieces)| {
        let name = name.as_bytes();
        let psd = PsdId::new([name[0], name[1]], [name[2], name[3]], serial).unwrap();
        let registers = Registers::from_parts(a, d, a.checked_add(d).unwrap(), pieces).unwrap();
        Stamp { psd, sequence, registers }
    })
}

fn operators() -> impl Strategy<Value = Vec<Operator>> {
    let operator = ("[a-z][a-z0-9._-]{0,63}", bytes(99));
    let operator = operator.prop_map(|(name, spki)| Operator { name: name.parse().unwrap(), spki });
    prop::collection::vec(operator, 0..5)
}

fn reason() -> impl Strategy<Value = RevocationReason> {
    prop::sample::select(RevocationReason::ALL.to_vec())
}

fn governance() -> impl Strategy<Value = Event> {
    let name = || "[a-z][a-z0-9._-]{0,63}";
    let subject = prop_oneof![
        name().prop_map(|name| Subject::Operator(name.parse().unwrap())),
        (tenant(), text()).prop_map(|(tenant, client)| Subject::Client { tenant, client }),
        tenant().prop_map(Subject::Account),
    ];
    let revocation = (any::<u64>(), reason());
    let revocation = revocation.prop_map(|(since, reason)| Revocation { since: UnixMillis(since), reason });
    let end = prop::sample::select(vec![CeremonyEnd::Done, CeremonyEnd::Abandoned]);
    let step = (1u8..=5).prop_map(|number| KeyStep::from_number(number).unwrap());
    prop_oneof![
        (any::<u64>(), any::<[u8; 32]>(), bytes(900), prop::collection::vec(bytes(200), 0..3))
            .prop_map(|(number, digest, file, approvals)| Event::CeremonyBegun { number, digest, file, approvals }),
        (any::<u64>(), any::<u64>(), text()).prop_map(|(number, step, text)| Event::CeremonyStep {
            number,
            step,
            text
        }),
        (any::<u64>(), end, prop::option::of(bytes(900))).prop_map(|(number, end, transcript)| Event::CeremonyEnded {
            number,
            end,
            transcript
        }),
        (operators(), any::<u64>()).prop_map(|(operators, quorum)| Event::OperatorsChanged { operators, quorum }),
        (subject, revocation).prop_map(|(subject, revocation)| Event::Revoked { subject, revocation }),
        (stamp(), bytes(33), step, any::<u64>(), reason()).prop_map(|(stamp, key_id, step, since, reason)| {
            let reason = (step == KeyStep::Revoked).then_some(reason);
            Event::KeyStateChanged { stamp, key_id, step, since: UnixMillis(since), reason }
        }),
    ]
}

fn genesis() -> impl Strategy<Value = Event> {
    let environment = prop::sample::select(vec![Environment::Development, Environment::Production]);
    let keys = (operators(), any::<u64>(), bytes(900), bytes(33), bytes(99), text());
    let signed = || prop::collection::vec(bytes(200), 0..3);
    let charter = (bytes(900), signed(), bytes(200), signed());
    let charter = charter.prop_map(|(file, approvals, countersignature, hosts)| Charter {
        file,
        approvals,
        countersignature,
        hosts,
    });
    ("[a-z0-9]{1,64}", environment, keys, charter).prop_map(
        |(name, environment, (operators, quorum, root, id, spki, token), charter)| {
            Event::Genesis(Genesis {
                appliance: name.parse().unwrap(),
                environment,
                operators,
                quorum,
                authority_root: root,
                log_key_id: id,
                log_spki: spki,
                log_token: token,
                charter,
            })
        },
    )
}

fn psd_created() -> impl Strategy<Value = Event> {
    let limits = [amount(), amount(), amount(), amount(), amount()].prop_filter_map("limits", |[a, b, c, d, e]| {
        let limits = Limits {
            smallest_postage: a.min(b),
            largest_postage: a.max(b),
            largest_descending: c,
            smallest_refill: d.min(e),
            largest_refill: d.max(e),
        };
        limits.checked().ok()
    });
    let zips = prop::option::of((0u32..100_000, 0u32..100_000).prop_filter_map("ZIPs", |(a, b)| ZipRange::new(a, b)));
    let of_the_psd = (limits, "[A-Z]{3}", zips);
    (stamp(), tenant(), "[A-Z0-9]{1,20}", any::<u32>(), text(), any::<[u8; 6]>(), of_the_psd).prop_map(
        |(stamp, tenant, licence, licensing_zip, format, software_id, (limits, currency, zips))| {
            let licence: LicenceNumber = licence.parse().unwrap();
            let currency = currency.parse().unwrap();
            Event::PsdCreated { stamp, tenant, licence, licensing_zip, format, software_id, limits, currency, zips }
        },
    )
}

fn key_created() -> impl Strategy<Value = Event> {
    let role = (1u8..=5).prop_map(|n| Role::from_number(n).unwrap());
    let algorithm = (1u8..=4).prop_map(|n| Algorithm::from_number(n).unwrap());
    (stamp(), bytes(33), role, algorithm, text(), bytes(99), any::<Option<[u8; 32]>>()).prop_map(
        |(stamp, key_id, role, algorithm, token, spki, wrapped)| Event::KeyCreated {
            stamp,
            key_id,
            role,
            algorithm,
            token,
            spki,
            wrapped,
        },
    )
}

fn spoiled() -> impl Strategy<Value = Spoiled> {
    (any::<u64>(), amount()).prop_map(|(leaf, ascending)| Spoiled { leaf, ascending })
}

fn value() -> impl Strategy<Value = Event> {
    let purpose = prop_oneof![Just(Purpose::Download), spoiled().prop_map(Purpose::Refund), Just(Purpose::Withdrawal),];
    let applied = prop_oneof![
        [amount(), amount(), amount()]
            .prop_map(|[day, month, year]| Applied::Download { loaded: Loaded { day, month, year } }),
        spoiled().prop_map(Applied::Refund),
    ];
    (0..4, stamp(), (tenant(), purpose, applied), any::<u64>(), amount(), bytes(600)).prop_map(
        |(kind, stamp, (tenant, purpose, applied), value_sequence, amount, signed)| match kind {
            0 => Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request: signed },
            1 => Event::ValueApplied { stamp, tenant, value_sequence, amount, authorisation: signed, applied },
            2 => Event::ValueVoided { stamp, tenant, value_sequence, amount, statement: signed },
            _ => {
                let (acknowledgement, report) = (signed.clone(), signed);
                Event::Withdrawn { stamp, tenant, value_sequence, amount, acknowledgement, report }
            }
        },
    )
}

fn indicium() -> impl Strategy<Value = Event> {
    let optional = (any::<Option<[u8; 32]>>(), prop::option::of(text()), any::<Option<u64>>());
    let symbol = prop::collection::vec(any::<u8>(), 0..200);
    (stamp(), tenant(), any::<[u8; 16]>(), any::<[u8; 32]>(), amount(), symbol, optional).prop_map(
        |(stamp, tenant, mut key, digest, postage, indicium, (recipient, reference, weight_g))| {
            let token = weight_g.map(|_| DigitalToken::stored("12345 67890 6").unwrap());
            (key[6], key[8]) = (0x70 | key[6] & 15, 0x80 | key[8] & 63);
            let key = PieceKey::from_bytes(key).unwrap();
            Event::Indicium(Indicium {
                stamp,
                tenant,
                key,
                digest,
                postage,
                indicium,
                recipient,
                reference,
                weight_g,
                token,
            })
        },
    )
}

fn small_events() -> impl Strategy<Value = Event> {
    let state = (1u8..=5).prop_map(|n| Lifecycle::from_number(n).unwrap());
    let locks = (0u8..64).prop_map(|bits| Locks::from_bits(bits).unwrap());
    let purpose = (1u8..=3).prop_map(|n| AuthorityPurpose::from_number(n).unwrap());
    let period = prop::sample::select(Period::ALL.to_vec());
    let chain = prop::collection::vec(bytes(900), 0..4);
    prop_oneof![
        (stamp(), bytes(33), any::<u32>(), chain)
            .prop_map(|(stamp, key_id, serial, chain)| Event::CertificateInstalled { stamp, key_id, serial, chain }),
        (stamp(), state, locks).prop_map(|(stamp, lifecycle, locks)| Event::LifecycleChanged {
            stamp,
            lifecycle,
            locks
        }),
        (any::<[u8; 32]>(), any::<u64>()).prop_map(|(digest, psds)| Event::StateDigest { digest, psds }),
        (text(), any::<[u8; 16]>()).prop_map(|(version, owner_epoch)| Event::Started { version, owner_epoch }),
        (tenant(), text(), any::<u64>()).prop_map(|(tenant, code, count)| Event::RefusalsNoted { tenant, code, count }),
        (purpose.clone(), bytes(900))
            .prop_map(|(purpose, certificate)| Event::AuthorityKeyInstalled { purpose, certificate }),
        (purpose, any::<u64>(), bytes(900)).prop_map(|(purpose, number, instruction)| Event::InstructionTaken {
            purpose,
            number,
            instruction
        }),
        ("[A-Z0-9]{1,20}", period, prop::option::of(amount())).prop_map(|(licence, period, amount)| {
            Event::CeilingSet { licence: licence.parse().unwrap(), period, amount }
        }),
        ("[A-Z0-9]{1,20}", prop::option::of((1u32..72, 72u32..=2_880))).prop_map(|(licence, periods)| {
            let periods = periods.map(|(warn, block)| InspectionPeriods::new(warn, block).unwrap());
            Event::InspectionPeriodsSet { licence: licence.parse().unwrap(), periods }
        }),
        (stamp(), any::<[u8; 32]>()).prop_map(|(stamp, digest)| Event::AuditAccepted { stamp, digest }),
        (stamp(), 1u8..=4).prop_map(|(stamp, role)| {
            let role = Role::from_number(role).unwrap();
            Event::KeyChangeOrdered { stamp, role }
        }),
        (any::<u64>(), prop_oneof![Just(String::new()), ".{0,300}"]).prop_map(|(version, text)| {
            Event::AuthorityPolicySet { version, text: PolicyText::new(&text).unwrap() }
        }),
    ]
}

fn days() -> impl Strategy<Value = (MailingDate, MailingDate)> {
    (11_000i64..300_000, 0i64..70_000).prop_map(|(first, more)| {
        let day = |number| MailingDate::from_day_number(number).unwrap();
        (day(first), day(first + more))
    })
}

fn line() -> impl Strategy<Value = Arc<str>> {
    "[a-zä-ü☃ -]{1,80}".prop_map(Into::into)
}

fn scale() -> impl Strategy<Value = RegisteredScale> {
    let loads = (1u64..1_000_000, 1u64..1_000_000, any::<u64>());
    let lines = (line(), line(), line(), line(), line());
    ("[a-z0-9][a-z0-9._-]{0,63}", lines, days(), loads, (0u8..=2, bytes(99))).prop_map(
        |(
            id,
            (certificate, issuer, maker, model, site),
            (from, until),
            (resolution_mg, steps, minimum),
            (signed, spki),
        )| {
            let (scale, capacity_mg) = (id.parse().unwrap(), resolution_mg * steps);
            let minimum_mg = minimum % (capacity_mg + 1);
            let signed = ReadingsSigned::from_parts(signed, (signed > 0).then_some(spki)).unwrap();
            RegisteredScale {
                scale,
                certificate,
                issuer,
                from,
                until,
                capacity_mg,
                minimum_mg,
                resolution_mg,
                maker,
                model,
                site,
                signed,
            }
        },
    )
}

fn certifying() -> impl Strategy<Value = Event> {
    let name = "[a-z][a-z0-9-]{0,39}";
    prop_oneof![
        (name, any::<u64>(), any::<[u8; 32]>(), days(), any::<bool>()).prop_map(
            |(name, version, digest, (from, until), ends)| {
                let (name, until) = (name.parse().unwrap(), ends.then_some(until));
                Event::RatesTaken(TakenTable { name, version, digest, from, until })
            }
        ),
        scale().prop_map(Event::ScaleRegistered),
        name.prop_map(|scale| Event::ScaleRemoved { scale: scale.parse().unwrap() }),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let event = prop_oneof![
        1 => genesis(),
        1 => psd_created(),
        1 => key_created(),
        3 => value(),
        3 => indicium(),
        6 => small_events(),
        4 => governance(),
        3 => certifying(),
    ];
    (reading(), event).prop_map(|(at, event)| Record { at, event })
}

proptest! {
    #[test]
    fn a_record_is_its_bytes(record in record(), dirt: Vec<u8>) {
        let bytes = record.encode();
        prop_assert_eq!(&Record::decode(&bytes), &Ok(record.clone()));
        let mut buffer = dirt;
        record.encode_into(&mut buffer);
        prop_assert_eq!(buffer, bytes);
    }

    /// Whatever is done to the bytes: no panic, and what is accepted has no second form.
    #[test]
    fn no_record_has_two_forms(record in record(), edits in prop::collection::vec((any::<u16>(), any::<u8>(), 0u8..4), 1..4)) {
        let mut bytes = record.encode();
        for (at, byte, edit) in edits {
            let at = usize::from(at) % (bytes.len() + 1);
            match edit {
                0 => bytes.insert(at, byte),
                1 => drop((at < bytes.len()).then(|| bytes.remove(at))),
                2 => bytes.truncate(at),
                _ => if let Some(old) = bytes.get_mut(at) { *old ^= byte },
            }
        }
        if let Ok(read) = Record::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn bytes_of_any_kind_are_judged_and_not_panicked_over(bytes: Vec<u8>) {
        if let Ok(read) = Record::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}

#[test]
fn what_is_wrong_with_bytes_is_named() {
    let started = |more: &[u8]| {
        let reading = [0x01, 0x00, 0x02, 0x83, 0x03, 0x00, 0x01];
        let own = [&[0x08, 0x61, b'1', 0x09, 0x50][..], &[7; 16]].concat();
        [&[0xa5, 0x00, 0x09][..], &reading, &own, more].concat()
    };
    assert!(Record::decode(&started(&[])).is_ok());
    let changed = |at: usize, byte: u8| {
        let mut bytes = started(&[]);
        bytes[at] = byte;
        bytes
    };
    let long = {
        let at = Record::decode(&started(&[])).unwrap().at;
        let certificate: Arc<[u8]> = vec![0; LONGEST_RECORD].into();
        Record { at, event: Event::AuthorityKeyInstalled { purpose: AuthorityPurpose::Funds, certificate } }.encode()
    };
    let rows = [
        ("trailing bytes", started(&[0]), RecordError::NotAMap),
        ("no map", vec![0x80], RecordError::NotAMap),
        ("indefinite map", vec![0xbf, 0xff], RecordError::NotAMap),
        ("empty", Vec::new(), RecordError::NotAMap),
        ("keys that fall", changed(3, 0x00), RecordError::NotAMap),
        ("another kind's key", [&[0xa6][..], &started(&[])[1..], &[0x0a, 0x00]].concat(), RecordError::UnknownKey(10)),
        ("unknown kind", changed(2, 0x00), RecordError::UnknownKind(0)),
        ("unknown clock source", changed(7, 0x04), RecordError::BadValue(2)),
        ("a key missing", [&[0xa4][..], &started(&[])[1..13]].concat(), RecordError::Missing(9)),
        ("wrong type", changed(14, 0x70), RecordError::BadValue(9)),
        (
            "long form of a number",
            {
                let plain = started(&[]);
                [&plain[..4], &[0x18, 0x00], &plain[5..]].concat()
            },
            RecordError::NotDeterministic,
        ),
        ("too long", long.clone(), RecordError::TooLong(long.len())),
    ];
    for (what, bytes, error) in rows {
        assert_eq!(Record::decode(&bytes), Err(error), "{what}");
    }
}

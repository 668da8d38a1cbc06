//! What a mirror is pinned to.

use crate::world::{Key, START, World, ca};
use psd::UnixMillis;
use psd::record::{Environment, Event, Record};
use psdd_inspector::{Mirror, PinError, Trust, UpdateError};
use psdd_wire::countersignature::{GENESIS_COUNTERSIGNATURE, claims_over};

fn pinned(world: &World, trust: &Trust) -> Result<(tempfile::TempDir, Mirror), UpdateError> {
    let dir = tempfile::tempdir().unwrap();
    let mirror = Mirror::create(dir.path(), trust, &mut world.log())?;
    Ok((dir, mirror))
}

fn by_authority(world: &World, development: bool) -> Trust {
    Trust::Authority { root: world.root.der().to_vec(), development }
}

/// Has the root countersign leaf 0.
fn countersigned(world: &mut World, environment: Environment) {
    let mut record = world.decoded(0);
    let Event::Genesis(genesis) = &mut record.event else { unreachable!() };
    genesis.environment = environment;
    genesis.charter.file = b"the reviewed file"[..].into();
    let claims = claims_over(b"the reviewed file", ("test-1", environment), true, UnixMillis(START));
    let key = Key::of(world.root.key());
    genesis.charter.countersignature = key.message(GENESIS_COUNTERSIGNATURE, None, psdd_wire::encode(&claims));
    world.entries[0] = record.encode();
}

#[test]
fn the_authoritys_countersignature_pins_the_log() {
    let mut world = World::born(0);
    countersigned(&mut world, Environment::Production);
    let (_dir, mut mirror) = pinned(&world, &by_authority(&world, false)).unwrap();
    assert_eq!(mirror.pin().log_spki, world.log_key.spki());
    assert_eq!(mirror.update(&mut world.log()).unwrap().to, world.size());

    let mut record = world.decoded(0);
    let Event::Genesis(genesis) = &mut record.event else { unreachable!() };
    genesis.charter.file = b"another file"[..].into();
    world.entries[0] = record.encode();
    let error = pinned(&world, &by_authority(&world, false)).unwrap_err();
    assert!(matches!(error, UpdateError::Pin(PinError::Countersignature(_))), "{error}");
}

#[test]
fn nobodys_countersignature_will_do_for_development_alone_and_when_asked_for() {
    let mut world = World::born(0);
    let error = pinned(&world, &by_authority(&world, false)).unwrap_err();
    assert!(matches!(error, UpdateError::Pin(PinError::NotCountersigned { .. })), "{error}");
    assert!(pinned(&world, &by_authority(&world, true)).is_ok());
    let other = Trust::Authority { root: ca().der().to_vec(), development: true };
    let error = pinned(&world, &other).unwrap_err();
    assert!(matches!(error, UpdateError::Pin(PinError::OtherAuthority)), "{error}");
    let mut record = world.decoded(0);
    let Event::Genesis(genesis) = &mut record.event else { unreachable!() };
    genesis.environment = Environment::Production;
    world.entries[0] = Record::encode(&record);
    let error = pinned(&world, &by_authority(&world, true)).unwrap_err();
    assert!(matches!(error, UpdateError::Pin(PinError::NotCountersigned { .. })), "{error}");
}

#[test]
fn leaf_0_must_be_the_genesis_of_what_is_pinned() {
    let world = World::born(0);
    let (_dir, mut mirror) = pinned(&world, &world.trust()).unwrap();
    let changes: [fn(&mut psd::record::Genesis); 3] = [
        |genesis| genesis.appliance = "other".parse().unwrap(),
        |genesis| genesis.log_spki = Key::new().spki().into(),
        |genesis| genesis.authority_root = ca().der().to_vec().into(),
    ];
    for change in changes {
        let mut record = world.decoded(0);
        let Event::Genesis(genesis) = &mut record.event else { unreachable!() };
        change(genesis);
        let mut entries = world.entries.clone();
        entries[0] = record.encode();
        let mut liar = world.log_of(&entries);
        let error = mirror.update(&mut liar).unwrap_err();
        assert!(matches!(error, UpdateError::Pin(PinError::Other(_) | PinError::OtherAuthority)), "{error}");
        assert_eq!(mirror.size(), 0);
    }
    assert!(mirror.update(&mut world.log()).is_ok());
}

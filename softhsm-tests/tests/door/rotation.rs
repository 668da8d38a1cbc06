//! Rotation by rule: the custodian makes, certifies, activates, retires and destroys keys while vendors sign, and nobody gives an order.

use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, Wire, item, outcome};
use crate::holding::door;
use crate::reload::until;
use crate::run;
use psdd_client::OperatorClient;
use psdd_wire::operator::{KeyState, OperatorKeyView};
use softhsm_tests::Appliance;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:9";

/// A key is due after 20 pieces; what it supersedes goes at once. `more` is added to the rule.
fn custodian(endpoint: &str, more: &str) -> String {
    format!(
        "\n[custodian]\nevery_s = 1\n\n[[custodian.rotation]]\nafter_pieces = 20\nahead_percent = 50\nretire_after_days = 0\n\
         destroy_after_days = 0\nmost_generations = 4\n{more}\n[custodian.ca]\nendpoint = \"{endpoint}\"\nserver_name = \"localhost\"\n\
         server_ca = \"authority/tls/server-ca.pem\"\ncertificate = \"pki/appliance.pem\"\nkey = \"pki/appliance.key\"\n"
    )
}

fn configure(appliance: &Appliance, endpoint: &str) {
    configure_with(appliance, endpoint, "");
}

pub(crate) fn configure_with(appliance: &Appliance, endpoint: &str, more: &str) {
    let path = appliance.layout.psdd_config();
    let text = std::fs::read_to_string(&path).expect("psdd.toml");
    let before = text.split("\n[custodian]\n").next().expect("a configuration");
    std::fs::write(&path, format!("{before}{}", custodian(endpoint, more))).expect("psdd.toml");
}

pub(crate) async fn keys(door: &OperatorClient) -> Vec<OperatorKeyView> {
    let (_, keys) = door.keys(Some(psd(1))).await.expect("keys");
    keys.into_iter().filter(|key| key.role == "indicium").collect()
}

/// Signs until the keys are so; nothing is refused meanwhile.
pub(crate) async fn sign_until(
    wire: &Wire,
    door: &OperatorClient,
    so: impl Fn(&[OperatorKeyView]) -> bool,
) -> Vec<OperatorKeyView> {
    let begun = Instant::now();
    loop {
        for result in &wire.sign(psd(1), &[item("0.01"), item("0.01"), item("0.01")]).await {
            assert_eq!(outcome(result), "signed", "{result:?}");
        }
        let keys = keys(door).await;
        if so(&keys) {
            return keys;
        }
        assert!(begun.elapsed() < PATIENCE, "{keys:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn keys_are_rotated_by_rule_under_load_without_an_order_and_a_ca_that_is_away_costs_nothing() {
    let mut appliance = raise(Wanted { psds: 1, value: "1000.00", ..Wanted::default() });
    appliance.start_authority().expect("the authority");
    let address = std::fs::read_to_string(appliance.layout.funds_address()).expect("the authority's address");
    appliance.stop();
    configure(&appliance, NOWHERE);
    appliance.start().expect("psdd");
    let caller = Caller::new(&appliance.layout);
    let made = run(async {
        let (wire, door) = (caller.connect().await, door(&appliance));
        // Due long since, and no certificate: the first key goes on.
        let keys = sign_until(&wire, &door, |keys| keys[0].pieces > 60 && keys.len() == 2).await;
        assert_eq!(keys[0].state, KeyState::Active);
        assert_eq!((keys[1].state, keys[1].pieces), (KeyState::Created, 0));
        keys
    });
    until("the CA is told to be away", || appliance.log_tail().contains("a key is not looked after"));
    appliance.stop();
    configure(&appliance, address.trim());
    appliance.start().expect("psdd");
    let caller = Caller::new(&appliance.layout);
    let keys = run(async {
        let (wire, door) = (caller.connect().await, door(&appliance));
        let gone = |keys: &[OperatorKeyView]| keys.iter().filter(|key| key.state == KeyState::Destroyed).count();
        sign_until(&wire, &door, |keys| gone(keys) >= 3).await
    });
    assert_eq!(keys[1].spki, made[1].spki, "the key that waited is the one that took over");
    let serials: Vec<_> = keys.iter().filter_map(|key| key.serial).collect();
    let mut apart = serials.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), serials.len(), "each key has a certificate of its own: {serials:?}");
    let used: Vec<_> = keys.iter().filter(|key| key.activated.is_some()).collect();
    assert!(used[1..used.len() - 1].iter().all(|key| key.pieces >= 20), "none before it was due: {used:#?}");
    assert!(keys.iter().filter(|key| key.state == KeyState::Active).count() == 1);
    let registers = run(async { caller.connect().await.registers(psd(1)).await });
    let pieces: u64 = keys.iter().map(|key| key.pieces).sum();
    assert_eq!(pieces, registers.pieces, "each piece under exactly one key");
    appliance.stop();
    appliance.check(None).assert_clean("after rotations by rule");
    crate::inspecting::nothing_is_found(&appliance);
}

#[test]
fn a_kill_at_any_point_of_a_rotation_leaves_nothing_behind() {
    let mut appliance = raise(Wanted { psds: 1, value: "1000.00", ..Wanted::default() });
    appliance.start_authority().expect("the authority");
    let address = std::fs::read_to_string(appliance.layout.funds_address()).expect("the authority's address");
    appliance.stop();
    configure(&appliance, address.trim());
    appliance.start().expect("psdd");
    for round in 0_u64..12 {
        let caller = Caller::new(&appliance.layout);
        run(async {
            let wire = caller.connect().await;
            for _ in 0..8 {
                for result in &wire.sign(psd(1), &[item("0.01"), item("0.01"), item("0.01")]).await {
                    assert_eq!(outcome(result), "signed", "{result:?}");
                }
            }
            // Into the making, the certifying, the taking over, the end of the old one.
            tokio::time::sleep(Duration::from_millis(10 + 90 * (round % 6))).await;
        });
        appliance.restart();
    }
    let caller = Caller::new(&appliance.layout);
    let keys = run(async {
        let (wire, door) = (caller.connect().await, door(&appliance));
        let one_active = |keys: &[OperatorKeyView]| {
            let of = |state| keys.iter().filter(|key| key.state == state).count();
            of(KeyState::Destroyed) >= 3 && of(KeyState::Active) == 1
        };
        sign_until(&wire, &door, one_active).await
    });
    let generations: Vec<u8> = keys.iter().map(|key| key.generation).collect();
    let expected: Vec<u8> = (1..).take(generations.len()).collect();
    assert_eq!(generations, expected, "none is skipped and none is made twice");
    appliance.stop();
    appliance.check(None).assert_clean("after kills in rotations");
}

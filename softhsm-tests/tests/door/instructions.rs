//! Instructions of the postal authority: locks that only their own party clears, ceilings, and numbers that rise.

use crate::bench::{Wanted, amount, plan, raise};
use crate::client::{Caller, Reply, Wire, code_of, item, outcomes};
use crate::contract::V;
use crate::run;
use crate::value::{Funds, answer_to, apply, ask, assert_code};
use psd::authority::{Act, Period};
use psd::key::Role;
use psd::policy::{LONGEST_POLICY, PolicyText};
use psd::{PostageAmount, PsdId};
use psdctl::dev::ClientIdentity;
use psdd_wire::cose::{INSTRUCTION, VALUE_REQUEST};
use psdd_wire::instruction::claims_of;
use psdd_wire::message::InstructionClaims;

pub struct Authority {
    pub funds: Funds,
    pub inspection: Funds,
    pub policy: Funds,
    appliance: String,
}

impl Authority {
    pub async fn of(caller: &Caller, wire: &Wire) -> Self {
        let layout = &caller.layout;
        let key = |certificate, key| Funds::of(&ClientIdentity { certificate, key });
        Self {
            funds: Funds::real(caller),
            inspection: key(layout.inspection(), layout.inspection_key()),
            policy: key(layout.policy(), layout.policy_key()),
            appliance: wire.get("/v1/appliance").await.body.get("appliance").str().to_owned(),
        }
    }

    pub fn claims(&self, act: &Act, sequence: u64) -> InstructionClaims {
        claims_of(act, self.appliance.clone(), sequence, u64::MAX)
    }
}

pub fn signed(key: &Funds, claims: &InstructionClaims) -> Vec<u8> {
    let payload = psdd_wire::encode(claims);
    key.signed(INSTRUCTION, payload)
}

pub async fn carry(wire: &Wire, instruction: Vec<u8>) -> Reply {
    wire.post("/v1/instructions", &V::map([("instruction", V::Bytes(instruction))]).encode()).await
}

/// An appliance of its own: ceilings and numbers are the appliance's.
#[test]
fn the_authority_locks_unlocks_and_sets_ceilings_whoever_carries_it() {
    let mut appliance = raise(Wanted {
        psds: 1,
        value: "1000.00",
        plan: Some(&plan("PT010000001", 2, "acme", "40.00", "5000.00")),
        ..Wanted::default()
    });
    let caller = Caller::new(&appliance.layout);
    let stranger = appliance.issue("carrier", "stranger", 320);
    let impostor = Funds::of(&appliance.issue("impostor", "acme", 321));
    let psd = crate::bench::psd(1);
    run(async {
        let wire = caller.connect().await;
        let authority = Authority::of(&caller, &wire).await;
        let Authority { funds, inspection, policy, .. } = &authority;
        let (lock, unlock) = (Act::Lock(psd), Act::Unlock(psd));
        let elsewhere: PsdId = "ZZ990000001".parse().expect("a PSD");

        let of_policy = |version, text| Act::Policy { version, text: PolicyText::new(text).expect("a text") };
        let acknowledge = |serial| Act::Acknowledge { psd, role: Role::Indicium, serial };
        let in_use = wire.get(&format!("/v1/psds/{psd}")).await.body.get("psd").get("certificate").u64();
        let in_use = u32::try_from(in_use).expect("a serial number");

        let lock_1 = authority.claims(&lock, 1);
        let broken = {
            let mut bytes = signed(inspection, &lock_1);
            *bytes.last_mut().expect("bytes") ^= 1;
            bytes
        };
        let rows: Vec<(&str, Vec<u8>, u16, &str)> = vec![
            ("nothing", Vec::new(), 400, "instruction-malformed"),
            ("by nobody known", signed(&impostor, &lock_1), 400, "instruction-wrong-signer"),
            ("by the policy key", signed(policy, &lock_1), 400, "instruction-wrong-signer"),
            ("with another signature", broken, 400, "instruction-bad-signature"),
            ("a request", inspection.signed(VALUE_REQUEST, psdd_wire::encode(&lock_1)), 400, "instruction-malformed"),
            (
                "no act",
                signed(inspection, &InstructionClaims { act: "erase".to_owned(), ..lock_1.clone() }),
                400,
                "instruction-malformed",
            ),
            (
                "for another appliance",
                signed(inspection, &InstructionClaims { appliance: "other".to_owned(), ..lock_1.clone() }),
                409,
                "instruction-wrong-appliance",
            ),
            (
                "too late",
                signed(inspection, &InstructionClaims { expires: 1, ..lock_1.clone() }),
                409,
                "instruction-expired",
            ),
            ("number 0", signed(inspection, &authority.claims(&lock, 0)), 409, "instruction-stale"),
            ("no such PSD", signed(inspection, &authority.claims(&Act::Lock(elsewhere), 1)), 404, "psd-unknown"),
            (
                "no such licence",
                signed(
                    policy,
                    &authority.claims(
                        &Act::Ceiling { licence: "L-9".parse().expect("a licence"), period: Period::Day, amount: None },
                        1,
                    ),
                ),
                404,
                "licence-unknown",
            ),
            (
                "no such certificate",
                signed(inspection, &authority.claims(&acknowledge(u32::MAX), 1)),
                404,
                "certificate-unknown",
            ),
            ("of a key in use", signed(inspection, &authority.claims(&acknowledge(in_use), 1)), 409, "key-not-waiting"),
            (
                "a report that nobody made",
                signed(inspection, &authority.claims(&Act::AcceptAudit { psd, digest: [7; 32] }, 1)),
                409,
                "report-unknown",
            ),
            (
                "a policy that permits",
                signed(
                    policy,
                    &authority.claims(&of_policy(1, r#"@id("p") permit (principal, action, resource);"#), 1),
                ),
                400,
                "policy-invalid",
            ),
            (
                "a policy too long",
                signed(
                    policy,
                    &InstructionClaims {
                        text: Some("/".repeat(LONGEST_POLICY + 1)),
                        ..authority.claims(&of_policy(1, ""), 1)
                    },
                ),
                400,
                "instruction-malformed",
            ),
            ("a policy not the next", signed(policy, &authority.claims(&of_policy(2, ""), 1)), 409, "policy-version"),
            (
                "a policy by the inspection key",
                signed(inspection, &authority.claims(&of_policy(1, ""), 1)),
                400,
                "instruction-wrong-signer",
            ),
        ];
        for (name, bytes, status, code) in rows {
            assert_code(&carry(&wire, bytes).await, status, code, name);
        }
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.73")]).await), ["signed"], "nothing was locked by any of it");

        // Carried by a client of another tenant: the signature counts, not the carrier.
        let carrier = caller.with(&stranger).connect().await;
        let bytes = signed(inspection, &authority.claims(&lock, 5));
        let taken = carry(&carrier, bytes.clone()).await;
        assert_eq!((taken.status, taken.body.get("purpose").str()), (200, "inspection"), "{:?}", taken.body);
        let again = carry(&wire, bytes).await;
        assert_eq!(again.body.without("checkpoint"), taken.body.clone().without("checkpoint"), "the same answer");
        let sign = async |code: &str| {
            let refused = wire.sign(psd, &[item("0.73")]).await;
            assert_eq!(code_of(refused[0].get("problem")), code);
        };
        sign("psd-locked").await;
        let locks = async || wire.get(&format!("/v1/psds/{psd}")).await.body.get("psd").get("locks").list().to_vec();
        assert_eq!(locks().await, [V::text("authority")]);
        assert_eq!(carry(&wire, signed(funds, &authority.claims(&lock, 1))).await.status, 200);
        assert_eq!(locks().await, [V::text("authority"), V::text("funds")], "reasons stand beside each other");
        // A replayed unlock of before the lock is worth nothing.
        let old = signed(inspection, &authority.claims(&unlock, 4));
        assert_code(&carry(&wire, old).await, 409, "instruction-stale", "an older unlock");
        assert_eq!(carry(&wire, signed(inspection, &authority.claims(&unlock, 6))).await.status, 200);
        assert_eq!(locks().await, [V::text("funds")], "each clears its own");
        sign("psd-locked").await;
        assert_eq!(carry(&wire, signed(funds, &authority.claims(&unlock, 2))).await.status, 200);
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.73")]).await), ["signed"]);

        // A ceiling over the PSDs of a licence, of another key than funds.
        let pooled: [PsdId; 2] = ["PT010000001", "PT010000002"].map(|id| id.parse().expect("a PSD"));
        let ceiling = |limit: &str| Act::Ceiling {
            licence: "L-acme".parse().expect("a licence"),
            period: Period::Month,
            amount: Some(amount(limit)),
        };
        assert_eq!(carry(&wire, signed(policy, &authority.claims(&ceiling("100.00"), 1))).await.status, 200);
        assert_code(&ask(&wire, pooled[0], "100.01").await, 409, "value-above-ceiling", "asked beyond it");
        let asked = [ask(&wire, pooled[0], "60.00").await, ask(&wire, pooled[1], "60.00").await];
        let [first, second] = asked.map(|asked| funds.authorise(&answer_to(&asked)));
        assert_eq!(apply(&wire, pooled[0], &first).await.status, 200);
        assert_code(&apply(&wire, pooled[1], &second).await, 409, "value-above-ceiling", "the sum of both");
        assert_eq!(carry(&wire, signed(policy, &authority.claims(&ceiling("120.00"), 2))).await.status, 200);
        assert_eq!(apply(&wire, pooled[1], &second).await.status, 200, "under the new ceiling");
        let total: u64 = PostageAmount::ZERO.mills()
            + wire.registers(pooled[0]).await.descending
            + wire.registers(pooled[1]).await.descending;
        assert_eq!(total, 120_000);
    });
    appliance.stop();
    appliance.check(None).assert_clean("after instructions");
    crate::inspecting::nothing_is_found(&appliance);
}

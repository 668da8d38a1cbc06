//! Who may do what under the shipped policies, and how policies of the two parties combine.

use psd::PostageAmount;
use psdd_policy::{
    Action, ApplianceAction, AppliancePairing, Decision, Pairing, Party, PolicySet, Reason, Resource, SigningTotals,
    Subject,
};

fn pairing(client_of: &str) -> Pairing {
    let subject = Subject::new(&client_of.parse().unwrap(), "backend-1");
    let resource =
        Resource::new("062S0007358267".parse().unwrap(), &"L-4711".parse().unwrap(), &"acme".parse().unwrap());
    Pairing::new(&subject, &resource)
}

fn amount(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).unwrap()
}

fn sign(total: u64, largest: u64) -> Action {
    Action::SignIndicium(SigningTotals { count: 2, total: amount(total), largest: amount(largest) })
}

fn names(decision: &Decision) -> Vec<(&str, Option<Party>)> {
    match decision {
        Decision::Permit => vec![("permit", None)],
        Decision::Deny { reasons } => reasons
            .iter()
            .map(|reason| match reason {
                Reason::NoPermit => ("no permit", None),
                Reason::NotExpressible => ("not expressible", None),
                Reason::Forbidden { policy, by } | Reason::NotEvaluated { policy, by } => (policy.as_str(), Some(*by)),
            })
            .collect(),
    }
}

const OWN_PSDS: &str =
    r#"@id("own") permit (principal, action, resource is Psd) when { principal in resource.tenant };"#;

#[test]
fn a_client_may_do_everything_on_the_psds_of_its_tenant_and_nothing_on_others() {
    let set = PolicySet::shipped().unwrap();
    let (own, foreign) = (pairing("acme"), pairing("acme-2"));
    let every_action = [
        sign(1460, 730),
        Action::RequestValue { amount: amount(500_000) },
        Action::RequestValue { amount: PostageAmount::MAX },
        Action::ApplyValue,
        Action::VoidValue,
        Action::RequestRefund { amount: amount(730) },
        Action::Withdraw,
        Action::ReadRegisters,
        Action::ReadCertificates,
        Action::ReadResult,
    ];
    for action in every_action {
        assert_eq!(set.decide(&own, action), Decision::Permit, "{action:?}");
        assert_eq!(set.decide(&foreign, action), Decision::Deny { reasons: vec![Reason::NoPermit] }, "{action:?}");
    }
    let anyone = Subject::new(&"acme-2".parse().unwrap(), "reader");
    let appliance = AppliancePairing::new(&anyone, &"east-1".parse().unwrap());
    for action in [ApplianceAction::Read, ApplianceAction::CarryInstruction] {
        assert_eq!(set.decide_on_appliance(&appliance, action), Decision::Permit, "{action:?}");
    }
}

#[test]
fn the_shipped_ceiling_is_on_the_largest_piece_and_not_on_the_sum() {
    let set = PolicySet::shipped().unwrap();
    let own = pairing("acme");
    let ceiling = 10_000_000;
    assert_eq!(set.decide(&own, sign(2 * ceiling, ceiling)), Decision::Permit);
    let refused = [("authority-largest-piece", Some(Party::Authority))];
    for largest in [ceiling + 1, PostageAmount::MAX.mills()] {
        assert_eq!(names(&set.decide(&own, sign(largest, largest))), refused, "{largest}");
    }
}

#[test]
fn a_forbid_of_either_party_beats_every_permit_and_all_are_named() {
    let vendor = format!(
        r#"{OWN_PSDS} @id("all") permit (principal, action, resource);
           @id("v-stop") forbid (principal == Client::"acme/backend-1", action == Action::"apply_value", resource);"#
    );
    let authority = r#"@id("a-stop") forbid (principal, action, resource in Licence::"L-4711") when { resource.model == "2S" };
                       @id("a-other") forbid (principal, action, resource in Licence::"L-1");"#;
    let own = pairing("acme");
    let lenient = PolicySet::from_texts(&vendor, "").unwrap();
    let strict = PolicySet::from_texts(&vendor, authority).unwrap();
    assert_eq!(lenient.decide(&own, Action::ReadRegisters), Decision::Permit);
    assert_eq!(names(&lenient.decide(&own, Action::ApplyValue)), [("v-stop", Some(Party::Vendor))]);
    assert_eq!(names(&strict.decide(&own, Action::ReadRegisters)), [("a-stop", Some(Party::Authority))]);
    assert_eq!(
        names(&strict.decide(&own, Action::ApplyValue)),
        [("a-stop", Some(Party::Authority)), ("v-stop", Some(Party::Vendor))]
    );
}

#[test]
fn a_policy_binds_the_actions_it_names_only() {
    let permit = |scope: &str| format!(r#"@id("p") permit (principal, {scope}, resource is Psd);"#);
    let reads = r#"action in [Action::"read_registers", Action::"read_result"]"#;
    let rows = [
        ("action", [true, true, true]),
        (r#"action == Action::"read_registers""#, [true, false, false]),
        (r#"action in Action::"read_registers""#, [true, false, false]),
        (reads, [true, true, false]),
    ];
    for (scope, expected) in rows {
        let set = PolicySet::from_texts(&permit(scope), "").unwrap();
        let decided = [Action::ReadRegisters, Action::ReadResult, Action::ReadCertificates]
            .map(|action| set.decide(&pairing("acme"), action).is_permit());
        assert_eq!(decided, expected, "{scope}");
    }
}

#[test]
fn amounts_reach_policies_in_mills() {
    let authority = r#"@id("count") forbid (principal, action == Action::"sign_indicium", resource) when { context.count != 2 };
        @id("total") forbid (principal, action == Action::"sign_indicium", resource) when { context.total != 1460 };
        @id("largest") forbid (principal, action == Action::"sign_indicium", resource) when { context.largest != 1010 };
        @id("imprints") forbid (principal, action == Action::"certify", resource) when { context.imprints != 500 };
        @id("debited") forbid (principal, action == Action::"certify", resource) when { context.total != 230 };
        @id("amount") forbid (principal, action == Action::"request_value", resource) when { context.amount != 9223372036854775807 };"#;
    let set = PolicySet::from_texts(OWN_PSDS, authority).unwrap();
    let own = pairing("acme");
    assert_eq!(set.decide(&own, sign(1460, 1010)), Decision::Permit);
    assert_eq!(set.decide(&own, Action::RequestValue { amount: PostageAmount::MAX }), Decision::Permit);
    assert_eq!(names(&set.decide(&own, sign(1010, 1460))).len(), 2);
    let certify = |total, imprints| Action::Certify {
        totals: SigningTotals { count: 1, total: amount(total), largest: amount(total) },
        imprints: amount(imprints),
        receipts: 0,
    };
    assert_eq!(set.decide(&own, certify(230, 500)), Decision::Permit);
    assert_eq!(names(&set.decide(&own, certify(500, 230))).len(), 2);
}

#[test]
fn what_cannot_be_evaluated_denies() {
    let overflow = r#"forbid (principal, action == Action::"sign_indicium", resource)
                      when { context.total * 1000000000000 > 5 };"#;
    let as_permit = overflow.replace("forbid", "permit");
    let rows = [
        (OWN_PSDS.to_owned(), format!(r#"@id("sum") {overflow}"#), Party::Authority),
        (format!(r#"{OWN_PSDS} @id("sum") {as_permit}"#), String::new(), Party::Vendor),
    ];
    for (vendor, authority, by) in rows {
        let set = PolicySet::from_texts(&vendor, &authority).unwrap();
        let Decision::Deny { reasons } = set.decide(&pairing("acme"), sign(100_000_000, 1)) else {
            panic!("permitted in spite of an overflow in a policy of the {by}");
        };
        assert!(matches!(&reasons[..], [Reason::NotEvaluated { by: blamed, .. }] if *blamed == by), "{reasons:?}");
    }
}

#[test]
fn no_two_clients_are_one() {
    let vendor = r#"@id("one") permit (principal == Client::"acme/backend-1", action, resource);
                    @id("named") permit (principal, action, resource) when { principal.name == "b/c" };"#;
    let set = PolicySet::from_texts(vendor, "").unwrap();
    let psd = Resource::new("062S0007358267".parse().unwrap(), &"L-1".parse().unwrap(), &"acme".parse().unwrap());
    let rows = [
        ("acme", "backend-1", true),
        ("acme", "backend-10", false),
        ("acme-1", "backend-1", false),
        ("acme", "b/c", true),
        ("acme", "\"; permit", false),
    ];
    for (tenant, name, expected) in rows {
        let pairing = Pairing::new(&Subject::new(&tenant.parse().unwrap(), name), &psd);
        assert_eq!(set.decide(&pairing, Action::ReadResult).is_permit(), expected, "{tenant}/{name}");
    }
}

#[test]
fn every_psd_that_a_policy_names_is_known() {
    let vendor = r#"@id("scope") forbid (principal, action, resource == Psd::"PS010000000001");
        @id("in") forbid (principal, action, resource in Psd::"PS010000000002");
        @id("when") permit (principal, action, resource is Psd)
        when { [Psd::"PS010000000003"].contains(resource) && resource != Psd::"PS010000000001" }
        unless { resource in [Psd::"PS010000000004"] || resource in Licence::"PS010000000005" };"#;
    let authority = r#"@id("authority") forbid (principal, action, resource == Psd::"PS010000000009");"#;
    let set = PolicySet::from_texts(vendor, authority).unwrap();
    let serials: Vec<u32> = set.named_psds().iter().map(|psd| psd.serial()).collect();
    assert_eq!(serials, [1, 2, 3, 4, 9]);
    assert!(PolicySet::shipped().unwrap().named_psds().is_empty());
}

#[test]
fn threads_share_one_set() {
    fn shared<T: Send + Sync>() {}
    shared::<PolicySet>();
    shared::<Pairing>();
    shared::<Resource>();
}

#[test]
fn the_digest_tells_sets_apart() {
    let digest = |vendor: &str, authority: &str| PolicySet::from_texts(vendor, authority).unwrap().digest();
    let forbid = r#"@id("f") forbid (principal, action, resource);"#;
    let digests = [digest("", ""), digest(forbid, ""), digest("", forbid), digest(OWN_PSDS, forbid)];
    for (i, one) in digests.iter().enumerate() {
        assert!(digests.iter().skip(i + 1).all(|other| other != one));
    }
    assert_eq!(digest(OWN_PSDS, forbid), digests[3]);
}

//! What the authority instructed, beside the files: what is refused, how both combine, and that neither can keep the other out.

use psd::PostageAmount;
use psd::policy::{LONGEST_POLICY, PolicyText};
use psdd_policy::{
    Action, Decision, InstructedPolicy, Pairing, Party, PolicySet, Problem, Reason, Resource, SigningTotals, Subject,
};

const OWN_PSDS: &str =
    r#"@id("own") permit (principal, action, resource is Psd) when { principal in resource.tenant };"#;
const ABOVE: &str = r#"@id("above") forbid (principal in Tenant::"acme", action == Action::"sign_indicium", resource)
                       when { context.largest > 1000 };"#;

fn text(text: &str) -> PolicyText {
    PolicyText::new(text).unwrap()
}

fn instructed(of: &str) -> InstructedPolicy {
    InstructedPolicy::read(&text(of)).unwrap()
}

fn decide(set: &PolicySet, tenant: &str, largest: u64) -> Decision {
    let tenant = tenant.parse().unwrap();
    let psd = Resource::new("062S0007358267".parse().unwrap(), &"L-4711".parse().unwrap(), &tenant);
    let largest = PostageAmount::from_mills(largest).unwrap();
    let sign = Action::SignIndicium(SigningTotals { count: 1, total: largest, largest });
    set.decide(&Pairing::new(&Subject::new(&tenant, "backend-1"), &psd), sign)
}

/// What forbids, and whose it is.
fn forbidden(decision: &Decision) -> Vec<(&str, Party)> {
    let Decision::Deny { reasons } = decision else { return Vec::new() };
    let named = reasons.iter().map(|reason| match reason {
        Reason::Forbidden { policy, by } => (policy.as_str(), *by),
        other => panic!("{other}"),
    });
    named.collect()
}

#[test]
fn it_binds_beside_the_files_and_is_lifted_by_an_empty_text() {
    let files = PolicySet::from_texts(OWN_PSDS, "").unwrap();
    let set = files.with(&instructed(ABOVE));
    assert_eq!(forbidden(&decide(&set, "acme", 1_001)), [("above", Party::Instruction)]);
    assert_eq!(decide(&set, "acme", 1_000), Decision::Permit);
    assert_eq!(decide(&set, "globex", 1_001), Decision::Permit);
    let Decision::Deny { reasons } = decide(&set, "acme", 1_001) else { panic!("permitted") };
    assert_eq!(reasons[0].to_string(), "forbidden by above of the authority's instruction");
    // The one before is gone, whatever it was.
    let lifted = set.with(&instructed(""));
    assert_eq!(decide(&lifted, "acme", 1_001), Decision::Permit);
    assert_eq!(decide(&lifted.with(&instructed("// a word and no policy\n")), "acme", 1_001), Decision::Permit);
    let other = ABOVE.replace("1000", "500");
    assert_eq!(forbidden(&decide(&lifted.with(&instructed(&other)), "acme", 501)), [("above", Party::Instruction)]);
}

/// The vendor writes one file and the authority the other; the same name in either keeps nothing out.
#[test]
fn nothing_in_the_files_overrides_it_or_keeps_it_out() {
    let vendor =
        r#"@id("all") permit (principal, action, resource); @id("above") permit (principal, action, resource);"#;
    let authority = r#"@id("stop") forbid (principal, action == Action::"sign_indicium", resource) when { context.largest > 2000 };"#;
    let both = format!("{ABOVE} {authority}");
    let set = PolicySet::from_texts(vendor, authority).unwrap().with(&instructed(&both));
    assert_eq!(forbidden(&decide(&set, "acme", 1_001)), [("above", Party::Instruction)]);
    assert_eq!(
        forbidden(&decide(&set, "acme", 2_001)),
        [("above", Party::Instruction), ("stop", Party::Authority), ("stop", Party::Instruction)]
    );
    assert_eq!(forbidden(&decide(&set.with(&instructed("")), "acme", 2_001)), [("stop", Party::Authority)]);
    let nobody = PolicySet::from_texts("", "").unwrap().with(&instructed(ABOVE));
    assert_eq!(decide(&nobody, "acme", 1), Decision::Deny { reasons: vec![Reason::NoPermit] }, "it permits nothing");
}

#[test]
fn what_cannot_be_evaluated_denies() {
    let overflow = r#"@id("sum") forbid (principal, action == Action::"sign_indicium", resource)
                      when { context.total * 1000000000000 > 5 };"#;
    let set = PolicySet::from_texts(OWN_PSDS, "").unwrap().with(&instructed(overflow));
    let Decision::Deny { reasons } = decide(&set, "acme", 100_000_000) else { panic!("permitted") };
    assert_eq!(reasons[0].to_string(), "sum of the authority's instruction could not be evaluated");
}

#[test]
fn each_refusal_says_which_policy_and_why() {
    let rows = [
        (
            "permit",
            r#"@id("p") permit (principal, action, resource);"#,
            "instruction:1:1: p permits; the authority may only",
        ),
        ("no id", "\n  forbid (principal, action, resource);", "instruction:2:3: the policy has no @id"),
        ("template", r#"@id("t") forbid (principal == ?principal, action, resource);"#, "instruction:1:1: templates"),
        ("syntax", "@id(\"s\")\nforbid (principal", "instruction:2:18: unexpected end"),
        (
            "unknown attribute",
            "@id(\"u\") forbid (principal, action, resource is Psd)\nwhen { resource.owner == principal };",
            "instruction:2:8: u: for policy `u`, attribute `owner` on entity type `Psd` not found",
        ),
        (
            "never applies",
            r#"@id("n") forbid (principal is Tenant, action, resource);"#,
            "instruction:1:1: n: for policy `n`, ",
        ),
        (
            "id twice",
            "@id(\"f\") forbid (principal, action, resource);\n@id(\"f\") forbid (principal, action, resource);",
            "instruction:2:1: @id(\"f\") names another policy too",
        ),
    ];
    for (name, of, expected) in rows {
        let Err(findings) = InstructedPolicy::read(&text(of)) else { panic!("{name} is taken") };
        let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|line| line.starts_with(expected)), "{name}: {said:#?}");
    }
    let Err(findings) = InstructedPolicy::read(&text(&ABOVE.replace("forbid", "permit"))) else { panic!("taken") };
    let problems: Vec<&Problem> = findings.iter().map(|finding| &finding.problem).collect();
    assert!(matches!(problems[..], [Problem::PermitByAuthority(name)] if name.as_str() == "above"));
}

#[test]
fn a_psd_that_only_the_instruction_names_is_told_apart() {
    let files = PolicySet::from_texts(OWN_PSDS, "").unwrap();
    let set = files.with(&instructed(r#"@id("one") forbid (principal, action, resource == Psd::"PS010000000007");"#));
    assert_eq!(set.named_psds().iter().map(|psd| psd.serial()).collect::<Vec<_>>(), [7]);
    assert!(set.with(&instructed("")).named_psds().is_empty());
}

#[test]
fn the_digest_tells_instructed_policies_apart() {
    let files = PolicySet::from_texts(OWN_PSDS, "").unwrap();
    let digests = [files.digest(), files.with(&instructed("")).digest(), files.with(&instructed(ABOVE)).digest()];
    assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0] != digests[2]);
    let other = PolicySet::from_texts(OWN_PSDS, ABOVE).unwrap().with(&instructed(ABOVE));
    assert_ne!(other.digest(), digests[2], "the files count");
    assert_eq!(files.with(&instructed("")).with(&instructed(ABOVE)).digest(), digests[2], "what was before does not");
}

/// As many policies as a text can hold; those that judge requests are none the worse for it.
#[test]
fn the_longest_text_is_read() {
    let mut of = String::new();
    for number in 0.. {
        let policy = format!("@id(\"p{number}\")forbid(principal,action==Action::\"withdraw\",resource);");
        if of.len() + policy.len() > LONGEST_POLICY {
            break;
        }
        of.push_str(&policy);
    }
    let set = PolicySet::from_texts(OWN_PSDS, "").unwrap().with(&instructed(&of));
    assert_eq!(decide(&set, "acme", 1_001), Decision::Permit);
}

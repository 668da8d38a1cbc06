//! The effect of a ceremony in words, complete: what is not told here is not done.

use super::act::{CreatePsds, SplitPin};
use super::field::{to_groups, to_hex};
use super::plan::Group;
use super::{Act, Ceremony, NewOperator};
use psd::key::Residence;

pub(super) fn of(ceremony: &Ceremony) -> Vec<String> {
    let head = ceremony.head();
    let mut told = vec![
        format!("ceremony no. {} of appliance {}, genesis {}", head.number, head.appliance, to_groups(&head.genesis)),
        format!("to be begun from {} to {}; nonce {}", head.not_before, head.not_after, to_hex(&head.nonce)),
    ];
    told.extend(of_act(ceremony.act()));
    told
}

fn of_act(act: &Act) -> Vec<String> {
    match act {
        Act::CreatePsds(act) => of_creation(act),
        Act::RotateKey(act) => {
            let next = u16::from(act.expected.generation) + 1;
            let verifiers = if act.without_acknowledgement {
                "it takes over even if verifiers have not acknowledged its certificate: some may refuse what it signs"
            } else {
                "where a rule of the appliance demands it, it takes over only after verifiers acknowledged its certificate"
            };
            vec![
                format!(
                    "make generation {next} of the {} key of PSD {}, in the token and with the algorithm of the present one",
                    act.role, act.psd
                ),
                "once its certificate is installed, it takes over and the present one signs nothing more".to_owned(),
                verifiers.to_owned(),
                format!("only if {}", act.expected),
            ]
        }
        Act::RevokeKey(act) => vec![
            format!(
                "revoke generation {} of the {} key of PSD {}, reason {}",
                act.generation, act.role, act.psd, act.reason
            ),
            "from the next item on it signs nothing, for ever; what is not yet committed under it is dropped"
                .to_owned(),
            format!("only if {}", act.expected),
        ],
        Act::RetireKey(act) => vec![
            format!(
                "retire generation {} of the {} key of PSD {}: it signs nothing more, what it signed stays good",
                act.generation, act.role, act.psd
            ),
            format!("only if {}", act.expected),
        ],
        Act::DestroyKey(act) => vec![
            format!(
                "destroy generation {} of the {} key of PSD {} in its token; this cannot be undone",
                act.generation, act.role, act.psd
            ),
            format!("only if {}", act.expected),
        ],
        Act::Operators(act) => of_operators("replace the list of operators by these", &act.operators, act.quorum),
        Act::RevokeOperator(act) => {
            vec![format!("revoke operator {}, reason {}: approvals of that key count no more", act.name, act.reason)]
        }
        Act::RevokePsd(act) => vec![
            format!("revoke PSD {} with all its keys, reason {}: it never signs again", act.psd, act.reason),
            format!("only if {}", act.expected),
        ],
        Act::RevokeClient(act) => vec![format!(
            "revoke client {} of tenant {}, reason {}: its connections are closed and it is let in no more",
            act.client, act.tenant, act.reason
        )],
        Act::RevokeAccount(act) => vec![format!(
            "revoke tenant {} with all its clients, reason {}: nothing is signed for it any more",
            act.tenant, act.reason
        )],
        Act::Lock(act) => vec![
            format!("set the operators' lock on PSD {}: it signs nothing until operators clear it", act.psd),
            format!("only if {}", act.expected),
        ],
        Act::Unlock(act) => vec![
            format!("clear the operators' lock on PSD {}; every other lock stays", act.psd),
            format!("only if {}", act.expected),
        ],
        Act::Scrap(act) => vec![
            format!(
                "scrap PSD {}: all its private keys are destroyed and its life ends; this cannot be undone",
                act.psd
            ),
            format!("only if {}", act.expected),
        ],
        Act::BackUp(act) => vec![format!("copy the ledger to {} on the daemon's machine", act.directory.display())],
        Act::InitialiseToken(act) => {
            vec![format!("initialise token {} with the label {:?}; whatever it held is lost", act.token, act.label)]
        }
        Act::SplitPin(act) => of_split(act),
        Act::Abandon(act) => {
            vec![format!(
                "give up ceremony no. {}, which was interrupted; what it had done is told in its transcript",
                act.number
            )]
        }
    }
}

fn of_creation(act: &CreatePsds) -> Vec<String> {
    let keys: Vec<String> = act.roles.iter().map(|role| format!("{role} ({})", act.algorithm(*role))).collect();
    let residence = match act.residence {
        Residence::Resident => "in the token for good",
        Residence::Wrapped => "wrapped under the token's wrapping key and kept in the ledger",
    };
    let count = act.count();
    let mut told = vec![
        format!("create {count} PSD{} that do not exist yet", if count == 1 { "" } else { "s" }),
        format!("each with these keys: {}; private keys {residence}", keys.join(", ")),
    ];
    told.extend(act.groups.iter().map(of_group));
    told
}

fn of_group(group: &Group) -> String {
    let Group { psds, tenant, licence, licensing_zip, format, software_id, token, limits, currency, zips } = group;
    let (first, last) = (psds.first(), psds.last());
    let range = match (first, last) {
        (Some(first), Some(last)) if first != last => format!("PSDs {first} to {last} ({})", psds.len()),
        (Some(first), _) => format!("PSD {first}"),
        (None, _) => "no PSD".to_owned(),
    };
    let meant = zips.map_or_else(|| "all destinations".to_owned(), |zips| format!("destinations {zips}"));
    format!(
        "{range}: tenant {tenant}, licence {licence} at {licensing_zip}, format {format}, software id {}, token {token}, \
         {currency}, {meant}, postage {} to {}, descending register up to {}, downloads {} to {}",
        String::from_utf8_lossy(software_id),
        limits.smallest_postage,
        limits.largest_postage,
        limits.largest_descending,
        limits.smallest_refill,
        limits.largest_refill,
    )
}

/// A list of operators and a quorum, with the keys as people compare them.
pub(super) fn of_operators(lead: &str, operators: &[NewOperator], quorum: u64) -> Vec<String> {
    let mut told = vec![format!("{lead}; {quorum} of {} approve a ceremony", operators.len())];
    told.extend(
        operators.iter().map(|NewOperator { name, public_key }| {
            format!("operator {name}, key SHA-256 {}", public_key.fingerprint())
        }),
    );
    told
}

fn of_split(act: &SplitPin) -> Vec<String> {
    let SplitPin { token, threshold, holders } = act;
    let mut told = vec![
        format!("give token {token} a new PIN and split it: any {threshold} of {} shares give it back", holders.len()),
        "no copy of the PIN stays anywhere else".to_owned(),
    ];
    told.extend(holders.iter().map(|holder| {
        format!("a share for {}, encrypted to key SHA-256 {}", holder.name, holder.public_key.fingerprint())
    }));
    told
}

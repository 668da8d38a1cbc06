//! The genesis file and its unanimity.

use crate::rig::{MemoryKey, NOON};
use psd::UnixMillis;
use psd::record::{AuthorityPurpose, Environment};
use psdd_wire::ceremony::{Approval, GenesisFile, OperatorKey, Subject, unanimous};

fn certificate() -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem()
}

fn file(keys: &[MemoryKey]) -> String {
    let certificate = certificate();
    let mut text = format!(
        "appliance = \"post-1\"\nenvironment = \"production\"\nquorum = 2\nlog_token = \"main\"\n\
         nonce = \"000102030405060708090a0b0c0d0e0f\"\nnot_after = 2026-11-20T12:00:00Z\n\
         authority_root = '''\n{certificate}'''\n[authority_keys]\nfunds = '''\n{certificate}'''\n"
    );
    for (name, key) in ["ada", "ben", "cem"].into_iter().zip(keys) {
        let pem = key.public_key().to_pem();
        text += &format!("[[operators]]\nname = \"{name}\"\npublic_key = '''\n{pem}'''\n");
    }
    text
}

#[test]
fn an_appliance_is_born_by_all_of_its_operators() {
    let keys = [(); 3].map(|()| MemoryKey::new());
    let text = file(&keys);
    let genesis = GenesisFile::read(text.as_bytes()).unwrap();
    assert_eq!((genesis.environment(), genesis.quorum()), (Environment::Production, 2));
    assert_eq!(genesis.authority_keys()[0].0, AuthorityPurpose::Funds);
    let effects = genesis.effects().join("\n");
    for words in ["marks are money", "operator ada", "2 of 3 approve", &keys[2].public_key().fingerprint()] {
        assert!(effects.contains(words), "{words}: {effects}");
    }
    let approve = |name: &str, key| Approval::sign(Subject::Genesis(&genesis), &name.parse().unwrap(), key).unwrap();
    let all = [approve("ada", &keys[0]), approve("ben", &keys[1]), approve("cem", &keys[2])];
    let code = |approvals: &[Vec<u8>], now| match unanimous(&genesis, approvals, UnixMillis(now)) {
        Ok(quorum) => quorum.approvers().len().to_string(),
        Err(refusal) => refusal.code().to_owned(),
    };
    assert_eq!(code(&all, NOON), "3");
    assert_eq!(code(&all, NOON + 1), "window-expired");
    assert_eq!(code(&all[..2], NOON), "below-quorum");
    assert_eq!(code(&[all[0].clone(), all[0].clone(), all[1].clone()], NOON), "same-operator-twice");
}

#[test]
fn faults_are_told_with_their_place() {
    let keys = [(); 2].map(|()| MemoryKey::new());
    let text = file(&keys);
    let told = |old: &str, new: &str| GenesisFile::read(text.replacen(old, new, 1).as_bytes()).unwrap_err().to_string();
    assert!(told("production", "toy").starts_with("line 2: environment: "), "{}", told("production", "toy"));
    assert!(told("quorum = 2", "quorum = 3").contains("quorum: 3 of 2"));
    assert!(told("-----BEGIN CERTIFICATE", "-----BEGIN PRIVATE").contains("not one certificate in PEM"));
    assert!(told("[authority_keys]", "[authority_key]").contains("authority_key"));
}

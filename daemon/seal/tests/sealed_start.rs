//! From a PIN to shares and back, and everything on the way that must be refused.

use psdd_seal::{
    Answer, Desk, HostKey, Offer, OfferError, RecipientKey, RecipientPublicKey, Refusal, SealShareError, SealedToken,
    Share, ShareFile, ShareFileError, ShareSet, SplitError, TokenName, seal_share, split, write_clear, write_encrypted,
};

const PIN: &[u8] = b"24680-correct-horse";

static_assertions::assert_not_impl_any!(Share: std::fmt::Debug, Clone);
static_assertions::assert_not_impl_any!(HostKey: std::fmt::Debug, Clone);
static_assertions::assert_not_impl_any!(Desk: std::fmt::Debug, Clone);
static_assertions::assert_not_impl_any!(psdd_seal::Taken: std::fmt::Debug, Clone);
static_assertions::assert_not_impl_any!(psdd_seal::Progress: std::fmt::Debug, Clone);

fn token() -> TokenName {
    TokenName { label: "psdd-one".to_owned(), serial: "0123456789abcdef".to_owned() }
}

fn host() -> HostKey {
    HostKey::from_pem(HostKey::generate().expect("made").as_bytes()).expect("read")
}

struct Start {
    desk: Desk,
    pinned: psdd_seal::HostPublicKey,
}

fn start(set: &ShareSet) -> Start {
    let host = host();
    let pinned = host.public().clone();
    let tokens = vec![SealedToken { name: "one".to_owned(), set: set.clone() }];
    Start { desk: Desk::open(host, tokens).expect("opened"), pinned }
}

impl Start {
    fn offer(&self) -> Vec<u8> {
        self.desk.offer().expect("signed")
    }

    fn seal(&self, share: &Share) -> Vec<u8> {
        seal_share(&self.offer(), &self.pinned, share).expect("sealed")
    }

    fn refusal(&mut self, envelope: &[u8]) -> (Refusal, String) {
        match self.desk.take(envelope).answer {
            Answer::Refused { refusal, text } => (refusal, text),
            other => panic!("taken: {other:?}"),
        }
    }
}

/// A share whose value differs in one bit, with everything else as it was.
fn altered(share: &Share) -> Share {
    let mut bytes = share.encode().to_vec();
    *bytes.last_mut().expect("a value") ^= 1;
    Share::decode(&bytes).expect("of the form")
}

#[test]
fn any_threshold_of_shares_gives_the_pin_and_fewer_do_not() {
    for (threshold, count) in [(2, 2), (2, 3), (3, 5), (16, 16)] {
        let (set, shares) = split(token(), PIN, threshold, count).expect("split");
        let mut start = start(&set);
        for (taken, share) in (1..).zip(shares.iter().rev().take(usize::from(threshold))) {
            let envelope = start.seal(share);
            let outcome = start.desk.take(&envelope);
            if taken < threshold {
                let expected = Answer::Taken { token: "one".to_owned(), index: share.index(), held: taken, threshold };
                assert_eq!(outcome.answer, expected);
                assert!(outcome.pin.is_none());
            } else {
                assert_eq!(outcome.answer, Answer::Unsealed { token: "one".to_owned() });
                assert_eq!(outcome.pin.expect("the PIN").as_bytes(), PIN);
            }
        }
    }
}

#[test]
fn pins_of_every_length_come_back_and_sets_do_not_tell_it() {
    let mut lengths = Vec::new();
    for length in [1, 4, 255, 256] {
        let (set, shares) = split(token(), &vec![b'7'; length], 2, 2).expect("split");
        lengths.push(set.encode().len());
        let mut start = start(&set);
        let first = start.seal(&shares[0]);
        start.desk.take(&first);
        let second = start.seal(&shares[1]);
        assert_eq!(start.desk.take(&second).pin.expect("the PIN").as_bytes().len(), length);
    }
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
}

#[test]
fn what_cannot_be_split_is_refused() {
    for (threshold, shares) in [(0, 1), (1, 1), (1, 3), (4, 3), (2, 17)] {
        assert!(matches!(split(token(), PIN, threshold, shares), Err(SplitError::Numbers { .. })));
    }
    assert!(matches!(split(token(), b"", 2, 3), Err(SplitError::Length(0))));
    assert!(matches!(split(token(), &[b'1'; 257], 2, 3), Err(SplitError::Length(257))));
    let nameless = TokenName { label: String::new(), serial: "1".to_owned() };
    assert!(matches!(split(nameless, PIN, 2, 3), Err(SplitError::Token)));
}

#[test]
fn a_share_that_does_not_belong_is_named_and_changes_nothing() {
    let (set, shares) = split(token(), PIN, 2, 3).expect("split");
    let (_, others) = split(token(), PIN, 2, 3).expect("split");
    let mut start = start(&set);
    let offer = start.offer();

    // psdctl finds it before it leaves the operator's machine.
    let refused = seal_share(&offer, &start.pinned, &altered(&shares[1]));
    assert!(matches!(refused, Err(SealShareError::Altered { index: 2 })));
    let refused = seal_share(&offer, &start.pinned, &others[1]);
    assert!(matches!(refused, Err(SealShareError::OtherSet { .. })));
    let elsewhere = TokenName { serial: "other".to_owned(), ..token() };
    let (_, foreign) = split(elsewhere, PIN, 2, 3).expect("split");
    assert!(matches!(seal_share(&offer, &start.pinned, &foreign[0]), Err(SealShareError::NoSuchToken(_))));

    let first = start.seal(&shares[0]);
    assert!(matches!(start.desk.take(&first).answer, Answer::Taken { held: 1, .. }));
    let (refusal, text) = start.refusal(&first);
    assert_eq!(refusal, Refusal::AlreadyIn);
    assert!(text.contains("share 1 is in already"), "{text}");
    let refused = seal_share(&start.offer(), &start.pinned, &shares[0]);
    assert!(matches!(refused, Err(SealShareError::AlreadyIn { index: 1, .. })));
    assert_eq!(start.desk.progress(0), Some((1, 2)));

    let last = start.seal(&shares[2]);
    assert_eq!(start.desk.take(&last).pin.expect("the PIN").as_bytes(), PIN);
    let (refusal, _) = start.refusal(&last);
    assert_eq!(refusal, Refusal::AlreadyUnsealed);
    let refused = seal_share(&start.offer(), &start.pinned, &shares[1]);
    assert!(matches!(refused, Err(SealShareError::Unsealed(name)) if name == "one"));
}

/// The keeper does not rely on psdctl: what a dishonest client seals is judged again.
#[test]
fn the_keeper_itself_names_altered_shares_and_other_sets() {
    let (set, shares) = split(token(), PIN, 2, 3).expect("split");
    let (_, others) = split(token(), b"another PIN", 2, 3).expect("split");
    let mut gathering = psdd_seal::Gathering::new(set);
    for (share, expected) in [(altered(&shares[1]), "share 2 of set "), (altered(&others[0]), "share 1 is of set ")] {
        let refused = gathering.add(share).err().expect("refused");
        assert!(refused.to_string().starts_with(expected), "{refused}");
        assert!(gathering.held().is_empty());
    }
}

/// The commitments hold, and yet nothing comes of the shares: the ciphertext of the set was damaged on the way.
#[test]
fn shares_that_do_not_combine_are_named_and_let_go() {
    let (set, shares) = split(token(), PIN, 2, 3).expect("split");
    let mut bytes = set.encode();
    *bytes.last_mut().expect("a tag") ^= 1;
    let damaged = ShareSet::decode(&bytes).expect("of the form");
    let in_damaged = |share: &Share| {
        let own = set.encode();
        let bytes = share.encode();
        let place = bytes.windows(own.len()).position(|window| window == own).expect("its set");
        Share::decode(&[&bytes[..place], &damaged.encode(), &bytes[place + own.len()..]].concat()).expect("of the form")
    };
    let mut gathering = psdd_seal::Gathering::new(damaged.clone());
    assert!(gathering.add(in_damaged(&shares[0])).is_ok());
    let refused = gathering.add(in_damaged(&shares[2])).err().expect("refused");
    assert!(refused.to_string().contains("shares [1, 3]") && refused.to_string().contains("no login"), "{refused}");
    assert!(gathering.held().is_empty(), "all are to be given again");
}

#[test]
fn an_offer_is_believed_only_from_the_pinned_host_and_unaltered() {
    let (set, shares) = split(token(), PIN, 2, 3).expect("split");
    let (real, forger) = (start(&set), start(&set));
    let forged = seal_share(&forger.offer(), &real.pinned, &shares[0]);
    assert!(matches!(forged, Err(SealShareError::Offer(OfferError::OtherHost { .. }))));

    let offer = real.offer();
    assert!(Offer::verify(&offer, &real.pinned).is_ok());
    for place in 0..offer.len() {
        let mut changed = offer.clone();
        changed[place] ^= 1;
        assert!(Offer::verify(&changed, &real.pinned).is_err(), "byte {place} was changed");
    }
    let mut longer = offer.clone();
    longer.push(0);
    assert!(matches!(Offer::verify(&longer, &real.pinned), Err(OfferError::Malformed(_))));
}

#[test]
fn a_recorded_share_is_worth_nothing_to_another_start_or_host() {
    let (set, shares) = split(token(), PIN, 2, 3).expect("split");
    let (first, mut second) = (start(&set), start(&set));
    let recorded = first.seal(&shares[0]);
    let (refusal, text) = second.refusal(&recorded);
    assert_eq!(refusal, Refusal::OtherStart);
    assert!(text.contains("fetch the offer again"), "{text}");

    // With the other start's incarnation written over it, it still does not open.
    let incarnation = |start: &Start| Offer::verify(&start.offer(), &start.pinned).expect("verified").incarnation();
    let (from, to) = (incarnation(&first), incarnation(&second));
    let place = recorded.windows(16).position(|window| window == from).expect("its incarnation");
    let mut moved = recorded.clone();
    moved[place..place + 16].copy_from_slice(&to);
    assert_eq!(second.refusal(&moved).0, Refusal::DoesNotOpen);
    assert_eq!(second.desk.progress(0), Some((0, 2)));
}

#[test]
fn every_change_of_an_envelope_is_refused() {
    let (set, shares) = split(token(), PIN, 2, 3).expect("split");
    let mut start = start(&set);
    let envelope = start.seal(&shares[0]);
    for place in 0..envelope.len() {
        let mut changed = envelope.clone();
        changed[place] ^= 1;
        assert!(matches!(start.desk.take(&changed).answer, Answer::Refused { .. }), "byte {place} was changed");
    }
    for length in [0, 1, envelope.len() - 1] {
        assert_eq!(start.refusal(&envelope[..length]).0, Refusal::Malformed);
    }
    assert_eq!(start.desk.progress(0), Some((0, 2)), "nothing was taken");
}

#[test]
fn files_of_shares_come_back_and_damage_is_found() {
    let (_, shares) = split(token(), PIN, 2, 3).expect("split");
    let text = write_clear(&shares[1]).expect("written");
    let Ok(ShareFile::Clear(read)) = ShareFile::read(text.as_bytes()) else { panic!("not read") };
    assert_eq!(*read.encode(), *shares[1].encode());
    assert!(read.is_intact());

    for place in (0..text.len()).filter(|place| text.as_bytes()[*place] != b'\n') {
        let mut changed = text.as_bytes().to_vec();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        assert!(ShareFile::read(&changed).is_err(), "byte {place} was changed");
    }
    assert!(matches!(ShareFile::read(b"share"), Err(ShareFileError::Pem(_))));
}

#[test]
fn an_encrypted_file_opens_for_its_holder_only() {
    let (_, shares) = split(token(), PIN, 2, 3).expect("split");
    for (private, public) in [("x25519.pem", "x25519.pub.pem"), ("p256.pem", "p256.pub.pem")] {
        let read = |name: &str| std::fs::read(format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))).expect(name);
        let public = RecipientPublicKey::from_pem(&read(public)).expect("a public key");
        let text = write_encrypted(&shares[2], "alice", &public).expect("written");
        let value = shares[2].encode();
        let secret = &value[value.len() - 32..];
        assert!(!text.as_bytes().windows(32).any(|window| window == secret));
        let Ok(ShareFile::Encrypted(file)) = ShareFile::read(text.as_bytes()) else { panic!("not read") };
        assert_eq!((file.holder(), file.index(), file.set_id()), ("alice", 3, shares[2].set_id()));
        let opened = file.open(&RecipientKey::from_pem(&read(private)).expect("a private key")).expect("opened");
        assert_eq!(*opened.encode(), *value);
        let other = RecipientKey::generate().expect("made");
        assert!(matches!(file.open(&other), Err(ShareFileError::Open { holder, .. }) if holder == "alice"));
    }
}

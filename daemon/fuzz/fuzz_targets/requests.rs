//! Every message that is read at a door, and the claims inside signed ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psdd_wire::message::{
    SignRequest, TokenQuery, ValueAuthorisation, ValueAuthorisationClaims, ValueRequest, ValueRequestClaims,
};
use psdd_wire::{encode, item, read};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = read::<SignRequest<'_>>(bytes) {
        for item in &request.items {
            drop(item::piece_of(&request.target, item));
        }
        let again = encode(&request);
        let again: SignRequest<'_> = read(&again).expect("what was read is read again");
        assert_eq!(format!("{request:?}"), format!("{again:?}"));
    }
    if let Ok(request) = read::<ValueRequest<'_>>(bytes) {
        drop(request.amount.parse::<psd::PostageAmount>());
    }
    if let Ok(query) = read::<TokenQuery<'_>>(bytes) {
        drop(query.psd.parse().map(|psd| item::token_data(psd, &query)));
    }
    drop(read::<ValueAuthorisation>(bytes));
    if let Ok(claims) = read::<ValueRequestClaims>(bytes) {
        assert_eq!(read::<ValueRequestClaims>(&encode(&claims)).expect("read again"), claims);
    }
    if let Ok(claims) = read::<ValueAuthorisationClaims>(bytes) {
        assert_eq!(read::<ValueAuthorisationClaims>(&encode(&claims)).expect("read again"), claims);
    }
});

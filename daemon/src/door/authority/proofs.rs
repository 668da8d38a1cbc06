//! `/v1/log/inclusion`, `/v1/log/consistency`, `/v1/log/receipt`: proofs over what a published checkpoint covers.

use super::AuthorityState;
use super::log::not_published;
use crate::door::failure::Failure;
use crate::door::log_readers::damaged;
use psdd_wire::proof::{ConsistencyResponse, InclusionResponse, ReceiptResponse};
use psdd_wire::tlog::Hash;
use serde_bytes::ByteBuf;

/// The numbers that a query gives to these names, each once and nothing else.
fn numbers<const N: usize>(query: Option<&str>, names: [&str; N]) -> Result<[u64; N], Failure> {
    let malformed = || {
        let wanted = names.map(|name| format!("{name}=NUMBER")).join("&");
        Failure::malformed(format!("the query here is ?{wanted}, with decimal numbers"))
    };
    let mut found = [None; N];
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').ok_or_else(malformed)?;
        let slot = names.iter().position(|known| *known == name).and_then(|at| found.get_mut(at));
        let slot = slot.filter(|slot| slot.is_none()).ok_or_else(malformed)?;
        let digits = Some(value).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
        *slot = Some(digits.and_then(|digits| digits.parse().ok()).ok_or_else(malformed)?);
    }
    let mut all = [0; N];
    for (number, found) in all.iter_mut().zip(found) {
        *number = found.ok_or_else(malformed)?;
    }
    Ok(all)
}

fn path(hashes: Vec<Hash>) -> Vec<ByteBuf> {
    hashes.into_iter().map(|hash| ByteBuf::from(hash.to_vec())).collect()
}

pub(super) async fn inclusion(
    state: &AuthorityState,
    inspector: &str,
    query: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    let [leaf, size] = numbers(query, ["leaf", "size"])?;
    if leaf >= size {
        return Err(Failure::malformed("leaf: a tree of `size` leaves has leaf 0 to size - 1"));
    }
    if size > state.newest.size() {
        return Err(not_published(state, Some(size)));
    }
    let place = state.log.place(inspector)?;
    let hashes = state.log.read(&place, move |log| log.inclusion_path(leaf, size)).await?;
    Ok(psdd_wire::encode(&InclusionResponse { leaf, path: path(hashes), size }))
}

pub(super) async fn consistency(
    state: &AuthorityState,
    inspector: &str,
    query: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    let [from, to] = numbers(query, ["from", "to"])?;
    if from == 0 || from > to {
        return Err(Failure::malformed("from: 1 or more, and not above `to`"));
    }
    if to > state.newest.size() {
        return Err(not_published(state, Some(to)));
    }
    let place = state.log.place(inspector)?;
    let hashes = state.log.read(&place, move |log| log.consistency_path(from, to)).await?;
    Ok(psdd_wire::encode(&ConsistencyResponse { to, from, path: path(hashes) }))
}

pub(super) async fn receipt(state: &AuthorityState, inspector: &str, query: Option<&str>) -> Result<Vec<u8>, Failure> {
    let [leaf] = numbers(query, ["leaf"])?;
    if leaf >= state.newest.size() {
        return Err(not_published(state, leaf.checked_add(1)));
    }
    let place = state.log.place(inspector)?;
    let signed = state.receipts.over(leaf).await?.ok_or_else(|| not_published(state, leaf.checked_add(1)))?;
    let size = signed.size;
    let read = move |log: &psdd_ledger::LogReader| Ok((log.record(leaf)?, log.inclusion_path(leaf, size)?));
    let (record, path) = state.log.read(&place, read).await?;
    if !signed.covers(leaf, &record, &path) {
        return Err(damaged(&format!("record {leaf} and its path do not lead to the root that was signed")));
    }
    let receipt = signed.receipt(leaf, path);
    Ok(psdd_wire::encode(&ReceiptResponse { leaf, record, receipt }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_each_number_once() {
        let told = |query| numbers(query, ["leaf", "size"]).ok();
        assert_eq!(told(Some("leaf=1&size=20")), Some([1, 20]));
        assert_eq!(told(Some("size=20&leaf=18446744073709551615")), Some([u64::MAX, 20]));
        for wrong in [
            None,
            Some(""),
            Some("leaf=1"),
            Some("leaf=1&size="),
            Some("leaf=1&size=+2"),
            Some("leaf=1&size=-2"),
            Some("leaf=1&size=2&leaf=1"),
            Some("leaf=1&size=2&more=3"),
            Some("leaf=1&size=18446744073709551616"),
            Some("leaf=1&size=%32"),
        ] {
            assert_eq!(told(wrong), None, "{wrong:?}");
        }
    }
}

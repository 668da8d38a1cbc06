//! GET /v1/scales: the registry of scales as the log has it, each with the record that says so.

use super::AuthorityState;
use crate::core::Sight;
use crate::door::failure::Failure;
use crate::door::log_readers::damaged;
use psd::UnixMillis;
use psd::certifying::RegisteredScale;
use psd::record::{Event, Record};
use psdd_wire::message::{ScaleView, ScalesResponse};

/// Days before its end from which a calibration is due.
const DUE_DAYS: u32 = 30;

pub(super) async fn scales(state: &AuthorityState, inspector: &str) -> Result<Vec<u8>, Failure> {
    let view = state.core.view(Sight::Appliance)?.await.ok().ok_or_else(Failure::stopping)?;
    let now = view.clock.ok().map(|clock| clock.time);
    let place = state.log.place(inspector)?;
    let records = state.log.read(&place, |log| log.live_of_appliance("scale:")).await?;
    let mut scales = Vec::with_capacity(records.len());
    for (leaf, bytes) in records {
        match Record::decode(&bytes).map(|record| record.event) {
            Ok(Event::ScaleRegistered(scale)) => scales.push(row(&scale, leaf, now)),
            Ok(Event::ScaleRemoved { .. }) => {}
            Ok(_) | Err(_) => return Err(damaged(&format!("record {leaf} is none of a scale"))),
        }
    }
    Ok(psdd_wire::encode(&ScalesResponse { scales, checkpoint: state.newest.note() }))
}

fn row(scale: &RegisteredScale, leaf: u64, now: Option<UnixMillis>) -> ScaleView {
    let standing = now.map(|now| scale.standing(now, DUE_DAYS));
    ScaleView {
        days: standing.and_then(|standing| standing.days()),
        leaf,
        site: scale.site.to_string(),
        maker: scale.maker.to_string(),
        model: scale.model.to_string(),
        scale: scale.scale.to_string(),
        issuer: scale.issuer.to_string(),
        signed: scale.signed.as_str().to_owned(),
        minimum: scale.minimum_mg,
        capacity: scale.capacity_mg,
        standing: standing.map(|standing| standing.as_str().to_owned()),
        resolution: scale.resolution_mg,
        valid_from: scale.from.to_string(),
        certificate: scale.certificate.to_string(),
        valid_until: scale.until.to_string(),
    }
}

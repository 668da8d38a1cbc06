//! Shares on their way to the keeper: carried, never read.

use super::OperatorDoor;
use super::ceremonies::beside;
use crate::door::failure::{Failure, SOON_MS};
use http::StatusCode;
use psdd_hsm::unseal::{self, UnsealError};
use psdd_wire::operator::{UnsealRequest, UnsealResponse, UnsealStatus};
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

fn socket(door: &OperatorDoor) -> Result<PathBuf, Failure> {
    let detail = "psdd.toml names no unseal_socket: the keeper of this host has its PINs from files";
    door.unseal_socket.clone().ok_or_else(|| Failure::lasting(StatusCode::CONFLICT, "nothing-sealed", detail))
}

fn failed(error: &UnsealError) -> Failure {
    if let UnsealError::TooLong(_) = error {
        return Failure::malformed(error.to_string());
    }
    Failure::passing("keeper-unavailable", error.to_string(), SOON_MS)
}

/// What the keeper offers.
pub(super) async fn status(door: &OperatorDoor) -> Result<Vec<u8>, Failure> {
    let socket = socket(door)?;
    let offer = beside(move || unseal::offer(&socket, PATIENCE)).await?.map_err(|error| failed(&error))?;
    Ok(psdd_wire::encode(&UnsealStatus { status: offer }))
}

/// A sealed share in, the keeper's answer out.
pub(super) async fn submit(door: &OperatorDoor, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let UnsealRequest { share } = psdd_wire::read(body).map_err(|error| Failure::malformed(error.to_string()))?;
    let socket = socket(door)?;
    let answer = beside(move || unseal::submit(&socket, &share, PATIENCE)).await?.map_err(|error| failed(&error))?;
    Ok(psdd_wire::encode(&UnsealResponse { answer: answer.encode() }))
}

//! Ceremonies over the operator door: planned, run, looked at.

use super::OperatorState;
use crate::ceremony::{Ceremonies, CeremonyFailure, Progress};
use crate::door::failure::{Failure, SOON_MS};
use http::StatusCode;
use psd::governance::CeremonyEnd;
use psd::record::Event;
use psdd_wire::ceremony::Ceremony;
use psdd_wire::message::StatusResponse;
use psdd_wire::operator::{
    CeremonyResponse, CeremonyState, PlanProblem, PlanRequest, PlanResponse, RunRequest, RunResponse,
};
use serde_bytes::ByteBuf;

/// A ceremony that is not run.
pub(super) fn refused(failure: &CeremonyFailure) -> Failure {
    if failure.retryable() {
        return Failure::passing(failure.code(), failure.to_string(), SOON_MS);
    }
    let status = match failure {
        CeremonyFailure::File(_) | CeremonyFailure::TooLarge { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::CONFLICT,
    };
    Failure::lasting(status, failure.code(), failure.to_string())
}

/// Runs what blocks on the core and on tokens beside the tasks of the door.
pub(super) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.ok().ok_or_else(Failure::stopping)
}

pub(super) async fn plan(state: &OperatorState, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: PlanRequest = psdd_wire::read(body).map_err(|error| Failure::malformed(error.to_string()))?;
    let ceremonies = state.ceremonies.clone();
    let judged = beside(move || ceremonies.problems(&request.file)).await?;
    let (ceremony, problems) = judged.map_err(|failure| refused(&failure))?;
    let problem =
        |failure: &CeremonyFailure| PlanProblem { code: failure.code().to_owned(), text: failure.to_string() };
    Ok(psdd_wire::encode(&PlanResponse {
        number: ceremony.head().number,
        effects: ceremony.effects(),
        problems: problems.iter().map(problem).collect(),
    }))
}

pub(super) async fn run(state: &OperatorState, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: RunRequest = psdd_wire::read(body).map_err(|error| Failure::malformed(error.to_string()))?;
    let ceremonies = state.ceremonies.clone();
    let approvals: Vec<Vec<u8>> = request.approvals.into_iter().map(ByteBuf::into_vec).collect();
    let begun = beside(move || ceremonies.run(&request.file, &approvals)).await?;
    let progress = begun.map_err(|failure| refused(&failure))?;
    Ok(psdd_wire::encode(&RunResponse {
        state: state_of(&progress),
        number: progress.number,
        steps_done: progress.steps_done,
        steps_total: progress.steps_total,
    }))
}

fn state_of(progress: &Progress) -> CeremonyState {
    match (progress.running, &progress.stopped) {
        (true, _) => CeremonyState::Running,
        (false, Some(_)) => CeremonyState::Interrupted,
        (false, None) => CeremonyState::Done,
    }
}

pub(super) async fn one(state: &OperatorState, number: &str) -> Result<Vec<u8>, Failure> {
    let unknown =
        || Failure::lasting(StatusCode::NOT_FOUND, "ceremony-unknown", "no ceremony of this number was begun");
    let number: u64 = number.parse().ok().ok_or_else(unknown)?;
    let live = |slot: String| async move {
        let answer = state.core.live(String::new(), slot)?;
        Ok::<_, Failure>(answer.await.ok().flatten())
    };
    let begun = live(format!("ceremony:{number}")).await?.ok_or_else(unknown)?;
    let Event::CeremonyBegun { file, approvals, .. } = &begun.record().event else { return Err(unknown()) };
    let ended = live(format!("ceremony-ended:{number}")).await?;
    let step = live(format!("ceremony-step:{number}")).await?;
    let steps_done = match step.as_ref().map(|step| &step.record().event) {
        Some(Event::CeremonyStep { step, .. }) => *step,
        _ => 0,
    };
    let progress = state.ceremonies.progress(number);
    let (standing, transcript) = match ended.as_ref().map(|ended| &ended.record().event) {
        Some(Event::CeremonyEnded { end: CeremonyEnd::Done, transcript, .. }) => {
            (CeremonyState::Done, transcript.clone())
        }
        Some(_) => (CeremonyState::Abandoned, None),
        None if progress.as_ref().is_some_and(|progress| progress.running) => (CeremonyState::Running, None),
        None => (CeremonyState::Interrupted, None),
    };
    let mut lines = progress.as_ref().map_or_else(Vec::new, |progress| progress.lines.clone());
    let stopped = progress.as_ref().and_then(|progress| progress.stopped.clone());
    lines.extend(stopped.filter(|_| ended.is_none()).map(|(code, text)| format!("stopped: {code}: {text}")));
    let total = progress.map(|progress| progress.steps_total);
    let total = total.or_else(|| Some(crate::ceremony::steps_of(&Ceremony::read(file).ok()?)));
    Ok(psdd_wire::encode(&CeremonyResponse {
        file: file.to_vec(),
        lines,
        state: standing,
        number,
        approvals: approvals.iter().map(|approval| ByteBuf::from(approval.to_vec())).collect(),
        steps_done,
        transcript: transcript.map(|bytes| ByteBuf::from(bytes.to_vec())),
        steps_total: total.unwrap_or(steps_done),
    }))
}

/// The signed status list; the vendor door gives the same.
pub async fn status(ceremonies: Ceremonies) -> Result<Vec<u8>, Failure> {
    let list = beside(move || ceremonies.status_list()).await?.map_err(|failure| refused(&failure))?;
    Ok(psdd_wire::encode(&StatusResponse { list: list.to_vec() }))
}

//! Ceremonies over the operator door: planned, run, looked at.

use super::OperatorState;
use crate::ceremony::{Ceremonies, CeremonyFailure, Hindrance, Progress, Standing, line};
use crate::door::failure::{Failure, SOON_MS};
use http::StatusCode;
use psd::TenantName;
use psd::governance::CeremonyEnd;
use psd::record::Event;
use psdd_wire::ceremony::Ceremony;
use psdd_wire::message::StatusResponse;
use psdd_wire::operator::{
    CeremonyResponse, CeremonyState, PlanProblem, PlanRequest, PlanResponse, RunRequest, RunResponse,
};
use serde_bytes::ByteBuf;

/// A ceremony that is not run.
pub(in crate::door) fn refused(failure: &CeremonyFailure) -> Failure {
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
pub(in crate::door) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
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
    match &progress.standing {
        Standing::Running | Standing::Waiting(_) => CeremonyState::Running,
        Standing::Stopped(_) => CeremonyState::Interrupted,
        Standing::Done => CeremonyState::Done,
        Standing::Abandoned => CeremonyState::Abandoned,
    }
}

/// What keeps it from its next step, as a line behind those of the steps.
fn hindered(progress: &Progress) -> Option<String> {
    let (word, Hindrance { code, text }) = match &progress.standing {
        Standing::Waiting(hindrance) => ("waits and tries again", hindrance),
        Standing::Stopped(hindrance) => ("stopped", hindrance),
        Standing::Running | Standing::Done | Standing::Abandoned => return None,
    };
    Some(format!("{word}: {code}: {text}"))
}

pub(super) async fn one(state: &OperatorState, number: &str) -> Result<Vec<u8>, Failure> {
    let unknown =
        || Failure::lasting(StatusCode::NOT_FOUND, "ceremony-unknown", "no ceremony of this number was begun");
    let number: u64 = number.parse().ok().ok_or_else(unknown)?;
    let live = |slot: String| async move {
        let answer = state.core.live(String::new(), slot)?;
        Ok::<_, Failure>(answer.await.ok().flatten())
    };
    // Before its records: one that ends meanwhile is told as ended, not as neither carried out nor ended.
    let progress = state.ceremonies.progress(number);
    let begun = live(format!("ceremony:{number}")).await?.ok_or_else(unknown)?;
    let Event::CeremonyBegun { file, approvals, .. } = &begun.record().event else { return Err(unknown()) };
    let ended = live(format!("ceremony-ended:{number}")).await?;
    let steps = state.core.ceremony_steps(number, 0)?.await.ok().ok_or_else(Failure::stopping)?;
    let (standing, transcript) = match ended.as_ref().map(|ended| &ended.record().event) {
        Some(Event::CeremonyEnded { end: CeremonyEnd::Done, transcript, .. }) => {
            (CeremonyState::Done, transcript.clone())
        }
        Some(_) => (CeremonyState::Abandoned, None),
        None => match progress.as_ref().map(state_of) {
            Some(CeremonyState::Running) => (CeremonyState::Running, None),
            // Those that ended have a record of it.
            Some(CeremonyState::Interrupted | CeremonyState::Done | CeremonyState::Abandoned) | None => {
                (CeremonyState::Interrupted, None)
            }
        },
    };
    let mut lines: Vec<String> = steps.iter().map(|step| line(step).to_owned()).collect();
    lines.extend(progress.as_ref().filter(|_| ended.is_none()).and_then(hindered));
    let steps_done = u64::try_from(steps.len()).unwrap_or(u64::MAX);
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

/// The signed status list of a tenant's PSDs, or of all, as operators see it.
pub async fn status(ceremonies: Ceremonies, of: Option<TenantName>) -> Result<Vec<u8>, Failure> {
    let list = beside(move || ceremonies.status_list(of.as_ref())).await?.map_err(|failure| refused(&failure))?;
    Ok(psdd_wire::encode(&StatusResponse { list: list.to_vec() }))
}

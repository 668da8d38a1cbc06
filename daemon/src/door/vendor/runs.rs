//! Mail runs: announced, looked at, counted and closed (docs/certification.md, "Runs").

use super::connection::Connection;
use super::problems::{Failure, of_value};
use super::value::command;
use crate::certify::Recount;
use crate::core::{RequestId, RunStep, Sight, ValueCommand, ValueReply, ValueStep};
use crate::door::certified::though_debited;
use crate::door::log_readers::damaged;
use http::StatusCode;
use psd::certification::{self, NotCertifiable};
use psd::device::{Identity, RunRefusal};
use psd::record::{Event, Record, run_slot};
use psd::run::{ClosedRun, Run, Tally};
use psd::{PostageAmount, PsdId, RunId, State};
use psdd_ledger::Durable;
use psdd_policy::{Action, SigningTotals};
use psdd_rates::LostGroup;
use psdd_wire::digest::run_digest;
use psdd_wire::message::{
    ClosedRunView, LostView, OpenRunView, RunDestination, RunRequest, RunResponse, RunView, RunsResponse,
};
use std::sync::Arc;

/// Pieces of a run read at once.
const PAGE: usize = 1_024;

/// Announces a run. The same manifest again tells the run that there is.
pub(super) async fn open(connection: &Connection, psd: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    let request: RunRequest<'_> = psdd_wire::read(bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    may_certify(connection, id, psd, PostageAmount::ZERO)?;
    let (identity, state) = seen(connection, id, psd).await?;
    let run: RunId = request
        .run
        .parse()
        .map_err(|error| not_announced(&NotCertifiable { code: "run-invalid", says: format!("{error}") }))?;
    if state.runs.knows(&run) {
        return again(connection, id, &run, &run_digest(psd, &request)).await;
    }
    let computed = {
        let in_force = connection.state.policy.load();
        let desk = in_force.certifying.as_ref().ok_or_else(not_offered)?;
        tokio::task::block_in_place(|| desk.run(psd, &identity, &request)).map_err(|not| not_announced(&not))?
    };
    let digest = computed.digest;
    match command(connection, id, ValueStep::Run(RunStep::Open(Arc::new(computed)))).await? {
        ValueReply::RunOpened(durable) => told(connection, &durable).await,
        ValueReply::RunKnown => again(connection, id, &run, &digest).await,
        other => Err(of_value(other, psd)),
    }
}

/// The runs that are open.
pub(super) async fn list(connection: &Connection, psd: &str) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    connection.may(id, Action::ReadRegisters).ok_or_else(|| Failure::unknown_psd(psd))??;
    let (_, state) = seen(connection, id, psd).await?;
    let run = |run: &Arc<Run>| OpenRunView {
        run: run.id.to_string(),
        date: run.date.to_string(),
        class: run.class.to_string(),
        rates: run.rates.to_string(),
        total: run.announced(),
    };
    let runs = state.runs.open().map(run).collect();
    Ok(psdd_wire::encode(&RunsResponse { runs, checkpoint: connection.state.newest.note() }))
}

/// One run, open or closed.
pub(super) async fn one(connection: &Connection, psd: &str, run: &str) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    connection.may(id, Action::ReadRegisters).ok_or_else(|| Failure::unknown_psd(psd))??;
    let run: RunId = run.parse().ok().ok_or_else(|| unknown(run))?;
    told(connection, &newest(connection, id, &run).await?).await
}

/// Counts a run and closes it. One that is closed is told again.
pub(super) async fn close(connection: &Connection, psd: &str, run: &str) -> Result<Vec<u8>, Failure> {
    let id: PsdId = psd.parse().ok().ok_or_else(|| Failure::unknown_psd(psd))?;
    may_certify(connection, id, psd, PostageAmount::ZERO)?;
    let run: RunId = run.parse().ok().ok_or_else(|| unknown(run))?;
    let opened = newest(connection, id, &run).await?;
    if matches!(opened.record().event, Event::RunClosed { .. }) {
        return told(connection, &opened).await;
    }
    // From here on the seal ends with this, whatever becomes of it or of whoever asked.
    let by = connection.state.core.next_request();
    let mut seal = Seal { connection, psd: id, run: Some(run.clone()), by };
    let sealed = match command(connection, id, ValueStep::Run(RunStep::Seal { run: run.clone(), by })).await? {
        ValueReply::RunSealed(sealed) => sealed,
        // Somebody else closed it meanwhile.
        ValueReply::RunRefused(RunRefusal::NotOpen(_)) => {
            return told(connection, &newest(connection, id, &run).await?).await;
        }
        other => return Err(of_value(other, psd)),
    };
    let closed = Arc::new(counted(connection, &opened, &sealed).await?);
    may_certify(connection, id, psd, closed.settled())?;
    let answer = command(connection, id, ValueStep::Run(RunStep::Close { closed, by })).await?;
    if matches!(answer, ValueReply::RunClosed(_) | ValueReply::RunRefused(_)) {
        // It had its turn, which took the seal with it; where it had none, the seal is still to be taken back.
        seal.run = None;
    }
    match answer {
        ValueReply::RunClosed(durable) => told(connection, &durable).await.map_err(though_debited),
        ValueReply::RunRefused(RunRefusal::NotOpen(_)) => told(connection, &newest(connection, id, &run).await?).await,
        other => Err(of_value(other, psd)),
    }
}

/// A run that takes no pieces while it is counted.
struct Seal<'c> {
    connection: &'c Connection,
    psd: PsdId,
    run: Option<RunId>,
    by: RequestId,
}

impl Drop for Seal<'_> {
    fn drop(&mut self) {
        let Some(run) = self.run.take() else { return };
        let core = &self.connection.state.core;
        let tenant = self.connection.identity.tenant.clone();
        let step = ValueStep::Run(RunStep::Unseal { run, by: self.by });
        let command = ValueCommand { request: core.next_request(), tenant, client: None, psd: self.psd, step };
        // Nobody waits for an answer. Where the core takes nothing now, the next closing takes the seal over.
        drop(core.value(command));
    }
}

/// Counts the pieces of a sealed run, and finds what they owe.
async fn counted(connection: &Connection, opened: &Durable, run: &Arc<Run>) -> Result<ClosedRun, Failure> {
    let (mut tally, mut above) = (Tally::of(run), opened.leaf());
    loop {
        let (from, leaf) = (above, opened.leaf());
        let read = connection.state.log_readers.read(move |log| {
            let page = log.of_run(leaf, from, PAGE)?;
            let last = page.last().map(|(leaf, _)| *leaf);
            let full = page.len() == PAGE;
            let counted = page.iter().try_for_each(|(_, bytes)| count(&mut tally, bytes));
            Ok((tally, last.filter(|_| full), counted))
        });
        let (so_far, last, sound) = read.await?;
        sound.map_err(|what| damaged(&format!("run {}: {what}", run.id)))?;
        tally = so_far;
        match last {
            Some(last) => above = last,
            None => break,
        }
    }
    let in_force = connection.state.policy.load();
    let desk = in_force.certifying.as_ref().ok_or_else(not_offered)?;
    let Recount { tariffs, .. } =
        tokio::task::block_in_place(|| desk.recount(run, tally.counts())).map_err(|not| not_announced(&not))?;
    let closed = tally.close(opened.leaf(), &tariffs);
    let closed = closed.ok_or_else(|| {
        not_announced(&NotCertifiable { code: "run-miscounted", says: "the run costs more than any amount".to_owned() })
    })?;
    Ok(closed)
}

fn count(tally: &mut Tally, bytes: &[u8]) -> Result<(), String> {
    let record = Record::decode(bytes).map_err(|error| error.to_string())?;
    let Event::Certification(piece) = &record.event else { return Err("the index names what is no piece".to_owned()) };
    let read = certification::decode(&piece.certification).map_err(|error| error.to_string())?;
    let dues = piece.run.as_ref().map(|run| Arc::clone(&run.dues)).unwrap_or_default();
    tally.count(&read.certification, &dues).map_err(|error| error.to_string())
}

/// What is told of a manifest that came before: the run, where it is the same.
async fn again(connection: &Connection, psd: PsdId, run: &RunId, digest: &[u8; 32]) -> Result<Vec<u8>, Failure> {
    let durable = newest(connection, psd, run).await?;
    let (_, announced) = announced(connection, &durable).await?;
    if announced.digest == *digest {
        return told(connection, &durable).await;
    }
    let refusal = RunRefusal::Reused(run.clone());
    Err(Failure::lasting(StatusCode::CONFLICT, refusal.code(), refusal.to_string()))
}

/// The newest record of a run of the PSD.
async fn newest(connection: &Connection, psd: PsdId, run: &RunId) -> Result<Durable, Failure> {
    let stored = connection.state.core.live(psd.to_string(), run_slot(run))?.await.ok().flatten();
    stored.ok_or_else(|| unknown(run.as_str()))
}

/// The record that opened a run, by its newest one.
async fn announced(connection: &Connection, newest: &Durable) -> Result<(u64, Arc<Run>), Failure> {
    let (leaf, event) = match &newest.record().event {
        Event::RunClosed { closed, .. } => {
            let leaf = closed.opened;
            let bytes = connection.state.log_readers.read(move |log| log.record(leaf)).await?;
            (leaf, Record::decode(&bytes).map_err(|error| damaged(&error.to_string()))?.event)
        }
        event => (newest.leaf(), event.clone()),
    };
    match event {
        Event::RunOpened { run, .. } => Ok((leaf, run)),
        _ => Err(damaged("a run was opened by a record of another kind")),
    }
}

/// What a run is by its newest record.
async fn told(connection: &Connection, newest: &Durable) -> Result<Vec<u8>, Failure> {
    let (leaf, run) = announced(connection, newest).await?;
    let Some(stamp) = newest.record().event.stamp() else { return Err(damaged("the record of a run is of no PSD")) };
    let closed = match &newest.record().event {
        Event::RunClosed { closed, .. } => Some(closed_view(connection, newest, closed).await?),
        _ => None,
    };
    let counts = match &newest.record().event {
        Event::RunClosed { closed, .. } => Some(Arc::clone(closed)),
        _ => None,
    };
    let lost = counts.as_ref().map(|counts| lost(connection, &run, counts)).unwrap_or_default();
    let counted = |place: usize| counts.as_ref().and_then(|counts| counts.counted.get(place));
    let opened = connection.state.log_readers.read(move |log| log.record(leaf)).await?;
    let opened = Record::decode(&opened).map_err(|error| damaged(&error.to_string()))?;
    let view = RunView {
        psd: stamp.psd,
        run: run.id.to_string(),
        date: run.date.to_string(),
        leaf,
        lost: lost.into_iter().map(lost_view).collect(),
        time: opened.at.time.0,
        class: run.class.to_string(),
        rates: run.rates.to_string(),
        total: run.announced(),
        closed,
        tariffs: run.tariffs.iter().map(ToString::to_string).collect(),
        version: run.version,
        destinations: run
            .destinations()
            .iter()
            .enumerate()
            .map(|(place, to)| RunDestination {
                zip: format!("{:05}", to.zip),
                pieces: u64::from(to.pieces),
                tariff: to.tariff,
                counted: counted(place).map(|counted| u64::from(counted.pieces)),
                counted_tariff: counted(place).map(|counted| counted.tariff),
            })
            .collect(),
    };
    Ok(psdd_wire::encode(&RunResponse { run: view, checkpoint: connection.state.newest.note() }))
}

async fn closed_view(connection: &Connection, durable: &Durable, closed: &ClosedRun) -> Result<ClosedRunView, Failure> {
    let record = durable.record();
    let Some(stamp) = record.event.stamp() else { return Err(damaged("the record of a run is of no PSD")) };
    let proven = connection.state.receipts.for_records(vec![(durable.leaf(), record.encode())]).await?;
    let (record_bytes, receipt) = proven.into_iter().next().unwrap_or_default();
    Ok(ClosedRunView {
        leaf: durable.leaf(),
        owed: closed.owed,
        time: record.at.time.0,
        pieces: closed.pieces(),
        record: record_bytes,
        debited: closed.debited,
        receipt,
        settled: closed.settled(),
        overpaid: closed.overpaid(),
        sequence: stamp.sequence,
        registers: stamp.registers.into(),
    })
}

fn lost_view(group: LostGroup) -> LostView {
    LostView {
        group: group.group,
        claimed: group.claimed,
        counted: group.counted,
        lacking: group.lacking,
        discount: group.discount,
        run_lacking: group.run_lacking,
    }
}

/// What the count took from the run, as far as its rate table is still here.
fn lost(connection: &Connection, run: &Run, closed: &ClosedRun) -> Vec<LostGroup> {
    let in_force = connection.state.policy.load();
    let counts = run.destinations().iter().zip(closed.counted.iter()).map(|(to, counted)| (to.zip, counted.pieces));
    let recounted = in_force.certifying.as_ref().and_then(|desk| desk.recount(run, counts).ok());
    recounted.map(|recount| recount.lost).unwrap_or_default()
}

/// The PSD as it is committed.
async fn seen(connection: &Connection, id: PsdId, psd: &str) -> Result<(Arc<Identity>, State), Failure> {
    let view = connection.state.core.view(Sight::Psd(id))?.await.ok().ok_or_else(Failure::stopping)?;
    view.psds.into_iter().next().ok_or_else(|| Failure::unknown_psd(psd))
}

/// Who may certify may announce a run and close it; what the closing debits counts as a certification of that amount.
fn may_certify(connection: &Connection, id: PsdId, psd: &str, amount: PostageAmount) -> Result<(), Failure> {
    let totals = SigningTotals { count: 0, total: amount, largest: amount };
    let action = Action::Certify { totals, imprints: PostageAmount::ZERO, receipts: 0 };
    connection.may(id, action).ok_or_else(|| Failure::unknown_psd(psd))?.map(drop)
}

fn not_offered() -> Failure {
    let detail = "this appliance has no [certification] in its configuration: it certifies nothing";
    Failure::lasting(StatusCode::NOT_FOUND, "certification-not-offered", detail)
}

fn not_announced(not: &NotCertifiable) -> Failure {
    Failure::lasting(StatusCode::CONFLICT, not.code, not.says.clone())
}

fn unknown(run: &str) -> Failure {
    let shown: String = run.chars().take(64).collect();
    Failure::lasting(StatusCode::NOT_FOUND, "run-unknown", format!("this PSD has and had no run {shown:?}"))
}

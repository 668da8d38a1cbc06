//! Mail runs: announced, counted, closed; and what is told of a closing held against its record.

use crate::client::{Client, is_psd};
use crate::error::ClientError;
use crate::exchange::Call;
use crate::verify::VerificationError;
use psd::record::{Event, Record};
use psd::{PsdId, RunId};
use psdd_wire::message::{ClosedRunView, OpenRunView, RunRequest, RunResponse, RunView, RunsResponse};
use psdd_wire::receipt::Receipt;

impl Client {
    /// Announces a run. Its pieces are certified by the tariffs that come back; the same manifest again brings the same run.
    pub async fn open_run(&self, psd: PsdId, request: &RunRequest<'_>) -> Result<RunView, ClientError> {
        let call = Call::post(format!("/v1/psds/{psd}/runs"), psdd_wire::encode(request));
        self.judged_run(psd, &request.run, call).await
    }

    /// Has a run counted and closed: what its pieces paid too little by the count is debited now. One that is closed is told again.
    pub async fn close_run(&self, psd: PsdId, run: &RunId) -> Result<RunView, ClientError> {
        let call = Call::post(format!("/v1/psds/{psd}/runs/{run}/close"), Vec::new());
        let view = self.judged_run(psd, run.as_str(), call).await?;
        if view.closed.is_none() {
            return Err(VerificationError::Run { run: run.to_string(), what: "it was to be closed and is open" }.into());
        }
        Ok(view)
    }

    /// A run as it stands.
    pub async fn run(&self, psd: PsdId, run: &RunId) -> Result<RunView, ClientError> {
        self.judged_run(psd, run.as_str(), Call::get(format!("/v1/psds/{psd}/runs/{run}"))).await
    }

    /// The runs that a PSD has open.
    pub async fn runs(&self, psd: PsdId) -> Result<Vec<OpenRunView>, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let told: RunsResponse = self.shared.exchange.ask(&Call::get(format!("/v1/psds/{psd}/runs"))).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        Ok(told.runs)
    }

    async fn judged_run(&self, psd: PsdId, run: &str, call: Call) -> Result<RunView, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let told: RunResponse = self.shared.exchange.ask(&call).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        let view = told.run;
        is_psd(psd, view.psd)?;
        let wrong = |what| VerificationError::Run { run: run.to_owned(), what };
        if view.run != run {
            return Err(wrong("another run was told").into());
        }
        if let Some(closed) = &view.closed {
            let receipt = Receipt::parse(&closed.receipt).ok().ok_or_else(|| wrong("its receipt is none"))?;
            if receipt.proof.leaf != closed.leaf {
                return Err(wrong("its receipt is of another leaf").into());
            }
            let proven = self.shared.checkpoints.prove(&receipt, &closed.record);
            proven.ok().ok_or_else(|| wrong("its receipt does not prove its record"))?;
            closing_differs(&view, closed).map_or(Ok(()), |what| Err(wrong(what)))?;
        }
        Ok(view)
    }
}

/// The first thing told of a closing that its record does not say.
fn closing_differs(view: &RunView, told: &ClosedRunView) -> Option<&'static str> {
    let Ok(Record { at, event: Event::RunClosed { stamp, closed, .. } }) = Record::decode(&told.record) else {
        return Some("its record is of something else");
    };
    let counted = closed.counted.iter().map(|of| (Some(u64::from(of.pieces)), Some(of.tariff)));
    let shown = view.destinations.iter().map(|to| (to.counted, to.counted_tariff));
    let rows = [
        ("the device is another", stamp.psd == view.psd),
        ("the run is another", closed.id.as_str() == view.run && closed.opened == view.leaf),
        ("the time is another", at.time.0 == told.time && stamp.sequence == told.sequence),
        ("the registers are not those told", told.registers == stamp.registers.into()),
        ("the count is not the one told", counted.eq(shown) && closed.pieces() == told.pieces),
        (
            "the sums are not those told",
            (closed.owed, closed.debited, closed.settled(), closed.overpaid())
                == (told.owed, told.debited, told.settled, told.overpaid),
        ),
    ];
    rows.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

//! The task that downloads value, and gives every fourth download up.

use super::{Record, pause};
use crate::appliance::Appliance;
use psd::{PostageAmount, PsdId};
use psdctl::dev::{Layout, authorise, carry_void};
use psdd_client::{Client, ClientError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Funds {
    psd: PsdId,
    layout: Layout,
    /// Number of the download under way, with an authorisation that may have been applied.
    under_way: Option<(u64, Vec<u8>)>,
    /// Number of the last one that ended.
    ended: Option<u64>,
    pub(super) record: Record,
}

impl Funds {
    pub(super) fn new(psd: PsdId, appliance: &Appliance) -> Self {
        let record = Record::new(Arc::clone(&appliance.notes));
        Self { psd, layout: appliance.layout.clone(), under_way: None, ended: None, record }
    }

    pub(super) async fn work(&mut self, client: &Client, stop: &AtomicBool) {
        while self.under_way.is_some() || !stop.load(Ordering::Acquire) {
            if let Err(error) = self.download(client).await
                && !self.record.failed(&error)
            {
                return;
            }
            pause().await;
        }
    }

    async fn download(&mut self, client: &Client) -> Result<(), ClientError> {
        let (sequence, authorisation) = match self.under_way.clone() {
            Some(under_way) => under_way,
            None => {
                // One amount always, so that asking again after a lost answer is the same request.
                let amount = PostageAmount::from_mills(1_500_000).expect("an amount");
                let asked = client.request_value(self.psd, amount).await?;
                let authorisation = authorise(&self.layout, &asked.request).expect("an authorisation");
                self.under_way.insert((asked.sequence, authorisation)).clone()
            }
        };
        if sequence.is_multiple_of(4) {
            self.give_up(client, sequence, &authorisation).await?;
        } else {
            self.apply(client, &authorisation).await?;
        }
        if self.ended.is_some_and(|before| before + 1 != sequence) {
            self.record.violations.push(format!("value: download {:?}, then {sequence}", self.ended));
        }
        self.record.tally.downloads += 1;
        self.ended = Some(sequence);
        self.under_way = None;
        Ok(())
    }

    async fn apply(&mut self, client: &Client, authorisation: &[u8]) -> Result<(), ClientError> {
        let told = client.apply_value(self.psd, authorisation).await?;
        self.record.notes.value_applied(self.psd, &told);
        let again = client.apply_value(self.psd, authorisation).await?;
        self.record.notes.value_applied(self.psd, &again);
        if (again.leaf, again.registers) != (told.leaf, told.registers) {
            self.record.violations.push(format!("value applied twice: {told:?}, then {again:?}"));
        }
        Ok(())
    }

    async fn give_up(&mut self, client: &Client, sequence: u64, authorisation: &[u8]) -> Result<(), ClientError> {
        let told = client.void_value(self.psd, sequence).await?;
        self.record.notes.value_voided(self.psd, &told);
        let credited = carry_void(&self.layout, &told.statement).expect("a credit").credited;
        if credited != told.amount {
            self.record.violations.push(format!("download {sequence}: {credited} credited of {}", told.amount));
        }
        let again = client.void_value(self.psd, sequence).await?;
        if (again.leaf, &again.statement) != (told.leaf, &told.statement) {
            self.record.violations.push(format!("given up twice: {told:?}, then {again:?}"));
        }
        match client.apply_value(self.psd, authorisation).await {
            Err(ClientError::Refused(problem)) if problem.facts.code == "value-void" => Ok(()),
            Err(error) => Err(error),
            Ok(told) => {
                self.record.violations.push(format!("download {sequence} was given up, then applied: {told:?}"));
                Ok(())
            }
        }
    }
}

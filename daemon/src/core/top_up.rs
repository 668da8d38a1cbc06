//! When a PSD needs value: below its threshold, or short of what a request asks for; once at a time. Asking the authority for it is the
//! shell's. A request that is short may wait for it, for a bounded time, with all its items that are not judged yet.

use super::engine::{Engine, Target};
use super::{Action, RequestId};
use crate::config::TopUpRule;
use psd::device::Identity;
use psd::lifecycle::Lifecycle;
use psd::{PostageAmount, PsdId};
use std::collections::BTreeSet;

/// The rule of one PSD, and whether value is being asked for.
#[derive(Default)]
pub(super) struct TopUp {
    rule: Option<Rule>,
    under_way: bool,
    /// A request waits for value.
    wanted: bool,
}

#[derive(Clone, Copy)]
struct Rule {
    below: PostageAmount,
    amount: PostageAmount,
    wait_ms: u64,
}

impl TopUp {
    pub(super) fn new(rules: &[TopUpRule], identity: &Identity) -> Self {
        let named = rules.iter().find(|rule| rule.licence.as_ref() == Some(&identity.licence));
        let rule = named.or_else(|| rules.iter().find(|rule| rule.licence.is_none()));
        let rule = rule.map(|rule| Rule { below: rule.below, amount: rule.amount, wait_ms: rule.wait_ms });
        Self { rule, under_way: false, wanted: false }
    }
}

/// How long a request has waited for funds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Patience {
    /// Not yet.
    #[default]
    Fresh,
    /// Until this time, milliseconds of the monotonic clock.
    Until(u64),
    /// Long enough.
    Over,
}

/// Requests that wait for funds, the first to lose patience first.
#[derive(Default)]
pub(super) struct Thirsty(BTreeSet<(u64, RequestId)>);

impl Engine {
    /// Says so if the PSD needs value that nobody is asking for yet.
    pub(super) fn consider_top_up(&mut self, device_index: usize) {
        let device = &mut self.devices[device_index];
        let Some(rule) = device.top_up.rule.filter(|_| !device.top_up.under_way) else { return };
        let state = device.psd.state();
        if state.lifecycle != Lifecycle::Active || state.is_withdrawing() || self.stopping {
            return;
        }
        let descending = state.registers.descending();
        if descending >= rule.below && !device.top_up.wanted {
            return;
        }
        let limits = &device.psd.identity().limits;
        let room = limits.largest_descending.checked_sub(descending).unwrap_or(PostageAmount::ZERO);
        let amount = rule.amount.min(room).min(limits.largest_refill);
        if amount < limits.smallest_refill {
            return;
        }
        (device.top_up.under_way, device.top_up.wanted) = (true, false);
        let (psd, tenant) = (device.psd.identity().psd, device.psd.identity().tenant.clone());
        self.actions.push(Action::TopUp { psd, tenant, amount });
    }

    /// Asking for value ended, one way or the other; if it is needed still, it is asked for again.
    pub(super) fn top_up_ended(&mut self, psd: PsdId) {
        let Some(device) = self.by_id.get(&psd).copied() else { return };
        self.devices[device].top_up.under_way = false;
        self.consider_top_up(device);
    }

    /// At the start, all PSDs.
    pub(super) fn consider_all_top_ups(&mut self) {
        (0..self.devices.len()).for_each(|device| self.consider_top_up(device));
    }

    /// Whether a request that is short of funds may wait for them.
    pub(super) fn may_wait(&self, id: RequestId) -> bool {
        let Some(request) = self.requests.get(&id).filter(|_| !self.stopping) else { return false };
        match request.patience {
            Patience::Over => false,
            Patience::Until(deadline) => self.monotonic_ms < deadline,
            Patience::Fresh => self.topped_up(&request.target).is_some(),
        }
    }

    /// Has a request wait for funds, from this item on; without an item, with all of them.
    pub(super) fn wait_for_funds(&mut self, id: RequestId, index: Option<usize>) {
        self.unqueue(id);
        let Some(request) = self.requests.get(&id) else { return };
        let device = self.topped_up(&request.target);
        let wait_ms = device.and_then(|device| self.devices[device].top_up.rule).map_or(0, |rule| rule.wait_ms);
        let Some(request) = self.requests.get_mut(&id) else { return };
        match index {
            Some(index) => request.again.push_front(index),
            None => request.next = 0,
        }
        let deadline = match request.patience {
            Patience::Until(deadline) => deadline,
            Patience::Fresh | Patience::Over => self.monotonic_ms.saturating_add(wait_ms),
        };
        request.patience = Patience::Until(deadline);
        self.thirsty.0.insert((deadline, id));
        if let Some(device) = device {
            self.devices[device].top_up.wanted = true;
            self.consider_top_up(device);
        }
    }

    /// Value came to a device: who waits for it is judged again, in the order of waiting.
    pub(super) fn funds_came(&mut self, device: usize) {
        // Who is short still, says so again.
        self.devices[device].top_up.wanted = false;
        let licence = self.devices[device].place.licence;
        let concerned = |target: &Target| match target {
            Target::Psd(asked) => *asked == device,
            Target::Licence { licence: asked, .. } => *asked == licence,
        };
        let waiting = self.thirsty.0.iter().copied();
        let served: Vec<_> =
            waiting.filter(|(_, id)| self.requests.get(id).is_some_and(|request| concerned(&request.target))).collect();
        self.judge_thirsty(served);
    }

    /// Those who waited long enough are judged once more, and for good.
    pub(super) fn lose_patience(&mut self) {
        let late = |(deadline, _): &(u64, RequestId)| self.stopping || *deadline <= self.monotonic_ms;
        let late: Vec<_> = self.thirsty.0.iter().copied().take_while(late).collect();
        for (_, id) in &late {
            if let Some(request) = self.requests.get_mut(id) {
                request.patience = Patience::Over;
            }
        }
        self.judge_thirsty(late);
    }

    /// All who wait are judged again.
    pub(super) fn judge_all_thirsty(&mut self) {
        let waiting = self.thirsty.0.iter().copied().collect();
        self.judge_thirsty(waiting);
    }

    /// When the first of those who wait loses patience, milliseconds of the monotonic clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.thirsty.0.first().map(|(deadline, _)| *deadline)
    }

    fn judge_thirsty(&mut self, requests: Vec<(u64, RequestId)>) {
        // The last put in front is served first, and the one that waited longest shall be.
        for entry in requests.into_iter().rev() {
            self.thirsty.0.remove(&entry);
            self.enqueue(entry.1, true);
        }
    }

    /// The device whose top-up the request may wait for; of a licence, the one that has most already.
    fn topped_up(&self, target: &Target) -> Option<usize> {
        let waits = |device: &usize| {
            let device = &self.devices[*device];
            device.top_up.rule.is_some_and(|rule| rule.wait_ms > 0) && device.psd.state().lifecycle == Lifecycle::Active
        };
        match target {
            Target::Psd(device) => Some(*device).filter(waits),
            Target::Licence { licence, .. } => {
                let members = (0..self.devices.len()).filter(|device| self.devices[*device].place.licence == *licence);
                members.filter(waits).max_by_key(|device| self.devices[*device].psd.state().registers.descending())
            }
        }
    }
}

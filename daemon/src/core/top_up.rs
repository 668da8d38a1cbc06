//! When a PSD needs value: below its threshold, once at a time. Asking the authority for it is the shell's.

use super::Action;
use super::engine::Engine;
use crate::config::TopUpRule;
use psd::device::Identity;
use psd::lifecycle::Lifecycle;
use psd::{PostageAmount, PsdId};

/// The rule of one PSD, and whether value is being asked for.
#[derive(Default)]
pub(super) struct TopUp {
    rule: Option<(PostageAmount, PostageAmount)>,
    under_way: bool,
}

impl TopUp {
    pub(super) fn new(rules: &[TopUpRule], identity: &Identity) -> Self {
        let named = rules.iter().find(|rule| rule.licence.as_ref() == Some(&identity.licence));
        let rule = named.or_else(|| rules.iter().find(|rule| rule.licence.is_none()));
        Self { rule: rule.map(|rule| (rule.below, rule.amount)), under_way: false }
    }
}

impl Engine {
    /// Says so if the PSD needs value that nobody is asking for yet.
    pub(super) fn consider_top_up(&mut self, device_index: usize) {
        let device = &mut self.devices[device_index];
        let Some((below, amount)) = device.top_up.rule.filter(|_| !device.top_up.under_way) else { return };
        let state = device.psd.state();
        if state.lifecycle != Lifecycle::Active || state.is_withdrawing() || self.stopping {
            return;
        }
        let descending = state.registers.descending();
        if descending >= below {
            return;
        }
        let limits = &device.psd.identity().limits;
        let room = limits.largest_descending.checked_sub(descending).unwrap_or(PostageAmount::ZERO);
        let amount = amount.min(room).min(limits.largest_refill);
        if amount < limits.smallest_refill {
            return;
        }
        device.top_up.under_way = true;
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
}

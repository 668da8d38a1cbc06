//! Whose turn it is: bounded queues, one per tenant, served in rounds of at most a chunk each.

use super::RequestId;
use super::engine::{Engine, Target};
use super::keys::TenantIndex;
use std::collections::VecDeque;

#[derive(Default)]
pub(super) struct TenantQueue {
    pub(super) requests: VecDeque<RequestId>,
    /// Items admitted and not yet judged, those being looked up included.
    pub(super) items: usize,
}

impl Engine {
    pub(super) fn account_waiting(&mut self, tenant: TenantIndex, items: usize) {
        self.queues.entry(tenant).or_default().items += items;
        self.queued_items += items;
    }

    pub(super) fn account_judged(&mut self, tenant: TenantIndex, items: usize) {
        if let Some(queue) = self.queues.get_mut(&tenant) {
            queue.items = queue.items.saturating_sub(items);
        }
        self.queued_items = self.queued_items.saturating_sub(items);
    }

    /// Puts a request in line; `first` for one whose items must be judged again.
    pub(super) fn enqueue(&mut self, id: RequestId, first: bool) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        // The answer to a look-up under way puts it in line: a second look-up would take the first one's answer for its own.
        if !request.looking.is_empty() || std::mem::replace(&mut request.queued, true) {
            return;
        }
        let queue = self.queues.entry(request.tenant).or_default();
        if !self.turn.contains(&request.tenant) {
            self.turn.push_back(request.tenant);
        }
        if first {
            queue.requests.push_front(id);
        } else {
            queue.requests.push_back(id);
        }
    }

    /// Serves tenants in turn until the window is full or nobody can be served.
    pub(super) fn schedule(&mut self) {
        let mut idle_turns = 0;
        while self.in_flight_items < self.settings.in_flight_items && idle_turns < self.turn.len() {
            let Some(tenant) = self.turn.pop_front() else { return };
            let served = self.serve(tenant);
            let more = self.queues.get(&tenant).is_some_and(|queue| !queue.requests.is_empty());
            if more && !self.turn.contains(&tenant) {
                self.turn.push_back(tenant);
            }
            idle_turns = if served { 0 } else { idle_turns + 1 };
        }
    }

    /// Serves the tenant's first request whose PSD is free for it, up to one chunk's worth of items. Whether there was one.
    fn serve(&mut self, tenant: TenantIndex) -> bool {
        let Some(queue) = self.queues.get(&tenant) else { return false };
        let free = |id: &&RequestId| {
            self.requests.get(*id).is_some_and(|request| match &request.target {
                Target::Psd(device) => self.devices[*device].commands.is_empty(),
                // Members that commands hold back are passed over.
                Target::Licence { .. } => true,
            })
        };
        let Some(first) = queue.requests.iter().find(free).copied() else { return false };
        self.take_turn(tenant, first);
        true
    }

    /// Takes a request out of its line.
    pub(super) fn unqueue(&mut self, id: RequestId) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.queued = false;
        if let Some(queue) = self.queues.get_mut(&request.tenant)
            && let Some(at) = queue.requests.iter().position(|queued| *queued == id)
        {
            queue.requests.remove(at);
        }
    }
}

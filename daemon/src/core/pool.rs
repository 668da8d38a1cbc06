//! The PSDs of a licence as one: which of them takes a piece, and what a refusal by all of them rests on.
//!
//! A pool knows its members' registers as they are in memory. Whatever changes what a member could take — a debit, a drop, a value
//! command, its token — is told with [`Engine::refresh`].

use super::engine::Engine;
use super::licence::{Licences, Members, Span};
use super::pipeline::Parked;
use super::tree::{Sought, Tree};
use super::{ChunkId, Selection};
use psd::device::Piece;
use psd::indicium::{Details, Kind, ZipRange};
use psd::key::Role;
use psd::lifecycle::Lifecycle;
use psd::refusal::OutOfUse;
use psd::{PostageAmount, PsdId, Refusal};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The members of a licence with what each can spend now.
pub(super) struct Pool {
    /// The device of each member.
    devices: Vec<usize>,
    /// Of a member in use what it can spend in mills and one more, else zero.
    spendable: Tree,
    standings: Vec<Standing>,
    /// How many members of each grade stand where.
    counts: Vec<[usize; 5]>,
    /// The last one that round robin took.
    last: Option<Taken>,
    /// The last one that was the richest when it was taken.
    richest: Option<Taken>,
    /// The last one taken for a ZIP, by the first member that is for that ZIP.
    last_for: BTreeMap<usize, Taken>,
    /// Chunks of members that are not durable; and for each member that value commands hold back, a number of their kind.
    in_flight: BTreeSet<ChunkId>,
    holds: usize,
    /// Refusals that wait until nothing up to this chunk is in flight.
    waiting: BTreeMap<ChunkId, Vec<Parked>>,
}

/// A member that was chosen, and in which turn: it is kept until the turn ends or it cannot take an item.
#[derive(Clone, Copy)]
struct Taken {
    turn: u64,
    member: usize,
}

/// Whether a member can be chosen, or why not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    InUse,
    Barred,
    Uncertified,
    WithoutToken,
    /// A value command holds it back.
    Held,
}

impl Standing {
    const fn index(self) -> usize {
        match self {
            Standing::InUse => 0,
            Standing::Barred => 1,
            Standing::Uncertified => 2,
            Standing::WithoutToken => 3,
            Standing::Held => 4,
        }
    }
}

/// What one PSD is to take: an item, or all items of an `all_or_none` request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// `None` where items of several kinds are asked for together: no PSD takes those.
    kind: Option<Kind>,
    total: PostageAmount,
    smallest: PostageAmount,
    largest: PostageAmount,
    first_zip: u32,
    last_zip: u32,
}

impl Need {
    pub(super) fn of(piece: &Piece) -> Self {
        let postage = piece.postage;
        // A voucher goes nowhere: by ZIP, those take it that are for all.
        let (first_zip, last_zip) = match &piece.details {
            Details::Postal(postal) => (postal.destination.zip(), postal.destination.zip()),
            Details::Voucher(_) | Details::NotCertifiable(..) => (ZipRange::ALL.low(), ZipRange::ALL.high()),
            Details::Certification(piece, _) => (piece.destination.zip(), piece.destination.zip()),
        };
        let kind = Some(piece.details.kind());
        Self { kind, total: postage, smallest: postage, largest: postage, first_zip, last_zip }
    }

    /// Both together. A total beyond any amount is beyond any register.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            kind: self.kind.filter(|_| self.kind == other.kind),
            total: self.total.checked_add(other.total).unwrap_or(PostageAmount::MAX),
            smallest: self.smallest.min(other.smallest),
            largest: self.largest.max(other.largest),
            first_zip: self.first_zip.min(other.first_zip),
            last_zip: self.last_zip.max(other.last_zip),
        }
    }
}

/// A search among the members that a client may use.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) members: &'a Members,
    pub(super) within: &'a [Span],
    pub(super) selection: Selection,
    pub(super) need: Need,
}

impl Search<'_> {
    /// Stretches of members whose limits admit the need; by ZIP, only those whose range does not begin behind it.
    fn stretches(&self) -> impl Iterator<Item = Span> {
        self.within.iter().flat_map(|span| {
            let grades = self.members.grades_in(span).map(|(_, grade)| grade);
            let admitting = grades.filter(|grade| grade.admits(self.need.kind, self.need.smallest, self.need.largest));
            admitting.map(|grade| self.not_behind(grade.span.start.max(span.start)..grade.span.end.min(span.end)))
        })
    }

    fn not_behind(&self, stretch: Span) -> Span {
        match self.selection {
            Selection::RoundRobin | Selection::MostFunds => stretch,
            Selection::Zip => self.members.begun_by(&stretch, self.need.first_zip),
        }
    }

    /// The last ZIP that a range must not end before.
    fn reach(&self) -> u32 {
        match self.selection {
            Selection::RoundRobin | Selection::MostFunds => 0,
            Selection::Zip => self.need.last_zip,
        }
    }

    fn sought(&self) -> Sought {
        Sought { least: self.need.total.mills() + 1, reach: self.reach() }
    }

    /// Whether the member is one of those sought, whatever it can spend.
    fn suits(&self, member: usize) -> bool {
        self.stretches().any(|stretch| stretch.contains(&member)) && self.members.zips()[member].high() >= self.reach()
    }
}

impl Pool {
    pub(super) fn new(members: &Members, devices: Vec<usize>) -> Self {
        let mut counts = vec![[0; 5]; members.grades().len()];
        for (count, grade) in counts.iter_mut().zip(members.grades()) {
            count[Standing::Barred.index()] = grade.span.len();
        }
        Self {
            spendable: Tree::new(members.zips().iter().map(|zips| zips.high())),
            standings: vec![Standing::Barred; devices.len()],
            counts,
            devices,
            last: None,
            richest: None,
            last_for: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            holds: 0,
            waiting: BTreeMap::new(),
        }
    }

    /// One for each licence, in their order.
    pub(super) fn of_licences(licences: &Licences, by_id: &HashMap<PsdId, usize>) -> Vec<Self> {
        let pool = |members: &Members| {
            let devices = members.psds().filter_map(|psd| by_id.get(&psd).copied());
            Pool::new(members, devices.collect())
        };
        licences.iter().map(pool).collect()
    }

    /// All refusals that wait.
    pub(super) fn take_waiting(&mut self) -> Vec<Parked> {
        std::mem::take(&mut self.waiting).into_values().flatten().collect()
    }

    /// A value command holds a member back.
    pub(super) fn hold(&mut self, id: ChunkId) {
        self.holds += 1;
        self.begun(id);
    }

    /// What is known of a member is now this.
    pub(super) fn set(&mut self, members: &Members, member: usize, standing: Standing, spendable: PostageAmount) {
        let number = if standing == Standing::InUse { spendable.mills() + 1 } else { 0 };
        self.spendable.set(member, number);
        let before = std::mem::replace(&mut self.standings[member], standing);
        if before != standing {
            let counts = &mut self.counts[members.grade_of(member)];
            counts[before.index()] -= 1;
            counts[standing.index()] += 1;
        }
    }

    /// The device that takes what is needed, if there is one.
    ///
    /// The one taken last in this turn is kept as long as it can, so that a turn makes few and large frames. By ZIP there is one for
    /// each set of members that are for the same ZIPs.
    pub(super) fn take(&mut self, turn: u64, search: &Search<'_>) -> Option<usize> {
        let first = match search.selection {
            Selection::RoundRobin | Selection::MostFunds => None,
            Selection::Zip => Some(self.first_for(search)?),
        };
        let last = match (search.selection, first) {
            (Selection::MostFunds, _) => self.richest,
            (Selection::RoundRobin | Selection::Zip, None) => self.last,
            (Selection::RoundRobin | Selection::Zip, Some(first)) => self.last_for.get(&first).copied(),
        };
        if let Some(Taken { member, .. }) = last.filter(|last| last.turn == turn)
            && self.spendable.get(member) >= search.sought().least
            && search.suits(member)
        {
            return Some(self.devices[member]);
        }
        let member = match search.selection {
            Selection::MostFunds => self.most(search).filter(|(most, _)| *most >= search.sought().least)?.1,
            Selection::RoundRobin | Selection::Zip => self.next(last.map_or(0, |last| last.member + 1), search)?,
        };
        let taken = Taken { turn, member };
        match (search.selection, first) {
            (Selection::MostFunds, _) => self.richest = Some(taken),
            (Selection::RoundRobin | Selection::Zip, None) => self.last = Some(taken),
            (Selection::RoundRobin | Selection::Zip, Some(first)) => {
                self.last_for.insert(first, taken);
            }
        }
        Some(self.devices[member])
    }

    /// The next member from this one on that can pay; behind the last comes the first.
    fn next(&self, from: usize, search: &Search<'_>) -> Option<usize> {
        let sought = search.sought();
        let clipped = |low: usize, high: usize| {
            let mut stretches = search.stretches().map(move |stretch| stretch.start.max(low)..stretch.end.min(high));
            stretches.find_map(|stretch| self.spendable.next(&stretch, sought))
        };
        clipped(from, usize::MAX).or_else(|| clipped(0, from))
    }

    /// What the richest member can spend, and one mill more.
    fn most(&self, search: &Search<'_>) -> Option<(u64, usize)> {
        let each = search.stretches().filter_map(|stretch| self.spendable.most(&stretch, search.reach()));
        each.reduce(|most, other| if other.0 > most.0 { other } else { most })
    }

    /// The first member that is for the ZIPs, whatever it can spend.
    fn first_for(&self, search: &Search<'_>) -> Option<usize> {
        let sought = Sought { least: 0, reach: search.reach() };
        search.stretches().find_map(|stretch| self.spendable.next(&stretch, sought))
    }

    /// Why no member takes it.
    pub(super) fn refusal(&self, search: &Search<'_>) -> Refusal {
        if let Some((most, _)) = self.most(search) {
            let most = PostageAmount::from_mills(most - 1).unwrap_or(PostageAmount::MAX);
            return Refusal::NoneHasFunds { postage: search.need.total, most };
        }
        let mut grades: Vec<usize> =
            search.within.iter().flat_map(|span| search.members.grades_in(span).map(|(grade, _)| grade)).collect();
        grades.dedup();
        let count = |standing: Standing| grades.iter().map(|grade| self.counts[*grade][standing.index()]).sum();
        Refusal::NoPsdAvailable(OutOfUse {
            barred: count(Standing::Barred),
            uncertified: count(Standing::Uncertified),
            without_token: count(Standing::WithoutToken),
            unsuited: count(Standing::InUse),
        })
    }

    /// A chunk of a member is in flight, or a value command holds a member back.
    fn begun(&mut self, id: ChunkId) {
        self.in_flight.insert(id);
    }

    /// It is no more. Gives the refusals that rested on nothing else.
    fn ended(&mut self, id: ChunkId) -> Vec<Parked> {
        self.in_flight.remove(&id);
        let mut told = Vec::new();
        while let Some(entry) = self.waiting.first_entry()
            && self.in_flight.first().is_none_or(|oldest| entry.key() < oldest)
        {
            told.extend(entry.remove());
        }
        told
    }

    /// It is no more, and what was refused while it was there has to be judged again.
    fn ended_in_vain(&mut self, id: ChunkId) -> Vec<Parked> {
        self.in_flight.remove(&id);
        self.waiting.split_off(&id).into_values().flatten().collect()
    }

    /// The newest of what a refusal rests on: want of funds on every debit in flight and every command, any other on commands.
    fn rests_on(&self, refusal: &Refusal) -> Option<ChunkId> {
        let newest = self.in_flight.last().copied();
        newest.filter(|_| self.holds > 0 || matches!(refusal, Refusal::NoneHasFunds { .. }))
    }

    #[cfg(test)]
    pub(super) fn known(&self, member: usize) -> (Standing, u64) {
        (self.standings[member], self.spendable.get(member))
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize, usize) {
        (self.in_flight.len(), self.holds, self.waiting.len())
    }
}

impl Engine {
    /// Tells the pool of a device what the device could take now.
    pub(super) fn refresh(&mut self, device_index: usize) {
        let standing = self.standing(device_index);
        let device = &self.devices[device_index];
        let (place, spendable) = (device.place, device.psd.spendable());
        let Some(members) = self.licences.members(place.licence) else { return };
        self.pools[place.licence].set(members, place.member, standing, spendable);
    }

    pub(super) fn refresh_all(&mut self) {
        for device in 0..self.devices.len() {
            self.refresh(device);
        }
    }

    pub(super) fn standing(&self, device_index: usize) -> Standing {
        let device = &self.devices[device_index];
        let state = device.psd.state();
        if state.lifecycle != Lifecycle::Active || !state.locks.is_empty() || state.is_withdrawing() {
            return Standing::Barred;
        }
        let Some(key) = device.psd.signing_key(Role::Indicium) else { return Standing::Uncertified };
        if !device.commands.is_empty() {
            return Standing::Held;
        }
        match self.token_named(&key.token) {
            Some(token) if self.is_up(token) => Standing::InUse,
            Some(_) | None => Standing::WithoutToken,
        }
    }

    /// A chunk of pieces is in flight.
    pub(super) fn pool_chunk_begun(&mut self, device: usize, id: ChunkId) {
        let licence = self.devices[device].place.licence;
        self.pools[licence].begun(id);
        self.refresh(device);
    }

    /// It is durable: refusals that rested on it and on nothing newer are told.
    pub(super) fn pool_chunk_committed(&mut self, device: usize, id: ChunkId) {
        let licence = self.devices[device].place.licence;
        for parked in self.pools[licence].ended(id) {
            self.tell(parked);
        }
    }

    /// It was dropped: what was refused on account of it may be judged otherwise.
    pub(super) fn pool_chunk_dropped(&mut self, device: usize, id: ChunkId) -> Vec<Parked> {
        let licence = self.devices[device].place.licence;
        self.pools[licence].ended_in_vain(id)
    }

    /// A value command holds a device back.
    pub(super) fn hold_back(&mut self, device: usize) {
        if self.devices[device].hold.is_none() {
            let id = self.next_chunk_id();
            self.devices[device].hold = Some(id);
            self.pools[self.devices[device].place.licence].hold(id);
        }
        self.refresh(device);
    }

    /// The last value command of a device has ended; what was refused meanwhile is judged again, as it may have funds now.
    pub(super) fn let_go(&mut self, device: usize) {
        self.refresh(device);
        if !self.devices[device].commands.is_empty() {
            return;
        }
        let Some(id) = self.devices[device].hold.take() else { return };
        let pool = &mut self.pools[self.devices[device].place.licence];
        pool.holds -= 1;
        let parked = pool.ended_in_vain(id);
        self.judge_all_again(parked);
    }

    /// Has a refusal by all of a pool wait for what it rests on; gives it back where that is nothing.
    pub(super) fn park_in_pool(&mut self, licence: usize, refusal: &Refusal, parked: Parked) -> Option<Parked> {
        let pool = &mut self.pools[licence];
        let Some(newest) = pool.rests_on(refusal) else { return Some(parked) };
        pool.waiting.entry(newest).or_default().push(parked);
        None
    }
}

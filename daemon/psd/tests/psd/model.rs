//! A PSD under random commands against a model that knows nothing but sums, and against its own records.

use crate::device::*;
use proptest::prelude::*;
use psd::device::Authorisation;
use psd::lifecycle::{Lifecycle, LockReason, Locks};
use psd::record::Event;
use psd::{Psd, UnixMillis};

#[derive(Clone, Debug)]
enum Command {
    Piece {
        postage: u64,
        day: i8,
        clock: bool,
    },
    Request(u64),
    /// By how much the authorisation differs from what it should say: number, amount, control total, milliseconds late.
    Apply {
        number: u64,
        amount: u64,
        total: u64,
        late: u64,
    },
    Void {
        number: u64,
    },
    Lifecycle(Lifecycle),
    Lock(usize),
    Unlock(usize),
    /// Goes back to how it was before so many records, as after a signing fault.
    Drop(usize),
}

fn command() -> impl Strategy<Value = Command> {
    let states =
        [Lifecycle::Initialised, Lifecycle::Authorised, Lifecycle::Active, Lifecycle::Withdrawn, Lifecycle::Scrapped];
    let mostly_zero = || prop_oneof![9 => Just(0u64), 1 => 1u64..3];
    prop_oneof![
        10 => (50u64..3_000, -2i8..4, prop::bool::weighted(0.95))
            .prop_map(|(postage, day, clock)| Command::Piece { postage, day, clock }),
        3 => (0u64..9_000).prop_map(Command::Request),
        4 => (mostly_zero(), mostly_zero(), mostly_zero(), mostly_zero())
            .prop_map(|(number, amount, total, late)| Command::Apply { number, amount, total, late }),
        2 => mostly_zero().prop_map(|number| Command::Void { number }),
        1 => prop::sample::select(states.to_vec()).prop_map(Command::Lifecycle),
        1 => (0usize..6).prop_map(Command::Lock),
        2 => (0usize..6).prop_map(Command::Unlock),
        1 => (1usize..4).prop_map(Command::Drop),
    ]
}

/// All that the model knows.
#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    loaded: u64,
    used: u64,
    pieces: u64,
    records: u64,
    applied: u64,
    pending: Option<u64>,
    state: u8,
    locks: u8,
}

impl Model {
    fn of(psd: &Psd) -> Self {
        let state = psd.state();
        Self {
            loaded: state.registers.control_total().mills(),
            used: state.registers.ascending().mills(),
            pieces: state.registers.piece_count(),
            records: state.sequence,
            applied: state.value_sequence,
            pending: state.pending.as_ref().map(|pending| pending.amount.mills()),
            state: state.lifecycle.number(),
            locks: state.locks.bits(),
        }
    }

    /// The model's own idea of what a command does; `false` where it must be refused.
    fn step(&mut self, command: &Command) -> bool {
        let before = self.clone();
        let takes_value = self.state == 2 || self.state == 3;
        let done = match command {
            Command::Piece { postage, day, clock } => {
                let right = self.state == 3 && self.locks == 0 && *clock && (-1..=2).contains(day);
                let paid = *postage >= 100 && *postage <= self.loaded - self.used;
                self.used += postage;
                self.pieces += 1;
                right && paid
            }
            Command::Request(amount) => {
                self.pending = Some(*amount);
                takes_value && before.pending.is_none() && *amount > 0
            }
            Command::Apply { number, amount, total, late } => {
                self.loaded += before.pending.unwrap_or(0);
                self.applied += 1;
                self.pending = None;
                takes_value && before.pending.is_some() && number + amount + total + late == 0
            }
            Command::Void { number } => {
                self.applied += 1;
                self.pending = None;
                before.pending.is_some() && *number == 0
            }
            Command::Lifecycle(next) => {
                self.state = next.number();
                let steps = [(1, 2), (2, 3), (2, 4), (3, 4), (1, 5), (4, 5)];
                steps.contains(&(before.state, self.state)) || before.state == self.state
            }
            Command::Lock(bit) => {
                self.locks |= 1 << bit;
                true
            }
            Command::Unlock(bit) => {
                self.locks &= !(1 << bit);
                true
            }
            Command::Drop(_) => true,
        };
        if done {
            self.records += 1;
        } else {
            *self = before;
        }
        done
    }
}

/// What the PSD does; the record of it, if it did it.
fn act(psd: &mut Psd, command: &Command) -> Option<Event> {
    match command {
        Command::Piece { postage, day, clock } => {
            let mut piece = piece(*postage);
            piece.details = mailed_on(&format!("2026-11-{}", 20 + i32::from(*day)));
            let tenant = tenant();
            let mut context = context(&tenant);
            if !clock {
                context.clock = Err(psd::clock::ClockStop::Unsynchronised);
            }
            psd.prepare(&piece, &context).ok().map(|prepared| prepared.signed(&[1; 64]).event)
        }
        Command::Request(amount) => {
            let terms = psd.value_terms(mills(*amount)).ok()?;
            psd.value_requested(&terms, [7][..].into());
            let (value_sequence, amount) = (terms.sequence, terms.amount);
            let stamp = psd.next_stamp();
            Some(Event::ValueRequested { stamp, tenant: tenant(), value_sequence, amount, request: [7][..].into() })
        }
        Command::Apply { number, amount, total, late } => {
            let state = psd.state();
            let asked = state.pending.as_ref().map_or(0, |pending| pending.amount.mills());
            let authorisation = Authorisation {
                appliance: "dev-1".parse().unwrap(),
                psd: id(),
                amount: mills(asked + amount),
                control_total: mills(state.registers.control_total().mills() + asked + total),
                sequence: state.value_sequence + 1 + number,
                expires: UnixMillis(NOW),
            };
            psd.apply_value(&authorisation, &"dev-1".parse().unwrap(), UnixMillis(NOW + late)).ok()?;
            let (value_sequence, amount) = (authorisation.sequence, authorisation.amount);
            let stamp = psd.next_stamp();
            Some(Event::ValueApplied { stamp, tenant: tenant(), value_sequence, amount, authorisation: [8][..].into() })
        }
        Command::Void { number } => {
            let terms = psd.void_terms(psd.state().value_sequence + 1 + number).ok()?;
            psd.value_voided(&terms);
            let (value_sequence, amount, stamp) = (terms.sequence, terms.amount, psd.next_stamp());
            Some(Event::ValueVoided { stamp, tenant: tenant(), value_sequence, amount, statement: [9][..].into() })
        }
        Command::Lifecycle(next) => {
            let event = lifecycle(psd, *next, psd.state().locks);
            psd.replay(&event).ok().map(|()| event)
        }
        Command::Lock(reason) | Command::Unlock(reason) => {
            let (locks, reason) = (psd.state().locks, LockReason::ALL[*reason]);
            let locks: Locks =
                if matches!(command, Command::Lock(_)) { locks.with(reason) } else { locks.without(reason) };
            let event = lifecycle(psd, psd.state().lifecycle, locks);
            psd.replay(&event).ok().map(|()| event)
        }
        Command::Drop(_) => None,
    }
}

proptest! {
    #[test]
    fn the_psd_does_what_sums_say_and_its_records_tell_it(commands in prop::collection::vec(command(), 1..120)) {
        // Value enters by download only, so that the records tell all of it.
        let mut psd = active(0);
        let mut copy = psd.clone();
        let mut model = Model::of(&psd);
        let mut history = vec![(psd.state().clone(), model.clone())];
        let mut since = Vec::new();
        for command in commands {
            if let Command::Drop(records) = command {
                // Back to an earlier state: what came after it never happened.
                let back = history.len().saturating_sub(1 + records);
                history.truncate(back + 1);
                since.truncate(back);
                let (state, earlier) = history[back].clone();
                psd.restore(state);
                model = earlier;
                continue;
            }
            let event = act(&mut psd, &command);
            prop_assert_eq!(event.is_some(), model.step(&command), "{:?}", command);
            prop_assert_eq!(&Model::of(&psd), &model, "{:?}", command);
            let registers = psd.state().registers;
            prop_assert_eq!(registers.ascending().checked_add(registers.descending()), Some(registers.control_total()));
            if let Some(event) = event {
                prop_assert_eq!(event.stamp(), Some(&psd.stamp()));
                since.push(event);
                history.push((psd.state().clone(), model.clone()));
            }
        }
        for event in &since {
            prop_assert_eq!(copy.replay(event), Ok(()));
        }
        prop_assert_eq!(copy.state(), psd.state());
    }

    /// Folding without checks gives the same state as checked replay, wherever a checked replay succeeds.
    #[test]
    fn folding_is_replay_without_judgement(commands in prop::collection::vec(command(), 1..60)) {
        let mut psd = active(0);
        let (mut checked, mut folded) = (psd.clone(), psd.clone());
        for event in commands.iter().filter_map(|command| act(&mut psd, command)) {
            checked.replay(&event).unwrap();
            folded.fold(&event);
            prop_assert_eq!(checked.state(), folded.state());
        }
    }
}

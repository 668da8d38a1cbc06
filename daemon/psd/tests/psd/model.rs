//! A PSD under random commands against a model that knows nothing but sums, and against its own records.

use crate::device::*;
use proptest::prelude::*;
use psd::authority::Loaded;
use psd::device::{Authorisation, Purpose};
use psd::lifecycle::{Lifecycle, LockReason, Locks};
use psd::record::{Applied, Event};
use psd::{Psd, UnixMillis};

#[derive(Clone, Debug)]
enum Command {
    Piece {
        postage: u64,
        day: i8,
        clock: bool,
    },
    Request(u64),
    /// The postage of the piece at this leaf.
    Refund {
        leaf: u64,
        postage: u64,
    },
    Withdraw,
    /// By how much the authorisation differs from what it should say: number, amount, control total, milliseconds late.
    Apply {
        number: u64,
        amount: u64,
        total: u64,
        late: u64,
        piece: u64,
    },
    Acknowledge {
        number: u64,
        total: u64,
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
        2 => (0u64..6, 100u64..3_000).prop_map(|(leaf, postage)| Command::Refund { leaf, postage }),
        1 => Just(Command::Withdraw),
        5 => (mostly_zero(), mostly_zero(), mostly_zero(), mostly_zero(), mostly_zero())
            .prop_map(|(number, amount, total, late, piece)| Command::Apply { number, amount, total, late, piece }),
        1 => (mostly_zero(), mostly_zero()).prop_map(|(number, total)| Command::Acknowledge { number, total }),
        2 => mostly_zero().prop_map(|number| Command::Void { number }),
        1 => prop::sample::select(states.to_vec()).prop_map(Command::Lifecycle),
        1 => (0usize..6).prop_map(Command::Lock),
        2 => (0usize..6).prop_map(Command::Unlock),
        1 => (1usize..4).prop_map(Command::Drop),
    ]
}

/// What the pending value is for, in the model's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    New,
    Back(u64),
    All,
}

/// All that the model knows.
#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    loaded: u64,
    used: u64,
    pieces: u64,
    records: u64,
    applied: u64,
    pending: Option<(u64, What)>,
    refunded: Vec<u64>,
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
            pending: state.pending.as_ref().map(|pending| {
                let what = match pending.purpose {
                    Purpose::Download => What::New,
                    Purpose::Refund(spoiled) => What::Back(spoiled.leaf),
                    Purpose::Withdrawal => What::All,
                };
                (pending.amount.mills(), what)
            }),
            refunded: state.refunded.iter().map(|ascending| ascending.mills()).collect(),
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
                right && paid && !before.withdrawing()
            }
            Command::Request(amount) => {
                self.pending = Some((*amount, What::New));
                takes_value && before.pending.is_none() && *amount > 0
            }
            Command::Refund { leaf, postage } => {
                self.pending = Some((*postage, What::Back(*leaf)));
                takes_value && before.pending.is_none() && !before.refunded.contains(leaf)
            }
            Command::Withdraw => {
                self.pending = Some((self.loaded - self.used, What::All));
                takes_value && before.pending.is_none()
            }
            Command::Apply { number, amount, total, late, piece } => {
                self.applied += 1;
                let Some((asked, what)) = self.pending.take() else { return false_step(self, before) };
                self.loaded += asked;
                if let What::Back(leaf) = what {
                    self.refunded.push(leaf);
                    self.refunded.sort_unstable();
                }
                takes_value && what != What::All && number + amount + total + late + piece == 0
            }
            Command::Acknowledge { number, total } => {
                self.applied += 1;
                self.pending = None;
                self.loaded = self.used;
                self.state = 4;
                takes_value && before.withdrawing() && number + total == 0
            }
            Command::Void { number } => {
                self.applied += 1;
                self.pending = None;
                before.pending.is_some() && !before.withdrawing() && *number == 0
            }
            Command::Lifecycle(next) => {
                self.state = next.number();
                let steps = [(1, 2), (2, 3), (2, 4), (3, 4), (1, 5), (4, 5)];
                steps.contains(&(before.state, self.state)) || before.state == self.state
            }
            // For want of an inspection only active ones lock, and none unlocks by itself.
            Command::Lock(bit) => {
                self.locks |= 1 << bit;
                *bit != 0 || before.state == 3 || before.locks & 1 == 1
            }
            Command::Unlock(bit) => {
                self.locks &= !(1 << bit);
                *bit != 0 || before.locks & 1 == 0
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

    fn withdrawing(&self) -> bool {
        self.pending.is_some_and(|(_, what)| what == What::All)
    }
}

/// Takes a step back.
fn false_step(model: &mut Model, before: Model) -> bool {
    *model = before;
    false
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
            let (tenant, purpose, request) = (tenant(), terms.purpose, [7][..].into());
            Some(Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request })
        }
        Command::Refund { .. } | Command::Withdraw => {
            let terms = match command {
                Command::Refund { leaf, postage } => psd.refund_terms(spoiled(*leaf), mills(*postage)).ok()?,
                _ => psd.withdrawal_terms().ok()?,
            };
            psd.value_requested(&terms, [7][..].into());
            let (value_sequence, amount) = (terms.sequence, terms.amount);
            let (stamp, tenant, purpose, request) = (psd.next_stamp(), tenant(), terms.purpose, [7][..].into());
            Some(Event::ValueRequested { stamp, tenant, value_sequence, amount, purpose, request })
        }
        Command::Apply { number, amount, total, late, piece } => {
            let state = psd.state();
            let asked = state.pending.as_ref().map_or(0, |pending| pending.amount.mills());
            let asked_back = state.pending.as_ref().and_then(|pending| pending.purpose.refund());
            let authorisation = Authorisation {
                appliance: "dev-1".parse().unwrap(),
                psd: id(),
                amount: mills(asked + amount),
                refund: if *piece == 0 { asked_back } else { Some(asked_back.unwrap_or(0) + piece) },
                control_total: mills(state.registers.control_total().mills() + asked + total),
                sequence: state.value_sequence + 1 + number,
                expires: UnixMillis(NOW),
            };
            let now = UnixMillis(NOW + late);
            let applied = match psd.apply_value(&authorisation, &"dev-1".parse().unwrap(), now, Ok(())).ok()?.0 {
                Purpose::Download => Applied::Download { loaded: Loaded::default() },
                Purpose::Refund(spoiled) => Applied::Refund(spoiled),
                Purpose::Withdrawal => panic!("a withdrawal loads nothing"),
            };
            let (value_sequence, amount) = (authorisation.sequence, authorisation.amount);
            let (stamp, tenant, authorisation) = (psd.next_stamp(), tenant(), [8][..].into());
            Some(Event::ValueApplied { stamp, tenant, value_sequence, amount, authorisation, applied })
        }
        Command::Acknowledge { number, total } => {
            let state = psd.state();
            let acknowledgement = Authorisation {
                appliance: "dev-1".parse().unwrap(),
                psd: id(),
                amount: state.pending.as_ref().map_or(mills(0), |pending| pending.amount),
                refund: None,
                control_total: mills(state.registers.ascending().mills() + total),
                sequence: state.value_sequence + 1 + number,
                expires: UnixMillis(NOW),
            };
            let terms = psd.report_terms(&acknowledgement, &"dev-1".parse().unwrap(), UnixMillis(NOW)).ok()?;
            psd.withdrawn(&terms);
            let (stamp, value_sequence, amount) = (psd.next_stamp(), terms.sequence, terms.amount);
            let (acknowledgement, report) = ([8][..].into(), [9][..].into());
            Some(Event::Withdrawn { stamp, tenant: tenant(), value_sequence, amount, acknowledgement, report })
        }
        Command::Void { number } => {
            let terms = psd.void_terms(psd.state().value_sequence + 1 + number).ok()?;
            psd.value_voided(&terms);
            let (value_sequence, amount, stamp) = (terms.sequence, terms.amount, psd.next_stamp());
            Some(Event::ValueVoided { stamp, tenant: tenant(), value_sequence, amount, statement: [9][..].into() })
        }
        Command::Lifecycle(next) => {
            let event = lifecycle(psd, *next, psd.state().locks);
            psd.replay(&event, UnixMillis(1)).ok().map(|()| event)
        }
        Command::Lock(reason) | Command::Unlock(reason) => {
            let (locks, reason) = (psd.state().locks, LockReason::ALL[*reason]);
            let locks: Locks =
                if matches!(command, Command::Lock(_)) { locks.with(reason) } else { locks.without(reason) };
            let event = lifecycle(psd, psd.state().lifecycle, locks);
            psd.replay(&event, UnixMillis(1)).ok().map(|()| event)
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
            prop_assert_eq!(copy.replay(event, UnixMillis(NOW)), Ok(()));
        }
        prop_assert_eq!(copy.state(), psd.state());
    }

    /// Folding without checks gives the same state as checked replay, wherever a checked replay succeeds.
    #[test]
    fn folding_is_replay_without_judgement(commands in prop::collection::vec(command(), 1..60)) {
        let mut psd = active(0);
        let (mut checked, mut folded) = (psd.clone(), psd.clone());
        for event in commands.iter().filter_map(|command| act(&mut psd, command)) {
            checked.replay(&event, UnixMillis(1)).unwrap();
            folded.fold(&event, UnixMillis(1));
            prop_assert_eq!(checked.state(), folded.state());
        }
    }
}

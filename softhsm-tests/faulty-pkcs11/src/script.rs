//! The fault script: its grammar, and what it decides for one call.
//!
//! Pure: no file, no clock, no PKCS#11. [`crate::watch`] reads the file and publishes the parsed script; [`crate::wrap`] asks it.
//!
//! One rule a line; blank lines and what follows a `#` are ignored:
//!
//! ```text
//! <C_Function or *> <action> [argument] [after=N] [times=N] [every=N]
//!
//! latency MICROS     sleep, then go on
//! hang               block until the rule is no longer in the script
//! crash              abort the process
//! segv               write through a null pointer
//! exit               exit(3) with status 1, as a library that thinks it owns the process
//! return CKR         give this code without calling the real module
//! after-return CKR   call the real module, then give this code: the effect happened, the caller is told it failed
//! garble             C_Sign only: call the real module, then flip a bit of the signature
//! overlong           C_Sign only: call the real module, then report a length greater than the buffer
//! ```
//!
//! `after=N` lets the first N matching calls since the script was loaded pass, `every=N` then takes each Nth, `times=N` stops
//! after N of those taken. Every rule counts every call its function matches. For one call all latencies that are due add up,
//! and of the other actions that are due the first in the file is done. A change of the file starts all counts again.
//!
//! The length query of `C_Sign` (no buffer) is neither counted nor disturbed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use cryptoki_sys::CK_RV;

use crate::codes;

/// What a rule does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sleep for so many microseconds.
    Latency(u64),
    /// Block until the rule is gone.
    Hang,
    /// Abort the process.
    Crash,
    /// Write through a null pointer.
    Segv,
    /// Leave the process by `exit`.
    Exit,
    /// Give a code instead of calling.
    Return(CK_RV),
    /// Call, then give a code.
    AfterReturn(CK_RV),
    /// Flip a bit of the signature.
    Garble,
    /// Report more bytes than the buffer holds.
    Overlong,
}

/// One rule as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    function: Target,
    action: Action,
    after: u64,
    times: Option<u64>,
    every: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Every,
    One(usize),
}

impl Rule {
    /// What the rule does.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Whether the rule applies to the call that `seen` matching calls went before.
    fn is_due(&self, seen: u64) -> bool {
        let Some(past) = seen.checked_sub(self.after) else {
            return false;
        };
        let nth = past + 1;
        nth.is_multiple_of(self.every) && self.times.is_none_or(|times| nth / self.every <= times)
    }
}

/// A parsed script with the counts of its rules.
#[derive(Debug)]
pub struct Script {
    rules: Vec<(Rule, AtomicU64)>,
    // Indices into `rules` by function, so that a function without a rule costs one look.
    by_function: Vec<Vec<usize>>,
}

/// What is to happen to one call.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Sleep this long first, in microseconds.
    pub latency_us: u64,
    /// Then do this; `None` is the plain call.
    pub fault: Option<&'a Rule>,
}

impl Script {
    /// A script without rules for a module of `functions` functions.
    pub fn empty(functions: usize) -> Self {
        Self { rules: Vec::new(), by_function: vec![Vec::new(); functions] }
    }

    /// Parses a script. `functions` are the names that rules may use; their positions are what [`Script::verdict`] takes.
    pub fn parse(text: &str, functions: &[&str]) -> Result<Self, ScriptError> {
        let mut script = Self::empty(functions.len());
        for (index, line) in text.lines().enumerate() {
            let statement = line.split_once('#').map_or(line, |(before, _)| before);
            let words: Vec<&str> = statement.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            let rule = parse_rule(&words, functions).map_err(|reason| ScriptError { line: index + 1, reason })?;
            match rule.function {
                Target::One(function) => script.by_function[function].push(script.rules.len()),
                Target::Every => {
                    for list in &mut script.by_function {
                        list.push(script.rules.len());
                    }
                }
            }
            script.rules.push((rule, AtomicU64::new(0)));
        }
        Ok(script)
    }

    /// Counts one call of `function` and says what happens to it; `None` if no rule names the function.
    pub fn verdict(&self, function: usize) -> Option<Verdict<'_>> {
        let mine = &self.by_function[function];
        if mine.is_empty() {
            return None;
        }
        let mut verdict = Verdict { latency_us: 0, fault: None };
        for &index in mine {
            let (rule, count) = &self.rules[index];
            if !rule.is_due(count.fetch_add(1, Ordering::Relaxed)) {
                continue;
            }
            match rule.action {
                Action::Latency(micros) => verdict.latency_us += micros,
                _ => verdict.fault = verdict.fault.or(Some(rule)),
            }
        }
        Some(verdict)
    }

    /// Whether the script has a rule written the same.
    pub fn contains(&self, rule: &Rule) -> bool {
        self.rules.iter().any(|(other, _)| other == rule)
    }
}

/// Where and why a script does not parse.
#[derive(Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Reason {
    /// No PKCS#11 2.40 function has this name.
    UnknownFunction(String),
    /// No action has this name.
    UnknownAction(String),
    /// The line ends after the function.
    NoAction,
    /// The action's argument is missing or no number or code.
    BadArgument(String),
    /// Neither after=, times= nor every= with a number.
    BadOption(String),
    /// The option was given before.
    Repeated(String),
    /// The action exists for C_Sign only.
    OnlyForSign,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.reason {
            Reason::UnknownFunction(word) => write!(f, "no function {word}"),
            Reason::UnknownAction(word) => write!(f, "no action {word}"),
            Reason::NoAction => write!(f, "no action"),
            Reason::BadArgument(word) => write!(f, "the action cannot take {word:?}"),
            Reason::BadOption(word) => write!(f, "no option {word}"),
            Reason::Repeated(word) => write!(f, "{word} given twice"),
            Reason::OnlyForSign => write!(f, "this action exists for C_Sign only"),
        }
    }
}

fn parse_rule(words: &[&str], functions: &[&str]) -> Result<Rule, Reason> {
    let mut words = words.iter().copied();
    let target = words.next().unwrap_or_default();
    let function = if target == "*" {
        Target::Every
    } else {
        let position = functions.iter().position(|name| *name == target);
        Target::One(position.ok_or_else(|| Reason::UnknownFunction(target.to_owned()))?)
    };
    let action = parse_action(&mut words)?;
    if matches!(action, Action::Garble | Action::Overlong) && target != "C_Sign" {
        return Err(Reason::OnlyForSign);
    }
    let (mut after, mut times, mut every) = (None, None, None);
    for word in words {
        let bad = || Reason::BadOption(word.to_owned());
        let (name, value) = word.split_once('=').ok_or_else(bad)?;
        let value = value.parse::<u64>().map_err(|_not_a_number| bad())?;
        let slot = match name {
            "after" => &mut after,
            "times" if value > 0 => &mut times,
            "every" if value > 0 => &mut every,
            _ => return Err(bad()),
        };
        if slot.replace(value).is_some() {
            return Err(Reason::Repeated(name.to_owned()));
        }
    }
    Ok(Rule { function, action, after: after.unwrap_or(0), times, every: every.unwrap_or(1) })
}

fn parse_action<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Action, Reason> {
    let name = words.next().ok_or(Reason::NoAction)?;
    let mut code = || {
        let word = words.next().unwrap_or_default();
        codes::named(word).ok_or_else(|| Reason::BadArgument(word.to_owned()))
    };
    Ok(match name {
        "return" => Action::Return(code()?),
        "after-return" => Action::AfterReturn(code()?),
        "latency" => {
            let word = words.next().unwrap_or_default();
            let micros = word.parse().map_err(|_not_a_number| Reason::BadArgument(word.to_owned()))?;
            Action::Latency(micros)
        }
        "hang" => Action::Hang,
        "crash" => Action::Crash,
        "segv" => Action::Segv,
        "exit" => Action::Exit,
        "garble" => Action::Garble,
        "overlong" => Action::Overlong,
        _ => return Err(Reason::UnknownAction(name.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["C_Login", "C_Sign"];
    const LOGIN: usize = 0;
    const SIGN: usize = 1;

    fn faults(text: &str, function: usize, calls: usize) -> Vec<Option<Action>> {
        let script = Script::parse(text, NAMES).expect("the script parses");
        let fault = || script.verdict(function)?.fault.map(Rule::action);
        (0..calls).map(|_| fault()).collect()
    }

    fn reason(text: &str) -> ScriptError {
        Script::parse(text, NAMES).expect_err("the script is malformed")
    }

    #[test]
    fn after_every_and_times_select_calls() {
        let x = Some(Action::Crash);
        assert_eq!(faults("C_Sign crash", SIGN, 2), [x, x]);
        assert_eq!(faults("C_Sign crash after=2", SIGN, 4), [None, None, x, x]);
        assert_eq!(faults("C_Sign crash times=1", SIGN, 3), [x, None, None]);
        assert_eq!(faults("C_Sign crash every=2", SIGN, 4), [None, x, None, x]);
        assert_eq!(faults("C_Sign crash every=2 after=1 times=1", SIGN, 6), [None, None, x, None, None, None]);
    }

    #[test]
    fn rules_touch_only_their_function() {
        assert_eq!(faults("C_Sign crash", LOGIN, 1), [None]);
        assert_eq!(faults("* hang", LOGIN, 1), [Some(Action::Hang)]);
        let script = Script::parse("C_Sign crash", NAMES).expect("parses");
        assert_eq!(script.verdict(LOGIN), None);
    }

    #[test]
    fn latencies_add_up_and_the_first_other_action_wins() {
        let text =
            "* latency 10 # all\n\nC_Sign latency 5\nC_Sign return CKR_DEVICE_ERROR times=1\nC_Sign return 0x80000001";
        let script = Script::parse(text, NAMES).expect("parses");
        let first = script.verdict(SIGN).expect("has rules");
        assert_eq!(first.latency_us, 15);
        assert_eq!(first.fault.map(Rule::action), Some(Action::Return(0x30)));
        let second = script.verdict(SIGN).expect("has rules");
        assert_eq!(second.fault.map(Rule::action), Some(Action::Return(0x8000_0001)));
    }

    #[test]
    fn a_malformed_line_is_named_with_its_reason() {
        let owned = str::to_owned;
        for (text, why) in [
            ("C_Sing crash", Reason::UnknownFunction(owned("C_Sing"))),
            ("C_Sign", Reason::NoAction),
            ("C_Sign explode", Reason::UnknownAction(owned("explode"))),
            ("C_Sign latency fast", Reason::BadArgument(owned("fast"))),
            ("C_Sign return CKR_NOPE", Reason::BadArgument(owned("CKR_NOPE"))),
            ("C_Sign return", Reason::BadArgument(owned(""))),
            ("C_Sign crash soon", Reason::BadOption(owned("soon"))),
            ("C_Sign crash times=0", Reason::BadOption(owned("times=0"))),
            ("C_Sign crash every=0", Reason::BadOption(owned("every=0"))),
            ("C_Sign crash after=-1", Reason::BadOption(owned("after=-1"))),
            ("C_Sign crash after=1 after=2", Reason::Repeated(owned("after"))),
            ("C_Login garble", Reason::OnlyForSign),
            ("* overlong", Reason::OnlyForSign),
        ] {
            let text = format!("# comment\n{text}\n");
            assert_eq!(reason(&text), ScriptError { line: 2, reason: why }, "{text}");
        }
    }

    #[test]
    fn a_rule_is_found_again_only_if_written_the_same() {
        let old = Script::parse("C_Sign hang after=1", NAMES).expect("parses");
        let rule = &old.rules[0].0;
        let same = Script::parse("C_Login crash\nC_Sign  hang after=1 # still", NAMES).expect("parses");
        let other = Script::parse("C_Sign hang", NAMES).expect("parses");
        assert!(same.contains(rule));
        assert!(!other.contains(rule));
    }
}

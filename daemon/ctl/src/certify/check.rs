//! `psdctl certify check`: what a number says to who has no key.

use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::output::{print, print_json};
use clap::Args;
use psd::MailingDate;
use psdd_certification::number::NumberError;
use psdd_certification::{CertificationNumber, LineError, PrintedLine};
use serde::Serialize;

/// Arguments of `psdctl certify check`.
#[derive(Args, Debug)]
pub struct Check {
    /// The number, in any writing; or the whole line next to the mark: licence, class, date, amount due, number
    #[arg(required = true, num_args = 1.., allow_hyphen_values = true, value_name = "NUMBER|LINE")]
    text: Vec<String>,
}

/// Characters of a number, whatever stands between them.
const NUMBER_CHARACTERS: usize = 12;

/// What was read.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Read {
    Number(CertificationNumber),
    Line(PrintedLine),
}

/// Why nothing was.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Number(#[from] NumberError),
    #[error(transparent)]
    Line(#[from] LineError),
}

#[derive(Serialize)]
struct Report {
    number: String,
    epoch_modulo_32: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<LineReport>,
}

#[derive(Serialize)]
struct LineReport {
    licence: String,
    class: String,
    date: String,
    due: String,
}

#[derive(Serialize)]
struct Wrong {
    problem: String,
    /// From 1, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<usize>,
}

const SAYS: &str = "\
It can be told without a key: no character was misread that the check characters find, which are every one and every two
wrong ones and every two swapped; of other slips one in 1024 passes.
It cannot be told without the key of its epoch: whether the number was ever given out, for which PSD and piece, and what was paid.
";

pub(super) fn run(global: &Global, command: &Check) -> Result<Exit, CtlError> {
    match read(&command.text.join(" ")) {
        Ok(read) if global.json => print_json(&report(&read))?,
        Ok(read) => print(&drawn(&read))?,
        Err(error) => {
            let group = error.group().map(|group| group + 1);
            match global.json {
                true => print_json(&Wrong { problem: error.to_string(), group })?,
                false => print(&format!("{error}\n"))?,
            }
            return Ok(Exit::Negative);
        }
    }
    Ok(Exit::Done)
}

/// A line has a day as its third word. Anything else is a number, in whatever groups it was written.
fn read(text: &str) -> Result<Read, CheckError> {
    let day = text.split_ascii_whitespace().nth(2).and_then(|word| word.parse::<MailingDate>().ok());
    let characters = text.chars().filter(|c| !c.is_ascii_whitespace() && *c != '-').count();
    if day.is_none() && (characters <= NUMBER_CHARACTERS || text.split_ascii_whitespace().count() <= 3) {
        return Ok(Read::Number(text.trim().parse()?));
    }
    Ok(Read::Line(text.parse()?))
}

/// The number in a text, alone or in a printed line; why there is none, in words.
pub(super) fn number_of(text: &str) -> Result<CertificationNumber, String> {
    read(text).map(|read| read.number()).map_err(|error| error.to_string())
}

impl CheckError {
    /// The group of the number that looks wrong, from 0.
    fn group(&self) -> Option<usize> {
        match self {
            CheckError::Number(error) | CheckError::Line(LineError::Number(error)) => error.group(),
            CheckError::Line(_) => None,
        }
    }
}

impl Read {
    fn number(&self) -> CertificationNumber {
        match self {
            Read::Number(number) => *number,
            Read::Line(line) => line.number(),
        }
    }

    fn line(&self) -> Option<LineReport> {
        let Read::Line(line) = self else { return None };
        Some(LineReport {
            licence: line.licence().to_string(),
            class: line.class().to_string(),
            date: line.date().to_string(),
            due: line.due().to_string(),
        })
    }
}

fn report(read: &Read) -> Report {
    let number = read.number();
    Report { number: number.to_string(), epoch_modulo_32: number.epoch_modulo(), line: read.line() }
}

fn drawn(read: &Read) -> String {
    let number = read.number();
    let line = read.line().map_or_else(String::new, |line| {
        format!(
            "licence  {}\nclass    {}\ndate     {}\ndue      {}, as the line says; nothing of it is proven\n",
            line.licence, line.class, line.date, line.due
        )
    });
    format!("number   {number}\nepoch    {} modulo 32\n{line}check    holds\n\n{SAYS}", number.epoch_modulo())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "7KQ4-M2XD-P0N2";

    #[test]
    fn a_number_is_read_in_any_writing_and_a_line_as_a_whole() {
        let number = Read::Number(NUMBER.parse().unwrap());
        for text in [NUMBER, "7kq4 m2xd pon2", "7KQ4M2XDP0N2"] {
            assert_eq!(read(text).unwrap(), number, "{text}");
        }
        let line = format!("L-1000 FCL 2026-11-20 0.29 {NUMBER}");
        assert_eq!(read(&line).unwrap(), Read::Line(line.parse().unwrap()));
        assert_eq!(read(&line.replace(NUMBER, "7KQ4 M2XD P0N2")).unwrap().number(), number.number());
        let drawn = drawn(&read(&line).unwrap());
        assert!(drawn.contains("epoch    7 modulo 32") && drawn.contains("due      0.29, as the line says"), "{drawn}");
    }

    #[test]
    fn what_looks_wrong_is_told_by_its_group() {
        let wrong = |text: &str| {
            let error = read(text).unwrap_err();
            (error.group(), error.to_string())
        };
        let (group, told) = wrong("7KQ4-M3XD-P0N2");
        assert!(group == Some(1) && told.contains("no. 2 of the second group"), "{told}");
        let (group, told) = wrong("L-1000 FCL 2026-11-20 0.29 7KQ4-M2XD-P0N3");
        assert!(group == Some(2) && told.contains("no. 4 of the third group"), "{told}");
        let (group, told) = wrong("7KQ4-M2XD-P02N");
        assert!(group.is_none() && told.contains("two are swapped"), "{told}");
        assert_eq!(wrong("7KQU-M2XD-P0N2").0, Some(0));
        assert_eq!(wrong("7KQ4-M2XD").0, None);
    }
}

//! The line next to a mark says one thing in one text, and is read back.

use proptest::prelude::*;
use psdd_certification::{CertificationNumber, LineError, PrintedLine};

const NUMBER: &str = "8TVV-N2Y8-P0VY";

fn line(licence: &str, class: &str, due: &str) -> Result<PrintedLine, LineError> {
    PrintedLine::new(
        licence.parse().expect("a licence"),
        class.parse().expect("a class"),
        "2026-11-20".parse().expect("a day"),
        due.parse().expect("an amount"),
        NUMBER.parse().expect("a number"),
    )
}

#[test]
fn a_line_is_read_back_as_it_was_printed_and_as_people_type_it() {
    let printed = line("L-1000", "FCL", "0.29").expect("a line");
    assert_eq!(printed.to_string(), format!("L-1000 FCL 2026-11-20 0.29 {NUMBER}"));
    for text in [
        printed.to_string(),
        format!("  L-1000\tFCL  2026-11-20 0.290 {}\n", NUMBER.to_lowercase()),
        format!("L-1000 FCL 2026-11-20 0.29 {}", NUMBER.replace('-', " ").replace('0', "o")),
    ] {
        assert_eq!(text.parse(), Ok(printed.clone()), "{text}");
    }
}

#[test]
fn what_is_no_line_is_refused_by_its_field() {
    let read = |text: &str| text.parse::<PrintedLine>().expect_err("no line");
    assert_eq!(read(""), LineError::Fields(0));
    assert_eq!(read("L-1000 FCL 2026-11-20 0.29"), LineError::Fields(4));
    let of = |text: &str| read(&text.replace('#', NUMBER));
    assert!(matches!(of("-1000 FCL 2026-11-20 0.29 #"), LineError::Licence(_)));
    assert!(matches!(of("L-1000 _fcl 2026-11-20 0.29 #"), LineError::Class(_)));
    assert!(matches!(of("L-1000 FCL 2026-11-31 0.29 #"), LineError::Date(_)));
    assert!(matches!(of("L-1000 FCL 2026-11-20 -0.29 #"), LineError::Due(_)));
    assert!(matches!(of("L-1000 FCL 2026-11-20 0.29 # #"), LineError::Number(_)));
    assert!(matches!(of("L-1000 FCL 2026-11-20 0.29 1#"), LineError::Number(_)));
}

#[test]
fn a_line_has_room_for_64_characters() {
    let whole = line(&"L".repeat(28), "FCL1", "0.29").expect("a line");
    assert_eq!(whole.to_string().len(), 64);
    assert_eq!(line(&"L".repeat(29), "FCL1", "0.29"), Err(LineError::TooLong(65)));
    let text = whole.to_string().replacen('L', "LL", 1);
    assert_eq!(text.parse::<PrintedLine>(), Err(LineError::TooLong(65)));
}

proptest! {
    #[test]
    fn every_line_that_fits_is_plain_and_read_back(
        licence in "[A-Za-z0-9][A-Za-z0-9._-]{0,39}", class in "[A-Za-z0-9][a-z0-9-]{0,11}", day in 0u32..365, mills in 0u64..1 << 40,
    ) {
        let number: CertificationNumber = NUMBER.parse().expect("a number");
        let date = psd::MailingDate::of(psd::UnixMillis(1_795_176_000_000 + u64::from(day) * 86_400_000)).expect("a day");
        let due = psd::PostageAmount::from_mills(mills).expect("an amount");
        let made = PrintedLine::new(licence.parse().expect("a licence"), class.parse().expect("a class"), date, due, number);
        let length = licence.len() + class.len() + due.to_string().len() + 28;
        match made {
            Err(error) => prop_assert_eq!((error, length > 64), (LineError::TooLong(length), true)),
            Ok(line) => {
                let text = line.to_string();
                prop_assert!(text.len() <= 64 && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
                prop_assert_eq!(text.len(), length);
                prop_assert_eq!(text.parse(), Ok(line));
            }
        }
    }
}

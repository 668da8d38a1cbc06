//! `psdctl rate` and `psdctl authority publish-rates` as people run them.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn shipped(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policy/rates").join(name).to_str().unwrap().to_owned()
}

fn psdctl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_psdctl")).args(arguments).output().unwrap()
}

fn done(arguments: &[&str]) -> String {
    let output = psdctl(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&done(&[&["--json"], arguments].concat())).unwrap()
}

/// Exit code and stderr of a command that does not succeed.
fn refused(arguments: &[&str]) -> (i32, String) {
    let output = psdctl(arguments);
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A file in a directory of its own.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn with(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.text(name)
    }

    /// A shipped table with one thing changed.
    fn changed(&self, name: &str, from: &str, to: &str) -> String {
        let text = std::fs::read_to_string(shipped(name)).unwrap();
        assert!(text.contains(from), "{from}");
        self.with(name, &text.replacen(from, to, 1))
    }
}

#[test]
fn a_quote_shows_its_lines_and_the_total() {
    let us = shipped("us-2025.toml");
    let letter = ["rate", "quote", &us, "--class", "letter", "--weight", "2 oz", "--with", "certified"];
    let letter = [&letter[..], &["--date", "2026-01-02"]].concat();
    let text = done(&letter);
    for part in ["First-Class letter, stamped", "up to 2 oz", "0.29", "Certified mail", "5.30", "total", "6.37"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.ends_with("$6.37: letter, by us-domestic 1\n"), "{text}");
    let told = json(&letter);
    assert_eq!((told["quote"]["total"].as_str(), told["signature"].as_str()), (Some("6.37"), Some("none")));
    assert_eq!(told["quote"]["lines"].as_array().unwrap().len(), 3);
    assert_eq!(told["run"], Value::Null);
    let parcel = [
        "rate",
        "quote",
        &us,
        "--class",
        "ground",
        "--weight",
        "3 lb",
        "--size",
        "12 x 9 x 6 in",
        "--origin",
        "10001",
        "--destination",
        "90001",
        "--date",
        "2026-01-02",
    ];
    let text = done(&parcel);
    assert!(text.contains("zone 8") && text.ends_with("$19.30: ground, zone 8, by us-domestic 1\n"), "{text}");
    let flat = ["rate", "quote", &us, "--class", "flat", "--weight", "1 oz", "--date", "2026-01-02"];
    let flat = [&flat[..], &["--discount", "5-digit", "--discount", "5-digit-bundle"]].concat();
    assert!(done(&flat).ends_with("$0.997: flat, 5-digit + 5-digit-bundle, by us-domestic 1\n"));
}

#[test]
fn a_manifest_tells_which_tariff_holds() {
    let (us, files) = (shipped("us-2025.toml"), Files::new());
    let run = files.with("run.csv", "zip,pieces\n10001,150\n10002,149\n60601,300\n90001,1\ntotal,600\n");
    let base = ["rate", "quote", &us, "--class", "letter-metered", "--weight", "20 g", "--date", "2026-01-02"];
    let claimed = ["--manifest", &run, "--discount", "5-digit", "--discount", "mixed-aadc"];
    let told = json(&[&base[..], &claimed].concat());
    // 450 x 0.545 = 245.25 and 150 x 0.593 = 88.95.
    assert_eq!(told["run"]["total"], "334.20");
    assert_eq!(told["quote"], Value::Null);
    let lines = told["run"]["lines"].as_array().unwrap();
    let lines: Vec<String> =
        lines.iter().map(|line| format!("{} {} {}", line["tariff"], line["zips"], line["pieces"])).collect();
    assert_eq!(lines, [r#""letter-metered, mixed-aadc" 2 150"#, r#""letter-metered, 5-digit" 2 450"#]);
    let to = |zip: &'static str| [&base[..], &claimed, &["--destination", zip]].concat();
    assert_eq!(json(&to("10001"))["quote"]["total"], "0.545");
    assert_eq!(json(&to("10002"))["quote"]["total"], "0.593");
    assert_eq!(refused(&to("10003")), (1, "psdctl: the manifest has no piece for 10003\n".to_owned()));
    let text = done(&to("10002"));
    assert!(text.contains("the run: 600 pieces, $334.20 where all of them weigh and measure the same"), "{text}");
    // Nothing is claimed: the second tariff holds for all.
    assert_eq!(json(&[&base[..], &["--manifest", &run]].concat())["run"]["total"], "444.00");
}

#[test]
fn manifests_that_do_not_add_up() {
    let (us, files) = (shipped("us-2025.toml"), Files::new());
    let said = |text: &str| {
        let run = files.with("run.csv", text);
        let base = ["rate", "quote", &us, "--class", "letter-metered", "--weight", "20 g", "--date", "2026-01-02"];
        let (code, said) = refused(&[&base[..], &["--manifest", &run]].concat());
        (code, said.replace(&run, "run.csv"))
    };
    let short = said("zip,pieces\n10001,150\n10002,149\ntotal,300\n");
    let counts = "psdctl: run.csv: the counts do not add up: 299 pieces for the ZIPs together, 300 in total\n";
    assert_eq!(short, (1, counts.to_owned()));
    let (code, told) = said("zip,pieces\n10001,150\n");
    assert!(code == 2 && told.contains("does not end with a row total,PIECES"), "{told}");
    let (code, told) = said("zip,pieces\n501,1\n10001,-2\n10002,0\n10003,4\n10003,4\ntotal,8\n");
    assert_eq!(code, 2);
    for fault in [
        "run.csv:2:1: zip \"501\" is not a ZIP such as 00501: five digits; mind zeros that a spreadsheet drops",
        "run.csv:3:2: pieces \"-2\" is no whole number from 1",
        "run.csv:4:2: pieces \"0\" is no whole number from 1",
        "run.csv:6:1: zip 10003 stands there twice",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    let (code, told) = said("zip,pieces\ntotal,8\n10003,8\n");
    assert!(code == 2 && told.contains("run.csv:2:1: the total is the last row"), "{told}");
    let (code, told) = said("zip,pieces\n21301,8\ntotal,8\n");
    assert!(code == 1 && told.contains("the ZIP 21301 is in no area of table us-domestic 1"), "{told}");
}

#[test]
fn what_has_no_price_is_refused_with_the_reason() {
    let us = shipped("us-2025.toml");
    let said = |class: &str, weight: &str, more: &[&str]| {
        refused(&[&["rate", "quote", &us, "--class", class, "--weight", weight], more].concat())
    };
    let on = ["--date", "2026-01-02"];
    let told = |text: &str| format!("psdctl: {text}\n");
    assert_eq!(said("letter", "3.6 oz", &on), (1, told("102.058 g is beyond class letter, which ends at 3.5 oz")));
    let (code, text) = said("letter", "-1 oz", &on);
    assert!(code == 2 && text.contains("the weight \"-1 oz\" is negative"), "{text}");
    let (code, text) = said("ballot", "1 oz", &on);
    assert!(
        code == 2 && text.contains("table us-domestic 1 has no class \"ballot\"; it has postcard, letter,"),
        "{text}"
    );
    let (code, text) = said("letter", "1 oz", &["--destination", "2050"]);
    assert!(code == 2 && text.contains("\"2050\" is not a ZIP such as 00501: five digits"), "{text}");
    assert_eq!(
        said("letter", "1 oz", &["--date", "2025-07-12"]),
        (
            1,
            told(
                "rate table us-domestic 1 is not yet in force on 2025-07-12; it begins on 2025-07-13; --date prices it as of another day"
            )
        )
    );
}

#[test]
fn a_check_tells_all_that_is_wrong_or_what_is_there() {
    let text = done(&["rate", "check", &shipped("us-2025.toml")]);
    for part in [
        "us-domestic 1",
        "from 2025-07-13 on",
        "to the mill, half-up, per piece",
        "11 classes",
        "letter-metered",
        "FCM",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.ends_with("the table is in order\n"), "{text}");
    let told = json(&["rate", "check", &shipped("postland.toml")]);
    assert_eq!((told["until"].as_str(), told["currency"].as_str()), (Some("2026-12-31"), Some("XTS")));
    assert_eq!(told["classes"].as_array().unwrap().len(), 2);
    let files = Files::new();
    let table = files.changed("postland.toml", "version = 1\n", "version = 0\n");
    let text = std::fs::read_to_string(&table).unwrap();
    let table = files.with("postland.toml", &text.replacen("pieces = 50\n", "", 1));
    let (code, said) = refused(&["rate", "check", &table]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((code, lines.len()), (1, 2), "{said}");
    assert_eq!(lines[0], format!("psdctl: {table}: line 3: version: version 0: the first version is 1"));
    assert!(lines[1].contains("class letter, discount town: a discount without pieces"), "{said}");
    let (code, said) = refused(&["rate", "check", &files.text("none.toml")]);
    assert!(code == 2 && said.starts_with("psdctl: cannot read"), "{said}");
}

#[test]
fn a_diff_shows_what_changed() {
    let files = Files::new();
    let new = files.changed("us-2025.toml", "price = \"0.78\"", "price = \"0.82\"");
    let text = done(&["rate", "diff", &shipped("us-2025.toml"), &new]);
    for part in ["letter", "up to 1 oz", "0.78", "0.82", "+0.04", "+5.1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        text.ends_with("us-domestic 1 to us-domestic 1: 1 prices changed, 0 new, 0 gone; 0 rules changed\n"),
        "{text}"
    );
    let told = json(&["rate", "diff", &shipped("us-2025.toml"), &shipped("postland.toml")]);
    let prices = told["prices"].as_array().unwrap();
    let gone = prices.iter().find(|price| price["price"] == "postcard").unwrap();
    assert_eq!((gone["old"].as_str(), &gone["new"]), (Some("0.61"), &Value::Null));
}

#[test]
fn the_authority_signs_a_table_and_anybody_can_check_it() {
    let files = Files::new();
    let (authority, signed) = (files.text("authority"), files.text("us-2025.rates"));
    done(&["authority", "init", &authority, "--name", "Test Post", "--listen", "127.0.0.1:0"]);
    let us = shipped("us-2025.toml");
    let text = done(&["authority", "publish-rates", &authority, &us, "--out", &signed]);
    assert!(text.starts_with("rate table us-domestic 1, in force from 2025-07-13, signed in "), "{text}");
    let root = format!("{authority}/authority-root.pem");
    let told = json(&["rate", "check", &signed, "--authority-root", &root]);
    assert_eq!(told["signature"], "verified");
    assert_eq!(told["digest"], json(&["rate", "check", &us])["digest"]);
    assert_eq!(json(&["rate", "check", &signed])["signature"], "not verified");
    let quote = ["rate", "quote", &signed, "--class", "letter", "--weight", "1 oz", "--date", "2026-01-02"];
    assert_eq!(json(&[&quote[..], &["--authority-root", &root]].concat())["quote"]["total"], "0.78");

    let (code, said) = refused(&["rate", "check", &us, "--authority-root", &root]);
    assert!(code == 1 && said.contains("us-2025.toml is not signed"), "{said}");
    let other = files.text("other");
    done(&["authority", "init", &other, "--name", "Other Post", "--listen", "127.0.0.1:0"]);
    let (code, said) = refused(&["rate", "check", &signed, "--authority-root", &format!("{other}/authority-root.pem")]);
    assert!(code == 1 && said.contains("the key that signed the table may not publish one"), "{said}");
    let mut bytes = std::fs::read(&signed).unwrap();
    let at = bytes.windows(4).position(|found| found == b"0.78").unwrap();
    bytes[at] = b'1';
    std::fs::write(&signed, bytes).unwrap();
    let (code, said) = refused(&["rate", "check", &signed, "--authority-root", &root]);
    assert!(code == 1 && said.contains("the signature does not verify"), "{said}");

    let wrong = files.changed("us-2025.toml", "version = 1\n", "version = 0\n");
    let none = files.text("none.rates");
    let (code, said) = refused(&["authority", "publish-rates", &authority, &wrong, "--out", &none]);
    assert!(code == 1 && said.contains("not in order, and was not signed"), "{said}");
    assert!(!Path::new(&none).exists());
}

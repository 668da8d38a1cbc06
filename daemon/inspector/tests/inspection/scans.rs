//! Scanned symbols.

use crate::world::{DAY, World, psd_id};
use psd::custody::KeyStep;
use psd::key::Role;
use psd::record::Event;
use psdd_inspector::scan::{ScanCode, ScanVerdict, Scans};
use psdd_inspector::{Directory, Fold, Mirror};
use std::fmt::Write;
use std::io::BufReader;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn judged(world: &World, inputs: &[&str]) -> Vec<ScanVerdict> {
    let dir = tempfile::tempdir().unwrap();
    let (mut mirror, fold) = world.inspected(dir.path());
    let mut scans = Scans::begin(dir.path()).unwrap();
    let mut verdicts = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let name = format!("file{number}");
        let mut tell = |verdict: &ScanVerdict| verdicts.push(verdict.clone());
        let summary = scans.judge(&fold, &mut mirror, &name, input.as_bytes(), &mut tell).unwrap();
        assert_eq!(summary.verdicts.values().sum::<u64>(), summary.scans);
    }
    let runs = scratch(dir.path()).first().map_or(0, |runs| std::fs::read_dir(runs).unwrap().count());
    assert!(runs <= 2, "{runs} runs: what was merged is removed");
    drop(scans);
    assert!(scratch(dir.path()).is_empty(), "the sample is over");
    verdicts
}

/// Directories of samples that are under way.
fn scratch(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("scans-")).collect()
}

#[test]
fn every_verdict_has_its_symbol() {
    let mut world = World::born(2);
    let valid = world.sign(0);
    let kept = world.sign(1);
    // A mark of PSD 1 before its key was compromised, one after, and a new key.
    world.now += DAY;
    let late = world.sign(1);
    world.make_key(1, Role::Indicium, 2);
    world.key_step(1, 2, KeyStep::Activated, world.now);
    world.key_step(1, 1, KeyStep::Revoked, world.now - DAY / 2);
    // Signed by the certified key and never recorded; and what a clone of the PSD signs at a register that another mark has.
    let symbol_of = |record: psd::record::Record| match record.event {
        Event::Indicium(piece) => piece.indicium,
        _ => unreachable!(),
    };
    let mut clone = world.appliance.psds[&psd_id(0)].clone();
    let withheld = world.piece(0);
    std::mem::swap(world.appliance.psds.get_mut(&psd_id(0)).unwrap(), &mut clone);
    world.now += DAY;
    let recorded = world.sign(0);
    world.sign(0);
    let beyond = symbol_of(world.piece(0));
    let mut forged = world.symbol(valid);
    forged[60] ^= 1;
    let mut unknown = world.symbol(valid);
    unknown[10] ^= 0x80;
    let mut certificate = world.symbol(valid);
    certificate[2] ^= 0x80;
    let mut tail = world.symbol(valid);
    tail.push(0);
    let rows = [
        ("hex", hex(&world.symbol(valid)), ScanCode::Valid),
        ("recorded", hex(&world.symbol(recorded)), ScanCode::Valid),
        ("no symbol", "zz not one".to_owned(), ScanCode::Malformed),
        ("short", "0104ff".to_owned(), ScanCode::Malformed),
        ("bytes behind it", hex(&tail), ScanCode::Malformed),
        ("no such device", hex(&unknown), ScanCode::UnknownPsd),
        ("no such certificate", hex(&certificate), ScanCode::UnknownCertificate),
        ("forged", hex(&forged), ScanCode::BadSignature),
        ("another at its register", hex(&symbol_of(withheld)), ScanCode::NotInLog),
        ("newer than the mirror", hex(&beyond), ScanCode::BeyondLog),
        ("before the revocation", hex(&world.symbol(kept)), ScanCode::ValidWhenSigned),
        ("after the revocation", hex(&world.symbol(late)), ScanCode::Revoked),
        ("twice", hex(&world.symbol(valid)), ScanCode::Duplicate),
    ];
    let input = rows.iter().map(|(_, line, _)| format!("{line}\n")).collect::<String>();
    let verdicts = judged(&world, &[&input]);
    assert_eq!(verdicts.len(), rows.len());
    for ((name, _, wanted), verdict) in rows.iter().zip(&verdicts) {
        assert_eq!(verdict.code, *wanted, "{name}: {}", verdict.says);
        assert_eq!(verdict.good, wanted.is_good());
    }
    assert_eq!(verdicts[0].leaf, Some(valid));
    assert_eq!(verdicts[12].duplicate_of.as_deref(), Some("file0:1"));
}

#[test]
fn a_piece_that_was_left_out_of_the_log_is_found_by_its_mark() {
    let mut world = World::born(1);
    world.sign(0);
    let withheld = world.piece(0);
    world.sign(0);
    let Event::Indicium(piece) = withheld.event else { unreachable!() };
    let verdicts = judged(&world, &[&hex(&piece.indicium)]);
    assert_eq!(verdicts[0].code, ScanCode::NotInLog);
}

#[test]
fn a_copy_with_another_form_of_the_signature_is_a_copy() {
    let mut world = World::born(1);
    let mark = world.sign(0);
    let symbol = world.symbol(mark);
    // ECDSA: with (r, s) verifies (r, n − s) as well.
    let n = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut copy = symbol.clone();
    let mut borrow = 0i32;
    for at in (0..32).rev() {
        let difference = i32::from(u8::try_from(n[at]).unwrap()) - i32::from(symbol[49 + 32 + at]) - borrow;
        borrow = i32::from(difference < 0);
        copy[49 + 32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    assert_ne!(copy, symbol);
    let verdicts = judged(&world, &[&hex(&symbol), "", &format!("\n{}\n", hex(&copy))]);
    assert_eq!(verdicts[1].code, ScanCode::Duplicate, "{}", verdicts[1].says);
    assert_eq!((verdicts[1].from.as_str(), verdicts[1].line), ("file2", 2));
    assert_eq!(verdicts[1].duplicate_of.as_deref(), Some("file0:1"));
}

#[test]
fn duplicates_are_found_across_batches_and_inputs_by_their_line() {
    let mut world = World::born(1);
    let marks: Vec<u64> = (0..300).map(|_| world.sign(0)).collect();
    let lines = |marks: &[u64]| {
        let mut lines = String::new();
        marks.iter().for_each(|mark| writeln!(lines, "{}", hex(&world.symbol(*mark))).unwrap());
        lines
    };
    let noise = "00\n".repeat(70_000);
    let second = format!("{}\n{}\n", hex(&world.symbol(marks[299])), hex(&world.symbol(marks[4])));
    let verdicts =
        judged(&world, &[&lines(&marks[..200]), &lines(&marks[200..250]), &lines(&marks[250..]), &noise, &second]);
    let copies: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.duplicate_of.as_deref()).collect();
    assert_eq!(copies, ["file2:50", "file0:5"]);
}

/// Ten million scans: `cargo nextest run --workspace --run-ignored only -E 'test(sampling_ten_million)'`; `PSDD_SCANS` for another number.
///
/// The log has a quarter as many pieces as there are scans, so that every piece is scanned four times, in another order after the first. Every
/// signature is a real one, verified in the fold once and in the sample at each scan. What is measured runs in a process of its own, so that
/// the memory in which the log was made does not count.
#[test]
#[ignore = "takes minutes and gigabytes of disk"]
fn sampling_ten_million() {
    let scans: u64 = std::env::var("PSDD_SCANS").map_or(10_000_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    make_sample(dir.path(), scans);
    let exe = std::env::current_exe().unwrap();
    let mut judge = std::process::Command::new(exe);
    judge.args(["--exact", "scans::judging_what_was_made", "--ignored", "--nocapture"]);
    let status = judge.env("PSDD_SAMPLE", dir.path()).env("PSDD_SCANS", scans.to_string()).status().unwrap();
    assert!(status.success());
}

fn make_sample(dir: &std::path::Path, scans: u64) {
    use std::io::Write;
    let mut world = World::born(10);
    let pieces = scans / 4;
    let leaves: Vec<u64> = (0..pieces).map(|n| world.sign(usize::try_from(n % 10).unwrap())).collect();
    let mut out = std::io::BufWriter::new(std::fs::File::create(dir.join("scans")).unwrap());
    for n in 0..scans {
        // After the first time in an order that is none: a prime that does not divide their number takes each once.
        let at = if n < pieces { n } else { n * 7_919 % pieces };
        writeln!(out, "{}", hex(&world.symbol(leaves[usize::try_from(at).unwrap()]))).unwrap();
    }
    for (path, bytes) in world.log().files {
        let path = dir.join("log").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let mut source = Directory(dir.join("log"));
    Mirror::create(&dir.join("mirror"), &world.trust(), &mut source).unwrap();
}

/// Judges what [`sampling_ten_million`] made, and says what it took.
#[test]
#[ignore = "a part of sampling_ten_million"]
fn judging_what_was_made() {
    let Some(dir) = std::env::var_os("PSDD_SAMPLE").map(std::path::PathBuf::from) else { return };
    let scans: u64 = std::env::var("PSDD_SCANS").unwrap().parse().unwrap();
    let took = |what: &str, begun: std::time::Instant, cpu: u64| {
        let (elapsed, cpu) = (begun.elapsed(), cpu_seconds() - cpu);
        println!("{what}: {elapsed:?}, {cpu} s of processor, peak of memory so far {} MiB", peak_kib() / 1024);
    };
    let now = || (std::time::Instant::now(), cpu_seconds());
    let (begun, cpu) = now();
    let mut mirror = Mirror::open(&dir.join("mirror")).unwrap();
    let update = mirror.update(&mut Directory(dir.join("log"))).unwrap();
    took(&format!("mirrored {} records, {} bytes", update.to - update.from, update.bytes), begun, cpu);
    let (begun, cpu) = now();
    let mut fold = Fold::open(&mut mirror).unwrap();
    let folded = fold.advance(&mut mirror).unwrap();
    took(&format!("folded {folded} records"), begun, cpu);
    let (begun, cpu) = now();
    let mut sample = Scans::begin(&dir).unwrap();
    let input = BufReader::new(std::fs::File::open(dir.join("scans")).unwrap());
    let summary = sample.judge(&fold, &mut mirror, "scans", input, &mut |_| {}).unwrap();
    took(&format!("judged {scans} scans"), begun, cpu);
    println!("{summary:?}");
    assert_eq!(summary.scans, scans);
    assert_eq!(summary.verdicts[&ScanCode::Duplicate], scans - scans / 4);
    assert_eq!(summary.verdicts[&ScanCode::Valid], scans / 4);
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Processor time of all threads so far (proc(5), stat: hundredths of a second).
fn cpu_seconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>() / 100
}

//! `psdctl ceremony print`: one self-contained page for A4 paper and signatures by hand.

use super::file;
use crate::cli::Global;
use crate::error::Exit;
use crate::operator::{OperatorConfig, OperatorError};
use crate::output::{print, write_durably};
use aws_lc_rs::digest;
use clap::Args;
use psdd_wire::ceremony::{Approval, Ceremony, Operator, P256PublicKey};
use psdd_wire::operator::{OperatorAppliance, OperatorView};
use std::path::{Path, PathBuf};

/// Arguments of `psdctl ceremony print`.
#[derive(Args, Debug)]
pub struct Print {
    /// Number of a ceremony that was begun, or a file that was not
    #[arg(value_name = "NUMBER|FILE")]
    ceremony: String,
    /// Where the page goes
    #[arg(long, value_name = "HTML")]
    out: PathBuf,
}

/// What stands on the page.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) state: String,
    pub(super) effects: Vec<String>,
    pub(super) digest: [u8; 32],
    pub(super) steps: Vec<String>,
    /// SHA-256 of the transcript.
    pub(super) transcript: Option<Vec<u8>>,
    pub(super) signatures: Vec<Signature>,
}

/// A line for a signature by hand.
pub(super) struct Signature {
    pub(super) name: String,
    pub(super) fingerprint: Option<String>,
    /// Whether an approval of this very file verified.
    pub(super) approved: bool,
}

pub(super) async fn run(global: &Global, command: &Print) -> Result<Exit, OperatorError> {
    let page = match command.ceremony.parse::<u64>() {
        Ok(number) => of_number(global, number).await?,
        Err(_) => of_file(&file::ceremony(Path::new(&command.ceremony))?),
    };
    write(&page, &command.out)
}

async fn of_number(global: &Global, number: u64) -> Result<Page, OperatorError> {
    let client = OperatorConfig::read(global.config.as_deref())?.client()?;
    let told = client.ceremony(number).await?;
    let appliance = client.appliance().await?;
    let path = || PathBuf::from(format!("ceremony no. {number}"));
    let read = Ceremony::read(&told.file);
    let ceremony = read.map_err(|source| OperatorError::Ceremony { path: path(), source })?;
    let operators = operators(&appliance);
    let approved: Vec<Approval> =
        told.approvals.iter().filter_map(|bytes| Approval::verify(bytes, &operators).ok()).collect();
    let by =
        |operator: &Operator| approved.iter().any(|a| a.operator == operator.name && a.digest == ceremony.digest());
    let signatures = operators.iter().map(|operator| Signature {
        name: operator.name.to_string(),
        fingerprint: Some(operator.key.fingerprint()),
        approved: by(operator),
    });
    Ok(Page {
        state: format!("{}, {} of {} steps", told.state.as_str(), told.steps_done, told.steps_total),
        steps: told.lines.clone(),
        transcript: told.transcript.as_ref().map(|bytes| digest::digest(&digest::SHA256, bytes).as_ref().to_vec()),
        signatures: signatures.collect(),
        ..of_file(&ceremony)
    })
}

/// The list as the appliance has it. An operator's key that is none has approved nothing.
fn operators(appliance: &OperatorAppliance) -> Vec<Operator> {
    let of = |view: &OperatorView| {
        let key = P256PublicKey::from_spki(&view.spki).ok()?;
        // Who was revoked since may well have approved before.
        Some(Operator { name: view.name.parse().ok()?, key, revoked: false })
    };
    appliance.operators.iter().filter_map(of).collect()
}

fn of_file(ceremony: &Ceremony) -> Page {
    let head = ceremony.head();
    let blank = || Signature { name: String::new(), fingerprint: None, approved: false };
    Page {
        title: format!("Ceremony no. {} of appliance {}", head.number, head.appliance),
        state: "not yet carried out".to_owned(),
        effects: ceremony.effects(),
        digest: ceremony.digest(),
        steps: Vec::new(),
        transcript: None,
        signatures: vec![blank(), blank(), blank()],
    }
}

pub(super) fn write(page: &Page, out: &Path) -> Result<Exit, OperatorError> {
    write_durably(out, html(page).as_bytes())?;
    print(&format!("{}\n", out.display()))?;
    Ok(Exit::Done)
}

const STYLE: &str = "@page{size:A4;margin:18mm 16mm}*{box-sizing:border-box}\
    body{font:11pt/1.45 'DejaVu Serif',Georgia,serif;color:#111;max-width:178mm;margin:8mm auto}\
    h1{font-size:17pt;margin:0 0 1mm}h2{font-size:12pt;margin:7mm 0 2mm;border-bottom:.4mm solid #111}\
    .state{color:#444;margin:0}code{font:9.5pt/1.5 'DejaVu Sans Mono',monospace;overflow-wrap:anywhere}\
    ol{margin:0;padding-left:8mm}li{margin:0 0 1mm;overflow-wrap:anywhere}\
    .who{break-inside:avoid;display:grid;grid-template-columns:1fr 1fr;gap:1mm 8mm;margin:0 0 6mm}\
    .who p{margin:0;grid-column:1/3}.who code{font-size:8pt}.line{border-bottom:.3mm solid #111;height:13mm}\
    .under{font-size:8pt;color:#444}";

fn html(page: &Page) -> String {
    let list = |lines: &[String]| lines.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect::<String>();
    let steps = if page.steps.is_empty() {
        String::new()
    } else {
        format!("<h2>What was done</h2>\n<ol>\n{}</ol>\n", list(&page.steps))
    };
    let transcript = page.transcript.as_ref().map_or_else(String::new, |digest| {
        format!("<h2>SHA-256 of the signed transcript</h2>\n<p><code>{}</code></p>\n", file::groups(digest))
    });
    let people: String = page.signatures.iter().map(person).collect();
    let title = escaped(&page.title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style></head>\n\
         <body>\n<h1>{title}</h1>\n<p class=\"state\">{}</p>\n<h2>What it does</h2>\n<ol>\n{}</ol>\n\
         <h2>SHA-256 of the file</h2>\n<p><code>{}</code></p>\n{steps}{transcript}<h2>Signatures</h2>\n{people}</body></html>\n",
        escaped(&page.state),
        list(&page.effects),
        file::groups(&page.digest),
    )
}

fn person(signature: &Signature) -> String {
    let Signature { name, fingerprint, approved } = signature;
    let word = if *approved { ", approved by digital signature" } else { "" };
    let key = fingerprint.as_ref().map_or_else(String::new, |print| format!("<br>key SHA-256 <code>{print}</code>"));
    format!(
        "<div class=\"who\"><p><b>{}</b>{word}{key}</p><div class=\"line\"></div><div class=\"line\"></div>\
         <div class=\"under\">place, date and time</div><div class=\"under\">name and signature by hand</div></div>\n",
        escaped(name)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

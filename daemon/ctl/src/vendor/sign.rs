//! `psdctl vendor sign`.

use super::journal::{Journal, Made};
use super::list::{AnyList, List, ListError, Row};
use super::mailing::MailingRow;
use super::report::{self, Piece, Summary};
use super::voucher_list::VoucherRow;
use crate::cli::Global;
use crate::config::CtlConfig;
use crate::error::{CtlError, Exit};
use crate::output::{priced, print, print_json, write_durably};
use crate::progress::bar;
use clap::{Args, value_parser};
use psd::{Currency, LicenceNumber, MailingDate, PieceKey, PostageAmount, PsdId, Registers, UnixMillis};
use psdd_client::verify::AuthorityRoot;
use psdd_client::verify::offline::Bundle;
use psdd_client::{
    CertificatesResponse, Client, ClientError, Item, Outcome, PsdView, RegisterView, Select, Signer, VoucherItem,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Arguments of `psdctl vendor sign`.
#[derive(Args, Debug)]
pub struct Sign {
    /// The list. Of mail: address,zip4,weight_g,class,postage and optionally reference. Of vouchers:
    /// kind,value,valid_from,valid_until and optionally holder,reference
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    /// The PSD that shall sign; else the one in psdctl.toml
    #[arg(long, value_name = "ID", conflicts_with = "licence")]
    psd: Option<String>,
    /// The licence whose PSDs shall sign
    #[arg(long, value_name = "NUMBER")]
    licence: Option<LicenceNumber>,
    /// How a PSD of the licence is chosen: round-robin, most-funds or zip
    #[arg(long, value_name = "HOW", requires = "licence", default_value = "round-robin", value_parser = selection)]
    select: Select,
    /// Day of mailing, YYYY-MM-DD; else the day of the run that is repeated, or today by the appliance's clock (UTC).
    /// Of mail only: vouchers name their own days
    #[arg(long, value_name = "DATE")]
    date: Option<MailingDate>,
    /// With digital tokens; of mail only, by PSDs that have the keys for it
    #[arg(long)]
    tokens: bool,
    /// Pieces in one request
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Requests under way at once
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u16).range(1..=64))]
    in_flight: u16,
    /// Results, one JSON line a piece; the keys are kept beside it in FILE.keys.jsonl
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A page of envelopes with their marks; of mail only
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The sender on the page, lines separated by a comma and a blank
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    sender: String,
    /// How many envelopes on the page
    #[arg(long, default_value_t = 24, value_name = "N")]
    marks: usize,
}

/// Rows that become items to be signed.
pub(super) trait Order: Row {
    /// What a list of them is called.
    const LIST: &'static str;
    /// What the SDK takes.
    type Item: Clone + Send + Sync + 'static;
    /// The day that the items of a list share, or the first of them; `None` where the rows name none.
    fn first_day(rows: &[Self]) -> Option<MailingDate>;
    /// The item of a row, of mail with a digital token where that is asked for.
    fn item(&self, key: PieceKey, day: MailingDate, token: bool) -> Self::Item;
    /// Postage, or value of a voucher.
    fn value(&self) -> PostageAmount;
    /// Has items signed.
    fn sign(
        client: Client,
        signer: Signer,
        items: Vec<Self::Item>,
    ) -> impl Future<Output = Result<Vec<Outcome>, ClientError>> + Send;
    /// The page that `--html` asks for.
    fn page(command: &Sign, summary: &Summary, pieces: &[Piece<'_, Self>]) -> Result<String, CtlError>;
}

impl Order for MailingRow {
    const LIST: &'static str = "mailing";
    type Item = Item;

    fn first_day(_rows: &[Self]) -> Option<MailingDate> {
        None
    }

    fn item(&self, key: PieceKey, day: MailingDate, token: bool) -> Item {
        Item {
            key,
            postage: self.postage,
            date: day,
            destination: self.destination,
            rate: self.class,
            recipient: Some(self.address.clone()),
            reference: self.reference.clone(),
            weight_g: Some(self.weight_g),
            token,
        }
    }

    fn value(&self) -> PostageAmount {
        self.postage
    }

    async fn sign(client: Client, signer: Signer, items: Vec<Item>) -> Result<Vec<Outcome>, ClientError> {
        client.sign(signer, items, false).await
    }

    fn page(command: &Sign, summary: &Summary, pieces: &[Piece<'_, Self>]) -> Result<String, CtlError> {
        report::page(&title(&command.csv), &command.sender, summary, pieces, command.marks)
    }
}

impl Order for VoucherRow {
    const LIST: &'static str = "vouchers";
    type Item = VoucherItem;

    fn first_day(rows: &[Self]) -> Option<MailingDate> {
        rows.iter().map(|row| row.voucher.validity.from()).min()
    }

    fn item(&self, key: PieceKey, _day: MailingDate, _token: bool) -> VoucherItem {
        VoucherItem { key, value: self.value, voucher: Arc::clone(&self.voucher), reference: self.reference.clone() }
    }

    fn value(&self) -> PostageAmount {
        self.value
    }

    async fn sign(client: Client, signer: Signer, items: Vec<VoucherItem>) -> Result<Vec<Outcome>, ClientError> {
        client.sign_vouchers(signer, items, false).await
    }

    fn page(_command: &Sign, _summary: &Summary, _pieces: &[Piece<'_, Self>]) -> Result<String, CtlError> {
        Err(ListError::ForMail("--html").into())
    }
}

pub(super) async fn run(global: &Global, command: &Sign) -> Result<Exit, CtlError> {
    match AnyList::read(&command.csv)? {
        AnyList::Mailing(list) => run_list(global, command, &list).await,
        // Said before anything is sent.
        AnyList::Vouchers(_) if command.html.is_some() => Err(ListError::ForMail("--html").into()),
        AnyList::Vouchers(_) if command.tokens => Err(ListError::ForMail("--tokens").into()),
        AnyList::Vouchers(_) if command.date.is_some() => Err(ListError::ForMail("--date").into()),
        AnyList::Vouchers(list) => run_list(global, command, &list).await,
    }
}

async fn run_list<R: Order>(global: &Global, command: &Sign, list: &List<R>) -> Result<Exit, CtlError> {
    let config = CtlConfig::read(global.config.as_deref())?;
    let signer = match &command.licence {
        Some(licence) => Signer::Licence { licence: licence.clone(), select: command.select },
        None => Signer::Psd(config.psd(command.psd.as_deref())?),
    };
    let client = Client::connect(config.client()).await?;
    let before = psds(&client, &signer).await?;
    let currency = before.first().map_or(Currency::USD, |view| view.currency);
    let day = R::first_day(&list.rows).or(command.date);
    let journal = Journal::open(
        &journal_path(command),
        list,
        &signer,
        Made::Signed { tokens: command.tokens },
        day,
        today(&before),
    )?;
    let rows = list.rows.iter().zip(&journal.keys);
    let items: Vec<R::Item> = rows.map(|(row, key)| row.item(*key, journal.date, command.tokens)).collect();
    let (outcomes, elapsed) = send(&client, (&signer, currency), list, items, command).await?;
    let after = psds(&client, &signer).await?;
    let keyed = list.rows.iter().zip(&journal.keys).zip(outcomes);
    let pieces = keyed.map(|((row, key), outcome)| Piece { row, key: *key, value: row.value(), outcome });
    let pieces: Vec<Piece<'_, R>> = pieces.collect();
    let bundle = offline(&client, &signer, &pieces).await?;
    let registers = (&together(&before), &together(&after));
    let summary = Summary::of(&pieces, &bundle, (&signer, currency), &journal, registers, elapsed);
    if let Some(out) = &command.out {
        write_durably(out, report::lines(&pieces)?.as_bytes())?;
    }
    if let Some(html) = &command.html {
        write_durably(html, R::page(command, &summary, &pieces)?.as_bytes())?;
    }
    if global.json {
        print_json(&summary)?
    } else {
        print(&summary.drawn(command.out.as_deref(), command.html.as_deref()))?
    }
    Ok(if summary.is_clean() { Exit::Done } else { Exit::Negative })
}

/// The journal lies beside the results; without results, beside the mailing list.
fn journal_path(command: &Sign) -> PathBuf {
    let beside = command.out.as_ref().unwrap_or(&command.csv);
    let mut name = beside.file_name().unwrap_or_default().to_owned();
    name.push(".keys.jsonl");
    beside.with_file_name(name)
}

fn title(csv: &Path) -> String {
    csv.file_stem().map_or_else(|| "Mailing".to_owned(), |stem| stem.to_string_lossy().replace(['-', '_'], " "))
}

fn selection(word: &str) -> Result<Select, String> {
    Select::from_word(word).ok_or_else(|| "write round-robin, most-funds or zip".to_owned())
}

/// The PSDs that may sign, as far as this client may read them.
async fn psds(client: &Client, signer: &Signer) -> Result<Vec<PsdView>, CtlError> {
    match signer {
        Signer::Psd(psd) => Ok(vec![client.psd(*psd).await?]),
        Signer::Licence { licence, .. } => {
            let mut views = client.psds().await?;
            views.retain(|view| view.licence == licence.as_str());
            if views.is_empty() {
                return Err(CtlError::NoSuchLicence(licence.clone()));
            }
            Ok(views)
        }
    }
}

/// Their registers as one.
fn together(views: &[PsdView]) -> RegisterView {
    let add = |one: PostageAmount, other| one.checked_add(other).unwrap_or(PostageAmount::MAX);
    let none = RegisterView::from(Registers::default());
    views.iter().fold(none, |sum, PsdView { registers, .. }| RegisterView {
        pieces: sum.pieces + registers.pieces,
        ascending: add(sum.ascending, registers.ascending),
        descending: add(sum.descending, registers.descending),
        control_total: add(sum.control_total, registers.control_total),
    })
}

/// The day it is for the appliance, whose clock is the one that counts.
fn today(views: &[PsdView]) -> Option<MailingDate> {
    MailingDate::of(UnixMillis(views.first()?.clock.as_ref()?.time))
}

/// Sends all items in batches, some at a time, and brings the outcomes back in order.
async fn send<R: Order>(
    client: &Client,
    (signer, currency): (&Signer, Currency),
    list: &List<R>,
    items: Vec<R::Item>,
    command: &Sign,
) -> Result<(Vec<Outcome>, Duration), ClientError> {
    let bar = bar(items.len(), "pieces");
    let begun = Instant::now();
    let mut batches = items.chunks(usize::from(command.batch)).map(<[R::Item]>::to_vec).enumerate();
    let mut under_way = JoinSet::new();
    let mut done: BTreeMap<usize, Vec<Outcome>> = BTreeMap::new();
    let mut value = PostageAmount::ZERO;
    loop {
        while under_way.len() < usize::from(command.in_flight) {
            let Some((number, batch)) = batches.next() else { break };
            let (client, signer) = (client.clone(), signer.clone());
            under_way.spawn(async move { (number, R::sign(client, signer, batch).await) });
        }
        let Some(joined) = under_way.join_next().await else { break };
        let (number, outcomes) = match joined {
            Ok((number, outcomes)) => (number, outcomes?),
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        };
        let signed = list.rows.iter().skip(number * usize::from(command.batch)).zip(&outcomes);
        let signed = signed.filter(|(_, outcome)| matches!(outcome, Outcome::Signed(_)));
        value = signed.fold(value, |sum, (row, _)| sum.checked_add(row.value()).unwrap_or(PostageAmount::MAX));
        bar.set_message(priced(value, currency));
        bar.inc(u64::try_from(outcomes.len()).unwrap_or(u64::MAX));
        done.insert(number, outcomes);
    }
    bar.finish_and_clear();
    Ok((done.into_values().flatten().collect(), begun.elapsed()))
}

/// Certificates for judging every mark once more without the connection.
async fn offline<R: Order>(client: &Client, signer: &Signer, pieces: &[Piece<'_, R>]) -> Result<Bundle, CtlError> {
    let mut signers: BTreeSet<PsdId> = pieces.iter().filter_map(Piece::signed_by).collect();
    if let Signer::Psd(psd) = signer {
        signers.insert(*psd);
    }
    let mut told: Vec<CertificatesResponse> = Vec::with_capacity(signers.len());
    for psd in signers {
        told.push(client.certificates(psd).await?);
    }
    // The SDK compared it with the root pinned in psdctl.toml.
    let root = match told.first() {
        Some(told) => told.authority_root.clone(),
        None => client.appliance().await?.authority_root,
    };
    let root = AuthorityRoot::from_der(&root).map_err(CtlError::Root)?;
    let keys = told.iter().flat_map(|told| &told.keys);
    let chains: Vec<&[u8]> = keys.flat_map(|key| &key.chain).map(|der| der.as_ref()).collect();
    Bundle::new(&chains, &root).map_err(CtlError::Root)
}

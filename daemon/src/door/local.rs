//! The local door: a Unix socket with health, readiness and metrics. It holds no secrets and changes nothing.

use super::calendar::Calendar;
use super::views::policy_view;
use crate::core::{InspectionCounts, Sight, View};
use crate::spine::{Handle, Metrics};
use crate::tokens::Router;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use psd::policy::AuthorityPolicy;
use psdd_tls::UnixTime;
use psdd_wire::message::AuthorityPolicyView;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

/// What the door shows.
pub struct LocalState {
    /// State of the tokens.
    pub router: Arc<Router>,
    /// Their names.
    pub tokens: Vec<String>,
    /// When certificates and lists of the doors end.
    pub calendar: Calendar,
    /// Address of the operator door, where there is one, once it is open.
    pub operator: OnceLock<SocketAddr>,
    /// Address of the authority door, where there is one, once it is open.
    pub authority: OnceLock<SocketAddr>,
    /// What there is once the daemon has its tokens.
    pub serving: OnceLock<Serving>,
}

/// What the door shows of a daemon at work.
pub struct Serving {
    /// Asked for a sign of life.
    pub core: Handle,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Address of the vendor door.
    pub vendor: SocketAddr,
}

/// Opens the door; it stays open until the process ends.
pub fn open(socket: &Path, state: Arc<LocalState>) -> std::io::Result<()> {
    if socket.exists() {
        std::fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))?;
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(32));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let state = Arc::clone(&state);
            tokio::spawn(async move {
                let service = service_fn(|request| handle(Arc::clone(&state), request));
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(5))
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                if let Err(error) = served {
                    tracing::debug!(%error, "local door");
                }
                drop(place);
            });
        }
    });
    Ok(())
}

async fn handle(state: Arc<LocalState>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let serving = state.serving.get();
    let (status, text) = match request.uri().path() {
        "/health" => match serving {
            None => (StatusCode::OK, "alive, starting\n".to_owned()),
            Some(serving) if alive(&serving.core).await => (StatusCode::OK, "alive\n".to_owned()),
            Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "the core does not answer\n".to_owned()),
        },
        "/ready" => ready(&state).await,
        "/metrics" => {
            let counters = serving.map_or_else(String::new, |serving| serving.metrics.render());
            let standing = "# HELP psdd_serving Whether the daemon has its tokens and its doors are open.\n\
                            # TYPE psdd_serving gauge\n";
            let calendar = state.calendar.render(UnixTime::now());
            let gauges = match serving {
                Some(serving) => view(&serving.core).await.map(|view| gauges(&view)).unwrap_or_default(),
                None => String::new(),
            };
            let stands = u8::from(serving.is_some());
            (StatusCode::OK, format!("{counters}{standing}psdd_serving {stands}\n{gauges}{calendar}"))
        }
        _ => (StatusCode::NOT_FOUND, "there are /health, /ready and /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let media = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(response)
}

/// Ready means that a piece could be signed now: the core answers, it has a time, every token is up with its keys.
async fn ready(state: &LocalState) -> (StatusCode, String) {
    let mut troubles = state.router.troubles(&state.tokens);
    let operator = state.operator.get().map(|address| format!("operator door {address}\n")).unwrap_or_default();
    let Some(Serving { core, vendor, .. }) = state.serving.get() else {
        troubles.push("starting: the vendor door is closed".to_owned());
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n{operator}", troubles.join("\n")));
    };
    let (mut due, mut policy) = (None, None);
    match view(core).await {
        Some(view) => {
            due = warning(view.inspections);
            policy = in_force(&view.policy);
            troubles.extend(view.clock.err().map(|stop| format!("clock: {stop}")));
        }
        None => troubles.push("the core does not answer".to_owned()),
    }
    if troubles.is_empty() {
        let mut text = format!("ready\nvendor door {vendor}\n{operator}");
        if let Some(address) = state.authority.get() {
            text.push_str(&format!("authority door {address}\n"));
        }
        text.extend(policy);
        // What ends is told; pieces are still signed, so the daemon is not down for it.
        for ending in state.calendar.endings(UnixTime::now()) {
            text.push_str(&format!("{ending}\n"));
        }
        text.extend(due);
        return (StatusCode::OK, text);
    }
    (StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n")
}

/// PSDs that are soon to be inspected, or should have been, in words.
fn warning(inspections: InspectionCounts) -> Option<String> {
    let InspectionCounts { warned, overdue, first_due } = inspections;
    let soon = (warned > 0).then(|| {
        let by = first_due.map(|due| format!(", the first by {due}")).unwrap_or_default();
        format!("warning: {warned} PSDs are soon due for inspection{by}")
    });
    let late = (overdue > 0).then(|| format!("error: {overdue} PSDs sign nothing: their inspection is overdue"));
    let lines: Vec<String> = soon.into_iter().chain(late).map(|line| line + "\n").collect();
    (!lines.is_empty()).then(|| lines.concat())
}

/// The authority's own policy, in words, where it instructed one.
fn in_force(policy: &AuthorityPolicy) -> Option<String> {
    let AuthorityPolicyView { digest, version } = policy_view(policy)?;
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("the authority's policy: version {version}, SHA-256 {digest}\n"))
}

fn gauges(View { inspections, policy, .. }: &View) -> String {
    let (InspectionCounts { warned, overdue, .. }, version) = (inspections, policy.version);
    format!(
        "# HELP psdd_inspection_warned Active PSDs that are soon due for inspection\n\
         # TYPE psdd_inspection_warned gauge\npsdd_inspection_warned {warned}\n\
         # HELP psdd_inspection_overdue Active PSDs that sign nothing because their inspection is overdue\n\
         # TYPE psdd_inspection_overdue gauge\npsdd_inspection_overdue {overdue}\n\
         # HELP psdd_authority_policy_version Version of the policy that the authority instructed; 0 where it never did\n\
         # TYPE psdd_authority_policy_version gauge\npsdd_authority_policy_version {version}\n"
    )
}

/// Whether the core answers within a second.
pub async fn alive(core: &Handle) -> bool {
    view(core).await.is_some()
}

async fn view(core: &Handle) -> Option<View> {
    let answer = core.view(Sight::Appliance).ok()?;
    tokio::time::timeout(Duration::from_secs(1), answer).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::UnixMillis;
    use psd::clock::ClockStop;
    use psd::policy::PolicyText;
    use std::collections::BTreeMap;

    #[test]
    fn inspections_that_are_near_or_overdue_are_told() {
        let counts =
            |warned, overdue| InspectionCounts { warned, overdue, first_due: Some(UnixMillis(1_795_176_000_000)) };
        assert_eq!(warning(counts(0, 0)), None, "nothing near, whatever is to come");
        let told = warning(counts(2, 0)).unwrap();
        assert!(told.starts_with("warning: 2 PSDs are soon due for inspection, the first by 2026-11-20T"), "{told}");
        let told = warning(counts(1, 3)).unwrap();
        assert!(told.ends_with("\nerror: 3 PSDs sign nothing: their inspection is overdue\n"), "{told}");
        let policy = AuthorityPolicy { version: 7, text: PolicyText::default() };
        let view = View {
            clock: Err(ClockStop::Silent),
            psds: Vec::new(),
            governance: Arc::default(),
            periods: Arc::new(BTreeMap::new()),
            inspections: counts(1, 3),
            policy: Arc::new(policy.clone()),
        };
        let text = gauges(&view);
        for line in ["psdd_inspection_warned 1", "psdd_inspection_overdue 3", "psdd_authority_policy_version 7"] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        let told = in_force(&policy).unwrap();
        assert!(told.starts_with("the authority's policy: version 7, SHA-256 e3b0c442"), "{told}");
        assert_eq!(in_force(&AuthorityPolicy::default()), None, "it never instructed one");
    }
}

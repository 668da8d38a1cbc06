//! Who is let in, what is refused before the books see it, and that what is answered is booked.

use crate::rig::{LISTEN, Post, carried, connect, exchange, is_let_in};
use psdd_authority::books::Books;
use psdd_authority::pki::revoke_client;
use psdd_authority::serve;
use psdd_wire::certificate::verify_end_entity;
use psdd_wire::cose::{Sign1, VALUE_AUTHORISATION};
use psdd_wire::funds::{AccountResponse, FundsAuthorisation};
use psdd_wire::message::{RefundClaims, ValueAuthorisationClaims, ValueRequestClaims};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn value_is_authorised_over_the_door_and_repeated_as_it_was() {
    let post = Post::open().await;
    let request = post.request(1, "40.00", 1);
    let first = post.ask("appliance-1", "POST", "/v1/value-requests", carried(&request)).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.headers["content-type"], "application/cbor");
    let answer: FundsAuthorisation = psdd_wire::read(&first.body).unwrap();
    assert_eq!(answer.balance.to_string(), "60.00");

    // The authorisation is what a PSD accepts: by the funds key, certified by the root, for this download and no other.
    let message = Sign1::parse(&answer.authorisation).unwrap();
    let root = CertificateDer::from_pem_file(post.dir.root_certificate()).unwrap();
    let key = verify_end_entity(&[message.certificate.as_deref().unwrap()], &root, post.now).unwrap();
    message.verify(VALUE_AUTHORISATION, &key.spki).unwrap();
    let claims: ValueAuthorisationClaims = psdd_wire::read(&message.payload).unwrap();
    let told =
        (claims.amount.to_string(), claims.control_total.to_string(), claims.sequence, claims.appliance.as_str());
    assert_eq!(told, ("40.00".to_owned(), "40.00".to_owned(), 1, "appliance-1"));
    assert!(claims.expires > post.now.0 + 71 * 3_600_000);

    // Over HTTP/1.1, after a lost answer: the same bytes.
    let stream = post.connect("appliance-1", false).await.unwrap();
    let again =
        exchange(stream, false, "POST", "/v1/value-requests", Some("application/cbor"), carried(&request)).await;
    assert_eq!((again.status, again.body), (200, first.body));

    let account = post.ask("appliance-1", "GET", "/v1/licences/L-1", Vec::new()).await;
    let account: AccountResponse = psdd_wire::read(&account.body).unwrap();
    let told =
        (account.psds, account.balance.to_string(), account.deposited.to_string(), account.authorised.to_string());
    assert_eq!(told, (1, "60.00".to_owned(), "100.00".to_owned(), "40.00".to_owned()));

    // Closed and opened again, it still knows.
    let (dir, around, device, now) = (post.dir.clone(), post.around, post.device, post.now);
    post.open.close(Duration::from_secs(5)).await;
    let post = Post { open: serve::open(&dir, LISTEN).await.unwrap(), dir, around, device, now };
    let conflict = post.request(1, "40.00", 2);
    let refused = post.ask("appliance-1", "POST", "/v1/value-requests", carried(&conflict)).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "download-conflict"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_has_its_code_and_moves_nothing() {
    let post = Post::open().await;
    let good = post.request(1, "40.00", 1);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    type Case<'a> = (&'a str, &'a str, &'a str, &'a str, Vec<u8>, u16, &'a str);
    let cases: Vec<Case<'_>> = vec![
        ("route", "appliance-1", "POST", "/v1/psds", Vec::new(), 404, "no-such-route"),
        ("method", "appliance-1", "GET", "/v1/value-requests", Vec::new(), 405, "method-not-allowed"),
        ("method", "appliance-1", "POST", "/v1/licences/L-1", Vec::new(), 405, "method-not-allowed"),
        ("no CBOR", "appliance-1", "POST", "/v1/value-requests", vec![0xff], 400, "malformed"),
        ("other field", "appliance-1", "POST", "/v1/value-voids", carried(&good), 400, "malformed"),
        ("oversize", "appliance-1", "POST", "/v1/value-requests", vec![0; 65_537], 413, "body-too-large"),
        ("no COSE", "appliance-1", "POST", "/v1/value-requests", carried(b"x"), 400, "statement-malformed"),
        ("as a withdrawal", "appliance-1", "POST", "/v1/withdrawals", carried(&good), 400, "statement-malformed"),
        ("forged", "appliance-1", "POST", "/v1/value-requests", carried(&forged), 400, "statement-bad-signature"),
        ("carrier", "appliance-2", "POST", "/v1/value-requests", carried(&good), 403, "not-permitted"),
        ("licence", "appliance-2", "GET", "/v1/licences/L-1", Vec::new(), 404, "licence-unknown"),
        ("licence", "appliance-1", "GET", "/v1/licences/L-2", Vec::new(), 404, "licence-unknown"),
        (
            "too much",
            "appliance-1",
            "POST",
            "/v1/value-requests",
            carried(&post.request(1, "100.01", 3)),
            409,
            "funds-short",
        ),
        (
            "a gap",
            "appliance-1",
            "POST",
            "/v1/value-requests",
            carried(&post.request(3, "1.00", 4)),
            409,
            "download-gap",
        ),
    ];
    for (name, client, method, path, body, status, code) in cases {
        let answer = post.ask(client, method, path, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{name}");
        if status == 405 {
            assert_eq!(answer.headers["allow"], if method == "GET" { "POST" } else { "GET" });
        }
    }
    let stream = post.connect("appliance-1", true).await.unwrap();
    let media = exchange(stream, true, "POST", "/v1/value-requests", Some("text/plain"), carried(&good)).await;
    assert_eq!((media.status, media.code().as_str()), (415, "unsupported-media-type"));
    let account = post.ask("appliance-1", "GET", "/v1/licences/L-1", Vec::new()).await;
    let account: AccountResponse = psdd_wire::read(&account.body).unwrap();
    assert_eq!(account.balance.to_string(), "100.00", "nothing moved");
}

/// Numbers that no column holds, signed by the device key itself, end nothing and hurt nobody who asks at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_psd_cannot_stop_the_funds_system() {
    let post = Post::open().await;
    let refund = RefundClaims { key: [1; 16], leaf: u64::MAX, indicium: vec![1] };
    let sound = || post.claims(1, "1.00", 9);
    let mut pieces = sound();
    pieces.registers.pieces = 1 << 63;
    let rows = [
        ("leaf", ValueRequestClaims { refund: Some(refund), ..sound() }),
        ("sequence", ValueRequestClaims { sequence: u64::MAX, ..sound() }),
        ("time", ValueRequestClaims { time: 1 << 63, ..sound() }),
        ("pieces", pieces),
    ];
    for (name, claims) in rows {
        let hostile = carried(&post.request_of(claims));
        let (answer, others) = tokio::join!(
            post.ask("appliance-1", "POST", "/v1/value-requests", hostile),
            post.ask("appliance-1", "GET", "/v1/licences/L-1", Vec::new())
        );
        assert_eq!((answer.status, answer.code().as_str()), (400, "statement-malformed"), "{name}");
        assert_eq!(others.status, 200, "{name}");
    }
    let good = post.ask("appliance-1", "POST", "/v1/value-requests", carried(&post.request(1, "40.00", 1))).await;
    assert_eq!(good.status, 200, "it goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_clients_of_the_authority_that_are_not_revoked_come_in() {
    let post = Post::open().await;
    assert!(is_let_in(post.connect("appliance-1", true).await).await);
    let ca = post.dir.tls_ca();
    assert!(!is_let_in(connect(post.open.address, &ca, None, true).await).await, "no certificate");

    // Of another authority with the same names.
    post.foreign_client("foreign", "appliance-1");
    assert!(!is_let_in(post.connect("foreign", true).await).await, "another CA");
    // The certificate of a PSD or of the funds key opens nothing either.
    let funds = (post.dir.funds(), post.dir.funds_key());
    let stream = connect(post.open.address, &ca, Some((&funds.0, &funds.1)), true).await;
    assert!(!is_let_in(stream).await, "the funds key");

    let mut books = Books::open(&post.dir.books()).unwrap();
    let serial = books.clients().unwrap()[0].serial;
    revoke_client(&post.dir, &mut books, serial, post.now).unwrap();
    assert!(is_let_in(post.connect("appliance-1", true).await).await, "the list is taken when it is told");
    post.open.reload().unwrap();
    assert!(!is_let_in(post.connect("appliance-1", true).await).await, "revoked");
    assert!(is_let_in(post.connect("appliance-2", true).await).await, "the other is not");

    // A list that cannot be read leaves the one in force.
    std::fs::write(post.dir.client_crl(), "no list").unwrap();
    assert!(post.open.reload().is_err());
    assert!(!is_let_in(post.connect("appliance-1", true).await).await, "still revoked");
    assert!(is_let_in(post.connect("appliance-2", true).await).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_fail_are_answered_by_nobody() {
    let mut post = Post::open().await;
    // Another program has broken the books under the funds system.
    let books = Books::open(&post.dir.books()).unwrap();
    drop(books);
    std::fs::write(post.dir.books(), b"no database, and long enough to be seen as none of them").unwrap();
    let request = post.request(1, "40.00", 1);
    let answer = post.ask("appliance-1", "POST", "/v1/value-requests", carried(&request)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "stopping"));
    let fault = tokio::time::timeout(Duration::from_secs(5), post.open.failed()).await.expect("a fault is told");
    assert!(!fault.is_busy(), "{fault}");
}

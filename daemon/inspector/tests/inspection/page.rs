//! The page of an inspection.

use crate::world::{DAY, Key, World, psd_id};
use psd::UnixMillis;
use psdd_inspector::{Code, Finding, FleetView, PolicyView, Rules, Severity, page};

fn view(world: &World) -> FleetView {
    let dir = tempfile::tempdir().unwrap();
    let (mirror, fold) = world.inspected(dir.path());
    fold.view(&mirror, &Rules::default(), UnixMillis(world.now)).unwrap()
}

/// Three PSDs over twelve days, one of which a foreign key signed for.
fn busy() -> World {
    let mut world = World::born(3);
    for day in 0..12 {
        for (number, pieces) in [(0, 40 + day), (1, 25), (2, 5 * (day % 3))] {
            world.sign_many(number, pieces);
            world.now += 3_600_000;
        }
        world.now += DAY - 3 * 3_600_000;
    }
    let right = std::mem::replace(&mut world.indicium, Key::new());
    world.sign_many(1, 3);
    world.indicium = right;
    world.sign_many(1, 300);
    world.error_ms = 2_000;
    world.sign(0);
    world
}

#[test]
fn the_page_shows_the_fleet_and_its_findings_first() {
    let world = busy();
    let html = page(&view(&world));
    if let Some(path) = std::env::var_os("PSDD_PAGE") {
        std::fs::write(path, &html).unwrap();
    }
    assert!(
        html.contains("1 red and 8 amber findings"),
        "{}",
        html.find("verdict").map_or("", |at| &html[at..at + 120])
    );
    for finding in &view(&world).findings {
        let code = serde_json::to_value(finding.code).unwrap();
        assert_eq!(code, finding.code.as_str());
        assert!(html.contains(&format!("<code>{}</code>", finding.code.as_str())));
    }
    let places =
        ["bad-signature", "velocity", "clock-error", "Fleet at a glance", "Registers", "Keys in use", "Clock</h2>"];
    let found: Vec<usize> = places.iter().map(|text| html.find(text).unwrap_or_else(|| panic!("no {text}"))).collect();
    assert!(found[..3].iter().all(|at| *at < found[3]), "findings come first");
    for number in 0..3 {
        assert!(html.contains(&psd_id(number).to_string()));
    }
    assert_eq!(html.matches("<svg").count(), 2);
    assert_eq!(html.matches("<section>").count(), html.matches("</section>").count());
    for outside in ["<script", "http:", "https:", "src=", "url(", "@import", "<link", "<img"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn an_honest_fleet_has_a_page_without_findings() {
    let mut world = World::born(1);
    world.sign(0);
    let html = page(&view(&world));
    assert!(html.contains("No findings") && !html.contains("class=\"verdict red\""));
}

#[test]
fn what_the_log_says_is_text() {
    let mut view = view(&World::born(1));
    let hostile = "<script>alert('&')</script>";
    view.findings = vec![Finding {
        severity: Severity::Red,
        code: Code::MarkDiffers,
        psd: Some(hostile.to_owned()),
        leaves: vec![1],
        times: 1,
        time_ms: 0,
        says: hostile.to_owned(),
    }];
    let psd = &mut view.psds[0];
    for text in [&mut psd.psd, &mut psd.tenant, &mut psd.licence, &mut psd.currency, &mut psd.ascending] {
        *text = hostile.to_owned();
    }
    // Of one code the first fifty stand there.
    view.findings = vec![view.findings[0].clone(); 60];
    psd.keys[0].role = hostile.to_owned();
    psd.keys[0].algorithm = hostile.to_owned();
    view.policy = Some(PolicyView { version: 3, digest: hostile.to_owned(), text: hostile.to_owned(), leaf: 9 });
    view.appliance = hostile.to_owned();
    view.root = hostile.to_owned();
    let html = page(&view);
    assert!(!html.contains("<script"));
    assert!(html.contains("10 more <code>mark-differs</code>"));
    assert!(html.matches("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;").count() >= 13);
    assert!(html.contains("Version 3, record 9; SHA-256 of its text"));
}

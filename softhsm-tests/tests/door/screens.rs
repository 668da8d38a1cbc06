//! The page of an inspection in a browser: at the width of a phone and of a desk nothing sticks out, and findings come first.
//!
//! The browser is headless Chromium (`make test` installs it). With `PSDD_SCREENS` set to a directory, what it shows is kept there.

use crate::bench::{Wanted, raise};
use crate::fleet::{inspect, scrubbed};
use std::path::Path;
use std::process::Command;

/// Runs the browser in a profile of its own. The page is looked into from a frame around it, since it runs no scripts itself.
fn browser(around: &Path, arguments: &[String]) -> String {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-web-security"])
        .args(["--allow-file-access-from-files", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", around.join("browser").display()))
        .args(arguments)
        .output()
        .expect("chromium runs; `make test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_page_fits_a_phone_and_a_desk_and_begins_with_findings() {
    let appliance = raise(Wanted { psds: 3, ..Wanted::default() });
    scrubbed(&appliance);
    let wrong = "0".repeat(64);
    let (code, told) =
        inspect(&appliance, &["--report", "inspection.html", "--binary", &wrong, "--certificate-days", "9000"]);
    assert_eq!(code, Some(1), "{told}");
    let page = appliance.around().join("inspection.html");
    for (name, width) in [("phone", 390), ("desk", 1280)] {
        let frame = appliance.around().join(format!("{name}.html"));
        let html = format!(
            "<!doctype html><body style=\"margin:0\"><iframe id=f style=\"border:0;width:{width}px;height:1600px\" src=\"file://{}\">\
             </iframe><pre id=o></pre><script>f.onload=()=>{{const d=f.contentDocument,r=d.documentElement;\
             o.textContent=['wide',r.scrollWidth,'of',r.clientWidth,'first',d.querySelector('h2').textContent,'shown',\
             d.querySelector('template').offsetHeight??0].join(' ')}}</script>",
            page.display()
        );
        std::fs::write(&frame, html).expect("a file");
        let address = format!("file://{}", frame.display());
        let dom = browser(&appliance.around(), &["--dump-dom".to_owned(), address.clone()]);
        let seen = format!("wide {width} of {width} first Findings shown 0");
        assert!(dom.contains(&seen), "{name}: {}", dom.rsplit("<pre").next().unwrap_or_default());
        let kept = std::env::var_os("PSDD_SCREENS").map_or_else(|| appliance.around(), Into::into);
        let picture = kept.join(format!("inspection-{name}.png"));
        let picture_at = format!("--screenshot={}", picture.display());
        browser(&appliance.around(), &[picture_at, format!("--window-size={},1600", width.max(500)), address]);
        let bytes = std::fs::read(&picture).expect("a picture");
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 20_000, "{} bytes", bytes.len());
    }
}

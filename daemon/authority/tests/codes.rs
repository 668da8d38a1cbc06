//! docs/authority.md lists every code of the funds system.

use std::path::Path;

#[test]
fn every_code_is_documented() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(here.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let page = read("../../docs/authority.md");
    let codes = page.split("## Codes").nth(1).and_then(|rest| rest.split("## Books").next()).expect("a section");
    let mut found = 0;
    for source in ["src/decide/refusal.rs", "src/pki/enrol.rs", "src/serve/problems.rs", "src/serve/routes.rs"] {
        let text = read(source);
        // A code is a literal of lower-case words with hyphens in between, and nothing else here is.
        let literals = text.split('"').skip(1).step_by(2);
        let plain = |c: char| c.is_ascii_lowercase() || c == '-';
        for code in literals.filter(|text| text.contains('-') && text.chars().all(plain)) {
            if ["value-requests", "value-voids", "withdrawal-reports", "no-store"].contains(&code) {
                continue;
            }
            assert!(codes.contains(&format!("`{code}`")), "{code} of {source} is not in docs/authority.md");
            found += 1;
        }
    }
    assert!(found > 25, "only {found} codes found: the sources are written in another way now");
}

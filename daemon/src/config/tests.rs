//! What the fuzz target `config` does, in short, from the configuration that is shipped.

use super::Config;
use hsm_profiles::parse_toml;
use proptest::prelude::*;

const SHIPPED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/etc/psdd.toml"));

fn parsed(text: &str) -> Result<Config, String> {
    parse_toml("test", text).map_err(|error| error.to_string())
}

#[test]
fn the_shipped_configuration_is_of_the_form_and_makes_sense() {
    let config = parsed(SHIPPED).unwrap();
    assert_eq!(config.check(), Ok(()));
}

#[test]
fn unknown_fields_are_refused_in_every_section() {
    let sections = SHIPPED.lines().filter(|line| line.starts_with('['));
    let mut seen = 0;
    for header in sections {
        let error = parsed(&SHIPPED.replacen(header, &format!("{header}\nsurplus = 1"), 1)).unwrap_err();
        assert!(error.contains("surplus"), "{header}: {error}");
        seen += 1;
    }
    assert!(seen >= 4);
    assert!(parsed(&format!("surplus = 1\n{SHIPPED}")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        drop(parsed(&text));
    }

    #[test]
    fn no_change_of_the_shipped_one_makes_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..4),
    ) {
        let mut text: Vec<char> = SHIPPED.chars().collect();
        for (at, new) in changes {
            *at.get_mut(&mut text) = new;
        }
        let text: String = text.into_iter().collect();
        if let Ok(config) = parsed(&text) {
            drop(config.check());
        }
    }
}

//! The archive: old tables stay, and never two are in force.

use crate::published::Post;
use crate::tables::{POSTLAND, changed, postland};
use psd::MailingDate;
use psdd_rates::{Archive, NotInForce, Published};
use std::sync::Arc;

struct Shelf {
    post: Post,
    archive: Archive,
}

impl Shelf {
    fn new() -> Self {
        Self { post: Post::new("policy"), archive: Archive::new() }
    }

    /// A version of Postland's table, in force from a day, until a day where one is named.
    fn table(&self, version: u32, from: &str, until: Option<&str>) -> Arc<Published> {
        let text = changed(POSTLAND, "version = 1\n", &format!("version = {version}\n"));
        let text = changed(&text, "from = \"2026-01-01\"", &format!("from = \"{from}\""));
        let until = until.map(|until| format!("until = \"{until}\"")).unwrap_or_default();
        Arc::new(self.post.publish(&changed(&text, "until = \"2026-12-31\"", &until)))
    }

    fn added(&mut self, version: u32, from: &str, until: Option<&str>) -> &mut Self {
        let table = self.table(version, from, until);
        self.archive.add(table).unwrap();
        self
    }

    fn refused(&mut self, version: u32, from: &str, until: Option<&str>) -> String {
        let table = self.table(version, from, until);
        let before = self.archive.iter().count();
        let error = self.archive.add(table).unwrap_err();
        assert_eq!(self.archive.iter().count(), before);
        error.to_string()
    }

    fn in_force(&self, on: &str) -> Result<u32, String> {
        let found = self.archive.in_force("postland", day(on));
        found.map(|published| published.table().version()).map_err(|error| error.to_string())
    }
}

fn day(text: &str) -> MailingDate {
    text.parse().unwrap()
}

#[test]
fn each_day_has_the_table_of_its_time() {
    let mut shelf = Shelf::new();
    // In whatever order they come.
    shelf.added(3, "2026-09-01", Some("2026-12-31")).added(1, "2026-01-01", None).added(
        2,
        "2026-05-01",
        Some("2026-07-31"),
    );
    assert_eq!(shelf.in_force("2026-01-01"), Ok(1));
    assert_eq!(shelf.in_force("2026-04-30"), Ok(1));
    assert_eq!(shelf.in_force("2026-05-01"), Ok(2));
    assert_eq!(shelf.in_force("2026-07-31"), Ok(2));
    let said = |text: &str| Err(text.to_owned());
    assert_eq!(
        shelf.in_force("2025-12-31"),
        said("rate table postland 1 is not yet in force on 2025-12-31; it begins on 2026-01-01")
    );
    // A table that was taken over from does not come back.
    assert_eq!(
        shelf.in_force("2026-08-15"),
        said("rate table postland 2 is not in force any more on 2026-08-15; it ended on 2026-07-31")
    );
    assert_eq!(shelf.in_force("2026-12-31"), Ok(3));
    assert_eq!(
        shelf.in_force("2027-01-01"),
        said("rate table postland 3 is not in force any more on 2027-01-01; it ended on 2026-12-31")
    );
    assert_eq!(shelf.archive.in_force("moon", day("2026-01-01")).err(), Some(NotInForce::Unknown("moon".to_owned())));
    let digests: Vec<[u8; 32]> = shelf.archive.iter().map(|published| *published.table().digest()).collect();
    for digest in digests {
        assert_eq!(shelf.archive.by_digest(&digest).map(|published| *published.table().digest()), Some(digest));
    }
    assert!(shelf.archive.by_digest(&[0; 32]).is_none());
}

#[test]
fn what_would_leave_it_open_is_refused() {
    let mut shelf = Shelf::new();
    shelf.added(1, "2026-01-01", None).added(3, "2026-06-01", Some("2026-12-31"));
    shelf.added(1, "2026-01-01", None);
    assert_eq!(shelf.archive.iter().count(), 2, "the same bytes again change nothing");
    assert_eq!(
        shelf.refused(1, "2026-01-02", None),
        "postland 1 is there already with other bytes; a version is published once, give the new table the next number"
    );
    assert_eq!(
        shelf.refused(4, "2026-06-01", None),
        "postland 4 begins on 2026-06-01, not after postland 3, which begins on 2026-06-01: versions go back"
    );
    assert_eq!(
        shelf.refused(2, "2026-07-01", None),
        "postland 3 begins on 2026-06-01, not after postland 2, which begins on 2026-07-01: versions go back"
    );
    assert_eq!(
        shelf.refused(4, "2026-12-31", None),
        "postland 3 states to be in force until 2026-12-31, and postland 4 begins on 2026-12-31: both would be"
    );
    assert_eq!(
        shelf.refused(2, "2026-03-01", Some("2026-06-01")),
        "postland 2 states to be in force until 2026-06-01, and postland 3 begins on 2026-06-01: both would be"
    );
    let text = changed(&changed(POSTLAND, "\"XTS\"", "\"EUR\""), "version = 1\n", "version = 4\n");
    let other = changed(&text, "from = \"2026-01-01\"\nuntil = \"2026-12-31\"", "from = \"2027-01-01\"");
    let said = shelf.archive.add(Arc::new(shelf.post.publish(&other))).unwrap_err().to_string();
    assert_eq!(said, "postland 4 is in EUR, and postland 3 is not; give it a name of its own");
    shelf.added(2, "2026-03-01", Some("2026-05-31"));
}

#[test]
fn a_table_says_itself_when_it_is_in_force() {
    let table = postland();
    assert!(matches!(table.in_force(day("2025-12-31")), Err(NotInForce::NotYet { .. })));
    assert_eq!(table.in_force(day("2026-01-01")), Ok(()));
    assert_eq!(table.in_force(day("2026-12-31")), Ok(()));
    assert!(matches!(table.in_force(day("2027-01-01")), Err(NotInForce::Ended { .. })));
}

//! What is refused, one by one, with what is said about it.

use crate::tables::{POSTLAND, US, changed, full, piece, postland, us};
use psdd_rates::{Piece, QuoteError, Table};

/// Everything that is said about a table of Postland with one place changed, without the lines it is in.
fn said(from: &str, to: &str) -> Vec<String> {
    let text = changed(POSTLAND, from, to);
    let error = Table::parse(&text).expect_err(to);
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    lines.into_iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

const STEP_2: &str = r#"{ over = "20 g", up_to = "50 g", price = "0.905" }"#;
const TOWN: &str = "pieces = 50\ncategory = \"LT\"\npercent = \"12.5\"";

#[test]
fn tables_that_contradict_themselves() {
    let rows = [
        // Form.
        (
            "version = 1\n",
            "version = 1\nvat = 7\n",
            "unknown field `vat`, expected one of `name`, `version`, `title`, `currency`, `effective`, `rounding`, `zones`, `shape`, `class`, `surcharge`",
        ),
        (
            "mode = \"half-even\"",
            "mode = \"nearest\"",
            "unknown variant `nearest`, expected one of `up`, `half-up`, `half-even`, `down`",
        ),
        ("price = \"0.65\"", "price = 0.65", "invalid type: floating point `0.65`, expected a string"),
        (
            "name = \"postland\"",
            "name = \"Postland\"",
            "\"Postland\" is no name: 1 to 40 of a-z, 0-9 and hyphens between them",
        ),
        ("title = \"Letter\"", "title = \" \"", "class letter: the title is empty"),
        ("version = 1\n", "version = 0\n", "version: version 0: the first version is 1"),
        ("\"XTS\"", "\"xts\"", "currency: \"xts\" is not a currency code such as USD: three letters A-Z (ISO 4217)"),
        (
            "category = \"LR\"",
            "category = \"region\"",
            "class letter, discount region: \"region\" is not a rate category: one to four of A-Z and 0-9",
        ),
        // Names.
        (
            "name = \"region\"",
            "name = \"full\"",
            "class letter, discount full: no discount is named full: that is what a class without any discount is called",
        ),
        (
            "name = \"parcel\"",
            "name = \"letter\"",
            "class letter: the name \"letter\" stands there twice; give one of them another",
        ),
        (
            "name = \"region\"",
            "name = \"town\"",
            "class letter, discount town: the name \"town\" stands there twice; give one of them another",
        ),
        (
            "name = \"hills\"",
            "name = \"coast\"",
            "zones.area coast: the name \"coast\" stands there twice; give one of them another",
        ),
        (
            "name = \"long\"",
            "name = \"fuel\"",
            "surcharge fuel: the name \"fuel\" stands there twice; give one of them another",
        ),
        (
            "category = \"LR\"",
            "category = \"P\"",
            "class parcel: the rate category P stands for class letter, discount region already; a mark could mean either",
        ),
        ("shape = \"envelope\"", "shape = \"box\"", "class letter: there is no shape \"box\"; the table has envelope"),
        (
            "classes = [\"parcel\"]\npercent",
            "classes = [\"box\"]\npercent",
            "surcharge fuel: there is no class \"box\"; the table has letter, parcel",
        ),
        (
            "needs = [\"registered\"]",
            "needs = [\"certified\"]",
            "surcharge personal: there is no surcharge \"certified\"; the table has registered, personal, fuel, long",
        ),
        // Dates.
        (
            "from = \"2026-01-01\"",
            "from = \"2026-02-30\"",
            "effective.from: \"2026-02-30\" is not a date such as 2026-11-20",
        ),
        ("from = \"2026-01-01\"", "from = \"\"", "effective.from: \"\" is not a date such as 2026-11-20"),
        (
            "until = \"2026-12-31\"",
            "until = \"2025-12-31\"",
            "effective.until: the table would end on 2025-12-31, before it begins on 2026-01-01",
        ),
        // Amounts.
        ("price = \"0.65\"", "price = \"-0.65\"", "class letter, step 1: -0.65 is negative; postage is zero or more"),
        ("price = \"0.65\"", "price = \"0.6505\"", "class letter, step 1: 0.6505 is finer than a mill (0.001)"),
        (
            "price = \"0.65\"",
            "price = \"0.651\"",
            "class letter, step 1: 0.651 is finer than the half cent that a piece is rounded to; write what is charged, or round per line",
        ),
        ("off = \"0.01\"", "off = \"0.00\"", "class letter, discount bundled: the amount is zero; leave it out"),
        (
            "percent = \"12.5\"",
            "percent = \"112.5\"",
            "class letter, discount town: \"112.5\" is no percentage: over 0 and up to 100, with at most three decimals",
        ),
        (
            "percent = \"12.5\"",
            "percent = \"0\"",
            "class letter, discount town: \"0\" is no percentage: over 0 and up to 100, with at most three decimals",
        ),
        // Steps.
        (
            r#"{ over = "0 g", up_to = "20 g", price = "0.65" }"#,
            r#"{ over = "5 g", up_to = "20 g", price = "0.65" }"#,
            "class letter, step 1: the first step begins over 5 g: what weighs up to that has no price; begin over 0 g",
        ),
        (
            STEP_2,
            r#"{ over = "25 g", up_to = "50 g", price = "0.905" }"#,
            "class letter, step 2: a gap: what weighs over 20 g and up to 25 g has no price",
        ),
        (
            STEP_2,
            r#"{ over = "15 g", up_to = "50 g", price = "0.905" }"#,
            "class letter, step 2: an overlap: what weighs over 15 g and up to 20 g has two prices",
        ),
        (
            STEP_2,
            r#"{ over = "20 g", up_to = "20 g", price = "0.905" }"#,
            "class letter, step 2: a step over 20 g and up to 20 g holds nothing",
        ),
        (
            STEP_2,
            r#"{ over = "20 g", up_to = "50 g", price = "0.60" }"#,
            "class letter, step 2: the price falls with weight: 0.60 up to 50 g, 0.65 below",
        ),
        (
            STEP_2,
            r#"{ over = "20 g", up_to = "50 st", price = "0.905" }"#,
            "class letter, step 2: \"50 st\" is not a number with a unit, such as \"3.5 oz\"",
        ),
        (
            STEP_2,
            r#"{ over = "20 g", up_to = "50 g" }"#,
            "class letter, step 2: a step has either price or by_zone, the same in all steps of a ladder",
        ),
        (
            "every = \"50 g\", up_to = \"500 g\"",
            "every = \"0 g\", up_to = \"500 g\"",
            "class letter, further: every is zero, so it limits nothing",
        ),
        (
            "every = \"50 g\", up_to = \"500 g\"",
            "every = \"50 g\", up_to = \"100 g\"",
            "class letter, further: a step over 100 g and up to 100 g holds nothing",
        ),
        (
            "by_zone = [\"5.00\", \"6.305\"]",
            "by_zone = [\"5.00\"]",
            "class parcel, step 2: by_zone has 1 prices, and the table 2 zones",
        ),
        (
            "by_zone = [\"5.00\", \"6.305\"]",
            "by_zone = [\"5.00\", \"5.00\"]",
            "class parcel, step 2: the price falls with weight in zone away: 5.00 up to 2000 g, 5.25 below",
        ),
        (
            "cubic_inches_per_lb = 200",
            "cubic_inches_per_lb = 0",
            "class parcel: cubic_inches_per_lb is zero, so it limits nothing",
        ),
        (
            "every = \"50 g\", up_to = \"500 g\"",
            "every = \"0.03 g\", up_to = \"500 g\"",
            "class letter, further: the table has 13334 further steps; 10000 is the most there is room for",
        ),
        // Discounts.
        (
            "pieces = 50\n",
            "",
            "class letter, discount town: a discount without pieces, the count that qualifies for it",
        ),
        (
            "pieces = 50\n",
            "pieces = 0\n",
            "class letter, discount town: a discount without pieces, the count that qualifies for it",
        ),
        (
            "pieces = 20\n",
            "pieces = 201\n",
            "class letter, discount bulk: the run must have 200 pieces, and 201 of them in one group: the run cannot be smaller",
        ),
        (
            "percent = \"12.5\"",
            "percent = \"12.5\"\noff = \"0.01\"",
            "class letter, discount town: a discount has exactly one of off, percent and steps; further goes with steps",
        ),
        (
            "percent = \"12.5\"",
            "",
            "class letter, discount town: a discount has exactly one of off, percent and steps; further goes with steps",
        ),
        (
            TOWN,
            "pieces = 50\nsteps = [{ over = \"0 g\", up_to = \"500 g\", price = \"0.70\" }]",
            "class letter, discount town: dearer than without it: 0.70 at 20 g, against 0.65",
        ),
        (
            TOWN,
            "pieces = 50\nsteps = [{ over = \"0 g\", up_to = \"400 g\", price = \"0.50\" }]",
            "class letter, discount town: its prices end at 400 g, those of the class at 500 g; they must hold for the same weights",
        ),
        (
            "percent = \"12.5\"",
            "percent = \"7.4\"",
            "class letter, discount town: dearer than region, which asks for less: 0.6019 at 20 g, against 0.60125",
        ),
        (
            "off = \"0.015\"",
            "off = \"0.70\"",
            "class letter, discount bulk: 0.70 off is more than the lowest price it may be taken from, 0.65",
        ),
        (
            "off = \"0.01\"",
            "off = \"0.57\"",
            "class letter, discount bundled: 0.57 off is more than the lowest price it may be taken from, 0.56875",
        ),
        (
            "off = \"0.01\"",
            "steps = [{ over = \"0 g\", up_to = \"500 g\", price = \"0.50\" }]",
            "class letter, discount bundled: a bundle discount goes with any presort discount, so it cannot have prices of its own; write off or percent",
        ),
        // Surcharges.
        (
            "price = \"3.00\"",
            "price = \"3.00\"\npercent = \"1\"",
            "surcharge long: a surcharge has exactly one of price and percent",
        ),
        (
            "classes = [\"parcel\"]\nprice",
            "classes = []\nprice",
            "surcharge long: a surcharge for no class is never due",
        ),
        (
            "where = { length_over = \"1000 mm\" }",
            "where = {}",
            "surcharge long: where says nothing; leave it out for a surcharge that is asked for",
        ),
        (
            "length_over = \"1000 mm\"",
            "length_over = \"1000 mm\", length_up_to = \"900 mm\"",
            "surcharge long: nothing has a length of at least 1000 mm and at most 900 mm",
        ),
        ("needs = [\"registered\"]", "needs = [\"personal\"]", "surcharge personal: it needs itself"),
        (
            "needs = [\"registered\"]",
            "needs = [\"long\"]",
            "surcharge personal: it needs long, which is not asked for but due by what a piece measures",
        ),
        (
            "classes = [\"letter\", \"parcel\"]\nprice = \"2.50\"",
            "classes = [\"letter\"]\nprice = \"2.50\"",
            "surcharge personal: it needs registered, which class parcel has not",
        ),
        // Zones and shapes.
        (
            "\"000-499\"",
            "\"0-499\"",
            "zones.area coast: \"0-499\" is not three digits such as 005, nor a range of them such as 010-069",
        ),
        (
            "\"000-499\"",
            "\"499-000\"",
            "zones.area coast: \"499-000\" is not three digits such as 005, nor a range of them such as 010-069",
        ),
        ("\"500-899\"", "\"499-899\"", "zones.area hills: the ZIPs 499xx are in the area coast already"),
        (
            "to = { coast = \"home\", hills = \"away\" }",
            "to = { coast = \"home\" }",
            "zones.area coast: there is no zone to the area hills",
        ),
        (
            "to = { coast = \"home\", hills = \"away\" }",
            "to = { coast = \"home\", hills = \"far\" }",
            "zones.area coast: there is no zone \"far\"; the table has home, away",
        ),
        (
            "to = { coast = \"home\", hills = \"away\" }",
            "to = { coast = \"home\", hills = \"away\", moor = \"away\" }",
            "zones.area coast: there is no area \"moor\"; the table has coast, hills",
        ),
        (
            "length = \"353 mm\"",
            "length = \"100 mm\"",
            "shape envelope: nothing has a length of at least 140 mm and at most 100 mm",
        ),
        ("length = \"353 mm\"", "length = \"0 mm\"", "shape envelope: a length is zero, so it limits nothing"),
    ];
    for (from, to, expected) in rows {
        let said = said(from, to);
        assert!(said.iter().any(|line| line == expected), "{to}:\n{}\nwanted: {expected}", said.join("\n"));
    }
}

#[test]
fn a_fault_stands_in_its_line_and_all_are_told() {
    let text = changed(POSTLAND, "version = 1\n", "version = 0\n");
    let text = changed(&text, STEP_2, r#"{ over = "25 g", up_to = "50 g", price = "0.60" }"#);
    let text = changed(&text, "pieces = 50\n", "");
    let line = |wanted: &str| 1 + text.lines().position(|line| line.contains(wanted)).unwrap();
    let error = Table::parse(&text).unwrap_err();
    let places: Vec<usize> = error.faults().iter().map(|fault| fault.line).collect();
    // What is wrong with the prices of a class hides its discounts.
    assert_eq!(places, [line("version = 0"), line("25 g"), line("25 g")], "{error}");
    let text = changed(POSTLAND, "pieces = 50\n", "");
    let error = Table::parse(&text).unwrap_err();
    assert_eq!(error.faults()[0].line, 1 + text.lines().position(|line| line == "name = \"town\"").unwrap());
    let text = changed(POSTLAND, "version = 1\n", "version = 1\nvat = 7\n");
    assert_eq!(
        Table::parse(&text).unwrap_err().faults()[0].line,
        1 + text.lines().position(|line| line == "vat = 7").unwrap()
    );
}

#[test]
fn tables_without_the_essentials() {
    let head = POSTLAND.split("[zones]").next().unwrap();
    let said = |text: &str| Table::parse(text).unwrap_err().to_string();
    assert!(said(head).ends_with("the table has no class, so nothing can be priced by it"), "{}", said(head));
    let class = "[[class]]\nname = \"a\"\ntitle = \"A\"\ncategory = \"A\"\nsteps = [";
    assert!(said(&format!("{head}{class}]")).ends_with("there is no step of weight, so nothing has a price"));
    let zoned = format!("{head}{class}{{ over = \"0 g\", up_to = \"1 g\", by_zone = [\"1.00\"] }}]");
    assert!(said(&zoned).ends_with("by_zone has prices for zones, but the table has no [zones]"), "{}", said(&zoned));
    let same = |pieces| {
        format!(
            "[[class.discount]]\nname = \"d{pieces}\"\nsorting = \"presort\"\nlevel = \"all\"\npieces = 5\noff = \"0.10\"\n"
        )
    };
    let twice =
        format!("{head}{class}{{ over = \"0 g\", up_to = \"1 g\", price = \"1.00\" }}]\n{}{}", same(1), same(2));
    assert!(said(&twice).contains("it is presort at the level all with 5 pieces, as d2 is; neither comes first"));
    // Per line, amounts finer than the unit are summed up before they are rounded.
    let per_line = changed(POSTLAND, "per = \"piece\"", "per = \"line\"");
    assert!(Table::parse(&changed(&per_line, "price = \"0.65\"", "price = \"0.651\"")).is_ok());
}

#[test]
fn pieces_without_a_price() {
    let (us, postland) = (us(), postland());
    let refused = |table: &Table, class: &str, piece: &Piece| {
        let tariff = full(table, class);
        let error = table.price(piece, &tariff).unwrap_err();
        assert_eq!(table.quote(piece, &tariff).unwrap_err(), error);
        error.to_string()
    };
    assert_eq!(refused(&us, "letter", &piece("3.501 oz")), "99.251 g is beyond class letter, which ends at 3.5 oz");
    assert_eq!(refused(&us, "letter", &piece("99.224 g")), "99.224 g is beyond class letter, which ends at 3.5 oz");
    assert_eq!(refused(&us, "flat", &piece("368.544 g")), "368.544 g is beyond class flat, which ends at 13 oz");
    let of_size = |size: &str| Piece { size: size.parse().ok(), ..piece("1 lb") };
    assert_eq!(
        refused(&us, "ground", &of_size("40 x 20 x 15 in")),
        "the length and girth is 110 in; class ground takes at most 108 in (shape parcel)"
    );
    assert_eq!(
        refused(&us, "letter", &of_size("11.5 x 6.126 x 0.1 in")),
        "the height is 6.126 in; class letter takes at most 6.125 in (shape letter)"
    );
    assert_eq!(
        refused(&us, "letter", &of_size("4.999 x 3.5 x 0.1 in")),
        "the length is 4.999 in; class letter takes at least 5 in (shape letter)"
    );
    // 26 x 26 x 15 in are 10,140 cubic inches: by 200 a pound 50.7 lb, which is more than 20 kg.
    assert_eq!(
        refused(&postland, "parcel", &of_size("26 x 26 x 15 in")),
        "26 in x 26 in x 15 in counts as more than class parcel holds, which ends at 20000 g"
    );
    assert_eq!(
        refused(&us, "ground", &Piece { size: None, ..piece("1 lb") }),
        "the price of class ground depends on what a piece measures, and that is missing"
    );
    let from_nowhere = Piece { origin: None, ..piece("1 lb") };
    assert_eq!(refused(&us, "ground", &from_nowhere), "class ground has zones: it takes the ZIP of the origin");
    let to_nowhere = Piece { destination: None, ..piece("1 lb") };
    assert_eq!(refused(&us, "ground", &to_nowhere), "class ground has zones: it takes the ZIP of the destination");
    let unknown = Piece { destination: "21301".parse().ok(), ..piece("1 oz") };
    for class in ["ground", "letter"] {
        assert_eq!(refused(&us, class, &unknown), "the ZIP 21301 is in no area of table us-domestic 1");
    }
    let with = |table: &Table, names: &[&str]| Piece { surcharges: table.surcharges(names).unwrap(), ..piece("1 oz") };
    assert_eq!(refused(&us, "letter", &with(&us, &["signature"])), "class letter has no surcharge signature");
    assert_eq!(
        refused(&us, "letter", &with(&us, &["return-receipt"])),
        "return-receipt takes certified as well, which was not asked for"
    );
}

#[test]
fn names_that_a_table_has_not() {
    let us = us();
    let class = us.class_named("flat").unwrap();
    assert_eq!(
        us.class_named("ballot").unwrap_err().to_string(),
        "table us-domestic 1 has no class \"ballot\"; it has postcard, letter, letter-metered, letter-nonautomation, flat, \
         marketing-letter, marketing-flat, nonprofit-letter, library, ground, ground-oversize"
    );
    assert_eq!(
        us.tariff(class, &["aadc"]).unwrap_err().to_string(),
        "class flat has no discount \"aadc\"; it has mixed-adc, 3-digit, 5-digit, 3-digit-bundle, 5-digit-bundle"
    );
    assert_eq!(
        us.tariff(class, &["5-digit", "3-digit"]).unwrap_err().to_string(),
        "the discounts 5-digit and 3-digit of class flat are both for presort; a piece has one of them"
    );
    // What is due by size cannot be asked for.
    assert_eq!(
        us.surcharges(&["length-22"]).unwrap_err().to_string(),
        "table us-domestic 1 has no surcharge \"length-22\" that can be asked for; it has nonmachinable, certified, return-receipt, \
         return-receipt-electronic, signature"
    );
}

#[test]
fn a_mark_names_its_tariff_by_its_category() {
    let us = us();
    let told = |category: &str| us.tariff_of(category.parse().unwrap()).map(|tariff| us.tariff_name(tariff));
    assert_eq!(told("FCM").as_deref(), Some("letter-metered"));
    assert_eq!(told("FCP5").as_deref(), Some("letter-metered, 5-digit"));
    assert_eq!(told("XXX"), None);
    // Every class of the mailing that ships has its category here.
    for category in ["FCL", "FCM", "FCP", "FCF", "MKTL", "MKTF", "NPL", "PRES", "LIB"] {
        assert!(told(category).is_some(), "{category}");
    }
    assert!(US.contains("It is not an official table"), "nobody takes it for one");
}

#[test]
fn tariffs_and_surcharges_of_another_table() {
    let (us, postland) = (us(), postland());
    let foreign = full(&us, "ground-oversize");
    assert_eq!(postland.price(&piece("20 g"), &foreign), Err(QuoteError::Tariff { table: "postland 1".to_owned() }));
    let surcharges = us.surcharges(&["signature"]).unwrap();
    let foreign = postland.price(&Piece { surcharges, ..piece("20 g") }, &full(&postland, "letter"));
    assert_eq!(foreign, Err(QuoteError::Tariff { table: "postland 1".to_owned() }));
}

use super::*;
use crate::digest::Digest;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn packing_list() -> PackingList {
    PackingList {
        barge: "1.2.3".to_owned(),
        images: vec![
            PackedImage {
                name: Some("ghcr.io/org/app:v1".to_owned()),
                digest: digest("index"),
                media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
                size: 10,
                platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
                referrers: vec![PackedReferrer { digest: digest("sbom"), artifact_type: Some("a/b".to_owned()) }],
            },
            PackedImage { name: None, platforms: Vec::new(), referrers: Vec::new(), ..first_image() },
        ],
        contents: vec![
            PackedContent { digest: digest("a"), size: 1, here: true, repositories: Vec::new() },
            PackedContent { digest: digest("b"), size: 2, here: false, repositories: vec!["h/r".to_owned()] },
        ],
        bases: vec![Base { place: "oci:/srv".to_owned(), list: Some(digest("receipt")) }],
        files: vec![CoveredFile::of("index.json", b"{}")],
        split: Some(Split { size: 100, parts: 3, part: Some(2) }),
    }
}

fn first_image() -> PackedImage {
    PackedImage {
        name: None,
        digest: digest("manifest"),
        media_type: "a/b".to_owned(),
        size: 1,
        platforms: Vec::new(),
        referrers: Vec::new(),
    }
}

fn note() -> PartNote {
    let section = |at, length| Section { at, length };
    PartNote {
        set: digest("set"),
        archive: "x.tar".to_owned(),
        mode: Mode::Stream,
        part: 2,
        parts: 3,
        size: 100,
        digest: digest("part"),
        offset: 100,
        length: 250,
        front: Some(section(0, 10)),
        pieces: vec![Piece { digest: digest("blob"), size: 80, from: 20, section: section(40, 60), is_stock: true }],
    }
}

#[test]
fn what_is_written_is_read_back() {
    let list = packing_list();
    assert_eq!(PackingList::parse(&list.encode()).unwrap(), list);
    assert_eq!(PackingList::parse(&PackingList::default().encode()).unwrap(), PackingList::default());
    assert!(list.is_delta() && list.left_out().count() == 1);
    let receipt = Receipt {
        barge: "1".to_owned(),
        made: Some("2026-11-21T00:00:00Z".to_owned()),
        places: vec!["oci:/srv".to_owned()],
        images: vec![ReceivedImage { name: None, digest: digest("a"), document: Some(("a/b".to_owned(), 7)) }],
        contents: vec![Received { digest: digest("a"), size: 1, repositories: vec!["h/r".to_owned()] }],
    };
    assert_eq!(Receipt::parse(&receipt.encode()).unwrap(), receipt);
    assert_eq!(Receipt::parse(&Receipt::default().encode()).unwrap(), Receipt::default());
    assert_eq!(PartNote::parse(&note().encode()).unwrap(), note());
    assert!(!note().pieces[0].is_whole());
}

#[test]
fn a_further_field_is_no_trouble_and_another_schema_is() {
    let with = |from: &str, to: &str| String::from_utf8(note().encode()).unwrap().replacen(from, to, 1);
    PartNote::parse(with("{", r#"{"new":[1],"#).as_bytes()).unwrap();
    let error = PartNote::parse(with("barge/part/v1", "barge/part/v2").as_bytes()).unwrap_err().to_string();
    assert_eq!(error, r#"the note.schema is "barge/part/v2", expected barge/part/v1"#);
    PackingList::parse(&note().encode()).unwrap_err();
    Receipt::parse(&packing_list().encode()).unwrap_err();
}

#[test]
fn a_note_that_cannot_be_is_refused() {
    type Spoil = fn(&mut PartNote);
    let broken: [(&str, Spoil); 9] = [
        ("the number 0", |note| note.part = 0),
        ("a number behind the last", |note| note.part = 4),
        ("no parts", |note| note.parts = 0),
        ("too many parts", |note| note.parts = 10_000),
        ("a part behind the end", |note| note.offset = 151),
        ("a front outside", |note| note.front = Some(Section { at: 95, length: 6 })),
        ("a piece outside its part", |note| note.pieces[0].section.at = 41),
        ("a piece outside its content", |note| note.pieces[0].from = 21),
        ("a path", |note| note.archive = "../x.tar".to_owned()),
    ];
    for (what, spoil) in broken {
        let mut note = note();
        spoil(&mut note);
        assert!(PartNote::parse(&note.encode()).is_err(), "{what}");
    }
    let huge =
        String::from_utf8(note().encode()).unwrap().replace(r#""offset":100"#, r#""offset":9223372036854775807"#);
    assert!(PartNote::parse(huge.as_bytes()).is_err(), "sums that overflow");
}

#[test]
fn parts_in_the_order_of_their_names_are_the_archive() {
    for (parts, first, last) in
        [(1, "x.tar.001", "x.tar.001"), (99, "x.tar.001", "x.tar.099"), (100, "x.tar.0001", "x.tar.0100")]
    {
        let names = PartNames { archive: "x.tar".to_owned(), mode: Mode::Stream, parts };
        assert_eq!((names.part(1).as_str(), names.part(parts).as_str()), (first, last));
        // what `x.tar.0*` means in a shell
        let globbed = |name: &str| name.starts_with("x.tar.0");
        assert!((1..=parts).all(|part| globbed(&names.part(part)) && !globbed(&names.note(part))));
        assert!(!globbed(&names.sums()));
        assert_eq!(PartNames::recognised(last), Some(("x.tar".to_owned(), Mode::Stream, parts)));
    }
    let names = PartNames { archive: "x.tar".to_owned(), mode: Mode::Archive, parts: 12 };
    assert_eq!((names.part(12).as_str(), names.note(1).as_str()), ("x.012.tar", "x.tar.part-001.json"));
    assert_eq!(PartNames::recognised("x.012.tar"), Some(("x.tar".to_owned(), Mode::Archive, 12)));
    for other in ["x.tar", "x.tar.12", "x.tar.000", "x.tar.00x", ".001", "x.tar.part-001.json", "x.1.tar", "x.tar.123"]
    {
        assert_eq!(PartNames::recognised(other), None, "{other}");
    }
}

#[test]
fn a_medium_is_known_by_its_name_and_parts_are_whole_sectors() {
    for medium in Medium::ALL {
        assert_eq!(medium.name().parse(), Ok(medium));
        assert_eq!(medium.part_size() % 2048, 0);
    }
    assert!("floppy".parse::<Medium>().is_err());
    assert!(Medium::Fat32.part_size() < 1 << 32);
}

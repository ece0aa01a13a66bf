use super::*;
use crate::media::OCI_MANIFEST;

const FULL: &str = "docker.io/library/app:v1";

fn edit(current: Option<&[u8]>, roots: &[Descriptor]) -> Result<Option<Vec<u8>>, JsonError> {
    super::edit(current, roots, &[])
}

/// What is shown, what stands there, what comes, and what stands there then.
type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

/// A descriptor written as `content full-name ref-name`, `-` for none.
fn descriptor(text: &str) -> Descriptor {
    let words: Vec<&str> = text.split(' ').collect();
    let mut descriptor = Descriptor::of(&OCI_MANIFEST.into(), words[0].as_bytes());
    for (annotation, name) in [CONTAINERD_NAME, REF_NAME].into_iter().zip(&words[1..]) {
        if *name != "-" {
            descriptor = descriptor.with_annotation(annotation, name);
        }
    }
    descriptor
}

fn descriptors(texts: &[&str]) -> Vec<Descriptor> {
    texts.iter().map(|text| descriptor(text)).collect()
}

fn index(texts: &[&str]) -> Vec<u8> {
    edit(None, &descriptors(texts)).unwrap().unwrap()
}

#[test]
fn names_are_given_and_taken_by_the_table() {
    let other = "quay.io/team/app:v1";
    let of = |content: &str, full: &str, reference: &str| format!("{content} {full} {reference}");
    let (full_a, full_b) = (of("a", FULL, "v1"), of("b", FULL, "v1"));
    let (bare_a, bare_b) = (of("a", "-", "v1"), of("b", "-", "v1"));
    let other_a = of("a", other, "v1");
    let spelled_a = of("a", "-", FULL);
    let only_full = of("a", FULL, "-");
    let cases: [Case<'_>; 20] = [
        ("equal: nothing", &[&full_a], &[&full_a], &[&full_a]),
        ("new: at the end", &["x - x", &other_a], &[&full_b], &["x - x", &other_a, &full_b]),
        ("in the order given", &["x - x"], &["b - b", "a - a"], &["x - x", "b - b", "a - a"]),
        ("replaced in place", &[&full_a, "x - x"], &[&full_b], &[&full_b, "x - x"]),
        ("bare replaces bare", &["x - x", &bare_a, "y - y"], &[&bare_b], &["x - x", &bare_b, "y - y"]),
        ("further holders go", &["x - x", &bare_a, "c - v1", "y - y"], &[&bare_b], &["x - x", &bare_b, "y - y"]),
        ("a tag is not a name", &[&other_a], &[&full_b], &[&other_a, &full_b]),
        ("a bare tag is another image", &[&bare_a], &[&full_b], &[&bare_a, &full_b]),
        ("a full name in ref.name is the name", &[&spelled_a], &[&full_b], &[&full_b]),
        ("and the other way round", &[&full_a], &[&of("b", "-", FULL)], &[&of("b", "-", FULL)]),
        ("a new bare tag takes the annotation", &[&full_a], &[&bare_b], &[&only_full, &bare_b]),
        ("another ref.name stays", &[&of("a", FULL, "mine")], &[&full_b], &["a - mine", &full_b]),
        ("both names claimed", &[&of("a", FULL, "x")], &[&of("b", FULL, "x")], &[&of("b", FULL, "x")]),
        ("the same content under a second name", &[&full_a], &["a - x"], &[&full_a, "a - x"]),
        ("an equal one takes the name from others", &[&full_a, &full_b], &[&full_b], &[&full_b]),
        ("what comes together stays together", &["x - v1"], &[&bare_a, &bare_b], &[&bare_a, &bare_b]),
        ("and again", &[&bare_a, &bare_b], &[&bare_a, &bare_b], &[&bare_a, &bare_b]),
        ("unnamed: once", &[&full_a], &["a - -", "b - -", "b - -"], &[&full_a, "b - -"]),
        ("an unnamed one gets its name", &["a - -", "x - x"], &[&full_a], &[&full_a, "x - x"]),
        ("an empty name is none", &["x  "], &["a - -"], &["x  ", "a - -"]),
    ];
    for (case, before, coming, after) in cases {
        let before = index(before);
        let edited = edit(Some(&before), &descriptors(coming)).unwrap();
        let after = index(after);
        let shown = String::from_utf8_lossy(edited.as_ref().unwrap_or(&before)).into_owned();
        assert_eq!(parse(shown.as_bytes()), parse(&after), "{case}: {shown}");
        assert_eq!(edited.is_none(), before == after, "{case}: written without a change");
        let again = edit(Some(shown.as_bytes()), &descriptors(coming)).unwrap();
        assert_eq!(again, None, "{case}: a second run changed it again");
    }
}

#[test]
fn a_bare_tag_beside_a_full_one_survives_the_second_run() {
    // the table above runs every case twice, but with the roots of one commit: here two commits take turns
    let full = descriptors(&[&format!("a {FULL} v1")]);
    let bare = descriptors(&["b - v1"]);
    let one = edit(Some(&edit(None, &full).unwrap().unwrap()), &bare).unwrap().unwrap();
    let two = edit(Some(&one), &full).unwrap().unwrap();
    let names: Vec<_> =
        parse(&two).unwrap().iter().map(|root| claims(root).map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(names, [vec![FULL.to_owned()], vec!["v1".to_owned()]]);
}

#[test]
fn an_unnamed_descriptor_that_says_more_stays() {
    let said = descriptor("a - -").with_annotation("kind", "dev.hauler/x");
    let before = edit(None, std::slice::from_ref(&said)).unwrap().unwrap();
    let after = parse(&edit(Some(&before), &descriptors(&["a - v1"])).unwrap().unwrap()).unwrap();
    assert_eq!(after, [said, descriptor("a - v1")]);
}

#[test]
fn what_is_not_meant_keeps_its_bytes() {
    let (a, b) = (crate::digest::Digest::of(b"a"), crate::digest::Digest::of(b"b"));
    let kept = format!(
        r#"{{ "size" : 1,"digest":"{a}" , "odd":1.50, "mediaType":"{OCI_MANIFEST}","annotations":{{"k":"\u0041"}}}}"#
    );
    let trimmed = |names: &str| {
        format!(
            r#"{{"size":1,"x":[ 1 ],"annotations":{{"z":"\u0042"{names},"a":"1"}},"digest":"{b}","mediaType":"{OCI_MANIFEST}"}}"#
        )
    };
    let holder = trimmed(&format!(r#","{REF_NAME}":"v1","{CONTAINERD_NAME}":"{FULL}""#));
    let before = format!(
        "{{\n  \"x-first\": {{ \"b\":1, \"a\":[ ] }},\"manifests\" : [\n{kept},{holder} ],\"schemaVersion\":2,\"odd\":1e3}}\n"
    );
    let after = edit(Some(before.as_bytes()), &descriptors(&["c - v1"])).unwrap().unwrap();
    let left = trimmed(&format!(r#","{CONTAINERD_NAME}":"{FULL}""#));
    let new = String::from_utf8(json::encode(&descriptor("c - v1").to_value())).unwrap();
    let expected =
        format!(r#"{{"x-first":{{ "b":1, "a":[ ] }},"manifests":[{kept},{left},{new}],"schemaVersion":2,"odd":1e3}}"#);
    assert_eq!(String::from_utf8(after).unwrap(), expected);
}

#[test]
fn annotations_that_become_empty_go() {
    let before = index(&[&format!("a {FULL} v1")]);
    let one = edit(Some(&before), &descriptors(&["b - v1"])).unwrap().unwrap();
    assert!(!String::from_utf8(one).unwrap().contains("{}"));
}

#[test]
fn a_new_index_is_canonical() {
    let text = String::from_utf8(index(&["a - v1"])).unwrap();
    assert!(text.starts_with(r#"{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"v1"},"digest":"#));
    assert!(text.ends_with(r#""mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#), "{text}");
    assert_eq!(parse(&edit(None, &[]).unwrap().unwrap()).unwrap(), []);
}

#[test]
fn an_index_without_a_list_gets_one_and_a_torn_one_is_refused() {
    for text in [r#"{"schemaVersion":2}"#, r#"{"schemaVersion":2,"manifests":null}"#] {
        assert_eq!(edit(Some(text.as_bytes()), &[]).unwrap(), None);
        let after = edit(Some(text.as_bytes()), &descriptors(&["a - v1"])).unwrap().unwrap();
        assert_eq!(parse(&after).unwrap(), descriptors(&["a - v1"]));
    }
    for text in ["", "{", "[]", "{}", r#"{"schemaVersion":2,"manifests":[{}]}"#, r#"{"schemaVersion":2,"layers":[]}"#] {
        edit(Some(text.as_bytes()), &descriptors(&["a - v1"])).unwrap_err();
    }
}

#[test]
fn a_tag_that_another_repository_has_is_spelled_in_full() {
    let one = edit(None, &descriptors(&["a x/y:v1 v1", "b x/z:v1 v1", "c - v2"])).unwrap().unwrap();
    assert_eq!(parse(&one).unwrap(), descriptors(&["a x/y:v1 v1", "b x/z:v1 x/z:v1", "c - v2"]));
    // whoever comes again is spelled as before, and so nothing changes
    for again in [&["a x/y:v1 v1"][..], &["b x/z:v1 v1"], &["b x/z:v1 v1", "a x/y:v1 v1"]] {
        assert_eq!(edit(Some(&one), &descriptors(again)).unwrap(), None, "{again:?}");
    }
    // a bare tag is another image too, also when it comes later
    let together = edit(None, &descriptors(&["a x/y:v1 v1", "b - v1"])).unwrap().unwrap();
    assert_eq!(parse(&together).unwrap(), descriptors(&["a x/y:v1 x/y:v1", "b - v1"]));
    let bare = edit(Some(&one), &descriptors(&["d x/w:v2 v2"])).unwrap().unwrap();
    assert_eq!(parse(&bare).unwrap()[3], descriptor("d x/w:v2 x/w:v2"));
}

#[test]
fn a_name_that_moves_is_told_with_what_it_meant() {
    let held = descriptors(&["a x/y:v1 v1", "b - v2"]);
    assert_eq!(displaced(&held, &descriptors(&["a x/y:v1 v1", "c - v3"])), []);
    let moved = displaced(&held, &descriptors(&["c x/y:v1 v1", "c - v2"]));
    let of = |content: &str| Digest::of(content.as_bytes());
    assert_eq!(moved, [("x/y:v1".to_owned(), of("a")), ("v2".to_owned(), of("b"))]);
}

#[test]
fn what_goes_leaves_the_rest_as_it_is() {
    let before = br#"{ "schemaVersion": 2, "odd": 1.0, "manifests": []}"#;
    let held = super::edit(Some(before), &descriptors(&["a x v1", "b y v1", "b z v1"]), &[]).unwrap().unwrap();
    let after = super::edit(Some(&held), &[], &descriptors(&["b y v1"])).unwrap().unwrap();
    assert_eq!(parse(&after).unwrap(), descriptors(&["a x v1", "b z v1"]));
    assert!(after.starts_with(br#"{"schemaVersion":2,"odd":1.0,"#));
    assert_eq!(super::edit(Some(&after), &[], &descriptors(&["b y v1"])).unwrap(), None);
    let replaced = super::edit(Some(&after), &descriptors(&["c - -"]), &descriptors(&["a x v1"])).unwrap().unwrap();
    assert_eq!(parse(&replaced).unwrap(), descriptors(&["b z v1", "c - -"]));
    // what comes in its stead has its place
    let smaller = super::edit(Some(&after), &descriptors(&["d z v1", "c x v1"]), &descriptors(&["a x v1", "b z v1"]));
    assert_eq!(parse(&smaller.unwrap().unwrap()).unwrap(), descriptors(&["c x v1", "d z v1"]));
}

#[test]
fn of_what_has_nothing_to_do_with_what_comes_nothing_is_kept() {
    let coming = descriptors(&[&format!("new {FULL} v1"), "same - -"]);
    let mut standing = Standing::of(&coming);
    for at in 0..1000 {
        standing.enter(at, &descriptor(&format!("image{at} x/y:v{at}0 v{at}0")));
    }
    let kept = |standing: &Standing<'_>| {
        let Standing { by_text, by_digest, unnamed } = standing;
        let lists = by_text.values().chain(by_digest.values()).chain(unnamed.values());
        lists.map(Vec::len).sum::<usize>()
    };
    assert_eq!(kept(&standing), 0);
    standing.enter(1000, &descriptor(&format!("old {FULL} v1")));
    standing.enter(1001, &descriptor("same - -"));
    assert_eq!((standing.with_text("v1"), standing.concerned(&coming[0])), (&[1000][..], vec![1000]));
    assert_eq!((standing.concerned(&coming[1]), kept(&standing)), (vec![1001], 4));
}

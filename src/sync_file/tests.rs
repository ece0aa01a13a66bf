use super::*;
use crate::digest::Digest;

fn read(text: &str) -> Result<SyncFile, FileError> {
    SyncFile::parse("barge.yaml", text.as_bytes())
}

/// An entry with everything around what is looked at.
fn with(source: &str, target: &str, rest: &str) -> String {
    format!("sync:\n- from:\n  - {source}\n  to:\n  - {target}\n{rest}")
}

fn from(source: &str) -> String {
    with(source, "{layout: dist}", "")
}

fn to(target: &str) -> String {
    with("{layout: in}", target, "")
}

#[test]
fn a_file_says_what_goes_where() {
    let text = "\
images: [nginx:1.25]
sync:
- name: mirror
  from:
  - registry: quay.io/org/app
    tags: {semver: '>=1.2', newest: 3}
  - {registry: alpine, tags: ['3.20', latest]}
  - {registry: 'localhost:5000/team/*', tags: {regex: .}}
  - {archive: 'in/*.tar', verify-key: [vendor.pub], images: [ghcr.io/**]}
  - {list: images.txt}
  platforms: [linux/amd64]
  index: keep
  referrers: [cosign]
  rename: registry.example/{name}:{tag}
  require-signature: [release.pub]
  to:
  - registry: registry.example/mirror
  - bundle: out.tar
    media: dvd
    base: [receipt.json]
- from: [{layout: x}]
  to: [{archive: y.tar, rename: '{name}:{tag}'}]
";
    let file = read(text).unwrap();
    let [first, second] = &file.entries[..] else { panic!("{file:?}") };
    assert_eq!((first.name.as_str(), second.name.as_str()), ("mirror", "entry 2"));
    let sources: Vec<String> = first.sources.iter().map(ToString::to_string).collect();
    assert_eq!(
        sources,
        [
            "registry quay.io/org/app, tags semver \">=1.2\" newest 3",
            "registry docker.io/library/alpine, tags 3.20 latest",
            "registry localhost:5000/team/*, tags regex \".\"",
            "archive in/*.tar, images ghcr.io/**",
            "list images.txt",
        ]
    );
    assert!(first.keep_index && !first.platforms.is_all());
    assert_eq!(first.referrers, Belonging::Types(vec!["cosign".to_owned()]));
    assert_eq!(first.targets[0].kind.to_string(), "registry registry.example/mirror");
    let TargetKind::Bundle(bundle) = &first.targets[1].kind else { panic!("{first:?}") };
    assert_eq!(bundle.split.map(|(size, _)| size), Some(crate::bundle::Medium::Dvd.part_size()));
    assert_eq!(second.targets[0].rename.as_ref().unwrap().to_string(), "{name}:{tag}");
    assert_eq!(first.sources[1].at.to_string(), "barge.yaml:7:5");
}

#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    let rest = |rest: &str| with("{layout: in}", "{layout: out}", rest);
    let mut odd = Vec::new();
    for (text, position, said) in [
        (String::new(), None, "it is empty"),
        ("a: b".to_owned(), Some((1, 1)), "this has no `sync:`"),
        ("images: [a]".to_owned(), Some((1, 1)), "this is a list of images, and has no `sync:`"),
        ("sync: x".to_owned(), Some((1, 7)), "sync has to be a list, and is a text"),
        ("sync: []".to_owned(), Some((1, 7)), "sync is an empty list"),
        ("sync: [x]".to_owned(), Some((1, 8)), "an entry has to be a mapping, and is a text"),
        ("sync: [{to: [{layout: a}]}]".to_owned(), Some((1, 8)), "an entry needs `from:`"),
        ("sync: [{from: [{layout: a}]}]".to_owned(), Some((1, 8)), "an entry needs `to:`"),
        ("sync:\n- form: []".to_owned(), Some((2, 3)), "the key \"form\" is not known here"),
        ("sync: []\n---\nsync: []".to_owned(), Some((3, 1)), "it has several documents"),
        ("sync: [{from: []".to_owned(), Some((1, 8)), "it is not well formed"),
        (from("x"), Some((3, 5)), "a source has to be a mapping, and is a text"),
        (from("{tags: [a]}"), Some((3, 5)), "a source needs one of `registry:`, `layout:`, `archive:`, `list:`"),
        (from("{layout: a, archive: b}"), Some((3, 26)), "a source is one thing, and this is layout and archive"),
        (from("{layout: 1}"), Some((3, 14)), "layout has to be a text, and is a number"),
        (from("{layout: 'oci:a'}"), Some((3, 14)), "oci: is no part of a path"),
        (from("{layout: '-'}"), Some((3, 14)), "standard input and output cannot be used here"),
        (from("{layout: a/**/b}"), Some((3, 14)), "** has no meaning in a path here"),
        (from("{layout: 'a/[b'}"), Some((3, 14)), "is no pattern"),
        (from("{layout: a, verify-key: [k]}"), Some((3, 29)), "verify-key cannot stand here"),
        (from("{list: a, tags: [b]}"), Some((3, 21)), "tags cannot stand here"),
        (from("{registry: quay.io/org/app}"), Some((3, 16)), "it is not said which tags are meant"),
        (from("{registry: quay.io/Org/app, tags: [a]}"), Some((3, 16)), "a repository has no upper-case letters"),
        (from("{registry: 'quay.io/a:v1', tags: [a]}"), Some((3, 38)), "tags cannot stand here"),
        (from("{registry: 'quay*/a', tags: [a]}"), Some((3, 16)), "does not say the registry"),
        (from("{registry: 'quay.io/a*:v1', tags: [a]}"), Some((3, 16)), "has a tag or a digest, and wildcards"),
        (
            from("{registry: quay.io/a, tags: [3.20]}"),
            Some((3, 34)),
            "an item of tags has to be a text, and is a number",
        ),
        (from("{registry: quay.io/a, tags: [a b]}"), Some((3, 34)), "\"a b\" is no tag"),
        (from("{registry: quay.io/a, tags: x}"), Some((3, 33)), "tags has to be a list of tags or a mapping"),
        (from("{registry: quay.io/a, tags: {}}"), Some((3, 33)), "tags needs regex, semver or newest"),
        (from("{registry: quay.io/a, tags: {regex: '('}}"), Some((3, 41)), "is no regular expression"),
        (from("{registry: quay.io/a, tags: {semver: x.y}}"), Some((3, 42)), "is no range of versions"),
        (from("{registry: quay.io/a, tags: {newest: 0}}"), Some((3, 42)), "newest has to be a number from 1 to 1000"),
        (from("{registry: quay.io/a, tags: {newest: -1}}"), Some((3, 42)), "newest has to be a number from 1 to 1000"),
        (from("{registry: quay.io/a, tags: {newest: 1, by: name}}"), Some((3, 49)), "by has to be version or created"),
        (from("{registry: quay.io/a, tags: {regex: a, by: created}}"), Some((3, 48)), "by needs newest"),
        (from("{registry: quay.io/a, tags: {newest: 1, prereleases: 1}}"), Some((3, 58)), "true or false"),
        (from("{registry: quay.io/a, tags: {smever: x}}"), Some((3, 34)), "the key \"smever\" is not known here"),
        (to("{registry: quay.io/a:v1}"), Some((5, 16)), "quay.io/a:v1 is an image, and a registry is meant"),
        (to("{registry: ./a}"), Some((5, 16)), "it looks like a path"),
        (to("{layout: a, split: 1G}"), Some((5, 24)), "split stands beside `bundle:` alone"),
        (to("{bundle: a, split: 1X}"), Some((5, 24)), "split has to be a size"),
        (to("{bundle: a, media: tape}"), Some((5, 24)), "expected fat32, cd, dvd or bd25"),
        (to("{bundle: a, media: dvd, split: 1G}"), Some((5, 24)), "split and media say the same"),
        (to("{bundle: a, split-mode: archive}"), Some((5, 29)), "split-mode needs a size"),
        (to("{bundle: a, split: 1G, split-mode: archives}"), Some((5, 40)), "has to be stream or archive"),
        (to("{bundle: a, base-key: [k]}"), Some((5, 27)), "base-key needs a base"),
        (rest("  rename: 'a/{nam}:{tag}'\n"), Some((6, 11)), "it has no field \"nam\""),
        (rest("  rename: {name}:{tag}\n"), Some((6, 17)), "it is not well formed"),
        (rest("  rename: {name}\n"), Some((6, 11)), "rename has to be a text, and is a mapping"),
        (rest("  rename: '{{ x }}'\n"), Some((6, 11)), "this is a template"),
        (rest("  platforms: [a/b/c/d]\n"), Some((6, 14)), "a/b/c/d"),
        (rest("  referrers: some\n"), Some((6, 14)), "referrers has to be all, none or a list of types"),
        (rest("  referrers: [sbom]\n"), Some((6, 15)), "is no type of artifact"),
        (rest("  index: smaller\n"), Some((6, 10)), "index has to be shrink or keep"),
        (rest("  name: a\n  name: b\n"), Some((7, 3)), "the key \"name\" is there twice"),
    ] {
        let error = read(&text).expect_err(&text);
        if error.position != position || !error.message.contains(said) {
            odd.push(format!("{text}\n{error}\nexpected {position:?} {said}"));
        }
        let place =
            position.map_or_else(|| "barge.yaml".to_owned(), |(line, column)| format!("barge.yaml:{line}:{column}"));
        assert!(error.to_string().starts_with(&format!("cannot use {place}: ")), "{error}");
    }
    assert!(odd.is_empty(), "{}", odd.join("\n\n"));
}

#[test]
fn a_mistyped_field_is_told_with_the_one_that_was_meant() {
    for (text, hint) in [
        ("sync:\n- form: []".to_owned(), "did you mean from ?"),
        (to("{bundel: a}"), "did you mean bundle ?"),
        (from("{registry: quay.io/a, tags: [3.20]}"), "write it in quotes"),
        (with("{layout: a}", "{layout: b, rename: 'x:{tga}'}", ""), "did you mean {tag} ?"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{text}\n{error:?}");
    }
}

#[test]
fn too_much_is_refused() {
    let entries = "- {from: [{layout: a}], to: [{layout: b}]}\n".repeat(1001);
    assert!(read(&format!("sync:\n{entries}")).unwrap_err().message.contains("more than 1000 items"));
    let long = "a".repeat(2000);
    for (text, said) in [
        (from(&format!("{{registry: quay.io/a, tags: {{regex: {long}}}}}")), "longer than 1000 bytes"),
        (from("{registry: quay.io/a, tags: {regex: '(((a{1000}){1000}){1000})'}}"), "is no regular expression"),
        (from(&format!("{{layout: 'a{}'}}", "?".repeat(5000))), "longer than 4096 bytes"),
        (with("{layout: a}", &format!("{{layout: b, rename: '{long}:{{tag}}'}}"), ""), "longer than 1024 bytes"),
        ("sync: ".to_owned() + &"[".repeat(200), "it is not well formed"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.message.contains(said), "{error}");
    }
}

#[test]
fn a_lock_has_one_text_and_comes_back_from_it() {
    let image = |place: Option<&str>, name: Option<&str>, bytes: &[u8]| LockedImage {
        place: place.map(str::to_owned),
        name: name.map(str::to_owned),
        digest: Digest::of(bytes),
    };
    let mut lock = Lock {
        sources: vec![
            LockedSource {
                source: "registry quay.io/a, tags regex \"^v\\\\d\"".to_owned(),
                images: vec![image(None, Some("quay.io/a:v2"), b"2"), image(None, Some("quay.io/a:v1"), b"1")],
            },
            LockedSource {
                source: "layout ü/\u{202e}\u{1f600}*".to_owned(),
                images: vec![image(Some("ü/x: y"), None, b"3")],
            },
        ],
    };
    let text = lock.to_text();
    let expected = format!(
        "# Written by `barge lock`: what the sources gave then. `barge sync --locked` takes this and nothing else.\n\
         schema: barge/lock/v1\nsources:\n- source: \"registry quay.io/a, tags regex \\\"^v\\\\\\\\d\\\"\"\n  images:\n\
         \x20 - name: \"quay.io/a:v1\"\n    digest: \"{}\"\n  - name: \"quay.io/a:v2\"\n    digest: \"{}\"\n\
         - source: \"layout \\u00fc/\\u202e\\U0001f600*\"\n  images:\n  - in: \"\\u00fc/x: y\"\n    digest: \"{}\"\n",
        Digest::of(b"1"),
        Digest::of(b"2"),
        Digest::of(b"3"),
    );
    assert_eq!(text, expected);
    lock.sources[0].images.reverse();
    assert_eq!(lock.to_text(), text, "the order of discovery leaves no trace");
    assert_eq!(Lock::parse("barge.lock", text.as_bytes()).unwrap(), lock);
    for (text, said) in [
        ("schema: barge/lock/v2\nsources: []", "no lock of a version that is known"),
        ("sources: []", "no lock of a version that is known"),
        ("schema: barge/lock/v1\nsources: [{source: a, images: [{name: b}]}]", "`digest:` is absent"),
        ("schema: barge/lock/v1\nsources: [{source: a, images: [{digest: b}]}]", "this is no digest"),
        ("schema: barge/lock/v1\nsources: [{images: []}]", "`source:` is absent"),
        ("schema: barge/lock/v1\nextra: 1", "the key \"extra\" is not known here"),
        ("<<<<<<< HEAD", "no lock of a version that is known"),
    ] {
        let error = Lock::parse("barge.lock", text.as_bytes()).unwrap_err();
        assert!(error.message.contains(said), "{text}: {error}");
        assert_eq!(
            error
                .hint
                .as_deref()
                .map(|hint| hint.contains("barge lock") || hint.contains("did you mean") || hint.contains("may stand")),
            Some(true)
        );
    }
}

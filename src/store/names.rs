//! Names: how a commit changes `index.json`, the same for a layout and for an archive.
//!
//! Pure: bytes in, bytes out. What the edit does not mean to change keeps its bytes and its place: unknown fields of the
//! top level, descriptors of other images, their order.
//!
//! A name stands in an annotation of a top-level descriptor: a full name in `io.containerd.image.name`, and in
//! `org.opencontainers.image.ref.name` a tag, or any text (image-spec v1.1.1, annotations.md). A tag that only repeats the
//! end of the full name beside it is no name of its own: two repositories may both have a `v1`. So a descriptor **claims**
//!
//! - its full name, when it has one;
//! - its `ref.name`, when it has no full name, or when that text is not the end of the full name after a `/` or a `:`.
//!
//! A commit gives each coming descriptor what it claims:
//!
//! | an old descriptor | becomes |
//! |---|---|
//! | equal to a coming one | itself: nothing is written when this is so for all |
//! | holds a claimed name in either annotation, and no other name | the first gives its place to the new one, further ones go |
//! | holds a claimed name in one annotation, and another name in the other | itself without that annotation |
//! | has no name, the same content, and says nothing that the new one does not say | gives its place to the new one |
//! | anything else | itself |
//!
//! Programs that know an image by its tag alone take the first that has it. So a coming descriptor whose `ref.name` is the tag
//! of its full name gets the full name there when a descriptor of another name has the tag already. This is decided here,
//! under the lock, and not by whoever makes the descriptor.
//!
//! Three cases that follow: `docker.io/library/app:v1` with the tag `v1` neither replaces another repository's `v1` nor a
//! descriptor with the bare name `v1`; it does replace one whose `ref.name` is the full name; a new bare `v1` takes that
//! annotation from all others, which keep their full names. Descriptors that come together never displace each other: a
//! flat index, where every platform has the same name, is kept as it is. Content is never removed by a commit.
//!
//! A descriptor that is to go leaves its place to a coming one that says the same in its annotations: an image that became
//! smaller stays where it was. Where several do, the one for the same platform is preferred.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::json;
use serde_json::value::RawValue;

use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::Body;
use crate::json::{self, JsonError, Object};
use crate::media::OCI_INDEX;

/// Parses the top-level descriptors of an `index.json` (image-spec v1.1.1, image-layout.md, "index.json file").
///
/// # Errors
/// When it is no strict JSON, no image index, or a descriptor in it is unusable.
pub fn parse(bytes: &[u8]) -> Result<Vec<Descriptor>, JsonError> {
    match Body::parse(&OCI_INDEX.into(), bytes)? {
        Body::Index(index) => Ok(index.manifests),
        Body::Manifest(_) => unreachable!("parsed as an index above"),
    }
}

/// As [`Present::edit`], of an `index.json` about which nothing else is asked.
///
/// # Errors
/// As [`Present::read`].
pub fn edit(current: Option<&[u8]>, roots: &[Descriptor], gone: &[Descriptor]) -> Result<Option<Vec<u8>>, JsonError> {
    Present::read(current)?.edit(roots, gone)
}

/// An `index.json` as it stands, or none: read once, however much is asked of it before it is changed.
#[derive(Debug)]
pub struct Present<'b> {
    bytes: Option<&'b [u8]>,
    held: Cow<'b, [Descriptor]>,
}

impl<'b> Present<'b> {
    /// Reads an `index.json`.
    ///
    /// # Errors
    /// When it is not what it must be: it is then to be left as it is.
    pub fn read(bytes: Option<&'b [u8]>) -> Result<Self, JsonError> {
        Ok(Self { bytes, held: Cow::Owned(bytes.map(parse).transpose()?.unwrap_or_default()) })
    }

    /// Takes an `index.json` with what [`parse`] has made of it, or none.
    #[must_use]
    pub fn of(known: Option<(&'b [u8], &'b [Descriptor])>) -> Self {
        let (bytes, held) = known.unzip();
        Self { bytes, held: Cow::Borrowed(held.unwrap_or_default()) }
    }

    /// Returns its descriptors.
    #[must_use]
    pub fn held(&self) -> &[Descriptor] {
        &self.held
    }

    /// Returns the first descriptor that is to go and is there no longer: another process came before, and what was planned
    /// for what it found is not to undo what it did.
    #[must_use]
    pub fn lost(&self, gone: &[Descriptor]) -> Option<Descriptor> {
        if gone.is_empty() {
            return None;
        }
        let held = Same::of(&self.held);
        gone.iter().find(|gone| !held.has(gone)).cloned()
    }

    /// Gives roots their names, after taking out the descriptors that are to go, and returns what is to stand there then;
    /// `None` when nothing changes. The page above has the rules.
    ///
    /// # Errors
    /// None of an `index.json` that was read.
    pub fn edit(&self, roots: &[Descriptor], gone: &[Descriptor]) -> Result<Option<Vec<u8>>, JsonError> {
        let Some(bytes) = self.bytes else {
            let entries = named(Vec::new(), roots, gone)?;
            let manifests: Vec<_> = entries.iter().map(|entry| entry.descriptor.to_value()).collect();
            let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
            return Ok(Some(json::encode(&index)));
        };
        let mut index = Object::of_parsed(bytes)?; // read strictly before
        let items = index.borrowed_items("manifests");
        let entries = self.held.iter().zip(&items);
        let entries = entries.map(|(held, raw)| Entry { descriptor: held.clone(), raw: Cow::Borrowed(raw) });
        let after: Vec<_> = named(entries.collect(), roots, gone)?.into_iter().map(|entry| entry.raw).collect();
        if after.iter().map(|raw| raw.get()).eq(items.iter().map(|raw| raw.get())) {
            return Ok(None);
        }
        let manifests = json::list_of(&after);
        index.set("manifests", manifests);
        Ok(Some(index.to_bytes()))
    }
}

/// Descriptors among which one is looked for again and again.
struct Same<'d>(HashMap<&'d Digest, Vec<&'d Descriptor>>);

impl<'d> Same<'d> {
    fn of(descriptors: &'d [Descriptor]) -> Self {
        let mut same: HashMap<_, Vec<_>> = HashMap::new();
        for descriptor in descriptors {
            same.entry(descriptor.digest()).or_default().push(descriptor);
        }
        Self(same)
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        self.0.get(descriptor.digest()).is_some_and(|same| same.contains(&descriptor))
    }
}

/// Returns the names that mean other content once some roots have theirs: each with what it meant before.
#[must_use]
pub fn displaced(held: &[Descriptor], roots: &[Descriptor]) -> Vec<(String, Digest)> {
    let (before, coming) = (by_name(held), by_name(roots));
    let mut displaced = Vec::new();
    let mut told = HashSet::new();
    for name in roots.iter().flat_map(claims) {
        let kept = |digest: &&Digest| coming.get(name).is_some_and(|coming| coming.contains(digest));
        let old = before.get(name).and_then(|held| held.iter().find(|digest| !kept(digest)));
        if let Some(digest) = old
            && told.insert(name)
        {
            displaced.push((name.to_owned(), **digest));
        }
    }
    displaced
}

/// Returns what each name means.
fn by_name(descriptors: &[Descriptor]) -> HashMap<&str, Vec<&Digest>> {
    let mut found: HashMap<&str, Vec<&Digest>> = HashMap::new();
    for descriptor in descriptors {
        for name in claims(descriptor) {
            found.entry(name).or_default().push(descriptor.digest());
        }
    }
    found
}

/// A top-level descriptor, parsed and as it stands.
struct Entry<'b> {
    descriptor: Descriptor,
    raw: Cow<'b, RawValue>,
}

impl Entry<'_> {
    fn new(descriptor: &Descriptor) -> Result<Self, JsonError> {
        let raw = Cow::Owned(Object::from_value(&descriptor.to_value())?.to_raw());
        Ok(Self { descriptor: descriptor.clone(), raw })
    }

    /// Returns the entry without some annotations, all else as it stands.
    fn without(&self, annotations: &[&str]) -> Result<Self, JsonError> {
        let mut fields = Object::parse(self.raw.get().as_bytes())?;
        if let Some(mut rest) = fields.object("annotations") {
            for name in annotations {
                rest.remove(name);
            }
            if rest.is_empty() {
                fields.remove("annotations");
            } else {
                fields.set("annotations", rest.to_raw());
            }
        }
        let descriptor = self.descriptor.clone().without_annotations(annotations);
        Ok(Self { descriptor, raw: Cow::Owned(fields.to_raw()) })
    }
}

/// What becomes of an old descriptor.
enum Fate {
    Stays,
    Loses(&'static str),
    Goes,
}

/// Where among many entries those stand that can have to do with one of the descriptors that come: of the others nothing is kept.
/// What has changed since is found as well, and has to be looked at again.
struct Standing<'r> {
    by_text: HashMap<&'r str, Vec<usize>>,
    by_digest: HashMap<&'r Digest, Vec<usize>>,
    unnamed: HashMap<&'r Digest, Vec<usize>>,
}

impl<'r> Standing<'r> {
    fn of(roots: &'r [Descriptor]) -> Self {
        // a tag that is spelled in full is the full name
        let texts = roots.iter().flat_map(|root| full_name(root).into_iter().chain(ref_name(root)));
        let digests = || roots.iter().map(|root| (root.digest(), Vec::new()));
        Self {
            by_text: texts.map(|text| (text, Vec::new())).collect(),
            by_digest: digests().collect(),
            unnamed: digests().collect(),
        }
    }

    fn enter(&mut self, at: usize, descriptor: &Descriptor) {
        let (full, reference) = (full_name(descriptor), ref_name(descriptor));
        for text in full.into_iter().chain(reference.filter(|text| full != Some(text))) {
            self.by_text.get_mut(text).into_iter().for_each(|entries| entries.push(at));
        }
        if let Some(same) = self.by_digest.get_mut(descriptor.digest()) {
            same.push(at);
            if !is_named(descriptor) {
                self.unnamed.get_mut(descriptor.digest()).into_iter().for_each(|entries| entries.push(at));
            }
        }
    }

    /// Returns those that hold a text in either annotation.
    fn with_text(&self, text: &str) -> &[usize] {
        self.by_text.get(text).map_or(&[], Vec::as_slice)
    }

    /// Returns those whose fate a descriptor that comes may decide, in order.
    fn concerned(&self, root: &Descriptor) -> Vec<usize> {
        let same = self.unnamed.get(root.digest()).into_iter().flatten();
        let mut found: Vec<usize> = claims(root).flat_map(|name| self.with_text(name)).chain(same).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn named<'b>(entries: Vec<Entry<'b>>, roots: &[Descriptor], gone: &[Descriptor]) -> Result<Vec<Entry<'b>>, JsonError> {
    let gone = Same::of(gone);
    let mut left: Vec<Option<Descriptor>> = Vec::new();
    let mut slots: Vec<Option<Entry<'_>>> = Vec::new();
    for entry in entries {
        let is_gone = gone.has(&entry.descriptor);
        left.push(is_gone.then(|| entry.descriptor.clone()));
        slots.push((!is_gone).then_some(entry));
    }
    let is_any_left = left.iter().any(Option::is_some);
    let mut standing = Standing::of(roots);
    for (at, entry) in slots.iter().enumerate() {
        entry.iter().for_each(|entry| standing.enter(at, &entry.descriptor));
    }
    // a bare tag that comes keeps it, whatever comes before it: full names can do without
    let bare: HashSet<&str> = roots.iter().filter(|root| full_name(root).is_none()).filter_map(ref_name).collect();
    for root in roots {
        let says_the_same =
            |old: &Option<Descriptor>| old.as_ref().is_some_and(|old| old.annotations() == root.annotations());
        let same_platform = |old: &Option<Descriptor>| {
            says_the_same(old) && old.as_ref().is_some_and(|old| old.platform() == root.platform())
        };
        let mut place = match is_any_left {
            true => left.iter().position(same_platform).or_else(|| left.iter().position(says_the_same)),
            false => None,
        };
        let tag = ref_name(root).unwrap_or_default();
        let others = standing.with_text(tag).iter().filter_map(|at| slots[*at].as_ref());
        let root = &spelled(root, bare.contains(tag), others.map(|entry| &entry.descriptor));
        for at in standing.concerned(root) {
            let slot = &mut slots[at];
            let Some(entry) = slot else { continue };
            match fate(&entry.descriptor, root, roots) {
                Fate::Stays => {}
                Fate::Loses(annotation) => {
                    let rest = entry.without(&[annotation])?;
                    standing.enter(at, &rest.descriptor);
                    *slot = Some(rest);
                }
                Fate::Goes => {
                    place.get_or_insert(at);
                    *slot = None;
                }
            }
        }
        let is_here = match is_named(root) {
            true => {
                standing.concerned(root).iter().filter_map(|at| slots[*at].as_ref()).any(|it| it.descriptor == *root)
            }
            false => {
                let same = standing.by_digest.get(root.digest()).into_iter().flatten();
                let mut same = same.filter_map(|at| slots[*at].as_ref());
                same.any(|entry| entry.descriptor.digest() == root.digest())
            }
        };
        if is_here {
            continue;
        }
        let at = place.unwrap_or(slots.len());
        let entry = Some(Entry::new(root)?);
        match slots.get_mut(at) {
            Some(slot) => *slot = entry,
            None => slots.push(entry),
        }
        left.get_mut(at).into_iter().for_each(|left| *left = None);
        standing.enter(at, root);
    }
    Ok(slots.into_iter().flatten().collect())
}

/// Returns a descriptor whose tag finds no other image: see the page above.
fn spelled<'a>(root: &Descriptor, is_bare: bool, mut held: impl Iterator<Item = &'a Descriptor>) -> Descriptor {
    let (Some(full), Some(tag)) = (full_name(root), ref_name(root)) else { return root.clone() };
    let is_tag = full.strip_suffix(tag).is_some_and(|before| before.ends_with(':'));
    let taken = |other: &Descriptor| ref_name(other) == Some(tag) && full_name(other) != Some(full);
    if is_tag && (is_bare || held.any(taken)) { root.clone().with_annotation(REF_NAME, full) } else { root.clone() }
}

fn fate(old: &Descriptor, root: &Descriptor, roots: &[Descriptor]) -> Fate {
    let clashes = |name: Option<&str>| name.is_some_and(|name| claims(root).any(|claimed| claimed == name));
    let (full, reference) = (full_name(old), ref_name(old));
    let fate = match (clashes(full), clashes(reference)) {
        (false, false) if !is_named(old) && is_named(root) && says_no_more(old, root) => Fate::Goes,
        (false, false) => Fate::Stays,
        (true, false) if own_ref_name(old).is_some() => Fate::Loses(CONTAINERD_NAME),
        (false, true) if full.is_some() => Fate::Loses(REF_NAME),
        _ => Fate::Goes,
    };
    match fate {
        Fate::Stays => Fate::Stays,
        // asked last: it is the expensive question
        _ if old == root || roots.contains(old) => Fate::Stays,
        other => other,
    }
}

fn full_name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotation(CONTAINERD_NAME).filter(|name| !name.is_empty())
}

fn ref_name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotation(REF_NAME).filter(|name| !name.is_empty())
}

/// Returns the `ref.name` unless it only repeats the end of the full name: `v1`, `app:v1` or the whole.
fn own_ref_name(descriptor: &Descriptor) -> Option<&str> {
    ref_name(descriptor).filter(|reference| {
        let before = full_name(descriptor).and_then(|full| full.strip_suffix(reference));
        !before.is_some_and(|before| before.is_empty() || before.ends_with(['/', ':']))
    })
}

fn is_named(descriptor: &Descriptor) -> bool {
    claims(descriptor).next().is_some()
}

/// Returns the names that a descriptor claims: see the page above.
pub fn claims(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    full_name(descriptor).into_iter().chain(own_ref_name(descriptor))
}

/// Returns whether all that `old` says stands in `new` too.
fn says_no_more(old: &Descriptor, new: &Descriptor) -> bool {
    if old.digest() != new.digest() {
        return false;
    }
    let (old_fields, new_fields) = (old.to_value(), new.to_value());
    let kept =
        |(name, value): (&String, &serde_json::Value)| name == "annotations" || new_fields.get(name) == Some(value);
    old_fields.as_object().is_some_and(|fields| fields.iter().all(kept))
        && old.annotations().iter().all(|(name, value)| new.annotation(name) == Some(value))
}

#[cfg(test)]
mod tests {
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
        let expected = format!(
            r#"{{"x-first":{{ "b":1, "a":[ ] }},"manifests":[{kept},{left},{new}],"schemaVersion":2,"odd":1e3}}"#
        );
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
        assert!(
            text.starts_with(r#"{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"v1"},"digest":"#)
        );
        assert!(
            text.ends_with(r#""mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#),
            "{text}"
        );
        assert_eq!(parse(&edit(None, &[]).unwrap().unwrap()).unwrap(), []);
    }

    #[test]
    fn an_index_without_a_list_gets_one_and_a_torn_one_is_refused() {
        for text in [r#"{"schemaVersion":2}"#, r#"{"schemaVersion":2,"manifests":null}"#] {
            assert_eq!(edit(Some(text.as_bytes()), &[]).unwrap(), None);
            let after = edit(Some(text.as_bytes()), &descriptors(&["a - v1"])).unwrap().unwrap();
            assert_eq!(parse(&after).unwrap(), descriptors(&["a - v1"]));
        }
        for text in
            ["", "{", "[]", "{}", r#"{"schemaVersion":2,"manifests":[{}]}"#, r#"{"schemaVersion":2,"layers":[]}"#]
        {
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
        let smaller =
            super::edit(Some(&after), &descriptors(&["d z v1", "c x v1"]), &descriptors(&["a x v1", "b z v1"]));
        assert_eq!(parse(&smaller.unwrap().unwrap()).unwrap(), descriptors(&["c x v1", "d z v1"]));
    }
}

//! The journal of what arrived, as the sink keeps it.

use barge::store::Outcome;

use super::remote::{HALF, Remote, Then, large};
use super::*;

fn synced(path: &Path) -> LayoutSink {
    LayoutSink::create_or_open(path, LayoutOptions { durability: Durability::Synced, ..options() }).unwrap()
}

fn journals(path: &Path) -> Vec<String> {
    tree(path).into_iter().filter(|name| name.starts_with(".barge-arrived-")).collect()
}

/// Returns what a sink that is begun has settled.
fn settled(sink: &LayoutSink) -> Vec<Outcome> {
    sink.settled().into_iter().map(|(_, outcome)| outcome).collect()
}

#[test]
fn what_arrived_is_settled_in_the_next_run_whether_it_came_at_once_or_in_parts() {
    let (_temp, path) = place();
    let bytes = large();
    let content = Content::of(&bytes, Kind::Blob);
    let coming = Inventory { contents: vec![content.clone()], ..Inventory::default() };
    let begun = || {
        let mut sink = synced(&path);
        let wanted = sink.begin(&coming).unwrap();
        (sink, wanted.concat().len())
    };
    let (sink, _) = begun();
    sink.put(Remote::breaking(&bytes, HALF, Then::Fail).open(&content)).unwrap_err();
    drop(sink);
    assert!(journals(&path).is_empty(), "nothing arrived whole");
    let (sink, _) = begun();
    sink.put(Remote::of(&bytes).open(&content)).unwrap();
    // also while the first one is still at it
    let (other, wanted) = begun();
    assert_eq!((settled(&other), wanted), (vec![Outcome::Kept], 0));
    drop(other);
    drop(sink);
    assert_eq!(journals(&path).len(), 1);
    let (mut sink, wanted) = begun();
    assert_eq!((settled(&sink), wanted), (vec![Outcome::Kept], 0));
    sink.commit(&coming).unwrap();
    assert!(journals(&path).is_empty());
    // it ended well: what it wrote is to be hashed again
    let (sink, wanted) = begun();
    assert_eq!((settled(&sink), wanted), (vec![], 1));
    assert!(sink.held(&content).unwrap().is_some());
}

#[test]
fn nothing_is_noted_of_what_was_not_flushed_or_is_small() {
    for (durability, size, expected) in
        [(Durability::Unsynced, 2 << 20, 0), (Durability::Synced, 100, 0), (Durability::Synced, 2 << 20, 1)]
    {
        let (_temp, path) = place();
        let (memory, coming) = image(&[&"x".repeat(size)], "v1");
        let mut sink = LayoutSink::create_or_open(&path, LayoutOptions { durability, ..options() }).unwrap();
        sink.begin(&coming).unwrap();
        put_all(&sink, &memory, &coming.contents);
        assert_eq!(journals(&path).len(), usize::from(durability == Durability::Synced), "while it is written");
        drop(sink);
        assert_eq!(journals(&path).len(), expected, "{durability:?}, {size}");
    }
}

/// A journal counts as long as its writer lives, and nobody else removes it.
#[test]
fn who_commits_removes_nothing_of_a_living_writer() {
    let (_temp, path) = place();
    let large = "x".repeat(2 << 20);
    let (memory, coming) = image(&[&large, "one"], "v1");
    let mut one = synced(&path);
    one.begin(&coming).unwrap();
    put_all(&one, &memory, &coming.contents);
    let mut two = synced(&path);
    two.begin(&coming).unwrap();
    assert_eq!(settled(&two).len(), 2);
    two.commit(&coming).unwrap();
    assert_eq!(journals(&path).len(), 1);
    one.commit(&coming).unwrap();
    assert!(journals(&path).is_empty());
    assert_eq!(names(&path), ["v1"]);
}

#[test]
fn an_abandoned_run_keeps_a_layout_only_for_what_is_worth_it() {
    for (size, stays) in [(100, false), (2 << 20, true)] {
        let (_temp, path) = place();
        let (memory, coming) = image(&[&"x".repeat(size)], "v1");
        let mut sink = synced(&path);
        sink.begin(&coming).unwrap();
        put_all(&sink, &memory, &coming.contents);
        sink.abandon();
        assert_eq!(sink.kept().is_some(), stays, "{size}");
        drop(sink);
        assert_eq!(path.exists(), stays, "{size}");
        assert!(!path.join("index.json").exists());
    }
}

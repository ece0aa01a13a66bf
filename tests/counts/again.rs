//! The same command once more: what is there already is neither fetched nor written, and trusted only after it was hashed.

use super::lab::{Lab, length, size_of};
use super::trace::strace;

/// How many small blobs there are.
const SMALL: usize = 20;
/// What is read of the sources by then: headers, and documents from which the plan is made.
const LOOKED_AT: u64 = 150_000;

#[test]
fn what_is_there_already_is_hashed_once_and_not_written_again() {
    if !strace() {
        return;
    }
    let lab = Lab::new(SMALL);
    let work = lab.barge.path("");
    for (line, sources, content) in [
        ("copy -q src out", &["src"][..], size_of(&[&lab.whole])),
        ("load -q -i src.tar -o out", &["src.tar"], size_of(&[&lab.whole])),
        (
            "merge -q -t app:v1 -o out 0.tar 1.tar 2.tar 3.tar 4.tar",
            &["0.tar", "1.tar", "2.tar", "3.tar", "4.tar"],
            size_of(&lab.parts.iter().collect::<Vec<_>>()),
        ),
        ("pull -q --plain-http -o out HOST/held:v1", &[], size_of(&[&lab.whole])),
    ] {
        let _ = lab.run(line);
        let index = length(&lab.barge.path("out/index.json"));
        let (tally, _) = lab.run(line);
        let read = |name: &str| tally.below(&lab.barge.path(name)).iter().map(|(_, file)| file.read).sum::<u64>();
        let fetched: u64 = sources.iter().map(|source| read(source)).sum::<u64>() + tally.received;
        assert!(fetched <= LOOKED_AT, "{line}: {fetched} bytes are read at the source, expected {LOOKED_AT} at most");
        let hashed = read("out/blobs");
        // a merge has made an index
        let most = content + LOOKED_AT;
        assert!((content..=most).contains(&hashed), "{line}: {hashed} bytes are hashed, expected {content} to {most}");
        let written: u64 = tally.below(&work).iter().map(|(_, file)| file.written).sum();
        assert!(written <= 2 * index, "{line}: {written} bytes are written, expected {} at most", 2 * index);
        let made = tally.below(&lab.barge.path("out/blobs")).iter().filter(|(_, file)| file.made).count();
        assert_eq!(made, 0, "{line}");
        lab.clear();
    }
}

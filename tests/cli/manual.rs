//! The manual pages, as man(1) shows them.

use std::fs;
use std::process::Command;

use super::*;

/// Returns whether mandoc is there, with which pages are checked and shown.
fn mandoc() -> bool {
    available("mandoc", Command::new("mandoc").arg("-V").output().is_ok())
}

#[test]
fn every_page_is_written_and_shown() {
    let barge = Barge::new();
    let said = barge.line("man -o pages/man1").exits(0);
    let listed = said.stdout().lines().count();
    let pages: Vec<_> = fs::read_dir(barge.path("pages/man1")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > 40 && pages.len() == listed, "{} pages, {listed} listed", pages.len());
    if !mandoc() {
        return;
    }
    let output = barge.around("mandoc").args(["-T", "lint", "-W", "error"]).args(&pages).output().unwrap();
    let lint = String::from_utf8(output.stdout).unwrap();
    assert!(lint.is_empty(), "{lint}");
    let output =
        barge.around("mandoc").args(["-T", "ascii"]).arg(barge.path("pages/man1/barge-merge.1")).output().unwrap();
    let shown = plain(&String::from_utf8(output.stdout).unwrap());
    for part in
        ["BARGE-MERGE(1)", "--on-duplicate", "EXAMPLES", "barge merge -o dist -t ghcr.io/org/app:v1", "barge(1)"]
    {
        assert!(shown.contains(part), "no {part:?}:\n{shown}");
    }
    let output = barge.around("mandoc").args(["-T", "ascii"]).arg(barge.path("pages/man1/barge.1")).output().unwrap();
    let shown = plain(&String::from_utf8(output.stdout).unwrap());
    for part in ["EXIT STATUS", "130", "--no-network", "barge-manifest(1)", "docker://HOST/REPOSITORY:TAG"] {
        assert!(shown.contains(part), "no {part:?}:\n{shown}");
    }
}

/// Takes out what makes letters bold or underlined: a letter, a step back, and the letter.
fn plain(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let stays = |at: &usize| letters[*at] != '\u{8}' && letters.get(at + 1) != Some(&'\u{8}');
    (0..letters.len()).filter(stays).map(|at| letters[at]).collect()
}

#[test]
fn one_page_is_printed() {
    let barge = Barge::new();
    let page = |line: &str| barge.line(line).exits(0).silent().stdout().to_owned();
    assert!(page("man").contains(".TH \"BARGE\" 1"));
    assert!(page("man fsck").contains(".TH \"BARGE-VERIFY\" 1"));
    assert!(page("man manifest add").contains("BARGE-MANIFEST-ADD"));
    barge.line("man mrege").exits(2).says(&["mrege", "hint: did you mean merge ?"]);
    barge.line("man __complete").exits(2);
    barge.line("man -o pages --dry-run").exits(0).says(&["would write"]);
    assert!(!barge.path("pages").exists());
}

//! The pages as a book: what `SUMMARY.md` lists, where links lead, and how each page's commands are tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex_lite::Regex;

use super::fence::{Block, blocks};

/// What tries the commands of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// [`super::console`]: blocks that show a terminal, with what is printed. Indented lines are forms.
    Console,
    /// [`super::runs`]: every command of barge, wherever it stands.
    Everywhere,
    /// [`super::page::indented`]: every indented line below the first heading. Above it are forms.
    Indented,
    /// [`super::page::lines`], or [`super::served`]: every indented line.
    Lines,
    /// It has forms alone: with places where the reader's words go. Their options are looked up in the help.
    Forms,
    /// The page is made from the program's own help, and held equal to it by a test of its own.
    Generated,
}

/// How each page is tried. A page that is new is added here.
const PAGES: &[(&str, By)] = &[
    ("README.md", By::Console),
    ("air-gap.md", By::Console),
    ("align.md", By::Indented),
    ("benchmarks.md", By::Forms),
    ("build.md", By::Console),
    ("check.md", By::Forms),
    ("ci.md", By::Console),
    ("compact-format.md", By::Forms),
    ("compact.md", By::Forms),
    ("concepts.md", By::Console),
    ("delta.md", By::Lines),
    ("design.md", By::Forms),
    ("edit.md", By::Forms),
    ("exit-codes.md", By::Console),
    ("faq.md", By::Console),
    ("faults.md", By::Forms),
    ("formats.md", By::Forms),
    ("from-buildah.md", By::Everywhere),
    ("from-crane-regctl-oras.md", By::Everywhere),
    ("from-docker-manifest.md", By::Everywhere),
    ("from-sealer.md", By::Everywhere),
    ("from-skopeo.md", By::Everywhere),
    ("json.md", By::Forms),
    ("life.md", By::Forms),
    ("lists.md", By::Everywhere),
    ("manifest.md", By::Forms),
    ("merge.md", By::Forms),
    ("packaging.md", By::Forms),
    ("parts.md", By::Everywhere),
    ("reference.md", By::Generated),
    ("referrers.md", By::Indented),
    ("registry.md", By::Console),
    ("report.md", By::Indented),
    ("security.md", By::Forms),
    ("serve.md", By::Lines),
    ("signing.md", By::Indented),
    ("split.md", By::Lines),
    ("sync.md", By::Indented),
    ("tutorial.md", By::Console),
    ("unpack.md", By::Forms),
    ("verify.md", By::Forms),
];

/// The blocks of commands that are not run, each with the reason that the page says.
const UNTESTED: &[(&str, &str)] = &[
    ("docs/registry.md", "it asks at the terminal."),
    ("README.md", "it compiles, for some minutes. In a clone of this repository, with Rust 1.89 or newer:"),
];

/// Pages of the repository outside of the book, whose links are looked at too.
const OTHERS: [&str; 5] = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "fixtures/README.md"];

fn root() -> PathBuf {
    super::docs().join("..")
}

/// Returns the files below a directory, by their paths from there.
fn files(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(directory.join(&below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else {
                found.insert(path.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// Returns the pages of the book.
fn pages() -> Vec<String> {
    files(&super::docs()).into_iter().filter(|name| name.ends_with(".md") && name != "SUMMARY.md").collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns a page without what stands in blocks and indented lines, and without code: in these nothing leads anywhere.
fn prose(page: &str, keeps_code: bool) -> String {
    let mut fenced = false;
    let mut text = String::new();
    for line in page.lines() {
        let fence = line.starts_with("```");
        fenced ^= fence;
        let kept = !fence && !fenced && !line.starts_with("    ");
        text.push_str(if kept { line } else { "" });
        text.push('\n');
    }
    if keeps_code {
        return text;
    }
    // a piece of code never goes over the end of a paragraph
    let code = Regex::new("`[^`]*`").unwrap();
    let paragraphs: Vec<String> = text.split("\n\n").map(|text| code.replace_all(text, "`").into_owned()).collect();
    paragraphs.join("\n\n")
}

/// Returns the anchors of a page, as mdBook and the places that show Markdown make them of headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for line in prose(page, true).lines() {
        let Some(heading) = line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')) else {
            continue;
        };
        let kept = heading.trim().chars().filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let count = counts.entry(anchor.clone()).or_default();
        anchors.insert(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
        *count += 1;
    }
    anchors
}

/// Returns where the links of a page lead.
fn links(page: &str) -> Vec<String> {
    let text = prose(page, false);
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    link.captures_iter(&text).map(|found| found[1].to_owned()).collect()
}

/// Returns what is wrong with a link of a page, by the path of the page in the repository.
fn wrong(page: &str, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = match path {
        "" => page.to_owned(),
        path => Path::new(page).parent().unwrap().join(path).to_str().unwrap().to_owned(),
    };
    if page.starts_with("docs/") && path.contains("..") {
        return Some("leads out of the book".to_owned());
    }
    if !root().join(&target).exists() {
        return Some("leads nowhere".to_owned());
    }
    let found = anchor.is_none_or(|anchor| anchors(&read(&target)).contains(anchor));
    (!found).then(|| format!("{target} has no such heading"))
}

#[test]
fn the_summary_lists_every_page_once_and_nothing_else() {
    let summary = read("docs/SUMMARY.md");
    // what is indented there are pages below a page
    let link = Regex::new(r"\]\(([^)]+)\)").unwrap();
    let mut listed: Vec<String> = link.captures_iter(&summary).map(|found| found[1].to_owned()).collect();
    let mut wrong: Vec<String> = pages()
        .iter()
        .filter(|page| !listed.contains(page))
        .map(|page| format!("docs/SUMMARY.md does not list {page}: add `- [TITLE]({page})` where it belongs"))
        .collect();
    wrong.extend(listed.iter().filter(|page| !pages().contains(page)).map(|page| format!("there is no docs/{page}")));
    listed.sort();
    let twice = listed.windows(2).filter(|pair| pair[0] == pair[1]);
    wrong.extend(twice.map(|pair| format!("docs/SUMMARY.md lists {} twice", pair[0])));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_link_leads_to_something_that_is_there() {
    let book = pages().into_iter().map(|page| format!("docs/{page}"));
    let mut wrongs = Vec::new();
    for page in book.chain(OTHERS.map(str::to_owned)) {
        let links = links(&read(&page));
        wrongs.extend(links.iter().filter_map(|link| Some(format!("{page}: ({link}) {}", wrong(&page, link)?))));
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
}

#[test]
fn links_and_anchors_are_found_where_they_are() {
    let page = "# A `--b` c: d_e\n\n[x](y.md#z) `[no](no)` [a\nb](#c)\n\n    [no](no)\n\n```\n[no](no)\n# no\n```\n\n## Same\n\n## Same\n";
    assert_eq!(links(page), ["y.md#z", "#c"]);
    let anchors: Vec<String> = anchors(page).into_iter().collect();
    assert_eq!(anchors, ["a---b-c-d_e", "same", "same-1"]);
    assert_eq!(wrong("docs/life.md", "#gc"), None);
    assert_eq!(wrong("docs/merge.md", "life.md#gc"), None);
    assert_eq!(wrong("docs/merge.md", "life.md#gcc").unwrap(), "docs/life.md has no such heading");
    assert_eq!(wrong("docs/merge.md", "live.md").unwrap(), "leads nowhere");
    assert_eq!(wrong("docs/merge.md", "../README.md").unwrap(), "leads out of the book");
    assert_eq!(wrong("README.md", "docs/merge.md#the-names"), None);
}

/// Tells whether a line has places for the reader's words: it is a form, and cannot be run.
fn is_form(line: &str) -> bool {
    let place =
        Regex::new(r"\b(REF|PLACE|DIR|FILE|NAME|SRC|DEST|OUT|HOST|REPO|KEY|LAYOUT|IMAGE|LIST|NEW|OLD|A|B)\b").unwrap();
    line.contains("...") || line.contains('[') || line.contains('|') || place.is_match(line)
}

/// Returns which lines are the forms of the commands that a page is about: its first block that is indented, above the first
/// heading, when there is a form in it.
fn forms(page: &str) -> std::ops::Range<usize> {
    let lines: Vec<&str> = page.lines().take_while(|line| !line.starts_with("## ")).collect();
    let indented = |line: &&str| line.starts_with("    ");
    let begin = lines.iter().position(indented).unwrap_or(lines.len());
    let length = lines[begin..].iter().take_while(|line| indented(line)).count();
    let any = lines[begin..begin + length].iter().any(|line| is_form(line));
    begin..begin + if any { length } else { 0 }
}

/// Returns the commands of a page that nothing runs, by their lines.
fn untried(page: &str, by: By) -> Vec<String> {
    let first = page.lines().position(|line| line.starts_with("## ")).unwrap_or(0);
    let forms = forms(page);
    let head = |number: usize| (by != By::Indented || number < first) && !forms.contains(&number);
    let indented = page.lines().enumerate().filter_map(|(number, line)| Some((number, line.strip_prefix("    ")?)));
    let mut found: Vec<String> = match by {
        By::Console | By::Forms | By::Indented => indented
            .filter(|(number, line)| head(*number) && is_command(line) && !is_form(line))
            .map(|(number, line)| format!("{}: {line}", number + 1))
            .collect(),
        By::Everywhere | By::Lines | By::Generated => Vec::new(),
    };
    let runs = |block: &Block| by == By::Console && block.language == "console" || by == By::Generated;
    for block in blocks(page).iter().filter(|block| !runs(block) && block.untested.is_none()) {
        let commands = block.lines.iter().filter(|line| is_command(line));
        found.extend(commands.map(|line| format!("{}: {line}", block.line)));
    }
    found
}

fn is_command(line: &str) -> bool {
    line.starts_with("barge ") || line.starts_with("$ ")
}

#[test]
fn every_command_of_every_page_is_run_or_is_a_form() {
    let known: BTreeSet<String> = PAGES.iter().map(|(page, _)| (*page).to_owned()).collect();
    let there: BTreeSet<String> = pages().into_iter().collect();
    let new: Vec<&String> = there.difference(&known).collect();
    assert!(new.is_empty(), "say in tests/docs/book.rs, PAGES, what tries the commands of {new:?}");
    let gone: Vec<&String> = known.difference(&there).collect();
    assert!(gone.is_empty(), "tests/docs/book.rs, PAGES, has {gone:?}, which is not there");
    // and the test that is said to do it names the page
    let tests = [include_str!("main.rs"), include_str!("served.rs"), include_str!("shown.rs")].concat();
    for (page, by) in PAGES.iter().filter(|(_, by)| ![By::Forms, By::Generated].contains(by)) {
        let stem = page.trim_end_matches(".md");
        let named = tests.contains(&format!("{stem}.md\"")) || tests.contains(&format!("(\"{stem}\", "));
        assert!(named, "no test in tests/docs runs {page}, {by:?}");
    }
    let pages = PAGES.iter().map(|(page, by)| (format!("docs/{page}"), *by));
    let readme = ("README.md".to_owned(), By::Console);
    let untried = pages.chain([readme]).flat_map(|(name, by)| {
        let found = untried(&read(&name), by);
        found.into_iter().map(move |line| format!("{name}:{line}"))
    });
    let untried: Vec<String> = untried.collect();
    assert!(untried.is_empty(), "no test runs:\n{}", untried.join("\n"));
}

#[test]
fn a_command_that_nothing_runs_is_found() {
    let page = "# x\n\n    barge ls PLACE\n    barge ls all of it\n\n    barge gc\n\n## y\n\n    barge ls dist\n\n```sh\nbarge rm dist\n```\n\n\
                ```console\n$ barge ls\n```\n";
    assert_eq!(untried(page, By::Forms), ["6: barge gc", "10: barge ls dist", "13: barge rm dist", "17: $ barge ls"]);
    assert_eq!(untried(page, By::Console), ["6: barge gc", "10: barge ls dist", "13: barge rm dist"]);
    assert_eq!(untried(page, By::Indented), ["6: barge gc", "13: barge rm dist", "17: $ barge ls"]);
    assert_eq!(untried(page, By::Lines), ["13: barge rm dist", "17: $ barge ls"]);
}

#[test]
fn what_is_not_run_says_why_and_is_little() {
    let mut found = Vec::new();
    for name in pages().iter().map(|page| format!("docs/{page}")).chain(["README.md".to_owned()]) {
        let reasons = blocks(&read(&name)).into_iter().filter_map(|block| block.untested);
        found.extend(reasons.map(|reason| (name.clone(), reason)));
    }
    let found: Vec<(&str, &str)> = found.iter().map(|(name, reason)| (name.as_str(), reason.as_str())).collect();
    assert_eq!(found, UNTESTED);
}

/// The help of barge, by the words of a command.
#[derive(Default)]
struct Help(BTreeMap<Vec<String>, Option<String>>);

impl Help {
    /// Returns the help of a command; none when there is no such command.
    fn of(&mut self, words: &[String]) -> Option<String> {
        let run = || {
            let output = Command::new(env!("CARGO_BIN_EXE_barge")).args(words).arg("--help").output().unwrap();
            output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
        };
        self.0.entry(words.to_vec()).or_insert_with(run).clone()
    }

    /// Returns what is wrong with the words behind `barge`: a command or an option that is not there.
    fn wrong(&mut self, line: &str) -> Option<String> {
        let plain = |word: &str| word.trim_matches(|sign: char| "[]()`,;:.".contains(sign)).to_owned();
        let mut words = line.split_whitespace().map(plain).filter(|word| !word.is_empty());
        let command = loop {
            let word = words.next()?;
            match word.as_str() {
                "-L" | "--layout" | "--progress" | "--jobs" | "--tmpdir" | "--part-dir" => drop(words.next()),
                word if word.starts_with('-') => {}
                _ => break word,
            }
        };
        let rest: Vec<String> = words.collect();
        // `create|add` are several, and COMMAND stands for any
        for command in command.split('|').filter(|word| word.chars().all(|sign| sign.is_ascii_lowercase())) {
            let mut path = vec![command.to_owned()];
            let lower = |word: &&String| word.chars().all(|sign| sign.is_ascii_lowercase() || sign == '|');
            let below = rest.iter().take(1).find(lower).filter(|_| ["manifest", "key"].contains(&command));
            path.extend(below.map(|word| word.split('|').next().unwrap_or_default().to_owned()));
            let Some(help) = self.of(&path) else { return Some(format!("there is no `barge {}`", path.join(" "))) };
            let option = Regex::new("^--[a-z][a-z0-9-]*").unwrap();
            for word in &rest {
                let parts = word.split(['|', '/']).map(|part| part.trim_start_matches(['[', '(', '"']));
                let options = parts.filter_map(|part| Some(option.find(part)?.as_str().to_owned()));
                for option in options {
                    let known = help.match_indices(&option).any(|(at, _)| {
                        let next = help[at + option.len()..].chars().next();
                        next.is_none_or(|next| !next.is_ascii_alphanumeric() && next != '-')
                    });
                    // some are there for those who come from other programs, and not in the help
                    if !known && self.of(&[&path[..], std::slice::from_ref(&option)].concat()).is_none() {
                        return Some(format!("`barge {}` has no {option}", path.join(" ")));
                    }
                }
            }
        }
        None
    }
}

/// Returns what of a line or a piece of code is words for barge.
fn for_barge(code: &str) -> Vec<String> {
    let code = code.replace('\n', " ");
    let parts = Regex::new(r" \| |&&|;|\$\(| >|  +| # ").unwrap();
    let parts = parts.split(&code).map(|part| part.trim().trim_start_matches("$ "));
    parts.filter_map(|part| part.strip_prefix("barge ").map(str::to_owned)).collect()
}

#[test]
fn every_command_and_option_that_a_page_names_is_in_the_help() {
    let mut help = Help::default();
    let code = Regex::new("`([^`]+)`").unwrap();
    let mut wrongs = Vec::new();
    for name in
        pages().iter().map(|page| format!("docs/{page}")).chain(["README.md", "CONTRIBUTING.md"].map(str::to_owned))
    {
        let page = read(&name);
        let text = prose(&page, true);
        let inline = text.split("\n\n").flat_map(|text| code.captures_iter(text).map(|found| found[1].to_owned()));
        let lines = page.lines().filter(|line| line.starts_with("    ") || line.starts_with("$ ")).map(str::to_owned);
        for words in inline.chain(lines).flat_map(|code| for_barge(&code)) {
            // these are shown because they are wrong
            let meant = !words.contains("--no-such-option");
            wrongs
                .extend(help.wrong(&words).filter(|_| meant).map(|wrong| format!("{name}: barge {words}\n  {wrong}")));
        }
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
}

#[test]
fn a_command_or_an_option_that_is_not_there_is_found() {
    let mut help = Help::default();
    for (line, wrong) in [
        ("ls dist", None),
        ("-L dist ls --all", None),
        ("manifest create|add|rm NAME", None),
        ("COMMAND --help", None),
        ("save -o FILE [--platform LIST] [--base RECEIPT|BUNDLE]", None),
        ("sav -o x", Some("there is no `barge sav`")),
        ("save --plat x", Some("`barge save` has no --plat")),
        ("manifest creat x", Some("there is no `barge manifest creat`")),
    ] {
        assert_eq!(help.wrong(line).as_deref(), wrong, "{line}");
    }
    assert_eq!(for_barge("echo x | barge login -u y && barge ls > z"), ["login -u y", "ls"]);
}

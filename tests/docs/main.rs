//! The pages for those who come from other programs (`docs/from-*.md`), `docs/lists.md` and `docs/parts.md`: every command of
//! barge in them is run, in the order of its page, by `sh`, and has to end with the exit code that the page says. So is every
//! line of commands in `docs/align.md`, `docs/delta.md`, `docs/referrers.md`, `docs/report.md`, `docs/signing.md` and
//! `docs/split.md`, those of other programs too; [`served`] has `docs/serve.md`.
//!
//! [`shown`] has the pages that show a terminal, and compares what is printed; [`book`] sees to it that no page and no command is
//! forgotten, and that links lead somewhere; [`recipes`] are those for CI, [`formats`] the fields of files.
//!
//! [`page`] finds the commands, [`setting`] is the place where they run: a layout, archives and files to build from, and two real
//! registries for the two hosts of the examples. A page whose programs are not installed fails in CI, and elsewhere says that it
//! was skipped.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

mod book;
mod console;
#[path = "../support/distribution/mod.rs"]
mod distribution;
mod fence;
mod formats;
#[allow(dead_code)] // the tests of `serve` use more of it
#[path = "../serve/harness.rs"]
mod harness;
#[allow(dead_code)] // the tests of parts use more of it
#[path = "../bundle/made.rs"]
mod made;
mod page;
mod recipes;
mod served;
mod setting;
mod shown;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)] // the other programs' tests use more of it
#[path = "../interop/work.rs"]
mod work;

use std::fs;
use std::path::{Path, PathBuf};

use page::Command;
use setting::Setting;

/// The pages of which each has a test below.
const PAGES: [&str; 5] = ["buildah", "crane-regctl-oras", "docker-manifest", "sealer", "skopeo"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Runs all commands of a page, and fails with all that end otherwise than they should.
fn runs(page: &str, least: usize) {
    let name = format!("docs/{page}.md");
    let text = fs::read_to_string(docs().join(format!("{page}.md"))).unwrap();
    let commands = page::commands(&text).unwrap_or_else(|wrong| panic!("{name}:{wrong}"));
    assert!(commands.len() >= least, "{name} has {} commands only", commands.len());
    let Some(setting) = Setting::prepare(&page::programs(&commands)) else { return };
    let failed = failures(&setting, &name, &commands);
    assert!(failed.is_empty(), "{} of {} commands:\n\n{}", failed.len(), commands.len(), failed.join("\n"));
}

fn failures(setting: &Setting, name: &str, commands: &[Command]) -> Vec<String> {
    let run = |command: &Command| {
        let (code, said) = setting.run(&command.text);
        let Command { line, text, exits } = command;
        (code != Some(*exits)).then(|| format!("{name}:{line}: {text}\nends with {code:?}, not {exits}:\n{said}"))
    };
    commands.iter().filter_map(run).collect()
}

#[test]
fn what_comes_from_docker_manifest_runs() {
    runs("from-docker-manifest", 11);
}

#[test]
fn what_comes_from_buildah_runs() {
    runs("from-buildah", 11);
}

#[test]
fn what_comes_from_skopeo_runs() {
    runs("from-skopeo", 11);
}

#[test]
fn what_comes_from_crane_regctl_and_oras_runs() {
    runs("from-crane-regctl-oras", 11);
}

#[test]
fn what_comes_from_sealer_runs() {
    runs("from-sealer", 11);
}

#[test]
fn what_is_said_of_lists_runs() {
    runs("lists", 6);
}

#[test]
fn what_delta_says_runs() {
    runs_every_line("delta", 10);
}

#[test]
fn what_signing_says_runs() {
    let name = "docs/signing.md";
    let commands = page::indented(&fs::read_to_string(docs().join("signing.md")).unwrap());
    assert!(commands.len() >= 35, "{name} has {} commands only", commands.len());
    let Some(setting) = Setting::bare(&page::programs(&commands), "list.json") else { return };
    assert_eq!(setting.run("barge copy fixtures/buildx-amd64-arm64.tar dist").0, Some(0));
    let failed = failures(&setting, name, &commands);
    assert!(failed.is_empty(), "{} of {} commands:\n\n{}", failed.len(), commands.len(), failed.join("\n"));
}

#[test]
fn what_the_page_on_referrers_says_runs() {
    let name = "docs/referrers.md";
    let commands = page::indented(&fs::read_to_string(docs().join("referrers.md")).unwrap());
    assert!(commands.len() >= 15, "{name} has {} commands only", commands.len());
    let Some(setting) = Setting::empty() else { return };
    assert_eq!(setting.run("barge copy fixtures/buildx-amd64-arm64.tar dist").0, Some(0));
    let failed = failures(&setting, name, &commands);
    assert!(failed.is_empty(), "{} of {} commands:\n\n{}", failed.len(), commands.len(), failed.join("\n"));
    assert_eq!(fs::read_to_string(setting.path("out.json")).unwrap(), "{\"spdxVersion\":\"SPDX-2.3\"}\n");
}

#[test]
fn what_the_page_on_aligned_archives_says_runs() {
    let name = "docs/align.md";
    let commands = page::indented(&fs::read_to_string(docs().join("align.md")).unwrap());
    assert!(commands.len() >= 7, "{name} has {} commands only", commands.len());
    let Some(setting) = Setting::empty() else { return };
    let (code, said) = setting.run("barge merge -o dist -t app:v1 fixtures/umoci-amd64 fixtures/skopeo-arm64.tar");
    assert_eq!(code, Some(0), "{said}");
    let failed = failures(&setting, name, &commands);
    assert!(failed.is_empty(), "{} of {} commands:\n\n{}", failed.len(), commands.len(), failed.join("\n"));
}

/// The page on `sync`: its files are what stands in fences, under the names that their first lines say.
#[test]
fn what_the_page_on_sync_says_runs() {
    let name = "docs/sync.md";
    let text = fs::read_to_string(docs().join("sync.md")).unwrap();
    let mut commands = page::indented(&text);
    commands.retain(|command| command.text.starts_with("barge "));
    assert!(commands.len() >= 14, "{name} has {} commands only", commands.len());
    let Some(setting) = Setting::prepare(&[]) else { return };
    for block in text.split("```yaml\n# ").skip(1) {
        let (file, rest) = block.split_once('\n').unwrap();
        let content = rest.split("```").next().unwrap();
        if !file.ends_with(".yaml") {
            continue;
        }
        // by the shell, so that the hosts are those of the setting
        let write = format!("cat >{file} <<'END'\n# {file}\n{content}END");
        assert_eq!(setting.run(&write).0, Some(0));
    }
    let failed = failures(&setting, name, &commands);
    assert!(failed.is_empty(), "{} of {} commands:\n\n{}", failed.len(), commands.len(), failed.join("\n"));
    let (_, said) = setting.run("barge sync -f wrong.yaml");
    assert!(text.contains(&format!("    {}\n", said.lines().next().unwrap())), "{said}");
}

/// The page on archives in parts: media, the parts in one directory, and one of them damaged in another.
#[test]
fn what_the_page_on_parts_says_runs() {
    let text = fs::read_to_string(docs().join("parts.md")).unwrap();
    let commands = page::commands(&text).unwrap_or_else(|wrong| panic!("docs/parts.md:{wrong}"));
    assert!(commands.len() > 7, "{commands:?}");
    let Some(setting) = Setting::empty() else { return };
    let (code, said) = setting.run("barge save -q -o app.tar fixtures/umoci-amd64 && mkdir slot");
    assert_eq!(code, Some(0), "{said}");
    let archive = fs::read(setting.path("app.tar")).unwrap();
    for part in made::cut_evenly(&archive, "app.tar", 3) {
        made::lay(&setting.path(&format!("medium{}", part.0.part)), &part);
        made::lay(&setting.path("parts"), &part);
        let mut damaged = part.clone();
        if part.0.part == 2 {
            let middle = damaged.1.len() / 2;
            damaged.1[middle] ^= 1;
        }
        made::lay(&setting.path("damaged"), &damaged);
    }
    fs::remove_file(setting.path("app.tar")).unwrap();
    let failed = failures(&setting, "docs/parts.md", &commands);
    assert!(failed.is_empty(), "{} of {} commands:\n\n{}", failed.len(), commands.len(), failed.join("\n"));
}

/// Runs every indented line of a page, also those of other programs, each with the exit code that a comment behind it says.
fn runs_every_line(page: &str, least: usize) {
    let name = format!("docs/{page}.md");
    let text = fs::read_to_string(docs().join(format!("{page}.md"))).unwrap();
    let commands = page::lines(&text);
    assert!(commands.len() >= least, "{name} has {} commands only", commands.len());
    let Some(setting) = Setting::prepare(&page::programs(&commands)) else { return };
    let failed = failures(&setting, &name, &commands);
    assert!(failed.is_empty(), "{} of {} commands:\n\n{}", failed.len(), commands.len(), failed.join("\n"));
}

#[test]
fn archives_in_parts_are_made_checked_and_joined_as_the_page_says() {
    runs_every_line("split", 6);
}

#[test]
fn what_the_page_on_reports_says_runs() {
    let name = "docs/report.md";
    let commands = page::indented(&fs::read_to_string(docs().join("report.md")).unwrap());
    assert!(commands.len() >= 10, "{name} has {} commands only", commands.len());
    let Some(setting) = Setting::empty() else { return };
    let prepared = "barge merge -q -o bundle.tar -t example.com/hello:v1 fixtures/umoci-amd64 fixtures/skopeo-arm64.tar && \
                    barge copy fixtures/buildx-amd64-arm64.tar dist";
    let (code, said) = setting.run(prepared);
    assert_eq!(code, Some(0), "{said}");
    let failed = failures(&setting, name, &commands);
    assert!(failed.is_empty(), "{} of {} commands:\n\n{}", failed.len(), commands.len(), failed.join("\n"));
}

#[test]
fn every_page_has_its_test_and_readme_names_it() {
    let readme = fs::read_to_string(docs().join("../README.md")).unwrap();
    let names = fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> =
        names.filter_map(|name| Some(name.strip_prefix("from-")?.strip_suffix(".md")?.to_owned())).collect();
    pages.sort();
    assert_eq!(pages, PAGES);
    for page in PAGES {
        assert!(readme.contains(&format!("(docs/from-{page}.md)")), "README.md does not name from-{page}.md");
    }
}

#[test]
fn a_command_that_ends_otherwise_is_told_with_its_page_and_line() {
    let page = "| theirs | ours | |\n|---|---|---|\n| x | `barge ls` | |\n| x | `barge ls nothing` | |\n| x | `barge version` \
                (exit code 3) | |\n| x | `barge ls nothing` (exit code 3) | |\n";
    let commands = page::commands(page).unwrap();
    let Some(setting) = Setting::prepare(&page::programs(&commands)) else { return };
    let failed = failures(&setting, "page", &commands);
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0].starts_with("page:4: barge ls nothing\nends with Some(3), not 0:\n"), "{}", failed[0]);
    assert!(failed[1].starts_with("page:5: barge version\nends with Some(0), not 3:\n"), "{}", failed[1]);
}

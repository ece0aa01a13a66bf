//! Which words are offered, before a shell sees them.

use std::fs;

use super::*;

fn offered(words: &[&str]) -> Vec<String> {
    let words = std::iter::once("barge").chain(words.iter().copied()).map(OsString::from).collect();
    candidates(words).into_iter().map(|found| found.word).collect()
}

#[test]
fn every_value_has_been_thought_of() {
    let mut waiting = vec![Cli::command()];
    let mut faults = Vec::new();
    while let Some(command) = waiting.pop() {
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            let name = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
            if values(command.get_name(), arg.get_id().as_str(), &name).is_none() {
                faults.push(format!("{} {}: {name}", command.get_name(), arg.get_id()));
            }
        }
        waiting.extend(command.get_subcommands().cloned());
    }
    assert!(faults.is_empty(), "`values` does not know:\n{}", faults.join("\n"));
}

#[test]
fn commands_options_and_values_are_offered() {
    assert_eq!(offered(&["mer"]), ["merge"]);
    assert_eq!(offered(&["manifest", "a"]), ["add", "annotate"]);
    assert_eq!(offered(&["fsc"]), ["fsck"]);
    assert_eq!(offered(&["merge", "--on"]), ["--on-duplicate"]);
    assert_eq!(offered(&["merge", "--on-duplicate", ""]), ["replace", "keep"]);
    assert_eq!(offered(&["merge", "--on-duplicate=k"]), ["--on-duplicate=keep"]);
    assert_eq!(offered(&["ls", "--no-n"]), ["--no-network"]);
    assert_eq!(offered(&["merge", "--platform", "all,linux/am"]), ["all,linux/amd64"]);
    assert!(offered(&["__com"]).is_empty(), "what is hidden is not offered");
    let commands = offered(&[""]);
    assert!(commands.len() > 30 && commands.iter().all(|word| !word.starts_with('-')), "{commands:?}");
    assert!(offered(&["ls", "docker://quay.io/o"]).is_empty());
    assert!(offered(&["push", "x", ""]).iter().all(|word| word.starts_with('-')));
}

#[test]
fn the_layout_is_found_in_what_is_typed_so_far() {
    let said = |words: &[&str]| {
        let words: Vec<OsString> = std::iter::once("barge").chain(words.iter().copied()).map(OsString::from).collect();
        layout(&words)
    };
    for words in [
        &["-L", "dist", "ls"][..],
        &["-Ldist", "ls"],
        &["ls", "--layout=dist"],
        &["merge", "-qL", "dist", "--tag"],
        &["manifest", "add", "--layout", "dist", "x"],
    ] {
        assert_eq!(said(words), Some(PathBuf::from("dist")), "{words:?}");
    }
}

#[test]
fn what_cannot_be_read_is_no_answer() {
    let temp = tempfile::tempdir().unwrap();
    let place = |name: &str| temp.path().join(name).to_str().unwrap().to_owned();
    fs::write(temp.path().join("file"), "no archive").unwrap();
    fs::create_dir(temp.path().join("broken")).unwrap();
    fs::write(temp.path().join("broken/oci-layout"), "{}").unwrap();
    fs::write(temp.path().join("broken/index.json"), "{").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, temp.path().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    for name in ["file", "broken", "pipe", "nothing"] {
        assert!(offered(&["ls", &format!("{}:", place(name))]).is_empty(), "{name}");
    }
    // a layout is a word, not a directory to go into
    assert_eq!(offered(&["ls", &place("bro")]), [place("broken")]);
}

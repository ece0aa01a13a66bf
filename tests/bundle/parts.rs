//! A set of parts is read in place, like the archive that it is.

use std::fs;

use barge::bundle::PartNote;
use serde_json::json;

use super::distribution::{Distribution, Mode};
use super::environment::{Barge, Running, available, listing};
use super::made::{cut, cut_evenly, entries, lay, lay_bare};
use super::prepared::{Form, noise, prepare, prepare_in};

#[test]
fn every_reading_command_takes_any_part_for_the_whole() {
    Form::ALL.into_iter().for_each(taken_for_the_whole);
}

fn taken_for_the_whole(form: Form) {
    let barge = Barge::new();
    let parts = cut_evenly(&prepare_in(&barge, [40_000, 30_000], form), "x.tar", 3);
    let whole = form.file();
    for (number, part) in parts.iter().enumerate() {
        lay(&barge.path("all"), part);
        lay(&barge.path(["a", "b", "c"][number]), part);
        lay_bare(&barge.path("bare"), &part.0, &part.1);
    }
    fs::create_dir(barge.path("empty")).unwrap();
    let before = listing(&barge.path(""));
    for command in ["verify", "ls", "tree", "inspect", "check"] {
        // no other program takes a compact one
        let code = i32::from(command == "check" && form == Form::Compact);
        let run = |place: &str| barge.line(&format!("{command} {place}")).exits(code).stdout().to_owned();
        let selector = if command == "inspect" { ":app:v1" } else { "" };
        let shown = |text: String, place: &str| text.replace(place, "PLACE").replace(", in 3 parts", "");
        let expected = shown(run(&format!("{whole}{selector}")), whole);
        for place in ["all/x.tar.001", "all/x.tar.002", "all/x.tar.003", "all/x.tar", "bare/x.tar.003", "bare/x.tar"] {
            let got = shown(run(&format!("{place}{selector}")), place).replace("all/x.tar", "PLACE");
            assert_eq!(got.replace("bare/x.tar", "PLACE"), expected, "{command} {place}");
        }
        for place in ["b/x.tar.002", "empty/x.tar", "oci-archive:a/x.tar"] {
            run(&format!("--part-dir a --part-dir b --part-dir c {place}{selector}"));
        }
    }
    assert_eq!(listing(&barge.path("")), before);
    for words in
        ["copy all/x.tar.002:app:v1 copied", "load -i bare/x.tar -o loaded", "merge -o m -t n:1 all/x.tar:app:v1"]
    {
        barge.line(words).exits(0);
    }
    barge.line("diff all/x.tar.001 whole.tar").exits(0);
    barge.line("diff loaded bare/x.tar.002").exits(0);
    // noise is no tar: it got that far
    barge.line("unpack all/x.tar:app:v1 root").exits(if form == Form::Plain { 4 } else { 0 });
    barge.line("verify -v all/x.tar").exits(0).says(&["oci-archive:all/x.tar is in 3 parts"]);
    assert_eq!(barge.line("verify --json all/x.tar").exits(0).json()["results"][0]["parts"], 3);
    assert!(!barge.path("all/x.tar").exists());
}

#[test]
fn a_set_that_is_not_whole_is_refused_and_says_what_is_needed() {
    Form::ALL.into_iter().for_each(not_whole);
}

fn not_whole(form: Form) {
    let barge = Barge::new();
    let archive = prepare_in(&barge, [40_000, 30_000], form);
    let parts = cut_evenly(&archive, "x.tar", 3);
    let other = cut_evenly(&archive, "x.tar", 4);
    type Spoil = fn(&Barge, &[(PartNote, Vec<u8>)], &[(PartNote, Vec<u8>)]);
    let cases: [(&str, i32, &[&str], Spoil); 12] = [
        ("the first is missing", 3, &["part 1 of 3 (x.tar.001)", "--part-dir"], |barge, _, _| {
            fs::remove_file(barge.path("x.tar.001")).unwrap();
        }),
        ("two are missing", 3, &["parts 1 and 3 of 3 (x.tar.001, x.tar.003)"], |barge, _, _| {
            fs::remove_file(barge.path("x.tar.001")).unwrap();
            fs::remove_file(barge.path("x.tar.003")).unwrap();
        }),
        ("the last is missing", 3, &["part 3 of 3 (x.tar.003)"], |barge, _, _| {
            fs::remove_file(barge.path("x.tar.003")).unwrap();
        }),
        (
            "cut off",
            4,
            &["part 2 of 3 (x.tar.002)", "it has 100 bytes", "cut off", "copy this part again"],
            |barge, parts, _| {
                barge.write("x.tar.002", &parts[1].1[..100]);
            },
        ),
        ("too long", 4, &["part 2 of 3 (x.tar.002)", "expected"], |barge, parts, _| {
            barge.write("x.tar.002", [&parts[1].1[..], b"x"].concat());
        }),
        ("a part of another set", 4, &["x.tar.part-002.json", "of the set sha256:"], |barge, _, other| {
            lay(&barge.path(""), &other[1]);
        }),
        ("two sets in two directories", 4, &["b/x.tar.part-003.json", "of the set sha256:"], |barge, _, other| {
            lay(&barge.path("b"), &other[2]);
        }),
        ("two files for one part", 4, &["part 2", "x.tar.002", "b/x.tar.002", "two different files"], |barge, _, _| {
            barge.write("b/x.tar.002", "other");
        }),
        (
            "a part of an earlier, longer run",
            4,
            &["x.tar.004", "no part of the set, which has 3"],
            |barge, _, other| {
                lay_bare(&barge.path(""), &other[3].0, &other[3].1);
            },
        ),
        ("swapped", 4, &["part 2", "is damaged: its SHA-256 is"], |barge, parts, _| {
            barge.write("x.tar.002", parts[1].1.iter().rev().copied().collect::<Vec<u8>>());
        }),
        ("a note that is no JSON", 4, &["the note", "x.tar.part-002.json"], |barge, _, _| {
            barge.write("x.tar.part-002.json", "{");
        }),
        ("a note of another part", 4, &["it is on part 3 of \"x.tar\""], |barge, _, _| {
            fs::copy(barge.path("x.tar.part-003.json"), barge.path("x.tar.part-002.json")).unwrap();
        }),
    ];
    for (case, code, says, spoil) in cases {
        let _ = fs::remove_dir_all(barge.path("b"));
        for name in fs::read_dir(barge.path("")).unwrap().flatten().map(|entry| entry.path()) {
            if name.to_string_lossy().contains("/x.tar") {
                fs::remove_file(name).unwrap();
            }
        }
        parts.iter().for_each(|part| lay(&barge.path(""), part));
        spoil(&barge, &parts, &other);
        for words in ["ls x.tar.002", "copy x.tar.002 out", "ls x.tar"] {
            let command = format!("--part-dir b {words}");
            let output = barge.line(&command);
            if case == "swapped" && words.starts_with("ls") && output.code() == 0 {
                continue; // nobody read it
            }
            println!("{case}: {words}");
            output.exits(code).says(says);
        }
        assert!(!barge.path("out/index.json").exists(), "{case}");
    }
}

#[test]
fn parts_without_notes_are_taken_by_their_numbers_and_have_an_end() {
    Form::ALL.into_iter().for_each(without_notes);
}

fn without_notes(form: Form) {
    let barge = Barge::new();
    let archive = prepare_in(&barge, [40_000, 30_000], form);
    let parts = cut(&archive, "x.tar", &[20_000, archive.len() - 1024]);
    let lay_all = |numbers: &[usize]| {
        let _ = fs::remove_dir_all(barge.path("d"));
        numbers.iter().for_each(|number| lay_bare(&barge.path("d"), &parts[*number].0, &parts[*number].1));
    };
    lay_all(&[0, 1, 2]);
    barge.line("verify d/x.tar.002").exits(0).prints(&["ok: 2 images"]);
    barge.line("verify -v d/x.tar").exits(0).says(&["without notes"]);
    // what is missing at the end only the end shows
    lay_all(&[0, 1]);
    barge.line("verify d/x.tar.001").exits(4).says(&["ends without the blocks of zeros", "a part behind the last one"]);
    lay_all(&[0, 2]);
    barge.line("verify d/x.tar.001").exits(3).says(&["part 2 of 3 (x.tar.002)"]);
    lay_all(&[1, 2]);
    barge.line("verify d/x.tar.003").exits(3).says(&["part 1 of 3 (x.tar.001)"]);
    // one file that is only called like a part
    fs::create_dir(barge.path("e")).unwrap();
    for name in ["e/y.002", "e/y.tar.007"] {
        fs::copy(barge.path(form.file()), barge.path(name)).unwrap();
        barge.line(&format!("verify {name}")).exits(0).prints(&[name]).never(&["part"]);
    }
    // the first part alone, and several archives that are called like parts: none of them is taken for what was meant
    fs::create_dir(barge.path("f")).unwrap();
    fs::write(barge.path("f/x.tar.001"), &parts[0].1).unwrap();
    barge.line("load -i f/x.tar.001 -o site").exits(4).says(&["it is called like a part: put the others beside it"]);
    fs::copy(barge.path(form.file()), barge.path("e/y.tar.001")).unwrap();
    fs::copy(barge.path(form.file()), barge.path("e/y.tar.002")).unwrap();
    fs::remove_file(barge.path("e/y.tar.007")).unwrap();
    barge.line("load -i e/y.tar.002 -o site").exits(4).says(&["what is called like its parts", "other names"]);
    assert!(!barge.path("site").exists());
    barge.line("ls nothing.tar").exits(3).says(&["no such file"]);
}

#[test]
fn a_damaged_part_is_named_and_only_those_are_read_in_which_the_content_lies() {
    Form::ALL.into_iter().for_each(damaged);
}

fn damaged(form: Form) {
    let barge = Barge::new();
    let archive = prepare_in(&barge, [40_000, 30_000], form);
    let parts = cut_evenly(&archive, "x.tar", 4);
    parts.iter().for_each(|part| lay(&barge.path(""), part));
    let blobs = entries(&archive).blobs;
    let (digest, place) = blobs.iter().max_by_key(|(_, place)| place.len()).unwrap();
    let at = place.start + place.len() / 2;
    let hit = parts.iter().find(|(note, _)| note.offset as usize + note.size as usize > at).unwrap();
    let file = format!("x.tar.00{}", hit.0.part);
    let mut bytes = hit.1.clone();
    bytes[at - hit.0.offset as usize] ^= 1;
    barge.write(&file, &bytes);
    let named = format!("part {} ({file}) is damaged: its SHA-256 is ", hit.0.part);
    for words in ["copy x.tar out", "push x.tar 127.0.0.1:1/a:b --dry-run"] {
        let output = barge.line(words);
        if words.starts_with("push") {
            let _ = output.code();
            continue;
        }
        output.exits(4).says(&[&digest.to_string(), &named, &format!("get part {} ({file}) again", hit.0.part)]);
    }
    let report = barge.line("copy --json x.tar out").exits(4).json();
    assert_eq!(report["error"]["damagedParts"][0]["file"], json!(file));
    let report = barge.line("verify --json x.tar.001").exits(4).json();
    let problems = report["results"][0]["problems"].as_array().unwrap();
    let of = |status: &str| problems.iter().filter(|it| it["status"] == status).collect::<Vec<_>>();
    // what is not there is made of it: here both layers
    let wrong = [of("digest-mismatch").len(), of("malformed").len(), of("damaged-part").len()];
    assert_eq!(wrong, if form == Form::Plain { [1, 0, 1] } else { [0, 2, 1] }, "{report}");
    assert_eq!(of("damaged-part")[0]["digest"], json!(file));
    barge.line("verify x.tar").exits(4).prints(&["damaged-part: x.tar.00"]).says(&["the other parts are right"]);
    // in a header nothing is read that far, and every part is looked at
    barge.write(&file, &hit.1);
    let mut bytes = parts[0].1.clone();
    bytes[148] ^= 1;
    barge.write("x.tar.001", &bytes);
    barge.line("ls x.tar.003").exits(4).says(&["part 1 (x.tar.001) is damaged"]);
    // padding is in no content, and in a part all the same
    barge.write("x.tar.001", &parts[0].1);
    let hit = parts.iter().find(|(note, _)| (note.offset + note.size) as usize > place.end).unwrap();
    let mut bytes = hit.1.clone();
    bytes[place.end - hit.0.offset as usize] = 1;
    let file = format!("x.tar.00{}", hit.0.part);
    barge.write(&file, &bytes);
    barge.line("verify x.tar").exits(4).prints(&[&format!("damaged-part: {file} (part {} of 4)", hit.0.part)]);
}

#[test]
fn more_parts_than_files_may_be_open_are_read() {
    for form in Form::ALL {
        let barge = Barge::new();
        let archive = prepare_in(&barge, [40_000, 30_000], form);
        let parts = cut_evenly(&archive, "x.tar", 300);
        parts.iter().for_each(|part| lay(&barge.path(""), part));
        let line = "ulimit -n 100 && exec \"$0\" verify --jobs 4 x.tar.0007";
        let mut command = barge.around("sh");
        command.args(["-c", line, env!("CARGO_BIN_EXE_barge")]);
        barge.finish(&mut command).exits(0).prints(&["in 300 parts"]);
    }
}

#[test]
fn parts_are_pushed_where_they_lie_and_nothing_large_stays_in_memory() {
    if !available("docker-registry", std::path::Path::new("/usr/bin/docker-registry").exists()) {
        return;
    }
    let barge = Barge::new();
    let archive = prepare(&barge, [90 << 20, 30_000]);
    for part in cut_evenly(&archive, "x.tar", 3) {
        lay(&barge.path(format!("m{}", part.0.part)), &part);
    }
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    let push = format!("--part-dir m1 --part-dir m3 push --plain-http m2/x.tar.002:app:v1 {host}/org/app:v1");
    for words in [
        "--part-dir m1 --part-dir m3 verify m2/x.tar.002",
        &push,
        "load -i m3/x.tar.003 -o out --no-sync",
        "load -i m1/x.tar.001 -o out --no-sync",
        "load -i m2/x.tar.002 -o out --no-sync",
    ] {
        let mut running = Running::start(barge.command().args(words.split(' ')));
        let mut most: u64 = 0;
        while !running.has_ended() {
            let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            most = most.max(line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0));
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        running.output(&barge).exits(if words.contains("m3/x") || words.contains("m1/x") { 3 } else { 0 });
        assert!((1..64 * 1024).contains(&most), "{words}: {most} KiB");
    }
    barge.line(&format!("diff --plain-http docker://{host}/org/app:v1 out:app:v1")).exits(0);
    barge.line("diff out whole.tar").exits(0);
}

#[test]
fn a_part_that_was_an_archive_wrong_before_it_was_split_is_not_blamed() {
    let barge = Barge::new();
    let mut archive = prepare(&barge, [40_000, 30_000]);
    let place = entries(&archive).blobs.last().unwrap().1.clone();
    archive[place.start] ^= 1;
    cut_evenly(&archive, "x.tar", 3).iter().for_each(|part| lay(&barge.path(""), part));
    barge.line("copy x.tar out").exits(4).says(&["the archive was wrong before it was split"]).never(&["damaged"]);
    assert_ne!(noise(1, 8), noise(2, 8));
}

//! Parts that come one after the other.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use barge::bundle::{Mode, PartNote, Piece, Section};
use barge::digest::Digest;
use rustix::process::Signal;

use super::environment::{Barge, Running, available, listing, temporaries, until};
use super::made::{cut, cut_evenly, entries, lay, lay_bare};
use super::prepared::{Form, noise, prepare, prepare_in};
use super::support::image::{Images, Layer, named};

type Parts = Vec<(PartNote, Vec<u8>)>;

/// Three parts, each on a medium of its own: `m1`, `m2`, `m3`.
fn on_media(barge: &Barge, parts: &Parts) {
    parts.iter().for_each(|part| lay(&barge.path(format!("m{}", part.0.part)), part));
}

fn load(number: u64) -> String {
    format!("load -i m{number}/x.tar.00{number} -o out")
}

fn hidden(barge: &Barge, layout: &str) -> Vec<String> {
    let names = fs::read_dir(barge.path(layout)).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".barge-load-")).collect()
}

/// Checks that a layout is what a load of the whole archive makes, and nothing of the parts is left.
#[track_caller]
fn assert_loaded(barge: &Barge, layout: &str) {
    barge.line(&format!("verify {layout}")).exits(0).prints(&["ok: 2 images"]).never(&["unreferenced"]);
    barge.line(&format!("diff {layout} whole.tar")).exits(0);
    assert_eq!(hidden(barge, layout), [""; 0]);
    assert!(temporaries(&barge.path(layout)).is_empty());
    let names = |place: &str| {
        let listed = barge.line(&format!("ls --no-trunc {place}")).exits(0).stdout().to_owned();
        let mut lines: Vec<String> = listed.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(names(layout), names("whole.tar"));
}

#[test]
fn parts_come_in_any_order() {
    for form in Form::ALL {
        let barge = Barge::new();
        let archive = prepare_in(&barge, [40_000, 30_000], form);
        on_media(&barge, &cut_evenly(&archive, "x.tar", 3));
        for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
            let _ = fs::remove_dir_all(barge.path("out"));
            let mut needed: Vec<u64> = vec![1, 2, 3];
            for number in &order[..2] {
                needed.retain(|other| other != number);
                let again = format!("continue with `barge load -i x.tar.00{} -o out`", needed[0]);
                barge.line(&load(*number)).exits(3).says(&["cannot load x.tar yet", "is kept in oci:out", &again]);
                assert_eq!(barge.line("ls out").exits(0).stdout(), "", "no name before the last part");
            }
            barge.line("verify out").exits(0);
            barge.line(&load(order[2])).exits(0).prints(&["app:v1", "db:v3"]);
            assert_loaded(&barge, "out");
        }
    }
}

#[test]
fn several_parts_in_one_command_and_from_several_directories() {
    for form in Form::ALL {
        let barge = Barge::new();
        let archive = prepare_in(&barge, [40_000, 30_000], form);
        on_media(&barge, &cut_evenly(&archive, "x.tar", 3));
        barge.line("load -i m3/x.tar.003 -i m1/x.tar.001 -o out").exits(3).says(&["part 2 of 3 (x.tar.002) is needed"]);
        barge.line(&load(2)).exits(0);
        assert_loaded(&barge, "out");
        barge.line("load -i m3/x.tar.003 m1/x.tar.001 m2/x.tar.002 -o at-once").exits(0);
        assert_loaded(&barge, "at-once");
        barge.line("--part-dir m1 --part-dir m2 load -i m3/x.tar.003 -o further").exits(0);
        assert_loaded(&barge, "further");
        // what an earlier run took in is not in the way of a load at once, and is forgotten
        barge.line("load -i m2/x.tar.002 -o both").exits(3);
        barge.line("load -i m3/x.tar.003 m1/x.tar.001 m2/x.tar.002 -o both").exits(0);
        assert_loaded(&barge, "both");
    }
}

#[test]
fn options_of_a_load_hold_and_a_part_of_which_nothing_is_needed_is_not_read() {
    let barge = Barge::new();
    let archive = prepare(&barge, [40_000, 30_000]);
    let parts = cut_evenly(&archive, "x.tar", 3);
    on_media(&barge, &parts);
    barge.line("load --platform linux/s390x -i m1/x.tar.001 -o out").exits(3);
    // everything is there already: the documents and fronts are all that is needed
    barge.line("load -i whole.tar -o there").exits(0);
    let before = listing(&barge.path("there/blobs"));
    let mut spoilt = parts[1].1.clone();
    spoilt.fill(0);
    lay_bare(&barge.path("m2"), &parts[1].0, &spoilt);
    for number in [2, 3, 1] {
        let output = barge.line(&format!("load -i m{number}/x.tar.00{number} -o there"));
        output.exits(if number == 1 { 0 } else { 3 }).never(&["damaged"]);
    }
    assert_eq!(listing(&barge.path("there/blobs")), before);
    assert_loaded(&barge, "there");
}

#[test]
fn content_over_three_parts_is_put_together_and_never_named_unless_it_is_right() {
    let barge = Barge::new();
    let archive = prepare(&barge, [200_000, 10]);
    let place = entries(&archive).blobs.into_iter().max_by_key(|(_, place)| place.len()).unwrap();
    let at = [place.1.start + 10, place.1.start + 150_000];
    let parts = cut(&archive, "x.tar", &at);
    assert!(parts.iter().all(|(note, _)| note.pieces.iter().any(|piece| piece.digest == place.0)));
    on_media(&barge, &parts);
    for number in [3, 1] {
        barge.line(&load(number)).exits(3);
        assert!(!barge.path("out").join(place.0.blob_path()).exists());
    }
    barge.line(&load(2)).exits(0);
    assert_loaded(&barge, "out");
    // a set that lies: every part is what its note says, and the content is not
    let mut wrong = archive.clone();
    wrong[place.1.start + 1000] ^= 1;
    on_media(&barge, &cut(&wrong, "x.tar", &at));
    fs::remove_dir_all(barge.path("out")).unwrap();
    barge.line(&load(1)).exits(3);
    barge.line(&load(2)).exits(3);
    barge.line(&load(3)).exits(4).says(&[&place.0.to_string(), "wrong before it was split"]);
    assert!(!barge.path("out").join(place.0.blob_path()).exists());
    barge.line("verify out").exits(0).prints(&["ok: 0 images"]);
}

#[test]
fn only_the_damaged_part_is_needed_again() {
    for form in Form::ALL {
        let barge = Barge::new();
        let archive = prepare_in(&barge, [40_000, 30_000], form);
        let parts = cut_evenly(&archive, "x.tar", 3);
        let spoil = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            bytes
        };
        for together in [true, false] {
            for damaged in 0..3 {
                let _ = fs::remove_dir_all(barge.path("out"));
                on_media(&barge, &parts);
                let (note, bytes) = &parts[damaged];
                let number = note.part;
                lay_bare(&barge.path(format!("m{number}")), note, &spoil(bytes));
                let says = [
                    format!("part {number} of 3 (x.tar.00{number}) is needed"),
                    format!(
                        "is damaged: its SHA-256 is {}, expected {}",
                        Digest::of(&spoil(bytes)).hex(),
                        note.digest.hex()
                    ),
                    format!("continue with `barge load -i x.tar.00{number} -o out`"),
                ];
                let says: Vec<&str> = says.iter().map(String::as_str).collect();
                if together {
                    barge.line("load -i m1/x.tar.001 m2/x.tar.002 m3/x.tar.003 -o out").exits(4).says(&says);
                } else {
                    let others: Vec<u64> = (1..=3).filter(|other| *other != number).collect();
                    barge.line(&load(others[0])).exits(3);
                    barge.line(&load(number)).exits(4).says(&["is damaged", "are needed"]);
                    let report = barge.line(&format!("{} --json", load(number))).exits(4).json();
                    assert_eq!(report["error"]["damagedParts"][0]["part"], number);
                    barge.line(&load(others[1])).exits(3);
                }
                assert_eq!(barge.line("ls out").exits(0).stdout(), "");
                // the others are gone by then
                (1..=3).for_each(|number| fs::remove_dir_all(barge.path(format!("m{number}"))).unwrap());
                lay(&barge.path("new"), &parts[damaged]);
                barge.line(&format!("load -i new/x.tar.00{number} -o out")).exits(0);
                assert_loaded(&barge, "out");
                fs::remove_dir_all(barge.path("new")).unwrap();
            }
        }
        // cut off
        fs::remove_dir_all(barge.path("out")).unwrap();
        on_media(&barge, &parts);
        lay_bare(&barge.path("m2"), &parts[1].0, &parts[1].1[..1000]);
        barge.line("load -i m1/x.tar.001 m2/x.tar.002 m3/x.tar.003 -o out").exits(4).says(&["cut off", "x.tar.002"]);
        lay(&barge.path("m2"), &parts[1]);
        barge.line(&load(2)).exits(0);
        assert_loaded(&barge, "out");
    }
}

#[test]
fn parts_of_another_set_are_refused() {
    let barge = Barge::new();
    let archive = prepare(&barge, [40_000, 30_000]);
    on_media(&barge, &cut_evenly(&archive, "x.tar", 3));
    lay(&barge.path("other"), &cut_evenly(&archive, "x.tar", 4)[1]);
    barge.line("load -i m1/x.tar.001 other/x.tar.002 -o out").exits(4).says(&["of the set sha256:"]);
    // each set has its own place
    barge.line(&load(1)).exits(3);
    barge.line("load -i other/x.tar.002 -o out").exits(3).says(&["parts 1, 3 and 4 of 4"]);
    assert_eq!(hidden(&barge, "out").len(), 2);
    // without a note nobody knows what is in it
    fs::remove_file(barge.path("m2/x.tar.part-002.json")).unwrap();
    barge.line(&load(2)).exits(3).says(&["part 1 of 2"]);
    barge.line("load -i m1/x.tar.001 -o out.tar").exits(3).says(&["parts 2 and 3 of 3"]);
    barge.line("load --dry-run -i m1/x.tar.001 -o new").exits(3);
    assert!(!barge.path("new").exists());
}

#[test]
fn what_was_written_down_is_believed_only_as_far_as_it_is_harmless() {
    for form in Form::ALL {
        let barge = Barge::new();
        let archive = prepare_in(&barge, [200_000, 30_000], form);
        let parts = cut_evenly(&archive, "x.tar", 3);
        on_media(&barge, &parts);
        type Spoil = fn(&Path, &Path);
        let cases: [(&str, Spoil); 7] = [
            ("nothing left", |state, _| fs::remove_dir_all(state).unwrap()),
            ("no JSON", |state, _| fs::write(state.join("state.json"), "{").unwrap()),
            ("a claim that all is there", |state, _| {
                let text = fs::read_to_string(state.join("state.json")).unwrap();
                fs::write(state.join("state.json"), text.replace(r#""taken":[1]"#, r#""taken":[1,2,3]"#)).unwrap();
            }),
            ("no notes", |state, _| fs::remove_file(state.join("note-0001.json")).unwrap()),
            ("an empty front", |state, _| File::create(state.join("front-0001")).map(drop).unwrap()),
            ("blobs that are gone", |_, out| {
                fs::remove_dir_all(out.join("blobs/sha256")).unwrap();
                fs::create_dir(out.join("blobs/sha256")).unwrap();
            }),
            ("ranges that are gone", |state, _| {
                for entry in fs::read_dir(state).unwrap().flatten() {
                    if entry.file_name().to_string_lossy().starts_with("content-") {
                        fs::remove_file(entry.path()).unwrap();
                    }
                }
            }),
        ];
        for (case, spoil) in cases {
            let _ = fs::remove_dir_all(barge.path("out"));
            barge.line(&load(1)).exits(3);
            let state = barge.path("out").join(&hidden(&barge, "out")[0]);
            spoil(&state, &barge.path("out"));
            println!("{case}");
            barge.line(&load(2)).exits(3);
            let last = barge.line(&load(3));
            if last.code() == 3 {
                last.exits(3).says(&["part 1 of 3 (x.tar.001) is needed"]);
                barge.line(&load(1)).exits(0);
            }
            assert_loaded(&barge, "out");
        }
        // ranges of the right length that are wrong: found out when all is there
        fs::remove_dir_all(barge.path("out")).unwrap();
        barge.line(&load(1)).exits(3);
        let state = barge.path("out").join(&hidden(&barge, "out")[0]);
        for entry in fs::read_dir(&state).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("content-") {
                let length = entry.metadata().unwrap().len();
                fs::write(entry.path(), vec![7; length as usize]).unwrap();
            }
        }
        barge.line("load -i m2/x.tar.002 m3/x.tar.003 -o out").exits(4);
        barge.line("load -i m1/x.tar.001 m2/x.tar.002 m3/x.tar.003 -o out").exits(0);
        assert_loaded(&barge, "out");
    }
}

#[test]
fn a_load_that_was_killed_goes_on() {
    for (form, lengths) in [(Form::Plain, [24 << 20, 20 << 20]), (Form::Compact, [3 << 20, 2 << 20])] {
        let barge = Barge::new();
        let archive = prepare_in(&barge, lengths, form);
        let parts = cut_evenly(&archive, "x.tar", 3);
        on_media(&barge, &parts);
        let mut killed = 0;
        for number in [2, 3, 1] {
            for round in 0..6 {
                let words = format!("{} --no-sync", load(number));
                let mut running = Running::start(barge.command().args(words.split(' ')));
                std::thread::sleep(Duration::from_millis(4 + round * 23));
                if running.has_ended() {
                    let _ = running.output(&barge).code();
                    break;
                }
                running.signal(Signal::KILL);
                drop(running);
                killed += 1;
                if barge.path("out/oci-layout").exists() {
                    barge.line("verify out").exits(0).prints(&["ok: "]);
                }
            }
            let output = barge.line(&load(number));
            let code = output.code();
            assert!(code == 0 || code == 3, "{number}: {code}");
        }
        assert!(killed > 3, "it always ended before it was killed");
        barge.line("verify out").exits(0).prints(&["ok: 2 images"]);
        barge.line("diff out whole.tar").exits(0);
    }
}

#[test]
fn gc_keeps_what_came_for_a_week() {
    for form in Form::ALL {
        let barge = Barge::new();
        let archive = prepare_in(&barge, [40_000, 30_000], form);
        on_media(&barge, &cut_evenly(&archive, "x.tar", 3));
        barge.line(&load(1)).exits(3);
        barge.line(&load(3)).exits(3);
        let blobs = listing(&barge.path("out/blobs"));
        barge.line("gc --grace 0s out").exits(0).says(&["1 load from several media left", "stays"]);
        assert_eq!(listing(&barge.path("out/blobs")), blobs);
        barge.line(&load(2)).exits(0);
        assert_loaded(&barge, "out");
        fs::remove_dir_all(barge.path("out")).unwrap();
        barge.line(&load(1)).exits(3);
        let state = barge.path("out").join(&hidden(&barge, "out")[0]);
        let long_ago = SystemTime::now() - Duration::from_secs(8 * 24 * 3600);
        for entry in fs::read_dir(&state).unwrap().flatten() {
            File::options().write(true).open(entry.path()).unwrap().set_modified(long_ago).unwrap();
        }
        File::open(&state).unwrap().set_modified(long_ago).unwrap();
        barge.line("gc --grace 0s --dry-run out").exits(0).says(&["would remove what 1 load"]);
        barge.line("gc --grace 0s out").exits(0).says(&["removed what 1 load from several media left", "in a week"]);
        assert_eq!(hidden(&barge, "out"), [""; 0]);
        assert!(fs::read_dir(barge.path("out/blobs/sha256")).unwrap().next().is_none());
    }
}

#[test]
fn a_part_dir_is_waited_for() {
    let barge = Barge::new();
    let archive = prepare(&barge, [40_000, 30_000]);
    let parts = cut_evenly(&archive, "x.tar", 3);
    on_media(&barge, &parts);
    barge
        .line("--part-dir slot load --part-timeout 1 -i m1/x.tar.001 -o out")
        .exits(3)
        .says(&["waiting for parts 2 and 3 of 3", "cannot load x.tar yet"]);
    let words = "--part-dir slot load --part-timeout 50 -i m1/x.tar.001 -o out";
    let mut running = Running::start(barge.command().args(words.split(' ')));
    // one that is still being copied, and then another
    lay(&barge.path("slot"), &(parts[2].0.clone(), parts[2].1[..500].to_vec()));
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!running.has_ended());
    lay(&barge.path("slot"), &parts[2]);
    until("the third part to be taken in", || {
        hidden(&barge, "out").first().is_some_and(|name| barge.path("out").join(name).join("note-0003.json").exists())
    });
    fs::remove_dir_all(barge.path("slot")).unwrap();
    lay(&barge.path("slot"), &parts[1]);
    running.output(&barge).exits(0).prints(&["app:v1"]);
    assert_loaded(&barge, "out");
    // a signal ends the waiting, and what came is kept
    let mut running = Running::start(barge.command().args("--part-dir slot load -i m1/x.tar.001 -o new".split(' ')));
    until("it waits", || {
        hidden(&barge, "new").first().is_some_and(|name| barge.path("new").join(name).join("note-0001.json").exists())
    });
    running.listens();
    std::thread::sleep(Duration::from_millis(300));
    running.signal(Signal::INT);
    running.output(&barge).exits(130);
    barge.line("load -i m3/x.tar.003 -i slot/x.tar.002 -o new").exits(0);
    assert_loaded(&barge, "new");
}

#[test]
fn on_a_terminal_the_next_medium_is_asked_for() {
    let has_script = std::process::Command::new("script").arg("--version").output().is_ok();
    if !available("script (util-linux)", has_script) {
        return;
    }
    let barge = Barge::new();
    let archive = prepare(&barge, [40_000, 30_000]);
    let parts = cut_evenly(&archive, "x.tar", 3);
    on_media(&barge, &parts);
    lay(&barge.path("slot"), &parts[0]);
    lay(&barge.path("foreign"), &cut_evenly(&archive, "x.tar", 4)[2]);
    let start = |layout: &str| {
        let line = format!("exec '{}' load -i slot/x.tar.001 -o {layout}", env!("CARGO_BIN_EXE_barge"));
        let mut command = barge.around("script");
        command.args(["-qec", &line, "/dev/null"]).env("SHELL", "/bin/sh").env("TERM", "xterm").stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        (child, input, output)
    };
    let question = "insert the medium with ";
    let ask = |from: &mut dyn std::io::Read, seen: &mut String, times: usize| {
        let mut byte = [0];
        while seen.matches("q to stop): ").count() < times {
            assert_eq!(from.read(&mut byte).unwrap(), 1, "{seen}");
            seen.push(byte[0] as char);
        }
    };
    let (mut child, mut input, mut output) = start("out");
    let mut seen = String::new();
    ask(&mut output, &mut seen, 1);
    assert!(seen.contains(&format!("{question}parts 2 and 3 of 3 of x.tar (x.tar.002, x.tar.003)")), "{seen}");
    // another medium in the same slot
    fs::remove_dir_all(barge.path("slot")).unwrap();
    lay(&barge.path("slot"), &parts[2]);
    input.write_all(b"\n").unwrap();
    ask(&mut output, &mut seen, 2);
    assert!(seen.contains(&format!("{question}part 2 of 3 of x.tar")), "{seen}");
    input.write_all(b"nowhere\n").unwrap();
    ask(&mut output, &mut seen, 3);
    assert!(seen.contains("nowhere is no directory"), "{seen}");
    input.write_all(b"foreign\n").unwrap();
    ask(&mut output, &mut seen, 4);
    assert!(seen.contains("of the set sha256:"), "{seen}");
    input.write_all(b"m2\n").unwrap();
    output.read_to_string(&mut seen).unwrap();
    assert!(child.wait().unwrap().success(), "{seen}");
    assert_loaded(&barge, "out");
    // enough
    fs::remove_dir_all(barge.path("slot")).unwrap();
    lay(&barge.path("slot"), &parts[0]);
    let (mut child, mut input, mut output) = start("new");
    let mut seen = String::new();
    ask(&mut output, &mut seen, 1);
    input.write_all(b"q\n").unwrap();
    output.read_to_string(&mut seen).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{seen}");
    barge.line("load -i m2/x.tar.002 m3/x.tar.003 -o new").exits(0);
    assert_loaded(&barge, "new");
}

#[test]
fn hostile_notes_are_refused_or_prove_nothing() {
    let barge = Barge::new();
    let archive = prepare(&barge, [40_000, 30_000]);
    let parts = cut_evenly(&archive, "x.tar", 2);
    let secret = Digest::of(b"what nobody has");
    type Spoil = fn(&mut PartNote, Digest);
    let cases: [(&str, Spoil); 11] = [
        ("pieces that overlap", |note, _| {
            let first = note.pieces[0];
            note.pieces.push(first);
        }),
        ("a front over a piece", |note, _| note.front = Some(Section { at: 0, length: note.size })),
        ("a front that is no tar", |note, _| note.front = Some(Section { at: 600, length: 900 })),
        ("a front that is not there", |note, _| note.front = None),
        ("a piece that is something else", |note, digest| note.pieces[0].digest = digest),
        ("all pieces are something else", |note, digest| {
            note.pieces.iter_mut().for_each(|piece| piece.digest = digest);
        }),
        ("content of another size", |note, _| note.pieces[0].size += 1),
        ("content of a huge size", |note, digest| {
            let section = note.pieces[0].section;
            let size = u64::MAX >> 1;
            note.pieces[0] = Piece { digest, size, from: size - section.length, section, is_stock: false };
        }),
        ("no pieces", |note, _| note.pieces.clear()),
        ("a place behind everything", |note, _| note.offset = note.length - note.size),
        ("a set that lies", |note, digest| note.set = digest),
    ];
    for (case, spoil) in cases {
        let _ = (fs::remove_dir_all(barge.path("out")), fs::remove_dir_all(barge.path("d")));
        let mut spoilt = parts.clone();
        spoil(&mut spoilt[0].0, secret);
        println!("{case}");
        lay(&barge.path("d/1"), &spoilt[0]);
        lay(&barge.path("d/2"), &spoilt[1]);
        let mut codes = Vec::new();
        for number in [1, 2, 1] {
            let output = barge.line(&format!("load -i d/{number}/x.tar.00{number} -o out"));
            codes.push(output.code());
        }
        assert!(!codes.contains(&10) && !codes.contains(&1), "{case}: {codes:?}");
        if codes.contains(&0) {
            assert_loaded(&barge, "out");
        } else if barge.path("out").exists() {
            barge.line("verify out").exits(0).prints(&["ok: 0 images"]);
        }
        assert!(!barge.path("out").join(secret.blob_path()).exists(), "{case}");
    }
}

/// A part that is an archive by itself, with one image.
fn by_itself(barge: &Barge, number: u64, parts: u64, image: &str) -> (PartNote, Vec<u8>) {
    let name = format!("part-{number}.tar");
    barge.line(&format!("save -q --force -o {name} source:{image}")).exits(0);
    let bytes = fs::read(barge.path(name)).unwrap();
    let found = entries(&bytes);
    let section = |range: &std::ops::Range<usize>| Section { at: range.start as u64, length: range.len() as u64 };
    let piece = |(digest, range): &(Digest, std::ops::Range<usize>)| Piece {
        digest: *digest,
        size: range.len() as u64,
        from: 0,
        section: section(range),
        is_stock: false,
    };
    let note = PartNote {
        set: Digest::of(b"archives"),
        archive: "x.tar".to_owned(),
        mode: Mode::Archive,
        part: number,
        parts,
        size: bytes.len() as u64,
        digest: Digest::of(&bytes),
        offset: 0,
        length: bytes.len() as u64,
        front: Some(section(&found.front)),
        pieces: found.blobs.iter().map(piece).collect(),
    };
    (note, bytes)
}

#[test]
fn parts_that_are_archives_bring_their_images_when_they_come() {
    let barge = Barge::new();
    prepare(&barge, [40_000, 30_000]);
    for (number, image) in [(1, "app:v1"), (2, "db:v3")] {
        lay(&barge.path(format!("m{number}")), &by_itself(&barge, number, 2, image));
    }
    barge.line("verify m1/x.001.tar").exits(0).prints(&["ok: 1 image"]);
    barge.line("ls m1/x.tar").exits(9).says(&["x.001.tar"]);
    barge.line("load -i m2/x.002.tar -o out").exits(3).says(&["part 1 of 2 (x.001.tar) is needed"]);
    barge.line("ls out").exits(0).prints(&["db:v3"]).never(&["app:v1"]);
    barge.line("load -i m1/x.001.tar -o out").exits(0).prints(&["app:v1"]);
    assert_loaded(&barge, "out");
    barge.line("load -i m1/x.001.tar m2/x.002.tar -o both").exits(0).prints(&["app:v1", "db:v3"]);
    assert_loaded(&barge, "both");
}

#[test]
fn a_front_that_is_larger_than_a_part_comes_from_several() {
    let barge = Barge::new();
    let mut images = Images::new();
    for at in 0..100 {
        let image = images.image("linux/amd64", &[Layer::plain(&noise(at, 10))]);
        images.root(named(image, &format!("app:v{at}")));
    }
    images.layout(&barge.path("source"));
    barge.line("save -q -o whole.tar source").exits(0);
    let archive = fs::read(barge.path("whole.tar")).unwrap();
    let front = entries(&archive).front.len();
    let parts = cut(&archive, "x.tar", &[front / 3, front / 2, front]);
    for part in &parts {
        lay(&barge.path(format!("m{}", part.0.part)), part);
    }
    for (number, code) in [(3, 3), (2, 3), (4, 3), (1, 0)] {
        barge.line(&format!("load -i m{number}/x.tar.00{number} -o out")).exits(code);
    }
    barge.line("verify out").exits(0).prints(&["ok: 100 images"]);
    barge.line("diff out whole.tar").exits(0);
    assert_eq!(hidden(&barge, "out"), [""; 0]);
}

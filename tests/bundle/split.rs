//! `save --split`: parts that are the archive when they are joined, checked and read by others than barge.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Command;

use barge::bundle::PartNote;
use barge::digest::Digest;
use rustix::process::Signal;

use super::prepared::{Form, bringing, noise};
use super::support::image::{Images, Layer, named, sparse};
use super::*;

const MIB: u64 = 1 << 20;

/// Two images that share a layer, about 6 MiB in all.
pub(super) fn two_images() -> Images {
    two_images_in(Form::Plain)
}

/// The same for a bundle of this form; of what layers are made of about 2 MiB, since it takes its time.
fn two_images_in(form: Form) -> Images {
    let mut images = Images::new();
    let [shared, app, db] = match form {
        Form::Plain => [700_000, 3_000_005, 2_200_000],
        Form::Compact => [200_000, 1_000_005, 1_000_000],
    };
    let layer = |seed, length| Layer::plain(&bringing(form, seed, length));
    let shared = layer(1, shared);
    let app = [layer(2, app), shared.clone(), Layer::plain(&noise(3, 1))];
    let app = images.image("linux/amd64", &app);
    let db = images.image("linux/amd64", &[shared, layer(4, db)]);
    images.root(named(app, "app:v1"));
    images.root(named(db, "db:v3"));
    images
}

/// Into how many parts of 1 MiB they go.
fn count(form: Form) -> u64 {
    if form == Form::Plain { 6 } else { 3 }
}

fn notes(barge: &Barge, archive: &str) -> Vec<PartNote> {
    let prefix = format!("{archive}.part-");
    let mut names: Vec<String> =
        fs::read_dir(barge.path("")).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with(&prefix));
    names.sort();
    names.iter().map(|name| PartNote::parse(&fs::read(barge.path(name)).unwrap()).unwrap()).collect()
}

fn part(barge: &Barge, number: u64) -> PathBuf {
    barge.path(format!("x.tar.{number:03}"))
}

/// Runs a line of a shell in the working directory, and returns what it printed.
#[track_caller]
fn shell(barge: &Barge, line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).current_dir(barge.path("")).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the names, sizes, inodes and times of the parts.
fn state(barge: &Barge) -> BTreeMap<String, (u64, u64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(barge.path("")).unwrap().map(Result::unwrap);
    let known = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap()));
    let parts = known.filter(|(name, _)| name.starts_with("x.tar"));
    parts.map(|(name, it)| (name, (it.len(), it.ino(), it.mtime_nsec()))).collect()
}

#[test]
fn parts_are_checked_joined_and_read_without_barge() {
    Form::ALL.into_iter().for_each(without_barge);
}

fn without_barge(form: Form) {
    let barge = Barge::new();
    two_images_in(form).layout(&barge.path("source"));
    let line = format!("{} --split 1M -o x.tar source", form.save());
    let told = barge.line(&line).exits(0);
    let parts = format!("{} parts", count(form));
    told.says(&[&format!("in {parts}"), "sha256sum -c x.tar.sha256", "cat x.tar.0* > x.tar"]);
    assert_clean(&barge, "after a save");
    shell(&barge, "sha256sum -c --strict x.tar.sha256");
    shell(&barge, "cat x.tar.0* > joined.tar");
    barge.line("verify --deep joined.tar").exits(0);
    barge.line("ls joined.tar").exits(0).prints(&["app:v1", "db:v3"]);
    let before = state(&barge);
    if form == Form::Plain {
        assert_eq!(shell(&barge, "tar tf joined.tar | grep -c blobs/sha256"), "8\n");
        let skopeo = Command::new("skopeo").arg("--version").output().is_ok();
        if available("skopeo", skopeo) {
            shell(&barge, "skopeo inspect oci-archive:joined.tar:app:v1");
        }
        // below, nothing is read; what layers are made of is not known before they are
        for blob in blobs(&barge.path("source")).iter().take(3) {
            spoil(blob, 77);
        }
    }
    // the same command again: nothing is written
    barge.line(&line).exits(0).says(&["nothing to do", &parts]);
    assert_eq!(state(&barge), before);
}

#[test]
fn notes_say_where_every_byte_of_the_content_is() {
    Form::ALL.into_iter().for_each(every_byte);
}

fn every_byte(form: Form) {
    let barge = Barge::new();
    let images = two_images_in(form);
    images.layout(&barge.path("source"));
    barge.line(&format!("{} -q --split 1M -o x.tar source", form.save())).exits(0);
    let notes = notes(&barge, "x.tar");
    assert_eq!(notes.len() as u64, count(form));
    let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut offset = 0;
    for note in &notes {
        let bytes = fs::read(part(&barge, note.part)).unwrap();
        assert_eq!((note.size, note.digest, note.offset), (bytes.len() as u64, Digest::of(&bytes), offset));
        assert_eq!((note.set, note.parts, note.archive.as_str()), (notes[0].set, count(form), "x.tar"));
        assert_eq!(note.front.is_some(), note.part == 1);
        offset += note.size;
        for piece in &note.pieces {
            let content = contents.entry(piece.digest.to_string()).or_default();
            assert_eq!(content.len() as u64, piece.from);
            let at = usize::try_from(piece.section.at).unwrap();
            content.extend(&bytes[at..at + usize::try_from(piece.section.length).unwrap()]);
        }
    }
    assert_eq!(notes[0].length, offset);
    match form {
        Form::Plain => assert_eq!(contents, images.blobs),
        Form::Compact => {
            let is_right = |(digest, bytes): (&String, &Vec<u8>)| *digest == Digest::of(bytes).to_string();
            assert!(contents.len() == 6 && contents.iter().all(is_right), "{:?}", contents.keys());
        }
    }
    // two runs with another place and other lanes are the same set
    fs::create_dir(barge.path("there")).unwrap();
    barge.line(&format!("{} -q --jobs 4 --split 1MiB -o there/x.tar source", form.save())).exits(0);
    shell(&barge, "for f in there/x.tar*; do cmp $f ${f#there/}; done");
}

#[test]
fn a_part_that_is_missing_is_written_again_alone() {
    Form::ALL.into_iter().for_each(written_again);
}

fn written_again(form: Form) {
    let barge = Barge::new();
    two_images_in(form).layout(&barge.path("source"));
    let save = format!("{} --split 1M -o x.tar source", form.save());
    barge.line(&format!("{save} -q")).exits(0);
    let notes = notes(&barge, "x.tar");
    for lost in &notes {
        // what layers are made of takes its time: one part will do
        if form == Form::Compact && lost.part != 2 {
            continue;
        }
        let mut before = state(&barge);
        let sum = fs::read(part(&barge, lost.part)).unwrap();
        match lost.part % 2 {
            // cut short on its way, or lost
            0 => File::options().write(true).open(part(&barge, lost.part)).unwrap().set_len(1000).unwrap(),
            _ => fs::remove_file(part(&barge, lost.part)).unwrap(),
        }
        let needed: Vec<String> = lost.pieces.iter().map(|piece| piece.digest.to_string()).collect();
        let others: Vec<_> = blobs(&barge.path("source"));
        // what is small is read to plan the save
        let large = if form == Form::Plain { 3 } else { 0 };
        let others: Vec<_> = others.iter().take(large).filter(|blob| !needed.contains(&digest_of(blob))).collect();
        let right: Vec<Vec<u8>> = others.iter().map(|blob| fs::read(blob).unwrap()).collect();
        others.iter().for_each(|blob| spoil(blob, 77));
        let stats = barge.line(&format!("{save} --json")).exits(0).json()["stats"].clone();
        let parts = count(form);
        assert_eq!((stats["parts"].as_u64(), stats["partsKept"].as_u64()), (Some(parts), Some(parts - 1)), "{stats}");
        others.iter().zip(right).for_each(|(blob, right)| fs::write(blob, right).unwrap());
        assert!(fs::read(part(&barge, lost.part)).unwrap() == sum);
        let mut now = state(&barge);
        let written = |name: &String, _: &mut (u64, u64, i64)| {
            !name.ends_with(&format!("{:03}", lost.part)) && name.starts_with("x.tar.0")
        };
        before.retain(written);
        now.retain(written);
        assert_eq!(now, before, "another part was written again");
        assert_clean(&barge, "after a part");
    }
    shell(&barge, "sha256sum -c --quiet x.tar.sha256 && cat x.tar.0* > joined.tar");
    barge.line("verify joined.tar").exits(0);
    if form == Form::Compact {
        return;
    }
    let kept = |lost: &str| format!("{lost} are there already, and were not read");
    fs::remove_file(part(&barge, 3)).unwrap();
    barge.line(&save).exits(0).says(&[&kept("x.tar.001 to x.tar.002, x.tar.004 to x.tar.006")]);
}

#[test]
fn a_save_that_is_killed_goes_on_at_the_part_it_was_in() {
    let barge = Barge::new();
    sparse(&barge.path("source"), "linux/amd64", &[100 * MIB, 99 * MIB, 98 * MIB]);
    let line = "save --split 16M -o x.tar source";
    let mut stopped_at = Vec::new();
    for (target, signal) in [(1, Signal::KILL), (4, Signal::KILL), (9, Signal::INT), (17, Signal::KILL)] {
        let mut running = Running::start(barge.command().args(line.split(' ')));
        until("a part", || part(&barge, target).exists() || running.has_ended());
        running.signal(signal);
        let output = running.output(&barge);
        if signal == Signal::INT {
            drop(output.exits(130).says(&["are finished and stay: run the same command again"]));
        } else {
            output.ends_or_was_killed();
        }
        assert!(!barge.path("x.tar.sha256").exists(), "it ended before it was stopped, or looks whole");
        stopped_at.push(state(&barge).keys().filter(|name| name.starts_with("x.tar.0")).count());
    }
    let before = state(&barge);
    let notes: Vec<PartNote> = notes(&barge, "x.tar");
    let finished = |note: &&PartNote| part(&barge, note.part).exists();
    // content that lies in finished parts alone is not read
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    for piece in notes.iter().filter(finished).flat_map(|note| &note.pieces) {
        *held.entry(piece.digest.to_string()).or_default() += piece.section.length;
    }
    let large = blobs(&barge.path("source"));
    let whole: Vec<_> = large[..3]
        .iter()
        .filter(|blob| held.get(&digest_of(blob)) == Some(&fs::metadata(blob).unwrap().len()))
        .collect();
    assert!(!whole.is_empty() && whole.len() < 3, "{stopped_at:?}");
    whole.iter().for_each(|blob| spoil(blob, 1));
    barge.line(line).exits(0).says(&["in 19 parts", "x.tar.001 to x.tar.0"]);
    whole.iter().for_each(|blob| spoil(blob, 0));
    let now = state(&barge);
    let kept = before.iter().filter(|(name, _)| name.starts_with("x.tar.0"));
    assert!(kept.into_iter().all(|(name, it)| now[name] == *it), "{before:?} {now:?}");
    shell(&barge, "sha256sum -c --quiet x.tar.sha256 && cat x.tar.0* > joined.tar");
    barge.line("verify joined.tar").exits(0);
    assert_clean(&barge, "after success");
}

#[test]
fn content_that_is_wrong_never_stays_in_a_part() {
    Form::ALL.into_iter().for_each(never_stays);
}

fn never_stays(form: Form) {
    let barge = Barge::new();
    two_images_in(form).layout(&barge.path("source"));
    let blob = &blobs(&barge.path("source"))[0];
    let right = fs::read(blob).unwrap();
    spoil(blob, right[0] ^ 1);
    let line = format!("{} --split 1M -o x.tar source", form.save());
    let line = line.as_str();
    barge.line(line).exits(4);
    let holds = |note: &PartNote| {
        note.pieces.iter().any(|piece| match form {
            Form::Plain => piece.digest.to_string() == digest_of(blob),
            // the content of all files
            Form::Compact => piece.is_stock && piece.size > 2_000_000,
        })
    };
    assert!(!notes(&barge, "x.tar").iter().any(holds), "a part with wrong content stays");
    assert_clean(&barge, "after wrong content");
    fs::write(blob, &right).unwrap();
    barge.line(line).exits(0);
    let sums = fs::read_to_string(barge.path("x.tar.sha256")).unwrap();
    // the part with its beginning is lost, and the content is wrong now: its end vouches for nothing that is written today
    let first = notes(&barge, "x.tar").into_iter().find(holds).unwrap();
    fs::remove_file(part(&barge, first.part)).unwrap();
    spoil(blob, right[0] ^ 1);
    barge.line(line).exits(4);
    assert!(!part(&barge, first.part).exists());
    fs::write(blob, &right).unwrap();
    barge.line(line).exits(0);
    assert_eq!(fs::read_to_string(barge.path("x.tar.sha256")).unwrap(), sums);
    // a run that was killed before it found the content wrong: its parts are finished, and hold what is not right
    let last = notes(&barge, "x.tar").into_iter().rfind(holds).unwrap();
    fs::remove_file(part(&barge, last.part)).unwrap();
    let lying = part(&barge, first.part);
    let place = fs::metadata(&lying).unwrap().len() - 1;
    let byte = fs::read(&lying).unwrap()[usize::try_from(place).unwrap()];
    File::options().write(true).open(&lying).unwrap().write_all_at(&[byte ^ 1], place).unwrap();
    barge.line(line).exits(4).says(&["holds other bytes", "run the same command again"]);
    barge.line(line).exits(0);
    shell(&barge, "sha256sum -c --quiet x.tar.sha256");
    assert_eq!(fs::read_to_string(barge.path("x.tar.sha256")).unwrap(), sums);
}

#[test]
fn files_of_another_set_are_refused_and_replaced_by_force() {
    let barge = Barge::new();
    two_images().layout(&barge.path("source"));
    let mut little = Images::new();
    let image = little.image("linux/arm64", &[Layer::plain(&noise(9, 1_500_000))]);
    little.root(named(image, "little:v1")).layout(&barge.path("little"));
    let line = "save --split 1M -o x.tar little";
    let remove_all = || shell(&barge, "rm -f x.tar*");
    type Prepare<'a> = &'a dyn Fn();
    let longer = || drop(barge.line("save -q --split 1M -o x.tar source").exits(0));
    let cases: [(&str, &[&str], Prepare<'_>); 7] = [
        ("a longer set", &["x.tar.001", "and 8 more"], &longer),
        ("its end alone", &["x.tar.004"], &|| {
            longer();
            shell(&barge, "mv x.tar.004 keep; rm x.tar*; mv keep x.tar.004");
        }),
        ("parts without notes", &["x.tar.001, x.tar.002"], &|| {
            shell(&barge, "echo a >x.tar.001; echo b >x.tar.002");
        }),
        ("numbers of four digits", &["x.tar.0001"], &|| drop(shell(&barge, "echo a >x.tar.0001"))),
        ("a note that is none", &["x.tar.part-007.json"], &|| drop(shell(&barge, "echo {} >x.tar.part-007.json"))),
        ("other sums", &["x.tar.sha256"], &|| {
            barge.line(&format!("{line} -q")).exits(0);
            shell(&barge, "echo x >x.tar.sha256");
        }),
        ("a whole archive", &["x.tar", "there already"], &|| drop(barge.line("save -q -o x.tar source").exits(0))),
    ];
    for (case, said, prepare) in cases {
        prepare();
        let before = state(&barge);
        barge.line(line).exits(9).says(said).says(&["--force"]);
        assert_eq!(state(&barge), before, "{case}");
        barge.line(&format!("{line} --force")).exits(0);
        let left: Vec<String> = state(&barge).into_keys().collect();
        let whole = ["x.tar.001", "x.tar.002", "x.tar.part-001.json", "x.tar.part-002.json", "x.tar.sha256"];
        assert_eq!(left, whole, "{case}");
        shell(&barge, "sha256sum -c --quiet x.tar.sha256; cat x.tar.0* >joined.tar");
        barge.line("ls joined.tar").exits(0).prints(&["little:v1"]);
        assert_clean(&barge, case);
        remove_all();
    }
    // a part that is known by its name and by its note is one
    barge.line("save -q --split 1M --split-mode archive -o x.tar source").exits(0);
    let twice = "x.001.tar, x.001.tar";
    barge.line("save --split 2M --split-mode archive -o x.tar little").exits(9).says(&["x.001.tar"]).never(&[twice]);
    shell(&barge, "rm x.*");
    // what is called otherwise is left alone
    shell(&barge, "touch x.tar.1 x.tar.gz x.001.tar x.tar.100 y.tar.001 x.tar.part-a.json");
    barge.line(line).exits(0);
    shell(&barge, "ls x.tar.1 x.tar.gz x.001.tar x.tar.100 y.tar.001 x.tar.part-a.json");
}

#[test]
fn a_set_that_is_being_replaced_never_looks_whole() {
    let barge = Barge::new();
    sparse(&barge.path("source"), "linux/amd64", &[100 * MIB, 99 * MIB]);
    sparse(&barge.path("other"), "linux/arm64", &[101 * MIB, 102 * MIB]);
    barge.line("save -q --split 8M -o x.tar other").exits(0);
    let line = "save --force --split 8M -o x.tar source";
    let mut running = Running::start(barge.command().args(line.split(' ')));
    let ours = |name: &str| !barge.path("x.tar.sha256").exists() && barge.path(name).exists();
    until("a part", || ours("x.tar.part-005.json") || running.has_ended());
    running.signal(Signal::KILL);
    running.output(&barge).ends_or_was_killed();
    assert!(!barge.path("x.tar.sha256").exists());
    let notes = notes(&barge, "x.tar");
    assert!(notes.iter().all(|note| note.set == notes[0].set && note.parts == 25), "notes of two sets");
    for note in &notes {
        let Ok(mut file) = File::open(part(&barge, note.part)) else { continue };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(Digest::of(&bytes), note.digest, "part {}", note.part);
    }
    // without the word it stops: what is left of the other set is not ours to remove
    barge.line("save --split 8M -o x.tar source").exits(9).says(&["x.tar.0"]);
    barge.line(line).exits(0).says(&["x.tar.001 to x.tar.00"]);
    shell(&barge, "sha256sum -c --quiet x.tar.sha256; cat x.tar.0* >joined.tar");
    barge.line("verify joined.tar").exits(0);
}

#[test]
fn two_saves_of_one_set_do_not_meet() {
    let barge = Barge::new();
    sparse(&barge.path("source"), "linux/amd64", &[200 * MIB]);
    let line = "save --split 16M -o x.tar source";
    let mut running = Running::start(barge.command().args(line.split(' ')));
    until("a part", || part(&barge, 1).exists() || running.has_ended());
    barge.line(&format!("{line} --lock-timeout 0")).exits(8).says(&["another process holds it"]);
    running.output(&barge).exits(0);
    assert_clean(&barge, "after both");
}

#[test]
fn a_full_disk_keeps_the_parts_that_are_finished() {
    let barge = Barge::new();
    two_images().layout(&barge.path("source"));
    fs::create_dir(barge.path("small")).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(barge.path("small")).output();
    if available("right to mount a tmpfs", mount.is_ok_and(|output| output.status.success())) {
        let early = barge.line("save --split 1M -o small/x.tar source").exits(10);
        early.says(&["5.6 MiB are needed and 4.0 MiB are free: 1.6 MiB are missing"]);
        early_is_clean(&barge);
        // what layers are made of is put aside before it is written, beside it if nobody says where
        two_images_in(Form::Compact).layout(&barge.path("again"));
        let early = barge.line("save --compact --split 1M -o small/x.tar again").exits(10);
        early.says(&["cannot write a temporary file in small", "give another directory with --tmpdir"]);
        early_is_clean(&barge);
        Command::new("umount").arg(barge.path("small")).status().unwrap();
    }
    // one that fills up meanwhile: the eighth write of the thread that writes is the note on the fourth part
    let strace = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    if !available("strace", strace.is_ok_and(|run| run.status.success())) {
        return;
    }
    let mut command = barge.around("strace");
    command.args(["-f", "-q", "-o", "/dev/null", "-e", "trace=write", "-einject=write:error=ENOSPC:when=8"]);
    command.arg(env!("CARGO_BIN_EXE_barge")).args(["save", "--split", "1M", "-o", "x.tar", "source"]);
    let full = barge.finish(&mut command).exits(10);
    full.says(&["x.tar.001 to x.tar.003 are finished and stay", "make room and run the same command again"]);
    assert_clean(&barge, "after a full disk");
    assert!(part(&barge, 3).exists() && !part(&barge, 4).exists());
    barge.line("save --split 1M -o x.tar source").exits(0).says(&["x.tar.001 to x.tar.003 are there already"]);
    shell(&barge, "sha256sum -c --quiet x.tar.sha256");
}

fn early_is_clean(barge: &Barge) {
    assert_eq!(fs::read_dir(barge.path("small")).unwrap().count(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_written() {
    let barge = Barge::new();
    two_images().layout(&barge.path("source"));
    for (line, code, said) in [
        ("save --split 1M --compress gzip -o x.tar source", 2, "cannot be used with"),
        ("save --split 1M --media cd -o x.tar source", 2, "cannot be used with"),
        ("save --media cd --compress zstd -o x.tar source", 2, "cannot be used with"),
        ("save --split 1M -o - source", 2, "standard output"),
        ("save --media floppy -o x.tar source", 2, "expected fat32, cd, dvd or bd25"),
        ("save --split much -o x.tar source", 2, "expected a size such as"),
        ("save --split 1M -o absent/x.tar source", 3, "make the directory first"),
        ("save -o absent/x.tar source", 3, "make the directory first"),
        ("save --split 1000 -o x.tar source", 9, "a part has at least 1.0 MiB"),
    ] {
        barge.line(line).exits(code).says(&[said]);
        assert!(state(&barge).is_empty(), "{line}");
    }
    sparse(&barge.path("huge"), "linux/amd64", &[1]);
    // a set of one part is a set as well
    barge.line("save --media fat32 -o x.tar source").exits(0).says(&["in 1 part"]);
    assert_eq!(state(&barge).len(), 3);
}

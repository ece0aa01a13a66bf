//! Partial blobs: what is left when something breaks off, who continues it, and who removes it.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::mpsc;

use barge::blob::{BlobError, Mismatch, Resume};
use barge::plan::Plan;
use barge::store::layout::Sweeper;
use barge::transfer::{self, Deaf, Outcome};

use super::remote::{Bench, Connection, HALF, Remote, SIZE, Then, large};
use super::*;

fn long_ago(path: &Path, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 60);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn what_broke_off_is_continued_and_only_the_rest_is_asked_for() {
    let bench = Bench::new();
    let broken = Remote::breaking(&bench.bytes, HALF, Then::Fail);
    let Err(PutError::From(BlobError::Read(error))) = bench.put(&broken) else { panic!("no failure of the reader") };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(fs::read(bench.partial()).unwrap(), &bench.bytes[..HALF]);
    assert_eq!(fs::metadata(bench.partial()).unwrap().permissions().mode() & 0o7777, 0o600);
    bench.assert_no_temporary();

    // again and again, a little further each time
    let further = Remote::breaking(&bench.bytes, HALF + 1000, Then::Fail);
    assert!(matches!(bench.put(&further), Err(PutError::From(BlobError::Read(_)))));
    assert_eq!((further.asked(), further.sent()), (vec![HALF as u64], 1000));

    let whole = Remote::of(&bench.bytes);
    bench.put(&whole).unwrap();
    assert_eq!((whole.asked(), whole.sent()), (vec![HALF as u64 + 1000], (SIZE - HALF - 1000) as u64));
    bench.assert_arrived();
}

#[test]
fn a_run_that_was_killed_is_continued_whatever_it_left() {
    let spoilt = |mut bytes: Vec<u8>, at: usize| {
        bytes[at] ^= 1;
        bytes
    };
    let bytes = large();
    let longer = [&bytes[..], b"and more"].concat();
    // what lies there, where the next run begins, and whether it begins again from nothing
    for (case, left, asked, again) in [
        ("nothing", Vec::new(), None, false),
        ("a part", bytes[..HALF].to_vec(), Some(HALF), false),
        ("all of it", bytes.clone(), None, false),
        ("a wrong part", spoilt(bytes[..HALF].to_vec(), 3), Some(HALF), true),
        ("the zeros of a loss of power", vec![0; HALF], Some(HALF), true),
        ("all of it, and wrong", spoilt(bytes.clone(), SIZE - 1), None, true),
        ("more than all of it", longer, None, false),
    ] {
        let bench = Bench::new();
        bench.leave(&left);
        let remote = Remote::of(&bench.bytes);
        let sink = bench.begun();
        let first = sink.put(remote.open(&bench.content));
        assert_eq!(remote.asked(), Vec::from_iter(asked.map(|at| at as u64)), "{case}");
        if again {
            let Err(PutError::Again { after }) = first else { panic!("{case}: {first:?}") };
            assert_eq!(after, Duration::ZERO);
            assert!(!bench.partial().exists(), "{case}: it stayed");
            assert!(!bench.path.join(bench.content.digest.blob_path()).exists(), "{case}: a wrong blob got a name");
            let whole = Remote::of(&bench.bytes);
            sink.put(whole.open(&bench.content)).unwrap();
            assert_eq!((whole.asked(), whole.sent()), (vec![], SIZE as u64), "{case}");
        } else {
            first.unwrap();
            let expected = if left == bytes { 0 } else { SIZE - asked.unwrap_or(0) };
            assert_eq!(remote.sent(), expected as u64, "{case}");
        }
        bench.assert_arrived();
    }
}

#[test]
fn wrong_content_is_fetched_once_more_and_then_refused() {
    let bench = Bench::new();
    let mut wrong = bench.bytes.clone();
    wrong[SIZE - 1] ^= 1;
    bench.leave(&bench.bytes[..HALF]);
    let remote = Remote::of(&wrong);
    let sink = bench.begun();
    assert!(matches!(sink.put(remote.open(&bench.content)), Err(PutError::Again { .. })));
    for _ in 0..2 {
        // also when somebody lays down the same beginning once more: it is not used twice
        bench.leave(&bench.bytes[..HALF]);
        let refused = sink.put(remote.open(&bench.content));
        let Err(PutError::From(BlobError::Mismatch(Mismatch::Digest { .. }))) = refused else { panic!("{refused:?}") };
        assert!(!bench.partial().exists());
    }
    assert_eq!(remote.asked(), [HALF as u64]);
    for short in [&bench.bytes[..HALF], &[&bench.bytes[..], b"!"].concat()] {
        let refused = bench.put(&Remote::of(short));
        assert!(matches!(refused, Err(PutError::From(BlobError::Mismatch(_)))), "{refused:?}");
        assert!(!bench.partial().exists(), "wrong content was kept");
    }
    assert!(!bench.path.join(bench.content.digest.blob_path()).exists());
    bench.assert_no_temporary();
}

#[test]
fn a_source_that_cannot_begin_there_is_asked_for_all_of_it() {
    for (kind, again) in [(io::ErrorKind::Unsupported, true), (io::ErrorKind::ConnectionRefused, false)] {
        let bench = Bench::new();
        bench.leave(&bench.bytes[..HALF]);
        let mut refusing = Remote::of(&bench.bytes);
        refusing.refuses = Some(kind);
        let put = bench.put(&refusing);
        assert_eq!(matches!(put, Err(PutError::Again { .. })), again, "{put:?}");
        assert_eq!(bench.partial().exists(), !again, "{kind}");
        assert_eq!(refusing.sent(), 0);
        bench.put(&Remote::of(&bench.bytes)).unwrap();
        bench.assert_arrived();
    }
}

#[test]
fn only_what_is_worth_it_is_kept() {
    let bench = Bench::new();
    let least = 1024 * 1024;
    for (size, from, kept) in [(least - 1, 1000, false), (least, 1000, true), (least, 0, false)] {
        let bytes = &bench.bytes[..size];
        let content = Content::of(bytes, Kind::Blob);
        let broken = Remote::breaking(bytes, from, Then::Fail);
        assert!(bench.begun().put(broken.open(&content)).is_err());
        let partials: Vec<String> = tree(&bench.path).into_iter().filter(|name| name.contains(".partial-")).collect();
        assert_eq!(partials.len(), usize::from(kept), "{size} {from}: {partials:?}");
        partials.iter().for_each(|name| fs::remove_file(bench.path.join(name)).unwrap());
    }
    // a source that can only begin at the beginning
    let broken = Connection { remote: &Remote::breaking(&bench.bytes, HALF, Then::Fail), at: 0 };
    assert!(bench.begun().put(BlobReader::new(bench.content.clone(), broken)).is_err());
    assert!(!bench.partial().exists());
    bench.assert_no_temporary();
}

#[test]
fn what_is_not_ours_is_left_alone_and_needs_nobody() {
    type Plant = fn(&Bench, &Path);
    let plants: [(&str, Plant); 6] = [
        ("a link", |bench, at| symlink(bench.path.join("precious"), at).unwrap()),
        ("a link to nothing", |_, at| symlink("nothing", at).unwrap()),
        ("a second name", |bench, at| fs::hard_link(bench.path.join("precious"), at).unwrap()),
        ("a FIFO", |_, at| fifo(at)),
        ("a directory", |_, at| fs::create_dir(at).unwrap()),
        ("a file of somebody else", |bench, at| {
            fs::copy(bench.path.join("precious"), at).unwrap();
            if rustix::process::geteuid().is_root() {
                std::os::unix::fs::chown(at, Some(1234), Some(1234)).unwrap();
            } else {
                fs::set_permissions(at, fs::Permissions::from_mode(0o400)).unwrap();
            }
        }),
    ];
    for (case, plant) in plants {
        let bench = Bench::new();
        let precious = &bench.bytes[..HALF];
        fs::write(bench.path.join("precious"), precious).unwrap();
        plant(&bench, &bench.partial());
        let before = fs::symlink_metadata(bench.partial()).unwrap();
        let remote = Remote::of(&bench.bytes);
        bench.put(&remote).unwrap();
        assert_eq!((remote.asked(), remote.sent()), (vec![], SIZE as u64), "{case}");
        assert_eq!(fs::read(bench.path.join("precious")).unwrap(), precious, "{case}");
        let after = fs::symlink_metadata(bench.partial()).unwrap();
        assert_eq!((after.ino(), after.len()), (before.ino(), before.len()), "{case}");
        assert!(fs::read(bench.path.join(bench.content.digest.blob_path())).unwrap() == bench.bytes);
        bench.assert_no_temporary();
        // nor does a failure leave anything there
        assert!(bench.put(&Remote::breaking(&bench.bytes, HALF, Then::Fail)).is_err());
        assert_eq!(fs::symlink_metadata(bench.partial()).unwrap().len(), before.len(), "{case}");
        bench.assert_no_temporary();
    }
}

#[test]
fn two_at_once_do_not_write_to_the_same_file() {
    let bench = Bench::new();
    bench.leave(&bench.bytes[..1000]);
    let (here, arrived) = mpsc::sync_channel(0);
    let (go, gone) = mpsc::sync_channel(0);
    let gate = (here, Mutex::new(gone));
    let slow = Remote::breaking(&bench.bytes, HALF, Then::Wait(&gate));
    thread::scope(|scope| {
        let first = scope.spawn(|| bench.put(&slow));
        arrived.recv().unwrap();
        // the first one is in the middle of it: the second fetches all of it, and does not touch what is being written
        let fast = Remote::of(&bench.bytes);
        let mut second = bench.begun();
        second.put(fast.open(&bench.content)).unwrap();
        assert_eq!((fast.asked(), fast.sent()), (vec![], SIZE as u64));
        second.commit(&bench.coming).unwrap();
        assert_eq!(fs::metadata(bench.partial()).unwrap().len(), HALF as u64);
        drop(second);
        // the first one reads no more often than this: its other steps do not wait
        thread::spawn(move || {
            go.send(()).unwrap();
            while arrived.recv().is_ok() && go.send(()).is_ok() {}
        });
        first.join().unwrap().unwrap();
    });
    assert_eq!(slow.asked(), [1000]);
    bench.assert_arrived();
}

#[test]
fn many_at_once_all_arrive() {
    let bench = Bench::new();
    bench.leave(&bench.bytes[..HALF]);
    let remote = Remote::of(&bench.bytes);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..6 {
                    let broken = Remote::breaking(&bench.bytes, HALF + 1000 * round, Then::Fail);
                    assert!(matches!(bench.put(&broken), Err(PutError::From(BlobError::Read(_)))));
                    bench.put(&remote).unwrap();
                }
            });
        }
    });
    bench.put(&remote).unwrap();
    bench.assert_arrived();
}

#[test]
fn a_cancelled_run_is_continued_even_in_a_layout_that_it_began() {
    let (temp, path) = place();
    let bytes = large();
    let digest = Digest::of(&bytes);
    let content = Content::of(&bytes, Kind::Blob);
    let small = Content::of(b"small", Kind::Blob);
    let stopped_after = |until: usize| {
        let cancel = Cancel::default();
        let remote = Remote::breaking(&bytes, until, Then::Stop(&cancel));
        let mut memory = Memory::new("small");
        memory.add(b"small", Kind::Blob);
        let mut plan = Plan::new();
        plan.add(&memory, &small, "config".to_owned());
        plan.add(&remote, &content, "layer".to_owned());
        let mut sink = sink(&path).cancelled_by(&cancel);
        let error = transfer::run(&plan, &mut sink, &cancel, &Deaf).unwrap_err();
        assert!(matches!(error.error, StoreError::Cancelled), "{:?}", error.error);
    };
    // before the first byte: there is nothing to continue
    let cancel = Cancel::default();
    cancel.cancel();
    let remote = Remote::of(&bytes);
    let mut plan = Plan::new();
    plan.add(&remote, &content, "layer".to_owned());
    assert!(transfer::run(&plan, &mut sink(&path), &cancel, &Deaf).is_err());
    assert_eq!(tree(temp.path()), [""; 0]);

    stopped_after(HALF);
    let partial = path.join(format!("blobs/sha256/.partial-{}", digest.hex()));
    let length = fs::metadata(&partial).unwrap().len();
    assert!(length >= HALF as u64 && length < SIZE as u64, "{length}");
    assert!(path.join("oci-layout").exists());
    assert!(!path.join("index.json").exists());
    assert_eq!(Layout::open(&path).unwrap().blobs().unwrap().foreign, [""; 0]);

    // and while the beginning is read again: nothing is lost
    let cancel = Cancel::default();
    let stop = |_| cancel.cancel();
    let mut hasty = sink(&path);
    hasty.begin(&Inventory { contents: vec![content.clone()], ..Inventory::default() }).unwrap();
    let reader = Remote::open(&remote, &content).cancelled_by(&cancel).metered_by(&stop);
    assert!(matches!(hasty.put(reader), Err(PutError::From(BlobError::Cancelled))));
    hasty.abandon();
    assert_eq!(fs::metadata(&partial).unwrap().len(), length);

    let summary = transfer::run(&plan, &mut sink(&path), &Cancel::default(), &Deaf).unwrap();
    assert_eq!((summary.written, remote.asked(), remote.sent()), (1, vec![length], SIZE as u64 - length));
    assert!(!partial.exists());
    assert!(fs::read(path.join(content.digest.blob_path())).unwrap() == bytes);
}

#[test]
fn a_layout_keeps_the_whole_blobs_of_an_abandoned_run_that_fetched_them() {
    let (_temp, path) = place();
    let bytes = large();
    let content = Content::of(&bytes, Kind::Blob);
    let mut sink = sink(&path);
    sink.begin(&Inventory { contents: vec![content.clone()], ..Inventory::default() }).unwrap();
    sink.put(Remote::of(&bytes).open(&content)).unwrap();
    sink.abandon();
    assert!(path.join(content.digest.blob_path()).exists());
    assert!(Layout::open(&path).unwrap().roots().unwrap().is_empty());
}

#[test]
fn the_engine_begins_again_by_itself_when_a_beginning_was_wrong() {
    let bench = Bench::new();
    bench.leave(&vec![7; HALF]);
    let remote = Remote::of(&bench.bytes);
    let mut plan = Plan::new();
    plan.add(&remote, &bench.content, "layer".to_owned());
    let finished = Mutex::new(Vec::new());
    struct Hears<'a>(&'a Mutex<Vec<Outcome>>);
    impl transfer::Observer for Hears<'_> {
        fn hear(&self, event: transfer::Event<'_>) {
            if let transfer::Event::Finished { outcome, .. } = event {
                self.0.lock().unwrap().push(outcome);
            }
        }
    }
    transfer::run(&plan, &mut sink(&bench.path), &Cancel::default(), &Hears(&finished)).unwrap();
    assert_eq!(*finished.lock().unwrap(), [Outcome::Written]);
    assert_eq!((remote.asked(), remote.sent()), (vec![HALF as u64], (SIZE - HALF + SIZE) as u64));
    bench.assert_arrived();
}

#[test]
fn whoever_brings_the_content_another_way_removes_the_beginning() {
    let bench = Bench::new();
    let mut memory = Memory::new("local");
    memory.add(&bench.bytes, Kind::Blob);
    bench.leave(&bench.bytes[..HALF]);
    let mut sink = bench.begun();
    put_all(&sink, &memory, &bench.coming.contents);
    assert!(bench.partial().exists());
    sink.commit(&bench.coming).unwrap();
    drop(sink);
    bench.assert_arrived();
    // one that somebody writes to is theirs, and one of another blob is not looked at
    let other = bench.path.join("blobs/sha256").join(format!(".partial-{}", "0".repeat(64)));
    fs::write(&other, "part").unwrap();
    bench.leave(&bench.bytes[..HALF]);
    let held = flock(&bench.partial(), FlockOperation::LockExclusive);
    bench.begun().commit(&bench.coming).unwrap();
    assert!(bench.partial().exists() && other.exists());
    rustix::fs::flock(&held, FlockOperation::Unlock).unwrap();
    bench.begun().commit(&bench.coming).unwrap();
    assert!(!bench.partial().exists() && other.exists());
}

#[test]
fn beginnings_that_nobody_came_back_for_go_after_a_week() {
    let bench = Bench::new();
    let blobs = bench.path.join("blobs/sha256");
    let name = |digit: &str| blobs.join(format!(".partial-{}", digit.repeat(64)));
    let (old, young, locked, unlike) = (name("1"), name("2"), name("3"), blobs.join(".partial-123"));
    for (path, days) in [(&old, 7), (&young, 6), (&locked, 30), (&unlike, 30), (&bench.partial(), 30)] {
        fs::write(path, "part").unwrap();
        long_ago(path, days);
    }
    let link = name("4");
    symlink(&young, &link).unwrap();
    let _held = flock(&locked, FlockOperation::LockExclusive);
    bench.begun();
    let there = [&old, &young, &locked, &unlike, &bench.partial(), &link].map(|path| path.symlink_metadata().is_ok());
    assert_eq!(there, [false, true, true, true, true, true]);
    // who brings nothing has no reason to look
    sink(&bench.path).begin(&Inventory::default()).unwrap();
    assert!(bench.partial().exists());
    let other = Inventory { contents: vec![Content::of(b"other", Kind::Blob)], ..Inventory::default() };
    sink(&bench.path).begin(&other).unwrap();
    assert!(!bench.partial().exists(), "nobody wants it any more");
}

#[test]
fn a_sweeper_lists_and_removes_what_nobody_writes_to() {
    let bench = Bench::new();
    let wide = bench.path.join(format!("blobs/sha512/.partial-{}", "a".repeat(128)));
    fs::create_dir(wide.parent().unwrap()).unwrap();
    fs::write(&wide, "part").unwrap();
    bench.leave(&bench.bytes[..HALF]);
    let locked = bench.path.join("blobs/sha256").join(format!(".partial-{}", "0".repeat(64)));
    fs::write(&locked, "part").unwrap();
    let _held = flock(&locked, FlockOperation::LockExclusive);
    let sweeper = Sweeper::open(&bench.path, Duration::from_millis(100), &Cancel::default()).unwrap();
    let found = sweeper.partials().unwrap();
    let sizes: Vec<(Digest, u64)> = found.iter().map(|partial| (partial.digest, partial.size)).collect();
    let other: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
    assert_eq!(sizes, [(bench.content.digest, HALF as u64), (other, 4)]);
    assert!(found.iter().all(|partial| partial.age.is_some_and(|age| age < Duration::from_secs(3600))));
    for partial in &found {
        assert!(sweeper.remove_partial(&partial.digest).unwrap());
        assert!(!sweeper.remove_partial(&partial.digest).unwrap());
    }
    assert!(!sweeper.remove_partial(&format!("sha256:{}", "0".repeat(64)).parse().unwrap()).unwrap());
    assert!(!wide.exists() && !bench.partial().exists() && locked.exists());
}

#[test]
fn readers_do_not_see_them() {
    let bench = Bench::new();
    let before = Layout::open(&bench.path).unwrap().blobs().unwrap();
    bench.leave(&bench.bytes[..HALF]);
    let layout = Layout::open(&bench.path).unwrap();
    assert_eq!(layout.blobs().unwrap(), before);
    assert!(matches!(layout.open(&bench.content), Err(StoreError::Missing { .. })));
    assert!(bench.begun().held(&bench.content).unwrap().is_none());
    for (name, foreign) in [(".partial-0123", true), (&format!(".partial-{}", "A".repeat(64)), true)] {
        fs::write(bench.path.join("blobs/sha256").join(name), "x").unwrap();
        let listed = layout.blobs().unwrap().foreign.contains(&format!("blobs/sha256/{name}"));
        assert_eq!(listed, foreign, "{name}");
    }
}

#[test]
fn what_is_there_already_needs_no_room() {
    let temp = tempfile::tempdir().unwrap();
    let Some(_mounted) = small_file_system(temp.path()) else { return };
    let path = temp.path().join("layout");
    write(&path, &["a"], "v1");
    // 1 MiB in all: of 1 MiB and something to come, most lies there
    let bytes = &large()[..1024 * 1024 + 1];
    let content = Content::of(bytes, Kind::Blob);
    let coming = Inventory { contents: vec![content.clone()], ..Inventory::default() };
    let error = sink(&path).begin(&coming).unwrap_err();
    assert!(said(&error).contains("are needed and"), "{}", said(&error));
    let partial = path.join(format!("blobs/sha256/.partial-{}", content.digest.hex()));
    fs::write(&partial, &bytes[..900 * 1024]).unwrap();
    // the rest is more than there is room for
    assert!(said(&sink(&path).begin(&coming).unwrap_err()).contains("124.0 KiB are needed and"));
    // one that is too long counts for nothing
    File::options().write(true).open(&partial).unwrap().set_len(2 << 20).unwrap();
    assert!(said(&sink(&path).begin(&coming).unwrap_err()).contains("1.0 MiB are needed and"));
}

#[test]
fn a_full_disk_is_given_back_its_room() {
    let temp = tempfile::tempdir().unwrap();
    let Some(_mounted) = small_file_system(temp.path()) else { return };
    let path = temp.path().join("layout");
    let bytes = large();
    let content = Content::of(&bytes, Kind::Blob);
    let mut sink = sink(&path);
    sink.begin(&Inventory::default()).unwrap();
    let Err(PutError::To(error)) = sink.put(Remote::of(&bytes).open(&content)) else { panic!("no error") };
    assert_eq!(error.class(), Class::Machine);
    assert!(!tree(&path).iter().any(|name| name.contains("partial")), "{:?}", tree(&path));
}

#[test]
fn memory_does_not_grow_with_what_is_there() {
    const LENGTH: u64 = 192 << 20;
    /// The rest of a content of zeros.
    struct Zeros(u64);
    impl Read for Zeros {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = usize::try_from(self.0).unwrap().min(buffer.len());
            buffer[..count].fill(0);
            self.0 -= count as u64;
            Ok(count)
        }
    }
    impl Resume for Zeros {
        fn resume_at(&mut self, offset: u64) -> io::Result<()> {
            assert_eq!(offset, LENGTH - 100);
            self.0 = 100;
            Ok(())
        }
    }
    let (_temp, path) = place();
    let mut hasher = Algorithm::Sha256.hasher();
    (0..LENGTH >> 20).for_each(|_| hasher.update(&vec![0; 1 << 20]));
    let content = Content { digest: hasher.finish(), size: LENGTH, kind: Kind::Blob };
    let mut sink = sink(&path);
    sink.begin(&Inventory { contents: vec![content.clone()], ..Inventory::default() }).unwrap();
    let partial = path.join(format!("blobs/sha256/.partial-{}", content.digest.hex()));
    File::create(&partial).unwrap().set_len(LENGTH - 100).unwrap(); // a hole: it takes no room
    sink.put(BlobReader::resumable(content.clone(), Zeros(LENGTH))).unwrap();
    assert_eq!(fs::metadata(path.join(content.digest.blob_path())).unwrap().len(), LENGTH);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(most < 128 * 1024, "{most} KiB"); // other tests may run in this process
}

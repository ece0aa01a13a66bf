//! Several processes at one layout.

use super::*;

#[test]
fn many_writers_at_once_all_arrive() {
    let (_temp, path) = place();
    let patient = LayoutOptions { lock_timeout: Duration::from_secs(60), ..options() };
    thread::scope(|scope| {
        for writer in 0..8 {
            let (path, patient) = (&path, &patient);
            scope.spawn(move || {
                for round in 0..4 {
                    let text = format!("image {writer} {round}");
                    let (memory, coming) = image(&["shared", &text], &format!("w{writer}-{round}"));
                    let mut sink = LayoutSink::create_or_open(path, patient.clone()).unwrap();
                    sink.begin(&coming).unwrap();
                    put_all(&sink, &memory, &coming.contents);
                    sink.commit(&coming).unwrap();
                }
            });
        }
    });
    let mut expected: Vec<String> =
        (0..8).flat_map(|writer| (0..4).map(move |round| format!("w{writer}-{round}"))).collect();
    expected.sort();
    let mut arrived = names(&path);
    arrived.sort();
    assert_eq!(arrived, expected);
    let left: Vec<String> = tree(&path).into_iter().filter(|name| !name.starts_with("blobs")).collect();
    assert_eq!(left, ["index.json", "oci-layout"]);
}

#[test]
fn a_layout_that_another_process_holds_is_busy_and_unchanged() {
    let (_temp, path) = place();
    write(&path, &["a"], "v1");
    let before = fs::read(path.join("index.json")).unwrap();
    let (memory, coming) = image(&["b"], "v2");
    let mut sink = sink(&path);
    sink.begin(&coming).unwrap();
    put_all(&sink, &memory, &coming.contents);
    File::create(path.join("index.json.lock")).unwrap();
    let lock = flock(&path.join("index.json.lock"), FlockOperation::LockExclusive);
    let start = Instant::now();
    let error = sink.commit(&coming).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{}", said(&error));
    assert!((options().lock_timeout..Duration::from_secs(5)).contains(&start.elapsed()));
    assert_eq!(fs::read(path.join("index.json")).unwrap(), before);
    assert!(path.join("index.json.lock").exists(), "the lock file of another was removed");
    assert!(!tree(&path).iter().any(|name| name.contains("tmp")), "{:?}", tree(&path));
    drop(lock);
    sink.commit(&coming).unwrap();
    assert_eq!(names(&path), ["v1", "v2"]);
}

#[test]
fn a_lock_file_that_buildkit_removes_after_use_is_waited_for() {
    let (_temp, path) = place();
    write(&path, &["a"], "v1");
    let (memory, coming) = image(&["b"], "v2");
    let patient = LayoutOptions { lock_timeout: Duration::from_secs(30), ..options() };
    let mut sink = LayoutSink::create_or_open(&path, patient).unwrap();
    sink.begin(&coming).unwrap();
    put_all(&sink, &memory, &coming.contents);
    let lock_path = path.join("index.json.lock");
    File::create(&lock_path).unwrap();
    let lock = flock(&lock_path, FlockOperation::LockExclusive);
    let buildkit = thread::spawn({
        let path = path.clone();
        move || {
            thread::sleep(Duration::from_millis(150));
            // what buildkit writes while it holds the lock
            let index = fs::read_to_string(path.join("index.json")).unwrap();
            fs::write(path.join("index.json"), index.replace("\"v1\"", "\"by buildkit\"")).unwrap();
            drop(lock);
            let _ = fs::remove_file(path.join("index.json.lock"));
        }
    });
    sink.commit(&coming).unwrap();
    buildkit.join().unwrap();
    assert_eq!(names(&path), ["by buildkit", "v2"]);
    assert!(!lock_path.exists());
}

#[test]
fn nobody_writes_while_content_is_being_removed() {
    let (_temp, path) = place();
    write(&path, &["a"], "v1");
    let gc = flock(&path, FlockOperation::LockExclusive);
    let (_memory, coming) = image(&["b"], "v2");
    let mut sink = sink(&path);
    assert!(matches!(sink.begin(&coming), Err(StoreError::Busy { .. })));
    assert_eq!(names(&path), ["v1"], "readers do not wait");
    drop(gc);
    sink.begin(&coming).unwrap();
    let other = File::open(&path).unwrap();
    rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap_err();
    drop(sink);
    rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
}

#[test]
fn leftovers_of_the_dead_are_cleared_and_the_work_of_the_living_stays() {
    let (_temp, path) = place();
    write(&path, &["a"], "v1");
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    let left = |name: &str| {
        let file = File::create(path.join(name)).unwrap();
        (&file).write_all(b"part").unwrap();
        file.set_modified(long_ago).unwrap();
        file
    };
    let (dead, living) = ("blobs/sha256/.tmp-1-0123456789abcdef", "blobs/sha256/.tmp-1-1123456789abcdef");
    let (dead_index, other) = (".index.json.tmp-1-0123456789abcdef", "blobs/sha256/.tmp-of-another-tool");
    drop((left(dead), left(dead_index), left(other)));
    let alive = left(living);
    rustix::fs::flock(&alive, FlockOperation::LockExclusive).unwrap();
    let young = "blobs/sha256/.tmp-1-2123456789abcdef";
    fs::write(path.join(young), "part").unwrap();
    let coming = Inventory { contents: vec![Content::of(b"other", Kind::Blob)], ..Inventory::default() };
    sink(&path).begin(&coming).unwrap();
    let exists = |name: &str| path.join(name).exists();
    assert_eq!([dead, dead_index].map(exists), [false; 2]);
    assert_eq!([living, young, other].map(exists), [true; 3]);
}

#[test]
fn an_abandoned_run_takes_nothing_from_another() {
    let (_temp, path) = place();
    let (memory, coming) = image(&["shared"], "v1");
    let mut first = sink(&path);
    first.begin(&coming).unwrap();
    put_all(&first, &memory, &coming.contents);
    let mut second = sink(&path);
    second.begin(&coming).unwrap();
    second.held(&coming.contents[0]).unwrap().unwrap().check().unwrap();
    first.abandon();
    drop(first);
    second.commit(&coming).unwrap();
    assert_eq!(names(&path), ["v1"]);
    assert!(path.join(blob("shared")).exists());
    // and after a commit nothing is taken back
    second.abandon();
    assert_eq!(names(&path), ["v1"]);
}

#[test]
fn an_abandoned_run_takes_nothing_from_a_tool_that_takes_no_lock() {
    let (_temp, path) = place();
    let (memory, coming) = image(&["shared"], "v1");
    let mut sink = sink(&path);
    sink.begin(&coming).unwrap();
    put_all(&sink, &memory, &coming.contents);
    let root = coming.roots[0].to_value();
    fs::write(path.join("index.json"), format!(r#"{{"schemaVersion":2,"manifests":[{root}]}}"#)).unwrap();
    sink.abandon();
    assert_eq!(names(&path), ["v1"]);
    assert!(path.join(blob("shared")).exists());
}

#[test]
fn a_directory_that_is_removed_while_we_wait_is_made_again() {
    let (_temp, path) = place();
    let (memory, coming) = image(&["a"], "v1");
    fs::create_dir(&path).unwrap();
    let held = flock(&path, FlockOperation::LockExclusive);
    let patient = LayoutOptions { lock_timeout: Duration::from_secs(30), ..options() };
    let mut sink = LayoutSink::create_or_open(&path, patient).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            fs::remove_dir(&path).unwrap();
            drop(held);
        });
        sink.begin(&coming).unwrap();
    });
    put_all(&sink, &memory, &coming.contents);
    sink.commit(&coming).unwrap();
    assert_eq!(names(&path), ["v1"]);
}

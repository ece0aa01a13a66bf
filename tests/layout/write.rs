//! Writing: what is kept, what is replaced, what is left behind.

use super::*;

#[test]
fn a_new_layout_holds_what_it_must_and_nothing_else() {
    let (_temp, path) = place();
    let long = LayoutOptions { durability: Durability::Synced, ..options() };
    let (memory, coming) = image(&["layer", "manifest"], "v1");
    let mut sink = LayoutSink::create_or_open(&path, long).unwrap();
    assert!(!path.exists(), "made before begin");
    assert!(sink.layout().is_none());
    let wanted = sink.begin(&coming).unwrap();
    assert_eq!(wanted.len(), 1);
    assert_eq!(wanted[0].iter().map(|content| content.size).collect::<Vec<_>>(), [8, 5], "the largest first");
    put_all(&sink, &memory, &wanted[0]);
    assert_eq!(sink.layout().unwrap().roots().unwrap(), []);
    assert_eq!(sink.commit(&coming).unwrap(), Committed::Changed);
    assert_eq!(sink.layout().unwrap().roots().unwrap(), coming.roots);
    drop(sink);

    let mut expected: Vec<String> = ["blobs", "blobs/sha256", "index.json", "oci-layout"].map(str::to_owned).into();
    expected.extend([blob("layer"), blob("manifest")]);
    expected.sort();
    assert_eq!(tree(&path), expected);
    assert_eq!(fs::read_to_string(path.join("oci-layout")).unwrap(), OCI_LAYOUT);
    for file in ["oci-layout", "index.json", &blob("layer")] {
        let mode = fs::metadata(path.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644, "{file}");
    }
}

#[test]
fn a_second_run_changes_nothing() {
    let (_temp, path) = place();
    write(&path, &["layer", "manifest"], "v1");
    let before = fs::metadata(path.join("index.json")).unwrap().ino();
    assert_eq!(write(&path, &["layer", "manifest"], "v1"), Committed::Unchanged);
    assert_eq!(fs::metadata(path.join("index.json")).unwrap().ino(), before);
}

#[test]
fn sha512_has_its_own_directory() {
    let (_temp, path) = place();
    let mut hasher = Algorithm::Sha512.hasher();
    hasher.update(b"long");
    let content = Content { digest: hasher.finish(), size: 4, kind: Kind::Blob };
    let coming = Inventory { contents: vec![content.clone()], ..Inventory::default() };
    let mut sink = sink(&path);
    sink.begin(&coming).unwrap();
    sink.put(BlobReader::new(content.clone(), &b"long"[..])).unwrap();
    sink.commit(&coming).unwrap();
    assert!(path.join(content.digest.blob_path()).starts_with(path.join("blobs/sha512")));
    assert_eq!(Layout::open(&path).unwrap().open(&content).unwrap().into_bytes().unwrap(), b"long");
}

#[test]
fn a_place_with_other_things_is_left_alone() {
    let (_temp, path) = place();
    for (name, complaint) in [
        ("src/main.rs", "a directory with other things in it, such as \"src\""),
        ("blobs/photo.jpg", "such as \"blobs\""),
        ("index.json", "it has index.json but no oci-layout file"),
    ] {
        let at = path.join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, "x").unwrap();
        let before = tree(&path);
        let error = LayoutSink::create_or_open(&path, options()).unwrap_err();
        assert!(said(&error).contains(complaint), "{}", said(&error));
        assert_eq!(tree(&path), before);
        fs::remove_dir_all(&path).unwrap();
    }
    let error = LayoutSink::create_or_open(path.join("deep"), options()).unwrap_err();
    assert_eq!(error.class(), Class::Absent);
    assert!(error.to_string().contains("cannot find the directory"), "{}", said(&error));
    fs::write(&path, "x").unwrap();
    assert!(said(&LayoutSink::create_or_open(&path, options()).unwrap_err()).contains("it is not a directory"));
}

#[test]
fn the_rest_of_an_interrupted_run_is_taken_up() {
    let (_temp, path) = place();
    fs::create_dir_all(path.join("blobs/sha256")).unwrap();
    fs::write(path.join(blob("layer")), "layer").unwrap();
    fs::write(path.join(".index.json.tmp-1-0123456789abcdef"), "{").unwrap();
    fs::write(path.join("index.json.lock"), "").unwrap();
    let (memory, coming) = image(&["layer", "manifest"], "v1");
    let mut sink = sink(&path);
    sink.begin(&coming).unwrap();
    sink.held(&coming.contents[0]).unwrap().unwrap().check().unwrap();
    assert!(sink.held(&coming.contents[1]).unwrap().is_none());
    put_all(&sink, &memory, &coming.contents[1..]);
    sink.commit(&coming).unwrap();
    assert_eq!(names(&path), ["v1"]);
}

#[test]
fn a_torn_index_is_never_replaced() {
    let (_temp, path) = place();
    write(&path, &["a"], "v1");
    let torn = &fs::read(path.join("index.json")).unwrap()[..40];
    fs::write(path.join("index.json"), torn).unwrap();
    let before = tree(&path);
    assert_eq!(LayoutSink::create_or_open(&path, options()).unwrap_err().class(), Class::Content);
    assert_eq!((fs::read(path.join("index.json")).unwrap().as_slice(), tree(&path)), (torn, before));

    // also when it is torn while we write
    fs::remove_file(path.join("index.json")).unwrap();
    let (memory, coming) = image(&["b"], "v2");
    let mut sink = sink(&path);
    sink.begin(&coming).unwrap();
    put_all(&sink, &memory, &coming.contents);
    fs::write(path.join("index.json"), torn).unwrap();
    let error = sink.commit(&coming).unwrap_err();
    assert!(said(&error).contains("cannot use index.json in oci:"), "{}", said(&error));
    assert_eq!(fs::read(path.join("index.json")).unwrap(), torn);
    assert!(!tree(&path).iter().any(|name| name.contains("tmp") || name.contains("lock")), "{:?}", tree(&path));
}

#[test]
fn unknown_fields_and_order_are_kept_byte_for_byte() {
    let (_temp, path) = place();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("oci-layout"), OCI_LAYOUT).unwrap();
    let kept = format!(
        r#"{{"size": 1, "x":[ 1.0 ], "digest":"{}","mediaType":"application/x" , "annotations":{{"\u006b":"v"}}}}"#,
        Digest::of(b"x")
    );
    let index = |manifests: &str| {
        format!(
            r#"{{"z-unknown":{{ "b": 1,"a":2 }},"manifests":[{manifests}],"schemaVersion":2,"annotations":{{"k":"\u0041"}}}}"#
        )
    };
    fs::write(path.join("index.json"), index(&kept)).unwrap();
    write(&path, &["a"], "v1");
    let after = fs::read_to_string(path.join("index.json")).unwrap();
    let new = format!(
        r#"{{"annotations":{{"{REF_NAME}":"v1"}},"digest":"{}","mediaType":"{OCI_MANIFEST}","size":1}}"#,
        Digest::of(b"a")
    );
    assert_eq!(after, index(&format!("{kept},{new}")));
}

#[test]
fn replacing_a_name_keeps_the_blob() {
    let (_temp, path) = place();
    write(&path, &["old"], "v1");
    write(&path, &["other"], "v2");
    assert_eq!(write(&path, &["new"], "v1"), Committed::Changed);
    assert_eq!(names(&path), ["v1", "v2"], "replaced in place");
    let roots = Layout::open(&path).unwrap().roots().unwrap();
    assert_eq!(*roots[0].digest(), Digest::of(b"new"));
    assert!(path.join(blob("old")).exists());
}

#[test]
fn a_wrong_blob_gets_no_name_and_leaves_no_file() {
    let (_temp, path) = place();
    let (_memory, coming) = image(&["promised"], "v1");
    let mut sink = sink(&path);
    sink.begin(&coming).unwrap();
    let before = tree(&path);
    let promised = &coming.contents[0];
    for wrong in [&b"promise"[..], b"promised!", b"promisee"] {
        let result = sink.put(BlobReader::new(promised.clone(), wrong));
        assert!(matches!(result, Err(PutError::From(_))));
        assert_eq!(tree(&path), before);
    }
    let cancel = Cancel::default();
    cancel.cancel();
    let reader = BlobReader::new(promised.clone(), &b"promised"[..]);
    sink.put(reader.cancelled_by(&cancel)).unwrap_err();
    assert_eq!(tree(&path), before);
}

#[test]
fn a_wrong_blob_at_the_target_is_seen_and_replaced() {
    let (_temp, path) = place();
    write(&path, &["right"], "v1");
    let (memory, coming) = image(&["right"], "v1");
    for wrong in ["", "righ", "wrong", "right and more"] {
        fs::write(path.join(blob("right")), wrong).unwrap();
        let mut sink = sink(&path);
        sink.begin(&coming).unwrap();
        sink.held(&coming.contents[0]).unwrap().unwrap().check().unwrap_err();
        put_all(&sink, &memory, &coming.contents);
        sink.held(&coming.contents[0]).unwrap().unwrap().check().unwrap();
        assert_eq!(fs::read_to_string(path.join(blob("right"))).unwrap(), "right");
    }
}

#[test]
fn what_is_no_file_under_a_digest_is_an_error_and_stays() {
    let (_temp, path) = place();
    write(&path, &["a"], "v1");
    let (memory, coming) = image(&["b"], "v2");
    let mut sink = sink(&path);
    sink.begin(&coming).unwrap();
    let at = path.join(blob("b"));
    symlink(blob("a").rsplit('/').next().unwrap(), &at).unwrap();
    assert!(said(&sink.held(&coming.contents[0]).unwrap_err()).contains("it is a symbolic link"));
    fs::remove_file(&at).unwrap();
    fifo(&at);
    assert!(said(&sink.held(&coming.contents[0]).unwrap_err()).contains("it is not a regular file"));
    fs::remove_file(&at).unwrap();
    fs::create_dir(&at).unwrap();
    let Err(PutError::To(error)) = sink.put(memory.open(&coming.contents[0]).unwrap()) else {
        panic!("replaced a directory")
    };
    assert!(error.to_string().contains(&blob("b")), "{error}");
    assert!(!tree(&path).iter().any(|name| name.contains("tmp")), "{:?}", tree(&path));
}

#[test]
fn a_run_that_fails_keeps_whole_blobs_and_no_names() {
    let (_temp, path) = place();
    let (memory, coming) = image(&["layer", "manifest"], "v1");
    let mut sink = sink(&path);
    sink.begin(&coming).unwrap();
    put_all(&sink, &memory, &coming.contents[..1]);
    drop(sink);
    assert!(path.join(blob("layer")).exists());
    assert!(!path.join("index.json").exists());
    assert!(!tree(&path).iter().any(|name| name.contains("tmp")));
    write(&path, &["layer", "manifest"], "v1");
    assert_eq!(names(&path), ["v1"]);
}

#[test]
fn an_abandoned_run_leaves_no_trace_of_a_layout_that_it_began() {
    let (temp, path) = place();
    let (memory, coming) = image(&["layer", "manifest"], "v1");
    let abandon = || {
        let mut sink = sink(&path);
        sink.begin(&coming).unwrap();
        put_all(&sink, &memory, &coming.contents);
        sink.abandon();
    };
    abandon();
    assert_eq!(tree(temp.path()), [""; 0]);

    fs::create_dir(&path).unwrap(); // an empty directory of the user's own stays
    abandon();
    assert_eq!(tree(temp.path()), ["layout"]);

    write(&path, &["other"], "v2"); // in a layout that was there, whole blobs stay
    abandon();
    assert_eq!(names(&path), ["v2"]);
    assert!(path.join(blob("layer")).exists());
}

#[test]
fn names_of_two_repositories_do_not_displace_each_other() {
    let (_temp, path) = place();
    let full = |content: &str, name: &str| {
        let (memory, mut coming) = image(&[content], "v1");
        coming.roots[0] = coming.roots[0].clone().with_annotation(CONTAINERD_NAME, name);
        let mut sink = sink(&path);
        sink.begin(&coming).unwrap();
        put_all(&sink, &memory, &coming.contents);
        sink.commit(&coming).unwrap();
    };
    full("a", "docker.io/library/app:v1");
    full("b", "quay.io/team/app:v1");
    full("c", "docker.io/library/app:v1");
    let roots = Layout::open(&path).unwrap().roots().unwrap();
    let digests: Vec<Digest> = roots.iter().map(|root| *root.digest()).collect();
    assert_eq!(digests, [Digest::of(b"c"), Digest::of(b"b")]);
}

#[test]
fn a_full_disk_leaves_no_part_and_no_name() {
    let temp = tempfile::tempdir().unwrap();
    let Some(_mounted) = small_file_system(temp.path()) else { return };
    let path = temp.path().join("layout");
    write(&path, &["a"], "v1");
    let before = tree(&path);
    let large = "x".repeat(2 * 1024 * 1024);
    let (memory, coming) = image(&["small", &large], "v2");

    // early: before anything is written
    let error = sink(&path).begin(&coming).unwrap_err();
    assert!(said(&error).contains("2.0 MiB are needed and"), "{}", said(&error));
    assert!(error.hint().is_some_and(|hint| hint.starts_with("make room")));
    let elsewhere = temp.path().join("new");
    sink(&elsewhere).begin(&coming).unwrap_err();
    assert!(!elsewhere.exists());

    // late: others took the room meanwhile
    let mut sink = sink(&path);
    sink.begin(&Inventory::default()).unwrap();
    put_all(&sink, &memory, &coming.contents[..1]);
    let Err(PutError::To(error)) = sink.put(memory.open(&coming.contents[1]).unwrap()) else { panic!("no error") };
    assert_eq!(error.class(), Class::Machine);
    assert!(error.to_string().contains(&blob(&large)), "{error}");
    drop(sink);
    let mut after = tree(&path);
    after.retain(|name| *name != blob("small"));
    assert_eq!(after, before);

    // not even index.json fits: the old one stays
    let (memory, coming) = image(&["b"], "v3");
    let mut sink = self::sink(&path);
    sink.begin(&coming).unwrap();
    put_all(&sink, &memory, &coming.contents);
    let index = fs::read(path.join("index.json")).unwrap();
    let mut filler = File::create(temp.path().join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    let error = sink.commit(&coming).unwrap_err();
    assert_eq!(error.class(), Class::Machine, "{}", said(&error));
    assert_eq!(fs::read(path.join("index.json")).unwrap(), index);
    assert!(!tree(&path).iter().any(|name| name.contains("tmp") || name.contains("lock")), "{:?}", tree(&path));
    drop(filler); // the room is free only when nobody has it open
    fs::remove_file(temp.path().join("filler")).unwrap();
    sink.commit(&coming).unwrap();
    assert_eq!(names(&path), ["v1", "v3"]);
}

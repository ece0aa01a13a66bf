//! Reading: what is opened, what is refused, what is listed.

use super::*;

#[test]
fn only_a_layout_is_opened() {
    let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    type Files<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Files<'_>, Class, &str); 13] = [
        ("absent", &[], Class::Absent, "cannot find the layout in oci:"),
        ("a file", &[("", "tar")], Class::Content, "it is not a directory"),
        ("empty", &[("x/", "")], Class::Content, "it is not an OCI image layout: it has no oci-layout file"),
        ("no version", &[("index.json", index), ("blobs/", "")], Class::Content, "it has no oci-layout file"),
        ("a version of tomorrow", &[("oci-layout", r#"{"imageLayoutVersion":"1.1.0"}"#)], Class::Content, "\"1.1.0\""),
        ("a number", &[("oci-layout", r#"{"imageLayoutVersion":1}"#)], Class::Content, "is 1, expected a text"),
        ("an empty version", &[("oci-layout", "")], Class::Content, "cannot use oci-layout in oci:"),
        ("a long version", &[("oci-layout", &" ".repeat(70_000))], Class::Content, "larger than 64.0 KiB"),
        ("an empty index", &[("oci-layout", OCI_LAYOUT), ("index.json", "")], Class::Content, "it is empty"),
        (
            "a torn index",
            &[("oci-layout", OCI_LAYOUT), ("index.json", &index[..20])],
            Class::Content,
            "index.json in oci:",
        ),
        (
            "an index and more",
            &[("oci-layout", OCI_LAYOUT), ("index.json", &format!("{index}{index}"))],
            Class::Content,
            "trailing",
        ),
        (
            "an index that is a manifest",
            &[("oci-layout", OCI_LAYOUT), ("index.json", r#"{"schemaVersion":2,"layers":[]}"#)],
            Class::Content,
            "an index and a manifest at once",
        ),
        (
            "Docker's list",
            &[
                ("oci-layout", OCI_LAYOUT),
                (
                    "index.json",
                    r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json"}"#,
                ),
            ],
            Class::Content,
            "index.mediaType",
        ),
    ];
    for (case, files, class, complaint) in cases {
        let (_temp, path) = place();
        for (name, text) in files {
            let at = if name.is_empty() { path.clone() } else { path.join(name) };
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            if name.ends_with('/') { fs::create_dir_all(at).unwrap() } else { fs::write(at, text).unwrap() }
        }
        let error = Layout::open(&path).unwrap_err();
        assert_eq!(error.class(), class, "{case}");
        assert!(said(&error).contains(complaint), "{case}: {}", said(&error));
    }
}

#[test]
fn a_layout_without_an_index_is_empty_and_one_whose_index_cannot_be_read_is_not() {
    let (_temp, path) = place();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("oci-layout"), format!(" {OCI_LAYOUT}\n")).unwrap();
    assert_eq!(Layout::open(&path).unwrap().roots().unwrap(), []);
    let index = path.join("index.json");
    let outside = path.parent().unwrap().join("outside");
    fs::write(&outside, r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    type Put<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, Put<'_>); 6] = [
        ("it is not a regular file", &|path| fs::create_dir(path).unwrap()),
        ("it is not a regular file", &|path| fifo(path)),
        ("it is not a regular file", &|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
        ("a symbolic link leads out of the layout", &|path| symlink("../outside", path).unwrap()),
        ("a symbolic link leads out of the layout", &|path| symlink("/dev/zero", path).unwrap()),
        ("it is a symbolic link to nothing", &|path| symlink("nothing", path).unwrap()),
    ];
    for (complaint, put) in cases {
        put(&index);
        let start = Instant::now();
        for error in [Layout::open(&path).unwrap_err(), LayoutSink::create_or_open(&path, options()).unwrap_err()] {
            assert_eq!(error.class(), Class::Content, "{}", said(&error));
            assert!(said(&error).contains("cannot use index.json in oci:"), "{}", said(&error));
        }
        let error = Layout::open(&path).unwrap_err();
        assert!(said(&error).contains(complaint), "{}", said(&error));
        assert!(start.elapsed() < Duration::from_secs(5), "{complaint}: it hung");
        if index.is_dir() { fs::remove_dir(&index).unwrap() } else { fs::remove_file(&index).unwrap() }
    }
    // larger than anything that is read, without its space on the disk
    File::create(&index).unwrap().set_len(65 * 1024 * 1024).unwrap();
    assert!(said(&Layout::open(&path).unwrap_err()).contains("it is larger than 64.0 MiB"));
    // a link inside is followed by readers; a writer would replace the link, and says so
    fs::write(path.join("real"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    fs::remove_file(&index).unwrap();
    symlink("real", &index).unwrap();
    Layout::open(&path).unwrap();
    let error = LayoutSink::create_or_open(&path, options()).unwrap_err();
    assert!(said(&error).contains("only a regular file can be replaced"), "{}", said(&error));
}

#[test]
fn a_blob_is_handed_out_only_when_it_is_there_and_right() {
    let (_temp, path) = place();
    write(&path, &["right", "other"], "v1");
    let layout = Layout::open(&path).unwrap();
    let right = Content::of(b"right", Kind::Blob);
    assert_eq!(layout.open(&right).unwrap().into_bytes().unwrap(), b"right");

    let open = |text: &str| layout.open(&Content::of(text.as_bytes(), Kind::Blob)).map(|_| ()).unwrap_err();
    assert!(matches!(open("absent"), StoreError::Missing { .. }));
    fs::write(path.join(blob("short")), "shor").unwrap();
    assert!(said(&open("short")).contains("content is 4 bytes, expected 5"));
    fs::write(path.join(blob("long")), "longer").unwrap();
    assert!(said(&open("long")).contains("content is longer than 4 bytes"));
    fs::write(path.join(blob("wrong")), "wrung").unwrap();
    let reader = layout.open(&Content::of(b"wrong", Kind::Blob)).unwrap();
    assert!(reader.into_bytes().unwrap_err().to_string().contains("expected sha256:"));

    symlink(format!("../../{}", blob("right")), path.join("blobs/sha256/link")).unwrap();
    fs::rename(path.join("blobs/sha256/link"), path.join(blob("linked"))).unwrap();
    assert!(said(&open("linked")).contains("content is 5 bytes"), "a link inside is followed");
    symlink("/etc/passwd", path.join(blob("passwd"))).unwrap();
    assert!(said(&open("passwd")).contains("leads out of the layout"));
    fifo(&path.join(blob("fifo")));
    assert!(said(&open("fifo")).contains("it is not a regular file"));
    fs::create_dir(path.join(blob("directory"))).unwrap();
    assert!(said(&open("directory")).contains("it is not a regular file"));

    // to look whether it is there says the same of all but what only reading shows
    symlink(format!("../../{}", blob("right")), path.join(blob("alias"))).unwrap();
    let holds =
        |text: &str, size: u64| layout.holds(&Content { digest: Digest::of(text.as_bytes()), size, kind: Kind::Blob });
    for (text, size, is_there) in [("right", 5, true), ("alias", 5, true), ("wrong", 5, true), ("absent", 6, false)] {
        assert_eq!(holds(text, size).unwrap(), is_there, "{text}");
    }
    for text in ["short", "long", "passwd", "fifo", "directory"] {
        holds(text, text.len() as u64).unwrap_err();
    }
}

#[test]
fn what_lies_in_a_layout_is_listed() {
    let (_temp, path) = place();
    write(&path, &["a", "b"], "v1");
    fs::write(path.join("blobs/sha256/README"), "x").unwrap();
    fs::write(path.join(format!("blobs/sha256/{}", "A".repeat(64))), "x").unwrap();
    fs::write(path.join("blobs/sha256/.tmp-1-0123456789abcdef"), "x").unwrap();
    fs::create_dir(path.join("blobs/blake3")).unwrap();
    fs::write(path.join("blobs/sha512"), "x").unwrap();
    fs::create_dir(path.join(blob("directory"))).unwrap();
    symlink("/etc/passwd", path.join(blob("out"))).unwrap();
    let mut blobs = vec![(Digest::of(b"a"), 1), (Digest::of(b"b"), 1)];
    blobs.sort();
    let mut foreign = vec![
        "blobs/blake3".to_owned(),
        format!("blobs/sha256/{}", "A".repeat(64)),
        "blobs/sha256/README".to_owned(),
        "blobs/sha512".to_owned(),
        blob("directory"),
        blob("out"),
    ];
    foreign.sort();
    assert_eq!(Layout::open(&path).unwrap().blobs().unwrap(), BlobListing { blobs, foreign });
}

#[test]
fn a_read_only_medium_is_read() {
    let temp = tempfile::tempdir().unwrap();
    let Some(_mounted) = small_file_system(temp.path()) else { return };
    let path = temp.path().join("layout");
    write(&path, &["a"], "v1");
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(temp.path()).status().unwrap();
    assert!(remounted.success());
    assert_eq!(names(&path), ["v1"]);
    let content = Content::of(b"a", Kind::Blob);
    assert_eq!(Layout::open(&path).unwrap().open(&content).unwrap().into_bytes().unwrap(), b"a");
    let (memory, coming) = image(&["b"], "v2");
    let mut sink = sink(&path);
    sink.begin(&coming).unwrap();
    let Err(PutError::To(error)) = sink.put(memory.open(&coming.contents[0]).unwrap()) else { panic!("written") };
    assert!(said(&error).contains("the medium is read-only"), "{}", said(&error));
    assert_eq!(sink.commit(&coming).unwrap_err().class(), Class::Machine);
}

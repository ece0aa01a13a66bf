//! What a recipe asks for and does not get: the file, the line, and what to do.

use super::*;

#[test]
fn a_mistake_is_told_with_its_file_and_line() {
    let barge = Barge::new();
    barge.write("c/there", "x");
    barge.write("c/conf/a.conf", "x");
    barge.write("c/conf/b.conf", "x");
    barge.write("c/root.tar.xz", b"\xfd7zXZ\0rest");
    for (text, code, line, said) in [
        ("RUN apt-get update", 9, 2, &["RUN needs a container", "run it beforehand and COPY the result"][..]),
        ("COPY there /\nRUN <<EOF\nx\nEOF", 9, 3, &["RUN"]),
        ("COPY theer /", 3, 2, &["theer", "did you mean", "there"]),
        ("COPY *.cfg /x/", 3, 2, &["*.cfg"]),
        ("COPY conf/*.conf /x", 2, 2, &["end the destination with a slash"]),
        ("COPY there conf /x", 2, 2, &["end the destination with a slash"]),
        ("ADD https://x.example/a.tar /", 9, 2, &["opens no connection"]),
        ("ADD root.tar.xz /", 9, 2, &["xz -d"]),
        ("COPY --chown=nobody there /", 3, 2, &["nobody"]),
        ("COPY --from=nothing:v1 /a /b", 3, 2, &["COPY --from=nothing:v1", "--online"]),
        ("COPY there /a\nCOPY there /a/b", 9, 3, &["no directory"]),
        ("CPOY there /", 2, 2, &["did you mean COPY?"]),
        ("ENV", 2, 2, &["ENV"]),
    ] {
        barge.write("c/Containerfile", format!("FROM scratch\n{text}\n"));
        let checked = barge.line("build -o out -t a --platform linux/amd64 c").exits(code);
        checked.says(&[&format!("line {line} of c/Containerfile"), "hint: "][..1]).says(said);
        assert!(!barge.path("out").exists(), "{text}");
    }
}

#[test]
fn an_image_that_is_nowhere_is_told_with_every_way_to_give_it() {
    let barge = Barge::new();
    barge.write("c/Containerfile", "# comment\nFROM debian:12\n");
    barge.line("build -o out -t a c").exits(3).says(&[
        "cannot carry out line 2 of c/Containerfile: FROM debian:12",
        "docker://debian:12",
        "--online",
    ]);
    // no registry is asked unless a word says so
    barge.write("c/Containerfile", "FROM docker://127.0.0.1:1/x:1\n");
    barge.line("--no-network build -o out -t a c").exits(2).says(&["--no-network"]);
    assert!(!barge.path("out").exists());
}

#[test]
fn what_a_recipe_is_called_decides_on_its_words() {
    let barge = Barge::new();
    barge.write("c/app.Kubefile", "FROM scratch\nCMDS [\"a\", \"b\"]\n");
    barge.line("build -o out -t a -f c/app.Kubefile c").exits(0);
    barge.write("c/Containerfile", "FROM scratch\nCMDS [\"a\", \"b\"]\n");
    barge.line("build -o no -t a c").exits(2).says(&["CMDS", "Kubefile"]);
    let mut command = barge.command();
    command.args("build -o in -t a -f - c".split(' ')).stdin(std::process::Stdio::piped());
    let mut running = Running::start(&mut command);
    std::io::Write::write_all(&mut running.stdin(), b"FROM scratch\nRUN x\n").unwrap();
    running.output(&barge).exits(9).says(&["line 2 of standard input"]);
}

#[test]
fn a_last_stage_for_another_platform_is_refused() {
    let barge = Barge::new();
    barge.fixtures(&["buildx-amd64-arm64.tar"]);
    barge.write("c/Containerfile", "FROM --platform=linux/amd64 buildx-amd64-arm64.tar\n");
    barge.line("build -o out -t a --platform linux/amd64 c").exits(0);
    let line = "build -o no -t a --platform linux/amd64,linux/arm64 c";
    barge.line(line).exits(9).says(&["line 1 of c/Containerfile", "linux/arm64 is asked for"]);
}

#[test]
fn what_is_no_recipe_is_told_and_nobody_waits_for_it_in_vain() {
    let barge = Barge::new();
    for directory in ["d/Containerfile", "p", "e"] {
        std::fs::create_dir_all(barge.path(directory)).unwrap();
    }
    barge.write("file", "FROM scratch\n");
    assert!(barge.around("mkfifo").arg(barge.path("p/Containerfile")).status().unwrap().success());
    for (arguments, code, said) in [
        ("d", 2, "cannot read \"d/Containerfile\": it is a directory"),
        ("-f d d", 2, "cannot read \"d\": it is a directory"),
        ("p", 2, "cannot read \"p/Containerfile\": it is no regular file"),
        ("nowhere", 3, "nowhere"),
        ("file", 2, "CONTEXT is a directory; give a recipe with -f FILE"),
        ("-f file nowhere", 3, "nowhere"),
        ("e", 3, "there is no Containerfile, Dockerfile or Kubefile"),
    ] {
        barge.line(&format!("build -o out -t a {arguments}")).exits(code).says(&[said]);
        assert!(!barge.path("out").exists(), "{arguments}");
    }
    // a pipe that nobody writes to waits, and can be stopped
    for arguments in ["-f p/Containerfile e", "-f file --ignorefile p/Containerfile e"] {
        let mut command = barge.command();
        command.args("build -o out -t a".split(' ')).args(arguments.split(' '));
        let running = Running::start(&mut command);
        std::thread::sleep(std::time::Duration::from_millis(300));
        running.signal(rustix::process::Signal::TERM);
        running.output(&barge).exits(130);
    }
    // and one that somebody writes to is read
    let pipe = barge.path("p/Containerfile");
    let writer = std::thread::spawn(move || std::fs::write(pipe, "FROM scratch\nENV A=1\n").unwrap());
    barge.line("build -o out -t a -f p/Containerfile e").exits(0);
    writer.join().unwrap();
}

#[test]
fn a_moment_that_is_none_is_told_with_where_it_stands() {
    let barge = Barge::new();
    barge.write("c/Containerfile", "FROM scratch\n");
    barge
        .line("build -o out -t a --source-date-epoch 1e9 c")
        .exits(2)
        .says(&["cannot use the time \"1e9\"", "such as 2024"]);
    for wrong in ["1e9", "-5", "99999999999999999999"] {
        let mut command = barge.command();
        command.env("SOURCE_DATE_EPOCH", wrong).args("build -o out -t a c".split(' '));
        barge.finish(&mut command).exits(2).says(&[wrong, "set SOURCE_DATE_EPOCH to seconds since 1970"]);
    }
}

#[test]
fn help_says_what_build_does_and_puts_each_option_where_it_belongs() {
    let barge = Barge::new();
    let help = barge.line("build --help").exits(0).stdout().to_owned();
    assert!(help.contains("RUN is refused"), "{help}");
    let after = |heading: &str, option: &str| {
        let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("no {text:?} in {help}"));
        at(heading) < at(option)
    };
    for option in ["--annotation <", "--online", "--index", "--no-sync", "--lock-timeout", "[CONTEXT]\n"] {
        assert!(!after("\nConfig:", option), "{option}");
    }
    assert!(after("\nConfig:", "--env <") && after("\nLayers:", "--owner <"));
}

#[test]
fn a_name_that_means_two_images_for_one_platform_is_refused() {
    let barge = Barge::new();
    for (text, tag) in [("one", "a"), ("two", "b")] {
        barge.write("base/Containerfile", format!("FROM scratch\nLABEL x={text}\n"));
        barge.line(&format!("build -o lib -t {tag} --platform linux/amd64 base")).exits(0);
    }
    barge.write("base/Containerfile", "FROM scratch\nLABEL x=three\n");
    barge.line("build -o lib -t c --platform linux/arm64 base").exits(0);
    let path = barge.path("lib/index.json");
    let mut index: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for entry in index["manifests"].as_array_mut().unwrap() {
        entry["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "same"});
    }
    std::fs::write(&path, index.to_string()).unwrap();
    barge.write("c/Containerfile", "FROM lib:same\nENV A=1\n");
    barge.line("build -o out -t a --platform linux/amd64 c").exits(3).says(&[
        "line 1 of c/Containerfile: FROM lib:same",
        "for linux/amd64",
        "@DIGEST",
    ]);
    assert!(!barge.path("out").exists());
    barge.line("build -o out -t a --platform linux/arm64 c").exits(0);
}

#[test]
fn a_base_that_is_wrong_is_told_with_its_name() {
    let barge = Barge::new();
    barge.write("base/Containerfile", "FROM scratch\nCOPY Containerfile /\n");
    barge.line("build -o lib -t a --platform linux/amd64 base").exits(0);
    let layout = barge.path("lib");
    let write = |value: &serde_json::Value| {
        let bytes = value.to_string();
        let digest = barge::digest::Digest::of(bytes.as_bytes());
        std::fs::write(layout.join("blobs/sha256").join(digest.hex()), &bytes).unwrap();
        (digest.to_string(), bytes.len())
    };
    let Image { mut manifest, mut config, .. } = Image::of(&layout, None);
    config["rootfs"]["diff_ids"] = serde_json::json!([]);
    let (digest, size) = write(&config);
    (manifest["config"]["digest"], manifest["config"]["size"]) = (digest.into(), size.into());
    let (digest, size) = write(&manifest);
    let mut index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let entry = &mut index["manifests"][0];
    (entry["digest"], entry["size"]) = (digest.into(), size.into());
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    barge.write("c/Containerfile", "FROM lib:a\n");
    let said = ["line 1 of c/Containerfile: FROM lib:a", "0 diff_ids, expected 1"];
    barge.line("build -o out -t a --platform linux/amd64 c").exits(4).says(&said);
    assert!(!barge.path("out").exists());
}

//! What each option changes, and that nothing else does.

use serde_json::{Value, json};

use super::bench::Bench;
use super::made::{Made, full};
use super::{HELLO, bytes, json, of_fixture, ok, run, verify};

/// A single image with a config in which every field that can change is there, and some that nobody knows.
fn single() -> Bench {
    let mut made = Made::new();
    let layer = made.put(barge::media::OCI_LAYER, b"layer");
    let config = json!({"x-odd": {"b": 1.50, "a": [1]}, "architecture": "amd64", "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin", "A=1"], "Cmd": ["sh"], "Labels": {"l": "1"}, "WorkingDir": "/srv", "ArgsEscaped": true},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "history": [{"created_by": "COPY a /", "x-odd": 1}]});
    let config = made.document(barge::media::OCI_CONFIG, &config);
    let manifest = json!({"x-odd": [1.0], "schemaVersion": 2, "mediaType": barge::media::OCI_MANIFEST, "config": config,
        "layers": [layer], "annotations": {"keep": "1", "drop": "2"}});
    let image = made.document(barge::media::OCI_MANIFEST, &manifest);
    made.root(full(&image, "docker.io/library/app:v1"));
    let bench = Bench::new();
    made.layout(&bench.path("place"));
    bench
}

#[test]
fn each_option_changes_its_field_and_leaves_its_line() {
    for (options, expected, lines) in [
        (
            &["--env", "A=x y=z", "--env", "B="][..],
            json!({"Env": ["PATH=/bin", "A=x y=z", "B="]}),
            &["ENV A=x y=z", "ENV B="][..],
        ),
        (&["--label", "n=v"], json!({"Labels": {"l": "1", "n": "v"}}), &["LABEL n=v"]),
        (&["--cmd", r#"["/app","-v"]"#], json!({"Cmd": ["/app", "-v"]}), &[r#"CMD ["/app","-v"]"#]),
        (&["--cmd", "serve 'a b'"], json!({"Cmd": ["serve", "a b"]}), &[r#"CMD ["serve","a b"]"#]),
        (&["--cmd", ""], json!({"Cmd": null}), &["CMD []"]),
        (&["--entrypoint", "/e"], json!({"Entrypoint": ["/e"]}), &[r#"ENTRYPOINT ["/e"]"#]),
        (
            &["--entrypoint", "/e", "--cmd", "c"],
            json!({"Entrypoint": ["/e"], "Cmd": ["c"]}),
            &[r#"ENTRYPOINT ["/e"]"#, r#"CMD ["c"]"#],
        ),
        (&["--user", "1000:1000"], json!({"User": "1000:1000"}), &["USER 1000:1000"]),
        (&["--workdir", "/srv/../sub"], json!({"WorkingDir": "/sub"}), &["WORKDIR /sub"]),
        (
            &["--expose", "53/udp", "--expose", "80"],
            json!({"ExposedPorts": {"53/udp": {}, "80/tcp": {}}}),
            &["EXPOSE 53/udp", "EXPOSE 80/tcp"],
        ),
        (&["--volume", "/data"], json!({"Volumes": {"/data": {}}}), &["VOLUME /data"]),
        (&["--stop-signal", "SIGINT"], json!({"StopSignal": "SIGINT"}), &["STOPSIGNAL SIGINT"]),
        (&["--remove-env", "A"], json!({"Env": ["PATH=/bin"]}), &[]),
        (&["--remove-label", "l"], json!({"Labels": null}), &[]),
        (&["--env", "A=1"], json!({}), &[]),
    ] {
        let bench = single();
        let before = json(&bench, "config", "place");
        let ran = ok(&bench, "edit place", options);
        let mut wanted = before.clone();
        for (name, value) in expected.as_object().unwrap() {
            wanted["config"][name] = value.clone();
        }
        wanted["config"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        for line in lines {
            wanted["history"]
                .as_array_mut()
                .unwrap()
                .push(json!({"created": "2020-01-01T00:00:00Z", "created_by": line,
                "comment": "barge edit", "empty_layer": true}));
        }
        assert_eq!(json(&bench, "config", "place"), wanted, "{options:?}");
        let text = String::from_utf8(bytes(&bench, "config", "place")).unwrap();
        assert!(text.contains(r#""x-odd":{"b":1.5,"a":[1]}"#), "its own order: {text}");
        let manifest = String::from_utf8(bytes(&bench, "manifest", "place")).unwrap();
        assert!(manifest.starts_with(r#"{"x-odd":[1.0],"schemaVersion":2"#), "{manifest}");
        assert_eq!(ran.stderr.contains("nothing to do"), wanted == before, "{options:?}: {}", ran.stderr);
        ok(&bench, "edit place", options).says("nothing to do");
        verify(&bench, "place");
    }
}

#[test]
fn what_is_not_there_to_remove_is_told() {
    let bench = single();
    bench.ok("edit place --remove-env NOPE").says("warning: no variable NOPE is there to remove").says("nothing to do");
}

#[test]
fn annotations_created_and_platform_leave_no_line() {
    let bench = single();
    let before = json(&bench, "config", "place");
    let config = bytes(&bench, "config", "place");
    bench.ok("edit place --annotation a.b=c=d --annotation empty= --remove-annotation drop");
    assert_eq!(json(&bench, "manifest", "place")["annotations"], json!({"keep": "1", "a.b": "c=d", "empty": ""}));
    assert_eq!(bytes(&bench, "config", "place"), config, "the config keeps every byte");
    bench.ok("edit place --created 1714564800");
    assert_eq!(json(&bench, "config", "place")["created"], "2024-05-01T12:00:00Z");
    bench.ok("edit place --created 2020-01-01T00:00:00Z");
    assert_eq!(bytes(&bench, "config", "place"), config, "and has them again");
    bench.ok("edit place --set-platform linux/arm/v6");
    let after = json(&bench, "config", "place");
    assert_eq!((&after["architecture"], &after["variant"]), (&json!("arm"), &json!("v6")));
    assert_eq!((&after["history"], &after["config"]), (&before["history"], &before["config"]));
    bench.ok("edit place --remove-annotation keep --remove-annotation a.b --remove-annotation empty");
    assert_eq!(json(&bench, "manifest", "place").get("annotations"), None);
    verify(&bench, "place");
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_changes() {
    let bench = of_fixture(HELLO);
    let before = bench.listing();
    for (code, options, says) in [
        (2, &["place"][..], "nothing is to change"),
        (2, &["place", "--env", "A"], "it is not KEY=VALUE"),
        (2, &["place", "--expose", "x"], "is no port"),
        (2, &["place", "--cmd", "[1]"], "texts alone"),
        (2, &["place", "--workdir", "sub"], "is no absolute path"),
        (2, &["place", "--created", "yesterday"], "cannot use the time"),
        (2, &["place", "--set-platform", "linux/adm64"], "adm64"),
        (2, &["place", "--set-platform", "linux/riscv64"], "say which one with --platform"),
        (2, &["place", "--platform", "linux/amd64", "--set-platform", "linux/arm64"], "there is one in the same index"),
        (2, &["place", "--rebase", "x"], "it is not OLD=NEW"),
        (2, &["place", "-t", "a@sha256:0", "--user", "1"], "cannot"),
        (2, &["place", "--user", "1", "--compression", "zstd"], "no layer is made"),
        (2, &["place", "--user", "1", "--compression-level", "9"], "no layer is made"),
        (2, &["place", "--user", "1", "--modes", "plain"], "no files are added"),
        (2, &["place", "--squash", "--owner", "1:1"], "no files are added"),
        (3, &["place", "--platform", "linux/s390x", "--user", "1"], "it is for linux/amd64, linux/arm64"),
        (3, &["place:nope", "--user", "1"], "cannot find"),
        (3, &["nothing", "--user", "1"], "cannot find"),
        (3, &["place", "--rebase", "nothing=place"], "cannot find"),
    ] {
        let ran = run(&bench, "edit", options);
        assert_eq!(ran.code, code, "{options:?}: {}", ran.stderr);
        ran.says(says);
        assert_eq!(bench.listing(), before, "{options:?}");
    }
}

#[test]
fn the_digest_depends_on_nothing_but_the_image_and_the_change() {
    let digests: Vec<Vec<String>> = ["--jobs 1", "--jobs 2"]
        .iter()
        .map(|jobs| {
            let bench = of_fixture(HELLO);
            let edited = bench.ok(&format!("{jobs} edit place --env A=b --label x=y --annotation a=b")).digests();
            let packed = bench.ok(&format!("{jobs} convert place --compression zstd")).digests();
            [edited, packed].concat()
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
    assert_eq!(
        digests[0],
        [
            "sha256:18dc6da3f5bab155efdc68e14a7b25f5424dba46d0dbbcc601999bc2029c991c",
            "sha256:ebeed92edc5d8622584eb0ed964a1c8e5a512da3ad15d13185658b0167161a0e",
        ]
    );
}

#[test]
fn json_tells_all_of_it() {
    let bench = of_fixture(HELLO);
    let from = bench.roots("place")[0]["digest"].clone();
    let told = ok(&bench, "edit place --json --platform linux/arm64 --env A=b", &[]).json();
    let result = &told["results"][0];
    assert_eq!((&result["from"], &result["unchanged"], &result["dryRun"]), (&from, &json!(false), &json!(false)));
    assert_eq!(result["digest"], bench.roots("place")[0]["digest"]);
    assert_eq!(result["platforms"][0]["platform"], "linux/arm64");
    let attestation = &result["attestationsLeftOut"][0];
    assert_eq!(
        (&attestation["what"], &attestation["subject"]),
        (&json!("provenance"), &result["platforms"][0]["from"])
    );
    assert_eq!(told["warnings"].as_array().map(Vec::len), Some(1));
    let again: Value = ok(&bench, "edit place --json --platform linux/arm64 --env A=b", &[]).json();
    assert_eq!(again["results"][0]["unchanged"], true);
}

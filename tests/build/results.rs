//! What comes out of a recipe.

use serde_json::json;

use super::*;

/// Writes a context that most recipes here are happy with.
fn context(barge: &Barge) {
    for (name, content) in [
        ("c/app", "app"),
        ("c/amd64/helm", "helm for amd64"),
        ("c/arm64/helm", "helm for arm64"),
        ("c/manifests/a.yaml", "a"),
        ("c/charts/app/Chart.yaml", "chart"),
        ("c/conf/one.conf", "one"),
        ("c/conf/two.conf", "two"),
        ("c/conf/note.txt", "note"),
    ] {
        barge.write(name, content);
    }
}

#[test]
fn a_kubefile_gives_each_platform_its_own_files() {
    let barge = Barge::new();
    context(&barge);
    barge.write(
        "c/Kubefile",
        "FROM scratch\nCOPY ${ARCH}/helm bin\nCOPY manifests manifests\nCOPY charts charts\nCMD helm install a charts/app\nCMD kubectl get pods\n",
    );
    let line = "build -o out -t app:v1 --platform linux/arm64/v8,linux/amd64 c";
    barge.line(line).exits(0).silent_but(&["built 2 platforms into oci:out as docker.io/library/app:v1"]);
    barge.line("verify --deep out").exits(0);
    for arch in ["amd64", "arm64"] {
        let image = Image::of(&barge.path("out"), Some(&format!("linux/{arch}")));
        let layers = image.layers();
        assert_eq!(layers[0], ["0755 0:0 bin/", &format!("0644 0:0 bin/helm \"helm for {arch}\"")]);
        assert_eq!(layers[1], ["0755 0:0 manifests/", "0644 0:0 manifests/a.yaml \"a\""]);
        assert_eq!(layers[2][2], "0644 0:0 charts/app/Chart.yaml \"chart\"");
        assert_eq!(image.config["config"]["Cmd"], json!(["helm install a charts/app", "kubectl get pods"]));
        assert_eq!((&image.config["os"], &image.config["architecture"]), (&json!("linux"), &json!(arch)));
        let helm = format!("COPY {arch}/helm /bin/");
        let history = image.history();
        assert_eq!(history[0], (helm.as_str(), true));
        assert_eq!(history[3], ("CMD [\"helm install a charts/app\"]", false));
        assert_eq!(history.len(), 5);
    }
}

#[test]
fn stages_and_images_give_files_to_each_other() {
    let barge = Barge::new();
    context(&barge);
    barge.write(
        "base/Containerfile",
        "FROM scratch\nCOPY --chown=7:8 --chmod=751 tool /usr/bin/\nCOPY passwd /etc/\nENV A=1\nUSER me\n",
    );
    barge.write("base/tool", "tool");
    barge.write("base/passwd", "me:x:5:6::/:/bin/sh\n");
    barge.line("build -o lib -t base:v1 --platform linux/amd64 base").exits(0);
    barge.write(
        "c/Containerfile",
        "FROM scratch AS files\nWORKDIR /out\nCOPY conf/*.conf ./\nCOPY <<EOF made\nhere\nEOF\n\
         FROM base:v1\nCOPY --from=files /out /etc/app\nCOPY --from=lib:base:v1 /usr/bin/tool /opt/again\n\
         COPY --chown=me app /home/me/app\nWORKDIR /home/me\nENTRYPOINT [\"/usr/bin/tool\"]\n",
    );
    let line = "-L lib build -o out -t app:v1 --platform linux/amd64 c";
    barge.line(line).exits(0).says(&["linux/amd64", "base:v1"]);
    let image = Image::of(&barge.path("out"), None);
    let base = Image::of(&barge.path("lib"), None);
    let layers = image.layers();
    assert_eq!(layers[..2], base.layers());
    assert_eq!(layers[0], ["0755 7:8 usr/", "0755 7:8 usr/bin/", "0751 7:8 usr/bin/tool \"tool\""]);
    assert_eq!(
        layers[2],
        [
            "0755 0:0 etc/app/",
            "0644 0:0 etc/app/made \"here\\n\"",
            "0644 0:0 etc/app/one.conf \"one\"",
            "0644 0:0 etc/app/two.conf \"two\""
        ],
        "etc is a directory of the base, and stays what it is"
    );
    assert_eq!(layers[3], ["0755 0:0 opt/", "0751 7:8 opt/again \"tool\""]);
    assert_eq!(layers[4], ["0755 5:6 home/", "0755 5:6 home/me/", "0644 5:6 home/me/app \"app\""]);
    assert_eq!(layers.len(), 5, "the working directory was there");
    assert_eq!(image.config["config"]["Env"][1], "A=1");
    assert_eq!(image.config["config"]["User"], "me");
    let annotations = &image.manifest["annotations"];
    assert_eq!(annotations["org.opencontainers.image.base.name"], "docker.io/library/base:v1");
    let digest = barge.line("inspect --json lib:base:v1").exits(0).json()["results"][0]["digest"].clone();
    assert_eq!(annotations["org.opencontainers.image.base.digest"], digest);
}

#[test]
fn a_base_for_several_platforms_gives_each_its_own() {
    let barge = Barge::new();
    barge.fixtures(&["buildx-amd64-arm64.tar"]);
    barge.write("c/Containerfile", "FROM buildx-amd64-arm64.tar\nCOPY app /opt/\n");
    barge.write("c/app", "app");
    barge.line("build -o out.tar -t app:v1 --platform linux/amd64,linux/arm64 c").exits(0);
    barge.line("verify --deep out.tar").exits(0);
    barge.line("copy out.tar out").exits(0);
    let before = barge.line("ls --json buildx-amd64-arm64.tar").exits(0).json().to_string();
    for platform in ["linux/amd64", "linux/arm64"] {
        let image = Image::of(&barge.path("out"), Some(platform));
        let base = image.manifest["annotations"]["org.opencontainers.image.base.digest"].as_str().unwrap().to_owned();
        assert_eq!(image.layers().last().unwrap().last().unwrap(), "0644 0:0 opt/app \"app\"");
        assert!(
            before.contains(&base)
                || barge.line("tree --json buildx-amd64-arm64.tar").exits(0).json().to_string().contains(&base)
        );
    }
    let refused = barge.line("build -o no -t app:v1 --platform linux/s390x c").exits(3);
    refused.says(&[
        "cannot carry out line 1 of c/Containerfile: FROM buildx-amd64-arm64.tar",
        "linux/s390x",
        "linux/amd64",
    ]);
    assert!(!barge.path("no").exists());
}

#[test]
fn one_platform_is_a_plain_image_unless_an_index_is_wanted() {
    let barge = Barge::new();
    barge.write("c/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let report = barge.line("--json build -o a -t a --platform linux/arm/v7 c").exits(0).json();
    assert_eq!(report["results"][0]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(Image::of(&barge.path("a"), None).config["variant"], "v7");
    let report = barge.line("--json build -o b -t b --index --platform linux/arm/v7 c").exits(0).json();
    assert_eq!(report["results"][0]["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(report["results"][0]["platforms"][0]["platform"], "linux/arm/v7");
    // the index is the one that merge makes
    let merged = barge.line("merge -o c2 -t b a:a").exits(0).stdout().to_owned();
    assert_eq!(report["results"][0]["digest"], merged.as_str());
}

#[test]
fn layers_are_packed_as_asked() {
    let barge = Barge::new();
    barge.write("c/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let mut sizes = Vec::new();
    for (options, media_type) in [
        ("", "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("--compression gzip --compression-level 1", "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("--compression zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
        ("--compression none", "application/vnd.oci.image.layer.v1.tar"),
    ] {
        let out = format!("out{}", sizes.len());
        barge.line(&format!("build -o {out} -t a --platform linux/amd64 {options} c")).exits(0);
        let image = Image::of(&barge.path(&out), None);
        assert_eq!(image.manifest["layers"][0]["mediaType"], media_type);
        assert_eq!(image.layer(0), ["0644 0:0 Dockerfile \"FROM scratch\\nCOPY Dockerfile /\\n\""]);
        sizes.push(image.config["rootfs"]["diff_ids"].clone());
    }
    assert!(sizes.iter().all(|ids| *ids == sizes[0]), "{sizes:?}");
    barge.line("build -o no -t a --compression gzip --compression-level 10 c").exits(2).says(&["gzip has 0 to 9"]);
}

#[test]
fn an_archive_and_standard_output_take_a_build_too() {
    let barge = Barge::new();
    barge.write("c/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let first = barge.line("build -o a.tar -t a --platform linux/amd64 c").exits(0).stdout().to_owned();
    let streamed = barge.line("build -o - -t a --platform linux/amd64 c").exits(0);
    assert_eq!(streamed.bytes(), std::fs::read(barge.path("a.tar")).unwrap());
    // a second name in the same archive
    barge.line("build -o a.tar -t b --platform linux/amd64 c").exits(0);
    let names = barge.line("ls --json a.tar").exits(0).json().to_string();
    assert!(names.contains("library/a:latest") && names.contains("library/b:latest"), "{names}");
    assert_eq!(barge.line("build -o out -t a --platform linux/amd64 c").exits(0).stdout(), first);
    barge
        .line("build -o out -t a --platform linux/amd64 c")
        .exits(0)
        .says(&["holds docker.io/library/a:latest already"]);
    let mut names: Vec<_> = std::fs::read_dir(barge.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.tar", "c", "out"]);
}

#[test]
fn a_dry_run_knows_the_digest_and_writes_nothing() {
    let barge = Barge::new();
    barge.write("c/Dockerfile", "FROM scratch AS a\nCOPY Dockerfile /x/\nFROM scratch\nCOPY --from=a /x /y\n");
    let would =
        barge.line("--dry-run build -o out -t a --platform linux/amd64 c").exits(0).says(&["would build 1 platform"]);
    assert!(!barge.path("out").exists());
    let built = barge.line("build -o out -t a --platform linux/amd64 c").exits(0);
    assert_eq!(would.stdout(), built.stdout());
}

#[test]
fn an_ignore_file_counts_for_the_context() {
    let barge = Barge::new();
    context(&barge);
    barge.write("c/.dockerignore", "conf\n!conf/one.conf\n");
    barge.write("c/Containerfile", "FROM scratch\nCOPY conf /c/\n");
    barge.line("build -o out -t a --platform linux/amd64 c").exits(0);
    assert_eq!(Image::of(&barge.path("out"), None).layer(0), ["0755 0:0 c/", "0644 0:0 c/one.conf \"one\""]);
    // the one that stands beside the recipe comes first
    barge.write("c/Containerfile.dockerignore", "conf/one.conf");
    barge.line("build -o two -t a --platform linux/amd64 -f c/Containerfile c").exits(0);
    let two = Image::of(&barge.path("two"), None);
    assert_eq!(two.layer(0)[1..], ["0644 0:0 c/note.txt \"note\"", "0644 0:0 c/two.conf \"two\""]);
    barge.write("c/Containerfile", "FROM scratch\nCOPY conf/one.conf /c/\n");
    barge
        .line("build -o no -t a -f c/Containerfile c")
        .exits(3)
        .says(&["line 2 of c/Containerfile", "Containerfile.dockerignore"]);
}

#[test]
fn what_a_build_is_given_on_its_command_line_comes_last() {
    let barge = Barge::new();
    barge.write("c/Containerfile", "ARG V=0\nFROM scratch AS one\nARG V\nLABEL v=$V\nFROM one\nENV A=1\nCMD [\"x\"]\n");
    barge.write("more/file", "more");
    let mut command = barge.command();
    command.args(
        "build -o out -t a --platform linux/amd64 --build-arg V=3 --env A=2 --label l=m --add more:/opt".split(' '),
    );
    command.args(["--cmd", "a 'b c'", "--annotation", "k=v", "--target", "one", "c"]);
    barge.finish(&mut command).exits(0);
    let image = Image::of(&barge.path("out"), None);
    assert_eq!(image.config["config"]["Labels"], json!({"v": "3", "l": "m"}));
    assert_eq!(image.config["config"]["Cmd"], json!(["a", "b c"]));
    assert_eq!(image.config["config"]["Env"][1], "A=2");
    assert_eq!(image.manifest["annotations"], json!({"k": "v"}));
    assert_eq!(image.layer(0), ["0755 0:0 opt/", "0644 0:0 opt/file \"more\""]);
    let (last, layers) = (image.history().len() - 1, image.history());
    assert_eq!(layers[last], ("CMD [\"a\",\"b c\"]", false));
}

#[test]
fn more_layers_than_files_may_be_open_at_first_are_no_matter() {
    let barge = Barge::new();
    let mut recipe = "FROM scratch\n".to_owned();
    for at in 0..80 {
        barge.write(&format!("c/{at}"), at.to_string());
        recipe.push_str(&format!("COPY {at} /\n"));
    }
    barge.write("c/Containerfile", recipe);
    for out in ["out", "out.tar"] {
        let line = format!("ulimit -S -n 64; exec \"$0\" build -o {out} -t a --platform linux/amd64 c");
        let mut command = barge.around("sh");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_barge")]);
        barge.finish(&mut command).exits(0).says(&["80 layers"]);
    }
}

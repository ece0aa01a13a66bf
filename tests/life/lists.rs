//! `save --list`: the images that lists name, from the current layout.

use std::fs;
use std::os::unix::fs::symlink;

use barge::content::REF_NAME;
use serde_json::Value;

use super::bench::Bench;
use super::made::{Made, digest, full, tagged};

/// What a cluster runs, as it is kept in a repository: several documents a file, comments, anchors, and more than Pods.
const WEB: &str = "\
# the shop
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 2
  selector: {matchLabels: &labels {app: web}}
  template:
    metadata:
      labels: *labels
    spec:
      initContainers:
        - name: wait
          image: \"busybox:1.36\" # for the database
          command: [sh, -c, 'until nc -z db 5432; do sleep 1; done']
      containers:
        - name: web
          image: nginx:1.25
          ports: [{containerPort: 80}]
        - name: app
          image: ghcr.io/shop/app:v2@DIGEST
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
spec: {image: quay.io/prometheus/prometheus:v3}
";

const JOBS: &str = r#"{
	"apiVersion": "v1",
	"kind": "List",
	"items": [
		{"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec":
			{"containers": [{"name": "dump", "image": "docker.io/library/busybox:1.36"}]}}}}}},
		{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "x", "image": "registry:5000/tools/x"}]}}
	]
}
"#;

/// A layout with five images, and the digest of the fourth.
fn shop(bench: &Bench) -> (Made, String) {
    let mut made = Made::new();
    let names = ["docker.io/library/busybox:1.36", "docker.io/library/nginx:1.25", "docker.io/library/other:v1"];
    for name in names {
        let image = made.app(name, &["linux/amd64"]);
        made.root(full(&image, name));
    }
    let app = made.app("app", &["linux/amd64", "linux/arm64"]);
    made.root(full(&app, "ghcr.io/shop/app:v2"));
    let tool = made.app("tool", &["linux/amd64"]);
    made.root(tagged(&tool, "registry:5000/tools/x:latest"));
    made.layout(&bench.path("dist"));
    (made, digest(&app).to_owned())
}

fn write(bench: &Bench, file: &str, text: &str) {
    let path = bench.path(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Returns the names in a place, sorted.
fn names(bench: &Bench, place: &str) -> Vec<String> {
    let name = |root: &Value| {
        let annotations = &root["annotations"];
        let full = annotations["io.containerd.image.name"].as_str().or_else(|| annotations[REF_NAME].as_str());
        full.unwrap().to_owned()
    };
    let mut names: Vec<String> = bench.roots(place).iter().map(name).collect();
    names.sort();
    names
}

const RUN: [&str; 4] = [
    "docker.io/library/busybox:1.36",
    "docker.io/library/nginx:1.25",
    "ghcr.io/shop/app:v2",
    "registry:5000/tools/x:latest",
];

#[test]
fn the_images_of_manifests_are_saved() {
    let bench = Bench::new();
    let (_, app) = shop(&bench);
    write(&bench, "k8s/web.yaml", &WEB.replace("DIGEST", &app));
    write(&bench, "k8s/cron/jobs.json", JOBS);
    write(&bench, "k8s/README.md", "image: nothing\n");
    write(&bench, "k8s/values.yaml", "replicas: 2\n");
    write(&bench, "elsewhere/pod.yaml", "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: absent}]}\n");
    symlink("../elsewhere", bench.path("k8s/link")).unwrap();
    symlink("../elsewhere/pod.yaml", bench.path("k8s/pod.yaml")).unwrap();
    let said = bench.ok("-L dist save -o a.tar --list k8s");
    said.says("Prometheus.monitoring.coreos.com is not known: its images are not looked for");
    said.says("2 files skipped").says("2 links not followed");
    assert_eq!(names(&bench, "a.tar"), RUN);
    bench.verify("a.tar");
    // the same by one file after the other, and by a text
    bench.ok("-L dist save -q -o b.tar --list k8s/web.yaml --list k8s/cron/jobs.json");
    assert_eq!(names(&bench, "b.tar"), RUN);
    write(&bench, "images", &format!("# all\n{}\n", RUN.join("  # one\r\n\n")));
    bench.ok("-L dist save -o c.tar --list images").says_not("skipped");
    write(&bench, "barge.yaml", &format!("images:\n- name: {}\n- {}\n- {}\n- {}\n", RUN[0], RUN[1], RUN[2], RUN[3]));
    bench.ok("-L dist save -o d.tar --list barge.yaml");
    let ran = bench.run_with("-L dist save -o e.tar --list -", JOBS.as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for (file, whole) in [("c.tar", &RUN[..]), ("d.tar", &RUN[..]), ("e.tar", &[RUN[0], RUN[3]][..])] {
        assert_eq!(names(&bench, file), whole, "{file}");
    }
    let json = bench.ok("-L dist save --json -o f.tar --list k8s").json();
    assert!(json["warnings"].to_string().contains("Prometheus.monitoring.coreos.com"), "{json}");
    assert_eq!(json["results"].as_array().unwrap().len(), 4);
}

#[test]
fn words_beside_a_list_and_in_it_mean_what_they_mean_on_the_command_line() {
    let bench = Bench::new();
    let (made, _) = shop(&bench);
    let mut other = Made::new();
    let image = other.app("else", &["linux/amd64"]);
    other.root(full(&image, "quay.io/a/b:v1"));
    other.layout(&bench.path("second"));
    write(&bench, "list", "nginx:1.25\n./second:quay.io/a/b:v1\noci:dist:other:v1\n:busybox:1.36\n");
    bench.ok("-L dist save -o a.tar --list list dist:ghcr.io/shop/app:v2");
    let all = [RUN[0], RUN[1], "docker.io/library/other:v1", RUN[2], "quay.io/a/b:v1"];
    assert_eq!(names(&bench, "a.tar"), all);
    // a name is a name, whatever lies beside
    write(&bench, "nginx", "no layout");
    write(&bench, "list", "nginx:1.25\n");
    bench.ok("-L dist save -o b.tar --list list");
    assert_eq!(bench.roots("b.tar"), [made.roots[1].clone()]);
    write(&bench, "list", "./nothing\n");
    bench.exits(3, "-L dist save -o c.tar --list list").says("cannot use ./nothing (list:1)").says("no such file");
    write(&bench, "list", "dir:x\n");
    bench.exits(9, "-L dist save -o c.tar --list list").says("dir:x (list:1)").says("skopeo");
    write(&bench, "list", "-\n");
    bench.exits(2, "-L dist save -o c.tar --list - --list list").says("standard input");
}

#[test]
fn all_that_is_not_there_is_told_at_once() {
    let bench = Bench::new();
    let (_, app) = shop(&bench);
    write(&bench, "my list", "nginx:1.25\nnginx:1.26\nquay.io/a/b\n\nquay.io/a/b:latest # again\nv2\n");
    let wrong = app.replace(&app[7..15], "00000000");
    write(
        &bench,
        "pod.yaml",
        &format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: ghcr.io/shop/app:v2@{wrong}\n"),
    );
    let mut command = bench.command("-L dist save -o a.tar --list pod.yaml --list");
    let output = command.arg("my list").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for line in [
        "cannot find 4 images of the list in oci:dist",
        &format!("caused by: ghcr.io/shop/app:v2@{wrong} (pod.yaml:5): v2 there is {app}\n"),
        "caused by: nginx:1.26 (my list:2)\n",
        "caused by: quay.io/a/b (my list:3 and 1 more)\n",
        "caused by: v2 (my list:6)\n", // a tag alone is no name
        "hint: get what is missing with `barge -L dist pull -f pod.yaml -f 'my list'`",
    ] {
        assert!(said.contains(line), "expected {line:?} in {said}");
    }
    assert!(!said.contains("nginx:1.25"), "{said}");
    assert!(!bench.path("a.tar").exists());
    write(&bench, "one", "nothing\n");
    let json = bench.exits(3, "-L dist save --json -o a.tar --list one").json();
    assert_eq!(json["error"]["causes"], serde_json::json!(["nothing (one:1)"]));
    bench.exits(3, "save -o a.tar --list one").says("no current layout");
    bench.exits(3, "-L dist save -o a.tar --list absent.txt").says("absent.txt");
}

#[test]
fn an_image_with_a_digest_is_the_one_that_has_it() {
    let bench = Bench::new();
    let (made, app) = shop(&bench);
    for word in [
        format!("ghcr.io/shop/app:v2@{app}"),
        format!("ghcr.io/shop/app:old@{app}"),
        format!("ghcr.io/shop/app@{app}"),
        format!("mirror.example/app:v9@{app}"),
    ] {
        write(&bench, "list", &word);
        bench.ok("-L dist save -f -o a.tar --list list");
        assert_eq!(bench.roots("a.tar"), [made.roots[3].clone()], "{word}");
    }
}

#[test]
fn a_list_that_is_none_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    let _ = shop(&bench);
    let bomb: String =
        (1..12).map(|at| format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 10].join(","))).collect();
    for (text, code, said) in [
        (String::new(), 2, "the list is empty"),
        ("image: {{ .Values.image }}\n".to_owned(), 9, "list:1:8: this is a template"),
        (format!("a0: &a0 [x]\n{bomb}"), 2, "than barge reads"),
        ("[".repeat(500_000), 2, "list:1:"),
        ("- ".repeat(500_000), 2, "list:1:"),
        ("a: b\na: c\n".to_owned(), 2, "list:2:1: the key \"a\" is there twice"),
        ("images: [a]\n\u{1b}[2J: b\n".to_owned(), 2, "list:2:"),
        ("x".repeat(9 << 20), 2, "larger than 8 MiB"),
        ("a\0b".to_owned(), 2, "not text"),
    ] {
        write(&bench, "list", &text);
        let cut: String = text.chars().take(30).collect();
        let ran = bench.exits(code, "-L dist save -o a.tar --list list");
        assert!(ran.stderr.contains(said), "{cut}: {}", ran.stderr);
        assert!(!ran.stderr.contains('\u{1b}'), "{cut}");
        assert!(!bench.path("a.tar").exists());
    }
}

#[test]
fn a_directory_is_bounded_and_its_special_files_are_left() {
    let bench = Bench::new();
    let _ = shop(&bench);
    let pod = "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: nginx:1.25}]}\n";
    write(&bench, "k8s/a.YML", pod);
    let status = std::process::Command::new("mkfifo").arg(bench.path("k8s/pipe.yaml")).status().unwrap();
    assert!(status.success());
    symlink("/dev/zero", bench.path("k8s/zero.yaml")).unwrap();
    bench.ok("-L dist save -o a.tar --list k8s").says("1 file skipped").says("1 link not followed");
    write(&bench, &format!("deep/{}b.yaml", "d/".repeat(31)), pod);
    bench.ok("-L dist save -o b.tar --list deep");
    write(&bench, &format!("deep/{}b.yaml", "d/".repeat(33)), pod);
    bench.exits(2, "-L dist save -o c.tar --list deep").says("more than 32 levels");
    fs::create_dir(bench.path("many")).unwrap();
    for at in 0..10_001 {
        fs::write(bench.path(&format!("many/{at}.json")), "{}").unwrap();
    }
    bench.exits(2, "-L dist save -o c.tar --list many").says("more than 10000 manifests");
    fs::create_dir(bench.path("empty")).unwrap();
    bench.exits(2, "-L dist save -o c.tar --list empty").says("the list is empty");
    // a template among them stops it all
    write(&bench, "k8s/t.yaml", "{{- if .Values.x }}\nkind: Pod\n{{- end }}\n");
    bench.exits(9, "-L dist save -o c.tar --list k8s").says("k8s/t.yaml:1:1: this is a template").says("helm template");
}

use super::*;
use crate::error::Class;

/// Reads one file as the user names it.
fn read(text: &str) -> Result<ImageList, ListError> {
    let mut list = ImageList::default();
    list.add("list", text.as_bytes(), Expected::Anything).map(|_| list)
}

/// Returns each image as it was written, and where.
fn told(list: &ImageList) -> Vec<String> {
    list.images().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(text: &str, class: Class, position: (usize, usize), said: &str) -> ListError {
    let error = read(text).expect_err(text);
    assert_eq!(error.class, class, "{text}: {error}");
    assert_eq!(error.position, Some(position), "{text}: {error}");
    assert!(error.message.contains(said), "{text}: {error}");
    error
}

const SPEC: &str = "{initContainers: [{image: i}], containers: [{image: c}, {name: none}], ephemeralContainers: [{image: e}], \
                    volumes: [{image: {reference: v}}, {emptyDir: {}}]}";

#[test]
fn every_kind_with_a_pod_spec_is_searched() {
    let template = |kind: &str| format!("{kind}\nspec: {{template: {{spec: {SPEC}}}}}");
    let job = format!("spec: {{jobTemplate: {{spec: {{template: {{spec: {SPEC}}}}}}}}}");
    let manifests = [
        format!("apiVersion: v1\nkind: Pod\nspec: {SPEC}"),
        format!("apiVersion: v1\nkind: PodTemplate\ntemplate: {{spec: {SPEC}}}"),
        template("apiVersion: v1\nkind: ReplicationController"),
        template("apiVersion: apps/v1\nkind: Deployment"),
        template("apiVersion: extensions/v1beta1\nkind: Deployment"),
        template("apiVersion: apps/v1\nkind: ReplicaSet"),
        template("apiVersion: apps/v1\nkind: DaemonSet"),
        template("apiVersion: apps/v1beta2\nkind: StatefulSet"),
        template("apiVersion: batch/v1\nkind: Job"),
        format!("apiVersion: batch/v1beta1\nkind: CronJob\n{job}"),
        format!("apiVersion: v1\nkind: List\nitems: [{{apiVersion: v1, kind: Pod, spec: {SPEC}}}]"),
        format!("apiVersion: v1\nkind: PodList\nitems: [{{spec: {SPEC}}}]"),
        format!("apiVersion: apps/v1\nkind: DeploymentList\nitems: [{{spec: {{template: {{spec: {SPEC}}}}}}}]"),
        format!(
            "apiVersion: v1\nkind: List\nitems: [{{apiVersion: v1, kind: List, items: [{{apiVersion: v1, kind: Pod, spec: {SPEC}}}]}}]"
        ),
    ];
    for manifest in manifests {
        let list = read(&manifest).unwrap();
        let found: Vec<&str> = list.images().iter().map(|image| image.text.as_str()).collect();
        assert_eq!(found, ["c", "i", "e", "v"], "{manifest}");
        assert!(list.notes().is_empty(), "{manifest}");
        assert_eq!(list.images()[0].name.as_ref().unwrap().to_string(), "docker.io/library/c:latest");
    }
}

#[test]
fn what_is_no_pod_spec_is_not_guessed_at() {
    let image = "spec: {image: a, template: {spec: {containers: [{image: b}]}}}";
    for (head, note) in [
        ("apiVersion: example.com/v1\nkind: Widget", Some("Widget.example.com")),
        ("apiVersion: serving.knative.dev/v1\nkind: Service", Some("Service.serving.knative.dev")),
        ("apiVersion: batch.volcano.sh/v1alpha1\nkind: Job", Some("Job.batch.volcano.sh")),
        ("apiVersion: v1\nkind: Thing", Some("Thing")),
        ("apiVersion: v1\nkind: ConfigMap", None),
        ("apiVersion: v1\nkind: Secret", None),
    ] {
        let manifest = format!("{head}\n{image}\n---\n{head}\n{image}\n");
        let list = read(&manifest).unwrap();
        assert!(list.images().is_empty(), "{manifest}");
        let notes: Vec<String> =
            note.iter().map(|note| format!("{note} is not known: its images are not looked for")).collect();
        assert_eq!(list.notes(), notes, "{manifest}");
    }
    // a schema has a key `image` as well, and names none
    let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {image: {type: string}}";
    assert!(read(crd).unwrap().notes().is_empty());
    // and what has none of it has none
    for text in
        ["apiVersion: v1\nkind: Pod\n", "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: ''}, {image: ~}]}\n"]
    {
        assert!(read(text).unwrap().images().is_empty(), "{text}");
    }
}

#[test]
fn an_image_is_kept_once_with_every_place() {
    let mut list = ImageList::default();
    let digest = format!("app:v1@sha256:{}", "0".repeat(64));
    let lines =
        format!("# ours\r\n\r\nnginx # web\n  docker.io/library/nginx:latest\n{digest}\n./a b:v1\n[::1]:5000/x\n");
    list.add("a.txt", lines.as_bytes(), Expected::Anything).unwrap();
    list.add(
        "b\u{1b}.yaml",
        b"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: nginx:latest\n",
        Expected::Anything,
    )
    .unwrap();
    list.add("c.yaml", b"images:\n- app\n- name: nginx\n", Expected::Anything).unwrap();
    let expected = [
        "nginx (a.txt:3 and 3 more)".to_owned(),
        format!("{digest} (a.txt:5)"),
        "./a b:v1 (a.txt:6)".to_owned(),
        "[::1]:5000/x (a.txt:7)".to_owned(),
        "app (c.yaml:2)".to_owned(),
    ];
    assert_eq!(told(&list), expected);
    let origins: Vec<(String, usize)> =
        list.images()[0].origins.iter().map(|origin| (origin.to_string(), origin.column)).collect();
    let places = [("a.txt:3", 1), ("a.txt:4", 3), ("b\\u{1b}.yaml:5", 12), ("c.yaml:3", 9)];
    assert_eq!(origins, places.map(|(place, column)| (place.to_owned(), column)));
    assert!(list.images()[2].name.is_none(), "a path is no name");
}

#[test]
fn the_content_says_what_a_file_is() {
    for (text, images) in [
        ("nginx:1.25\nredis:7\n", vec!["nginx:1.25", "redis:7"]),
        ("localhost:5000/app:v1", vec!["localhost:5000/app:v1"]),
        ("# images: no\nbundle.tar:app:v1\n", vec!["bundle.tar:app:v1"]),
        ("docker://host/app:v1\n", vec!["docker://host/app:v1"]),
        ("images:\n  - nginx\n", vec!["nginx"]),
        ("\u{feff}images: [nginx]\r\n", vec!["nginx"]),
        ("{\n\t\"images\": [\n\t\t\"nginx\", {\"name\": \"redis\\/x\"}\n\t]\n}\n", vec!["nginx", "redis/x"]),
        ("---\n# nothing\n---\nimages: [a]\n", vec!["a"]),
        ("", vec![]),
        ("# nothing\n", vec![]),
        ("images: []\n", vec![]),
    ] {
        let list = read(text).unwrap();
        assert_eq!(list.images().iter().map(|image| image.text.as_str()).collect::<Vec<_>>(), images, "{text}");
    }
    let json = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"annotations\":{\"x\":\"\\ud83d\\ude00\"}},\n\
                \"spec\":{\"containers\":[{\"image\":\"a\"}]}}";
    assert_eq!(told(&read(json).unwrap()), ["a (list:2)"]);
}

#[test]
fn what_cannot_be_used_is_told_with_line_and_column() {
    let pod = |spec: &str| format!("apiVersion: v1\nkind: Pod\nspec:\n  {spec}\n");
    for (text, position, said) in [
        ("a: b\nc: [d\n".to_owned(), (2, 4), "not well formed"),
        ("images: [a]\nimages: [b]\n".to_owned(), (2, 1), "\"images\" is there twice"),
        ("imagse: [a]\n".to_owned(), (1, 1), "neither"),
        ("images: [a]\nplatform: x\n".to_owned(), (2, 1), "\"platform\" is not known"),
        ("images:\n- nmae: a\n".to_owned(), (2, 3), "\"nmae\" is not known"),
        ("images:\n- {}\n".to_owned(), (2, 3), "no name"),
        ("images:\n- 5\n".to_owned(), (2, 3), "got a number"),
        ("images: a\n".to_owned(), (1, 9), "has to be a list, and is a text"),
        ("- nginx\n- redis\n".to_owned(), (1, 1), "without `images:`"),
        ("services:\n  web:\n    image: nginx\n".to_owned(), (1, 1), "no manifest"),
        ("kind: Pod\nspec: {}\n".to_owned(), (1, 1), "neither"),
        (pod("containers: [{image: 5}]"), (4, 24), "is a number"),
        (pod("containers: [{image: [a]}]"), (4, 24), "is a list"),
        (pod("containers: {image: a}"), (4, 15), "has to be a list"),
        (pod("containers: [{image: Upper}]"), (4, 24), "no upper-case"),
        (pod("containers: [{image: 'a b'}]"), (4, 24), "cannot use \"a b\""),
        (pod("containers: [{image: './x'}]"), (4, 24), "cannot use"),
        (pod("containers: [{image: '$(IMAGE)'}]"), (4, 24), "cannot use"),
        ("apiVersion: v1\nkind: List\nitems:\n- spec: {}\n".to_owned(), (4, 3), "has to have `apiVersion:`"),
        ("a: *b\n".to_owned(), (1, 4), "not well formed"),
        ("---\n? [a]\n: b\n".to_owned(), (2, 3), "a key has to be a text"),
    ] {
        let error = refused(&text, Class::Usage, position, said);
        assert!(
            error.to_string().starts_with(&format!("cannot take images from list:{}:{}: ", position.0, position.1))
        );
    }
    assert_eq!(refused("images: [{nmae: a}]", Class::Usage, (1, 11), "").hint.unwrap(), "did you mean name ?");
    for bytes in [&b"\x1f\x8b\x08\0"[..], b"a\0b", b"\xff\xfea\0"] {
        let error = ImageList::default().add("list", bytes, Expected::Anything).unwrap_err();
        assert!(error.message.contains("not text") && error.position.is_none(), "{error}");
    }
    let large = vec![b'\n'; LARGEST_FILE + 1];
    assert!(ImageList::default().add("list", &large, Expected::Anything).unwrap_err().message.contains("8 MiB"));
}

#[test]
fn a_template_is_refused_where_it_begins() {
    let head = "apiVersion: v1\nkind: Pod\n";
    for (text, position) in [
        ("spec:\n  containers:\n  - image: {{ .Values.image }}\n", (5, 12)),
        ("spec:\n  containers:\n  - image: \"{{ .Values.image }}:v1\"\n", (5, 12)),
        ("spec:\n  containers:\n  - image: {{ .Values.image }}:{{ .Values.tag }}\n", (5, 12)),
        ("{{- if .Values.on }}\nspec: {}\n{{- end }}\n", (3, 1)),
        ("{{ if .Values.on }}\nspec: {}\n{{ end }}\n", (3, 1)),
        ("metadata:\n  labels:\n    {{- include \"x\" . | nindent 4 }}\nspec: {}\n", (5, 5)),
    ] {
        let error = refused(&format!("{head}{text}"), Class::Unsupported, position, "template");
        assert!(error.hint.unwrap().contains("helm template"), "{text}");
    }
    let _ = refused("{{ template }}\n", Class::Unsupported, (1, 1), "template");
    let _ = refused("images:\n- '{{ x }}'\n", Class::Unsupported, (2, 3), "template");
    // what stays a template in a cluster is none of ours
    let rule = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec: {a: '{{ $value }}'}\n---\napiVersion: v1\n\
                kind: ConfigMap\ndata:\n  x: |\n    {{ range . }}\n---\napiVersion: v1\nkind: Pod\nspec: {containers: [{image: a, args: ['{{ x }}']}]}\n";
    assert_eq!(told(&read(rule).unwrap()), ["a (list:13)"]);
}

#[test]
fn hostile_documents_are_refused_early() {
    let bomb: String = (1..9)
        .map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(",")))
        .collect();
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(5000), "*a,".repeat(5000));
    let merges: String =
        (0..2000).fold("a: &a {b: c}\n".to_owned(), |text, at| text + &format!("k{at}: {{<<: *a}}\n")) + "z: [";
    let chain: String =
        (1..1000).fold("a0: &a0 [x]\n".to_owned(), |text, at| text + &format!("a{at}: &a{at} [*a{}]\n", at - 1));
    let blocks: String = (0..200).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    for (text, said) in [
        (format!("a0: &a0 [{}]\n{bomb}", "x,".repeat(10)), "than barge reads"),
        (wide, "more aliases"),
        (merges, ""),
        ("[".repeat(100_000), ""),
        (format!("images: {}", "{a: ".repeat(100_000)), ""),
        (blocks, "more levels"),
        ("- ".repeat(100_000), ""),
        ("a: &a [*a]\n".to_owned(), "means itself"),
        (format!("images:\n{}", "- \n".repeat(600_000)), "more in it"),
        (format!("images: [{}", "a,".repeat(600_000)), "more in it"),
        ("--- a\n".repeat(20_000), "more in it"),
        (format!("\"{}\": a\n", "k".repeat(2_000_000)), ""),
        ("---\n".to_owned() + &"? ".repeat(100_000), "more levels"),
        (chain, "more"),
        ("!".repeat(100_000) + ": a", ""),
    ] {
        let began = std::time::Instant::now();
        let cut: String = text.chars().take(40).collect();
        let error = read(&text).map(|list| list.images().len()).expect_err(&cut);
        assert!(error.message.contains(said), "{cut}: {error}");
        assert!(error.message.len() < 300, "{cut}: {error}");
        assert!(began.elapsed().as_secs() < 20, "{cut}: {:?}", began.elapsed());
    }
}

#[test]
fn beside_manifests_other_documents_may_lie() {
    let mut list = ImageList::default();
    for (file, text, is_list) in [
        ("values.yaml", "image: nginx\n", false),
        ("kustomization.yaml", "images: [{name: nginx, newTag: v1}]\n", false),
        ("package.json", "{\"name\": \"x\"}", false),
        ("list.yaml", "nginx\n", false),
        ("empty.yaml", "", false),
        ("pod.yaml", "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: a}]}\n", true),
        ("service.yaml", "apiVersion: v1\nkind: Service\n", true),
    ] {
        assert_eq!(list.add(file, text.as_bytes(), Expected::Manifests).unwrap(), is_list, "{file}");
    }
    assert_eq!(told(&list), ["a (pod.yaml:3)"]);
    let notes = list.notes().join("\n");
    assert_eq!((notes.matches("values.yaml").count(), notes.matches("kustomization.yaml").count()), (1, 1), "{notes}");
    assert_eq!(list.notes().len(), 2);
    assert!(list.add("chart.yaml", b"a: {{ x }}\n", Expected::Manifests).is_err());
}

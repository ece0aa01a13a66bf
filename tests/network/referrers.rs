//! What belongs to an image goes where it goes, whether the registry knows what belongs to what or not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::bench::{Bench, noise};
use crate::pull::{names_nothing, publish};
use crate::registry::{Answer, FakeRegistry, Options, Rule};
use crate::support::belonging::{SBOM, SIGNATURE, artifact, belongs, blobs, signed, sorted};
use crate::support::image::{INDEX, Images, LAYER, Layer, MANIFEST, digest, on};

fn both_kinds() -> [FakeRegistry; 2] {
    let strict = Options { children_must_exist: true, ..Options::default() };
    [FakeRegistry::with(strict.clone()), FakeRegistry::with(Options { no_referrers_api: true, ..strict })]
}

/// Returns the entries of a list of referrers under a tag.
fn under_tag(registry: &FakeRegistry, subject: &Value) -> Option<Vec<Value>> {
    let list = registry.manifest("app", &digest(subject).replace(':', "-"))?;
    assert_eq!(list.media_type, INDEX);
    let index: Value = serde_json::from_slice(&list.bytes).unwrap();
    Some(index["manifests"].as_array().unwrap().clone())
}

#[test]
fn all_that_belongs_to_an_image_goes_there_and_comes_back() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64", "linux/arm64"]);
    signed.images.layout(&bench.path("dist"));
    for (registry, kind) in both_kinds().iter().zip(["api", "tags"]) {
        let push = format!("push --json dist {}/app:v1", registry.host());
        let pushed = bench.run(&push).exits(0).says(&["brings 5 referrers", "4 referrers written"]).json();
        let lists = if kind == "api" { 0 } else { 3 };
        assert_eq!(
            (&pushed["stats"]["referrersWritten"], &pushed["stats"]["referrerLists"]),
            (&json!(4), &json!(lists))
        );
        let tag = digest(&signed.image).replace(':', "-");
        let tags = match kind {
            "api" => vec![format!("{tag}.sig"), "v1".to_owned()],
            _ => {
                let of = [&signed.image, &signed.platforms[0], &signed.belonging[0]];
                let mut tags: Vec<String> = of.iter().map(|it| digest(it).replace(':', "-")).collect();
                tags.extend([format!("{tag}.sig"), "v1".to_owned()]);
                tags.sort();
                tags
            }
        };
        assert_eq!(registry.tags("app"), tags);
        // again: nothing is sent
        registry.clear_log();
        let again = bench.run(&push).exits(0).says(&["nothing to do"]).json();
        assert_eq!(again["stats"]["manifests"], 0);
        assert!(registry.count("PUT", "*") + registry.count("POST", "*") == 0, "{:?}", registry.log());

        let back = format!("back-{kind}");
        let line = format!("pull -o {back} {}/app:v1", registry.host());
        let _ = bench.run(&line).exits(0).says(&["brings 5 referrers"]);
        assert_eq!(belongs(&bench.path(&back)), sorted(signed.belonging.clone()));
        assert_eq!(blobs(&bench.path(&back)), blobs(&bench.path("dist")));
        let _ = bench.run(&format!("verify {back}")).exits(0);
        let _ = bench.run(&line).exits(0).says(&["nothing to do"]);
    }
}

#[test]
fn from_a_registry_to_one_of_the_other_kind_nothing_is_lost() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    let [one, other] = both_kinds();
    let _ = bench.run(&format!("push dist {}/app:v1", one.host())).exits(0);
    for (from, tag, to) in [(&one, "v1", &other), (&other, "v2", &one)] {
        let line = format!("copy docker://{}/app:{tag} docker://{}/app:v2", from.host(), to.host());
        let _ = bench.run(&line).exits(0);
        let _ = bench.run(&line).exits(0).says(&["nothing to do"]);
    }
    let listed = under_tag(&other, &signed.image).unwrap();
    let of: Vec<(&Value, &Value)> =
        listed.iter().map(|it| (&it["artifactType"], &it["annotations"]["about"])).collect();
    // types and annotations are pulled up
    assert!(of.contains(&(&json!(SBOM), &json!("of the image"))), "{of:?}");
    assert!(of.contains(&(&json!("example/list"), &Value::Null)), "{of:?}");
    let _ = bench.run(&format!("pull -o back {}/app:v2", other.host())).exits(0);
    assert_eq!(belongs(&bench.path("back")), sorted(signed.belonging));
}

#[test]
fn the_image_gets_its_tag_when_all_that_belongs_to_it_is_there() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    for registry in both_kinds() {
        let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
        let puts = registry.requests("PUT", "/v2/app/manifests/*");
        let order: Vec<&str> = puts.iter().map(|put| put.path.rsplit('/').next().unwrap()).collect();
        let at = |reference: &str| {
            order.iter().position(|it| *it == reference).unwrap_or_else(|| panic!("{reference}: {order:?}"))
        };
        let [sbom, of_it, ..] = &signed.belonging[..] else { panic!() };
        assert!(at(digest(&signed.platforms[0])) < at(digest(&signed.image)));
        assert!(at(digest(&signed.image)) < at(digest(sbom)));
        assert!(at(digest(sbom)) < at(digest(of_it)));
        assert_eq!(at("v1"), order.len() - 1, "{order:?}");
    }
}

#[test]
fn a_referrer_that_is_refused_leaves_the_tag_as_it_was() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    let registry = FakeRegistry::start();
    let path = format!("/v2/app/manifests/{}", digest(&signed.belonging[0]));
    registry.script([Rule::on("PUT", &path).answer(Answer::error(400, "MANIFEST_INVALID", "no artifacts here"))]);
    let line = format!("push dist {}/app:v1", registry.host());
    let _ = bench.run(&line).exits(4).says(&["no artifacts here"]);
    assert_eq!(registry.tags("app"), [""; 0]);
    // without them it goes
    let _ = bench.run(&format!("{line} --referrers none")).exits(0);
    assert_eq!(registry.tags("app"), ["v1"]);
}

#[test]
fn a_list_that_others_keep_keeps_what_is_theirs() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    let registry = FakeRegistry::with(Options { no_referrers_api: true, ..Options::default() });
    let mut others = Images::new();
    let theirs = artifact(&mut others, &signed.image, SIGNATURE, "theirs");
    let entry =
        format!(r#"{{"digest":"{}","size": {},"mediaType":"{MANIFEST}","odd":1.50}}"#, digest(&theirs), theirs["size"]);
    let text = format!(
        r#"{{"schemaVersion":2,"odd":[1.0],"mediaType":"{INDEX}","manifests":[{entry},{entry}],"annotations":{{"a":"b"}}}}"#
    );
    let tag = digest(&signed.image).replace(':', "-");
    registry.put_manifest("app", &tag, INDEX, text.as_bytes());
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    let list = String::from_utf8(registry.manifest("app", &tag).unwrap().bytes.to_vec()).unwrap();
    // whole, once, in its place
    assert_eq!(list.matches(&entry).count(), 1, "{list}");
    assert!(list.contains(r#""odd":[1.0]"#) && list.contains(r#""annotations":{"a":"b"}"#), "{list}");
    let listed = under_tag(&registry, &signed.image).unwrap();
    assert_eq!((listed.len(), digest(&listed[0])), (3, digest(&theirs)));

    // what is under the tag and no list stays what it is
    let registry = FakeRegistry::with(Options { no_referrers_api: true, ..Options::default() });
    publish(&registry, "app", &tag, &{
        let mut other = Images::new();
        let image = other.image("linux/amd64", &[Layer::plain(b"x")]);
        other.root(image);
        other
    });
    let before = registry.resolve("app", &tag);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(4).says(&["it is no index"]);
    assert_eq!((registry.resolve("app", &tag), registry.resolve("app", "v1")), (before, None));
}

#[test]
fn a_list_that_somebody_else_writes_at_the_same_time_is_written_again() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    let tag = format!("/v2/app/manifests/{}", digest(&signed.image).replace(':', "-"));
    let no_api = || FakeRegistry::with(Options { no_referrers_api: true, ..Options::default() });
    // taken and lost, as when somebody else who had read the list before wrote it after
    let registry = no_api();
    registry.script([Rule::on("PUT", &tag).times(2).answer(Answer::status(201))]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    assert_eq!(under_tag(&registry, &signed.image).unwrap().len(), 2);
    assert_eq!((registry.count("PUT", &tag), registry.unused_rules()), (3, vec![]));

    // a registry that says versions refuses the second one
    let registry = no_api();
    let empty = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).to_string();
    registry.put_manifest("app", tag.rsplit('/').next().unwrap(), INDEX, empty.as_bytes());
    registry.script([
        Rule::on("GET", &tag).header("ETag", "\"one\""),
        Rule::on("PUT", &tag).once().answer(Answer::status(412)),
    ]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    let puts = registry.requests("PUT", &tag);
    assert!(puts.len() == 2 && puts.iter().all(|put| put.header("if-match") == Some("\"one\"")), "{puts:?}");
    assert_eq!(under_tag(&registry, &signed.image).unwrap().len(), 2);

    // for ever: it ends, and there is no tag
    let registry = no_api();
    registry.script([Rule::on("PUT", &tag).answer(Answer::status(201))]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(8).says(&["at the same time"]);
    assert!(registry.count("PUT", &tag) <= 8);
    assert_eq!(registry.resolve("app", "v1"), None);
}

#[test]
fn what_the_registry_says_decides_whether_a_list_is_kept_for_it() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    let manifests = "/v2/app/manifests/sha256:*";
    // it lists referrers, and does not say so
    let registry = FakeRegistry::start();
    registry.script([Rule::on("PUT", manifests).without_header("OCI-Subject")]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    assert_eq!(under_tag(&registry, &signed.image), None);
    // it says so, of something else, and lists nothing
    let registry = FakeRegistry::with(Options { no_referrers_api: true, ..Options::default() });
    let other = barge::digest::Digest::of(b"other").to_string();
    registry.script([Rule::on("PUT", manifests).header("OCI-Subject", other)]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    assert_eq!(under_tag(&registry, &signed.image).unwrap().len(), 2);
    // it says so: it is not asked
    let registry = FakeRegistry::start();
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    assert_eq!(registry.count("GET", "/v2/app/referrers/*"), 0);
}

#[test]
fn a_dry_run_says_what_belongs_to_it_and_writes_nothing() {
    let bench = Bench::new();
    signed(&["linux/amd64"]).images.layout(&bench.path("dist"));
    for (registry, lists) in both_kinds().iter().zip([None, Some("3 lists of referrers would be written")]) {
        let done = bench.run(&format!("push --dry-run dist {}/app:v1", registry.host())).exits(0);
        assert!(done.stderr().contains("4 referrers among them"), "{}", done.stderr());
        assert_eq!(done.stderr().contains("of referrers would"), lists.is_some(), "{}", done.stderr());
        assert!(done.stderr().contains(lists.unwrap_or_default()), "{}", done.stderr());
        assert_eq!(registry.count("PUT", "*") + registry.count("POST", "*"), 0);
    }
}

#[test]
fn several_destinations_and_single_names_take_all_of_it() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    let [api, tags] = both_kinds();
    let line =
        format!("push --keep-going --no-clobber dist {0}/app:v1 {0}/other:v1 {1}/app:v1", api.host(), tags.host());
    let _ = bench.run(&line).exits(0);
    for (registry, repository) in [(&api, "app"), (&api, "other"), (&tags, "app")] {
        for root in &signed.belonging {
            assert!(registry.manifest(repository, digest(root)).is_some(), "{repository} {root}");
        }
    }
    let _ = bench.run(&line).exits(0).says(&["nothing to do"]);
}

#[test]
fn a_registry_is_asked_little() {
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x", "linux/ppc64le"];
    let bench = Bench::new();
    let mut images = Images::new();
    let manifests: Vec<Value> =
        platforms.iter().map(|it| on(images.image(it, &[Layer::plain(it.as_bytes())]), it)).collect();
    let index = images.index(&manifests);
    images.root(index);
    for (options, questions) in
        [(Options::default(), 6 + 1), (Options { no_referrers_api: true, ..Options::default() }, 1 + 1)]
    {
        let registry = FakeRegistry::with(options);
        publish(&registry, "app", "v1", &images);
        let asked = |registry: &FakeRegistry| {
            let is_content = |path: &str| path.contains("/manifests/") || path.contains("/blobs/");
            let all: Vec<_> = registry.log().into_iter().filter(|it| it.path.starts_with("/v2/app/")).collect();
            let content = all.iter().filter(|it| it.method == "GET" && is_content(&it.path)).count();
            (content, all.len() - content)
        };
        let host = registry.host();
        let _ = bench.run(&format!("pull -o {} {host}/app:v1", host.replace(':', "-"))).exits(0);
        // an index, and of each platform its manifest, config and layer
        assert_eq!(asked(&registry), (16, questions), "{:?}", registry.log());
        registry.clear_log();
        let _ = bench.run(&format!("pull --referrers none -o none-{} {host}/app:v1", host.replace(':', "-"))).exits(0);
        assert_eq!(asked(&registry), (16, 0));
        // one platform alone: its index may have been signed
        registry.clear_log();
        let line = format!("pull --platform linux/arm64 -o one-{} {host}/app:v1", host.replace(':', "-"));
        let _ = bench.run(&line).exits(0);
        assert_eq!(asked(&registry), (4, questions.min(2 + 1)));
    }
}

#[test]
fn with_a_platform_comes_what_belongs_to_it() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64", "linux/arm64"]);
    signed.images.layout(&bench.path("dist"));
    for (registry, kind) in both_kinds().iter().zip(["api", "tags"]) {
        let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
        // the index that arrives is another one, and what belongs to the old one says nothing of it
        for (platform, expected) in [("linux/amd64", vec![signed.belonging[2].clone()]), ("linux/arm64", vec![])] {
            let place = format!("{}-{kind}", platform.replace('/', "-"));
            let line = format!("pull --platform {platform} -o {place} {}/app:v1", registry.host());
            let _ = bench.run(&line).exits(0).says(&["left behind: 4 referrers of", digest(&signed.image)]);
            assert_eq!(belongs(&bench.path(&place)), expected);
        }
        let line = format!("pull --platform linux/arm64 --index keep -o kept-{kind} {}/app:v1", registry.host());
        let _ = bench.run(&line).exits(0);
        assert_eq!(belongs(&bench.path(&format!("kept-{kind}"))).len(), 4);
    }
}

#[test]
fn one_type_is_asked_for_and_only_that_is_taken() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    let [api, tags] = both_kinds();
    for (registry, kind) in [(&api, "api"), (&tags, "tags"), (&api, "bare")] {
        let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
        registry.clear_log();
        if kind == "bare" {
            // it shows no annotations
            let path = format!("/v2/app/referrers/{}", digest(&signed.image));
            let all: Vec<Value> = [0, 3]
                .iter()
                .map(|at| {
                    let mut entry = signed.belonging[*at].clone();
                    entry.as_object_mut().unwrap().remove("annotations");
                    entry
                })
                .collect();
            let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": all}).to_string();
            registry
                .script([Rule::on("GET", &path).answer(Answer::status(200).header("Content-Type", INDEX).body(index))]);
        }
        let _ = bench.run(&format!("pull --referrers {SBOM} -o {kind} {}/app:v1", registry.host())).exits(0);
        let expected = vec![signed.belonging[0].clone(), signed.belonging[2].clone()];
        assert_eq!(belongs(&bench.path(kind)), sorted(expected), "{kind}");
        let list = format!("/v2/app/manifests/{}", digest(&signed.belonging[3]));
        assert_eq!(registry.count("GET", &list), 0, "{kind}: what is of another type was read");
    }
}

#[test]
fn what_is_known_by_its_config_or_its_layers_is_found_by_either() {
    let bench = Bench::new();
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[Layer::plain(b"app")]);
    let bare = json!({"mediaType": image["mediaType"], "digest": image["digest"], "size": image["size"]});
    let of = |images: &mut Images, config: &str, layer: &str| {
        let (config, layer) = (images.put(config, b"{}"), images.put(layer, layer.as_bytes()));
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer], "subject": bare});
        digest(&images.document(MANIFEST, &manifest)).to_owned()
    };
    let by_config = of(&mut images, "application/vnd.example.chart.v1+json", "x/files");
    let by_layer = of(&mut images, barge::media::OCI_CONFIG, "application/vnd.example.signing+json");
    for digest_of in [&by_config, &by_layer] {
        let size = images.blobs[digest_of].len();
        images.root(json!({"mediaType": MANIFEST, "digest": digest_of, "size": size}));
    }
    images.root(crate::support::image::named(image, "v1"));
    images.layout(&bench.path("dist"));
    for registry in both_kinds() {
        let host = registry.host();
        let _ = bench.run(&format!("push dist:v1 {host}/app:v1")).exits(0);
        for (wanted, expected) in [
            ("application/vnd.example.chart.v1+json", Some(&by_config)),
            ("application/vnd.example.signing+json", Some(&by_layer)),
            ("x/files", None),
        ] {
            let place = format!("{}-{}", host.replace(':', "-"), wanted.replace('/', "-"));
            let _ = bench.run(&format!("pull --referrers {wanted} -o {place} {host}/app:v1")).exits(0);
            let found: Vec<String> = belongs(&bench.path(&place)).iter().map(|root| digest(root).to_owned()).collect();
            assert_eq!(found, expected.into_iter().cloned().collect::<Vec<_>>(), "{wanted}");
        }
    }
}

#[test]
fn a_registry_cannot_link_what_an_annotation_alone_says() {
    let bench = Bench::new();
    let registry = FakeRegistry::with(Options::default());
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[Layer::plain(b"app")]);
    let note = images.image("linux/amd64", &[Layer::plain(b"note")]);
    images.root(crate::support::image::named(image.clone(), "v1"));
    images.root(crate::support::image::annotated(note.clone(), barge::content::CONTAINERD_SUBJECT, digest(&image)));
    images.layout(&bench.path("dist"));
    let host = registry.host();
    for line in [format!("push dist:v1 {host}/app:v1"), format!("copy dist:v1 docker://{host}/copied:v1")] {
        let _ = bench.run(&line).exits(0).says(&[
            "warning: no registry knows that ",
            digest(&note),
            "found there by its digest alone",
            "barge attach",
        ]);
    }
    let found = format!("inspect docker://{host}/app@{}", digest(&note));
    let _ = bench.run(&found).exits(0);
}

#[test]
fn every_page_is_read() {
    let bench = Bench::new();
    for options in [
        Options { page_size: Some(2), ..Options::default() },
        Options { page_size: Some(2), absolute_links: true, ..Options::default() },
    ] {
        let registry = FakeRegistry::with(options);
        let mut images = Images::new();
        let image = images.image("linux/amd64", &[Layer::plain(b"app")]);
        for number in 0..7 {
            artifact(&mut images, &image, SBOM, &format!("number {number}"));
        }
        images.root(image);
        publish(&registry, "app", "v1", &images);
        let place = format!("back-{}", registry.host().replace(':', "-"));
        let _ =
            bench.run(&format!("pull -o {place} {}/app:v1", registry.host())).exits(0).says(&["brings 7 referrers"]);
        assert_eq!(belongs(&bench.path(&place)).len(), 7);
    }
}

/// A registry with an image to which two things belong, whose digests are returned, that of the image first.
fn with_two(options: Options) -> (FakeRegistry, [Value; 3]) {
    let registry = FakeRegistry::with(options);
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[Layer::plain(b"app")]);
    let one = artifact(&mut images, &image, SBOM, "one");
    let other = artifact(&mut images, &image, SIGNATURE, "other");
    images.root(image.clone());
    publish(&registry, "app", "v1", &images);
    (registry, [image, one, other])
}

#[test]
fn a_list_that_lies_brings_nothing_that_is_wrong() {
    let listing = |entries: Value| {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string();
        Answer::status(200).header("Content-Type", INDEX).body(index)
    };
    let bare = |it: &Value| json!({"mediaType": it["mediaType"], "digest": it["digest"], "size": it["size"]});
    type Lie = (&'static str, fn(Value, &Value) -> Value, i32, &'static str);
    let lies: [Lie; 8] = [
        (
            "another size",
            |mut it, _| {
                it["size"] = json!(5);
                it
            },
            4,
            "cannot",
        ),
        (
            "a size that nothing has",
            |mut it, _| {
                it["size"] = json!(9_000_000_000_000_u64);
                it
            },
            4,
            "at most",
        ),
        (
            "a digest that is not there",
            |mut it, _| {
                it["digest"] = json!(barge::digest::Digest::of(b"none").to_string());
                it
            },
            0,
            "is not there: left out",
        ),
        (
            "no digest",
            |mut it, _| {
                it["digest"] = json!("sha256:../../x");
                it
            },
            4,
            "digest",
        ),
        (
            "a blob",
            |mut it, _| {
                it["mediaType"] = json!(LAYER);
                it
            },
            0,
            "is no manifest: left out",
        ),
        (
            "another type",
            |mut it, _| {
                it["mediaType"] = json!(INDEX);
                it
            },
            4,
            "cannot use",
        ),
        ("the image itself", |_, image| image.clone(), 0, "does not say so itself: left out"),
        (
            "a name",
            |mut it, _| {
                it["annotations"] = json!({"org.opencontainers.image.ref.name": "v1", "io.containerd.image.name": "docker.io/library/nginx:latest"});
                it
            },
            0,
            "brings 1 referrer",
        ),
    ];
    for (case, lie, exit, said) in lies {
        let (registry, [image, one, _]) = with_two(Options::default());
        let entry = lie(bare(&one), &bare(&image));
        let path = format!("/v2/app/referrers/{}", digest(&image));
        registry.script([Rule::on("GET", &path).answer(listing(json!([entry])))]);
        let bench = Bench::new();
        let done = bench.run(&format!("pull -o layout {}/app:v1", registry.host()));
        let done = done.exits(exit).says(&[said]);
        if exit != 0 {
            names_nothing(&bench, "layout");
            continue;
        }
        let _ = bench.run("verify layout").exits(0);
        let belonging = belongs(&bench.path("layout"));
        let expected = if case == "a name" { vec![one] } else { vec![] };
        assert_eq!(belonging, expected, "{case}: {}", done.stderr());
    }
    // its bytes are not what its digest says
    let (registry, [_, one, _]) = with_two(Options::default());
    registry.script([Rule::on("GET", &format!("/v2/app/manifests/{}", digest(&one))).wrong_bytes()]);
    let bench = Bench::new();
    let _ = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(4).says(&[digest(&one)]);
    names_nothing(&bench, "layout");
    let _ = bench.run(&format!("pull --referrers none -o layout {}/app:v1", registry.host())).exits(0);
}

#[test]
fn pages_without_an_end_have_one() {
    let (registry, [image, ..]) = with_two(Options::default());
    let path = format!("/v2/app/referrers/{}", digest(&image));
    // in a circle: what is there comes once
    registry.script([Rule::on("GET", &path).header("Link", format!("<{path}?n=1>; rel=\"next\""))]);
    let bench = Bench::new();
    let _ = bench.run(&format!("pull -o circle {}/app:v1", registry.host())).exits(0).says(&["brings 2 referrers"]);
    assert!(registry.count("GET", &path) <= 3);
    // somewhere else: nobody is asked there, and a part of a list is not the list
    let elsewhere = FakeRegistry::start();
    registry.clear_script();
    registry.script([Rule::on("GET", &path).header("Link", format!("<{}{path}>; rel=\"next\"", elsewhere.url()))]);
    let line = format!("pull -o elsewhere {}/app:v1", registry.host());
    let _ = bench.run(&line).exits(4).says(&["goes on at", "hint: --referrers none"]);
    let _ = bench.run(&format!("{line} --referrers none")).exits(0);
    assert_eq!(elsewhere.log().len(), 0);
    // more and more
    let entry = |number: usize| json!({"mediaType": MANIFEST, "size": 500, "digest": barge::digest::Digest::of(&noise(number as u64, 8)).to_string()});
    let many: Vec<Value> = (0..10_001).map(entry).collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": many}).to_string();
    registry.clear_script();
    registry.script([Rule::on("GET", &path).answer(Answer::status(200).header("Content-Type", INDEX).body(index))]);
    let _ = bench.run(&format!("pull -o many {}/app:v1", registry.host())).exits(4).says(&["more than 10000"]);
    registry.clear_script();
    registry.script([Rule::on("GET", &path).endless_body()]);
    let _ = bench
        .run(&format!("pull -o endless {}/app:v1", registry.host()))
        .exits(4)
        .says(&["the most that a document has"]);
}

#[test]
fn what_is_no_list_of_referrers_means_that_there_is_none() {
    for (case, answer) in [
        ("a page for people", Answer::status(200).header("Content-Type", "text/html").body("<html>welcome</html>")),
        ("a page of another registry's", Answer::json(200, &json!({"manifests": []}))),
        ("no such path", Answer::status(404).body("404 page not found")),
        ("no such method", Answer::error(405, "UNSUPPORTED", "no")),
        ("not implemented", Answer::status(501)),
        ("forbidden", Answer::error(403, "DENIED", "not this")),
    ] {
        let (registry, [image, one, _]) = with_two(Options::default());
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [one]}).to_string();
        registry.put_manifest("app", &digest(&image).replace(':', "-"), INDEX, index.as_bytes());
        registry.script([Rule::on("GET", "/v2/app/referrers/*").answer(answer)]);
        let bench = Bench::new();
        let done = bench.run(&format!("pull -o layout {}/app:v1", registry.host())).exits(0);
        assert_eq!(belongs(&bench.path("layout")), [one], "{case}");
        assert_eq!(done.stderr().contains("by their tags alone"), case == "forbidden", "{case}: {}", done.stderr());
        // found out once
        assert_eq!(registry.count("GET", "/v2/app/referrers/*"), 1, "{case}");
    }
    // what fails is not the same as what is not there
    let (registry, _) = with_two(Options::default());
    registry.script([Rule::on("GET", "/v2/app/referrers/*").answer(Answer::status(503))]);
    let bench = Bench::new();
    let line = format!("pull --retry 0 -o layout {}/app:v1", registry.host());
    let _ = bench.run(&line).exits(6).says(&["503", "--referrers none"]);
    let _ = bench.run(&format!("{line} --referrers none")).exits(0);
}

#[test]
fn tags_that_are_not_listed_are_asked_for_one_by_one() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    for (case, rule) in [
        ("refused", Rule::on("GET", "/v2/app/tags/list").answer(Answer::error(403, "DENIED", "no list"))),
        ("no JSON", Rule::on("GET", "/v2/app/tags/list").answer(Answer::status(200).body("<html>"))),
        ("broken", Rule::on("GET", "/v2/app/tags/list").answer(Answer::status(500))),
        ("too many", Rule::on("GET", "/v2/app/tags/list").header("Link", "</v2/app/tags/list?last=x>; rel=\"next\"")),
    ] {
        for (registry, kind) in both_kinds().iter().zip(["api", "tags"]) {
            let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
            registry.script([rule.clone()]);
            let place = format!("{}-{kind}", case.replace(' ', "-"));
            let _ = bench.run(&format!("pull -o {place} {}/app:v1", registry.host())).exits(0);
            assert_eq!(belongs(&bench.path(&place)), sorted(signed.belonging.clone()), "{case} {kind}");
        }
    }
}

#[test]
fn a_tree_shows_what_belongs_to_an_image() {
    let bench = Bench::new();
    let signed = signed(&["linux/amd64"]);
    signed.images.layout(&bench.path("dist"));
    for registry in both_kinds() {
        let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
        let tree = bench.run(&format!("tree docker://{}/app:v1", registry.host())).exits(0);
        for root in &signed.belonging {
            assert!(tree.stdout().contains(&digest(root)[7..19]), "{root} is not in\n{}", tree.stdout());
        }
    }
}

/// Everything that barge and buildx make, on the longest way that it may go.
#[test]
fn the_same_set_comes_out_after_parts_and_registries_of_both_kinds() {
    let bench = Bench::new();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/buildx-amd64-arm64.tar");
    let image = "dist:ghcr.io/org/app:v1";
    // large enough for several parts
    std::fs::write(bench.path("sbom.json"), noise(9, 2_500_000)).unwrap();
    let ok = |line: &str| bench.run(line).exits(0).stdout().to_owned();
    ok(&format!("copy {fixture} {image}"));
    let sbom = ok(&format!("attach {image} sbom.json --type {SBOM}"));
    ok(&format!("attach {image} sbom.json --type {SBOM} --platform linux/arm64"));
    ok(&format!("attach dist@{} sbom.json --type {SIGNATURE}", sbom.trim()));
    ok("key generate --no-password -o release");
    ok(&format!("sign --key release.key {image}"));
    ok(&format!("sign --key release.key --as referrer --recursive {image}"));
    ok("key generate --no-password -o second");
    ok(&format!("sign --key second.key --as bundle {image}"));
    let whole = |place: &str| (belongs(&bench.path(place)), blobs(&bench.path(place)));
    let expected = whole("dist");
    assert_eq!(expected.0.len(), 3 + 1 + 5 + 1, "{:?}", expected.0);
    let lines = |text: String| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let listed = lines(ok(&format!("referrers {image}")));

    ok("save -q -o app.tar --split 1M dist");
    ok("load -i app.tar.001 -o loaded --require-signature release.pub");
    assert!(whole("loaded") == expected);
    for (registry, kind) in both_kinds().iter().zip(["api", "tags"]) {
        ok(&format!("push --require-signature release.pub loaded:ghcr.io/org/app:v1 {}/org/app:v1", registry.host()));
        let there = format!("docker://{}/org/app:v1", registry.host());
        ok(&format!("verify --key release.pub {there}"));
        ok(&format!("verify --key second.pub {there}"));
        ok(&format!("copy {there} oci:{kind}:ghcr.io/org/app:v1"));
        assert!(whole(kind) == expected, "{kind}");
        assert_eq!(lines(ok(&format!("referrers {kind}:ghcr.io/org/app:v1"))), listed, "{kind}");
        ok(&format!("verify --key release.pub {kind}"));
    }
}

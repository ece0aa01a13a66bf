//! Signatures and other referrers, by every convention in use.

use serde_json::{Value, json};

use super::bench::{Bench, allowed};
use super::made::{Made, bare, belonging, dashed, digest, full, tagged, two_images};

/// The conventions by which a signature of an image stands in a layout; the texts are those of their layers.
fn signed() -> (Made, Value) {
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    let by_subject = made.artifact("by subject", Some(&app));
    let annotated = made.artifact("by annotation", None);
    let cosign = made.artifact("by the tag of cosign", None);
    let attested = made.artifact("by another tag of cosign", None);
    let listed = made.artifact("by the fallback tag", Some(&app));
    let fallback = made.index(&[listed]);
    let of_it = made.artifact("of a signature", Some(&by_subject));
    let twice = made.artifact("of a signature of a signature", None);
    let stranger = made.artifact("of another image", Some(&bare(&made.roots[1])));
    made.root(by_subject)
        .root(belonging(annotated, &app))
        .root(tagged(&cosign, &format!("{}.sig", dashed(&app))))
        .root(tagged(&attested, &format!("{}.att", dashed(&app))))
        .root(tagged(&fallback, &dashed(&app)));
    made.root(belonging(twice, &of_it)).root(of_it).root(stranger);
    (made, app)
}

const ALL: [&str; 7] = [
    "by subject",
    "by annotation",
    "by the tag of cosign",
    "by another tag of cosign",
    "by the fallback tag",
    "of a signature",
    "of a signature of a signature",
];

fn holds(bench: &Bench, place: &str, text: &str) -> bool {
    let mut made = Made::new();
    bench.blobs(place).contains(&digest(&made.put("x", text.as_bytes())).to_owned())
}

#[test]
fn all_conventions_come_along_and_none_when_asked() {
    let bench = Bench::new();
    let (made, app) = signed();
    made.layout(&bench.path("dist"));
    made.archive(&bench.path("dist.tar"));
    for source in ["dist", "dist.tar"] {
        let ran = bench.ok(&format!("copy {source}:app:v1 with-{source}"));
        ran.says("brings 7 referrers");
        let with = format!("with-{source}");
        for text in ALL {
            assert!(holds(&bench, &with, text), "{source}: {text}");
        }
        assert!(!holds(&bench, &with, "of another image"));
        bench.verify(&with);
        // each stands there as it stood, the image itself first or last
        let roots = bench.roots(&with);
        assert_eq!(roots.len(), 8);
        for root in &made.roots {
            let theirs = digest(root) == digest(&made.roots[1]) || digest(root) == digest(&made.roots[9]);
            assert_eq!(roots.contains(root), !theirs, "{root}");
        }
        bench.ok(&format!("copy {source}:app:v1 {with}")).says("nothing to do");

        bench.ok(&format!("copy --referrers none {source}:app:v1 without-{source}"));
        assert_eq!(bench.roots(&format!("without-{source}")), made.roots[..1]);
        assert!(ALL.iter().all(|text| !holds(&bench, &format!("without-{source}"), text)));
    }
    // under another name too
    bench.ok("copy dist:app:v1 renamed.tar:other:v2").says("other:v2 brings 7 referrers");
    assert_eq!(bench.roots("renamed.tar").len(), 8);
    assert!(bench.roots("renamed.tar").contains(&full(&app, "docker.io/library/other:v2")));
    bench.ok("save -o saved.tar dist:app:v1");
    bench.ok("load -i saved.tar -o loaded");
    assert_eq!(bench.roots("loaded").len(), 8);
}

#[test]
fn a_whole_place_without_referrers_is_its_images_alone() {
    let bench = Bench::new();
    let (made, _) = signed();
    made.layout(&bench.path("dist"));
    bench.ok("copy dist all");
    assert_eq!(bench.roots("all"), made.roots);
    assert_eq!(bench.blobs("all").len(), made.blobs.len());
    bench.ok("save --referrers none -o none.tar dist");
    assert_eq!(bench.roots("none.tar"), made.roots[..2]);
    bench.verify("none.tar");
    // one that is asked for by its own name is meant
    let tag = made.roots[4]["annotations"].as_object().unwrap().values().next().unwrap().as_str().unwrap();
    bench.ok(&format!("copy --referrers none dist:{tag} one"));
    assert_eq!(bench.roots("one"), made.roots[4..5]);
}

#[test]
fn what_belongs_to_platforms_that_stay_behind_stays_behind() {
    let bench = Bench::new();
    let mut made = two_images();
    let index: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
    let (amd64, arm64) = (index["manifests"][0].clone(), index["manifests"][1].clone());
    let (of_amd64, of_arm64) = (made.artifact("of amd64", Some(&amd64)), made.artifact("of arm64", Some(&arm64)));
    let of_index = made.artifact("of the index", Some(&bare(&made.roots[0])));
    made.root(of_amd64).root(of_arm64).root(of_index);
    made.layout(&bench.path("dist"));
    for source in ["dist:app:v1", "dist"] {
        for (index, of_index) in [("shrink", false), ("keep", true)] {
            let target = format!("{}-{index}.tar", source.len());
            let ran = bench.ok(&format!("save --platform linux/amd64 --index {index} -o {target} {source}"));
            let told =
                format!("left behind: 1 referrer of {}, which is not the index that arrives", digest(&made.roots[0]));
            if of_index {
                ran.says("2 referrers").says_not(&told).says("left behind: 1 referrer of platforms");
            } else {
                ran.says(&told).says(", 1 referrer\n");
            }
            assert!(holds(&bench, &target, "of amd64"), "{source} {index}");
            assert!(!holds(&bench, &target, "of arm64"), "{source} {index}");
            assert_eq!(holds(&bench, &target, "of the index"), of_index, "{source} {index}");
        }
    }
}

#[test]
fn those_of_some_types_and_those_without_tags_can_be_chosen() {
    let bench = Bench::new();
    let (mut made, app) = signed();
    let sbom = made.typed("an SBOM", "application/spdx+json", Some(&app));
    let of_sbom = made.typed("a note on the SBOM", "test/note", Some(&sbom));
    let listed = made.typed("a note in the index of the fallback tag", "test/note", Some(&app));
    made.root(sbom).root(of_sbom);
    let of_tag: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[6])]).unwrap();
    let fallback = made.index(&[of_tag["manifests"][0].clone(), listed]);
    made.roots[6] = tagged(&fallback, &dashed(&app));
    made.layout(&bench.path("dist"));
    let tags = ["by the tag of cosign", "by another tag of cosign"];
    for (number, (options, expected)) in [
        ("--referrers application/spdx+json", vec!["an SBOM"]),
        // each on its own: what it belongs to has to come along too
        ("--referrers test/note", vec!["a note in the index of the fallback tag"]),
        (
            "--referrers test/note,application/spdx+json",
            vec!["an SBOM", "a note on the SBOM", "a note in the index of the fallback tag"],
        ),
        ("--referrers cosign", tags.to_vec()),
        ("--referrers cosign --referrers application/spdx+json", vec![tags[0], tags[1], "an SBOM"]),
        ("--referrers test/absent", vec![]),
        (
            "--digest-tags=false",
            vec![
                "by subject",
                "by annotation",
                "of a signature",
                "of a signature of a signature",
                "an SBOM",
                "a note on the SBOM",
            ],
        ),
        ("--digest-tags=false --referrers test/note,cosign", vec![]),
    ]
    .into_iter()
    .enumerate()
    {
        for source in ["dist:app:v1", "dist"] {
            let target = format!("{number}-{}", source.len());
            bench.ok(&format!("copy --no-sync {options} {source} {target}"));
            let every = ALL.iter().chain(&["an SBOM", "a note on the SBOM", "a note in the index of the fallback tag"]);
            let came: Vec<&str> = every.copied().filter(|text| holds(&bench, &target, text)).collect();
            let (mut came, mut expected) = (came, expected.clone());
            came.sort_unstable();
            expected.sort_unstable();
            assert_eq!(came, expected, "{source} {options}");
            bench.verify(&target);
        }
    }
    bench.exits(2, "copy --referrers sbom dist other").says("it is no type of artifact");
    bench.exits(2, "copy --referrers all,none dist other").says("give all or none alone");
}

#[test]
fn a_circle_of_referrers_has_an_end() {
    let bench = Bench::new();
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    let (a, b) = (made.artifact("a", None), made.artifact("b", None));
    let own = made.artifact("its own", None);
    let first = belonging(belonging(a.clone(), &app), &b);
    made.root(first).root(belonging(b.clone(), &a)).root(belonging(own.clone(), &own));
    made.root(belonging(app, &a)); // the image itself belongs to what belongs to it
    made.layout(&bench.path("dist"));
    for line in ["copy dist:app:v1 one", "copy dist all", "rm dist:app:v1", "gc --grace 0 dist"] {
        bench.ok(line);
    }
}

#[test]
fn a_damaged_referrer_of_another_image_hinders_nobody_and_ones_own_does() {
    let bench = Bench::new();
    let (made, _) = signed();
    made.layout(&bench.path("dist"));
    bench.spoil(&bench.blob("dist", digest(&made.roots[9]))); // the stranger's
    bench.ok("copy dist:app:v1 one");
    bench.exits(4, "copy dist all");
    let layer = digest(&Made::new().put("x", b"by subject")).to_owned();
    bench.spoil(&bench.blob("dist", &layer));
    bench.exits(4, "copy dist:app:v1 two").says(&layer);
    bench.ok("copy --referrers none dist:app:v1 two");
}

/// An image for three platforms with what belongs to it: the texts say to what.
fn with_referrers() -> (Made, Value) {
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    let index: Value = serde_json::from_slice(&made.blobs[digest(&app)]).unwrap();
    let (amd64, arm64) = (index["manifests"][0].clone(), index["manifests"][1].clone());
    let of_index = made.artifact("of the index", Some(&app));
    let of_it = made.artifact("of a referrer", Some(&of_index));
    let (of_amd64, of_arm64) = (made.artifact("of amd64", Some(&amd64)), made.artifact("of arm64", Some(&arm64)));
    let cosign = made.artifact("under cosign's tag", None);
    let db = made.artifact("of the other image", Some(&bare(&made.roots[1])));
    made.root(of_it).root(belonging(of_index, &app)).root(of_amd64).root(of_arm64);
    made.root(tagged(&cosign, &format!("{}.sig", dashed(&app)))).root(db);
    (made, index)
}

const OF_APP: [&str; 5] = ["of a referrer", "of the index", "of amd64", "of arm64", "under cosign's tag"];

/// Returns which of the referrers of the image have a name in a place.
fn named(bench: &Bench, place: &str) -> Vec<&'static str> {
    let named = bench.roots(place);
    let is_named = |text: &&&str| {
        let (made, _) = with_referrers();
        let layer = Made::new().put("x", text.as_bytes());
        named.iter().any(|root| {
            let document = made.blobs.get(digest(root)).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            document.is_some_and(|document| document.contains(digest(&layer)))
        })
    };
    OF_APP.iter().filter(is_named).copied().collect()
}

#[test]
fn what_belongs_to_what_is_removed_goes_with_it_unless_something_holds_it() {
    for (options, before, stays, says) in [
        ("", "", vec![], "5 referrers went with it"),
        ("--keep-referrers", "", OF_APP.to_vec(), "belongs to what is removed, and stays"),
        // another name of the same image
        ("", "tag PLACE:app:v1 app:v2", OF_APP.to_vec(), "it is still there as docker.io/library/app:v2"),
        // a platform has a name of its own
        ("", "tag PLACE@AMD64 amd64:v1", vec!["of amd64"], "4 referrers went with it"),
        ("--platform linux/amd64", "", vec!["of arm64"], "4 referrers went with it"),
        ("--platform linux/s390x", "", vec!["of amd64", "of arm64"], "3 referrers went with it"),
    ] {
        for place in ["dist", "dist.tar"] {
            let bench = Bench::new();
            let (made, index) = with_referrers();
            made.layout(&bench.path("dist"));
            made.archive(&bench.path("dist.tar"));
            if !before.is_empty() {
                bench.ok(&before.replace("PLACE", place).replace("AMD64", digest(&index["manifests"][0])));
            }
            let listing = bench.listing();
            bench.ok(&format!("rm --dry-run {options} {place}:app:v1"));
            assert_eq!(bench.listing(), listing);
            bench.ok(&format!("rm --gc {options} {place}:app:v1")).says(says);
            let mut stays = stays.clone();
            stays.sort_by_key(|text| OF_APP.iter().position(|held| held == text));
            assert_eq!(named(&bench, place), stays, "{options} {before} {place}");
            assert!(holds(&bench, place, "of the other image"));
            for text in OF_APP {
                assert_eq!(holds(&bench, place, text), stays.contains(&text), "{options} {before} {place}: {text}");
            }
            bench.verify(place);
        }
    }
}

#[test]
fn beside_a_damaged_image_no_referrer_goes() {
    let bench = Bench::new();
    let (made, _) = with_referrers();
    made.layout(&bench.path("dist"));
    std::fs::write(bench.blob("dist", digest(&made.roots[1])), b"{").unwrap();
    bench.ok("rm dist:app:v1").says("an image that cannot be read may hold it too");
    assert_eq!(named(&bench, "dist"), OF_APP);
}

#[test]
fn a_referrer_with_a_name_of_its_own_stays_with_what_belongs_to_it() {
    let bench = Bench::new();
    let (mut made, _) = with_referrers();
    made.roots[3] = tagged(&made.roots[3], "sbom"); // the one of the index
    made.layout(&bench.path("dist"));
    bench.ok("rm dist:app:v1").says("sbom belongs to what is removed, and stays: it has a name of its own");
    assert_eq!(named(&bench, "dist"), ["of a referrer", "of the index"]);
    bench.ok("rm dist:sbom").says("1 referrer went with it");
    assert!(named(&bench, "dist").is_empty());
}

#[test]
fn what_dangles_is_told_by_gc_and_stays() {
    let bench = Bench::new();
    let (made, _) = with_referrers();
    made.layout(&bench.path("dist"));
    bench.age("dist");
    bench.ok("gc dist").says_not("referrer");
    bench.ok("rm --keep-referrers dist:app:v1");
    let ran = bench.ok("--json gc dist");
    ran.says("5 referrers of what has no name here stay");
    assert_eq!(ran.json()["results"][0]["dangling"].as_array().unwrap().len(), 5);
    assert_eq!(named(&bench, "dist"), OF_APP);
    // a copy of everything takes it as it is, one of the images does not
    bench.ok("copy dist all").says("1 image, 6 referrers");
    bench.ok("copy dist:db:v3 one").says("1 image, 1 referrer");
}

#[test]
fn merge_brings_what_belongs_to_the_platforms() {
    let bench = Bench::new();
    let (made, _) = with_referrers();
    made.layout(&bench.path("dist"));
    let mut other = Made::new();
    let image = other.image("linux/riscv64", &["riscv64"]);
    let of_it = other.artifact("of riscv64", Some(&image));
    other.root(tagged(&image, "riscv64")).root(of_it);
    other.archive(&bench.path("riscv64.tar"));
    let left = format!("left behind: 3 referrers of {}, which is not the index that arrives", digest(&made.roots[0]));
    let platforms = "--platform linux/amd64,linux/riscv64";
    for (options, came, says) in [
        ("", vec!["of amd64", "of arm64", "of riscv64"], left.as_str()),
        (platforms, vec!["of amd64", "of riscv64"], left.as_str()),
        ("--referrers none", vec![], "merged 4 platforms"),
        ("--referrers test/other", vec![], "merged 4 platforms"),
        ("--digest-tags=false", vec!["of amd64", "of arm64", "of riscv64"], "left behind: 2 referrers"),
    ] {
        let target = format!("merged-{}", options.len());
        let ran = bench.ok(&format!("--json merge -o {target} -t app:v2 {options} dist:app:v1 riscv64.tar"));
        ran.says(says);
        assert_eq!(ran.json()["results"][0]["referrers"], json!(came.len()), "{options}");
        let every = OF_APP.iter().chain(&["of riscv64"]).copied();
        let held: Vec<&str> = every.filter(|text| holds(&bench, &target, text)).collect();
        assert_eq!(held, came, "{options}");
        assert_eq!(bench.roots(&target).len(), 1 + came.len(), "{options}");
        bench.verify(&target);
        bench.ok(&format!("merge -o {target} -t app:v2 {options} dist:app:v1 riscv64.tar")).says("nothing to do");
    }
    // the very same index again is not another one
    bench.ok("merge -o same -t app:v2 dist:app:v1").says("left behind");
    bench.ok("merge -o again -t app:v3 same").says_not("left behind").says("2 referrers");
}

/// Makes `dist` of what buildx wrote, with its attestations, an SBOM of the index, one of a platform, an artifact of the SBOM, and a
/// signature under cosign's tag; returns the digests of the SBOM of the index, the artifact of it and the SBOM of arm64.
fn of_buildx(bench: &Bench) -> [String; 3] {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/buildx-amd64-arm64.tar");
    bench.ok(&format!("copy {fixture} dist"));
    for name in ["sbom.json", "review.txt"] {
        std::fs::write(bench.path(name), format!("the content of {name}\n").repeat(80_000)).unwrap();
    }
    let attach = |line: &str| bench.ok(&format!("attach {line}")).text().trim().to_owned();
    let sbom = attach("dist:example.com/hello:v1 sbom.json --type application/spdx+json");
    let of_arm64 = attach("dist:example.com/hello:v1 sbom.json --platform linux/arm64 --type application/spdx+json");
    let review = attach(&format!("dist@{sbom} review.txt --type application/vnd.example.review"));
    let index = bench.roots("dist")[0].clone();
    let mut cosign = Made::new();
    let payload = cosign.put("application/vnd.dev.cosign.simplesigning.v1+json", b"{}");
    let config = cosign.put(barge::media::OCI_CONFIG, b"{\"architecture\":\"\",\"os\":\"\"}");
    let manifest =
        json!({"schemaVersion": 2, "mediaType": barge::media::OCI_MANIFEST, "config": config, "layers": [payload]});
    let signature = cosign.document(barge::media::OCI_MANIFEST, &manifest);
    cosign.root(tagged(&signature, &format!("{}.sig", dashed(&index))));
    cosign.layout(&bench.path("cosign"));
    bench.ok("copy cosign dist");
    [sbom, review, of_arm64]
}

#[test]
fn what_belongs_to_an_image_of_buildx_comes_through_parts_byte_for_byte() {
    let bench = Bench::new();
    let [_, _, of_arm64] = of_buildx(&bench);
    let listed = bench.ok("referrers dist:example.com/hello:v1").text();
    assert_eq!(listed.lines().count(), 7, "{listed}");
    let name = "example.com/hello:v1";
    for (number, options) in ["--split 1M", "--split 2M --split-mode archive", ""].into_iter().enumerate() {
        let (archive, target) = (format!("{number}.tar"), format!("loaded-{number}"));
        bench.ok(&format!("save {options} -o {archive} dist:{name}")).says("1 image, 4 referrers");
        let files =
            std::fs::read_dir(bench.root()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let is_part = |name: &String| name.starts_with(&format!("{number}.")) && !name.ends_with(".json");
        let mut parts: Vec<String> = files.filter(is_part).filter(|name| name.contains("tar")).collect();
        parts.sort();
        assert_eq!(parts.len() > 2, !options.is_empty(), "{parts:?}");
        bench.ok(&format!("load -i {} -o {target}", parts[0]));
        assert_eq!(bench.ok(&format!("referrers {target}:{name}")).text(), listed, "{options}");
        assert_eq!(bench.blobs(&target), bench.blobs("dist"), "{options}");
        for root in &bench.roots("dist")[1..] {
            assert!(bench.roots(&target).contains(root), "{options}: {root}");
        }
        for blob in bench.blobs("dist") {
            let read = |place: &str| std::fs::read(bench.blob(place, &blob)).unwrap();
            assert!(read("dist") == read(&target), "{blob}");
        }
        bench.verify(&target);
    }
    // with a platform only what belongs to it
    bench.ok(&format!("save --platform linux/arm64 -o arm64.tar dist:{name}")).says("left behind: 3 referrers");
    bench.ok("load -i arm64.tar -o arm64");
    let json = bench.ok(&format!("--json referrers arm64:{name}")).json();
    let of: Vec<(&str, &str)> = json["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["digest"].as_str().unwrap(), it["platform"].as_str().unwrap()))
        .collect();
    assert_eq!(of.len(), 2, "{of:?}");
    assert!(of.iter().all(|(_, platform)| *platform == "linux/arm64"));
    assert!(of.iter().any(|(digest, _)| *digest == of_arm64));
    assert_eq!(bench.roots("arm64").len(), 2);
}

#[test]
fn other_programs_read_a_layout_with_referrers() {
    let bench = Bench::new();
    of_buildx(&bench);
    let run = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = std::process::Command::new(words[0]);
        command.args(&words[1..]).current_dir(bench.root()).output()
    };
    for (program, line) in [
        ("skopeo", "skopeo copy --all --preserve-digests oci:dist:v1 oci:skopeo:v1"),
        ("skopeo", "skopeo inspect --raw oci:dist:v1"),
        ("umoci", "umoci list --layout dist"),
        ("umoci", "umoci gc --layout umoci"),
    ] {
        if !allowed(run(&format!("{program} --version")).is_ok(), program) {
            continue;
        }
        bench.ok("copy dist umoci");
        let output = run(line).unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        if line.contains("umoci") {
            bench.verify("umoci");
            assert_eq!(bench.roots("umoci").len(), 5);
        }
    }
}

#[test]
fn many_referrers_are_no_trouble() {
    let bench = Bench::new();
    let mut made = two_images();
    let mut subject = bare(&made.roots[0]);
    for number in 0..300 {
        // a chain, each the referrer of the one before
        subject = made.artifact(&format!("number {number}"), Some(&subject));
        made.roots.insert(0, subject.clone());
    }
    made.layout(&bench.path("dist"));
    let started = std::time::Instant::now();
    bench.ok("copy --no-sync dist:app:v1 one").says("brings 300 referrers");
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    let json = bench.ok("copy --json dist:app:v1 one").json();
    assert_eq!(json["results"][0]["referrers"], json!(300));
}

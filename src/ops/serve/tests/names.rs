//! Which names mean which image.

use super::*;

#[test]
fn an_image_is_served_under_its_whole_name_and_without_its_registry() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let (one, two) = (maker.image("amd64", b"one"), maker.image("amd64", b"two"));
    maker.name(&one, "ghcr.io/org/app:v1", "v1");
    maker.name(&two, "docker.io/library/nginx:latest", "latest");
    let served = serve(&[maker.write()]);
    for (name, tag, expected) in [
        ("ghcr.io/org/app", "v1", digest(&one)),
        ("org/app", "v1", digest(&one)),
        ("app", "v1", "NAME_UNKNOWN"),
        ("quay.io/org/app", "v1", "NAME_UNKNOWN"),
        ("org/app", "v2", "MANIFEST_UNKNOWN"),
        ("nginx", "latest", digest(&two)),
        ("library/nginx", "latest", digest(&two)),
        ("docker.io/library/nginx", "latest", digest(&two)),
    ] {
        assert_eq!(served.tag(name, tag), expected, "{name}:{tag}");
    }
    for (target, expected) in [
        ("org/app/manifests/v1?ns=ghcr.io", digest(&one)),
        ("org/app/manifests/v1?ns=", digest(&one)),
        ("org/app/manifests/v1?ns=docker.io", "NAME_UNKNOWN"),
        ("ghcr.io/org/app/manifests/v1?ns=ghcr.io", digest(&one)),
        ("ghcr.io/org/app/manifests/v1?ns=quay.io", "NAME_UNKNOWN"),
        ("docker.io/library/nginx/manifests/latest?ns=registry-1.docker.io", digest(&two)),
        ("library/nginx/manifests/latest?ns=docker.io", digest(&two)),
        ("library/nginx/manifests/latest?ns=registry-1.docker.io", digest(&two)),
        ("nginx/manifests/latest?ns=docker.io", digest(&two)),
        ("library/nginx/manifests/latest?ns=ghcr.io", "NAME_UNKNOWN"),
    ] {
        assert_eq!(served.get(&format!("/v2/{target}")).digest_or_code(), expected, "{target}");
    }
}

#[test]
fn a_short_name_is_never_guessed() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let images: Vec<Value> = (0..4).map(|at| maker.image("amd64", format!("{at}").as_bytes())).collect();
    maker.name(&images[0], "ghcr.io/org/app:v1", "");
    maker.name(&images[1], "quay.io/org/app:v1", "");
    maker.name(&images[2], "quay.io/org/app:v2", "");
    maker.name(&images[3], "ghcr.io/org/app:same", "");
    maker.name(&images[3], "quay.io/org/app:same", "");
    maker.name(&images[0], "ghcr.io/org/hub:v1", "");
    maker.name(&images[1], "docker.io/org/hub:v1", "");
    maker.name(&images[2], "ghcr.io/org/hub:v2", "");
    let served = serve(&[maker.write()]);
    let got = served.get("/v2/org/app/manifests/v1");
    assert_eq!((got.status.as_u16(), got.code().as_str()), (404, "MANIFEST_UNKNOWN"));
    let message = got.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("ghcr.io/org/app or quay.io/org/app"), "{message}");
    for (name, tag, expected) in [
        ("ghcr.io/org/app", "v1", &images[0]),
        ("quay.io/org/app", "v1", &images[1]),
        ("org/app", "v2", &images[2]),
        ("org/app", "same", &images[3]),
        // what has no registry means Docker Hub's
        ("org/hub", "v1", &images[1]),
        ("org/hub", "v2", &images[2]),
    ] {
        assert_eq!(served.tag(name, tag), digest(expected), "{name}:{tag}");
    }
    // by digest there is nothing to guess
    for image in &images {
        assert_eq!(served.tag("org/app", digest(image)), digest(image));
    }
    assert_eq!(served.get("/v2/org/app/tags/list").json()["tags"], json!(["same", "v1", "v2"]));
}

#[test]
fn what_has_no_name_is_called_like_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut tagged = Maker::new(dir.path().join("tagged"));
    let image = tagged.image("amd64", b"x");
    tagged.name(&image, "", "v1");
    let mut unnamed = Maker::new(dir.path().join("unnamed"));
    unnamed.name(&image, "", "");
    let mut several = Maker::new(dir.path().join("several"));
    let (one, two) = (several.image("amd64", b"one"), several.image("amd64", b"two"));
    several.name(&one, "", "");
    several.name(&two, "", "");
    unnamed.archive(&dir.path().join("Some Bundle.tar"));
    let paths = [tagged.write(), unnamed.write(), several.write(), &dir.path().join("Some Bundle.tar")];
    let served = serve(&paths);
    for (name, tag, expected) in [
        ("tagged", "v1", digest(&image)),
        ("tagged", "latest", "MANIFEST_UNKNOWN"),
        ("unnamed", "latest", digest(&image)),
        ("some-bundle", "latest", digest(&image)),
        ("several", "latest", "MANIFEST_UNKNOWN"),
        ("several", digest(&two), digest(&two)),
    ] {
        assert_eq!(served.tag(name, tag), expected, "{name}:{tag}");
    }
}

#[test]
fn names_that_mean_several_images_are_warned_of_once_and_not_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (Maker::new(dir.path().join("one")), Maker::new(dir.path().join("two")));
    let images = [one.image("amd64", b"one"), two.image("amd64", b"two")];
    for at in 0..1000 {
        for (maker, image) in [&mut one, &mut two].into_iter().zip(&images) {
            maker.name(image, &format!("ghcr.io/org/app:v{at}"), "");
        }
    }
    let served = serve(&[one.write(), two.write()]);
    assert_eq!(served.api.offered().repositories[0].tags.len(), 1000);
    let told = served.told();
    assert_eq!(told.lines().count(), 21, "{told}");
    assert!(told.ends_with("\n980 more names mean several images, and are treated alike"), "{told}");

    two.roots.drain(5..);
    two.name(&images[1], "ghcr.io/org/app:new", "");
    two.write();
    one.name(&images[0], "ghcr.io/org/app:new", "");
    one.write();
    assert_eq!(served.tag("org/app", "new"), digest(&images[0]));
    let told = served.told();
    let new: Vec<&str> = told.lines().skip(21).filter(|line| line.contains("is another image")).collect();
    assert_eq!(new.len(), 1, "{told}");
    assert!(new[0].contains("org/app:new"), "{told}");
}

#[test]
fn only_what_belongs_to_a_repository_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let (one, two) = (maker.image("amd64", b"one"), maker.image("amd64", b"two"));
    let loose = maker.blob("text/plain", b"nobody refers to this");
    maker.name(&one, "ghcr.io/a:v1", "");
    maker.name(&two, "ghcr.io/b:v1", "");
    let served = serve(&[maker.write()]);
    assert_eq!(served.tag("a", digest(&one)), digest(&one));
    assert_eq!(served.tag("a", digest(&two)), "MANIFEST_UNKNOWN");
    for name in ["a", "b"] {
        assert_eq!(served.get(&format!("/v2/{name}/blobs/{}", digest(&loose))).code(), "BLOB_UNKNOWN");
    }
}

#[test]
fn what_is_no_place_with_images_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let image = maker.image("amd64", b"one");
    maker.name(&image, "", "v1");
    maker.write();
    let path = |name: &str| dir.path().join(name);
    let one = format!("{}:v1", maker.path.display());
    for (word, message) in [
        (one.as_str(), "cannot serve \""),
        ("docker://localhost:1/app:v1", "cannot"),
        (path("nothing").to_str().unwrap(), "cannot find"),
    ] {
        let error = try_serve(&[Path::new(word)], &options()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(message), "{word}: {error}");
    }
}

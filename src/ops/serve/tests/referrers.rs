//! What belongs to an image. The names of the cases are those of distribution-spec v1.1.1, conformance, "Listing Referrers".

use super::*;
use crate::content::CONTAINERD_SUBJECT;

/// An image with two referrers, one of which has one again, each listed by another convention.
struct Family {
    _dir: tempfile::TempDir,
    path: PathBuf,
    image: Value,
    sbom: Value,
    signature: Value,
    of_sbom: Value,
}

fn family() -> Family {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let image = maker.image("amd64", b"x");
    maker.name(&image, "ghcr.io/org/app:v1", "v1");
    let sbom = maker.referrer(&image, "application/vnd.sbom");
    let signature = maker.referrer(&image, "application/vnd.signature");
    let of_sbom = maker.referrer(&sbom, "application/vnd.signature");
    maker.name(&sbom, "", "");
    let mut annotated = signature.clone();
    annotated["annotations"][CONTAINERD_SUBJECT] = image["digest"].clone();
    maker.roots.push(annotated);
    // the fallback tag is an index of referrers
    let fallback = maker.index(std::slice::from_ref(&of_sbom));
    maker.name(&fallback, "", &digest(&sbom).replace(':', "-"));
    let cosign = maker.image("amd64", b"payload");
    maker.name(&cosign, "", &format!("{}.sig", digest(&image).replace(':', "-")));
    maker.write();
    Family { _dir: dir, path: maker.path.clone(), image, sbom, signature, of_sbom }
}

fn listed(served: &Served, subject: &str, query: &str) -> Vec<String> {
    let got = served.get(&format!("/v2/org/app/referrers/{subject}{query}"));
    assert_eq!((got.status.as_u16(), got.header("content-type").as_str()), (200, OCI_INDEX));
    let index = got.json();
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    let mut list: Vec<String> =
        index["manifests"].as_array().unwrap().iter().map(|entry| digest(entry).to_owned()).collect();
    list.sort();
    list
}

fn sorted(list: &[&Value]) -> Vec<String> {
    let mut list: Vec<String> = list.iter().map(|one| digest(one).to_owned()).collect();
    list.sort();
    list
}

#[test]
fn list_referrers() {
    let family = family();
    let served = serve(&[&family.path]);
    let case = "GET request to nonexistent blob should result in empty 200 response";
    assert!(listed(&served, &Digest::of(b"nothing").to_string(), "").is_empty(), "{case}");
    let case = "GET request to existing blob should yield 200";
    let image = digest(&family.image);
    assert_eq!(listed(&served, image, ""), sorted(&[&family.sbom, &family.signature]), "{case}");
    let case = "GET request to existing blob with filter should yield 200";
    let query = "?artifactType=application%2Fvnd.sbom";
    assert_eq!(listed(&served, image, query), sorted(&[&family.sbom]), "{case}");
    let target = format!("/v2/org/app/referrers/{image}");
    assert_eq!(served.get(&format!("{target}{query}")).header("oci-filters-applied"), "artifactType", "{case}");
    assert_eq!(served.get(&target).header("oci-filters-applied"), "");
    let entry = served.get(&format!("{target}{query}")).json()["manifests"][0].clone();
    let expected = json!({"mediaType": OCI_MANIFEST, "digest": family.sbom["digest"], "size": family.sbom["size"],
        "artifactType": "application/vnd.sbom", "annotations": {"kind": "application/vnd.sbom"}});
    assert_eq!(entry, expected, "with its type and its annotations");
    assert!(listed(&served, image, "?artifactType=other").is_empty());
    assert_eq!(listed(&served, digest(&family.sbom), ""), sorted(&[&family.of_sbom]), "of a referrer");
    let got = served.get("/v2/org/app/referrers/v1");
    assert_eq!((got.status.as_u16(), got.code().as_str()), (400, "DIGEST_INVALID"));
    assert_eq!(served.get(&format!("/v2/other/referrers/{image}")).code(), "NAME_UNKNOWN");
}

#[test]
fn what_belongs_to_an_image_can_be_pulled_where_the_image_is() {
    let family = family();
    let served = serve(&[&family.path]);
    for one in [&family.sbom, &family.signature, &family.of_sbom] {
        assert_eq!(served.tag("org/app", digest(one)), digest(one));
        let layer = Digest::of(b"application/vnd.sbom");
        assert_eq!(served.get(&format!("/v2/org/app/blobs/{layer}")).status, 200);
    }
    let fallback = digest(&family.sbom).replace(':', "-");
    let cosign = format!("{}.sig", digest(&family.image).replace(':', "-"));
    for tag in [&fallback, &cosign] {
        assert_eq!(served.get(&format!("/v2/org/app/manifests/{tag}")).status, 200, "{tag}");
    }
    let mut tags = vec![json!(cosign), json!(fallback), json!("v1")];
    tags.sort_by_key(ToString::to_string);
    assert_eq!(served.get("/v2/org/app/tags/list").json()["tags"], json!(tags));
    // and it is no repository by itself
    assert_eq!(served.get("/v2/_catalog").json()["repositories"], json!(["ghcr.io/org/app"]));
}

#[test]
fn referrers_in_another_place_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = Maker::new(dir.path().join("one"));
    let image = one.image("amd64", b"x");
    one.name(&image, "ghcr.io/org/app:v1", "");
    let mut two = Maker::new(dir.path().join("two"));
    let sbom = two.referrer(&image, "application/vnd.sbom");
    two.name(&sbom, "", "");
    let served = serve(&[one.write(), two.write()]);
    assert_eq!(listed(&served, digest(&image), ""), sorted(&[&sbom]));
}

//! A registry whose certificate signed itself: who names it is served, by barge as by skopeo, and nobody else is.

use std::fs;

use crate::distribution::authority::Authority;
use crate::distribution::{Distribution, Mode};
use crate::work::work;

const NEEDS: [&str; 4] = ["docker-registry", "htpasswd", "openssl", "skopeo"];
const NAMES: &str = "IP:127.0.0.1,DNS:localhost";

#[test]
fn barge_and_skopeo_take_the_same_certificates() {
    let Some(work) = work(&NEEDS) else { return };
    let (own, other) = (Authority::self_signed(NAMES), Authority::self_signed(NAMES));
    let registry = Distribution::start(Mode::Tls(&own));
    let source = "fixtures/umoci-amd64";
    let to = |name: &str| format!("{}/{name}:v1", registry.host());
    for (at, (authority, trusted)) in [(&own, true), (&other, false)].into_iter().enumerate() {
        let (file, directory) = (authority.certificate(), authority.certs_directory());
        for line in [
            format!("barge push --retry 0 --ca-file {} {source} {}", file.display(), to(&format!("barge{at}"))),
            format!(
                "skopeo copy --dest-cert-dir {} oci:{source} docker://{}",
                directory.display(),
                to(&format!("skopeo{at}"))
            ),
        ] {
            if trusted {
                work.run(&line);
            } else {
                let said = work.fails(&line);
                assert!(said.contains("certificate"), "{line}: {said}");
            }
        }
        for (name, by) in [(format!("barge{at}"), "barge"), (format!("skopeo{at}"), "skopeo")] {
            assert_eq!(registry.manifest(&name, "v1").is_some(), trusted, "{by}");
        }
    }
    work.fails(&format!("barge push --retry 0 {source} {}", to("unnamed")));
    work.fails(&format!("skopeo copy oci:{source} docker://{}", to("unnamed")));

    // the system's own authorities, for which the variable stands here
    let trusting = |authority: &Authority, line: String| {
        let mut command = work.command(&line);
        command.env("SSL_CERT_FILE", authority.certificate());
        command.output().unwrap().status.success()
    };
    for (authority, trusted) in [(&own, true), (&other, false)] {
        let line = format!("barge push --retry 0 {source} {}", to(&format!("barge-system-{trusted}")));
        assert_eq!(trusting(authority, line), trusted);
        let line = format!("skopeo copy oci:{source} docker://{}", to(&format!("skopeo-system-{trusted}")));
        assert_eq!(trusting(authority, line), trusted);
    }

    // the directory that both read
    let directory = work.path("home/.config/containers/certs.d").join(registry.host());
    fs::create_dir_all(&directory).unwrap();
    fs::copy(own.certificate(), directory.join("ca.crt")).unwrap();
    work.run(&format!("barge push --retry 0 {source} {}", to("barge-directory")));
    work.run(&format!("skopeo copy oci:{source} docker://{}", to("skopeo-directory")));
}

#[test]
fn neither_takes_a_certificate_for_another_name() {
    let Some(work) = work(&NEEDS) else { return };
    let authority = Authority::self_signed("IP:127.0.0.1");
    let registry = Distribution::start(Mode::Tls(&authority));
    let (file, directory) = (authority.certificate(), authority.certs_directory());
    let (file, directory, source) = (file.display(), directory.display(), "fixtures/umoci-amd64");
    for (host, taken) in [("127.0.0.1", true), ("localhost", false)] {
        let place = format!("{host}:{}/{host}", registry.port());
        for line in [
            format!("barge push --retry 0 --ca-file {file} {source} {place}-barge:v1"),
            format!("skopeo copy --dest-cert-dir {directory} oci:{source} docker://{place}-skopeo:v1"),
        ] {
            assert_eq!(work.output(&line).status.success(), taken, "{line}");
        }
    }
}

//! Certificates and passwords: what each client says when one is missing or wrong.

use std::io::Write as _;
use std::process::Stdio;

use super::{app, serve};
use crate::authority::Authority;
use crate::harness::Serving;
use crate::images::{config_of, host, sha256};
use crate::work::{Work, work};

/// Serves the layout `lib` over TLS to one user, and puts the certificate that clients must trust where they look for it.
pub(crate) fn serve_to_a_user(work: &Work, authority: &Authority) -> Serving {
    let mut command = work.command("htpasswd -iBc users node");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    assert!(child.wait().unwrap().success());
    std::fs::create_dir(work.path("certs")).unwrap();
    std::fs::copy(authority.certificate(), work.path("certs/ca.crt")).unwrap();
    let pair = authority.server();
    let tls = format!("--tls-cert {} --tls-key {}", pair.certificate.display(), pair.key.display());
    let serving = serve(work, &format!("{tls} --htpasswd users lib"));
    assert!(serving.url().starts_with("https://"), "{}", serving.url());
    serving
}

#[test]
fn only_who_has_the_authority_and_the_password_is_served() {
    let Some(work) = work(&["htpasswd", "openssl", "podman", "root", "skopeo"]) else { return };
    let digest = app(&work);
    let authority = Authority::new();
    let serving = serve_to_a_user(&work, &authority);
    let name = format!("{}/org/app:v1", serving.authority());

    let trusted = "--cert-dir certs";
    let raw = work.bytes(&format!("skopeo inspect --raw {trusted} --creds node:secret docker://{name}"));
    assert_eq!(sha256(&raw), digest);
    let id = work.run(&format!("podman pull -q {trusted} --creds node:secret {name}"));
    assert_eq!(format!("sha256:{id}"), config_of(host()));
    work.run(&format!("barge verify --ca-file certs/ca.crt --creds node:secret docker://{name}"));
    assert!(serving.said().contains("127.0.0.1 node ["), "{}", serving.said());

    let (unknown, nobody, wrong) =
        ("x509: certificate signed by unknown authority", "say who you are", "name or password is wrong");
    for (line, part) in [
        (format!("skopeo inspect --creds node:secret docker://{name}"), unknown),
        (format!("skopeo inspect {trusted} docker://{name}"), nobody),
        (format!("skopeo inspect {trusted} --creds node:wrong docker://{name}"), wrong),
        (format!("podman pull --creds node:secret {name}"), unknown),
        (format!("podman pull {trusted} {name}"), nobody),
        (format!("podman pull {trusted} --creds node:wrong {name}"), wrong),
        (format!("podman login {trusted} -u node -p wrong {}", serving.authority()), "invalid username/password"),
        (
            format!("barge verify --creds node:secret docker://{name}"),
            "signed by an authority this machine does not know",
        ),
        (format!("barge verify --ca-file certs/ca.crt docker://{name}"), nobody),
        (format!("barge verify --ca-file certs/ca.crt --creds node:wrong docker://{name}"), wrong),
    ] {
        let said = work.fails(&line);
        assert!(said.contains(part), "{line}: {said}");
    }

    // as nodes have it
    work.run(&format!("podman login {trusted} -u node -p secret {}", serving.authority()));
    work.run("podman rmi --all --force");
    work.run(&format!("podman pull -q {trusted} {name}"));
    let ended = serving.stop();
    assert!(!ended.said.contains("secret") && !ended.said.contains("wrong "), "{}", ended.said);
}

#[test]
fn a_copy_to_it_is_refused_in_words() {
    let Some(work) = work(&["podman", "root", "skopeo"]) else { return };
    app(&work);
    let serving = serve(&work, "lib");
    let name = format!("{}/org/new:v1", serving.authority());
    let said = work.fails(&format!("skopeo copy --dest-tls-verify=false oci:lib:v1 docker://{name}"));
    assert!(said.contains("unsupported: this registry is read-only"), "{said}");
    work.run("podman pull -q oci:lib:v1");
    let id = config_of(host()).replace("sha256:", "");
    let said = work.fails(&format!("podman push --tls-verify=false {id} {name}"));
    assert!(said.contains("unsupported: this registry is read-only"), "{said}");
    let said = work.fails(&format!("skopeo delete --tls-verify=false docker://{}/org/app:v1", serving.authority()));
    assert!(said.contains("read-only"), "{said}");
}

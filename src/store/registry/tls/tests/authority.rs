//! An authority for one test: certificates and keys, made by OpenSSL.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory with the authority `ca` (`ca.crt`, `ca.key`) and what it signed.
pub(crate) struct Authority {
    directory: tempfile::TempDir,
}

/// When a certificate is valid, as OpenSSL takes it.
pub(crate) const NOW: [&str; 2] = ["20200101000000Z", "20990101000000Z"];
pub(crate) const PAST: [&str; 2] = ["20200101000000Z", "20210101000000Z"];
pub(crate) const FUTURE: [&str; 2] = ["20900101000000Z", "20990101000000Z"];

/// A server on this machine, a client, and an authority that is its own server.
pub(crate) const LOCALHOST: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";
pub(crate) const CLIENT: &str = "extendedKeyUsage=clientAuth";

const CONFIGURATION: &str = "
[req]
distinguished_name = name
[name]
[ca]
default_ca = authority
[authority]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
";

impl Authority {
    /// Makes an authority. `None` when there is no OpenSSL: then the test fails in CI, and elsewhere says that it is skipped.
    pub(crate) fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI must have openssl");
            std::io::stderr().write_all(b"skipped: no openssl\n").unwrap();
            return None;
        }
        let authority = Self { directory: tempfile::tempdir().unwrap() };
        for (name, text) in [("ca.cnf", CONFIGURATION), ("index.txt", ""), ("serial", "01\n")] {
            authority.write(name, text.as_bytes());
        }
        authority.self_signed("ca", "basicConstraints=critical,CA:TRUE");
        Some(authority)
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs OpenSSL with a line of words and returns what it printed.
    pub(crate) fn openssl(&self, line: &str) -> Vec<u8> {
        let output = Command::new("openssl").args(line.split_whitespace()).current_dir(self.root()).output().unwrap();
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Makes `NAME.crt` and `NAME.key`, signed by itself.
    pub(crate) fn self_signed(&self, name: &str, extension: &str) {
        self.openssl(&format!(
            "req -x509 -config ca.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -days 30 \
             -keyout {name}.key -out {name}.crt -addext {extension}"
        ));
    }

    /// As [`Self::self_signed`], with lines of extensions and a time.
    pub(crate) fn self_signed_for(&self, name: &str, extensions: &str, [start, end]: [&str; 2]) {
        self.write("extensions", extensions.as_bytes());
        self.openssl(&format!(
            "req -new -config ca.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
             -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "ca -batch -notext -config ca.cnf -selfsign -keyfile {name}.key -extfile extensions -startdate {start} \
             -enddate {end} -in {name}.csr -out {name}.crt"
        ));
    }

    /// Makes `NAME.crt` and `NAME.key`, signed by the authority, with a line of extensions.
    pub(crate) fn sign(&self, name: &str, extension: &str, [start, end]: [&str; 2]) {
        self.write("extensions", extension.as_bytes());
        self.openssl(&format!(
            "req -new -config ca.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} \
             -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "ca -batch -notext -config ca.cnf -cert ca.crt -keyfile ca.key -extfile extensions -startdate {start} \
             -enddate {end} -in {name}.csr -out {name}.crt"
        ));
    }
}

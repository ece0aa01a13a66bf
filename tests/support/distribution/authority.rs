//! A private certificate authority, by the `openssl` program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Two days, so that nobody's time zone matters.
const DAYS: &str = "2";

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Signs a server's certificate and those of clients.
#[derive(Debug)]
pub struct Authority {
    directory: tempfile::TempDir,
}

impl Authority {
    #[allow(clippy::new_without_default)] // it takes time and writes files
    pub fn new() -> Self {
        let authority = Self { directory: tempfile::tempdir().unwrap() };
        // the configuration of the machine would add its own extensions
        fs::write(authority.path("openssl.cnf"), "[req]\ndistinguished_name=name\nprompt=no\n[name]\nCN=unused\n")
            .unwrap();
        let extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
        authority.make("ca", "/CN=authority of a test", &extensions, false);
        let extensions = ["subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test", "extendedKeyUsage=serverAuth"];
        authority.make("server", "/CN=registry of a test", &extensions, true);
        fs::create_dir(authority.path("certs")).unwrap();
        symlink(authority.certificate(), authority.path("certs/ca.crt")).unwrap();
        authority
    }

    /// A server's certificate that signed itself, by the line that everybody copies: what clients must trust is the very
    /// one that the server shows.
    pub fn self_signed(names: &str) -> Self {
        let authority = Self { directory: tempfile::tempdir().unwrap() };
        let mut command = openssl(authority.directory.path());
        command.args(
            "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.crt".split(' '),
        );
        command.args(["-days", DAYS, "-addext", &format!("subjectAltName={names}")]);
        run(&mut command);
        symlink("server.crt", authority.path("ca.crt")).unwrap();
        fs::create_dir(authority.path("certs")).unwrap();
        symlink(authority.certificate(), authority.path("certs/ca.crt")).unwrap();
        authority
    }

    /// The certificate that clients must trust.
    pub fn certificate(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// What the registry shows: for 127.0.0.1, localhost, and registry.test, which only a proxy of a test finds.
    pub fn server(&self) -> Pair {
        self.pair("server")
    }

    /// A certificate for a client, made when first asked for.
    pub fn client(&self, name: &str) -> Pair {
        let file = format!("client-{name}");
        if !self.pair(&file).certificate.exists() {
            self.make(&file, &format!("/CN={name}"), &["extendedKeyUsage=clientAuth"], true);
        }
        self.pair(&file)
    }

    /// A directory as `--cert-dir` of skopeo and podman wants it: `ca.crt`.
    pub fn certs_directory(&self) -> PathBuf {
        self.path("certs")
    }

    /// The same with a client's `client.cert` and `client.key`.
    pub fn certs_directory_of(&self, client: &str) -> PathBuf {
        let Pair { certificate, key } = self.client(client);
        let directory = self.path(&format!("certs-{client}"));
        if !directory.exists() {
            fs::create_dir(&directory).unwrap();
            for (from, to) in [(self.certificate(), "ca.crt"), (certificate, "client.cert"), (key, "client.key")] {
                symlink(from, directory.join(to)).unwrap();
            }
        }
        directory
    }

    fn pair(&self, name: &str) -> Pair {
        Pair { certificate: self.path(&format!("{name}.crt")), key: self.path(&format!("{name}.key")) }
    }

    fn make(&self, name: &str, subject: &str, extensions: &[&str], signed: bool) {
        let mut command = openssl(self.directory.path());
        command.args("req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(' '));
        command.args(["-days", DAYS, "-subj", subject]);
        command.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]);
        if signed {
            command.args(["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]);
        }
        for extension in extensions {
            command.args(["-addext", extension]);
        }
        run(&mut command);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

pub(super) fn openssl(directory: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(directory).stdin(Stdio::null());
    command
}

/// Runs a command that must succeed.
pub(super) fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {}\n{said}", command.get_program(), output.status);
    output.stdout
}

//! What the names on the pages mean: files, a layout, and two registries.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::distribution::{Distribution, Mode};
use crate::work::{Work, work};

/// The hosts on the pages.
const HOSTS: [&str; 2] = ["quay.io", "registry.example"];

/// What is there before the first command of a page. The layout `dist` is the current one.
const PREPARED: &str = "
set -e
# from the build machines
barge save -q -o amd64.tar fixtures/umoci-amd64
cp fixtures/skopeo-arm64.tar arm64.tar
cp fixtures/docker-armv7.tar armv7.tar
cp fixtures/buildah-riscv64.tar riscv64.tar
for arch in amd64 arm64 armv7; do barge copy $arch.tar oci:dist:quay.io/org/app:v1-$arch; done
# something to build
mkdir -p out/amd64 out/arm64 cluster/amd64 cluster/arm64 cluster/manifests
for arch in amd64 arm64; do echo app for $arch >out/$arch/app; echo helm for $arch >cluster/$arch/helm; done
echo 'kind: List' >cluster/manifests/all.yaml
printf 'FROM scratch\\nARG TARGETARCH\\nCOPY out/${TARGETARCH}/app /app\\nENTRYPOINT [\"/app\"]\\n' >Containerfile
printf 'FROM scratch\\nCOPY ${ARCH}/helm bin\\nCOPY manifests manifests\\nCMD [\"kubectl apply -f manifests\"]\\n' >cluster/Kubefile
# an image on top of another, and a newer one of that
both=linux/amd64,linux/arm64
barge build -t quay.io/org/base:1 --platform $both --from scratch --add 'out/{arch}:/bin'
barge build -t quay.io/org/base:2 --platform $both --from scratch --add 'out/{arch}:/usr/bin'
barge build -t quay.io/org/tool:v1 --platform $both --from :quay.io/org/base:1 --add 'out/{arch}/app:/opt/tool'
# what is in the registry
barge push dist
barge merge -o before -t quay.io/org/app:v1 amd64.tar arm64.tar
barge push before
barge push riscv64.tar quay.io/org/old:v1 quay.io/org/old:v2
rm -r before
echo quay.io/org/app:v1 >images.txt
# other lists
echo quay.io/org/missing:v1 >missing.txt
mkdir manifests
printf 'apiVersion: v1\\nkind: Pod\\nspec:\\n  containers:\\n  - image: quay.io/org/app:v1\\n' >manifests/web.yaml
printf 'images:\\n- name: quay.io/org/app:v1\\n' >barge.yaml
";

/// A directory and two registries, for one page.
pub(crate) struct Setting {
    work: Work,
    /// None for a page that names no registry.
    registries: Vec<Distribution>,
    /// What every command finds in its environment.
    variables: &'static [(&'static str, &'static str)],
}

/// For pages that say so, or leave it to the reader: a current layout, and a password for private keys.
const GIVEN: &[(&str, &str)] = &[("BARGE_LAYOUT", "dist"), ("BARGE_PASSWORD", "of the tests")];

impl Setting {
    /// Makes everything; none when this machine lacks one of the programs, or the registry.
    pub(crate) fn prepare(programs: &[String]) -> Option<Self> {
        let needs: Vec<&str> = programs.iter().map(String::as_str).chain(["docker-registry"]).collect();
        let work = work(&needs)?;
        let registries = vec![Distribution::start(Mode::Plain), Distribution::start(Mode::Plain)];
        let setting = Self { work, registries, variables: GIVEN };
        let (code, said) = setting.run(PREPARED);
        assert_eq!(code, Some(0), "{said}");
        Some(setting)
    }

    /// Makes an empty place with one file, for pages about files alone; none when this machine lacks one of the programs.
    pub(crate) fn bare(programs: &[String], file: &str) -> Option<Self> {
        let needs: Vec<&str> = programs.iter().map(String::as_str).collect();
        let work = work(&needs)?;
        work.write(file, "content\n");
        Some(Self { work, registries: Vec::new(), variables: GIVEN })
    }

    /// Makes a place with nothing in it, for a page that needs no registry.
    pub(crate) fn empty() -> Option<Self> {
        Some(Self { work: work(&[])?, registries: Vec::new(), variables: GIVEN })
    }

    /// Makes what a reader has who begins with the page: the fixtures, two registries, nothing in the environment.
    pub(crate) fn fresh(programs: &[&str]) -> Option<Self> {
        let needs: Vec<&str> = programs.iter().copied().chain(["docker-registry"]).collect();
        let work = work(&needs)?;
        let registries = vec![Distribution::start(Mode::Plain), Distribution::start(Mode::Plain)];
        Some(Self { work, registries, variables: &[] })
    }

    /// Returns what was printed, with the words of the page for registries and for the directory.
    pub(crate) fn in_words(&self, printed: &str) -> String {
        let printed = printed.replace(&format!("{}/", self.work.root().display()), "");
        let registries = HOSTS.into_iter().zip(&self.registries);
        registries.fold(printed, |printed, (host, registry)| printed.replace(&registry.host(), host))
    }

    /// Returns the path of something in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work.path(name)
    }

    /// Runs a command line of a page, and returns its exit code and what it printed.
    pub(crate) fn run(&self, line: &str) -> (Option<i32>, String) {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", "60"]);
        let output = self.line(command, line).output().unwrap();
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(!err.contains("panicked"), "{line}\n{err}");
        (output.status.code(), format!("{out}{err}"))
    }

    /// Makes the command of a line that whoever starts it ends: it is that process alone.
    pub(crate) fn server(&self, line: &str) -> Command {
        self.line(Command::new("env"), &format!("exec {line}"))
    }

    /// Adds a line to what starts it.
    fn line(&self, mut command: Command, line: &str) -> Command {
        let registries = HOSTS.into_iter().zip(&self.registries);
        let line = registries.fold(line.to_owned(), |line, (host, registry)| line.replace(host, &registry.host()));
        command.args(["sh", "-c", &line]);
        self.work.isolate(&mut command);
        let programs = Path::new(env!("CARGO_BIN_EXE_barge")).parent().unwrap();
        let path = env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", programs.display()));
        command.envs(self.variables.iter().copied());
        if line.contains("--no-password") {
            command.env_remove("BARGE_PASSWORD");
        }
        command
    }
}

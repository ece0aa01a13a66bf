//! The other side: programs that pack what they are given.

use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

/// `peer.go`, running. It ends with its input.
pub(crate) struct Peer {
    child: Child,
    to: Option<BufWriter<ChildStdin>>,
    from: BufReader<ChildStdout>,
}

/// What Go is to make.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Deflate = 0,
    Gzip = 1,
    /// With all that a header may hold.
    FullGzip = 2,
}

/// The programs, built once for each run of the tests.
static GO: LazyLock<PathBuf> = LazyLock::new(|| build("peer"));
static KLAUSPOST: LazyLock<PathBuf> = LazyLock::new(|| build("klauspost"));

fn build(name: &str) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regzip");
    let sources = ["requests", name].map(|name| sources.join(format!("{name}.go")));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("regzip");
    std::fs::create_dir_all(&directory).unwrap();
    // a name of its own: tests may run in several processes
    let program = directory.join(format!("{name}-{}", std::process::id()));
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&program).args(&sources);
    go.env("GOCACHE", directory.join("cache")).env("GOTOOLCHAIN", "local");
    // where Debian's packages of Go's libraries are
    go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
    let status = go.status().unwrap_or_else(|error| panic!("go (package golang-go) does not run: {error}"));
    assert!(status.success(), "{name}.go does not build");
    program
}

impl Peer {
    pub(crate) fn start() -> Self {
        Self::of(&GO)
    }

    /// Starts `klauspost.go`, or a program that speaks as it does: with another version of klauspost's, or with Go 1.27's own.
    pub(crate) fn klauspost() -> Self {
        match std::env::var_os("REGZIP_KLAUSPOST") {
            Some(program) => Self::of(Path::new(&program)),
            None => Self::of(&KLAUSPOST),
        }
    }

    /// Starts `zlib.py`.
    pub(crate) fn zlib() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regzip/zlib.py");
        Self::run(Command::new("python3").arg(script))
    }

    fn of(program: &Path) -> Self {
        Self::run(&mut Command::new(program))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let to = Some(BufWriter::new(child.stdin.take().unwrap()));
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { child, to, from }
    }

    /// Returns what Go makes of `data` when it is written in pieces of these lengths.
    pub(crate) fn pack(&mut self, kind: Kind, level: i8, data: &[u8], writes: &[usize]) -> Vec<u8> {
        self.ask(kind as u32, level, data, writes)
    }

    /// Returns what pgzip makes of `data` with blocks of this size: gzip.
    pub(crate) fn pgzip(&mut self, block: u32, level: i8, data: &[u8]) -> Vec<u8> {
        self.ask(block, level, data, &[data.len()])
    }

    fn ask(&mut self, kind: u32, level: i8, data: &[u8], writes: &[usize]) -> Vec<u8> {
        assert_eq!(writes.iter().sum::<usize>(), data.len());
        let to = self.to.as_mut().unwrap();
        to.write_all(&i32::from(level).to_le_bytes()).unwrap();
        to.write_all(&kind.to_le_bytes()).unwrap();
        for number in std::iter::once(&writes.len()).chain(writes) {
            to.write_all(&u32::try_from(*number).unwrap().to_le_bytes()).unwrap();
        }
        to.write_all(data).unwrap();
        to.flush().unwrap();
        let mut length = [0; 4];
        self.from.read_exact(&mut length).unwrap();
        let mut packed = vec![0; u32::from_le_bytes(length) as usize];
        self.from.read_exact(&mut packed).unwrap();
        packed
    }

    /// The same, written at once.
    pub(crate) fn deflate(&mut self, level: i8, data: &[u8]) -> Vec<u8> {
        self.pack(Kind::Deflate, level, data, &[data.len()])
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.to.take());
        self.child.wait().unwrap();
    }
}

//! Completion as it is typed: real shells on a terminal, a key pressed, and what the program was given in the end.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::support::image::{FULL_NAME, Images, Layer, REF_NAME, annotated, simple};
use super::*;

/// A shell.
struct Shell {
    program: &'static str,
    /// What makes it say that it waits, and complete.
    setup: &'static str,
    /// How it is started, as words for `script`.
    start: &'static str,
    /// What takes a word that is written otherwise than it was begun, where the shell only shows it.
    take: &'static str,
}

const BASH: Shell = Shell {
    program: "bash",
    setup: "PS1='REA''DY> '; bind 'set enable-bracketed-paste off'; source <(barge completions bash)",
    start: "bash --norc --noprofile -i",
    take: "",
};
const ZSH: Shell = Shell {
    program: "zsh",
    setup: "PS1='REA''DY> '; autoload -U compinit; compinit -u -D; source <(barge completions zsh)",
    start: "zsh -f -i",
    take: "",
};
const FISH: Shell = Shell {
    program: "fish",
    setup: "function fish_prompt; echo -n 'REA''DY> '; end; barge completions fish | source",
    start: "fish --no-config -i",
    take: "",
};
const ELVISH: Shell = Shell {
    program: "elvish",
    setup: "set edit:prompt = { print REA'DY> ' }; eval (barge completions elvish | slurp)",
    start: "elvish -norc",
    take: "\n",
};

/// Names as an image from outside may have them: each is to arrive as one word, and none of it is to be run.
const HOSTILE: [(&str, &str); 6] = [
    ("r", "r$(touch ran)"),
    ("s", "s pa  ce"),
    ("t", "t`touch ran`;touch ran"),
    ("u", "u'\"\\!{a,b}*~"),
    ("v", "v\ntouch ran\n"),
    ("w", "w&|<>#$HOME"),
];

fn place(barge: &Barge) {
    let mut images = Images::new();
    for (at, (_, name)) in HOSTILE.iter().chain(&[("", "app:v1"), ("", "ghcr.io/org/web:v2")]).enumerate() {
        let image = images.image("linux/amd64", &[Layer::plain(&[at as u8])]);
        images.root(annotated(annotated(image, FULL_NAME, name), REF_NAME, "x"));
    }
    images.layout(&barge.path("dist"));
    images.archive(&barge.path("bundle.tar"));
}

/// Returns the home directory, beside the one in which everything runs.
fn home(barge: &Barge) -> PathBuf {
    barge.path("").parent().unwrap().join("home")
}

impl Shell {
    fn is_there(&self) -> bool {
        let found = |program: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
        };
        available(self.program, found(self.program) && found("script"))
    }

    /// Types lines, with a tab where the key is pressed, and returns the words that the program was given for each.
    #[track_caller]
    fn typed(&self, barge: &Barge, lines: &[&str]) -> Vec<Vec<String>> {
        // what is run by such a line only writes its words down
        let bin = barge.path("bin");
        fs::create_dir_all(&bin).unwrap();
        let real = env!("CARGO_BIN_EXE_barge");
        let program = format!(
            "#!/bin/sh\ncase $1 in __complete|completions) exec '{real}' \"$@\";; esac\n\
             {{ printf '%s\\0' \"$@\"; printf '\\1\\0'; }} >>'{}'\n",
            barge.path("words").display()
        );
        fs::write(bin.join("barge"), program).unwrap();
        fs::set_permissions(bin.join("barge"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut command = barge.around("script");
        command.args(["-qfc", self.start, "/dev/null"]).env("PATH", path).env("TERM", "xterm").stdin(Stdio::piped());
        command.env("SHELL", "/bin/sh").env("XDG_CONFIG_HOME", barge.path("config")).env("LC_ALL", "C.UTF-8");
        // elvish's daemon, which ends with it, has its socket there
        command.env("XDG_RUNTIME_DIR", home(barge));
        let seen = barge.path("seen");
        command.stdout(fs::File::create(&seen).unwrap()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut keys = child.stdin.take().unwrap();
        let shown = || String::from_utf8_lossy(&fs::read(&seen).unwrap()).into_owned();
        writeln!(keys, "{}", self.setup).unwrap();
        for (at, line) in lines.iter().enumerate() {
            // the line that sets the prompt has it in two halves
            until("a prompt", || shown().matches("READY>").count() > at);
            writeln!(keys, "{line}").unwrap();
            until(&format!("words of {line:?} in {}:\n{}", self.program, shown()), || self.words(barge).len() > at);
        }
        writeln!(keys, "exit").unwrap();
        drop(keys);
        child.wait().unwrap();
        assert!(!barge.path("ran").exists(), "a name was run:\n{}", shown());
        let words = self.words(barge);
        fs::remove_file(barge.path("words")).unwrap();
        words
    }

    fn words(&self, barge: &Barge) -> Vec<Vec<String>> {
        let written = fs::read_to_string(barge.path("words")).unwrap_or_default();
        let lines = written.split("\u{1}\0").map(|line| line.split_terminator('\0').map(str::to_owned).collect());
        let lines: Vec<Vec<String>> = lines.collect();
        lines[..lines.len() - 1].to_vec()
    }

    /// Types what everybody does, in a directory with a layout and an archive.
    fn completes(&self) {
        if !self.is_there() {
            return;
        }
        let barge = Barge::new();
        place(&barge);
        let cases: [(&str, &[&str]); 12] = [
            ("barge mani\tins\tdist:ap\t", &["manifest", "inspect", "dist:app:v1"]),
            ("barge ls dist:gh\t", &["ls", "dist:ghcr.io/org/web:v2"]),
            ("barge ls dist:ghcr.io/org/w\t", &["ls", "dist:ghcr.io/org/web:v2"]),
            ("barge ls bundle.tar:ap\t", &["ls", "bundle.tar:app:v1"]),
            ("barge ls oci:dist:ap\t", &["ls", "oci:dist:app:v1"]),
            ("barge ls bund\t", &["ls", "bundle.tar"]),
            ("barge -L dist ls :ap\t", &["-L", "dist", "ls", ":app:v1"]),
            ("barge --layout=di\t ls :gh\t", &["--layout=dist", "ls", ":ghcr.io/org/web:v2"]),
            ("barge -L dist tree gh\t", &["-L", "dist", "tree", "ghcr.io/org/web:v2"]),
            ("barge merge --on-dup\tke\t", &["merge", "--on-duplicate", "keep"]),
            ("barge ls ~/../work/di\t", &["ls", "HOME/../work/dist"]),
            ("barge ls ~/../work/dist:ap\t", &["ls", "HOME/../work/dist:app:v1"]),
        ];
        fs::create_dir_all(home(&barge)).unwrap();
        let taken = |line: &str| match line.contains(['~', '=']) {
            true => line.replacen('\t', &format!("\t{}", self.take), 1),
            false => line.to_owned(),
        };
        let lines: Vec<String> = cases.iter().map(|(line, _)| taken(line)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let home = home(&barge).to_str().unwrap().to_owned();
        for ((line, expected), words) in cases.iter().zip(self.typed(&barge, &lines)) {
            let expected: Vec<String> = expected.iter().map(|word| word.replace("HOME", &home)).collect();
            assert_eq!(words, expected, "{} after {line:?}", self.program);
        }
    }

    /// Completes names that are commands to a shell that is careless.
    fn keeps_names_from_running(&self) {
        if !self.is_there() {
            return;
        }
        let barge = Barge::new();
        place(&barge);
        for place in ["dist", "bundle.tar"] {
            let line = |start: &str| format!("barge ls {place}:{start}\t{}", self.take);
            let lines: Vec<String> = HOSTILE.iter().map(|(start, _)| line(start)).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            for ((_, name), words) in HOSTILE.iter().zip(self.typed(&barge, &lines)) {
                assert_eq!(words, ["ls".to_owned(), format!("{place}:{name}")], "{}", self.program);
            }
        }
    }
}

#[test]
fn bash_completes_words_files_and_names() {
    BASH.completes();
}

#[test]
fn bash_runs_no_name() {
    BASH.keeps_names_from_running();
}

#[test]
fn bash_completes_inside_of_quotation_marks() {
    if !BASH.is_there() {
        return;
    }
    let barge = Barge::new();
    place(&barge);
    // bash closes them itself
    let lines = ["barge ls 'dist:r\t", "barge ls \"dist:r\t", "barge ls 'dist:ap\t", "true && barge ls dist:ap\t"];
    let words = BASH.typed(&barge, &lines);
    let names = ["dist:r$(touch ran)", "dist:r$(touch ran)", "dist:app:v1", "dist:app:v1"];
    assert_eq!(words, names.map(|name| vec!["ls".to_owned(), name.to_owned()]));
}

#[test]
fn zsh_completes_words_files_and_names() {
    ZSH.completes();
}

#[test]
fn zsh_runs_no_name() {
    ZSH.keeps_names_from_running();
}

#[test]
fn fish_completes_words_files_and_names() {
    FISH.completes();
}

#[test]
fn fish_runs_no_name() {
    FISH.keeps_names_from_running();
}

#[test]
fn elvish_completes_words_files_and_names() {
    ELVISH.completes();
}

#[test]
fn elvish_runs_no_name() {
    ELVISH.keeps_names_from_running();
}

#[test]
fn bash_completes_with_the_functions_of_its_distribution() {
    let loader = Path::new("/usr/share/bash-completion/bash_completion");
    if !BASH.is_there() || !available("bash-completion", loader.is_file()) {
        return;
    }
    let barge = Barge::new();
    place(&barge);
    // found in the user's directory when barge is first completed, as `barge completions --help` says
    let script = barge.line("completions bash").exits(0).silent();
    let completions = home(&barge).join(".local/share/bash-completion/completions");
    fs::create_dir_all(&completions).unwrap();
    fs::write(completions.join("barge"), script.bytes()).unwrap();
    let shell = Shell {
        setup: "PS1='REA''DY> '; bind 'set enable-bracketed-paste off'; . /usr/share/bash-completion/bash_completion",
        ..BASH
    };
    let words = shell.typed(&barge, &["barge tree dist:ap\t", "sudo() { \"$@\"; }; sudo barge ls dist:gh\t"]);
    assert_eq!(words, [["tree", "dist:app:v1"], ["ls", "dist:ghcr.io/org/web:v2"]]);
}

#[test]
fn what_goes_wrong_is_no_answer_and_no_word() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("dist"));
    fs::create_dir(barge.path("broken")).unwrap();
    barge.write("broken/oci-layout", "{}");
    barge.write("broken/index.json", "{");
    fs::copy(barge.path("dist/index.json"), barge.path("file")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, barge.path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for word in ["broken:", "file:", "pipe:", "nowhere:", "oci:pipe:", "docker://127.0.0.1:9/app:", "\u{1b}["] {
        let words = ["__complete", "zsh", "--", "barge", "ls", word];
        assert!(barge.run(words).exits(0).silent().bytes().is_empty(), "{word}");
    }
    for words in [&["__complete", "bash"][..], &["__complete", "bash", "--", ""], &["__complete", "fish", "--"]] {
        assert!(barge.run(words).exits(0).silent().bytes().is_empty(), "{words:?}");
    }
}

#[test]
fn a_layout_that_is_locked_is_read_all_the_same() {
    let barge = Barge::new();
    place(&barge);
    let lock = fs::File::create(barge.path("dist/index.json.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let words = ["__complete", "fish", "--", "barge", "ls", "dist:app"];
    let said = barge.run(words).exits(0).silent().stdout().to_owned();
    assert!(said.starts_with("dist:app:v1\t"), "{said}");
}

#[test]
fn powershell_is_given_names_as_it_takes_them() {
    let barge = Barge::new();
    place(&barge);
    let answer = |words: &[&str]| {
        let sent = STANDARD.encode(words.join("\0"));
        barge.run(["__complete", "powershell", "--", &sent]).exits(0).silent().stdout().to_owned()
    };
    let app = answer(&["barge", "ls", "dist:ap"]);
    assert!(app.starts_with("dist:app:v1\tdist:app:v1\tsha256:"), "{app}");
    assert!(answer(&["barge", "-L", "dist", "tree", ""]).contains("app:v1\tapp:v1\t"));
    assert!(answer(&["barge", "ls", "dist:r"]).starts_with("'dist:r$(touch ran)'\t"));
    let options = answer(&["barge", "merge", "--on-dup"]);
    assert!(options.starts_with("--on-duplicate\t--on-duplicate\t"), "{options}");
    let script = barge.line("completions powershell").exits(0).silent().stdout().to_owned();
    assert!(script.contains("Register-ArgumentCompleter -Native") && script.contains("__complete powershell"));
    barge.line("completions tcsh").exits(2).says(&["possible values: bash, zsh, fish"]);
}

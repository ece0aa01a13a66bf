//! Runs what a page shows of a terminal, one command after the other, in one place, and compares what each prints with what the
//! page says. Files that the page has in other blocks are written where they stand.
//!
//! Digests are compared to the last sign. Times, rates, ports and the width of columns are not: they are different on every run.
//! What a page leaves out is `...`: in a line some of it, and alone on a line any number of lines.
//! With `BARGE_DOCS=write` what is printed is written to the page instead, where nothing is left out.

use std::time::Duration;
use std::{env, fs, mem, thread};

use regex_lite::Regex;

use super::fence::{Step, blocks};
use super::harness::Serving;
use super::setting::Setting;

/// Where a server of the pages listens; here it has any free port.
const LISTENS: &str = "127.0.0.1:5000";
const PORT: &str = ":5000";

/// What is different on every run, and what stands for it.
const MASKS: [(&str, &str); 5] = [
    (r"\d+(\.\d+)? ([KMGT]i)?B/s", "RATE"),
    (r"\b\d+(\.\d+)? ?m?s\b", "TIME"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "MOMENT"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"  +", "  "),
];

/// What a page leaves out.
const LEFT_OUT: &str = "...";

/// Tells whether it is what the page says that is printed.
fn matches(said: &[String], printed: &[String]) -> bool {
    let masks = MASKS.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word));
    let masked = |line: &String| {
        masks.iter().fold(line.clone(), |text, (mask, word)| mask.replace_all(&text, *word).into_owned())
    };
    let lines = said.iter().map(|line| match line.trim() {
        LEFT_OUT => "(.*\n)*".to_owned(),
        _ => {
            let parts: Vec<String> = masked(line).split(LEFT_OUT).map(regex_lite::escape).collect();
            format!("{}\n", parts.join(".*"))
        }
    });
    let printed: String = printed.iter().map(|line| format!("{}\n", masked(line))).collect();
    Regex::new(&format!("^{}$", lines.collect::<String>())).unwrap().is_match(&printed)
}

/// A page under way.
struct Terminal<'a> {
    name: &'a str,
    page: Vec<String>,
    setting: &'a Setting,
    serving: Option<Serving>,
    failed: Vec<String>,
    /// What the page is to say instead, in its order.
    printed: Vec<(Step, Vec<String>)>,
}

/// Tells whether pages are written instead of compared.
fn writes() -> bool {
    env::var("BARGE_DOCS").is_ok_and(|what| what == "write")
}

/// Runs a page, and fails with all that goes otherwise than it says.
pub(crate) fn runs(name: &str, least: usize, setting: &Setting) {
    let path = super::docs().join("..").join(name);
    let text = fs::read_to_string(&path).unwrap();
    let page = text.lines().map(str::to_owned).collect();
    let mut terminal = Terminal { name, page, setting, serving: None, failed: Vec::new(), printed: Vec::new() };
    let mut commands = 0;
    for block in blocks(&text) {
        if let Some(file) = block.file() {
            // by the shell, so that the hosts are those of the setting
            let content: String = block.lines.iter().map(|line| format!("{line}\n")).collect();
            let write = format!("mkdir -p \"$(dirname {file})\" && cat >{file} <<'END'\n{content}END");
            assert_eq!(setting.run(&write).0, Some(0));
        } else if block.language == "console" && block.untested.is_none() {
            commands += block.steps().len();
            block.steps().into_iter().for_each(|step| terminal.step(step));
        }
    }
    terminal.stop();
    assert!(commands >= least, "{name} has {commands} commands only");
    let failed = mem::take(&mut terminal.failed);
    if !terminal.printed.is_empty() {
        fs::write(path, terminal.written()).unwrap();
    }
    assert!(failed.is_empty(), "{} of {commands} commands:\n\n{}", failed.len(), failed.join("\n"));
}

impl Terminal<'_> {
    fn step(&mut self, step: Step) {
        if step.command.starts_with("barge serve ") && !step.command.contains("--dry-run") {
            self.stop();
            let line = step.command.replace("barge serve", "barge serve --listen 127.0.0.1:0");
            let serving = Serving::start(&mut self.setting.server(&line));
            // the last line that it says before somebody asks
            let mut said = serving.says("\ntry: ");
            while !said.ends_with('\n') {
                thread::sleep(Duration::from_millis(5));
                said = serving.said();
            }
            let printed = format!("{}\n{said}", serving.first());
            self.serving = Some(serving);
            self.compare(step, &printed);
            return;
        }
        let command = match &self.serving {
            Some(serving) => step.command.replace(LISTENS, serving.authority()),
            None => step.command.clone(),
        };
        let (code, printed) = self.setting.run(&format!("umask 022\nexec 2>&1\n{command}"));
        if code != Some(step.exits) {
            let Step { line, command, exits, .. } = &step;
            self.failed.push(format!("{}:{line}: {command}\nends with {code:?}, not {exits}:\n{printed}", self.name));
        }
        self.compare(step, &printed);
    }

    /// Compares what a command printed with what stands below it, if anything does.
    fn compare(&mut self, step: Step, printed: &str) {
        let mut printed = self.setting.in_words(printed);
        if let Some((_, port)) = self.serving.as_ref().and_then(|serving| serving.authority().rsplit_once(':')) {
            printed = printed.replace(&format!(":{port}"), PORT);
        }
        let printed: Vec<String> = printed.lines().map(|line| line.trim_end().to_owned()).collect();
        let said = &self.page[step.printed.start - 1..step.printed.end - 1];
        if said.is_empty() {
            return;
        }
        if matches(said, &printed) {
            return;
        }
        if writes() && !said.iter().any(|line| line.contains(LEFT_OUT)) {
            self.printed.push((step, printed));
            return;
        }
        let Step { line, command, .. } = &step;
        let (name, said, now) = (self.name, said.join("\n"), printed.join("\n"));
        self.failed.push(format!(
            "{name}:{line}: {command}\nprints\n{now}\ninstead of\n{said}\n(BARGE_DOCS=write cargo test --test docs writes it)\n"
        ));
    }

    /// Returns the page with what the commands print now.
    fn written(mut self) -> String {
        while let Some((step, printed)) = self.printed.pop() {
            self.page.splice(step.printed.start - 1..step.printed.end - 1, printed);
        }
        self.page.iter().map(|line| format!("{line}\n")).collect()
    }

    fn stop(&mut self) {
        let Some(serving) = self.serving.take() else { return };
        let ended = serving.stop();
        if ended.code != Some(0) {
            self.failed.push(format!("{ended:?}"));
        }
    }
}

#[test]
fn what_is_left_out_or_different_on_every_run_is_not_compared() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<String>>();
    for (said, printed, same) in [
        ("a sha256:12 (1)", "a sha256:12 (1)", true),
        ("a sha256:12", "a sha256:13", false),
        ("in 1.2s, 3.0 MiB/s", "in 12ms, 5 KiB/s", true),
        ("NAME  X", "NAME       X", true),
        ("a\n...\nb", "a\nc\nd\nb", true),
        ("a\n...\nb", "a\nb", true),
        ("a\n...\nb", "a\nc", false),
        ("key sha256:... is", "key sha256:4f is", true),
        ("key sha256:... is", "key sha256:4f was", false),
        ("a.b", "a+b", false),
    ] {
        assert_eq!(matches(&lines(said), &lines(printed)), same, "{said}");
    }
}

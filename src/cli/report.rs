//! The result of a command on standard output, as text or as one JSON object, and its failure on standard error.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use barge::blob::Mismatch;
use barge::error::Class;
use barge::ops::Error;
use barge::store::StoreError;
use barge::store::archive::Damage;
use barge::text::is_unsafe;
use serde_json::{Map, Value, json};

use super::terminal::{Ink, Surface};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// What a command has to say at its end.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The result for standard output, as it is.
    pub(crate) text: Vec<u8>,
    /// The result for scripts.
    pub(crate) results: Vec<Value>,
    /// Counts for scripts.
    pub(crate) stats: Map<String, Value>,
    /// What was found wrong, when the command itself did what it should: the exit code follows it.
    pub(crate) failure: Option<Failure>,
    /// Whether the answer of a comparison is no: exit code 1, and nothing failed.
    pub(crate) differs: bool,
}

/// A bad result of a command that did its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Report {
    /// Reports the version.
    pub(crate) fn version() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self {
            text: format!("barge {version}\n").into_bytes(),
            results: vec![json!({"version": version})],
            ..Self::default()
        }
    }
}

/// Prints a result or a failure and returns the exit code.
pub(crate) fn print(
    command: &str,
    result: &Result<Report, Error>,
    warnings: &[String],
    elapsed: Duration,
    format: Format,
    quiet: bool,
) -> ExitCode {
    let class = match result {
        Ok(Report { differs: true, failure: None, .. }) => Some(Class::Failed),
        Ok(report) => report.failure.as_ref().map(|failure| failure.class),
        Err(error) => Some(error.class()),
    };
    let out = match (format, result) {
        (Format::Json, _) => {
            format!("{}\n", safe_json(&as_json(command, result, warnings, elapsed).to_string())).into_bytes()
        }
        (Format::Text, Ok(report)) => report.text.clone(),
        (Format::Text, Err(_)) => Vec::new(),
    };
    let written = write_out(&out);
    match result {
        Err(error) => complain(&error.to_string(), &error.causes(), error.hint().as_deref()),
        Ok(Report { failure: Some(failure), .. }) if !quiet || format == Format::Text => {
            complain(&failure.message, &[], failure.hint.as_deref());
        }
        Ok(_) => {}
    }
    match (class, written) {
        (Some(class), _) => ExitCode::from(class.exit_code()),
        (None, Ok(())) => ExitCode::SUCCESS,
        (None, Err(error)) => {
            complain("cannot write to standard output", &[error.to_string()], None);
            ExitCode::from(Class::Machine.exit_code())
        }
    }
}

/// Prints the result of a command that goes on afterwards, as one JSON object.
pub(crate) fn print_json(command: &str, report: Report, warnings: &[String], elapsed: Duration) -> io::Result<()> {
    write_out(format!("{}\n", safe_json(&as_json(command, &Ok(report), warnings, elapsed).to_string())).as_bytes())
}

/// Returns JSON in which nothing moves a terminal, C1 and bidi controls neither: the same text to a program.
pub(crate) fn safe_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Writes the result. A reader that has seen enough closes the pipe: for a filter such as `head` that is no failure (Rust
/// ignores SIGPIPE, so it shows as an error here).
pub(crate) fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Returns what failed and why, without the end of the last line.
pub(crate) fn failure(surface: Surface, message: &str, causes: &[String]) -> String {
    let mut text = surface.labelled(Ink::Bad, "error:", message);
    for cause in causes {
        text.push('\n');
        text.push_str(&surface.labelled(Ink::Faint, "  caused by:", cause));
    }
    text
}

/// Prints a failure: what, why, and apart from it what to do.
fn complain(message: &str, causes: &[String], hint: Option<&str>) {
    let mut text = failure(Surface::err(), message, causes);
    text.push('\n');
    if let Some(hint) = hint {
        text.push_str(&format!("\n{}\n", Surface::err().labelled(Ink::Hint, "hint:", hint)));
    }
    // nobody is left to tell when standard error is closed
    let _ = io::stderr().write_all(text.as_bytes());
}

fn as_json(command: &str, result: &Result<Report, Error>, warnings: &[String], elapsed: Duration) -> Value {
    let mut object = json!({"schema": "barge/v1", "command": command, "ok": true});
    let seconds = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
    match result {
        Ok(report) => {
            object["results"] = json!(report.results);
            object["warnings"] = json!(warnings);
            object["stats"] = Value::Object(report.stats.clone());
            object["stats"]["seconds"] = json!(seconds);
            if let Some(failure) = &report.failure {
                object["ok"] = json!(false);
                object["error"] = json!({"class": failure.class.name(), "exit": failure.class.exit_code(),
                    "message": failure.message, "hint": failure.hint});
            }
        }
        Err(error) => {
            object["ok"] = json!(false);
            object["results"] = json!([]);
            object["warnings"] = json!(warnings);
            object["error"] = error_as_json(error);
        }
    }
    object
}

pub(crate) fn error_as_json(error: &Error) -> Value {
    let mut object = json!({"class": error.class().name(), "exit": error.class().exit_code(), "message": error.to_string(),
        "causes": error.causes(), "hint": error.hint()});
    if let Error::Parts { damaged, .. } | Error::Unfinished { damaged, .. } = error {
        let part = |part: &Damage| {
            json!({"part": part.number, "of": part.of, "file": part.path.to_string_lossy(),
                "got": part.got.to_string(), "expected": part.expected.to_string()})
        };
        object["damagedParts"] = json!(damaged.iter().map(part).collect::<Vec<_>>());
    }
    let Some(store) = error.store() else { return object };
    object["place"] = json!(store.place());
    match store {
        StoreError::Missing { digest, .. } => object["digest"] = json!(digest.to_string()),
        StoreError::Wrong { digest, mismatch, .. } => {
            object["digest"] = json!(digest.to_string());
            let (got, expected) = match mismatch {
                Mismatch::Short { got, expected } => (json!(got), json!(expected)),
                Mismatch::Long { expected } => (Value::Null, json!(expected)),
                Mismatch::Digest { got, expected } => (json!(got.to_string()), json!(expected.to_string())),
            };
            object["got"] = got;
            object["expected"] = expected;
        }
        _ => {}
    }
    object
}

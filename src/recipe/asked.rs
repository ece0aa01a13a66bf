//! What a command line asks for, in the words of instructions: `--env`, `--label`, `--cmd` and their like become the changes
//! that the instructions of these names would be.

use super::fault::{Fault, RecipeError};
use super::plan::Change;
use super::steps::described;
use super::{path, ports, words};
use crate::text::quoted;

/// Options, as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--env`: names and values.
    pub env: Vec<(String, String)>,
    /// `--label`: names and values.
    pub labels: Vec<(String, String)>,
    /// `--cmd`: a JSON list, or words as a shell would split them.
    pub cmd: Option<String>,
    /// `--entrypoint`: the same.
    pub entrypoint: Option<String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--workdir`: an absolute path.
    pub workdir: Option<String>,
    /// `--expose`: `PORT[-PORT][/PROTOCOL]`.
    pub expose: Vec<String>,
    /// `--volume`: absolute paths.
    pub volumes: Vec<String>,
    /// `--stop-signal`.
    pub stop_signal: Option<String>,
}

/// Returns the changes, in an order of their own, each with its line in the history.
///
/// # Errors
/// When an option is not what the instruction takes.
pub fn changes(options: &Options) -> Result<Vec<(String, Change)>, RecipeError> {
    let mut changes: Vec<(&'static str, Change)> = Vec::new();
    for (name, value) in &options.env {
        changes.push(("ENV", Change::Env { name: name.clone(), value: value.clone() }));
    }
    for (name, value) in &options.labels {
        changes.push(("LABEL", Change::Label { name: name.clone(), value: value.clone() }));
    }
    for port in &options.expose {
        let read = ports::read(std::slice::from_ref(port)).map_err(|fault| fault.in_file("--expose"))?;
        changes.extend(read.into_iter().map(|port| ("EXPOSE", Change::Expose(port))));
    }
    for volume in &options.volumes {
        changes.push(("VOLUME", Change::Volume(absolute("--volume", volume)?)));
    }
    if let Some(signal) = &options.stop_signal {
        ports::check_signal(signal).map_err(|fault| fault.in_file("--stop-signal"))?;
        changes.push(("STOPSIGNAL", Change::StopSignal(signal.clone())));
    }
    if let Some(path) = &options.workdir {
        changes.push(("WORKDIR", Change::WorkingDir(absolute("--workdir", path)?)));
    }
    if let Some(user) = &options.user {
        changes.push(("USER", Change::User(user.clone())));
    }
    if let Some(text) = &options.entrypoint {
        // the command of the image is kept: whoever wants another one says so beside it
        changes.push(("ENTRYPOINT", Change::Entrypoint { words: command("--entrypoint", text)?, clears_cmd: false }));
    }
    if let Some(text) = &options.cmd {
        changes.push(("CMD", Change::Cmd(command("--cmd", text)?)));
    }
    Ok(changes.into_iter().map(|(name, change)| (described(name, std::slice::from_ref(&change)), change)).collect())
}

fn absolute(option: &str, text: &str) -> Result<String, RecipeError> {
    if text.starts_with('/') {
        return Ok(path::absolute("/", text));
    }
    Err(Fault::new(format!("{} is no absolute path", quoted(text))).hint("start it with a slash").in_file(option))
}

/// Reads a command: a JSON list, or words as a shell would split them; nothing is run or filled in.
fn command(option: &str, text: &str) -> Result<Vec<String>, RecipeError> {
    match words::json_list(text) {
        Ok(Some(words)) => Ok(words),
        Ok(None) => shlex::split(text).ok_or_else(|| {
            Fault::new(format!("a quote in {} does not end", quoted(text)))
                .hint("write it as a JSON list: [\"word\", \"word\"]")
                .in_file(option)
        }),
        Err(fault) => Err(fault.in_file(option)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &Options) -> Vec<String> {
        changes(options).unwrap().into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn options_become_the_instructions_of_their_names() {
        let text = |text: &str| Some(text.to_owned());
        let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        for (options, expected) in [
            (Options { env: pair("A", "b c"), ..Options::default() }, "ENV A=b c"),
            (Options { labels: pair("a.b", ""), ..Options::default() }, "LABEL a.b="),
            (Options { cmd: text(r#"["a", "b c"]"#), ..Options::default() }, r#"CMD ["a","b c"]"#),
            (Options { cmd: text("a 'b c' d\\ e"), ..Options::default() }, r#"CMD ["a","b c","d e"]"#),
            (Options { entrypoint: text("/app"), ..Options::default() }, r#"ENTRYPOINT ["/app"]"#),
            (Options { workdir: text("/a/../b/"), ..Options::default() }, "WORKDIR /b"),
            (Options { user: text("1:2"), ..Options::default() }, "USER 1:2"),
            (Options { expose: vec!["80".to_owned()], ..Options::default() }, "EXPOSE 80/tcp"),
            (Options { volumes: vec!["/data".to_owned()], ..Options::default() }, "VOLUME /data"),
            (Options { stop_signal: text("SIGTERM"), ..Options::default() }, "STOPSIGNAL SIGTERM"),
        ] {
            assert_eq!(read(&options), [expected]);
        }
    }

    #[test]
    fn an_option_that_no_instruction_takes_is_refused_by_its_name() {
        let text = |text: &str| Some(text.to_owned());
        for (options, expected) in [
            (Options { workdir: text("relative"), ..Options::default() }, "cannot use --workdir: \"relative\" is no"),
            (Options { cmd: text("a 'b"), ..Options::default() }, "cannot use --cmd: a quote"),
            (Options { cmd: text("[1]"), ..Options::default() }, "cannot use --cmd: "),
            (Options { expose: vec!["x".to_owned()], ..Options::default() }, "cannot use --expose: "),
            (Options { stop_signal: text("NO SUCH"), ..Options::default() }, "cannot use --stop-signal: "),
        ] {
            let error = changes(&options).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}

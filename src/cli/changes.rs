//! The options that change the config of an image, the same for every command that has them.

use barge::ops::Error;
use barge::recipe::asked::{self, Options};
use barge::recipe::plan::Change;
use barge::text::quoted;
use clap::Args;

/// What is to be changed in a config.
#[derive(Args, Debug)]
#[command(next_help_heading = "Config")]
pub(crate) struct ChangeArgs {
    /// Set a variable of the environment (can be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Set a label (can be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Set the command: a JSON list, or words as a shell splits them
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    cmd: Option<String>,
    /// Set the entry point: a JSON list, or words as a shell splits them
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    entrypoint: Option<String>,
    /// Set the user, USER[:GROUP]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Set the working directory
    #[arg(long, value_name = "PATH")]
    workdir: Option<String>,
    /// Add a port, PORT[/PROTOCOL] (can be repeated)
    #[arg(long, value_name = "PORT")]
    expose: Vec<String>,
    /// Add a volume (can be repeated)
    #[arg(long, value_name = "PATH")]
    volume: Vec<String>,
    /// Set the signal that stops it
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
}

impl ChangeArgs {
    /// Returns the changes, each with its line in the history.
    pub(crate) fn changes(&self) -> Result<Vec<(String, Change)>, Error> {
        Ok(asked::changes(&Options {
            env: pairs("variable", &self.env)?,
            labels: pairs("label", &self.label)?,
            cmd: self.cmd.clone(),
            entrypoint: self.entrypoint.clone(),
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            expose: self.expose.clone(),
            volumes: self.volume.clone(),
            stop_signal: self.stop_signal.clone(),
        })?)
    }
}

/// Reads options of the form KEY=VALUE.
pub(crate) fn pairs(what: &str, options: &[String]) -> Result<Vec<(String, String)>, Error> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Error::Usage {
            message: format!("cannot use the {what} {}: it is not KEY=VALUE", quoted(text)),
            hint: None,
        }),
    };
    options.iter().map(pair).collect()
}

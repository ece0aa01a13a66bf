//! The files that may hold credentials, and the order in which programs look into them.

use std::path::{Path, PathBuf};

/// Whose habits a file follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `config.json` of docker: also read by podman, skopeo and buildah, when their own files say nothing.
    Docker,
    /// `auth.json` of podman, skopeo and buildah (containers-auth.json(5)).
    Containers,
    /// `.dockercfg` of docker before 1.7: its top level is what `auths` is elsewhere. Read, never written.
    Legacy,
}

/// A file that may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthFile {
    /// Where it is, if it is there.
    pub path: PathBuf,
    /// Whose habits it follows.
    pub form: Form,
}

impl AuthFile {
    /// Takes a file that the user named. Its name tells the form: `config.json` is docker's, whatever directory it is in.
    #[must_use]
    pub fn named(path: &Path) -> Self {
        let form = match path.file_name().and_then(|name| name.to_str()) {
            Some("config.json") => Form::Docker,
            Some(".dockercfg") => Form::Legacy,
            _ => Form::Containers,
        };
        Self { path: path.to_owned(), form }
    }
}

/// The directories below which credentials are looked for, as the environment names them. An empty path is none.
#[derive(Clone, Debug, Default)]
pub struct Directories {
    /// `$XDG_RUNTIME_DIR`.
    pub runtime: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub config: Option<PathBuf>,
    /// `$DOCKER_CONFIG`.
    pub docker: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
}

impl Directories {
    /// Returns the files in the order of containers-auth.json(5): podman's own for this session, podman's for good,
    /// docker's, docker's of old.
    ///
    /// Where `$DOCKER_CONFIG` is set, docker's file comes first: docker and podman then read no other one.
    #[must_use]
    pub fn files(&self) -> Vec<AuthFile> {
        let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        let home = given(&self.home);
        let below = |name: &str| home.as_ref().map(|home| home.join(name));
        let file = |directory: PathBuf, name: &str, form| AuthFile { path: directory.join(name), form };

        // without a session, as under cron, podman has a directory for each user
        let session = || PathBuf::from(format!("/run/containers/{}", rustix::process::getuid().as_raw()));
        let first = match given(&self.runtime) {
            Some(runtime) => file(runtime, "containers/auth.json", Form::Containers),
            None => file(session(), "auth.json", Form::Containers),
        };
        let second = given(&self.config).or_else(|| below(".config"));
        let chosen = given(&self.docker);
        let docker = chosen.clone().or_else(|| below(".docker")).map(|path| file(path, "config.json", Form::Docker));

        let mut files = vec![first];
        files.extend(second.map(|path| file(path, "containers/auth.json", Form::Containers)));
        if let Some(docker) = docker {
            let at = if chosen.is_some() { 0 } else { files.len() };
            files.insert(at, docker);
        }
        files.extend(home.map(|path| file(path, ".dockercfg", Form::Legacy)));
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_looked_for_where_other_programs_look() {
        let some = |path: &str| Some(PathBuf::from(path));
        let session = format!("/run/containers/{}/auth.json", rustix::process::getuid().as_raw());
        let cases: [(Directories, Vec<&str>); 4] = [
            (
                Directories { runtime: some("/run/user/1"), home: some("/home/u"), ..Directories::default() },
                vec![
                    "/run/user/1/containers/auth.json",
                    "/home/u/.config/containers/auth.json",
                    "/home/u/.docker/config.json",
                    "/home/u/.dockercfg",
                ],
            ),
            (
                Directories { runtime: some("/r"), config: some("/c"), docker: some("/d"), home: some("/h") },
                vec!["/d/config.json", "/r/containers/auth.json", "/c/containers/auth.json", "/h/.dockercfg"],
            ),
            (
                Directories { runtime: some(""), docker: some(""), home: some("/h"), config: some("") },
                vec![&session, "/h/.config/containers/auth.json", "/h/.docker/config.json", "/h/.dockercfg"],
            ),
            (Directories::default(), vec![&session]),
        ];
        for (directories, expected) in cases {
            let files = directories.files();
            assert_eq!(files.iter().map(|file| file.path.to_str().unwrap()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_name_tells_the_form() {
        for (path, form) in [
            ("/x/config.json", Form::Docker),
            ("/x/auth.json", Form::Containers),
            ("/x/.dockercfg", Form::Legacy),
            ("secret", Form::Containers),
        ] {
            assert_eq!(AuthFile::named(Path::new(path)).form, form, "{path}");
        }
    }
}

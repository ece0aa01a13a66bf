//! An empty registry: Debian's docker-registry on loopback, with a storage of its own that goes with it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A registry that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// `HOST:PORT`.
    pub(crate) address: String,
    child: Child,
    storage: PathBuf,
}

impl Server {
    /// Starts one and waits until it takes connections. Each has another port: some clients remember which registry has what.
    pub(crate) fn start(work: &Path) -> Result<Self, String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.map_err(|error| format!("no port is free: {error}"))?.to_string();
        let storage = work.join("storage");
        let _ = fs::remove_dir_all(&storage);
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {address}}}\n",
            storage.display()
        );
        let path = work.join("registry.yml");
        fs::write(&path, config).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("cannot start docker-registry: {error}"))?;
        let server = Self { address, child, storage };
        for _ in 0..500 {
            if TcpStream::connect(&server.address).is_ok() {
                return Ok(server);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err("docker-registry does not answer".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.storage);
    }
}

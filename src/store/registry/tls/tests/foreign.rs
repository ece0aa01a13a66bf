//! Another implementation of TLS as the server: what OpenSSL answers is understood too.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::super::{TlsOptions, for_registry};
use super::authority::{Authority, CLIENT, LOCALHOST, NOW};
use super::connections::{get, reason_and_hint};

/// `openssl s_server` for one connection; ended with the test if nobody came.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(authority: &Authority, words: &str) -> Self {
        let line = format!("s_server -www -naccept 1 -accept 127.0.0.1:0 -cert server.crt -key server.key {words}");
        let mut child = Command::new("openssl")
            .args(line.split_whitespace())
            .current_dir(authority.root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let accept = lines.find(|line| line.starts_with("ACCEPT ")).expect("it listens");
        let port = accept.rsplit(':').next().unwrap().parse().unwrap();
        // its page goes to the connection; what it prints besides must not fill the pipe
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_openssl_answers_is_understood() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("server", LOCALHOST, NOW);
    authority.sign("client", CLIENT, NOW);
    let nobody = TlsOptions { ca_files: vec![authority.path("ca.crt")], ..TlsOptions::default() };
    let somebody = TlsOptions {
        client_cert: Some(authority.path("client.crt")),
        client_key: Some(authority.path("client.key")),
        ..nobody.clone()
    };
    for (words, options, expected) in [
        ("-tls1_3", &nobody, Ok("s_server")),
        ("-tls1_2", &nobody, Ok("s_server")),
        ("-tls1_3 -Verify 1 -verify_return_error -CAfile ca.crt", &somebody, Ok("s_server")),
        ("-tls1_2 -Verify 1 -verify_return_error -CAfile ca.crt", &somebody, Ok("s_server")),
        (
            "-tls1_3 -Verify 1 -verify_return_error -CAfile ca.crt",
            &nobody,
            Err("the server wants a client certificate"),
        ),
        ("-tls1_2 -Verify 1 -verify_return_error -CAfile ca.crt", &nobody, Err("it misses a client certificate, or")),
        ("-tls1_1 -cipher DEFAULT@SECLEVEL=0", &nobody, Err("no version or cipher of TLS in common")),
        ("-tls1_2 -cipher AES128-SHA", &nobody, Err("it misses a client certificate, or has no TLS in common")),
    ] {
        let server = Server::start(&authority, words);
        let host = format!("localhost:{}", server.port);
        let result = get(for_registry(&host, options).unwrap(), &format!("https://{host}/"));
        match expected {
            Ok(page) => assert!(result.unwrap().contains(page), "{words}"),
            Err(expected) => {
                let (reason, _) = reason_and_hint(result);
                assert!(reason.contains(expected), "{words}: {reason}");
            }
        }
    }
}

//! A provider of OpenID Connect: the program `oidc-provider-mock` of PyPI, in which anybody signs in as anybody. If it is not installed, the
//! test fails.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::proxy::free_port;
use crate::{Answer, Client, wait_for};

/// A running provider, which is killed when this is dropped.
pub struct Provider {
    folder: TempDir,
    process: Child,
    port: u16,
}

impl Provider {
    /// A provider with people of these claims, `sub` among them.
    pub fn with_people(people: &[Value]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(program());
        command.args(["--port", &port.to_string()]);
        people.iter().for_each(|claims| {
            command.args(["--user-claims", &claims.to_string()]);
        });
        let process = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut provider = Self { folder, process, port };
        wait_for("the provider to listen", 20, || {
            if let Some(status) = provider.process.try_wait().unwrap() {
                panic!("the provider ended with {status}: {}", provider.log());
            }
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        provider
    }

    /// Its address, which is the issuer.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends the form of its page at an address that the lab has redirected to; the answer redirects back to the lab.
    pub fn send_form(&self, address: &str, form: &str) -> Answer {
        let path = address.strip_prefix(&self.url()).unwrap_or_else(|| panic!("{address} is not of the provider"));
        let client = Client::anonymous(&format!("127.0.0.1:{}", self.port));
        client.send("POST", path, &[("content-type", "application/x-www-form-urlencoded")], form.as_bytes())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the provider\n{}", self.log());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program, which `cargo xtask test` installs in `target/python`.
fn program() -> PathBuf {
    const NAME: &str = "oidc-provider-mock";
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target").join("python/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).chain([own]).map(|folder| folder.join(NAME)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{NAME} is not installed: run `cargo xtask test`, or `pip install {NAME}`"))
}

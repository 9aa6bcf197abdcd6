//! Reverse proxies before a lab: the real nginx and Caddy, and a plain tunnel as `ssh -L` makes one. A missing program fails the test.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::wait_for;

/// A running proxy, which is killed when this is dropped.
pub struct Proxy {
    folder: TempDir,
    process: Child,
}

/// A port of this machine that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Proxy {
    /// nginx with these `server` blocks; `port` is one that they listen on.
    pub fn nginx(servers: &str, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {};\n", folder.path().join(name).display()))
            .collect();
        let config = format!(
            "daemon off; worker_processes 1; error_log stderr; pid {}/nginx.pid;\nevents {{ worker_connections 256; }}\nhttp {{\n\
             access_log off;\n{paths}{servers}\n}}\n",
            folder.path().display()
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(program("nginx", "nginx-light"));
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
        Self::start(folder, command, port)
    }

    /// Caddy with these sites; `port` is one that they listen on.
    pub fn caddy(sites: &str, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Caddyfile");
        fs::write(&file, format!("{{\n  admin off\n  auto_https off\n}}\n{sites}\n")).unwrap();
        let mut command = Command::new(program("caddy", "caddy"));
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, folder.path());
        }
        Self::start(folder, command, port)
    }

    fn start(folder: TempDir, mut command: Command, port: u16) -> Self {
        let log = File::create(folder.path().join("log")).unwrap();
        let process = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut proxy = Self { folder, process };
        wait_for("the proxy to listen", 20, || {
            if let Some(status) = proxy.process.try_wait().unwrap() {
                panic!("the proxy ended with {status}: {}", proxy.log());
            }
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        proxy
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- log of the proxy\n{}", self.log());
        }
        // nginx ends its worker on SIGTERM, and would leave it behind on SIGKILL.
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        let _ = self.process.wait();
    }
}

/// A program of a Debian package, which puts some where the path of a usual account does not lead.
fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: apt-get install {package}"))
}

/// Passes connections to a free port on to an address, as an SSH tunnel does, for as long as the process runs; returns the port.
pub fn tunnel(to: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, to) = (listener.local_addr().unwrap().port(), to.to_owned());
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(&to) else { continue };
            let pairs = [(near.try_clone(), far.try_clone()), (far.try_clone(), near.try_clone())];
            for (from, into) in pairs {
                thread::spawn(move || copy(from?, into?));
            }
        }
    });
    port
}

fn copy(mut from: TcpStream, mut into: TcpStream) -> io::Result<()> {
    let copied = io::copy(&mut from, &mut into);
    // The other direction goes on.
    let _ = into.shutdown(std::net::Shutdown::Write);
    copied.map(drop)
}

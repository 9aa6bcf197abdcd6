//! Installs missing Debian packages. On other systems it reports what is missing.

use std::path::Path;
use std::process::Command;

use crate::shell::{Outcome, command, find_program, is_ci, output, root, run, say};

/// Program names of Chromium; browser tests use the first that is installed.
pub(crate) const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Installs the tools that the tests use besides Rust. Returns those that could not be installed, with the reason.
pub(crate) fn for_tests() -> Vec<String> {
    [
        ensure(find_program(&CHROMIUM).is_some(), &["chromium"], "Chromium, for the browser tests"),
        ensure(find_program(&["node"]).is_some(), &["nodejs"], "Node, for the browser tests"),
        ensure(find_program(&["npm"]).is_some(), &["npm"], "npm, for the browser tests"),
        ensure(has_nginx(), &["nginx-light"], "nginx, for the scenarios behind a proxy"),
        ensure(find_program(&["caddy"]).is_some(), &["caddy"], "Caddy, for the scenarios behind a proxy"),
        ensure_provider(),
        ensure(has_vulkan(), &["mesa-vulkan-drivers"], "a Vulkan driver, for the tests of GPU kernels"),
    ]
    .concat()
}

/// Installs the provider of OpenID Connect that a scenario signs in with, in `target/python`.
fn ensure_provider() -> Vec<String> {
    const PROVIDER: &str = "oidc-provider-mock";
    let folder = root().join("target").join("python");
    if find_program(&[PROVIDER]).is_some() || folder.join("bin").join(PROVIDER).is_file() {
        return Vec::new();
    }
    say("installing a provider of OpenID Connect, for the scenario that signs in with it");
    let installed = find_program(&["python3"]).ok_or_else(|| "python3 is missing".to_owned()).and_then(|python| {
        run(command(python).args(["-m", "venv"]).arg(&folder))?;
        run(command(folder.join("bin/pip")).args(["install", "--quiet", "oidc-provider-mock==0.3.4"]))
    });
    installed.err().map(|reason| format!("{PROVIDER}, for the scenario of sign-in ({reason})")).into_iter().collect()
}

/// Installs Debian packages; `sudo` asks for the password if necessary.
pub(crate) fn apt(packages: &[&str]) -> Outcome<()> {
    if find_program(&["apt-get"]).is_none() {
        return Err("this machine has no apt-get".to_owned());
    }
    eprintln!("apt-get install {}", packages.join(" "));
    // The package list may be older than the archive, so a failure is retried after an update.
    let install = ["install", "-y", "--no-install-recommends"];
    run(as_admin("apt-get")?.args(install).args(packages)).or_else(|_| {
        run(as_admin("apt-get")?.arg("update"))?;
        run(as_admin("apt-get")?.args(install).args(packages))
    })
}

fn ensure(is_installed: bool, packages: &[&str], what: &str) -> Vec<String> {
    if is_installed {
        return Vec::new();
    }
    say(&format!("installing {what}"));
    match apt(packages) {
        Ok(()) => Vec::new(),
        Err(reason) => vec![format!("{what} ({reason})")],
    }
}

fn as_admin(program: &str) -> Outcome<Command> {
    let is_root = output(command("id").arg("-u")).is_some_and(|user| user == "0");
    let mut admin = if is_root {
        command(program)
    } else {
        let sudo = find_program(&["sudo"]).ok_or("installing packages needs root or sudo")?;
        let mut admin = command(sudo);
        // On a build machine no one can enter a password.
        if is_ci() {
            admin.arg("-n");
        }
        admin.arg(program);
        admin
    };
    admin.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(admin)
}

/// Whether nginx is installed. Debian installs it outside the PATH of a usual account.
fn has_nginx() -> bool {
    find_program(&["nginx"]).is_some() || Path::new("/usr/sbin/nginx").is_file()
}

/// Whether a Vulkan driver is installed. Other systems than Linux include a GPU driver (Metal, DirectX).
fn has_vulkan() -> bool {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    !cfg!(target_os = "linux")
        || folders.iter().any(|folder| Path::new(folder).read_dir().is_ok_and(|mut entries| entries.next().is_some()))
}

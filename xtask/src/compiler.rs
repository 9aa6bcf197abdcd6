//! Finds a compiler for wasm32: the active toolchain if it has the target or can install it, else Debian's.
//!
//! Debian's compiler comes with the source of the standard library, which is compiled with the page. It is for machines that reach package
//! registries but not the downloads of rustup. `KINDLING_PAGE_COMPILER=rustup` or `debian` selects one of the two.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::shell::{Outcome, cargo, command, find_program, output, say};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages: compiler, Cargo, the source of the standard library, and a linker for WebAssembly.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// Debian installs the linker only under a name with its version, which rustc does not look for.
const DEBIAN_LINKER: &str = "wasm-ld-19";

/// The compiler of the page.
#[derive(Clone, Copy)]
pub(crate) enum Compiler {
    /// The active toolchain, which has the target.
    Active,
    /// Debian's compiler, which also compiles the standard library.
    Debian,
}

impl Compiler {
    /// Finds a compiler; installs the target or Debian's packages if necessary.
    pub(crate) fn find() -> Outcome<Self> {
        match env::var("KINDLING_PAGE_COMPILER").as_deref() {
            Ok("rustup") => active()
                .ok_or_else(|| format!("the active toolchain has no target {TARGET}, and rustup could not install it")),
            Ok("debian") => debian(),
            Ok(other) => Err(format!("KINDLING_PAGE_COMPILER is `{other}`; set it to `rustup` or `debian`")),
            Err(_) => active().map_or_else(debian, Ok),
        }
    }

    /// A `cargo build` for wasm32 with this compiler; the caller adds the package and the target folder.
    pub(crate) fn cargo_build(self) -> Command {
        let mut build = match self {
            Self::Active => cargo(),
            Self::Debian => debian_cargo(),
        };
        build.args(["build", "--target", TARGET]);
        if let Self::Debian = self {
            build.args(["-Z", "build-std=std,panic_abort", "-Z", "build-std-features=optimize_for_size"]);
        }
        build
    }

    /// Name of the target folder. Each compiler has its own, so that a change of the compiler does not rebuild everything.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Active => "page-build",
            Self::Debian => "page-build-debian",
        }
    }
}

fn debian_cargo() -> Command {
    let mut cargo = command(DEBIAN_CARGO);
    // The toolchain that runs this program sets these variables, and Debian's compiler would use them.
    for name in ["RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "CARGO", "RUSTC", "RUSTDOC", "RUSTC_WRAPPER"] {
        cargo.env_remove(name);
    }
    cargo.env("RUSTC", DEBIAN_RUSTC);
    // `-Z build-std` is unstable; RUSTC_BOOTSTRAP lets a stable compiler accept it.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
    cargo
}

fn active() -> Option<Compiler> {
    (has_target() || install_target()).then_some(Compiler::Active)
}

fn has_target() -> bool {
    let libdir = output(command("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    libdir.is_some_and(|dir| holds_file(Path::new(&dir), "libstd-"))
}

fn install_target() -> bool {
    if find_program(&["rustup"]).is_none() {
        return false;
    }
    say(&format!("installing the target {TARGET} with rustup, for the page"));
    // The output of rustup is hidden, because Debian's compiler is tried next and its error says what to do.
    let is_installed = output(command("rustup").args(["target", "add", TARGET])).is_some() && has_target();
    if !is_installed {
        eprintln!("rustup could not install the target");
    }
    is_installed
}

fn debian() -> Outcome<Compiler> {
    if !debian_is_complete() {
        say("installing Debian's compiler for the page");
        install::apt(&DEBIAN_PACKAGES).map_err(|reason| {
            format!(
                "no compiler for the page: the active toolchain has no target {TARGET}, and Debian's packages were not \
                 installed ({reason}).\nRun `rustup target add {TARGET}` or `apt-get install {}` on this machine.",
                DEBIAN_PACKAGES.join(" ")
            )
        })?;
    }
    if debian_is_complete() {
        return Ok(Compiler::Debian);
    }
    Err(format!("Debian's compiler for the page is incomplete: install {}", DEBIAN_PACKAGES.join(", ")))
}

fn debian_is_complete() -> bool {
    let has_source = output(debian_rustc().args(["--print", "sysroot"]))
        .is_some_and(|sysroot| PathBuf::from(sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file());
    has_source && Path::new(DEBIAN_CARGO).is_file() && find_program(&[DEBIAN_LINKER]).is_some()
}

fn debian_rustc() -> Command {
    let mut rustc = command(DEBIAN_RUSTC);
    rustc.env_remove("LD_LIBRARY_PATH");
    rustc
}

fn holds_file(folder: &Path, prefix: &str) -> bool {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
}

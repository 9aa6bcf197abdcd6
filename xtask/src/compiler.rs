//! A compiler for wasm32: the one in use if it has that target or can fetch it, else Debian's own.
//!
//! Debian's compiler comes with the source of the standard library, which it builds together with the page; it serves
//! machines that reach package registries but not Rust's own downloads. `KINDLING_PAGE_COMPILER=rustup` or `debian`
//! insists on one of the two.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::shell::{Outcome, cargo, command, find_program, output, say};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages: compiler, Cargo, the source of the standard library, and a linker that knows wasm.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// Debian installs the linker under its versioned name only, which rustc does not look for.
const DEBIAN_LINKER: &str = "wasm-ld-19";

/// The compiler of the page.
#[derive(Clone, Copy)]
pub(crate) enum Compiler {
    /// The toolchain in use, which has the target.
    InUse,
    /// Debian's compiler, which builds the standard library too.
    Debian,
}

impl Compiler {
    /// Finds a compiler, fetching the target or Debian's packages if need be.
    pub(crate) fn find() -> Outcome<Self> {
        match env::var("KINDLING_PAGE_COMPILER").as_deref() {
            Ok("rustup") => in_use().ok_or_else(|| format!("the toolchain in use has no {TARGET} and cannot fetch it")),
            Ok("debian") => debian(),
            Ok(other) => Err(format!("KINDLING_PAGE_COMPILER is `{other}`; it can be `rustup` or `debian`")),
            Err(_) => in_use().map_or_else(debian, Ok),
        }
    }

    /// A `cargo build` for wasm32 by this compiler; the caller says what and where to.
    pub(crate) fn cargo_build(self) -> Command {
        let mut build = match self {
            Self::InUse => cargo(),
            Self::Debian => debian_cargo(),
        };
        build.args(["build", "--target", TARGET]);
        if let Self::Debian = self {
            build.args(["-Z", "build-std=std,panic_abort", "-Z", "build-std-features=optimize_for_size"]);
        }
        build
    }

    /// The folder name of what this compiler builds: each has its own, so that going from one to the other and back
    /// rebuilds nothing.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::InUse => "page-build",
            Self::Debian => "page-build-debian",
        }
    }
}

fn debian_cargo() -> Command {
    let mut cargo = command(DEBIAN_CARGO);
    // The toolchain that runs this program speaks of itself in these, and Debian's compiler would believe it.
    for name in ["RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "CARGO", "RUSTC", "RUSTDOC", "RUSTC_WRAPPER"] {
        cargo.env_remove(name);
    }
    cargo.env("RUSTC", DEBIAN_RUSTC);
    // Building the standard library is an unstable option, which a stable compiler takes when told so.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
    cargo
}

fn in_use() -> Option<Compiler> {
    (has_target() || fetch_target()).then_some(Compiler::InUse)
}

fn has_target() -> bool {
    let libdir = output(command("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    libdir.is_some_and(|dir| holds_file(Path::new(&dir), "libstd-"))
}

fn fetch_target() -> bool {
    if find_program(&["rustup"]).is_none() {
        return false;
    }
    say(&format!("asking rustup for {TARGET}, to build the page with"));
    // Rustup explains a failure at length; what follows here is another route, or one sentence which says what to do.
    let is_fetched = output(command("rustup").args(["target", "add", TARGET])).is_some() && has_target();
    if !is_fetched {
        eprintln!("rustup could not fetch it");
    }
    is_fetched
}

fn debian() -> Outcome<Compiler> {
    if !debian_is_complete() {
        say("installing Debian's compiler for the page");
        install::apt(&DEBIAN_PACKAGES).map_err(|reason| {
            format!(
                "no compiler for the page: rustup has not fetched {TARGET}, and Debian's packages were not installed \
                 ({reason}).\nEither `rustup target add {TARGET}` or `apt-get install {}` has to work on this machine.",
                DEBIAN_PACKAGES.join(" ")
            )
        })?;
    }
    if debian_is_complete() {
        return Ok(Compiler::Debian);
    }
    Err(format!("Debian's compiler for the page is not complete: {} are needed", DEBIAN_PACKAGES.join(", ")))
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

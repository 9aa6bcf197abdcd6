//! The program for systems with an older C library, such as the nodes of a cluster. The version of the C library that a program needs is decided
//! when it is linked, so only that is done again: by Zig, which has a description of the symbols of every version of glibc. The objects are those
//! of the build before; C code in them must not have been compiled against headers of glibc 2.38 or later, which rename functions.

use std::path::{Path, PathBuf};

use super::{make_executable, symbols, write};
use crate::shell::{Outcome, cargo, command, find_program, output, run, say};

/// Oldest version of glibc that the program runs with.
pub(super) const GLIBC: &str = "2.28";

/// Links the program into `folder/kindling-older`; returns the path. `None` where Zig is not installed.
pub(super) fn link(folder: &Path) -> Outcome<Option<PathBuf>> {
    let Some(zig) = find_zig() else {
        say(&format!("no program for glibc {GLIBC}: Zig is not installed; `pip install ziglang` or `zig` in PATH"));
        return Ok(None);
    };
    say(&format!("linking the program for glibc {GLIBC}"));
    let linker = folder.join("zig-linker");
    write(&linker, script(&zig).as_bytes())?;
    make_executable(&linker)?;
    let program = folder.join("kindling-older");
    let mut rustc = cargo();
    rustc.args(["rustc", "--release", "--package", "kindling", "--bin", "kindling", "--", "-C"]);
    rustc.arg(format!("linker={}", linker.display()));
    // Beside the program for this machine, not in its place.
    run(rustc.arg("--emit").arg(format!("link={}", program.display())))?;
    super::remove(&linker)?;
    let needed = symbols::glibc_of(&program)?;
    match symbols::is_newer(&needed, GLIBC) {
        true => Err(format!("{} needs glibc {needed}, not {GLIBC}: `objdump -T` names the symbols", program.display())),
        false => Ok(Some(program)),
    }
}

/// The words that start Zig: a program in `PATH`, or the package `ziglang` of Python.
fn find_zig() -> Option<Vec<String>> {
    if let Some(zig) = find_program(&["zig"]) {
        return Some(vec![zig.to_str()?.to_owned()]);
    }
    let python = find_program(&["python3", "python"])?;
    output(command(&python).args(["-m", "ziglang", "version"]))?;
    Some(vec![python.to_str()?.to_owned(), "-m".to_owned(), "ziglang".to_owned()])
}

/// A program that links as `cc` does, for rustc.
fn script(zig: &[String]) -> String {
    let words: Vec<String> = zig.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    format!("#!/bin/sh\nexec {} cc -target {}-linux-gnu.{GLIBC} \"$@\"\n", words.join(" "), std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_quotes_is_one_word_of_the_script() {
        let text = script(&["/opt/it's zig/zig".to_owned()]);
        assert!(
            text.contains(r"exec '/opt/it'\''s zig/zig' cc -target ") && text.contains("-gnu.2.28 \"$@\""),
            "{text}"
        );
    }
}

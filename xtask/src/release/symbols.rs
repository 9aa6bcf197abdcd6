//! The version of the C library that a program needs: the newest of its symbols.

use std::path::Path;

use crate::shell::{Outcome, command, output};

/// The newest version of glibc whose symbols a program uses.
pub(super) fn glibc_of(program: &Path) -> Outcome<String> {
    let symbols = output(command("objdump").arg("-T").arg(program)).ok_or("`objdump -T` failed: install binutils")?;
    newest_glibc(&symbols).ok_or_else(|| format!("{} uses no symbol of glibc", program.display()))
}

fn newest_glibc(symbols: &str) -> Option<String> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        version(&rest[..end])
    });
    let newest = versions.max()?;
    Some(newest.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
}

fn version(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

/// Whether version `wanted` is newer than version `than`.
pub(super) fn is_newer(wanted: &str, than: &str) -> bool {
    version(wanted) > version(than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_the_c_library_is_found() {
        let symbols =
            "0 DF *UND* 0 (GLIBC_2.2.5) read\n0 DF *UND* 0 (GLIBC_2.34) dlsym\n0 DF *UND* 0 (GLIBC_2.9) pipe2";
        assert_eq!(newest_glibc(symbols).as_deref(), Some("2.34"));
        assert_eq!(newest_glibc("no symbols"), None);
        assert!(is_newer("2.34", "2.28") && !is_newer("2.9", "2.28") && !is_newer("2.28", "2.28"));
    }
}

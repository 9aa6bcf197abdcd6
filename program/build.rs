//! Puts the built page (`target/page`, made by `cargo xtask page`) into the program: a table of paths, contents and hashes.
//! Without a built page the table is empty and the server says how to build it. This is a package of its own, so that a new page
//! compiles no library again.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let page = root.join("target").join("page");
    // Cargo reruns this script at each build while a watched folder is missing, so the folder is created.
    fs::create_dir_all(&page)?;
    println!("cargo:rerun-if-changed={}", page.display());
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = Vec::new();
    collect(&page, &mut files)?;
    files.sort();
    let table = PathBuf::from(env::var("OUT_DIR")?).join("page.rs");
    fs::write(table, write_table(&page, &files)?)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// One line per file, sorted by path, for binary search.
fn write_table(page: &Path, files: &[PathBuf]) -> Result<String, Box<dyn std::error::Error>> {
    let name_of = |file: &PathBuf| file.strip_prefix(page).map(|name| name.to_string_lossy().replace('\\', "/"));
    let mut named =
        files.iter().map(|file| Ok((name_of(file)?, file))).collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
    named.sort();
    let mut text = String::from("&[\n");
    for (name, file) in named {
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(file)?);
        let content = fs::canonicalize(file)?;
        writeln!(
            text,
            "    PageFile {{ path: {name:?}, etag: \"\\\"{:016x}\\\"\", content: include_bytes!({:?}) }},",
            hasher.finish(),
            content
        )?;
    }
    text.push(']');
    Ok(text)
}

//! Path, name and size of each file of the page. [`super`] compiles the programs.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{PROGRAM, read, write};
use crate::shell::Outcome;

/// The line of `public/index.html` that is replaced by the tags that start the program.
const START_MARK: &str = "<!-- kindling -->";
/// Minimum size of a file that is compressed: a smaller one fits into one packet uncompressed.
const COMPRESS_FROM_BYTES: usize = 1024;

/// Copies the files of `public` to `page`. Those that index.html names (`"./style.css"`) go to `assets` under a name with their hash, which
/// replaces the name in index.html; the rest keep their names. index.html starts the program in the folder `name` of `assets`.
pub(super) fn place_public(public: &Path, page: &Path, name: &str) -> Outcome<()> {
    let index_file = public.join("index.html");
    let mut index = String::from_utf8(read(&index_file)?).map_err(|_| "public/index.html is not UTF-8".to_owned())?;
    for file in files_in(public)?.into_iter().filter(|file| *file != index_file) {
        let content = read(&file)?;
        let path = relative(&file, public);
        let reference = format!("\"./{path}\"");
        let placed = if index.contains(&reference) { hashed(&path, &content) } else { path };
        index = index.replace(&reference, &format!("\"./{placed}\""));
        write(&page.join(placed), &content)?;
    }
    write(&page.join("index.html"), index_with_start(&index, page, name)?.as_bytes())
}

/// index.html with the tags that start the program. The script is a separate file, because the content security policy of the server
/// allows no inline script.
fn index_with_start(index: &str, page: &Path, name: &str) -> Outcome<String> {
    if !index.contains(START_MARK) {
        return Err(format!(
            "public/index.html has no line `{START_MARK}`, which the tags that start the program replace"
        ));
    }
    let (script_file, module) = (format!("{name}/{PROGRAM}.js"), format!("{name}/{PROGRAM}_bg.wasm"));
    // Relative to the script itself: under which path the page is served is not known here.
    let script = format!(
        "import start from \"./{script_file}\";\nstart({{ module_or_path: new URL(\"./{module}\", import.meta.url) }});\n"
    );
    let start = hashed("start.js", script.as_bytes());
    write(&page.join(&start), script.as_bytes())?;
    let lines = [
        format!("<link rel=\"modulepreload\" href=\"./assets/{script_file}\">"),
        format!("<link rel=\"preload\" href=\"./assets/{module}\" as=\"fetch\" type=\"application/wasm\" crossorigin>"),
        format!("<script type=\"module\" src=\"./{start}\"></script>"),
    ];
    Ok(index.replace(START_MARK, &lines.join("\n    ")))
}

/// `fonts/a.css` becomes `assets/a-0123456789ab.css`.
fn hashed(path: &str, content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(path.as_bytes());
    hasher.write(content);
    let hash = format!("{:016x}", hasher.finish());
    let name = path.rsplit('/').next().unwrap_or(path);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
    format!("assets/{stem}-{}.{extension}", &hash[..12])
}

/// Writes compressed copies of the files that become smaller.
pub(super) fn compress(page: &Path) -> Outcome<()> {
    for file in files_in(page)? {
        let content = read(&file)?;
        if content.len() < COMPRESS_FROM_BYTES {
            continue;
        }
        let packed = [("br", brotli(&content)), ("gz", gzip(&content))];
        for (suffix, packed) in packed {
            let packed = packed.map_err(|error| format!("{} could not be compressed: {error}", file.display()))?;
            if packed.len() < content.len() {
                write(&with_suffix(&file, suffix), &packed)?;
            }
        }
    }
    Ok(())
}

fn brotli(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut &content[..], &mut packed, &params)?;
    Ok(packed)
}

fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

/// Prints the files of the page with their sizes in kB (1,000 bytes), and the sum of those that every visit needs. What the first visit of
/// each page transfers is measured by tests/browser/weight.test.mjs.
pub(super) fn print_sizes(page: &Path) -> Outcome<()> {
    let is_packed = |file: &Path| file.extension().is_some_and(|suffix| suffix == "br" || suffix == "gz");
    let is_part = |file: &Path| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".wasm") && !name.starts_with(PROGRAM)
    };
    let mut common_bytes = 0;
    for file in files_in(page)?.iter().filter(|file| !is_packed(file)) {
        let plain_bytes = size_bytes(file).unwrap_or(0);
        let sent_bytes = size_bytes(&with_suffix(file, "br")).unwrap_or(plain_bytes);
        let when = if is_part(file) { "on demand" } else { "" };
        common_bytes += if is_part(file) { 0 } else { sent_bytes };
        let path = relative(file, page);
        eprintln!("{:>9.1} kB  {:>9.1} kB uncompressed  {path}  {when}", kilo(sent_bytes), kilo(plain_bytes));
    }
    eprintln!("{:>9.1} kB  in total without the parts, compressed", kilo(common_bytes));
    Ok(())
}

/// All files below a folder, sorted.
pub(super) fn files_in(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{} could not be read: {error}", folder.display()))?;
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            files.append(&mut files_in(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The path relative to `folder`, with forward slashes as in a URL.
fn relative(file: &Path, folder: &Path) -> String {
    let path = file.strip_prefix(folder).unwrap_or(file);
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn size_bytes(file: &Path) -> Option<u64> {
    fs::metadata(file).ok().map(|metadata| metadata.len())
}

fn kilo(bytes: u64) -> f64 {
    bytes as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(files: &[(&str, &str)]) -> (PathBuf, Outcome<()>) {
        let folder = std::env::temp_dir().join(format!("kindling-layout-{}-{}", std::process::id(), files.len()));
        let _ = fs::remove_dir_all(&folder);
        let public = folder.join("public");
        files.iter().for_each(|(name, content)| write(&public.join(name), content.as_bytes()).unwrap());
        let page = folder.join("page");
        let outcome = place_public(&public, &page, "kindling-abc");
        (page, outcome)
    }

    #[test]
    fn named_files_are_renamed_and_the_rest_keep_their_names() {
        let index = "<link href=\"./style.css\"><!-- kindling -->";
        let (page, outcome) = page_of(&[("index.html", index), ("style.css", "a{}"), ("icons/run.svg", "<svg/>")]);
        outcome.unwrap();
        let index = fs::read_to_string(page.join("index.html")).unwrap();
        assert!(page.join("icons/run.svg").is_file());
        assert!(!page.join("style.css").exists());
        for address in index.split('"').filter(|word| word.starts_with("./assets/") && !word.contains("kindling-abc")) {
            assert!(page.join(&address[2..]).is_file(), "index.html names {address}, which does not exist");
        }
    }

    #[test]
    fn an_index_without_the_start_mark_is_an_error() {
        let (_, outcome) = page_of(&[("index.html", "<html></html>")]);
        assert!(outcome.unwrap_err().contains(START_MARK));
    }

    #[test]
    fn a_changed_file_gets_another_name() {
        assert_ne!(hashed("style.css", b"a{}"), hashed("style.css", b"b{}"));
    }
}

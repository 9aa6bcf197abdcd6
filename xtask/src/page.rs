//! The page: `app/` compiled for the browser, and `public/`, laid out as the server sends them, in `target/page`.
//!
//! What lies in `target/page/assets` carries a hash of its content in its name and never changes under that name, so
//! that a browser may keep it for good; everything else is to be asked for again. Files which gain from it have
//! compressed siblings, `.br` and `.gz`.

mod layout;

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;

use crate::compiler::{Compiler, TARGET};
use crate::shell::{Outcome, command, find_program, output, root, run, say};

/// The programs of the page: the feature of `app` each is built with, and the file that starts it. Two, so that neither
/// is heavy.
const PROGRAMS: [(&str, &str); 2] = [("lab", "index.html"), ("xray", "xray.html")];
/// The first version of wasm-opt that is used.
const WASM_OPT_FROM: u32 = 116;

/// Builds the page; when nothing has changed since the last time, leaves `target/page` as it is.
pub(crate) fn build() -> Outcome<()> {
    let compiler = Compiler::find()?;
    let modules = PROGRAMS.iter().map(|(part, _)| compile(compiler, part)).collect::<Outcome<Vec<_>>>()?;
    let stamp = stamp(&modules)?;
    let stamp_file = root().join("target").join("page.stamp");
    let page = root().join("target").join("page");
    if page.join("index.html").is_file() && fs::read_to_string(&stamp_file).is_ok_and(|last| last == stamp) {
        eprintln!("the page is up to date");
        return Ok(());
    }
    assemble(&modules, &stamp, &page)?;
    write(&stamp_file, stamp.as_bytes())?;
    PROGRAMS.iter().try_for_each(|(part, _)| layout::print_weight(&page, &format!("kindling-{part}-")))
}

/// Compiles a part of `app/`. Gives back the WebAssembly module, without its JavaScript yet.
fn compile(compiler: Compiler, part: &str) -> Outcome<PathBuf> {
    say(&format!("compiling the page: {part}"));
    let folder = root().join("target").join(compiler.folder());
    let app = ["--package", "app", "--no-default-features", "--features", part, "--profile", "page", "--target-dir"];
    run(compiler.cargo_build().args(app).arg(&folder))?;
    let built = folder.join(TARGET).join("page").join("app.wasm");
    let module = built.with_file_name(format!("{part}.wasm"));
    fs::copy(&built, &module).map_err(|error| format!("{} cannot be copied: {error}", built.display()))?;
    Ok(module)
}

/// A fingerprint of all that the page is made of, this program and the optimizer included.
fn stamp(modules: &[PathBuf]) -> Outcome<String> {
    let program = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    let public = layout::files_in(&root().join("public"))?;
    let mut hasher = DefaultHasher::new();
    for file in modules.iter().chain([&program]).chain(&public) {
        hasher.write(file.to_string_lossy().as_bytes());
        hasher.write(&read(file)?);
    }
    hasher.write_u8(wasm_opt().is_some().into());
    Ok(format!("{:016x}", hasher.finish()))
}

/// Lays the page out aside and then puts it in place, so that no server is ever built around half a page.
fn assemble(modules: &[PathBuf], stamp: &str, page: &Path) -> Outcome<()> {
    say("laying the page out");
    let aside = page.with_extension("new");
    remove_folder(&aside)?;
    let assets = aside.join("assets");
    let mut starts = vec![];
    for ((part, index), module) in PROGRAMS.iter().zip(modules) {
        let name = format!("kindling-{part}-{}", &stamp[..12]);
        bind(module, &name, &assets)?;
        optimize(&assets.join(format!("{name}_bg.wasm")))?;
        starts.push((*index, name));
    }
    layout::place_public(&root().join("public"), &aside, &starts)?;
    layout::compress(&aside)?;
    remove_folder(page)?;
    fs::rename(&aside, page).map_err(|error| format!("{} cannot be put in place: {error}", page.display()))
}

/// Writes the module and the JavaScript which connects it to the browser.
fn bind(wasm: &Path, name: &str, folder: &Path) -> Outcome<()> {
    let mut bindgen = Bindgen::new();
    let bound = bindgen
        .input_path(wasm)
        .out_name(name)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .web(true)
        .and_then(|bindgen| bindgen.generate(folder));
    bound.map_err(|error| format!("wasm-bindgen failed on {}: {error:#}", wasm.display()))
}

/// Shrinks the module if a suitable wasm-opt is installed; the page works without.
fn optimize(module: &Path) -> Outcome<()> {
    let Some(wasm_opt) = wasm_opt() else { return Ok(()) };
    let smaller = module.with_extension("opt");
    // What today's compilers emit and browsers have had for years.
    let features = [
        "--enable-bulk-memory",
        "--enable-mutable-globals",
        "--enable-multivalue",
        "--enable-nontrapping-float-to-int",
        "--enable-reference-types",
        "--enable-sign-ext",
    ];
    run(command(wasm_opt).arg("-Oz").args(features).arg(module).arg("-o").arg(&smaller))?;
    fs::rename(&smaller, module).map_err(|error| format!("{} cannot be replaced: {error}", module.display()))
}

/// A wasm-opt recent enough. Older ones export the wrong table without a word, and the page then does not start: seen
/// with 108, which is Debian 12's (binaryen issue 4711).
fn wasm_opt() -> Option<PathBuf> {
    let program = find_program(&["wasm-opt"])?;
    let version = output(command(&program).arg("--version"))?;
    let number = version.split_whitespace().find_map(|word| word.parse::<u32>().ok())?;
    (number >= WASM_OPT_FROM).then_some(program)
}

fn remove_folder(folder: &Path) -> Outcome<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| format!("{} cannot be removed: {error}", folder.display()))
}

fn read(file: &Path) -> Outcome<Vec<u8>> {
    fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

/// Writes a file, making the folder it lies in.
fn write(file: &Path, content: &[u8]) -> Outcome<()> {
    let folder = file.parent().unwrap_or(file);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, content));
    written.map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

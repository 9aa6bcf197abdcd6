//! Builds the page: `app/`, compiled for the browser, and the files of `public/`, written to `target/page` as the server sends them.
//!
//! Files in `target/page/assets` have a hash of their content in their name and never change under that name, so that browsers cache
//! them permanently; all other files are revalidated. Files that become smaller by it have compressed copies, `.br` and `.gz`.

mod layout;
mod sections;

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;
use wasm_split_cli_support::{Options, transform};

use crate::compiler::{Compiler, TARGET};
use crate::shell::{Outcome, command, find_program, output, root, run, say};

/// Stem of the files of the program; a folder with a hash in its name holds them.
const PROGRAM: &str = "kindling";
/// The script that loads the parts of the program.
const PARTS: &str = "parts.js";
/// Oldest version of wasm-opt that is used.
const WASM_OPT_FROM: u32 = 116;

/// Builds the page. Leaves `target/page` unchanged if no input has changed since the last build.
pub(crate) fn build() -> Outcome<()> {
    let compiler = Compiler::find()?;
    let module = compile(compiler)?;
    let stamp = stamp(&module)?;
    let stamp_file = root().join("target").join("page.stamp");
    let page = root().join("target").join("page");
    if page.join("index.html").is_file() && fs::read_to_string(&stamp_file).is_ok_and(|last| last == stamp) {
        eprintln!("the page is up to date");
        return Ok(());
    }
    assemble(&module, &stamp, &page)?;
    write(&stamp_file, stamp.as_bytes())?;
    layout::print_sizes(&page)
}

/// Compiles `app/`. Returns the path of the WebAssembly module, before it is split.
fn compile(compiler: Compiler) -> Outcome<PathBuf> {
    say("compiling the page");
    let folder = root().join("target").join(compiler.folder());
    run(compiler.cargo_build().args(["--package", "app", "--profile", "page", "--target-dir"]).arg(&folder))?;
    Ok(folder.join(TARGET).join("page").join("app.wasm"))
}

/// A hash of all inputs of the page, including this program and whether wasm-opt is used.
fn stamp(module: &Path) -> Outcome<String> {
    let program =
        std::env::current_exe().map_err(|error| format!("the path of this program could not be read: {error}"))?;
    let public = layout::files_in(&root().join("public"))?;
    let mut hasher = DefaultHasher::new();
    for file in [module, &program].into_iter().chain(public.iter().map(PathBuf::as_path)) {
        hasher.write(file.to_string_lossy().as_bytes());
        hasher.write(&read(file)?);
    }
    hasher.write_u8(wasm_opt().is_some().into());
    Ok(format!("{:016x}", hasher.finish()))
}

/// Writes the page to a temporary folder and renames it, so that no server embeds an incomplete page.
fn assemble(module: &Path, stamp: &str, page: &Path) -> Outcome<()> {
    say("writing the page");
    let temporary = page.with_extension("new");
    remove_folder(&temporary)?;
    let name = format!("{PROGRAM}-{}", &stamp[..12]);
    let folder = temporary.join("assets").join(&name);
    let parts = split(module, &folder)?;
    parts.iter().try_for_each(|part| strip(part))?;
    bind(&module.with_file_name("main.wasm"), &folder)?;
    parts.iter().chain([&folder.join(format!("{PROGRAM}_bg.wasm"))]).try_for_each(|module| optimize(module))?;
    layout::place_public(&root().join("public"), &temporary, &name)?;
    layout::compress(&temporary)?;
    remove_folder(page)?;
    fs::rename(&temporary, page).map_err(|error| format!("{} could not be renamed: {error}", temporary.display()))
}

/// Splits the module: `main.wasm` beside it, and the parts in `folder`, with the script that loads them. Returns the paths of the parts.
fn split(module: &Path, folder: &Path) -> Outcome<Vec<PathBuf>> {
    let input = read(module)?;
    let main = module.with_file_name("main.wasm");
    let (link, program) = (format!("./{PARTS}"), format!("./{PROGRAM}.js"));
    let mut options = Options::new(&input);
    options.output_dir = folder;
    options.main_out_path = &main;
    options.link_name = &link;
    options.main_module = &program;
    let split = transform(options).map_err(|error| format!("{} could not be split: {error:#}", module.display()))?;
    Ok(split.split_modules)
}

/// Removes the custom sections of a part. wasm-bindgen removes those of the main module.
fn strip(part: &Path) -> Outcome<()> {
    let stripped = sections::without_custom(&read(part)?);
    write(part, &stripped.ok_or_else(|| format!("{} is not a WebAssembly module", part.display()))?)
}

/// Runs wasm-bindgen: writes the main module and the JavaScript that connects it to the browser.
fn bind(wasm: &Path, folder: &Path) -> Outcome<()> {
    let mut bindgen = Bindgen::new();
    let bound = bindgen
        .input_path(wasm)
        .out_name(PROGRAM)
        .typescript(false)
        // The parts import symbols of the main module by these names.
        .keep_lld_exports(true)
        .demangle(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .web(true)
        .and_then(|bindgen| bindgen.generate(folder));
    bound.map_err(|error| format!("wasm-bindgen failed on {}: {error:#}", wasm.display()))
}

/// Optimizes the module for size if a suitable wasm-opt is installed. The page also works without it.
fn optimize(module: &Path) -> Outcome<()> {
    let Some(wasm_opt) = wasm_opt() else { return Ok(()) };
    let smaller = module.with_extension("opt");
    // WebAssembly features that rustc emits and all current browsers support.
    let features = [
        "--enable-bulk-memory",
        "--enable-mutable-globals",
        "--enable-multivalue",
        "--enable-nontrapping-float-to-int",
        "--enable-reference-types",
        "--enable-sign-ext",
    ];
    run(command(wasm_opt).arg("-Oz").args(features).arg(module).arg("-o").arg(&smaller))?;
    fs::rename(&smaller, module).map_err(|error| format!("{} could not be replaced: {error}", module.display()))
}

/// The path of a wasm-opt of version [`WASM_OPT_FROM`] or later. Older versions export the wrong table without an error, and the page does
/// not start: seen with 108 of Debian 12 (binaryen issue 4711).
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
    fs::remove_dir_all(folder).map_err(|error| format!("{} could not be removed: {error}", folder.display()))
}

fn read(file: &Path) -> Outcome<Vec<u8>> {
    fs::read(file).map_err(|error| format!("{} could not be read: {error}", file.display()))
}

/// Writes a file and creates its folder.
fn write(file: &Path, content: &[u8]) -> Outcome<()> {
    let folder = file.parent().unwrap_or(file);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, content));
    written.map_err(|error| format!("{} could not be written: {error}", file.display()))
}

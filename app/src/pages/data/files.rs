//! Files of a drop or of a file dialog; folders are walked.

use js_sys::{Array, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DataTransfer, File, FileList, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry};

/// A file with its path: `stories/a.txt`.
pub(super) type Named = (String, File);

/// Extensions of files that are imported from folders; a file that is selected by itself is imported whatever its name.
const TEXT_EXTENSIONS: [&str; 7] = [".txt", ".md", ".markdown", ".text", ".rst", ".jsonl", ".ndjson"];

/// Whether a file is JSON Lines: one document per line.
pub(super) fn is_json_lines(name: &str) -> bool {
    let name = name.to_lowercase();
    name.ends_with(".jsonl") || name.ends_with(".ndjson")
}

fn is_text(path: &str) -> bool {
    let is_hidden = path.split('/').any(|part| part.starts_with('.'));
    !is_hidden && TEXT_EXTENSIONS.iter().any(|extension| path.to_lowercase().ends_with(extension))
}

/// The files of a file dialog. Those of a folder have a path relative to it.
pub(super) fn chosen(files: Option<FileList>) -> Vec<Named> {
    let files = files.iter().flat_map(|files| (0..files.length()).filter_map(|at| files.get(at))).collect::<Vec<_>>();
    let named = files.into_iter().map(|file| {
        let path = Reflect::get(&file, &"webkitRelativePath".into())
            .ok()
            .and_then(|path| path.as_string())
            .unwrap_or_default();
        (path, file)
    });
    named
        .filter(|(path, _)| path.is_empty() || is_text(path))
        .map(|(path, file)| if path.is_empty() { (file.name(), file) } else { (path, file) })
        .collect()
}

/// The entries of a drop. They must be read during the event; walking them takes longer.
pub(super) fn entries(transfer: &DataTransfer) -> Vec<FileSystemEntry> {
    let items = transfer.items();
    (0..items.length())
        .filter_map(|at| items.get(at))
        .filter_map(|item| item.webkit_get_as_entry().ok().flatten())
        .collect()
}

/// All files below the entries, folder by folder.
pub(super) async fn walk(entries: Vec<FileSystemEntry>) -> Vec<Named> {
    let mut waiting: Vec<(FileSystemEntry, bool)> = entries.into_iter().map(|entry| (entry, true)).collect();
    let mut files = vec![];
    while let Some((entry, is_selected)) = waiting.pop() {
        if entry.is_directory() {
            waiting.extend(children(entry.unchecked_into()).await.into_iter().map(|child| (child, false)));
            continue;
        }
        let path = entry.full_path().trim_start_matches('/').to_owned();
        if is_selected || is_text(&path) {
            files.extend(file(entry.unchecked_into()).await.map(|file| (path, file)));
        }
    }
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

/// The children of a folder. The reader returns some entries at a time, until there are none.
async fn children(folder: FileSystemDirectoryEntry) -> Vec<FileSystemEntry> {
    let reader = folder.create_reader();
    let mut all = vec![];
    loop {
        let some = settled(|resolve, reject| reader.read_entries_with_callback_and_callback(resolve, reject)).await;
        let some: Array = some.and_then(|some| some.dyn_into().ok()).unwrap_or_default();
        if some.length() == 0 {
            return all;
        }
        all.extend(some.iter().map(JsCast::unchecked_into::<FileSystemEntry>));
    }
}

/// `None` for a file that cannot be read, because it was moved.
async fn file(entry: FileSystemFileEntry) -> Option<File> {
    settled(|resolve, reject| {
        entry.file_with_callback_and_callback(resolve, reject);
        Ok(())
    })
    .await
    .and_then(|file| file.dyn_into().ok())
}

/// Waits for a pair of callbacks.
async fn settled(
    mut start: impl FnMut(&js_sys::Function, &js_sys::Function) -> Result<(), JsValue>,
) -> Option<JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        if start(&resolve, &reject).is_err() {
            let _ = reject.call0(&JsValue::NULL);
        }
    });
    JsFuture::from(promise).await.ok()
}

/// The text fields in the first line of a JSON Lines file, so that one can be selected before the upload.
pub(super) async fn text_fields(file: &File) -> Vec<String> {
    let Ok(head) = file.slice_with_f64_and_f64(0.0, 262_144.0) else { return vec![] };
    let Ok(text) = JsFuture::from(head.text()).await else { return vec![] };
    let text = text.as_string().unwrap_or_default();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(first) else { return vec![] };
    fields.into_iter().filter(|(_, value)| value.is_string()).map(|(name, _)| name).collect()
}

//! Files of a drop or of a file dialog; folders are walked.

use js_sys::{Array, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DataTransfer, File, FileList, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry};

/// A file with its path: `stories/a.txt`.
pub(super) type Named = (String, File);

/// The files that are sent, and the names of those of a folder that are not.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: Vec<Named>,
    pub(super) left_out: Vec<String>,
}

/// Extensions of files that are sent from folders; a file that is selected by itself is sent whatever its name.
const EXTENSIONS: [&str; 14] = [
    ".txt",
    ".md",
    ".markdown",
    ".text",
    ".rst",
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".tab",
    ".parquet",
    ".gz",
    ".zst",
];

fn is_readable(path: &str) -> bool {
    let is_hidden = path.split('/').any(|part| part.starts_with('.'));
    !is_hidden && EXTENSIONS.iter().any(|extension| path.to_lowercase().ends_with(extension))
}

impl Found {
    fn add(&mut self, path: String, file: File, is_selected: bool) {
        match is_selected || is_readable(&path) {
            true => self.files.push((path, file)),
            false => self.left_out.push(path),
        }
    }

    fn sorted(mut self) -> Self {
        self.files.sort_by(|one, other| one.0.cmp(&other.0));
        self.left_out.sort();
        self
    }
}

/// The files of a file dialog. Those of a folder have a path relative to it.
pub(super) fn chosen(files: Option<FileList>) -> Found {
    let mut found = Found::default();
    let files = files.iter().flat_map(|files| (0..files.length()).filter_map(|at| files.get(at))).collect::<Vec<_>>();
    for file in files {
        let path = Reflect::get(&file, &"webkitRelativePath".into())
            .ok()
            .and_then(|path| path.as_string())
            .unwrap_or_default();
        match path.is_empty() {
            true => found.add(file.name(), file, true),
            false => found.add(path, file, false),
        }
    }
    found.sorted()
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
pub(super) async fn walk(entries: Vec<FileSystemEntry>) -> Found {
    let mut waiting: Vec<(FileSystemEntry, bool)> = entries.into_iter().map(|entry| (entry, true)).collect();
    let mut found = Found::default();
    while let Some((entry, is_selected)) = waiting.pop() {
        if entry.is_directory() {
            waiting.extend(children(entry.unchecked_into()).await.into_iter().map(|child| (child, false)));
            continue;
        }
        let path = entry.full_path().trim_start_matches('/').to_owned();
        if let Some(file) = file(entry.unchecked_into()).await {
            found.add(path, file, is_selected);
        }
    }
    found.sorted()
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

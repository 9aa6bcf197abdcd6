//! The text files of the repository, read once. Built and downloaded files and lab folders are left out.

use std::fs;
use std::path::Path;

use crate::shell::Outcome;

/// Folders without source files.
const SKIPPED_FOLDERS: [&str; 4] = [".git", "kindling-data", "node_modules", "target"];
/// Extensions of the files that are read.
const EXTENSIONS: [&str; 10] = ["css", "html", "md", "mjs", "py", "rs", "sql", "svg", "toml", "wgsl"];

/// One text file.
pub(super) struct Source {
    /// Path from the root of the workspace, with `/` on every system.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    /// The part of the name after the last dot.
    pub(super) fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// The lines with their numbers, from 1.
    pub(super) fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// All text files, sorted by path, and the paths of all other files.
pub(super) struct Sources {
    files: Vec<Source>,
    /// Every file and folder, folders with a `/` at the end.
    paths: Vec<String>,
}

impl Sources {
    /// Reads the repository with this root.
    pub(super) fn read(root: &Path) -> Outcome<Self> {
        let mut sources = Self { files: vec![], paths: vec![] };
        sources.visit(root, "")?;
        sources.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(sources)
    }

    /// A repository made of these texts, for tests of the checks.
    #[cfg(test)]
    pub(super) fn of(texts: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
        Self {
            files: texts.iter().map(file).collect(),
            paths: texts.iter().map(|(path, _)| (*path).to_owned()).collect(),
        }
    }

    /// The files with one of these extensions.
    pub(super) fn with_extension<'a>(&'a self, extensions: &'a [&str]) -> impl Iterator<Item = &'a Source> {
        self.files.iter().filter(move |file| extensions.contains(&file.extension()))
    }

    /// One file by its path.
    pub(super) fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a file or folder has this path, or ends with it after a `/`: `train.rs` for
    /// `crates/engine/src/train.rs`.
    pub(super) fn has_path_ending(&self, end: &str) -> bool {
        let end = end.strip_prefix("./").unwrap_or(end);
        let is_this = |path: &str| path.strip_suffix(end).is_some_and(|start| start.is_empty() || start.ends_with('/'));
        self.paths.iter().any(|path| is_this(path) || is_this(path.trim_end_matches('/')))
    }

    fn visit(&mut self, folder: &Path, prefix: &str) -> Outcome<()> {
        let failed = |error| format!("{} could not be read: {error}", folder.display());
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if SKIPPED_FOLDERS.contains(&name.as_str()) {
                continue;
            }
            if entry.path().is_dir() {
                self.paths.push(format!("{path}/"));
                self.visit(&entry.path(), &format!("{path}/"))?;
            } else {
                self.add(entry.path().as_path(), path)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, file: &Path, path: String) -> Outcome<()> {
        self.paths.push(path.clone());
        if file.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known)) {
            let text = fs::read_to_string(file).map_err(|error| format!("{path} could not be read: {error}"))?;
            self.files.push(Source { path, text });
        }
        Ok(())
    }
}

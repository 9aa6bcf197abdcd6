//! Files of `/sys`: one number or a few words each. Below a folder that tests replace.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder of such files.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// A folder in it.
    pub(super) fn folder(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// The folders in it whose names begin with `start`, by name; none if it cannot be read.
    pub(super) fn folders(&self, start: &str) -> Vec<Self> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_named = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
        let mut found: Vec<PathBuf> = entries.filter(|path| is_named(path)).collect();
        found.sort();
        found.into_iter().map(Self).collect()
    }

    /// The text of a file; `None` if there is none, or if the driver refuses to read the value.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.0.join(name)).ok().map(|text| text.trim().to_owned())
    }

    /// The whole number in a file.
    pub(super) fn integer(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The number in a file, in a smaller unit: so many of them are one.
    pub(super) fn scaled(&self, name: &str, per_unit: f64) -> Option<f64> {
        self.text(name)?.parse::<f64>().ok().map(|value| value / per_unit)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes files of a `/sys` for a test.
    pub(crate) fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
}

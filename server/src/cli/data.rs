//! The option that names the lab's folder, which most subcommands share.

use std::path::{Path, PathBuf};

use clap::Args;

/// Default folder of the lab, if neither `--data` nor `KINDLING_DATA` names one.
const DEFAULT_DATA: &str = "kindling-data";

/// The folder of the lab.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// Folder of the lab: its runs, datasets, checkpoints and tokens
    #[arg(long = "data", value_name = "DIR", env = "KINDLING_DATA", default_value = DEFAULT_DATA, global = true)]
    pub folder: PathBuf,
}

/// The folder contains no lab.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} contains no lab: no server and no training run has used this folder yet. Start one with `kindling serve --data {}`, or name the lab's \
     folder with --data",
    folder.display(),
    folder.display()
)]
pub struct UnusedFolder {
    folder: PathBuf,
}

impl DataArgs {
    /// The folder, if it contains a lab.
    ///
    /// # Errors
    /// No server or training has used it; nothing is created.
    pub fn used(&self) -> Result<&Path, UnusedFolder> {
        match self.folder.join("lab.db").is_file() {
            true => Ok(&self.folder),
            false => Err(UnusedFolder { folder: self.folder.clone() }),
        }
    }
}

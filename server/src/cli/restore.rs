//! `kindling restore`: a lab from its backup, in a new folder.

use std::path::{Path, PathBuf};

use clap::Args;
use store::{Store, StoreError};
use tokio::task::JoinError;
use wire::{Author, Event, RunState};

use super::data::DataArgs;
use super::progress_bar::Line;
use crate::export::restore::{RestoreError, unpack};
use crate::live::feed::report;
use crate::output::{self, OutputError};

const EXAMPLES: &str = "\
Examples:
  Restore a lab into a new folder and serve it:
    kindling restore lab-monday.tar --data my-lab
    kindling serve --data my-lab";

const MB: u64 = 1_000_000;

/// Creates a lab folder from a backup; runs that were training during the backup can be resumed from their newest checkpoint.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RestoreArgs {
    /// Backup, made by `kindling backup`
    backup: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling restore`.
#[derive(Debug, thiserror::Error)]
pub enum RestoreFailure {
    #[error(transparent)]
    Backup(#[from] RestoreError),
    #[error("the backup is complete, but the lab in it cannot be opened: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Output(#[from] OutputError),
    #[error("the restoration was interrupted: {source}")]
    Interrupted {
        /// The task.
        #[from]
        source: JoinError,
    },
}

impl RestoreArgs {
    /// Unpacks the backup, checks it, and opens the lab once.
    ///
    /// # Errors
    /// The folder is in use; the file is no backup, cut short or damaged; the disk is full. The folder is then as before.
    pub async fn run(self) -> Result<(), RestoreFailure> {
        let (backup, folder) = (self.backup, self.data.folder);
        let to = folder.clone();
        let unpacked = tokio::task::spawn_blocking(move || {
            let mut line = Line::new("Restoring".to_owned());
            let list = unpack(&backup, &to, &mut |done, total| {
                line.show(done / MB, Some(total / MB), "MB");
            });
            line.end();
            list
        });
        unpacked.await??;
        let interrupted = end_training(&folder).await?;
        output::line(format_args!(
            "{}: the lab is restored. Serve it with `kindling serve --data {0}`.",
            folder.display()
        ))?;
        if interrupted > 0 {
            output::line(format_args!(
                "{interrupted} of its runs were training during the backup. Resume them on their pages."
            ))?;
        }
        Ok(())
    }
}

fn lost() -> Event {
    let message = "the lab was restored from a backup made while this run was training; resume the run to continue from its newest checkpoint";
    Event::Lost { message: message.to_owned() }
}

/// Marks the runs that trained as lost: their workers belong to the lab that was backed up. Returns how many.
async fn end_training(folder: &Path) -> Result<usize, StoreError> {
    let store = Store::open(folder).await?;
    let mut count = 0;
    for run in store.runs(true).await?.into_iter().filter(|run| run.state.is_live()) {
        store.append(&run.id, report(Author::System, run.step, lost(), Some(RunState::Lost))).await?;
        count += 1;
    }
    store.close().await;
    Ok(count)
}

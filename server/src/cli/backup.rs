//! `kindling backup`: the whole lab in one file, also while a server uses the folder.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use store::{Store, StoreError};
use tokio::task::JoinError;
use wire::access::{Role, TokenKind};

use super::data::{DataArgs, UnusedFolder};
use super::progress_bar::Line;
use crate::api::backups::BYTES_HEADER;
use crate::export::backup;
use crate::live::clock::now_ms;
use crate::output::{self, OutputError};
use crate::workers::local;

const EXAMPLES: &str = "\
Examples:
  Back up the lab of this folder, whether or not its server runs:
    kindling backup --to lab-monday.tar
  Restore it on another machine:
    kindling restore lab-monday.tar --data my-lab";

/// Validity of the token that the command makes for itself, ms.
const TOKEN_MS: i64 = 24 * 3600 * 1000;
const MB: u64 = 1_000_000;

/// Writes the whole lab to one file: runs, metrics, checkpoints, datasets, people; also works while its server runs and trains.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BackupArgs {
    #[command(flatten)]
    data: DataArgs,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE.tar")]
    to: PathBuf,
}

/// Errors of `kindling backup`.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} could not be written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        source: io::Error,
    },
    #[error("the server at {url} did not answer: {source}")]
    Server {
        /// Address of the server.
        url: String,
        source: Box<ureq::Error>,
    },
    #[error("the server at {url} made no backup (status {status}): {message}")]
    Refused {
        /// Address of the server.
        url: String,
        /// Status of the answer.
        status: u16,
        /// The answer.
        message: String,
    },
    #[error("{0}")]
    Output(#[from] OutputError),
    #[error("the backup was interrupted: {source}")]
    Interrupted {
        /// The task.
        #[from]
        source: JoinError,
    },
}

impl BackupArgs {
    /// Writes the file, under another name until it is complete.
    ///
    /// # Errors
    /// There is no lab in the folder; the file exists or cannot be written; the server fails.
    pub async fn run(self) -> Result<(), BackupError> {
        let (folder, to) = (self.data.used()?.to_owned(), self.to);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| BackupError::File { path, source }
        };
        // Before the work, not after it.
        if to.exists() {
            return Err(failed(&to)(io::ErrorKind::AlreadyExists.into()));
        }
        let partial = to.with_extension("partial");
        let written = match local::address_of_server(&folder) {
            Some(url) => from_server(&folder, url, &partial).await,
            None => from_folder(&folder, &partial).await,
        };
        if written.is_err() {
            let _ = fs::remove_file(&partial);
        }
        let bytes = written?;
        fs::rename(&partial, &to).map_err(failed(&to))?;
        Ok(output::line(format_args!("{}: {} MB", to.display(), bytes.div_ceil(MB)))?)
    }
}

/// The server writes the backup, because it alone may hold its folder.
async fn from_server(folder: &Path, url: String, to: &Path) -> Result<u64, BackupError> {
    let access = Store::open_access(folder).await?;
    let token = access.add_token("backup", Role::Admin, TokenKind::Api, Some(now_ms() + TOKEN_MS)).await?;
    let (to, bearer) = (to.to_owned(), format!("Bearer {token}"));
    let fetched = tokio::task::spawn_blocking(move || fetch(&url, &bearer, &to)).await;
    if let Some(own) = access.identify(&token).await? {
        access.revoke(own.token_id).await?;
    }
    fetched?
}

fn fetch(url: &str, bearer: &str, to: &Path) -> Result<u64, BackupError> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = agent.get(format!("{url}/api/v1/backup")).header("Authorization", bearer).call();
    let unreachable = |source: ureq::Error| BackupError::Server { url: url.to_owned(), source: source.into() };
    let mut answer = answer.map_err(unreachable)?;
    let status = answer.status().as_u16();
    if status != 200 {
        let message = answer.body_mut().read_to_string().map_err(unreachable)?;
        return Err(BackupError::Refused { url: url.to_owned(), status, message });
    }
    let total = answer.headers().get(BYTES_HEADER).and_then(|bytes| bytes.to_str().ok()?.parse::<u64>().ok());
    let mut content = answer.into_body().into_reader();
    write(to, total, |out| copy(&mut content, out))
}

async fn from_folder(folder: &Path, to: &Path) -> Result<u64, BackupError> {
    let store = Store::open(folder).await?;
    let backup = store.begin_backup(&folder.join("incoming").join("backup")).await?;
    let (id, total) = (store.id().to_owned(), backup::tar_bytes(&backup));
    let to = to.to_owned();
    tokio::task::spawn_blocking(move || write(&to, Some(total), |out| backup::write(&backup, &id, out))).await?
}

/// Writes a file and shows how far it is. Returns its size, bytes.
fn write(
    to: &Path,
    total: Option<u64>,
    work: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<u64, BackupError> {
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    let file = BufWriter::with_capacity(1 << 20, File::create_new(to).map_err(failed)?);
    let mut out = Shown { file, bytes: 0, total, line: Line::new("Backing up".to_owned()) };
    work(&mut out).and_then(|()| out.flush()).map_err(failed)?;
    out.line.end();
    out.file.get_ref().sync_all().map_err(failed)?;
    Ok(out.bytes)
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    io::copy(from, to).map(drop)
}

/// A file, with the progress of its writing.
struct Shown {
    file: BufWriter<File>,
    bytes: u64,
    total: Option<u64>,
    line: Line,
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        self.line.show(self.bytes / MB, self.total.map(|total| total.max(self.bytes) / MB), "MB");
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

//! The errors of the store: what failed, the value, and what to do.

use std::io;
use std::num::ParseIntError;
use std::path::{Path, PathBuf};

use wire::access::agent::AgentBudget;
use wire::access::project::DEFAULT_PROJECT;
use wire::fleet::LOCAL_POOL;
use wire::number::counted;
use wire::sweep::record::{SweepState, TrialState};
use wire::{CheckpointId, DeviceId, RunId, RunState};

use crate::oauth_refusal::OAuthRefusal;

/// A source of any type.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a request to the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses the folder.
    #[error("{} is in use by process {pid}: stop that process, or give another folder", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// The process; 0 if it is not known.
        pid: u32,
    },
    /// The disk is full. Nothing of the call was acknowledged; the same call can be repeated.
    #[error("the disk of {} is full: free some space; the lab then continues by itself", path.display())]
    DiskFull {
        /// The file that was written.
        path: PathBuf,
    },
    /// Another device trains the run now; nothing was stored.
    #[error("{run} is trained by {device} now")]
    OtherDevice {
        run: RunId,
        /// The device that trains it.
        device: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A query of the database failed.
    #[error("the lab's database failed: {source}")]
    Database {
        /// The error of the database.
        source: Source,
    },
    /// No server has used the folder.
    #[error("{} contains no lab: start a server with this folder first (kindling --data {})", dir.display(), dir.display())]
    NoLab {
        /// The folder.
        dir: PathBuf,
    },
    /// An older version wrote the folder.
    #[error(
        "{} was written by an earlier development version of Kindling (format {found}); this version reads format {known}; \
         start with another --data folder. Nothing in the folder was changed",
        dir.display()
    )]
    OlderFormat {
        /// The folder.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this version.
        known: u32,
    },
    /// A newer version wrote the folder.
    #[error(
        "{} was written by a newer version of Kindling (format {found}); this version reads format {known}; use the newer version. \
         Nothing in the folder was changed",
        dir.display()
    )]
    NewerFormat {
        /// The folder.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this version.
        known: u32,
    },
    /// The file with the format's number holds something else.
    #[error("{} contains no format number: {source}; write 1 into it if this version created the folder", path.display())]
    UnreadableFormat {
        /// The file.
        path: PathBuf,
        /// Why the file does not contain a number.
        source: ParseIntError,
    },
    /// A newer version changed the database's tables.
    #[error("the database has schema {found} and this version reads up to {known}: use the newer version of Kindling")]
    NewerSchema {
        /// Schema of the database.
        found: i64,
        /// Newest schema of this version.
        known: i64,
    },
    /// An older version of the server uses the folder.
    #[error(
        "the server of this folder (process {pid}) is an older version of Kindling: restart it with this version first"
    )]
    OlderServer {
        /// The process.
        pid: u32,
    },
    /// Stored data cannot be decoded.
    #[error("{what} in the lab folder cannot be read: {source}")]
    Unreadable {
        /// The data.
        what: String,
        /// The error of the decoder.
        source: Source,
    },
    /// The run does not exist.
    #[error("unknown run {run}")]
    UnknownRun {
        /// The id in the request.
        run: RunId,
    },
    /// The id is taken.
    #[error("a run {run} exists already: use another id")]
    RunExists {
        /// The id.
        run: RunId,
    },
    /// The folder with the run's time series was removed.
    #[error("the time series of {run} are missing: {} was removed. Restore the folder from a backup, or delete the run", path.display())]
    RunFolderMissing {
        run: RunId,
        /// The missing folder.
        path: PathBuf,
    },
    /// A worker trains the run, so it cannot be deleted.
    #[error("{run} is {state:?}: stop it first")]
    RunIsLive { run: RunId, state: RunState },
    /// No worker has loaded the run.
    #[error("{run} is {state:?}, and no worker has loaded it")]
    NotLive { run: RunId, state: RunState },
    /// The run is not in the queue.
    #[error("{run} is {state:?}, not in the queue: only queued runs can be moved")]
    NotQueued { run: RunId, state: RunState },
    /// The checkpoint never existed or was removed.
    #[error("{run} has no checkpoint {checkpoint}: it never existed or was removed")]
    UnknownCheckpoint {
        run: RunId,
        /// The checkpoint in the request.
        checkpoint: CheckpointId,
    },
    /// The checkpoint is needed, so it cannot be deleted.
    #[error("checkpoint {checkpoint} of {run} is needed by {by}")]
    CheckpointNeeded {
        run: RunId,
        checkpoint: CheckpointId,
        /// The reason: what needs it.
        by: String,
    },
    /// A query for runs cannot be read.
    #[error("{}", source.message)]
    InvalidQuery {
        /// The field of the query, its value, and what is valid.
        source: wire::PlanError,
    },
    /// An imported run contradicts itself.
    #[error("{what} cannot be imported: {message}")]
    InvalidImport {
        /// The part of the import.
        what: String,
        /// The problem, with the value.
        message: String,
    },
    /// Reports between the stored and the received ones are missing.
    #[error("reports of {run} start with number {got}, but number {expected} is next: send from there")]
    Gap {
        run: RunId,
        /// The number that is next.
        expected: u64,
        /// The first number received.
        got: u64,
    },
    /// The name of a series cannot be a file name.
    #[error(
        "{name:?} cannot name a series: 1 to {most} bytes, counting 3 for each character other than a-z, 0-9, _, - and ."
    )]
    SeriesName {
        name: String,
        /// Longest allowed, bytes.
        most: usize,
    },
    /// An evaluation task has this name.
    #[error("there is a task {task:?} already: choose another name, or delete it first")]
    TaskExists { task: String },
    /// The lab has as many evaluation tasks as it may have.
    #[error("the lab has {tasks} evaluation tasks of {bytes} bytes, which is the maximum: delete some")]
    TooManyTasks { tasks: u64, bytes: u64 },
    /// No sweep has this id.
    #[error("unknown sweep {id}")]
    UnknownSweep { id: i64 },
    /// The sweep has no trial of this number.
    #[error("sweep {sweep} has no trial {number}")]
    UnknownTrial { sweep: i64, number: u64 },
    /// Somebody has changed the sweep since the sender of a command has read it.
    #[error("sweep {id} has revision {current}, and the command is for revision {revision}: nothing was changed")]
    SweepChanged {
        id: i64,
        /// Revision that the command names.
        revision: u64,
        /// Its current revision.
        current: u64,
    },
    /// The state of the sweep does not allow a command.
    #[error("sweep {id} is {} and cannot be {to}", state.label())]
    SweepState {
        id: i64,
        state: SweepState,
        /// What the command would do to it.
        to: &'static str,
    },
    /// The trial waits or trains.
    #[error("trial {number} of sweep {sweep} is {} and cannot be retried", state.label())]
    TrialNotOver { sweep: i64, number: u64, state: TrialState },
    /// The lab has as many sweeps as may run at a time.
    #[error("{unfinished} sweeps run or are paused, which is the maximum: stop some")]
    TooManySweeps { unfinished: u64 },
    /// No experiment has this id.
    #[error("unknown experiment {id}")]
    UnknownExperiment { id: u64 },
    /// The lab has as many experiments that have not ended as it may have.
    #[error("the lab has {most} experiments that are running or paused, which is the maximum: stop some")]
    TooManyExperiments {
        /// The maximum.
        most: u64,
    },
    /// No research loop has this id.
    #[error("unknown research loop {id}")]
    UnknownLoop { id: u64 },
    /// The lab has as many research loops that have not ended as it may have.
    #[error("the lab has {most} research loops that are running or paused, which is the maximum: stop one")]
    TooManyLoops {
        /// The maximum.
        most: u64,
    },
    /// No agent has this id.
    #[error("unknown agent {id}")]
    UnknownAgent { id: i64 },
    /// The agent may not train any more.
    #[error("the agent {agent:?} was stopped or may only read, so it starts no training")]
    AgentEnded {
        /// Name of its token.
        agent: String,
    },
    /// A budget of an agent does not suffice.
    #[error("{}", over_budget(agent, *budget, [*most, *used, *reserved, *wanted]))]
    AgentBudget {
        /// Name of its token.
        agent: String,
        budget: AgentBudget,
        /// The budget, in the unit of the budget.
        most: f64,
        /// Of runs that have ended and of the trained part of others.
        used: f64,
        /// What is reserved for its runs that have not ended.
        reserved: f64,
        /// Of the refused call.
        wanted: f64,
    },
    /// No proposal has this id.
    #[error("unknown proposal {id}")]
    UnknownProposal { id: i64 },
    /// As many proposals of a token wait for a decision as may.
    #[error("{most} proposals of this token wait for a decision, which is the maximum")]
    TooManyProposals {
        /// The maximum.
        most: u64,
    },
    /// No project has this name.
    #[error("unknown project {project:?}")]
    UnknownProject {
        /// The name.
        project: String,
    },
    /// The lab has as many share links as it may have.
    #[error("the lab has {most} share links, which is the maximum: revoke some")]
    TooManyLinks {
        /// The maximum.
        most: u64,
    },
    /// A person, or a token of the lab, has as many share links as one creator may have.
    #[error("{created_by} has {most} share links, which is the maximum: revoke some")]
    TooManyOwnLinks {
        /// Name of the creator.
        created_by: String,
        /// The maximum.
        most: u64,
    },
    /// A person, or the lab, has as many alert channels as they may have.
    #[error("there are {most} alert channels, which is the maximum: delete some")]
    TooManyChannels {
        /// The maximum.
        most: u64,
    },
    /// The lab has as many conditions on metrics as it may have.
    #[error("the lab has {most} alert conditions, which is the maximum: delete some")]
    TooManyConditions {
        /// The maximum.
        most: u64,
    },
    /// The lab has as many open invitations as it may have.
    #[error("the lab has {most} open invitations, which is the maximum: revoke some")]
    TooManyInvitations {
        /// The maximum.
        most: u64,
    },
    /// A person has as many tokens of programs as they may have.
    #[error("the account has {most} personal API tokens, which is the maximum: revoke some")]
    TooManyTokens {
        /// The maximum.
        most: u64,
    },
    /// The name of a new project is taken.
    #[error("the project {project} exists already")]
    ProjectExists { project: String },
    /// The project cannot be deleted.
    #[error("the project {project} cannot be deleted: {}", in_project(project, *runs, *datasets))]
    ProjectInUse {
        project: String,
        /// Runs that belong to it, deleted ones included.
        runs: u32,
        /// Datasets that only it may use.
        datasets: u32,
    },
    /// An admin has removed the person of this account of OpenID Connect.
    #[error("an admin of the lab has removed the person of this account")]
    AccountRemoved,
    /// The sender of a change of rights has lost the role that it needs since their request began.
    #[error("you lost the role admin before this change was made")]
    RoleLost,
    /// No person has this id, or they are not in the project.
    #[error("unknown person {id}")]
    UnknownPerson { id: i64 },
    /// The name is taken.
    #[error("somebody else has the name {name:?}")]
    PersonExists { name: String },
    /// No pool has this name.
    #[error("unknown pool {pool}")]
    UnknownPool { pool: String },
    /// The name of a new pool is taken.
    #[error("the pool {pool} exists already")]
    PoolExists { pool: String },
    /// The pool cannot be deleted.
    #[error("the pool {pool} cannot be deleted: {}", in_use(pool, *workers, *queued))]
    PoolInUse {
        pool: String,
        /// Workers that belong to it.
        workers: u32,
        /// Runs that wait for it.
        queued: u32,
    },
    /// No worker has this id.
    #[error("unknown worker {id}")]
    UnknownWorker { id: i64 },
    /// A machine may not join.
    #[error(transparent)]
    Join(#[from] JoinRefusal),
    /// A program gets no token by OAuth.
    #[error(transparent)]
    OAuth(#[from] OAuthRefusal),
    /// The system gave no random numbers for a token.
    #[error("the system gave no random numbers: {source}")]
    Random {
        /// The error of the system.
        source: getrandom::Error,
    },
    /// The reports of a run were not stored: the task that stores reports has ended, or could not begin a transaction.
    #[error("the reports of {run} were not stored: the server is stopping, or its log has the reason")]
    NotCommitted { run: RunId },
    /// Work on another thread panicked or was aborted.
    #[error("work on {} was aborted: {source}", path.display())]
    Aborted {
        /// The lab folder.
        path: PathBuf,
        source: tokio::task::JoinError,
    },
}

/// Why a machine may not join a pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefusal {
    /// The text is no join token, or one that was deleted long ago.
    #[error("the join token is unknown")]
    Unknown,
    /// Somebody revoked it.
    #[error("the join token was revoked")]
    Revoked,
    /// Its validity has ended.
    #[error("the join token has expired")]
    Expired,
    /// As many workers have joined with it as it allows.
    #[error("the join token is used up: {} joined with it", counted(u64::from(*used), "worker"))]
    UsedUp {
        /// Workers that have joined with it.
        used: u32,
    },
    /// It belongs to another pool.
    #[error("the join token belongs to the pool {pool}, not to {wanted}")]
    OtherPool {
        /// The pool in the request.
        wanted: String,
        /// The pool of the token.
        pool: String,
    },
    /// The device belongs to another pool; `local` has those of the server's own machine.
    #[error("{device} belongs to the pool {pool}")]
    DeviceTaken { device: DeviceId, pool: String },
}

fn in_use(pool: &str, workers: u32, queued: u32) -> String {
    match (pool, workers, queued) {
        (LOCAL_POOL, ..) => "it contains the devices of the server's own machine".to_owned(),
        (_, 0, 1) => "1 queued run waits for it".to_owned(),
        (_, 0, runs) => format!("{runs} queued runs wait for it"),
        (_, 1, _) => "1 worker belongs to it".to_owned(),
        (_, workers, _) => format!("{workers} workers belong to it"),
    }
}

/// Which budget does not suffice, with its values.
fn over_budget(agent: &str, budget: AgentBudget, [most, used, reserved, wanted]: [f64; 4]) -> String {
    let left = budget.amount((most - used - reserved).max(0.0));
    let (most, used) = (budget.amount(most), budget.amount(used));
    let reserved = if reserved > 0.0 { format!(" and {} reserved", budget.amount(reserved)) } else { String::new() };
    let wanted = if wanted > 0.0 { format!("this needs {}", budget.amount(wanted)) } else { "this needs more".into() };
    format!("the budget of the agent {agent:?} is {most}: {used} are used{reserved}, {left} are left, and {wanted}")
}

fn in_project(project: &str, runs: u32, datasets: u32) -> String {
    match (project, runs) {
        (DEFAULT_PROJECT, _) => "it contains everything that names no other project".to_owned(),
        (_, 0) if datasets == 1 => "1 dataset belongs to it".to_owned(),
        (_, 0) => format!("{datasets} datasets belong to it"),
        (_, 1) => "1 run belongs to it, deleted ones included".to_owned(),
        (_, runs) => format!("{runs} runs belong to it, deleted ones included"),
    }
}

impl StoreError {
    /// An error of the file system about `path`; a full disk has its own variant.
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path: path.to_owned() },
            _ => Self::File { path: path.to_owned(), source },
        }
    }

    /// Stored data that does not decode.
    pub(crate) fn unreadable(what: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Unreadable { what: what.into(), source: source.into() }
    }
}

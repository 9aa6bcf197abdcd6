//! The lab folder: a SQLite file for runs, journal, snapshots and tokens, and plain files for series, snapshots and checkpoints.
//!
//! No tensors and no HTTP. Read in this order:
//!
//! - [`store`](Store) the folder, its lock, its [`format`](FORMAT), and its open handles;
//! - `lab_id` the id that tells labs under one host name apart;
//! - `ingest` the reports of a worker: nothing is lost, nothing is stored twice; `reports` what they consist of; `group_commit` several runs
//!   in one transaction, `commit_queue` those that wait for it;
//! - `status` how reports change a run's summary; `runs`, `queue`, `journal`, `tokens`: the operations on each;
//! - `access` what a token reaches; `links` share links, `shares` what they and invitations still give; `people`, `invitations`, `projects`:
//!   who may do what; `audit`: who did what;
//! - `pools`, `workers`, `join_tokens`: the machines that train, and how they join;
//! - `alerts` alerts, the channels to which they are sent, and the outbox of messages;
//! - `run_table` the table of runs: filters, order, pages, tags and saved filters; `newest_metrics` the values of metrics in it;
//! - `checkpoints` ids of checkpoints, `checkpoint_folders` their files, `readers` those that are being read, `retention` which are kept,
//!   `origins` those from which forks start, `uploads` those that workers of other machines send, `sweep` removal after a crash;
//! - `import` runs that were trained in another lab; `backup` a consistent copy of the folder while it is in use;
//! - `snapshots` inspection results kept during training, `snapshot_thinning` which are removed over the size limit;
//! - `window_losses` the losses of evaluations by validation window;
//! - `tasks` evaluation tasks of the lab, and the results of runs on them;
//! - `sweeps` sweeps and the decisions about them, `trials` their trials, each created in one transaction with its queued run,
//!   `sweep_records` what is written of them;
//! - `experiments` experiments, their runs and verdicts;
//! - `findings` what the rules found in runs, and their state; `rule_actions` what they did about it; `telemetry` the history of devices;
//! - `lineage` the path of a run through its parents, `compare` the difference of two runs;
//! - `series` the time series on disk: a pyramid of buckets for each, read at any zoom; `curves` queries of them;
//! - `database` the only module that contains SQL; `boxed` what keeps the code of the store out of the programs that use it.

mod access;
mod alerts;
mod audit;
mod backup;
mod boxed;
mod checkpoint_folders;
mod checkpoints;
mod clock;
mod commit_queue;
mod compare;
mod curves;
mod database;
mod disk;
mod error;
mod experiments;
mod findings;
mod format;
mod group_commit;
mod import;
mod ingest;
mod ingest_state;
mod invitations;
mod join_tokens;
mod journal;
mod lab_id;
mod lineage;
mod links;
mod new_experiment;
mod new_run;
mod newest_metrics;
mod origins;
mod people;
mod pools;
mod projects;
mod queue;
mod readers;
mod reports;
mod retention;
mod rule_actions;
mod run_table;
mod runs;
mod series;
mod shares;
mod snapshot_thinning;
mod snapshots;
mod status;
mod store;
mod sweep;
mod sweep_records;
mod sweeps;
mod tasks;
mod telemetry;
mod tokens;
mod trials;
mod uploads;
mod window_losses;
mod workers;

pub use access::{Creator, Identity};
pub use alerts::outbox::{OutgoingMessage, delivery_id};
pub use audit::TokenUse;
pub use backup::{Backup, BackupFile};
pub use database::alerts::{Attempt, ChannelRecord, NewAlert};
pub use database::findings::{RuleState, StoredFinding};
pub use database::links::LinkRecord;
pub use database::people::{NewPerson, PersonRecord};
pub use database::pools::PoolRecord;
pub use database::projects::ProjectRecord;
pub use database::queue::WaitingRun;
pub use database::tokens::TokenInfo;
pub use database::workers::WorkerRecord;
pub use error::{JoinRefusal, StoreError};
pub use experiments::ExperimentStanding;
pub use findings::{DiagnosisRecord, Moment, NewFinding, Recorded};
pub use format::FORMAT;
pub use import::ImportedRun;
pub use ingest::Ingested;
pub use lineage::PathState;
pub use links::{NewLinkRecord, OpenedBy};
pub use new_experiment::{NewExperiment, NewExperimentRun};
pub use new_run::NewRun;
pub use readers::OpenCheckpoint;
pub use rule_actions::ActionOutcome;
pub use run_table::RunPage;
pub use runs::Successor;
pub use series::{Curve, CurvePoint, SeriesQuery};
pub use store::{Store, holder};
pub use sweep_records::{DecidedTrials, NewDecision, NewSweep, TrialRecord, TrialValues};
pub use tasks::Scored;
pub use tokens::EndedToken;
pub use trials::{NewTrial, TrialChange, TrialCreation};

//! The command line of `kindling`, read with clap. One file per subcommand holds its arguments, its examples and what it does; `main`
//! only dispatches. [`serve`] calls [`crate::api::server`], which serves HTTP.
//!
//! Usage errors print clap's message and end the program with status 2, failures with status 1.

pub mod agent_bench;
pub mod backup;
pub mod bench;
pub mod check;
mod client;
pub mod compare;
pub mod complete;
pub mod completions;
pub mod data;
pub mod devices;
pub mod diagnose;
pub mod evaluate;
pub mod experiment;
pub mod export;
pub mod fit;
pub mod full_check;
pub mod inspect;
pub mod join;
pub mod mcp;
mod memory;
mod own_server;
mod progress_bar;
pub mod reference;
pub mod replay;
pub mod report;
pub mod research;
pub mod restore;
pub mod run_group;
pub mod run_name;
pub mod score;
pub mod serve;
pub mod status;
#[cfg(unix)]
pub mod stop;
pub mod subprocess;
pub mod sweep;
pub mod token;
pub mod train;
pub mod worker;

#[cfg(test)]
mod tests;

pub use agent_bench::AgentBenchArgs;
pub use backup::BackupArgs;
pub use bench::BenchArgs;
pub use check::{CheckArgs, CheckPartArgs};
pub use compare::CompareArgs;
pub use complete::CompleteArgs;
pub use completions::CompletionsArgs;
pub use devices::DevicesArgs;
pub use diagnose::DiagnoseArgs;
pub use evaluate::EvaluateArgs;
pub use experiment::ExperimentArgs;
pub use export::ExportArgs;
pub use fit::FitArgs;
pub use inspect::InspectArgs;
pub use join::JoinArgs;
pub use mcp::McpArgs;
pub use reference::ReferenceArgs;
pub use replay::ReplayArgs;
pub use report::ReportArgs;
pub use research::ResearchArgs;
pub use restore::RestoreArgs;
pub use score::ScoreArgs;
pub use serve::ServeArgs;
pub use status::StatusArgs;
#[cfg(unix)]
pub use stop::StopArgs;
pub use sweep::SweepArgs;
pub use token::TokenArgs;
pub use train::TrainArgs;
pub use worker::WorkerArgs;

use clap::{Parser, Subcommand as ClapSubcommand};
use tracing::Level;

const EXAMPLES: &str = "\
Examples:
  Serve a lab on this machine and print the address to open in a browser:
    kindling serve
  Train without a browser:
    kindling train --preset tiny --corpus tales
  Describe one subcommand:
    kindling help train

Environment:
  KINDLING_LOG  Least severe level that is logged: error, warn, info, debug, trace [default: info]";

/// Kindling, a visual training lab for language models in the browser.
#[derive(Debug, Parser)]
#[command(name = "kindling", bin_name = "kindling", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    /// The subcommand to run.
    #[command(subcommand)]
    pub subcommand: Subcommand,
}

/// The subcommands, in the order in which the help lists them.
#[derive(Debug, ClapSubcommand)]
#[expect(missing_docs, reason = "the help shows the sentence of each variant's arguments; one here would replace it")]
pub enum Subcommand {
    Serve(ServeArgs),
    Status(StatusArgs),
    #[cfg(unix)]
    Stop(StopArgs),
    Train(TrainArgs),
    Sweep(SweepArgs),
    Join(JoinArgs),
    Diagnose(DiagnoseArgs),
    Token(TokenArgs),
    Mcp(McpArgs),
    Compare(CompareArgs),
    Replay(ReplayArgs),
    Fit(FitArgs),
    Experiment(ExperimentArgs),
    Research(ResearchArgs),
    Report(ReportArgs),
    Evaluate(EvaluateArgs),
    Export(ExportArgs),
    Backup(BackupArgs),
    Restore(RestoreArgs),
    Devices(DevicesArgs),
    Check(CheckArgs),
    Bench(BenchArgs),
    AgentBench(AgentBenchArgs),
    Completions(CompletionsArgs),
    #[command(hide = true)]
    CheckPart(CheckPartArgs),
    #[command(hide = true)]
    Reference(ReferenceArgs),
    #[command(hide = true)]
    Complete(CompleteArgs),
    #[command(hide = true)]
    Inspect(InspectArgs),
    #[command(hide = true)]
    Score(ScoreArgs),
    #[command(hide = true)]
    Worker(WorkerArgs),
}

impl Subcommand {
    /// Adapts the allocation of memory to what the subcommand does; called before it starts.
    pub fn choose_pages(&self) {
        memory::use_huge_pages(!matches!(
            self,
            Self::Serve(_) | Self::Sweep(_) | Self::Research(_) | Self::AgentBench(_)
        ));
    }

    /// The least severe level that is logged by default. The agent bench starts a server and workers for each lab, and their messages would hide
    /// its own.
    pub fn log_level(&self) -> Level {
        if matches!(self, Self::AgentBench(_)) { Level::ERROR } else { Level::INFO }
    }
}

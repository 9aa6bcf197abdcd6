//! `kindling token`: tokens and sign-in links from the command line, whether or not a server has the folder open.

use std::path::Path;

use clap::{Args, ValueEnum};
use store::{Store, StoreError};
use wire::RunId;
use wire::access::agent::{AgentBudgets, AgentCommand, AgentLimits, AgentMode};
use wire::access::{Role, TokenKind};

use super::data::{DataArgs, UnusedFolder};
use crate::auth::tokens::{DAY_MS, MAX_DAYS, default_days};
use crate::lab::settings::DEFAULT_LISTEN;
use crate::live::clock::now_ms;
use crate::output::{self, OutputError};
use crate::workers::local;

const EXAMPLES: &str = "\
Examples:
  Print a link that signs one browser in as admin, once:
    kindling token --sign-in
  Print a link for a student who may look but not change anything:
    kindling token --sign-in --role view --name ada
  Create a token for a script, valid for a week:
    kindling token --role steer --name nightly --days 7
  Create a token for an agent that trains at most 20 runs a day, 2 at once and 5 hours in all:
    kindling token --agent act --name claude --runs-per-day 20 --runs-at-once 2 --device-hours 5
  Create a token for an agent that may only fork and steer one run:
    kindling token --agent act --name tuner --run amber-fox-7k2q --command fork --command set_hyperparameter";

/// Creates an API token, or a sign-in link that works once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TokenArgs {
    /// What the token allows [default: steer, or admin with --sign-in]
    #[arg(long, value_enum)]
    role: Option<RoleArg>,
    /// Name shown in the journal as the author of commands with this token [default: the role]
    #[arg(long)]
    name: Option<String>,
    /// Days until it expires [default: 90, or 1 with --sign-in]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    days: Option<u32>,
    /// Print a sign-in link for one browser instead of an API token
    #[arg(long)]
    sign_in: bool,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    agent: AgentArgs,
}

/// Limits of an agent's token.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Agents")]
pub(super) struct AgentArgs {
    /// Make it the token of an agent, a language model, with this mode [default: not an agent]
    #[arg(long, value_enum, value_name = "MODE", conflicts_with_all = ["role", "sign_in"])]
    agent: Option<ModeArg>,
    /// Limit the agent to this project; can be repeated [default: all projects]
    #[arg(long, value_name = "NAME", requires = "agent")]
    project: Vec<String>,
    /// Let the agent change this run besides those that it has started, and no other; can be repeated [default: all runs]
    #[arg(long, value_name = "ID", requires = "agent")]
    run: Vec<RunId>,
    /// Permit this command, such as start_run, fork, set_hyperparameter, pause or add_note, and no other; can be repeated
    /// [default: all commands]
    #[arg(long, value_name = "NAME", requires = "agent", value_parser = command_of)]
    command: Vec<AgentCommand>,
    /// Training time of its runs on devices, hours [default: no limit]
    #[arg(long, value_name = "HOURS", requires = "agent", value_parser = hours_of)]
    device_hours: Option<f64>,
    /// Steps that its runs train [default: no limit]
    #[arg(long, value_name = "N", requires = "agent")]
    steps: Option<u64>,
    /// Its runs that are queued or on a device at the same time [default: no limit]
    #[arg(long, value_name = "N", requires = "agent")]
    runs_at_once: Option<u32>,
    /// Runs that it creates in 24 hours [default: no limit]
    #[arg(long, value_name = "N", requires = "agent")]
    runs_per_day: Option<u32>,
}

/// An [`AgentMode`], as the command line spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ModeArg {
    /// Read, and change nothing
    Read,
    /// Each action waits until a person approves it
    Propose,
    /// Act within scopes and budgets
    Act,
}

fn command_of(word: &str) -> Result<AgentCommand, String> {
    let words = || AgentCommand::ALL.map(AgentCommand::word).join(", ");
    AgentCommand::of_word(word).ok_or_else(|| format!("choose one of {}", words()))
}

fn hours_of(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hours) if hours.is_finite() && hours >= 0.0 => Ok(hours),
        _ => Err("enter a number of hours, 0 or more".to_owned()),
    }
}

impl AgentArgs {
    /// The limits; `None` for a token that is not an agent's.
    fn limits(self) -> Option<AgentLimits> {
        let Self { agent, project, run, command, device_hours, steps, runs_at_once, runs_per_day } = self;
        let mode = match agent? {
            ModeArg::Read => AgentMode::Read,
            ModeArg::Propose => AgentMode::Propose,
            ModeArg::Act => AgentMode::Act,
        };
        Some(AgentLimits {
            mode,
            projects: (!project.is_empty()).then_some(project),
            runs: (!run.is_empty()).then_some(run),
            commands: (!command.is_empty()).then_some(command),
            budgets: AgentBudgets { device_hours, steps, runs_at_once, trials_per_day: runs_per_day },
        })
    }
}

/// A [`Role`], as the command line spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleArg {
    /// Read everything
    View,
    /// Also start, steer and delete runs, and add datasets
    Steer,
    /// Also manage tokens and delete datasets
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::View => Self::View,
            RoleArg::Steer => Self::Steer,
            RoleArg::Admin => Self::Admin,
        }
    }
}

/// Errors of `kindling token`.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no lab whose token it could be.
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// A token or link, and a sentence about it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) text: String,
    pub(super) about: String,
}

impl TokenArgs {
    /// Prints the token or link on standard output, and what it is on standard error.
    ///
    /// # Errors
    /// There is no lab in the folder, or the store fails.
    pub async fn run(self) -> Result<(), TokenError> {
        let Made { text, about } = self.make().await?;
        output::line(text)?;
        output::notice(about);
        Ok(())
    }

    pub(super) async fn make(self) -> Result<Made, TokenError> {
        let limits = self.agent.limits();
        let default_role = match &limits {
            Some(limits) => limits.mode.highest_role(),
            None if self.sign_in => Role::Admin,
            None => Role::Steer,
        };
        let role = self.role.map_or(default_role, Role::from);
        let folder = self.data.used()?;
        let days = self.days.unwrap_or_else(|| default_days(self.sign_in));
        let kind = if self.sign_in { TokenKind::SignIn } else { TokenKind::Api };
        let default_name = if limits.is_some() { "agent" } else { role.name() };
        let name = self.name.unwrap_or_else(|| default_name.to_owned());
        let store = Store::open_access(folder).await?;
        let expires_ms = Some(now_ms() + i64::from(days) * DAY_MS);
        let plural = if days == 1 { "" } else { "s" };
        if let Some(limits) = limits {
            let mode = limits.mode.word();
            let (text, _) = store.issue_agent_token(None, &name, role, limits, expires_ms).await?;
            let about = format!(
                "API token of the agent {name:?} (mode {mode}). Expires in {days} day{plural}. Send it in the header Authorization: Bearer."
            );
            return Ok(Made { text, about });
        }
        let token = store.add_token(&name, role, kind, expires_ms).await?;
        let role = role.name();
        Ok(match kind {
            TokenKind::SignIn => Made {
                text: link(folder, &token),
                about: format!("Signs in once as {name:?} (role {role}). Expires in {days} day{plural}."),
            },
            _ => Made {
                text: token,
                about: format!(
                    "API token of {name:?} (role {role}). Expires in {days} day{plural}. Send it in the header Authorization: Bearer."
                ),
            },
        })
    }
}

fn link(folder: &Path, token: &str) -> String {
    let url = local::read_browser_address(folder).unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}"));
    format!("{url}/signin?token={token}")
}

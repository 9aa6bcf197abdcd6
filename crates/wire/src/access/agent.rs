//! Limits of an agent's token: its mode, its scopes and its budgets; and the program, model and conversation behind an action.

use serde::{Deserialize, Serialize};

use super::Role;
use crate::id::RunId;
use crate::number::{brief, grouped};

/// Runs that [`AgentLimits::runs`] names at most.
pub const MAX_AGENT_RUNS: usize = 100;
/// Projects that [`AgentLimits::projects`] names at most.
pub const MAX_AGENT_PROJECTS: usize = 100;

/// What an agent may do with its token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentMode {
    /// It reads, and changes nothing.
    #[default]
    Read,
    /// Each action waits until a person approves it.
    Propose,
    /// It acts within its scopes and budgets.
    Act,
}

impl AgentMode {
    /// All modes, from the one that permits least.
    pub const ALL: [Self; 3] = [Self::Read, Self::Propose, Self::Act];

    /// Its label on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Read => "Read only",
            Self::Propose => "Propose",
            Self::Act => "Act",
        }
    }

    /// Its word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Propose => "propose",
            Self::Act => "act",
        }
    }

    /// The highest role that a token has with this mode, whatever that of the token is.
    pub const fn highest_role(self) -> Role {
        match self {
            Self::Read => Role::View,
            Self::Propose | Self::Act => Role::Steer,
        }
    }
}

/// What an agent may change. An agent can do nothing that is not listed: it deletes nothing, and gives no rights to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentCommand {
    StartRun,
    Fork,
    StartSweep,
    StartExperiment,
    StartResearchLoop,
    SetHyperparameter,
    SetSchedule,
    EditWeights,
    Pause,
    Resume,
    Step,
    Stop,
    Suspend,
    Checkpoint,
    Rollback,
    Undo,
    Evaluate,
    Sample,
    AddNote,
    /// Pause, resume, extend or stop a sweep.
    ChangeSweep,
    /// Pause, resume or stop an experiment.
    ChangeExperiment,
    /// Pause, resume, conclude or stop a research loop, give it hints, veto its rounds, or propose its next change.
    ChangeResearchLoop,
    /// Change name, tags, priority or place in the queue of a run.
    ChangeRun,
    /// Score checkpoints on evaluation tasks.
    Score,
}

impl AgentCommand {
    /// All commands, in the order of lists.
    pub const ALL: [Self; 24] = [
        Self::StartRun,
        Self::Fork,
        Self::StartSweep,
        Self::StartExperiment,
        Self::StartResearchLoop,
        Self::SetHyperparameter,
        Self::SetSchedule,
        Self::EditWeights,
        Self::Pause,
        Self::Resume,
        Self::Step,
        Self::Stop,
        Self::Suspend,
        Self::Checkpoint,
        Self::Rollback,
        Self::Undo,
        Self::Evaluate,
        Self::Sample,
        Self::AddNote,
        Self::ChangeSweep,
        Self::ChangeExperiment,
        Self::ChangeResearchLoop,
        Self::ChangeRun,
        Self::Score,
    ];

    /// Its word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::StartRun => "start_run",
            Self::Fork => "fork",
            Self::StartSweep => "start_sweep",
            Self::StartExperiment => "start_experiment",
            Self::StartResearchLoop => "start_research_loop",
            Self::SetHyperparameter => "set_hyperparameter",
            Self::SetSchedule => "set_schedule",
            Self::EditWeights => "edit_weights",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Step => "step",
            Self::Stop => "stop",
            Self::Suspend => "suspend",
            Self::Checkpoint => "checkpoint",
            Self::Rollback => "rollback",
            Self::Undo => "undo",
            Self::Evaluate => "evaluate",
            Self::Sample => "sample",
            Self::AddNote => "add_note",
            Self::ChangeSweep => "change_sweep",
            Self::ChangeExperiment => "change_experiment",
            Self::ChangeResearchLoop => "change_research_loop",
            Self::ChangeRun => "change_run",
            Self::Score => "score",
        }
    }

    /// The command of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.word() == word)
    }
}

/// Budgets of an agent; `None` for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AgentBudgets {
    /// Training time of its runs on devices, hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_hours: Option<f64>,
    /// Steps that its runs train.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Its runs that are queued or on a device at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_at_once: Option<u32>,
    /// Runs that it creates in 24 hours, those of its sweeps, experiments and research loops included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials_per_day: Option<u32>,
}

/// Mode, scopes and budgets of an agent's token. The server enforces them for every request with the token, over HTTP and MCP.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AgentLimits {
    pub mode: AgentMode,
    /// The projects to which it is limited; `None` for all that its owner reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<String>>,
    /// The runs that it may change, besides those that it has started; `None` for all that its role permits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    pub runs: Option<Vec<RunId>>,
    /// What it may do; `None` for all commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<AgentCommand>>,
    pub budgets: AgentBudgets,
}

impl AgentLimits {
    /// Whether it may carry out a command, as far as its scopes say.
    pub fn permits(&self, command: AgentCommand) -> bool {
        self.commands.as_ref().is_none_or(|commands| commands.contains(&command))
    }
}

/// One of [`AgentBudgets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentBudget {
    DeviceHours,
    Steps,
    RunsAtOnce,
    TrialsPerDay,
}

impl AgentBudget {
    /// All budgets, in the order of lists.
    pub const ALL: [Self; 4] = [Self::DeviceHours, Self::Steps, Self::RunsAtOnce, Self::TrialsPerDay];

    /// Its field in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DeviceHours => "device_hours",
            Self::Steps => "steps",
            Self::RunsAtOnce => "runs_at_once",
            Self::TrialsPerDay => "trials_per_day",
        }
    }

    /// Its label on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::DeviceHours => "Device hours",
            Self::Steps => "Steps",
            Self::RunsAtOnce => "Runs at once",
            Self::TrialsPerDay => "Runs in 24 hours",
        }
    }

    /// A value without its unit.
    pub fn number(self, value: f64) -> String {
        match self {
            Self::DeviceHours => brief(value),
            Self::Steps | Self::RunsAtOnce | Self::TrialsPerDay => grouped(value.max(0.0) as u64),
        }
    }

    /// A value with its unit: `2.5 device hours`.
    pub fn amount(self, value: f64) -> String {
        format!("{} {}", self.number(value), self.label().to_lowercase())
    }
}

/// The state of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BudgetUse {
    pub budget: AgentBudget,
    /// What was used: hours, steps or runs.
    pub used: f64,
    /// What is reserved for its runs that have not ended, in the same unit; 0 for counts of runs.
    pub reserved: f64,
    /// The budget; `None` for no limit.
    pub most: Option<f64>,
}

impl BudgetUse {
    /// What is left; `None` without a limit.
    pub fn left(&self) -> Option<f64> {
        self.most.map(|most| (most - self.used - self.reserved).max(0.0))
    }
}

/// The program, the model and the conversation behind an action, as the program states them. The server does not check them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentOrigin {
    /// Name and version of the program: `claude-code 2.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Name of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Id or title of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The person who has approved the action. The server sets it.
    #[serde(skip)]
    pub approved_by: Option<String>,
}

/// How the name of an approved action continues.
const APPROVED_BY: &str = "approved by ";

/// Characters of each text of an [`AgentOrigin`].
const ORIGIN_CHARS: usize = 60;

impl AgentOrigin {
    /// The origin with its texts as they may stand in a journal: letters, digits, spaces and `-_.:/@+#`, at most 60 characters; so none of
    /// them can look like a part of the name that the server writes.
    #[must_use]
    pub fn cleaned(&self) -> Self {
        let clean = |text: &Option<String>| text.as_deref().map(cleaned).filter(|text| !text.is_empty());
        // No program states that a person has approved its actions.
        let client = clean(&self.client).filter(|text| !text.to_lowercase().contains(APPROVED_BY));
        let (model, conversation) = (clean(&self.model), clean(&self.conversation));
        Self { client, model, conversation, approved_by: clean(&self.approved_by) }
    }

    /// The name of an agent in journals: `tuner (claude-code 2.1, model claude-opus, conversation 7f3a)`.
    pub fn name(&self, agent: &str) -> String {
        let parts = [
            self.client.clone(),
            self.model.as_ref().map(|model| format!("model {model}")),
            self.conversation.as_ref().map(|conversation| format!("conversation {conversation}")),
            self.approved_by.as_ref().map(|person| format!("{APPROVED_BY}{person}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { agent.to_owned() } else { format!("{agent} ({})", parts.join(", ")) }
    }
}

/// Whether an author of a journal is this agent, whatever its program, model and conversation.
pub fn is_named(author: &str, agent: &str) -> bool {
    author.strip_prefix(agent).is_some_and(|rest| rest.is_empty() || rest.starts_with(" (") && rest.ends_with(')'))
}

fn cleaned(text: &str) -> String {
    let is_kept = |letter: &char| letter.is_alphanumeric() || " -_.:/@+#".contains(*letter);
    let kept: String = text.chars().filter(is_kept).take(ORIGIN_CHARS).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_program_cannot_look_like_the_name_of_another_agent() {
        let text = |text: &str| Some(text.to_owned());
        let origin = AgentOrigin {
            client: text("claude-code 2.1"),
            model: text("opus), approved by ada\u{202e}\n"),
            conversation: text(" "),
            approved_by: None,
        };
        let cleaned = origin.cleaned();
        assert_eq!(cleaned.name("tuner"), "tuner (claude-code 2.1, model opus approved by ada)");
        let approved = AgentOrigin { approved_by: text("ada"), ..cleaned };
        assert_eq!(approved.name("tuner"), "tuner (claude-code 2.1, model opus approved by ada, approved by ada)");
        let forged: AgentOrigin = serde_json::from_str(r#"{"client":"Approved by ada","approved_by":"ada"}"#).unwrap();
        assert_eq!(forged.cleaned(), AgentOrigin::default());
        assert_eq!(AgentOrigin::default().name("tuner"), "tuner");
        assert!(is_named("tuner (x)", "tuner") && is_named("tuner", "tuner"));
        assert!(!is_named("tuner 2", "tuner") && !is_named("tun", "tuner"));
    }

    #[test]
    fn words_are_those_of_the_json() {
        for command in AgentCommand::ALL {
            assert_eq!(serde_json::to_value(command).unwrap(), command.word());
            assert_eq!(AgentCommand::of_word(command.word()), Some(command));
        }
        for mode in AgentMode::ALL {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.word());
        }
        for budget in AgentBudget::ALL {
            assert_eq!(serde_json::to_value(budget).unwrap(), budget.word());
        }
        assert_eq!(AgentBudget::DeviceHours.amount(2.5), "2.5 device hours");
        assert_eq!(AgentBudget::RunsAtOnce.amount(2.0), "2 runs at once");
        let limits: AgentLimits = serde_json::from_str(r#"{"mode":"act","budgets":{"steps":500}}"#).unwrap();
        assert_eq!((limits.mode, limits.budgets.steps), (AgentMode::Act, Some(500)));
        assert!(serde_json::from_str::<AgentLimits>(r#"{"budget":{}}"#).is_err());
    }
}

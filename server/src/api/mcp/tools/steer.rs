//! Commands to runs. Each is the command of the API, with the reason and the expected effect in the journal.

use serde_json::{Map, Value, json};
use store::AgentAct;
use wire::control::command::ScheduleChange;
use wire::{Command, Event, EventRecord, LivePath, RunState, RunView};

use crate::api::extract::read;
use crate::api::mcp::acts::{Act, Recovery, acting, dry_run};
use crate::api::mcp::answer::{Answer, Field};
use crate::api::mcp::brief;
use crate::api::mcp::caller::{Caller, encoded};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;
use crate::runs::{commands, steering};

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::acting(
            "set_hyperparameter",
            "Change a hyperparameter",
            "Changes one hyperparameter of a run from the next step on. get_run lists those that can change in its \
             field now. A checkpoint is saved before a change that affects training.",
            set_hyperparameter,
        ),
        Tool::acting(
            "set_schedule",
            "Change a schedule",
            "Overrides the learning-rate schedule, the mix of datasets or the gradient accumulation of a run from the \
             next step on. A checkpoint is saved before the change.",
            set_schedule,
        ),
        Tool::acting("pause", "Pause a run", "Pauses a run before its next step; the model stays loaded.", pause),
        Tool::acting(
            "resume",
            "Resume a run",
            "Continues a paused run, or queues one that was suspended, stopped, failed or lost from its newest \
             checkpoint.",
            resume,
        ),
        Tool::acting(
            "step",
            "Train some steps",
            "Trains a paused run for a number of steps and pauses it again. wait_for with kinds [\"paused\"] returns \
             when they are done.",
            step,
        ),
        Tool::acting("checkpoint", "Save a checkpoint", "Saves a checkpoint of a run now.", checkpoint),
        Tool::acting(
            "rollback",
            "Roll a run back",
            "Returns a run to one of its checkpoints. The training after it stays visible as an abandoned branch.",
            rollback,
        ),
        Tool::acting(
            "stop",
            "Stop a run",
            "Ends a run and saves a checkpoint, from which it can be resumed or forked.",
            stop,
        ),
        Tool::acting("add_note", "Add a note", "Adds a note to the journal of a run, at its current step.", add_note),
    ]
    .into_iter()
    .map(|tool| tool.returns(&FIELDS))
    .collect()
}

/// The fields of the data of a command.
pub(super) const FIELDS: [Field; 7] = [
    ("run", "The run: its id, or with dry_run its state."),
    ("event", "The event of the journal that says what was done."),
    ("would", "With dry_run: the command."),
    ("takes_effect_at_step", "With dry_run: the step of the run now."),
    ("difference", "With dry_run: the values that change, now and then."),
    ("obstacle", "With dry_run: why the run cannot carry it out in its state."),
    ("dry_run", "Whether nothing was changed."),
];

acting!(OnRun {
    /// Id of the run.
    run: String,
});

acting!(SetHyperparameter {
    /// Id of the run.
    run: String,
    /// Path of the hyperparameter: optimizer.learning_rate.
    path: String,
    /// New value, in the unit of the table of hyperparameters.
    value: f64,
});

acting!(SetSchedule {
    /// Id of the run.
    run: String,
    /// {"learning_rate": {"curve": CURVE, "steps": 2000}} where steps, the new end of the run, is optional and CURVE is {"scaled": 1e-4}
    /// (the planned shape from this learning rate on), {"points": [[500, 1e-4], [900, 0]]}, {"cosine": {"to_step": 900, "learning_rate":
    /// 1e-5}} or {"refit": {"to_step": 900}}; or {"mix": {"points": [{"step": 100, "weights": [1, 3]}]}}; or {"accumulation": {"changes":
    /// [[100, 4]]}}.
    schedule: Map<String, Value>,
});

acting!(Step {
    /// Id of the run.
    run: String,
    /// Number of steps; 1 by default.
    #[serde(default = "one")]
    steps: u64,
});

fn one() -> u64 {
    1
}

acting!(Rollback {
    /// Id of the run.
    run: String,
    /// Checkpoint to return to, such as 0-1200; get_run lists them.
    checkpoint: String,
    /// Number of batches to skip after the checkpoint; 0 by default.
    #[serde(default)]
    skip_batches: u64,
});

acting!(AddNote {
    /// Id of the run.
    run: String,
    /// The note.
    text: String,
});

async fn set_hyperparameter(caller: Caller, args: SetHyperparameter) -> Result<Answer, ApiError> {
    let act = args.act(caller, "set_hyperparameter", Some(&args.run))?;
    let command = json!({ "kind": "set", "path": args.path, "value": args.value, "reason": act.text() });
    carry_out(act, args.run, command).await
}

async fn set_schedule(caller: Caller, args: SetSchedule) -> Result<Answer, ApiError> {
    let act = args.act(caller, "set_schedule", Some(&args.run))?;
    let command = json!({ "kind": "set_schedule", "schedule": args.schedule, "reason": act.text() });
    carry_out(act, args.run, command).await
}

async fn step(caller: Caller, args: Step) -> Result<Answer, ApiError> {
    let act = args.act(caller, "step", Some(&args.run))?;
    carry_out(act, args.run, json!({ "kind": "step", "steps": args.steps })).await
}

async fn pause(caller: Caller, args: OnRun) -> Result<Answer, ApiError> {
    let act = args.act(caller, "pause", Some(&args.run))?;
    let command = json!({ "kind": "pause", "reason": act.text() });
    carry_out(act, args.run, command).await
}

async fn resume(caller: Caller, args: OnRun) -> Result<Answer, ApiError> {
    let act = args.act(caller, "resume", Some(&args.run))?;
    let command = json!({ "kind": "resume", "reason": act.text() });
    carry_out(act, args.run, command).await
}

async fn checkpoint(caller: Caller, args: OnRun) -> Result<Answer, ApiError> {
    let act = args.act(caller, "checkpoint", Some(&args.run))?;
    let command = json!({ "kind": "checkpoint", "reason": act.text() });
    carry_out(act, args.run, command).await
}

async fn rollback(caller: Caller, args: Rollback) -> Result<Answer, ApiError> {
    let act = args.act(caller, "rollback", Some(&args.run))?;
    let (checkpoint, skip_batches) = (args.checkpoint, args.skip_batches);
    let command =
        json!({ "kind": "rollback", "checkpoint": checkpoint, "skip_batches": skip_batches, "reason": act.text() });
    carry_out(act, args.run, command).await
}

async fn stop(caller: Caller, args: OnRun) -> Result<Answer, ApiError> {
    let act = args.act(caller, "stop", Some(&args.run))?;
    let command = json!({ "kind": "stop", "reason": act.text() });
    carry_out(act, args.run, command).await
}

async fn add_note(caller: Caller, args: AddNote) -> Result<Answer, ApiError> {
    let act = args.act(caller, "add_note", Some(&args.run))?;
    // A note has no field for its reason. An empty one stays empty and is refused.
    let text = match args.text.trim() {
        "" => String::new(),
        text => format!("{text}\nReason: {}", act.text()),
    };
    carry_out(act, args.run, json!({ "kind": "annotate", "text": text })).await
}

/// Sends a command once, or returns what it would change. If a command has no field for its reason, the reason is added as a note afterwards.
pub(super) async fn carry_out(act: Act, run: String, command: Value) -> Result<Answer, ApiError> {
    let checked: Command = read(command.to_string().as_bytes())?;
    steering::check(&checked)?;
    if act.is_dry() {
        return plan(&act.caller, &run, &checked).await;
    }
    let path = format!("/runs/{}/commands", encoded(&run));
    let (sent, found_in) = (run.clone(), run);
    let note = (checked.reason().is_none() && !matches!(checked, Command::Annotate { .. })).then(|| act.text());
    let perform = move |caller: Caller| async move {
        let record: EventRecord = caller.post(&path, &command).await?;
        let answer = taken_effect(&sent, &record);
        let Some(text) = note else { return Ok(answer) };
        let noted = caller.post::<EventRecord>(&path, &json!({ "kind": "annotate", "text": text })).await;
        Ok(if noted.is_ok() { answer } else { answer.note("the reason could not be added to the journal of the run") })
    };
    let recover = move |caller: Caller, known: AgentAct| -> Recovery {
        Box::pin(async move { find(&caller, &found_in, &checked, &known).await })
    };
    act.carry_out(perform, recover).await
}

fn taken_effect(run: &str, record: &EventRecord) -> Answer {
    let data = json!({ "run": run, "event": brief::event(record) });
    let answer = Answer::new(data)
        .units(&[("step", "optimizer step before which it took effect"), ("at_ms", "ms since 1970, UTC")]);
    answer.next(format!("wait_for with run {run} and since {}", record.number))
}

/// The event of a command whose result was not stored: the first one of this agent after the command was stored that is its effect and
/// has its reason.
async fn find(caller: &Caller, run: &str, command: &Command, known: &AgentAct) -> Result<Option<Answer>, ApiError> {
    let is_own = |record: &&EventRecord| {
        caller.is_author(&record.author)
            && record.reason.as_deref() == command.reason()
            && is_effect(&record.event, command)
    };
    let events = caller.events(run, &format!("since={}", known.before)).await?;
    Ok(events.records.iter().find(is_own).map(|record| taken_effect(run, record)))
}

/// Whether an event is what a command of these tools does.
fn is_effect(event: &Event, command: &Command) -> bool {
    match (command, event) {
        (Command::Set { path, .. }, Event::Changed { path: changed, .. }) => path == changed,
        (Command::Rollback { checkpoint, .. }, Event::RolledBack { checkpoint: restored, .. }) => {
            checkpoint == restored
        }
        (Command::Annotate { text: sent }, Event::Annotated { text }) => text == sent,
        (Command::Pause { .. }, Event::Paused)
        | (Command::Resume { .. }, Event::Resumed)
        | (Command::Stop { .. }, Event::Stopped)
        | (Command::Checkpoint { .. }, Event::Checkpointed { .. })
        | (Command::SetSchedule { .. }, Event::ScheduleChanged { .. })
        | (Command::Evaluate, Event::Evaluated { .. })
        | (Command::Sample { .. }, Event::Sampled { .. }) => true,
        (Command::Step { steps }, Event::Stepping { steps: begun }) => steps == begun,
        _ => false,
    }
}

/// The answer to a dry run: what a command would change now.
async fn plan(caller: &Caller, run: &str, command: &Command) -> Result<Answer, ApiError> {
    let view: RunView = caller.get(&format!("/runs/{}", encoded(run))).await?;
    let data = brief::given(json!({
        "would": command.label(),
        "run": brief::run(&view.summary),
        "takes_effect_at_step": view.summary.step,
        "difference": difference(&view, command),
        "obstacle": obstacle(&view, command),
    }));
    Ok(dry_run(Answer::new(data).units(&brief::UNITS), "on the run"))
}

/// The values that a command would change, before and after it.
fn difference(view: &RunView, command: &Command) -> Value {
    let (state, step) = (view.summary.state, view.summary.step);
    let change = |now: Value, then: Value| json!({ "now": now, "then": then });
    match command {
        Command::Set { path, value, .. } => {
            let row = path.row();
            let now = brief::rounded(view.hyperparameters.get(*path, step));
            json!({ "path": path, "now": now, "then": value, "unit": row.unit })
        }
        Command::Pause { .. } => json!({ "state": change(json!(state), json!(RunState::Paused)) }),
        Command::Resume { .. } if state == RunState::Paused => {
            json!({ "state": change(json!(state), json!(RunState::Running)) })
        }
        Command::Resume { .. } => json!({ "state": change(json!(state), json!(RunState::Queued)) }),
        Command::Stop { .. } => json!({ "state": change(json!(state), json!(RunState::Stopped)) }),
        Command::Rollback { checkpoint, skip_batches, .. } => json!({
            "step": change(json!(step), json!(checkpoint.step)), "abandoned_steps": step.saturating_sub(checkpoint.step),
            "skipped_batches": skip_batches,
        }),
        Command::Checkpoint { .. } => json!({ "saved_at_step": step }),
        Command::Annotate { text } => json!({ "note": text }),
        Command::SetSchedule { schedule, .. } => {
            let live = &view.hyperparameters;
            let now = match schedule {
                ScheduleChange::LearningRate { .. } => json!({
                    "learning_rate": brief::rounded(live.get(LivePath::LEARNING_RATE, step)), "schedule": live.schedule,
                    "steps": live.steps,
                }),
                ScheduleChange::Mix { .. } => json!({ "mix": live.mix }),
                ScheduleChange::Accumulation { .. } => json!({ "accumulation": live.accumulation }),
            };
            change(now, json!(schedule))
        }
        Command::Step { steps } => json!({ "step": change(json!(step), json!(step + steps)) }),
        Command::Evaluate => json!({ "evaluated_at_step": step }),
        Command::Sample { prompt, tokens, temperature } => {
            json!({ "sampled_at_step": step, "prompt": prompt, "tokens": tokens, "temperature": temperature })
        }
        _ => Value::Null,
    }
}

/// Why the run cannot carry out the command in its state; `None` if it can.
fn obstacle(view: &RunView, command: &Command) -> Option<String> {
    let state = view.summary.state;
    let can = match command {
        Command::Annotate { .. } => true,
        Command::Stop { .. } => !state.is_over(),
        Command::Resume { .. } => !matches!(state, RunState::Queued | RunState::Starting | RunState::Finished),
        _ => state.is_live(),
    };
    (!can).then(|| commands::not_trained(&view.summary).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_by_an_event_of_its_kind() {
        let command = |value: Value| serde_json::from_value::<Command>(value).unwrap();
        let event = |value: Value| serde_json::from_value::<Event>(value).unwrap();
        let path = "optimizer.grad_clip";
        let set = command(json!({ "kind": "set", "path": path, "value": 0.5, "reason": "flat" }));
        let changed = event(json!({ "kind": "changed", "path": path, "old": 1.0, "new": 0.5 }));
        let other = event(json!({ "kind": "changed", "path": "optimizer.learning_rate", "old": 1.0, "new": 0.5 }));
        assert!(is_effect(&changed, &set) && !is_effect(&other, &set));
        let pause = command(json!({ "kind": "pause", "reason": "flat" }));
        assert!(is_effect(&Event::Paused, &pause));
        let step = command(json!({ "kind": "step", "steps": 3 }));
        assert!(is_effect(&Event::Stepping { steps: 3 }, &step) && !is_effect(&Event::Stepping { steps: 2 }, &step));
        assert!(
            !is_effect(&changed, &pause) && !is_effect(&Event::Paused, &set) && !is_effect(&Event::Resumed, &pause)
        );
    }
}

//! One agent: its limits, what its budgets have left, its last actions, and the buttons.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::agent::{AgentLimits, BudgetUse};
use wire::agent::{AgentAction, AgentState, AgentStopped, AgentView};

use super::AgentList;
use super::limits::{LimitFields, TypedLimits, words};
use super::undo::UndoPreview;
use crate::base::at;
use crate::components::number::{ago, clock};
use crate::components::{Confirm, Failure, Progress, Question, Toasts, isolated};
use crate::net::api::{ApiFailure, agents};

/// The part of a card that is unfolded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    Nothing,
    Limits,
    Undo,
}

#[component]
pub(super) fn AgentCard(agent: AgentView, list: AgentList) -> impl IntoView {
    let opened = RwSignal::new(Opened::Nothing);
    let is_active = agent.state == AgentState::Active;
    let AgentView { id, limits, uses, actions, .. } = agent.clone();
    let name = isolated(&agent.name);
    let owner = agent.owner.as_ref().map(|owner| format!(" of {}", isolated(owner)));
    let toggle = move |of| opened.update(|opened| *opened = if *opened == of { Opened::Nothing } else { of });
    let limits_for_form = limits.clone();
    let below = move || match opened.get() {
        Opened::Nothing => ().into_any(),
        Opened::Limits => view! { <ChangeLimits id limits=limits_for_form.clone() opened list /> }.into_any(),
        Opened::Undo => view! { <UndoPreview id name=name.clone() /> }.into_any(),
    };
    let (stopped, for_label) = (agent.clone(), isolated(&agent.name));
    view! {
        <article class="stack agent-card">
            <div class="row">
                <p class="grow">
                    <strong>{isolated(&agent.name)}</strong>
                    {owner.map(|owner| view! { <span class="dim">{owner}</span> })}
                    " "
                    <span class="dim">{format!("· {}", state(&agent))}</span>
                </p>
                {is_active.then(|| view! {
                    <button
                        type="button"
                        class="quiet"
                        title="Change mode, scopes and budgets"
                        aria-label=format!("Change the limits of {for_label}")
                        on:click=move |_| toggle(Opened::Limits)
                    >
                        "Limits"
                    </button>
                })}
                <button
                    type="button"
                    class="quiet"
                    title="Show what it did, and what of it can be undone"
                    on:click=move |_| toggle(Opened::Undo)
                >
                    "Undo everything this agent did"
                </button>
                {is_active.then(|| view! { <StopButton agent=stopped list /> })}
            </div>
            <p class="small dim">{about(&agent)}</p>
            {scopes(&limits).map(|text| view! { <p class="small dim">{text}</p> })}
            <div class="project-meters">{uses.into_iter().map(|one| view! { <Budget budget=one /> }).collect_view()}</div>
            {below}
            <LastActions actions />
        </article>
    }
}

fn state(agent: &AgentView) -> String {
    match (agent.state, &agent.stopped_by) {
        (AgentState::Active, _) => agent.limits.mode.label().to_lowercase(),
        (AgentState::Stopped, Some(by)) => format!("stopped by {}", isolated(by)),
        (AgentState::Stopped, None) => "stopped".to_owned(),
        (AgentState::Ended, _) => "its token has ended".to_owned(),
    }
}

fn about(agent: &AgentView) -> String {
    let used = agent.used_ms.map_or_else(String::new, |at| format!(", last request {}", ago(at as f64)));
    let until = match (agent.state, agent.expires_ms) {
        (AgentState::Active, Some(at)) => format!(", expires {}", clock(at as f64)),
        _ => String::new(),
    };
    let client = agent.client.as_ref().map(|client| format!(", program {}", isolated(client))).unwrap_or_default();
    format!("Created {}{used}{until}{client}", ago(agent.created_ms as f64))
}

/// The scopes in one line; `None` without any.
fn scopes(limits: &AgentLimits) -> Option<String> {
    let projects = limits.projects.as_ref().map(|names| format!("projects: {}", names.join(", ")));
    let runs = limits.runs.as_ref().map(|runs| {
        let ids: Vec<String> = runs.iter().map(ToString::to_string).collect();
        format!("runs: its own and {}", ids.join(", "))
    });
    let commands = limits.commands.as_ref().map(|commands| {
        let names: Vec<String> = commands.iter().map(|command| words(*command)).collect();
        format!("commands: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
    });
    let parts: Vec<String> = [projects, runs, commands].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("Only {}", parts.join("; ")))
}

/// A budget as a bar; a count without a limit.
#[component]
fn Budget(budget: BudgetUse) -> impl IntoView {
    let BudgetUse { budget: kind, used, reserved, most } = budget;
    let taken = used + reserved;
    let reserved = if reserved > 0.0 { format!(", {} reserved", kind.number(reserved)) } else { String::new() };
    let text = match budget.left() {
        Some(left) => format!("{} used{reserved}, {} left", kind.number(used), kind.number(left)),
        None => format!("{} used{reserved}, no limit", kind.number(used)),
    };
    let share = most.map(|most| if most > 0.0 { taken / most } else { 1.0 });
    view! {
        <div class="project-meter">
            <span class="small">{kind.label()}</span>
            <span class="small mono">{text}</span>
            {share.map(|share| view! { <Progress share=Some(share) label=format!("{} used", kind.label()) /> })}
        </div>
    }
}

#[component]
fn LastActions(actions: Vec<AgentAction>) -> impl IntoView {
    if actions.is_empty() {
        return view! { <p class="small dim">"No actions yet."</p> }.into_any();
    }
    let line = |AgentAction { run, run_name, record }: AgentAction| {
        let by = isolated(record.author.name());
        view! {
            <li>
                <a href=at(&format!("/runs/{run}")) title="Open the run">{isolated(&run_name)}</a>
                {format!(": {} at step {}", isolated(&record.event.phrase()), record.step)}
                <span class="dim">{format!(" · {} · {by}", ago(record.at_ms as f64))}</span>
            </li>
        }
    };
    view! {
        <div class="stack agent-actions">
            <h3 class="small">"Last actions"</h3>
            <ul class="small">{actions.into_iter().map(line).collect_view()}</ul>
        </div>
    }
    .into_any()
}

#[component]
fn StopButton(agent: AgentView, list: AgentList) -> impl IntoView {
    let (confirm, toasts) = (expect_context::<Confirm>(), expect_context::<Toasts>());
    let (id, name) = (agent.id, isolated(&agent.name));
    let label = format!("Stop the agent {name}");
    let ask = move |_| {
        let told = name.clone();
        let act = confirm.keep(move || {
            let name = told.clone();
            spawn_local(async move {
                match agents::stop(id).await {
                    Ok(stopped) => toasts.say(outcome(&name, &stopped)),
                    Err(failure) => toasts.fail("The agent was not stopped", &failure),
                }
                list.fetch();
            });
        });
        let loses = "Its tokens are revoked, its runs, sweeps, experiments and research loops are paused, and its queued runs are \
                     stopped. A revoked token cannot be restored; the runs can be resumed."
            .to_owned();
        confirm.ask(Question { title: format!("Stop the agent {name}?"), loses, verb: "Stop this agent", act });
    };
    view! {
        <button
            type="button"
            class="danger"
            title="Revoke its tokens and pause what it has started, after confirmation"
            aria-label=label
            on:click=ask
        >
            "Stop this agent"
        </button>
    }
}

fn outcome(name: &str, stopped: &AgentStopped) -> String {
    let AgentStopped { paused, paused_groups, failed, .. } = stopped;
    let groups = if paused_groups.is_empty() { String::new() } else { format!(", {}", paused_groups.join(", ")) };
    let failed = if failed.is_empty() { String::new() } else { format!(". Not paused: {}", failed.join("; ")) };
    format!("The agent {name} was stopped; paused: {} runs{groups}{failed}", paused.len())
}

#[component]
fn ChangeLimits(id: i64, limits: AgentLimits, opened: RwSignal<Opened>, list: AgentList) -> impl IntoView {
    let typed = TypedLimits::new(&limits);
    let (failure, is_busy) = (RwSignal::new(None::<ApiFailure>), RwSignal::new(false));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if is_busy.get_untracked() || !untrack(|| typed.is_readable()) {
            return;
        }
        let limits = untrack(|| typed.limits());
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match agents::limit(id, &limits).await {
                Ok(_) => {
                    opened.try_set(Opened::Nothing);
                    list.fetch();
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <form class="stack agent-form" on:submit=submit>
            <LimitFields limits=typed />
            {move || failure.get().map(|failure| view! { <Failure what="The limits were not changed" failure /> })}
            <div class="row end">
                <button
                    class="primary"
                    type="submit"
                    title="The limits hold from the next request of the agent on"
                    disabled=move || is_busy.get() || !typed.is_readable()
                >
                    "Save the limits"
                </button>
            </div>
        </form>
    }
}

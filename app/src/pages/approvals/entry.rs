//! One proposal that waits: who proposes what and why, what it would change and cost, and the buttons.

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::Value;
use wire::proposal::{PreviewRequest, Proposal, ProposalDecision};

use super::diff::{Rows, agent};
use super::forms::{EditForm, RejectForm};
use super::plan::{cost, news, obstacle, pretty, rows, tool_words};
use super::{Form, Queue, focus};
use crate::components::number::{ago, clock};
use crate::components::{clicks, run_name, says, shows, visible};
use crate::net::api::proposals;
use crate::net::live::Live;
use crate::route::run_path;
use crate::session::Session;

/// The id of the element of an entry.
pub(super) fn anchor(id: i64) -> String {
    format!("proposal-{id}")
}

/// An entry. Its content follows the proposal; an open form stays.
#[component]
pub(super) fn Entry(id: i64) -> impl IntoView {
    let (queue, session) = (expect_context::<Queue>(), expect_context::<Session>());
    let proposal = Memo::new(move |_| queue.find(id));
    let may_not = Memo::new(move |_| {
        let project = proposal.read().as_ref().map(|proposal| proposal.project.clone()).unwrap_or_default();
        (!session.can_steer_in(&project)).then(|| format!("This needs the role steer in the project {project}"))
    });
    let is_off = move || may_not.read().is_some() || queue.sent.get() == Some(id);
    let title = move |meaning: &'static str| says(move || may_not.get().unwrap_or_else(|| meaning.to_owned()));
    let open = move |form: Form| {
        let chosen = Some((id, form));
        queue.form.update(|open| *open = if *open == chosen { None } else { chosen });
    };
    let form = Memo::new(move |_| queue.form.get().filter(|(of, _)| *of == id).map(|(_, form)| form));
    Effect::new(move || {
        if form.get().is_some() {
            // The form is in the document at the next frame.
            request_animation_frame(move || focus(&format!("#{} .approval-form :is(input, textarea)", anchor(id))));
        }
    });
    let heading = format!("{}-title", anchor(id));
    view! {
        <li class="approval-entry sheet padded stack" id=anchor(id) tabindex="-1" aria-labelledby=heading>
            {shows(move || proposal.get().map(|proposal| view! { <Content proposal /> }))}
            <div class="row">
                <button
                    class="primary"
                    data-act="approve"
                    title=title("Carry the action out as it was proposed (a, then Enter)")
                    disabled=is_off
                    on:click=clicks(move |_| queue.decide(id, ProposalDecision::Approve))
                >
                    "Approve"
                </button>
                <button
                    data-act="edit"
                    aria-expanded=says(move || (form.get() == Some(Form::Edit)).to_string())
                    title=title("Change the arguments, then approve (e, then Enter)")
                    disabled=is_off
                    on:click=clicks(move |_| open(Form::Edit))
                >
                    "Edit"
                </button>
                <button
                    data-act="reject"
                    aria-expanded=says(move || (form.get() == Some(Form::Reject)).to_string())
                    title=title("Do not carry it out; the agent receives the reason (r, then Enter)")
                    disabled=is_off
                    on:click=clicks(move |_| open(Form::Reject))
                >
                    "Reject"
                </button>
            </div>
            {shows(move || match (form.get(), proposal.get_untracked()) {
                (Some(Form::Edit), Some(proposal)) => view! { <EditForm proposal /> }.into_any(),
                (Some(Form::Reject), Some(_)) => view! { <RejectForm id /> }.into_any(),
                _ => ().into_any(),
            })}
        </li>
    }
}

#[component]
fn Content(proposal: Proposal) -> impl IntoView {
    let (live, id) = (expect_context::<Live>(), proposal.id);
    let (heading, words) = (format!("{}-title", anchor(id)), tool_words(&proposal.tool));
    let run = proposal.run.clone().map(|run| {
        let href = run_path(&run);
        view! { <a class="wrap" href=href title="Open the run">{says(move || run_name(live, &run))}</a> }
    });
    let changes = rows(&proposal.preview.data, &proposal.arguments);
    let made = ago(proposal.created_ms as f64);
    let waits_until = format!("Number {id}; it expires {}", clock(proposal.expires_ms as f64));
    let facts = [
        ("Expected", proposal.expected.as_deref().map(|expected| visible(expected).into_owned())),
        ("Cost", cost(&proposal.preview)),
        ("Obstacle", obstacle(&proposal.preview)),
    ];
    let facts: Vec<AnyView> = facts
        .into_iter()
        .filter_map(|(label, text)| {
            let text = text?;
            Some(view! { <div><dt class="dim">{label}</dt><dd>{text}</dd></div> }.into_any())
        })
        .collect();
    view! {
        <div class="row">
            <h2 id=heading>{words}</h2>
            {run}
            <span class="grow"></span>
            <span class="small dim wrap" title=waits_until>{format!("{} · {made}", agent(&proposal))}</span>
        </div>
        <p class="approval-reason">{visible(&proposal.reason).into_owned()}</p>
        <Rows rows=changes label="What would change" />
        {(!facts.is_empty()).then(|| view! { <dl class="approval-facts small">{facts}</dl> })}
        <News proposal=proposal.clone() />
        <WholePlan proposal />
    }
}

/// What others have done to the run since the plan, and a button that computes the plan again.
#[component]
fn News(proposal: Proposal) -> impl IntoView {
    let (queue, id) = (expect_context::<Queue>(), proposal.id);
    let renew = move |_| {
        spawn_local(async move {
            match proposals::preview(id, &PreviewRequest::default()).await {
                Ok(_) => queue.fetch(),
                Err(failure) => queue.toasts.fail("The plan was not computed", &failure),
            }
        });
    };
    news(&proposal).map(|text| {
        view! {
            <p class="row small" role="note">
                <span title="Commands of people, rules and other agents that change the run, and their notes; samples, checkpoints, evaluations and findings do not count">
                    {text}
                </span>
                <button title="Compute the plan with the present state of the run" on:click=clicks(renew)>
                    "Compute again"
                </button>
            </p>
        }
    })
}

/// The plan as the server gives it, and the arguments of the call.
#[component]
fn WholePlan(proposal: Proposal) -> impl IntoView {
    let shown = |value: &Value| visible(&pretty(value)).into_owned();
    let (plan, arguments) = (shown(&proposal.preview.data), shown(&Value::Object(proposal.arguments)));
    view! {
        <details class="small">
            <summary>"Arguments and whole plan"</summary>
            <pre class="approval-json" role="region" tabindex="0" aria-label="Arguments">{arguments}</pre>
            <pre class="approval-json" role="region" tabindex="0" aria-label="Plan">{plan}</pre>
        </details>
    }
}

//! A fork: a new run that begins with a state of this one, with a few changes. It carries weights, optimizer, schedule and
//! history; the curves share the past.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::spec::Parent;
use wire::{CheckpointId, Command, RunSpec, SetField};

use super::controls::toggled;
use super::fork_text::ForkText;
use super::rollback::{CheckpointSelect, saved};
use super::{Desk, Drawer};
use crate::api::{self, ApiFailure};
use crate::parts::{Failure, Icon};
use crate::route::{Router, run_path};

/// Dials that a fork can turn before its first step.
const TURNED: [SetField; 3] = [SetField::Rate, SetField::Clip, SetField::WeightDecay];

/// The button and its drawer; a fork can be made of a run that has ended, too.
#[component]
pub(super) fn ForkButton() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_open = Memo::new(move |_| desk.drawer.get() == Some(Drawer::Fork));
    let title = move || desk.role.get().unwrap_or_else(|| "A new run that begins with a state of this one (f)".into());
    let open = move |_| {
        desk.chosen.set(None);
        desk.drawer.update(|open| *open = toggled(*open, Drawer::Fork));
    };
    view! {
        <div class="drawer-hold">
            <button class="hand" aria-haspopup="dialog" aria-expanded=move || is_open.get().to_string() title=title disabled=move || desk.role.read().is_some() on:click=open>
                <Icon name="fork" />"Fork"
            </button>
            <Show when=move || is_open.get() && desk.role.read().is_none()>
                <div class="drawer wide" role="dialog" aria-label="Fork this run"><ForkForm /></div>
            </Show>
        </div>
    }
}

/// A number that may be left as it is.
#[derive(Clone, Copy)]
struct Typed(RwSignal<String>);

impl Typed {
    fn new() -> Self {
        Self(RwSignal::new(String::new()))
    }

    /// Nothing where nothing is typed, none where it is no number.
    fn read<T: std::str::FromStr>(self) -> Option<Option<T>> {
        let text = self.0.read().trim().replace([',', '\u{202f}', ' '], "");
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    }
}

#[component]
fn TypedField(label: &'static str, unit: &'static str, usual: Signal<String>, typed: Typed) -> impl IntoView {
    view! {
        <label>
            {label}<span class="unit">{format!(" {unit}")}</span>
            <input type="text" inputmode="decimal" autocomplete="off" placeholder=usual prop:value=typed.0
                on:input:target=move |event| typed.0.set(event.target().value()) />
        </label>
    }
}

#[component]
fn ForkForm() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let router = expect_context::<Router>();
    let chosen = RwSignal::new(desk.chosen.get_untracked());
    let (name, text) = (RwSignal::new(String::new()), RwSignal::new(None));
    let (steps, seed) = (Typed::new(), Typed::new());
    let dials = TURNED.map(|field| (field, Typed::new()));
    let is_busy = RwSignal::new(false);
    let failure = RwSignal::new(None::<ApiFailure>);
    // Only what can be sent; the sentence under the form says the same.
    let spec = move || -> Result<RunSpec, String> {
        let mut changes = vec![];
        for (field, typed) in dials {
            let wrong = || format!("{} must be a number.", field.describe().0);
            if let Some(value) = typed.read::<f64>().ok_or_else(wrong)? {
                field.check(value)?;
                changes.push(Command::Set { field, value, reason: None });
            }
        }
        let parent = Parent { run: desk.id(), step: None, checkpoint: chosen.get(), changes, twin_of: None };
        Ok(RunSpec {
            parent: Some(parent),
            name: Some(name.read().trim().to_owned()).filter(|name| !name.is_empty()),
            corpus: text.get(),
            steps: steps.read().ok_or("Steps must be a whole number.")?,
            seed: seed.read().ok_or("The seed must be a whole number.")?,
            ..RunSpec::default()
        })
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Ok(spec) = untrack(spec) else { return };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match api::create_run(&spec).await {
                Ok(view) => {
                    desk.drawer.try_set(None);
                    router.go(&run_path(&view.summary.id));
                }
                Err(refused) => {
                    failure.try_set(Some(refused));
                    is_busy.try_set(false);
                }
            }
        });
    };
    let now =
        if desk.state.get_untracked().is_live() { "now: a checkpoint is taken first" } else { "the newest checkpoint" };
    let run = desk.run.read_untracked();
    let usual_seed = run.view.plan.seed.to_string();
    view! {
        <form on:submit=submit>
            <label>"From"<CheckpointSelect now=Some(now) chosen /></label>
            <label>"Name"<input type="text" maxlength="80" placeholder="a readable one is made up" prop:value=name on:input:target=move |event| name.set(event.target().value()) /></label>
            <ForkText chosen=text />
            <div class="pair">
                <TypedField label="Steps" unit="in all" usual=Signal::derive(move || desk.dials.read().steps.to_string()) typed=steps />
                <TypedField label="Seed" unit="" usual=Signal::stored(usual_seed) typed=seed />
            </div>
            <div class="triple">
                {dials.map(|(field, typed)| {
                    let step = move || chosen.get().map_or_else(|| desk.summary.read().step, |id| id.step);
                    let usual = Signal::derive(move || number::short(desk.dials.read().get(field, step())));
                    view! { <TypedField label=field.describe().0 unit="" usual typed /> }
                })}
            </div>
            <p class="effect">{move || match spec() {
                Ok(spec) => effect(desk, chosen.get(), &spec),
                Err(why) => why,
            }}</p>
            {move || failure.get().map(|failure| view! { <Failure what="Not forked" failure /> })}
            <div class="row end"><button class="primary" type="submit" disabled=move || is_busy.get() || spec().is_err()>{move || if is_busy.get() { "Forking …" } else { "Fork" }}</button></div>
        </form>
    }
}

fn effect(desk: Desk, checkpoint: Option<CheckpointId>, spec: &RunSpec) -> String {
    let newest = || saved(desk).first().map(|saved| saved.info.id.step);
    let step = match checkpoint {
        Some(checkpoint) => checkpoint.step,
        None if desk.state.get().is_live() => desk.summary.read().step,
        None => newest().unwrap_or_else(|| desk.summary.read().step),
    };
    let changes = spec.parent.as_ref().map_or(0, |parent| parent.changes.len());
    let same = match (changes, spec.seed) {
        (0, None) => "Unchanged, it repeats this run step by step.".to_owned(),
        (0, Some(_)) => "It reads other batches from there on.".to_owned(),
        (1, _) => "It differs by one dial from there on.".to_owned(),
        (many, _) => format!("It differs by {many} dials from there on."),
    };
    let device = &desk.summary.read().device;
    let waits = if desk.state.get().is_live() { format!(" It waits in the queue of {device}.") } else { String::new() };
    format!("A new run with weights, optimizer and history of step {}. {same}{waits}", number::whole(step))
}

//! One experiment as a page of a lab notebook: what was believed and predicted, the rule that was fixed in advance, the pairs of runs, the
//! verdict, and the journal.

use std::time::Duration;

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunSpec;
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{
    ExperimentAction, ExperimentEvent, ExperimentRun, ExperimentState, ExperimentSummary, ExperimentView,
};

use super::opened::{NotOpened, ReasonForm, journal_line};
use super::pairs::Pairs;
use super::words::{Mark, author_name, budgeted_time, compared, in_metric, most_pairs};
use crate::components::interval::every;
use crate::components::number::{counted, grouped, moment, small};
use crate::components::{Failure, Progress, Skeleton, Toasts, clicks, isolated, run_name, says, sentence, shows};
use crate::net::api::{ApiFailure, experiments};
use crate::net::live::Live;
use crate::route::run_path;
use crate::session::Session;

/// Time between two requests while the experiment can change.
const REFRESH: Duration = Duration::from_secs(2);

/// The experiment of the page.
#[derive(Clone, Copy)]
struct Notebook {
    id: u64,
    view: RwSignal<Option<ExperimentView>>,
    failure: RwSignal<Option<ApiFailure>>,
    is_sending: RwSignal<bool>,
    toasts: Toasts,
}

impl Notebook {
    fn open(id: u64) -> Self {
        let (view, failure, is_sending) = (RwSignal::new(None), RwSignal::new(None), RwSignal::new(false));
        let notebook = Self { id, view, failure, is_sending, toasts: expect_context() };
        notebook.fetch();
        every(REFRESH, move || {
            if notebook.view.try_with_untracked(|view| view.as_ref().is_some_and(can_change)) == Some(true) {
                notebook.fetch();
            }
        });
        notebook
    }

    fn fetch(self) {
        spawn_local(async move {
            match experiments::experiment(self.id).await {
                Ok(found) => self.put(found),
                Err(failure) => drop(self.failure.try_set(Some(failure))),
            }
        });
    }

    /// Shows what has changed.
    fn put(self, found: ExperimentView) {
        self.failure.try_set(None);
        if self.view.try_with_untracked(|known| known.as_ref() == Some(&found)) == Some(false) {
            self.view.try_set(Some(found));
        }
    }

    fn act(self, what: &'static str, action: ExperimentAction) {
        self.is_sending.set(true);
        spawn_local(async move {
            match experiments::change(self.id, &action).await {
                Ok(found) => self.put(found),
                Err(failure) => self.toasts.fail(what, &failure),
            }
            self.is_sending.try_set(false);
        });
    }

    /// A part of the experiment, once it is known.
    fn part<T: Clone + PartialEq + Send + Sync + 'static>(
        self,
        part: impl Fn(&ExperimentView) -> T + Send + Sync + 'static,
    ) -> Memo<Option<T>> {
        Memo::new(move |_| self.view.read().as_ref().map(&part))
    }
}

/// Whether the experiment changes by itself: also a paused or stopped one does while its runs train.
fn can_change(view: &ExperimentView) -> bool {
    let has_not_ended = |run: &ExperimentRun| run.state.is_some_and(|state| !state.is_over());
    view.summary.state == ExperimentState::Running || view.runs.iter().any(has_not_ended)
}

#[component]
pub(in crate::pages) fn ExperimentPage(id: u64) -> impl IntoView {
    let notebook = Notebook::open(id);
    provide_context(notebook);
    // 0: loading, 1: failed, 2: known.
    let stage = Memo::new(move |_| match (&*notebook.view.read(), &*notebook.failure.read()) {
        (Some(_), _) => 2,
        (None, Some(_)) => 1,
        (None, None) => 0,
    });
    // A memo: each failed request sets the failure, and an alert that is built again is read aloud again.
    let refused = Memo::new(move |_| notebook.failure.get());
    let content = move || {
        match stage.get() {
        0 => view! { <Skeleton rows=6 /> }.into_any(),
        1 => notebook.failure.get().map(|failure| view! {
            <NotOpened noun="experiment" id=notebook.id failure list="/experiments" retry=move |()| notebook.fetch() />
        })
        .into_any(),
        _ => view! {
            {shows(move || refused.get().map(|failure| view! {
                <Failure
                    what="The experiment could not be fetched again"
                    failure
                    retry=move |()| notebook.fetch()
                />
            }))}
            <Head />
            <Statement />
            <Trained />
            <Conclusion />
            <Journal />
        }
        .into_any(),
    }
    };
    view! { <main class="page experiment stack roomy">{shows(content)}</main> }
}

/// Title, state and controls.
#[component]
fn Head() -> impl IntoView {
    let notebook = expect_context::<Notebook>();
    let session = expect_context::<Session>();
    let summary = notebook.part(|view| {
        let ExperimentSummary { spec, state, reason, verdict, author, project, created_ms, .. } = &view.summary;
        let outcome = verdict.as_ref().map(|verdict| verdict.outcome);
        (spec.title.clone(), *state, reason.clone(), outcome, author.clone(), project.clone(), *created_ms)
    });
    shows(move || {
        let (title, state, reason, outcome, author, project, created_ms) = summary.get()?;
        let can_steer =
            session.can_steer_in(&project) && matches!(state, ExperimentState::Running | ExperimentState::Paused);
        let about = format!(
            "Experiment {} · {} · {} · project {project}",
            notebook.id,
            author_name(&author),
            moment(created_ms as f64)
        );
        Some(view! {
            <header class="stack">
                <div class="row">
                    <h1>{isolated(&title)}</h1>
                    <Mark state outcome />
                    <span class="grow"></span>
                    {can_steer.then(|| view! { <Controls state /> })}
                </div>
                <p class="small dim">{about}</p>
                {reason.map(|reason| view! { <p role="status">{isolated(&sentence(&reason))}</p> })}
            </header>
        })
    })
}

#[component]
fn Controls(state: ExperimentState) -> impl IntoView {
    let notebook = expect_context::<Notebook>();
    let is_sending = notebook.is_sending;
    let is_stopping = RwSignal::new(false);
    let go_on = match state {
        ExperimentState::Paused => view! {
            <button
                title="Start the next runs; a run that failed is repeated"
                disabled=move || is_sending.get()
                on:click=clicks(move |_| notebook.act("The experiment was not resumed", ExperimentAction::Resume))
            >
                "Resume"
            </button>
        }
        .into_any(),
        _ => view! {
            <button
                title="Start no further run; runs that are queued or training go on"
                disabled=move || is_sending.get()
                on:click=clicks(move |_| notebook.act("The experiment was not paused", ExperimentAction::Pause))
            >
                "Pause"
            </button>
        }
        .into_any(),
    };
    let send = Callback::new(move |reason| {
        notebook.act("The experiment was not stopped", ExperimentAction::Stop { reason });
    });
    view! {
        {go_on}
        <button
            title="End the experiment without a verdict, and stop its runs"
            aria-expanded=move || is_stopping.get().to_string()
            on:click=clicks(move |_| is_stopping.update(|is_stopping| *is_stopping = !*is_stopping))
        >
            "Stop …"
        </button>
        {shows(move || is_stopping.get().then(|| view! {
            <ReasonForm word="Stop without a verdict" is_sending send />
        }))}
    }
}

/// Hypothesis, change, prediction, rule and budget, as they were fixed.
#[component]
fn Statement() -> impl IntoView {
    let notebook = expect_context::<Notebook>();
    let stated = notebook.part(|view| (view.summary.spec.clone(), view.baseline.clone()));
    shows(move || {
        let (spec, baseline) = stated.get()?;
        let direction = if spec.metric.higher_is_better { "higher is better" } else { "lower is better" };
        let metric = format!("{}, last value of each run, {direction}", spec.metric.label());
        let prediction = format!(
            "{}, confirmed with a probability of {}",
            in_metric(&spec, spec.prediction.difference),
            small(spec.prediction.probability)
        );
        let (hypothesis, change, rule) = (isolated(&spec.hypothesis), spec.change.phrase(), rule_sentence(&spec));
        Some(view! {
            <section class="sheet padded stack" aria-labelledby="hypothesis-title">
                <h2 id="hypothesis-title">"Hypothesis"</h2>
                <p class="statement">{hypothesis}</p>
                <dl class="figures across">
                    <Fact label="Baseline" meaning="What the change is compared with"><BaselineFact spec baseline /></Fact>
                    <Fact label="Change" meaning="How the variant differs from the baseline">
                        <span class="mono">{change}</span>
                    </Fact>
                    <Fact label="Metric" meaning="What is compared">{metric}</Fact>
                    <Fact label="Prediction" meaning="Expected difference, variant minus baseline, stated before the first run">{prediction}</Fact>
                </dl>
                <h2>"Decision rule, fixed before the first run"</h2>
                <p>{rule}</p>
            </section>
        })
    })
}

#[component]
fn Fact(label: &'static str, meaning: &'static str, children: Children) -> impl IntoView {
    view! { <div><dt title=meaning>{label}</dt><dd>{children()}</dd></div> }
}

#[component]
fn BaselineFact(spec: ExperimentSpec, baseline: RunSpec) -> impl IntoView {
    let live = expect_context::<Live>();
    let run = spec.baseline.run.map(|run| {
        let (href, id) = (run_path(&run), StoredValue::new(run));
        let name = says(move || id.with_value(|id| run_name(live, id)));
        view! { "the plan of "<a href=href title="Open the page of the run">{name}</a>": " }
    });
    view! { {run}{spec_phrase(&baseline)} }
}

/// `preset tiny on tales, 300 steps`
fn spec_phrase(spec: &RunSpec) -> String {
    let datasets: Vec<String> = match (&spec.corpus, &spec.mix) {
        (Some(corpus), _) => vec![corpus.to_string()],
        (None, mix) => mix.iter().flatten().map(|(corpus, weight)| format!("{} {corpus}", small(*weight))).collect(),
    };
    let preset = spec.preset.as_deref().unwrap_or("nanogpt-cpu");
    let steps = spec.steps.map(|steps| format!(", {}", counted(steps, "step"))).unwrap_or_default();
    let changed = match spec.overrides.len() {
        0 => String::new(),
        many => format!(", {} of its own", counted(many as u64, "hyperparameter")),
    };
    format!("preset {preset} on {}{steps}{changed}", datasets.join(" + "))
}

fn rule_sentence(spec: &ExperimentSpec) -> String {
    let rule = &spec.rule;
    let (effect, level) = (in_metric(spec, rule.effect), small(100.0 * rule.level()));
    let direction = if spec.prediction.difference < 0.0 { "below" } else { "above" };
    format!(
        "After each pair, from pair {} on, the {level}{thin}% confidence sequence of the mean difference is computed. \
         Confirmed: the whole interval is {direction} 0, and the mean difference is at least {effect} in the predicted direction. \
         Refuted: the interval excludes an effect of {effect} in the predicted direction. \
         Inconclusive: neither after {} pairs, or when the budget is used.",
        rule.min_pairs,
        rule.max_pairs,
        thin = number::THIN,
    )
}

/// Progress, and the pairs.
#[component]
fn Trained() -> impl IntoView {
    let notebook = expect_context::<Notebook>();
    let share = Signal::derive(move || {
        let view = notebook.view.read();
        let summary = &view.as_ref()?.summary;
        Some(f64::from(summary.pairs) / f64::from(most_pairs(&summary.spec).max(1)))
    });
    let is_live = Signal::derive(move || {
        notebook.view.read().as_ref().is_some_and(|view| view.summary.state == ExperimentState::Running)
    });
    let used = says(move || notebook.view.read().as_ref().map(used_phrase).unwrap_or_default());
    let trained = notebook.part(|view| (view.summary.spec.clone(), view.runs.clone()));
    view! {
        <section class="stack" aria-labelledby="pairs-title">
            <h2 id="pairs-title">"Pairs of runs"</h2>
            <Progress share label="Pairs of runs that are complete" is_live />
            <p class="small dim">{used}</p>
            {shows(move || trained.get().map(|(spec, runs)| match runs.is_empty() {
                true => view! { <p>"No run has been queued yet."</p> }.into_any(),
                false => view! { <Pairs spec runs /> }.into_any(),
            }))}
        </section>
    }
}

/// `3 of at most 8 pairs · 45 s of 1 h of device time · at most 300 steps per run`
fn used_phrase(view: &ExperimentView) -> String {
    let spec = &view.summary.spec;
    format!(
        "{} of at most {} · {} of {} of device time · at most {} steps per run",
        view.summary.pairs,
        counted(u64::from(most_pairs(spec)), "pair"),
        number::duration(view.device_secs()),
        budgeted_time(spec.budget.device_hours),
        grouped(spec.budget.steps)
    )
}

#[component]
fn Conclusion() -> impl IntoView {
    let notebook = expect_context::<Notebook>();
    let verdict = notebook.part(|view| (view.summary.spec.clone(), view.summary.verdict.clone()));
    shows(move || {
        let (spec, verdict) = verdict.get()?;
        let verdict = verdict?;
        let prediction = compared(&spec, &verdict);
        Some(view! {
            <section class="sheet padded stack" aria-labelledby="verdict-title">
                <h2 id="verdict-title">"Verdict"</h2>
                <p class="verdict" role="status">{isolated(&verdict.sentence)}</p>
                <p class="small dim">{prediction}</p>
            </section>
        })
    })
}

#[component]
fn Journal() -> impl IntoView {
    let notebook = expect_context::<Notebook>();
    let events = notebook.part(|view| view.events.clone());
    let line = |event: &ExperimentEvent| journal_line(event.at_ms, &event.author, &event.text);
    view! {
        <section class="stack" aria-labelledby="journal-title">
            <h2 id="journal-title">"Journal"</h2>
            {shows(move || events.get().map(|events| view! {
                <ol class="sheet list">{events.iter().rev().map(line).collect_view()}</ol>
            }))}
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_and_rules_are_sentences() {
        let spec: ExperimentSpec = serde_json::from_str(
            r#"{"title":"A","hypothesis":"B","baseline":{"spec":{"preset":"tiny","corpus":"tales","steps":300}},
            "change":{"overrides":{"model.layers":3}},"prediction":{"difference":-0.05,"probability":0.75},"rule":{"effect":0.02},
            "budget":{"steps":300,"device_hours":1.5}}"#,
        )
        .unwrap();
        let baseline = spec.baseline.spec.clone().unwrap();
        assert_eq!(spec_phrase(&baseline), "preset tiny on tales, 300 steps");
        let rule = rule_sentence(&spec);
        assert!(rule.starts_with("After each pair, from pair 3 on, the 95\u{202f}% confidence sequence"), "{rule}");
        assert!(rule.contains("is below 0") && rule.contains("at least 0.02\u{202f}bits/byte"), "{rule}");
    }
}

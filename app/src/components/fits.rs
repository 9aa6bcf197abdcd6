//! Fits over runs, on the page of a sweep and on the Compare page: a scaling law with its extrapolation ([`law`]), isoFLOP profiles
//! ([`isoflop`]), the best data mix ([`mix`]), a learning-rate range test ([`rates`]) and the batch size that the gradient noise scale
//! suggests ([`noise`]). The server reads the runs and fits; where they do not determine a fit, the panel shows its reason and the runs
//! ([`table`]).

mod isoflop;
mod law;
mod mix;
mod noise;
mod rates;
mod table;
mod words;

use leptos::prelude::*;
use leptos::task::spawn_local;
use research::fits::report::{FitKind, FitReport, FitResult};

use super::{Failure, Select, Skeleton, isolated, shows, switches};
use crate::net::api::{ApiFailure, fits};
use isoflop::IsoflopView;
use law::LawView;
use mix::MixView;
use noise::NoiseView;
use rates::RatesView;
use table::RunTable;
use words::{Targets, label, meaning};

/// The fit to request: its kind, the list of runs, the version of their results, and the dataset whose loss a mix predicts; empty for the mean
/// over all.
type Wanted = (FitKind, String, u64, String);

/// The state of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unchosen,
    NoRun,
    Requested,
    Answered,
}

/// The panel. Nothing is computed before a fit is chosen.
#[component]
pub(crate) fn FitsPanel(
    /// The runs, as a list of the API: ids, `sweep:ID`, `tag:NAME`, `project:NAME`.
    #[prop(into)]
    runs: Signal<String>,
    /// Id and name of each run whose own series can be fitted.
    #[prop(into)]
    single: Signal<Vec<(String, String)>>,
    /// Changes when runs of the list have new results.
    #[prop(into)]
    version: Signal<u64>,
    /// The choice of runs.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let (kind, run) = (RwSignal::new(None::<FitKind>), RwSignal::new(String::new()));
    let chosen_run = Memo::new(move |_| chosen(&run.read(), &single.read()));
    let (dataset, datasets) = (RwSignal::new(String::new()), RwSignal::new(Vec::<String>::new()));
    let wanted = Memo::new(move |_| wanted(kind.get(), runs.get(), chosen_run.get(), version.get(), dataset.get()));
    let found = RwSignal::new(None::<(Wanted, Result<FitReport, ApiFailure>)>);
    let fetch = move || {
        let Some(wanted_now) = wanted.try_get_untracked().flatten() else { return };
        spawn_local(async move {
            let answer = fits::fit(wanted_now.0, &wanted_now.1, &wanted_now.3).await;
            if let Ok(FitReport { result: FitResult::Mix(fit), .. }) = &answer {
                datasets.try_set(fit.datasets.clone());
            }
            // The answer to an older request is ignored.
            if wanted.try_get_untracked().flatten().as_ref() == Some(&wanted_now) {
                found.try_set(Some((wanted_now, answer)));
            }
        });
    };
    Effect::new(move || {
        if wanted.get().is_some() {
            fetch();
        }
    });
    // A memo: a new version alone does not build the last fit of the same runs again.
    let progress = Memo::new(move |_| match (&*wanted.read(), &*found.read()) {
        (None, _) if kind.get().is_none() => Progress::Unchosen,
        (None, _) => Progress::NoRun,
        (Some(wanted), Some((of, _))) if (of.0, &of.1, &of.3) == (wanted.0, &wanted.1, &wanted.3) => Progress::Answered,
        _ => Progress::Requested,
    });
    let targets = Targets::new();
    let kinds = FitKind::ALL.map(|of| (Some(of), label(of), meaning(of)));
    let of_mix = Memo::new(move |_| {
        let all = ("".to_owned(), "Mean over all datasets".to_owned());
        let each = datasets.read().iter().map(|name| (name.clone(), format!("Loss of {name}"))).collect::<Vec<_>>();
        std::iter::once(all).chain(each).collect::<Vec<_>>()
    });
    let is_of_one_run = Memo::new(move |_| kind.get().is_some_and(FitKind::is_of_one_run));
    view! {
        <section class="sheet padded stack fits" aria-label="Fits">
            <div class="row">
                <h2 title="Laws over several runs, and what the series of one run says about its learning rate and batch size">"Fits"</h2>
                {switches("Fit", &kinds, kind)}
                <span class="grow"></span>
                {children.map(|children| view! { <div hidden=move || is_of_one_run.get()>{children()}</div> })}
                {shows(move || (is_of_one_run.get() && !single.read().is_empty()).then(|| view! {
                    <label class="pick" title="The run whose series is fitted">
                        <span class="unseen">"Run of the fit"</span>
                        <Select entries=single chosen=chosen_run choose=move |id| run.set(id) />
                    </label>
                }))}
            </div>
            {shows(move || (kind.get() == Some(FitKind::Mix) && of_mix.read().len() > 1).then(|| view! {
                <label class="pick" title="Validation loss to predict from the weights of the datasets">
                    <span class="unseen">"Loss to predict"</span>
                    <Select entries=of_mix chosen=dataset choose=move |name| dataset.set(name) />
                </label>
            }))}
            {shows(move || kind.get().map(|kind| view! { <p class="small dim">{meaning(kind)}</p> }))}
            {shows(move || match (progress.get(), &*found.read()) {
                (Progress::Unchosen, _) => view! {
                    <p class="dim">"Choose a fit. The server reads the last evaluation of each run, or the series of one run."</p>
                }.into_any(),
                (Progress::NoRun, _) => view! { <p class="dim" role="status">"There is no run to fit."</p> }.into_any(),
                (Progress::Answered, Some((_, Ok(report)))) => view! { <Report report=report.clone() targets /> }.into_any(),
                (Progress::Answered, Some((_, Err(failure)))) => view! {
                    <Failure what="The runs could not be fitted" failure=failure.clone() retry=move |()| fetch() />
                }.into_any(),
                _ => view! { <Skeleton rows=5 /> }.into_any(),
            })}
        </section>
    }
}

/// The chosen run, or the first; empty without one.
fn chosen(run: &str, single: &[(String, String)]) -> String {
    let known = single.iter().find(|(id, _)| id == run).or_else(|| single.first());
    known.map(|(id, _)| id.clone()).unwrap_or_default()
}

fn wanted(kind: Option<FitKind>, runs: String, run: String, version: u64, dataset: String) -> Option<Wanted> {
    let kind = kind?;
    let list = if kind.is_of_one_run() { run } else { runs };
    let dataset = if kind == FitKind::Mix { dataset } else { String::new() };
    (!list.is_empty()).then_some((kind, list, version, dataset))
}

#[component]
fn Report(report: FitReport, targets: Targets) -> impl IntoView {
    let FitReport { runs, left_out, series, result } = report;
    let left_out = left_out.iter().map(|name| isolated(name)).collect::<Vec<_>>().join(", ");
    let view = match result {
        FitResult::ScalingLaw(fit) => view! { <LawView fit=*fit runs targets /> }.into_any(),
        FitResult::Isoflop(fit) => view! { <IsoflopView fit runs flops=targets.flops /> }.into_any(),
        FitResult::LearningRate(fit) => view! { <RatesView fit=Some(fit) series /> }.into_any(),
        FitResult::Mix(fit) => view! { <MixView fit=*fit runs /> }.into_any(),
        FitResult::BatchSize(fit) => view! { <NoiseView fit=Some(fit) series /> }.into_any(),
        FitResult::Refused(refused) => {
            // The series of a range test has smoothed losses, that of noise scales has none.
            let is_smoothed = series.first().map(|point| point.smoothed.is_some());
            let points = match is_smoothed {
                Some(true) => view! { <RatesView fit=None series /> }.into_any(),
                Some(false) => view! { <NoiseView fit=None series /> }.into_any(),
                None => view! { <RunTable runs law=None /> }.into_any(),
            };
            view! { <p class="refusal" role="status"><strong>"No fit. "</strong>{refused.sentence}</p>{points} }
                .into_any()
        }
    };
    view! {
        {view}
        {(!left_out.is_empty()).then(|| view! { <p class="small dim">{format!("Left out, because they have no evaluation or their mix has changed: {left_out}.")}</p> })}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_is_requested_once_it_is_chosen_and_has_runs() {
        let single = [("a".to_owned(), "first".to_owned()), ("b".to_owned(), "second".to_owned())];
        assert_eq!(
            (chosen("b", &single), chosen("gone", &single), chosen("b", &[])),
            ("b".into(), "a".into(), "".into())
        );
        let of = |kind: Option<FitKind>, run: &str| {
            wanted(kind, "sweep:1".into(), run.into(), 2, "tales".into())
                .map(|(_, list, version, of)| (list, version, of))
        };
        assert_eq!(of(None, "a"), None);
        assert_eq!(of(Some(FitKind::ScalingLaw), "a"), Some(("sweep:1".into(), 2, "".into())));
        assert_eq!(of(Some(FitKind::Mix), "a"), Some(("sweep:1".into(), 2, "tales".into())));
        assert_eq!(of(Some(FitKind::LearningRate), "a"), Some(("a".into(), 2, "".into())));
        assert_eq!(of(Some(FitKind::BatchSize), ""), None);
    }
}

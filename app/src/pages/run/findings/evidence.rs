//! What shows a finding: its series around the step, and links to the charts, the batch, the part of the model and the inspection.

use figure::scene::{Role, Size};
use figure::{ChartSpec, Curve, Frame, Reference, number};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::diagnosis::{Evidence, RuleInfo, RunFinding};
use wire::series::{Axis, Bucket, SeriesWindow, describe, name};

use super::state::FindingsState;
use crate::components::chart::Range;
use crate::components::{Canvas, Failure, clicks, says, show_nearest, shows};
use crate::net::api::ApiFailure;
use crate::net::api::series::{SeriesRequest, names, windows};
use crate::pages::run::context::RunContext;
use crate::pages::run::journal::batch_query;
use crate::route::xray_path;

/// Series of one prefix that are drawn together.
const MOST: usize = 12;
/// Buckets of a series.
const POINTS: u32 = 400;
/// Steps that are shown at least before and after the step of the finding.
const AROUND: u64 = 40;
/// As [`AROUND`], for series that are measured at few steps.
const AROUND_SPARSE: u64 = 400;
/// Prefixes of these series.
const SPARSE: [&str; 3] = [name::ATTENTION_ENTROPY, name::ATTENTION_LOGIT, name::DEAD_NEURONS];

/// The chart of a finding and its links.
#[component]
pub(super) fn EvidenceView(found: RunFinding, state: FindingsState, rule: Memo<Option<RuleInfo>>) -> impl IntoView {
    let context = state.context;
    let range = around(&found);
    let segment = found.segment;
    let evidence = StoredValue::new(found.finding.evidence.clone());
    let shown = RwSignal::new(0_usize);
    let drawn = RwSignal::new(None::<Result<Vec<SeriesWindow>, ApiFailure>>);
    Effect::new(move || {
        let place = shown.get();
        let Some(one) = evidence.with_value(|all| all.get(place).cloned()) else { return };
        let run = context.id();
        drawn.set(None);
        spawn_local(async move {
            let found = fetch(&run, one, range).await;
            // The answer to an earlier choice is ignored.
            if shown.try_get_untracked() == Some(place) {
                drawn.try_set(Some(found));
            }
        });
    });
    let words = |one: &Evidence| describe(&one.series).label;
    let buttons = evidence.with_value(|all| {
        let several = all.len() > 1;
        let button = |(place, one): (usize, &Evidence)| {
            view! {
                <button
                    class="switch"
                    title="Show this series around the step of the finding"
                    aria-pressed=says(move || (shown.get() == place).to_string())
                    on:click=clicks(move |_| shown.set(place))
                >
                    {words(one)}
                </button>
            }
        };
        several.then(|| {
            let buttons = all.iter().enumerate().map(button).collect_view();
            view! { <div class="range wrap" role="group" aria-label="Series">{buttons}</div> }
        })
    });
    let label = says(move || {
        evidence.with_value(|all| {
            let series = all.get(shown.get()).map(words).unwrap_or_default();
            format!("{series} from step {} to step {}", number::whole(range.0), number::whole(range.1))
        })
    });
    let step = found.finding.step;
    let (threshold, value) = (found.finding.threshold, found.finding.value);
    let draw = move |size: Size, _: bool| {
        let drawn = drawn.read();
        let windows: &[SeriesWindow] = match &*drawn {
            Some(Ok(windows)) => windows,
            _ => &[],
        };
        let curves = curves(context, segment, windows);
        let unit =
            evidence.with_value(|all| all.get(shown.get()).map(|one| describe(&one.series).unit).unwrap_or_default());
        // Without a unit, the value of the rule may be another quantity than that of the series.
        let of_rule = if unit == "ratio" { "" } else { unit };
        let is_of_series = rule.read().as_ref().is_some_and(|rule| rule.unit == of_rule)
            && (!of_rule.is_empty() || value.is_some_and(|value| has_value(windows, step, value)));
        let references = match is_of_series {
            true => vec![Reference { label: "threshold".into(), value: threshold, role: Role::InkFaint }],
            false => vec![],
        };
        let spec = ChartSpec {
            unit: unit.to_owned(),
            from: Some(range.0 as f64),
            to: Some(range.1 as f64),
            crosshair: Some(step as f64),
            references,
            frame: Frame { has_header: false, has_background: false, ..Frame::default() },
            ..ChartSpec::default()
        };
        let curves: Vec<Curve> = curves.iter().map(|(name, role, buckets)| Curve::new(name, *role, buckets)).collect();
        figure::chart(&spec, &curves, size).scene.shapes
    };
    let missing = move || match &*drawn.read() {
        Some(Ok(windows)) if windows.iter().all(|one| one.buckets.is_empty()) => {
            view! { <p class="small dim">"No values of this series are stored around this step."</p> }.into_any()
        }
        Some(Err(failure)) => {
            view! { <Failure what="The series could not be fetched" failure=failure.clone() /> }.into_any()
        }
        _ => ().into_any(),
    };
    view! {
        {buttons}
        <Canvas class="finding-chart" label draw />
        {shows(missing)}
        <Links found context />
    }
}

/// Whether a series has a value at a step.
fn has_value(windows: &[SeriesWindow], step: u64, value: f64) -> bool {
    let at_step = |bucket: &&Bucket| (bucket.step..=bucket.last_step).contains(&step);
    let is_near = |bucket: &Bucket| (bucket.max - value).abs() <= 1e-3 * value.abs();
    windows.iter().flat_map(|window| &window.buckets).filter(at_step).any(is_near)
}

/// The steps that are drawn: the window of the rule, and as much again around it.
fn around(found: &RunFinding) -> (u64, u64) {
    let finding = &found.finding;
    let is_sparse = |one: &Evidence| SPARSE.iter().any(|prefix| one.series.starts_with(prefix));
    let around = if finding.evidence.iter().any(is_sparse) { AROUND_SPARSE } else { AROUND };
    let length = finding.step.saturating_sub(finding.first_step).max(around);
    (finding.first_step.saturating_sub(length / 2), finding.step + length)
}

async fn fetch(run: &RunId, one: Evidence, (from, to): (u64, u64)) -> Result<Vec<SeriesWindow>, ApiFailure> {
    let names = match one.series.ends_with('/') {
        true => {
            let known = names(run).await?;
            known.into_iter().filter(|series| series.starts_with(&one.series)).take(MOST).collect()
        }
        false => vec![one.series],
    };
    if names.is_empty() {
        return Ok(vec![]);
    }
    let request =
        SeriesRequest { names, axis: Axis::Step, from: Some(from as f64), to: Some(to as f64), points: POINTS };
    windows(run, &request).await
}

/// The curves of the windows on the path to the finding.
fn curves(context: RunContext, segment: u32, windows: &[SeriesWindow]) -> Vec<(String, Role, Vec<Bucket>)> {
    let run = context.run.read_untracked();
    let lineage = run.curves.lineage();
    let mut names: Vec<&str> = windows.iter().map(|window| window.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let curve = |(place, name): (usize, &str)| {
        let of_name = windows.iter().filter(|window| window.name == name);
        let buckets = of_name.flat_map(|window| {
            let is_on_path =
                move |bucket: &&Bucket| window.segment == segment || lineage.contains(window.segment, bucket.step);
            window.buckets.iter().filter(is_on_path).copied()
        });
        let role = if names.len() == 1 { Role::Ink } else { Role::Run((place % 8) as u8) };
        (describe(name).label, role, buckets.collect())
    };
    names.iter().copied().enumerate().map(curve).collect()
}

/// Where else the finding can be seen.
#[component]
fn Links(found: RunFinding, context: RunContext) -> impl IntoView {
    let (step, range) = (found.finding.step, around(&found));
    let xray = xray_path(&context.id());
    let link = |query: &str, text: String, meaning: &'static str| {
        view! { <a class="button" href=format!("{xray}?{query}") title=meaning>{text}</a> }
    };
    let at = number::whole(step);
    let part = found.finding.evidence.iter().find_map(|one| part_of_model(&one.series));
    let segment = found.is_abandoned.then_some(found.segment);
    let part = part
        .map(|(query, text)| link(&format!("{query}&step={step}"), text, "Open this part of the model in the X-ray"));
    // Snapshots are those of the path of the run.
    let inspections = match found.is_abandoned {
        true => view! { <span class="small dim">"The X-ray shows the weights of the current branch only."</span> }.into_any(),
        false => view! {
            {part}
            {link(&format!("view=overview&step={step}"), format!("X-ray at step {at}"), "Show the snapshot of this step, or else the last one before it")}
        }
        .into_any(),
    };
    view! {
        <div class="row evidence-links">
            <button
                title="Show these steps on all charts of the run, with the values at the step of the finding"
                on:click=clicks(move |_| zoom(context, step, range))
            >
                "Show on the charts"
            </button>
            {link(&batch_query(step, segment), format!("Batch of step {at}"), "Show the batch of this step colored by loss, and the parameters with the largest gradients")}
            {inspections}
        </div>
    }
}

/// Shows the steps of a finding on the charts.
fn zoom(context: RunContext, step: u64, (from, to): (u64, u64)) {
    let place = |step| context.run.read_untracked().curves.place_before(step);
    context.chart_group().show.run(Some(Range { from: place(from), to: place(to) }));
    context.crosshair.set(Some(place(step)));
    let chart = document().query_selector(".chart.main").ok().flatten();
    if let Some(chart) = chart {
        show_nearest(&chart);
    }
}

/// The view of the X-ray of what a series measures: its query and the text of the link. `None` for a series of the whole model.
fn part_of_model(series: &str) -> Option<(String, String)> {
    let parameters = [(name::UPDATE_RATIO, "update"), (name::GRADIENT_RMS, "gradient"), (name::WEIGHT_RMS, "weight")];
    let parameter = parameters.iter().find_map(|(prefix, values)| Some((series.strip_prefix(prefix)?, values)));
    if let Some((tensor, values)) = parameter.filter(|(tensor, _)| !tensor.is_empty()) {
        return Some((format!("view=weights&values={values}&tensor={tensor}"), format!("{values} of {tensor}")));
    }
    if let Some(head) = series.strip_prefix(name::ATTENTION_ENTROPY) {
        let (layer, head) = head.split_once('.')?;
        let query = format!("view=attention&layer={layer}&head={head}");
        return Some((query, format!("Attention of head {head} in block {layer}")));
    }
    if let Some(layer) = number_after(series, name::ATTENTION_LOGIT) {
        return Some((format!("view=attention&layer={layer}&head=0"), format!("Attention of block {layer}")));
    }
    let layer = number_after(series, name::DEAD_NEURONS)?;
    Some((format!("view=neurons&layer={layer}"), format!("Neurons of block {layer}")))
}

fn number_after(series: &str, prefix: &str) -> Option<u32> {
    series.strip_prefix(prefix)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::part_of_model;

    #[test]
    fn a_series_of_a_part_leads_to_its_view_in_the_xray() {
        let check = |series: &str, expected: Option<&str>| {
            assert_eq!(part_of_model(series).map(|(query, _)| query).as_deref(), expected, "{series}");
        };
        check("update_ratio/block.0.attn.q.weight", Some("view=weights&values=update&tensor=block.0.attn.q.weight"));
        check("gradient_rms/head.weight", Some("view=weights&values=gradient&tensor=head.weight"));
        check("attention_entropy/2.3", Some("view=attention&layer=2&head=3"));
        check("attention_entropy/", None);
        check("attention_logit_max/1", Some("view=attention&layer=1&head=0"));
        check("dead_neurons/0", Some("view=neurons&layer=0"));
        check("dead_neurons/", None);
        check("loss.train", None);
    }
}

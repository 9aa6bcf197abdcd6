//! The mix of texts while the run trains: a slider for each text, what is read of it so far, and how well it is known.

use figure::number;
use leptos::prelude::*;
use wire::Command;
use wire::command::Redraw;
use wire::course::MixPoint;

use super::actions::{Onset, OnsetField, ReasonField, TwinField, reason_of};
use super::controls::DrawerButton;
use super::{Desk, Drawer};

/// Times a text can be read before repeating it teaches less (Muennighoff et al. 2023).
const EPOCHS_MOST: f64 = 4.0;
/// Prefix of the series of epochs seen, by text.
pub(super) const EPOCHS: &str = "epochs/";
/// Prefix of the series of validation losses, by text.
pub(super) const VALID: &str = "loss.valid/";

/// Shares at the present step, in the plan's order.
fn present(desk: Desk) -> Vec<f64> {
    desk.dials.read().mix.at(desk.summary.read().step)
}

/// The mix's button and drawer; nothing for a run of one text.
#[component]
pub(super) fn MixButton() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let has_several = desk.run.with_untracked(|run| run.view.plan.mix.len() > 1);
    let now = Memo::new(move |_| {
        present(desk).iter().map(|share| format!("{:.0}", share * 100.0)).collect::<Vec<_>>().join(":")
    });
    has_several.then(|| {
        view! {
            <DrawerButton
                drawer=Drawer::Mix
                label=move || view! { <span class="dim">"mix"</span>" "<b class="mono">{now.get()}</b>" ▾" }
                title="Weights of the texts: shares of the batches read from each".to_owned()
            >
                <MixForm />
            </DrawerButton>
        }
    })
}

/// Shares with one of them set, the others scaled so that all make up the whole.
pub(crate) fn balanced(shares: &[f64], at: usize, share: f64) -> Vec<f64> {
    let share = share.clamp(0.0, 1.0);
    let others: f64 = shares.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, share)| share).sum();
    let count = shares.len().saturating_sub(1).max(1) as f64;
    let scaled = |(place, old): (usize, &f64)| match (place == at, others > 0.0) {
        (true, _) => share,
        (false, true) => old / others * (1.0 - share),
        (false, false) => (1.0 - share) / count,
    };
    shares.iter().enumerate().map(scaled).collect()
}

#[component]
fn MixForm() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let texts = desk.run.with_untracked(|run| run.view.plan.corpora());
    let shares = RwSignal::new(untrack(|| present(desk)));
    let onset = RwSignal::new(Onset::Now);
    let reason = RwSignal::new(String::new());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if untrack(|| onset.get().check(desk)).is_err() {
            return;
        }
        let point = |step, weights| MixPoint { step, weights };
        let (here, wanted) = (untrack(|| present(desk)), shares.get_untracked());
        let points = match onset.get_untracked() {
            Onset::Now => vec![point(desk.next_step(), wanted)],
            Onset::Until(step) => vec![point(step, wanted)],
            // Level up to the step before it, then at once.
            Onset::At(step) => {
                let before = (step - 1 >= desk.next_step()).then(|| point(step - 1, here));
                before.into_iter().chain([point(step, wanted)]).collect()
            }
        };
        desk.drawer.set(None);
        desk.change(Command::Redraw { course: Redraw::Mix { points }, reason: reason_of(reason) });
    };
    view! {
        <form on:submit=submit>
            <ul class="mix">
                {texts.into_iter().enumerate().map(|(place, text)| view! { <MixSlider place text=text.to_string() shares /> }).collect_view()}
            </ul>
            <OnsetField onset glides=true />
            <ReasonField reason />
            <TwinField />
            <p class="effect">{move || match onset.get().check(desk) {
                Ok(()) => format!("{} {}.", shares.read().iter().map(|share| format!("{:.0} %", share * 100.0)).collect::<Vec<_>>().join(" : "), onset.get().words(desk)),
                Err(why) => why,
            }}</p>
            <div class="row end"><button class="primary" type="submit" disabled=move || onset.get().check(desk).is_err()>"Change the mix"</button></div>
        </form>
    }
}

#[component]
fn MixSlider(place: usize, text: String, shares: RwSignal<Vec<f64>>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let percent = move || shares.read().get(place).copied().unwrap_or(0.0) * 100.0;
    let newest = |prefix: &'static str| {
        let series = format!("{prefix}{text}");
        Memo::new(move |_| {
            desk.version.get();
            desk.run.read_untracked().curves.shown(&series).last().map(|last| last.mean)
        })
    };
    let (epochs, valid) = (newest(EPOCHS), newest(VALID));
    let known = move || {
        let read = epochs.get().map(|epochs| format!("read {} times", number::short(epochs)));
        let loss = valid.get().map(|loss| format!("valid {} nats", number::fixed(loss, 3)));
        [read, loss].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    };
    let is_worn = move || epochs.get().is_some_and(|epochs| epochs > EPOCHS_MOST);
    let set = move |typed: &str| {
        if let Ok(percent) = typed.parse::<f64>() {
            shares.update(|shares| *shares = balanced(shares, place, percent / 100.0));
        }
    };
    view! {
        <li>
            <label>
                <span class="row"><strong>{text.clone()}</strong><span class="grow"></span><output class="mono">{move || format!("{:.0} %", percent())}</output></span>
                <input type="range" min="0" max="100" step="1" prop:value=move || percent().to_string()
                    on:input:target=move |event| set(&event.target().value()) />
            </label>
            <p class="small dim">{known}</p>
            {move || is_worn().then(|| view! { <p class="small over">"Past four times, repeated text teaches less."</p> })}
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::balanced;

    #[test]
    fn shares_make_up_the_whole() {
        for (shares, at, share) in [
            (vec![0.5, 0.5], 0, 0.9),
            (vec![0.2, 0.3, 0.5], 1, 0.0),
            (vec![1.0, 0.0, 0.0], 0, 0.4),
            (vec![0.3, 0.7], 1, 7.0),
        ] {
            let after = balanced(&shares, at, share);
            assert!((after.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{after:?}");
            assert_eq!(after[at], share.clamp(0.0, 1.0));
        }
        assert_eq!(balanced(&[0.5, 0.25, 0.25], 0, 0.0), [0.0, 0.5, 0.5]);
    }
}

//! A progress bar.

use leptos::prelude::*;

/// A progress bar; `share` is the completed fraction, 0 to 1; `None` if the total is unknown.
#[component]
pub(crate) fn Progress(
    /// Fraction done.
    #[prop(into)]
    share: Signal<Option<f64>>,
    /// Name for screen readers.
    #[prop(into)]
    label: String,
    /// Whether it glows, because it moves now.
    #[prop(into, default = Signal::from(false))]
    is_live: Signal<bool>,
) -> impl IntoView {
    let width = move || match share.get() {
        Some(share) => format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0),
        None => "30%".to_owned(),
    };
    let percent = move || share.get().map(|share| (share.clamp(0.0, 1.0) * 100.0).round());
    view! {
        <div
            class="progress"
            class:live=is_live
            class:unknown=move || share.get().is_none()
            role="progressbar"
            aria-label=label
            aria-valuemin="0"
            aria-valuemax="100"
            aria-valuenow=move || percent().map(|percent| percent.to_string())
        >
            <span
                style:width=width
            >
            </span>
        </div>
    }
}

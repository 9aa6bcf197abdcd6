//! A bar from 0 to the whole, with words for those who do not see it.

use leptos::prelude::*;

/// `share` from 0 to 1; none where the whole is not known.
#[component]
pub(crate) fn Progress(
    /// How far.
    #[prop(into)]
    share: Signal<Option<f64>>,
    /// What progresses.
    #[prop(into)]
    label: String,
    /// Glows, because it is moving now.
    #[prop(into, default = Signal::from(false))]
    is_live: Signal<bool>,
) -> impl IntoView {
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
            <span style:width=move || percent().map_or("30%".to_owned(), |_| format!("{:.2}%", share.get().unwrap_or(0.0).clamp(0.0, 1.0) * 100.0))></span>
        </div>
    }
}

//! The page's entry: mounts the root component. Runs in the browser only.

use leptos::prelude::*;

fn main() {
    leptos::mount::mount_to_body(Page);
}

/// A counter, which shows that the page was built, sent and started.
#[component]
fn Page() -> impl IntoView {
    let (count, set_count) = signal(0);
    view! {
        <main>
            <h1>"Kindling"</h1>
            <button on:click=move |_| set_count.update(|count| *count += 1)>"Count: " {count}</button>
        </main>
    }
}

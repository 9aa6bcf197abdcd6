//! The bar at the lower edge of the window: who presents, who watches, and the buttons to follow, to return and to stop. With the pointer
//! of the presenter, which takes no clicks.

use leptos::ev;
use leptos::prelude::*;
use wire::transport::presenting::Presentation;

use super::follower::Follower;
use super::{Followed, Presenting, is_presentable};
use crate::components::keyboard::{has_dialog, is_typing};
use crate::components::number::counted;
use crate::components::{Icon, clicks, isolated, says, shows};
use crate::route::Router;

/// Names that the bar lists; the others are counted.
const NAMES: usize = 6;

/// The bar, while someone presents whom this page may follow, or this page presents.
#[component]
pub(crate) fn PresentationBar() -> impl IntoView {
    let presenting = expect_context::<Presenting>();
    let follower = Follower::start(presenting);
    listen(presenting);
    let dismissed = RwSignal::new(Vec::<u64>::new());
    let offered = Memo::new(move |_| offered(presenting, &dismissed.read()));
    let followed = Memo::new(move |_| presenting.followed.get());
    let content = move || match (presenting.is_presenting(), followed.get()) {
        (true, _) => Some(view! { <OwnBar presenting /> }.into_any()),
        (false, Some(followed)) => Some(view! { <FollowedBar presenting follower followed /> }.into_any()),
        (false, None) => {
            let offers = offered.get();
            (!offers.is_empty()).then(|| {
                let offers = offers.into_iter().map(|one| view! { <Offer presenting one dismissed /> });
                offers.collect_view().into_any()
            })
        }
    };
    view! {
        {shows(move || content().map(|content| view! {
            <section class="presentation" aria-label="Presentation">{content}</section>
        }))}
        <Pointer presenting follower />
    }
}

/// The presentations that this page may follow and that its reader has not dismissed.
fn offered(presenting: Presenting, dismissed: &[u64]) -> Vec<Presentation> {
    let mut offered = presenting.live.presentations.list.get();
    offered.retain(|one| !one.is_own && !dismissed.contains(&one.id));
    // The number of watchers is not shown here, and would build the bar again.
    offered.iter_mut().for_each(|one| one.watchers = 0);
    offered
}

/// Presents with Shift+P.
fn listen(presenting: Presenting) {
    let router = expect_context::<Router>();
    let listener = window_event_listener(ev::keydown, move |event| {
        let is_ours = event.key() == "P" && !is_typing(&event) && !event.default_prevented() && !has_dialog();
        let may = || presenting.is_presenting() || is_presentable(&router.route.read());
        if is_ours && untrack(may) {
            event.prevent_default();
            presenting.toggle();
        }
    });
    on_cleanup(move || listener.remove());
}

/// The bar of a presenter.
#[component]
fn OwnBar(presenting: Presenting) -> impl IntoView {
    let watchers = move || watchers(presenting, presenting.own.get());
    view! {
        <span class="live-dot" aria-hidden="true"></span>
        <p class="grow" role="status">
            <strong>"Presenting"</strong>
            {shows(move || match watchers() {
                (0, _) => "; nobody follows yet. Everyone who can see this page can choose to follow you.".to_owned(),
                (_, followers) => format!("; {followers}"),
            })}
        </p>
        <button title="End the presentation (Shift+P)" on:click=clicks(move |_| presenting.toggle())>"Stop"</button>
    }
}

/// The number of watchers of a presentation, and a text with it and some names: the server sends those of people who share a project with
/// the reader.
fn watchers(presenting: Presenting, presentation: Option<u64>) -> (u32, String) {
    let known = presenting.live.presentations.watchers.read();
    let Some((_, names, total)) = known.as_ref().filter(|(id, ..)| Some(*id) == presentation) else {
        return (0, String::new());
    };
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| isolated(name)).collect();
    (*total, followers(*total, &shown))
}

fn followers(total: u32, names: &[String]) -> String {
    let all = counted(total.into(), "follower");
    match (names, (total as usize).saturating_sub(names.len())) {
        ([], _) => format!("{all} of other projects"),
        (names, 0) => format!("{all}: {}", names.join(", ")),
        (names, others) => format!("{all}: {} and {others} more", names.join(", ")),
    }
}

/// The bar of a reader who follows, or looks around.
#[component]
fn FollowedBar(presenting: Presenting, follower: Follower, followed: Followed) -> impl IntoView {
    let Followed { id, presenter, is_paused, .. } = followed;
    let name = isolated(&presenter);
    let text = {
        let name = name.clone();
        move || match (is_paused, follower.is_hidden.get()) {
            (true, _) => "You are looking around on your own.".to_owned(),
            (false, true) => format!("{name} shows a page that is not shared with you."),
            (false, false) => {
                let (total, followers) = watchers(presenting, Some(id));
                let others = if total > 1 { format!(" {followers}.") } else { String::new() };
                format!("You are following {name}.{others} Scroll or click to look around.")
            }
        }
    };
    view! {
        <Icon name="present" />
        <p class="grow" role="status">{says(text)}</p>
        {is_paused.then(|| view! {
            <button
                class="primary"
                title="Show what the presenter shows, and follow again"
                on:click=clicks(move |_| presenting.pause(false))
            >
                {format!("Return to {name}")}
            </button>
        })}
        <button title="Stop following (Esc)" on:click=clicks(move |_| presenting.leave())>"Leave"</button>
    }
}

/// A presentation that can be followed.
#[component]
fn Offer(presenting: Presenting, one: Presentation, dismissed: RwSignal<Vec<u64>>) -> impl IntoView {
    let Presentation { id, presenter, .. } = one;
    let name = isolated(&presenter);
    view! {
        <div class="row nowrap offer">
            <Icon name="present" />
            <p class="grow" role="status">{format!("{name} presents.")}</p>
            <button
                class="primary"
                title="Show what the presenter shows, until you scroll or click"
                aria-label=format!("Follow {name}")
                on:click=clicks(move |_| presenting.follow(id, presenter.clone()))
            >
                "Follow"
            </button>
            <button
                class="quiet icon-only"
                title="Hide this offer"
                aria-label=format!("Hide the presentation of {name}")
                on:click=clicks(move |_| dismissed.update(|dismissed| dismissed.push(id)))
            >
                <Icon name="close" />
            </button>
        </div>
    }
}

/// The pointer of the presenter: a ring with the name.
#[component]
fn Pointer(presenting: Presenting, follower: Follower) -> impl IntoView {
    let name =
        move || presenting.followed.read().as_ref().map(|followed| isolated(&followed.presenter)).unwrap_or_default();
    let is_shown = Memo::new(move |_| follower.pointer.read().is_some());
    let pixels =
        move |place: fn((f64, f64)) -> f64| move || format!("{:.0}px", follower.pointer.get().map_or(0.0, place));
    view! {
        <Show when=move || is_shown.get()>
            <div class="presenter-pointer" aria-hidden="true" style:left=pixels(|at| at.0) style:top=pixels(|at| at.1)>
                <span>{name}</span>
            </div>
        </Show>
    }
}

#[cfg(test)]
mod tests {
    use super::followers;

    #[test]
    fn followers_without_a_name_are_counted() {
        let names = |count: usize| ["ada", "bob"].map(str::to_owned)[..count].to_vec();
        for (total, known, expected) in [
            (1, 1, "1 follower: ada"),
            (2, 2, "2 followers: ada, bob"),
            (5, 2, "5 followers: ada, bob and 3 more"),
            (3, 0, "3 followers of other projects"),
        ] {
            assert_eq!(followers(total, &names(known)), expected);
        }
    }
}

//! The table of the people with accounts.

use leptos::prelude::*;

use super::person::PersonRow;
use super::team::Team;
use crate::components::{Empty, Failure, Skeleton};

#[component]
pub(super) fn Directory() -> impl IntoView {
    let team = expect_context::<Team>();
    let ids = Memo::new(move |_| {
        let people = team.people.read();
        people.iter().flatten().flatten().map(|person| person.id).collect::<Vec<_>>()
    });
    // 0: loading, 1: it could not be fetched, 2: nobody, 3: some.
    let stage = Memo::new(move |_| match &*team.people.read() {
        None => 0,
        Some(Err(_)) => 1,
        Some(Ok(people)) if people.is_empty() => 2,
        Some(Ok(_)) => 3,
    });
    let failure = move || team.people.read().as_ref().and_then(|answer| answer.as_ref().err().cloned());
    view! {
        <section class="stack" aria-label="People with accounts">
            {move || match stage.get() {
                0 => view! { <Skeleton rows=3 /> }.into_any(),
                1 => failure().map(|failure| view! {
                    <Failure what="The people could not be listed" failure retry=move |()| team.fetch_people() />
                }).into_any(),
                2 => view! { <Nobody /> }.into_any(),
                _ => view! {
                    <div class="sheet scroll">
                        <table class="stacked">
                            <caption class="unseen">"People with accounts"</caption>
                            <thead><tr>
                                <th scope="col" title="Name, as journals show it, and e-mail address">"Name"</th>
                                <th scope="col" title="What they may do in the whole lab, all projects included">"Role in the lab"</th>
                                <th scope="col" title="What they may do in single projects; the higher role holds">"Projects"</th>
                                <th scope="col" title="How they sign in">"Sign-in"</th>
                                <th scope="col" title="Time of their last request">"Last seen"</th>
                                <th scope="col"><span class="unseen">"Actions"</span></th>
                            </tr></thead>
                            <tbody><For each=move || ids.get() key=|id| *id let(id)><PersonRow id /></For></tbody>
                        </table>
                    </div>
                }.into_any(),
            }}
        </section>
    }
}

#[component]
fn Nobody() -> impl IntoView {
    let team = expect_context::<Team>();
    let text = move || match team.session.can_invite() {
        true => {
            "Invite the first person below: they get a link, choose a name and a password, and see what their role permits. Sign-in links \
             and access tokens that exist stay valid."
        }
        false => "Nobody in your projects has an account yet. An admin can invite people.",
    };
    view! { <div class="sheet">{move || view! { <Empty title="No people yet" text=text() /> }}</div> }
}

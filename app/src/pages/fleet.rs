//! The Fleet page: all machines with their devices, what each does, its load and what is wrong with it; and the page of one device.
//!
//! [`feed`] fetches it all, [`totals`] sums it up, [`machine`] and [`row`] list it, [`device`] shows one device with its [`charts`]
//! and [`log`]; [`add_machine`] and [`join_tokens`] let machines join, [`worker`] changes and removes workers; [`absent`] lists
//! workers that have not connected, [`pools`] the pools and how many runs their devices train at once; [`values`] and [`usage`] show single values.

mod absent;
mod add_machine;
mod charts;
mod device;
mod feed;
mod join_tokens;
mod log;
mod machine;
mod pools;
mod row;
mod totals;
mod usage;
mod values;
mod worker;

use leptos::prelude::*;

use crate::components::{Empty, Failure, Icon, Skeleton};
use crate::net::live::Live;
use crate::session::Session;
use absent::AbsentWorkers;
use add_machine::AddMachine;
pub(crate) use device::DevicePage;
use feed::FleetFeed;
use machine::Machine;
use pools::Pools;
use totals::Totals;

/// How to add a machine, for those who may not.
const BY_ADMIN: &str = "An admin can add more machines on this page.";

#[component]
pub(crate) fn FleetPage() -> impl IntoView {
    let feed = FleetFeed::start();
    provide_context(feed);
    let session = expect_context::<Session>();
    let is_admin = Memo::new(move |_| session.is_admin());
    let is_adding = RwSignal::new(false);
    let live = expect_context::<Live>();
    let hosts = Memo::new(move |_| feed.hosts(live));
    // 0: loading, 1: it could not be fetched, 2: no device, 3: some.
    let stage = Memo::new(move |_| match (&*feed.state.read(), &*feed.failure.read()) {
        (Some(state), _) if state.machines.is_empty() => 2,
        (Some(_), _) => 3,
        (None, Some(_)) => 1,
        (None, None) => 0,
    });
    view! {
        <main class="page fleet stack">
            <div class="row">
                <h1 class="grow">"Fleet"</h1>
                <button
                    class="switch"
                    title="List machines and devices with findings in their runs first: alerts, then notes"
                    aria-pressed=move || feed.by_health.get().to_string()
                    on:click=move |_| feed.by_health.update(|is_on| *is_on = !*is_on)
                >
                    "Sort by health of the runs"
                </button>
                {move || is_admin.get().then(|| view! {
                    <button
                        title="Create a token with which a machine joins, and show the commands to run there"
                        on:click=move |_| is_adding.set(true)
                    >
                        <Icon name="plus" />
                        "Add a machine"
                    </button>
                })}
            </div>
            {move || match stage.get() {
                0 => view! { <Skeleton rows=4 class="tall" /> }.into_any(),
                1 => view! { <FleetFailure feed /> }.into_any(),
                2 => view! {
                    <div class="sheet">
                        <Empty title="No device has reported yet" text="The server connects the devices of its own machine within a few \
                            seconds. Other machines join with the command kindling join.">
                            {move || (!is_admin.get()).then_some(BY_ADMIN)}
                        </Empty>
                    </div>
                }.into_any(),
                _ => view! {
                    <Totals feed />
                    <For each=move || hosts.get() key=Clone::clone let(host)>
                        <Machine host />
                    </For>
                }.into_any(),
            }}
            <AbsentWorkers feed />
            <Pools feed />
            {move || is_admin.get().then(|| view! { <AddMachine is_open=is_adding feed /> })}
        </main>
    }
}

#[component]
fn FleetFailure(feed: FleetFeed) -> impl IntoView {
    move || {
        feed.failure.get().map(|failure| {
            view! { <Failure what="The devices could not be listed" failure retry=move |()| feed.fetch() /> }
        })
    }
}

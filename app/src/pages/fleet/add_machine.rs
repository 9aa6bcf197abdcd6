//! The dialog with which a machine is added: a join token of a pool, and the commands to run on the machine.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::fleet::{CreatedJoinToken, LOCAL_POOL, NewJoinToken, NewPool, PoolView};
use wire::hyperparameters::table::Values;

use super::feed::FleetFeed;
use super::join_tokens::JoinTokens;
use crate::base::at;
use crate::components::{CopyButton, Failure, Icon, NumberField, TypedNumber};
use crate::net::api::{ApiFailure, fleet};

/// Longest validity of a join token, hours: ten years.
const MAX_HOURS: u64 = 87_600;
const MAX_USES: u64 = 10_000;
/// The pool that is proposed where there is none.
const FIRST_POOL: &str = "machines";

#[component]
pub(super) fn AddMachine(is_open: RwSignal<bool>, feed: FleetFeed) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let wanted = is_open.get();
        let Some(dialog) = dialog.get() else { return };
        if wanted && !dialog.open() {
            // Fails only for a dialog that is already open or not in the document.
            let _ = dialog.show_modal();
        } else if !wanted && dialog.open() {
            dialog.close();
        }
    });
    view! {
        <dialog
            node_ref=dialog
            class="add-machine"
            aria-labelledby="add-title"
            on:close=move |_| {
                is_open.set(false);
                feed.fetch();
            }
        >
            <Show when=move || is_open.get()>
                <div class="row">
                    <h2 id="add-title" class="grow">"Add a machine"</h2>
                    <button
                        class="quiet icon-only"
                        aria-label="Close"
                        title="Close (Esc)"
                        on:click=move |_| is_open.set(false)
                    >
                        <Icon name="close" />
                    </button>
                </div>
                <AddForm />
            </Show>
        </dialog>
    }
}

#[component]
fn AddForm() -> impl IntoView {
    let pools = RwSignal::new(None::<Result<Vec<PoolView>, ApiFailure>>);
    let pool = RwSignal::new(FIRST_POOL.to_owned());
    let hours = TypedNumber::optional(Values::Integer { min: 1, max: MAX_HOURS });
    let uses = TypedNumber::optional(Values::Integer { min: 1, max: MAX_USES });
    let created = RwSignal::new(None::<CreatedJoinToken>);
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    // Changes when the list of tokens has to be fetched again.
    let version = RwSignal::new(0u32);
    let fetch = move || {
        spawn_local(async move {
            let answer = fleet::pools().await;
            if let Ok(known) = &answer
                && let Some(first) = joinable(known).next()
            {
                pool.try_set(first.name.clone());
            }
            pools.try_set(Some(answer));
        });
    };
    fetch();
    let names = move || match &*pools.read() {
        Some(Ok(known)) => joinable(known).map(|pool| pool.name.clone()).collect::<Vec<_>>(),
        _ => vec![],
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if untrack(|| !hours.is_readable() || !uses.is_readable()) || is_busy.get_untracked() {
            return;
        }
        let name = pool.get_untracked().trim().to_owned();
        let token = untrack(|| NewJoinToken { hours: hours.small_integer(), uses: uses.small_integer() });
        let is_new = untrack(|| !names().contains(&name));
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match create(name, is_new, token).await {
                Ok(token) => {
                    created.try_set(Some(token));
                    version.try_update(|version| *version += 1);
                    let answer = fleet::pools().await;
                    pools.try_set(Some(answer));
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <p>
            "A machine joins a pool with a token and then trains runs of that pool. It opens the connection to this server, so it needs no open port."
        </p>
        <form class="stack" on:submit=submit>
            <div class="join-fields">
                <label class="field" title="Its workers share one queue. A new name creates a pool: 1 to 40 lower-case letters, digits and dashes">
                    <span class="label">"Pool"</span>
                    <input
                        type="text"
                        maxlength="40"
                        autocomplete="off"
                        list="known-pools"
                        prop:value=pool
                        on:input:target=move |event| {
                            failure.set(None);
                            pool.set(event.target().value());
                        }
                    />
                    <datalist id="known-pools">{move || names().into_iter().map(|name| view! { <option value=name></option> }).collect_view()}</datalist>
                </label>
                <label class="field" title="Hours until the token expires, 1 to 87\u{202f}600. Machines that have joined stay. Default: 24">
                    <span class="label">"Expires after"<span class="unit">", hours"</span></span>
                    <NumberField number=hours placeholder="24" />
                </label>
                <label class="field" title="How many workers may join with the token, 1 to 10\u{202f}000. Default: any number until it expires">
                    <span class="label">"Workers"</span>
                    <NumberField number=uses placeholder="any number" />
                </label>
                <button
                    class="primary"
                    type="submit"
                    title="Create the token; its text is shown once"
                    disabled=move || is_busy.get() || pool.read().trim().is_empty() || !hours.is_readable() || !uses.is_readable()
                >
                    "Create token"
                </button>
            </div>
            {move || failure.get().map(|failure| view! { <Failure what="The token was not created" failure /> })}
            {move || match pools.get() {
                Some(Err(failure)) => Some(view! { <Failure what="The pools could not be listed" failure retry=move |()| fetch() /> }),
                _ => None,
            }}
        </form>
        {move || created.get().map(|token| view! { <Commands token /> })}
        <JoinTokens names=Signal::derive(names) version />
    }
}

/// The pools that other machines join.
fn joinable(pools: &[PoolView]) -> impl Iterator<Item = &PoolView> {
    pools.iter().filter(|pool| pool.name != LOCAL_POOL)
}

/// Creates a token, and its pool before it where that is new.
async fn create(pool: String, is_new: bool, token: NewJoinToken) -> Result<CreatedJoinToken, ApiFailure> {
    if is_new {
        fleet::create_pool(&NewPool { name: pool.clone() }).await?;
    }
    fleet::create_join_token(&pool, &token).await
}

/// The commands to run on the machine. They contain the text of the token, which is shown only once.
#[component]
fn Commands(token: CreatedJoinToken) -> impl IntoView {
    let CreatedJoinToken { token, text, fingerprint } = token;
    let origin = window().location().origin().unwrap_or_default();
    let commands = commands(&format!("{origin}{}", at("/")), &token.pool, &text, fingerprint.as_deref());
    let copied = commands.clone();
    view! {
        <div class="fresh stack" role="status">
            <p><strong>"Run these commands on the machine."</strong>" The token is not shown again."</p>
            <pre class="command">{commands}</pre>
            {is_own_address(&window().location().hostname().unwrap_or_default()).then(|| view! {
                <p class="small over">
                    "The address in the command is reachable only from this computer. For another machine, start the server with an address \
                     of this computer in the network (kindling serve --listen), open this page under that address, and create a token there."
                </p>
            })}
            <p class="small dim">
                "The first command writes the token into a file that only you can read. The second exchanges it for a token of the worker's own, \
                 and starts the worker, which appears on this page within seconds. The machine needs the same version of Kindling."
            </p>
            <div class="row end">
                <CopyButton text=move || copied.clone() title="Copy the commands to the clipboard" done="The commands were copied" />
            </div>
        </div>
    }
}

/// Whether an address means the machine itself: on another machine it leads there.
fn is_own_address(hostname: &str) -> bool {
    let name = hostname.trim_matches(['[', ']']);
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A shell writes the token without a process that has it as an argument: `cat` reads it from the here-document.
fn commands(url: &str, pool: &str, token: &str, fingerprint: Option<&str>) -> String {
    let url = url.trim_end_matches('/');
    let pin = fingerprint.map(|fingerprint| format!(" --fingerprint {fingerprint}")).unwrap_or_default();
    format!(
        "(umask 077; cat > join.token <<'TOKEN'\n{token}\nTOKEN\n)\nkindling join {url} --pool {pool} --token-file join.token{pin}"
    )
}

#[cfg(test)]
mod tests {
    use super::{commands, is_own_address};

    #[test]
    fn an_address_of_the_machine_itself_is_found() {
        for (hostname, expected) in
            [("127.0.0.1", true), ("localhost", true), ("[::1]", true), ("10.0.0.7", false), ("lab.example.org", false)]
        {
            assert_eq!(is_own_address(hostname), expected, "{hostname}");
        }
    }

    #[test]
    fn the_commands_name_address_pool_and_token_file() {
        let text = commands("https://example.org/lab/", "gpu-lab", "0ab1", None);
        assert!(text.starts_with("(umask 077; cat > join.token <<'TOKEN'\n0ab1\nTOKEN\n)\n"), "{text}");
        assert!(
            text.ends_with("\nkindling join https://example.org/lab --pool gpu-lab --token-file join.token"),
            "{text}"
        );
        let pinned = commands("https://10.0.0.7:7878/", "gpu-lab", "0ab1", Some("sha256:9f"));
        assert!(pinned.ends_with("--token-file join.token --fingerprint sha256:9f"), "{pinned}");
    }
}

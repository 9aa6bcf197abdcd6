//! The choice of a role.

use leptos::prelude::*;
use wire::access::Role;

/// The roles of people and programs, the least first.
pub(crate) const ROLES: [Role; 3] = [Role::View, Role::Steer, Role::Admin];

/// Value of the option for no role.
const NONE: &str = "none";

/// A list of roles. It shows `role`, also while a change that was chosen is still being made.
#[component]
pub(crate) fn RoleSelect(
    /// Name for screen readers.
    #[prop(into)]
    name: String,
    /// Effect of the choice, as a tooltip.
    #[prop(into)]
    title: String,
    /// The present role.
    #[prop(into)]
    role: Signal<Option<Role>>,
    /// Label of the option for no role; it cannot be chosen without one.
    #[prop(optional)]
    none: Option<&'static str>,
    /// The highest role that can be chosen.
    #[prop(default = Role::Admin)]
    most: Role,
    /// Receives the chosen role.
    #[prop(into)]
    choose: Callback<Option<Role>>,
) -> impl IntoView {
    let word = |role: Option<Role>| role.map_or(NONE, Role::name);
    let options = none.map(|label| (None, label)).into_iter();
    let options = options.chain(ROLES.into_iter().filter(|of| most.includes(*of)).map(|of| (Some(of), of.name())));
    let take = move |event: leptos::ev::Targeted<leptos::ev::Event, web_sys::HtmlSelectElement>| {
        let chosen = event.target().value();
        event.target().set_value(word(role.get_untracked()));
        choose.run(ROLES.into_iter().find(|of| of.name() == chosen));
    };
    view! {
        <select aria-label=name title=title on:change:target=take>
            {options.map(|(of, label)| view! {
                <option value=word(of) prop:selected=move || role.get() == of>{label}</option>
            }).collect_view()}
        </select>
    }
}

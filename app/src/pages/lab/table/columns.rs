//! The menu of columns, and the headings by which the table is sorted.

use leptos::prelude::*;
use wire::hyperparameters::table::TABLE;
use wire::run::table::MAX_COLUMNS;
use wire::run::table::columns::{Column, FIELDS, METRIC};

use super::state::{TableState, toggled};
use crate::components::hyperparameters::with_comma;
use crate::components::{Menu, isolated};
use crate::pages::lab::selection::Selection;
use crate::projects::Projects;

/// Fields that the menu offers: the others are always shown.
const OFFERED: [&str; 9] =
    ["preset", "dataset", "created", "ended", "steps", "parameters", "seed", "training_time", "best_valid"];

/// A column that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offer {
    id: String,
    label: String,
    meaning: String,
}

impl Offer {
    fn of(column: &Column) -> Self {
        let (label, unit) = (column.label(), column.unit());
        Self { id: column.id(), label: format!("{label}{}", with_comma(&unit)), meaning: column.meaning() }
    }

    fn matches(&self, search: &str) -> bool {
        let text = format!("{} {}", self.label, self.id).to_lowercase();
        search.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

/// The offers under a heading.
fn offers(metrics: &[String]) -> [(&'static str, Vec<Offer>); 3] {
    let fields = FIELDS.iter().filter(|field| OFFERED.contains(&field.id));
    [
        ("Run", fields.map(|field| Offer::of(&Column::Field(field))).collect()),
        ("Hyperparameters", TABLE.iter().map(|row| Offer::of(&Column::Hyperparameter(row))).collect()),
        ("Metrics, newest value", metrics.iter().map(|metric| Offer::of(&Column::Metric(metric.clone()))).collect()),
    ]
}

/// Every field, hyperparameter and metric, to be shown as a column.
#[component]
pub(super) fn ColumnsMenu() -> impl IntoView {
    let table = expect_context::<TableState>();
    view! {
        <Menu label="Columns of the table" word="Columns">
            // A press inside does not close the menu.
            <div class="columns-menu" on:click=|event| event.stop_propagation()>
                <ColumnList table />
            </div>
        </Menu>
    }
}

#[component]
fn ColumnList(table: TableState) -> impl IntoView {
    let search = RwSignal::new(String::new());
    let found = Memo::new(move |_| {
        let (facets, search) = (table.facets.read(), search.read());
        offers(&facets.metrics).map(|(heading, offers)| {
            (heading, offers.into_iter().filter(|offer| offer.matches(&search)).collect::<Vec<_>>())
        })
    });
    view! {
        <input
            type="search"
            placeholder="Search columns"
            aria-label="Search columns"
            title="Words from the name or path of a column"
            prop:value=search
            on:input:target=move |event| search.set(event.target().value())
        />
        {move || found.get().map(|(heading, offers)| (!offers.is_empty()).then(|| view! {
            <fieldset>
                <legend>{heading}</legend>
                {offers.into_iter().map(|offer| view! { <ColumnBox table offer /> }).collect_view()}
            </fieldset>
        }))}
        {move || found.read().iter().all(|(_, offers)| offers.is_empty()).then(|| view! {
            <p class="dim padded">"No column matches."</p>
        })}
    }
}

#[component]
fn ColumnBox(table: TableState, offer: Offer) -> impl IntoView {
    let id = StoredValue::new(offer.id);
    let is_chosen = move || table.columns().contains(&*id.read_value());
    let is_full = move || table.columns().len() >= MAX_COLUMNS && !is_chosen();
    view! {
        <label class="check" title=offer.meaning>
            <input
                type="checkbox"
                prop:checked=is_chosen
                disabled=is_full
                on:change=move |_| table.change(|query| {
                    query.columns = toggled(query.columns.as_deref(), &id.read_value());
                })
            />
            {isolated(&offer.label)}
        </label>
    }
}

/// The column of the findings of a run.
const HEALTH: &str = "health";

/// A fixed heading: column in a query (empty if it cannot be sorted by), label, unit, meaning, and whether it is right-aligned.
type Fixed = (&'static str, &'static str, &'static str, &'static str, bool);

const FIXED: [Fixed; 9] = [
    ("state", "State", "", "State of the run", false),
    (HEALTH, "Health", "", "What the rules found in the run: alerts, then notes", false),
    ("name", "Run", "", "Name, dataset, preset and number of parameters", false),
    ("", "Loss", "", "Training loss over steps", false),
    ("metric:loss.train", "Train loss", "nats/token", "Training loss of the last step", true),
    ("metric:loss.valid", "Val loss", "nats/token", "Validation loss of the last evaluation", true),
    ("progress", "Progress", "steps", "Trained steps / planned steps", false),
    ("device", "Device", "", "Device that trains the run", false),
    (
        "created",
        "Time",
        "",
        "Running: time left and end. Queued: position in the queue. Ended: training time and end. Sorted by the time of creation.",
        false,
    ),
];

/// The heading of the project, after the device, where there are several projects.
const PROJECT: Fixed = ("project", "Project", "", "Project that the run belongs to", false);

/// The headings: those of every table, then the chosen columns.
#[component]
pub(super) fn Headings() -> impl IntoView {
    let table = expect_context::<TableState>();
    let selection = expect_context::<Selection>();
    let has_all = move || selection.has_all(&selection.listed.read());
    let chosen = Memo::new(move |_| table.columns());
    let projects = expect_context::<Projects>();
    let has_project = Memo::new(move |_| projects.are_several());
    let fixed = move || {
        let project = has_project.get().then_some(PROJECT);
        FIXED.into_iter().flat_map(move |heading| [Some(heading), project.filter(|_| heading.0 == "device")]).flatten()
    };
    view! {
        <thead>
            <tr>
                {move || fixed().map(|(id, label, unit, meaning, is_right)| {
                    let all = (id == "state").then(|| view! {
                        <input
                            type="checkbox"
                            aria-label="Select all listed runs"
                            title="Select all runs on this page, or none"
                            prop:checked=has_all
                            on:change=move |_| selection.toggle_all()
                        />
                    });
                    view! {
                        <Heading id=id.to_owned() label=label.to_owned() unit=unit.to_owned() meaning=meaning.to_owned() is_right>
                            {all}
                        </Heading>
                    }
                }).collect_view()}
                {move || chosen.get().into_iter().map(|id| {
                    let column = Column::find(&id);
                    // The names of metrics are long; the path says what they are.
                    let meaning = format!("{} ({})", column.meaning(), id.strip_prefix(METRIC).unwrap_or(&id));
                    view! { <Heading id label=column.label() unit=column.unit() meaning is_right=true>{()}</Heading> }
                }).collect_view()}
                <th scope="col"><span class="unseen">"Actions"</span></th>
            </tr>
        </thead>
    }
}

/// A heading. A press sorts by its column, another one in the other direction.
#[component]
fn Heading(
    id: String,
    label: String,
    unit: String,
    meaning: String,
    is_right: bool,
    children: Children,
) -> impl IntoView {
    let table = expect_context::<TableState>();
    let is_sortable = !id.is_empty();
    let column = StoredValue::new(id);
    // Whether the table is sorted by this column, and in descending order.
    let order = Memo::new(move |_| {
        let query = table.query.read();
        let sort = query.sort.as_deref().unwrap_or("-created");
        let (is_descending, sort) = (sort.starts_with('-'), sort.trim_start_matches('-'));
        column.with_value(|column| column == sort).then_some(is_descending)
    });
    let sort = move |_| {
        let column = column.get_value();
        // The runs that need attention have the highest values.
        let is_descending = order.get_untracked().map_or(column == HEALTH, |is_descending| !is_descending);
        let next = if is_descending { format!("-{column}") } else { column };
        table.change(|query| query.sort = Some(next));
    };
    let direction = move || order.get().map(|is_descending| if is_descending { "descending" } else { "ascending" });
    let arrow = move || order.get().map(|is_descending| if is_descending { " ↓" } else { " ↑" });
    view! {
        <th scope="col" class:right=is_right aria-sort=direction title=(!is_sortable).then(|| meaning.clone())>
            {children()}
            {if is_sortable {
                view! {
                    <button class="quiet sort" title=format!("{meaning}. Press to sort by it.").replace("..", ".") on:click=sort>
                        {isolated(&label)}<span aria-hidden="true">{arrow}</span>
                    </button>
                }.into_any()
            } else {
                isolated(&label).into_any()
            }}
            {(!unit.is_empty()).then(|| view! { <span class="unit">{format!(" {unit}")}</span> })}
        </th>
    }
}

//! The values of a chart as a table.

use figure::Table;
use leptos::prelude::*;

#[component]
pub(crate) fn ValueTable(table: Table) -> impl IntoView {
    let cells = |row: Vec<String>| row.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view();
    view! {
        <div class="values" tabindex="0">
            <table>
                {(!table.caption.is_empty()).then(|| view! { <caption class="small dim">{table.caption}</caption> })}
                <thead>
                    <tr>
                        {table.headings.into_iter().map(|heading| view! {
                            <th scope="col">{heading}</th>
                        }).collect_view()}
                    </tr>
                </thead>
                <tbody>{table.rows.into_iter().map(|row| view! { <tr>{cells(row)}</tr> }).collect_view()}</tbody>
            </table>
        </div>
    }
}

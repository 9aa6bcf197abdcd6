//! The table of runs: queries with filters, sorting and groups ([`query`](RunQuery)), the columns that it can show ([`columns`]), the text of
//! its search field ([`search`]), tags ([`tags`]), saved filters and bulk actions.

pub mod columns;
pub mod search;
pub mod tags;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ApiErrorBody;
use crate::id::RunId;
use crate::run::{RunState, RunSummary};

/// Header of an answer with the number of runs that match the query.
pub const TOTAL_HEADER: &str = "kindling-total";
/// Header of an answer with the cursor of the next page; absent on the last page.
pub const CURSOR_HEADER: &str = "kindling-cursor";
/// Maximum number of runs of one bulk action.
pub const MAX_BULK: usize = 500;
/// Maximum number of chosen columns.
pub const MAX_COLUMNS: usize = 40;
/// Maximum length of the name of a saved filter, characters.
pub const FILTER_NAME_CHARS: usize = 60;

/// The runs to list. Fields that are left out do not restrict the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct RunQuery {
    /// Search text: words of the name, id, state, preset, dataset, device, tags and notes; `tag:NAME`, `parent:ID`, and comparisons such as
    /// `lr>1e-3` or `model.layers=6`. All of them must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Tags that the run must have, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// States, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Names of the run's datasets, as a run shows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Name of a preset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Name of a project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// `true`: archived runs alone. `false`: without them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// `true`: with deleted runs that can still be restored. `only`: these alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Deleted>,
    /// Column to sort by; `-` before it for descending order. Default: `-created`. Runs without a value come last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// Runs of one group come together, groups in order of their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupBy>,
    /// Columns whose values are returned, separated by commas: paths of hyperparameters, `metric:NAME`, or fields such as `seed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// Maximum number of runs in the answer; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Cursor of the page, from the header `kindling-cursor` of the previous one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl RunQuery {
    /// Its fields as pairs of a query string, without those that are left out.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let fields = match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => return vec![],
        };
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        fields.into_iter().map(|(name, value)| (name, text(value))).collect()
    }
}

/// How a query treats deleted runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Deleted {
    /// Without them.
    #[default]
    False,
    /// With them.
    True,
    /// Deleted runs alone.
    Only,
}

/// What the runs of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    Preset,
    Dataset,
    /// All tags of the run together.
    Tag,
    /// The run that it was forked from.
    Parent,
    Project,
}

/// A row of the table of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunRow {
    #[serde(flatten)]
    pub summary: RunSummary,
    /// Values of the requested columns; a column without a value is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Value>,
    /// Its group, in a query with groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<RunGroup>,
}

/// Runs with the same value in the column by which the table is grouped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunGroup {
    /// Preset, datasets, tags separated by commas, or id of the parent; empty for runs without any.
    pub key: String,
    /// Runs of the group that match the query, on all pages.
    pub count: u64,
}

/// What the runs of a lab can be filtered by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunFacets {
    /// States of the runs that are not deleted.
    pub states: Vec<RunGroup>,
    pub tags: Vec<RunGroup>,
    pub datasets: Vec<RunGroup>,
    pub presets: Vec<RunGroup>,
    /// Names of all metrics that some run has reported.
    pub metrics: Vec<String>,
}

/// A query with a name, for everyone who uses the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SavedFilter {
    pub id: u64,
    /// Name, unique in the lab.
    pub name: String,
    /// Filters, sorting, groups and columns. It has neither limit nor cursor.
    pub query: RunQuery,
}

/// A filter to save. An existing filter with this name is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewFilter {
    /// 1 to 60 characters on one line.
    pub name: String,
    /// Filters, sorting, groups and columns. Limit and cursor are not saved.
    pub query: RunQuery,
}

/// An action on several runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BulkAction {
    Archive,
    Unarchive,
    /// Adds a tag.
    Tag {
        tag: String,
    },
    /// Removes a tag.
    Untag {
        tag: String,
    },
    /// Deletes the runs; they can be restored for a week.
    Delete,
    Restore,
    Stop,
}

/// A bulk action and its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    /// Up to 500 runs, each once.
    pub runs: Vec<RunId>,
    pub action: BulkAction,
}

/// The outcome of a bulk action for one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkOutcome {
    pub run: RunId,
    /// State of the run after the action; absent if the action failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// Why the action failed for this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ApiErrorBody>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_the_same_as_pairs_and_as_json() {
        let query = RunQuery {
            q: Some("lr>1e-3 a b".into()),
            archived: Some(false),
            deleted: Some(Deleted::Only),
            group: Some(GroupBy::Tag),
            limit: Some(100),
            ..RunQuery::default()
        };
        let mut pairs = query.pairs();
        pairs.sort();
        let expected =
            [("archived", "false"), ("deleted", "only"), ("group", "tag"), ("limit", "100"), ("q", "lr>1e-3 a b")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let json = serde_json::to_string(&query).unwrap();
        assert_eq!(serde_json::from_str::<RunQuery>(&json).unwrap(), query);
    }
}

//! Routes of the research journal of a project.

use research::calibration::ProjectCalibration;
use wire::research_journal::{EntryKind, JournalPage, Place};

use super::failure::ApiFailure;
use super::request::{escape, get};
use crate::base::at;

/// Entries of one request.
const ENTRIES: usize = 100;

/// Which entries are listed; empty fields list all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JournalFilter {
    pub(crate) search: String,
    pub(crate) kinds: Vec<EntryKind>,
    pub(crate) author: String,
}

impl JournalFilter {
    fn query(&self) -> String {
        let kinds = self.kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(",");
        let fields = [("q", self.search.as_str()), ("kinds", kinds.as_str()), ("author", self.author.as_str())];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| format!("&{name}={}", escape(value))).collect()
    }
}

/// The newest entries of a project, or those before a place.
pub(crate) async fn page(
    project: &str,
    filter: &JournalFilter,
    before: Option<&Place>,
) -> Result<JournalPage, ApiFailure> {
    let before = before.map(|place| format!("&before={place}")).unwrap_or_default();
    get(&format!("/projects/{}/journal?limit={ENTRIES}{}{before}", escape(project), filter.query())).await
}

/// How often the rules and the authors of a project were right.
pub(crate) async fn calibration(project: &str) -> Result<ProjectCalibration, ApiFailure> {
    get(&format!("/projects/{}/calibration", escape(project))).await
}

/// Address of the journal as a file: `html` or `md`.
pub(crate) fn report_path(project: &str, ending: &str) -> String {
    at(&format!("/api/v1/projects/{}/report.{ending}", escape(project)))
}

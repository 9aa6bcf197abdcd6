//! Runs on the command line: by id, or by a name that only one run has.

use wire::{RunId, RunSummary};

/// A text that names no run, or several.
#[derive(Debug, thiserror::Error)]
pub enum RunNameError {
    #[error("no run is named {name:?}; the page and GET /api/v1/runs list the runs with their ids")]
    Unknown { name: String },
    #[error("several runs are named {name:?}: {ids}; give the id of one")]
    Ambiguous { name: String, ids: String },
}

/// The run with this id, or the only one with this name.
///
/// # Errors
/// No run has the name, or several have it.
pub(super) fn run_named(name: &str, runs: &[RunSummary]) -> Result<RunId, RunNameError> {
    if let Some(run) = runs.iter().find(|run| run.id.as_str() == name) {
        return Ok(run.id.clone());
    }
    let found: Vec<&RunId> = runs.iter().filter(|run| run.name == name).map(|run| &run.id).collect();
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(RunNameError::Unknown { name: name.to_owned() }),
        several => {
            let ids = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(RunNameError::Ambiguous { name: name.to_owned(), ids })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::hub::tests::summary;
    use wire::RunState;

    #[test]
    fn a_run_is_named_by_its_id_or_by_a_name_that_no_other_has() {
        let named = |id: &str, name: &str| RunSummary { name: name.to_owned(), ..summary(id, RunState::Finished) };
        let runs = [named("a-1", "fox"), named("b-2", "owl"), named("c-3", "owl"), named("owl-4", "a-1")];
        let check = |name: &str, expected: Result<&str, &str>| {
            let found = run_named(name, &runs).map(|run| run.to_string()).map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{name}");
        };
        check("fox", Ok("a-1"));
        check("a-1", Ok("a-1"));
        check("owl-4", Ok("owl-4"));
        check("owl", Err(r#"several runs are named "owl": b-2, c-3; give the id of one"#));
        let unknown = r#"no run is named "elk"; the page and GET /api/v1/runs list the runs with their ids"#;
        check("elk", Err(unknown));
    }
}

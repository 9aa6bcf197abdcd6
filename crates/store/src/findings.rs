//! What the rules found in runs. The rules themselves are evaluated elsewhere; here a decision is stored once, however often the same values
//! are read again: after a restart, a rollback, or an undone rollback.

use std::collections::BTreeMap;
use std::ops::Range;

use wire::diagnosis::{Active, DiagnosisSettings, Finding, Health, Judgement, Level, RunFinding, TakenAction};
use wire::series::Row;
use wire::transport::link::Report;
use wire::{EventRecord, RunId, RunSummary};

use crate::alerts::of_finding;
use crate::clock::now_ms;
use crate::database::findings::{RuleState, StoredFinding};
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::series::PathSegment;
use crate::store::Store;

/// Most findings that are kept of one run. A rule whose condition comes and goes all the time would otherwise fill the table.
const MAX_OF_RUN: usize = 2_000;
/// Findings in a run raise alerts until so long after its end, ms. Rules also read a run that ended long ago, when somebody opens it for
/// the first time or imports it; what they find there is no news.
const NEWS_MS: i64 = 24 * 3600 * 1000;

/// The settings and the state of a run's rules, as stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DiagnosisRecord {
    pub settings: DiagnosisSettings,
    /// `None` if no rule has read the run.
    pub state: Option<RuleState>,
}

/// A finding to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFinding {
    pub segment: u32,
    pub finding: Finding,
    /// Label of its rule.
    pub label: String,
    /// What was seen, as a sentence.
    pub text: String,
    /// The decision of its rule, if the rule may act.
    pub action: Option<TakenAction>,
}

/// What the rules said after the values of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    pub step: u64,
    pub found: Vec<NewFinding>,
    /// All conditions that are true after it.
    pub active: Vec<Active>,
}

/// What storing findings has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// New and changed findings, oldest first.
    pub changed: Vec<RunFinding>,
    /// Whether some of them are new.
    pub is_news: bool,
    pub summary: RunSummary,
}

impl Store {
    /// The settings and the state of a run's rules; the default if neither is stored.
    pub async fn diagnosis(&self, run: &RunId) -> Result<DiagnosisRecord, StoreError> {
        let found = database::findings::record(&mut *self.database().read().await?, run).await?;
        Ok(found.map(|(settings, state)| DiagnosisRecord { settings, state }).unwrap_or_default())
    }

    /// The findings of a run, oldest first, abandoned ones too.
    pub async fn findings(&self, run: &RunId) -> Result<Vec<StoredFinding>, StoreError> {
        database::findings::of_run(&mut *self.database().read().await?, run).await
    }

    /// The findings of all runs after a sequence number, in order, at most `limit`. A finding keeps its number when it changes.
    pub async fn findings_after(&self, sequence: u64, limit: u32) -> Result<Vec<StoredFinding>, StoreError> {
        database::findings::after(&mut *self.database().read().await?, sequence, limit).await
    }

    /// The newest sequence number of a finding; 0 without one.
    pub async fn last_finding(&self) -> Result<u64, StoreError> {
        database::findings::last_sequence(&mut *self.database().read().await?).await
    }

    /// Runs of which the stored state of the rules has not read all steps: they train, or a server was killed before their rules had read
    /// the last ones. Runs that no rule has read are not among them.
    pub async fn runs_behind_rules(&self) -> Result<Vec<RunId>, StoreError> {
        database::findings::behind(&mut *self.database().read().await?).await
    }

    /// Stores what the rules said, in order. `path` is that of the run: findings beside it are marked as abandoned. A finding that is stored
    /// already is not stored again. `checks` is the number of rules that are not muted.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn record_findings(
        &self,
        run: &RunId,
        path: &[(u32, u64, Option<u64>)],
        moments: &[Moment],
        checks: u32,
    ) -> Result<Recorded, StoreError> {
        let path = path.to_vec();
        let change = |known: &mut Vec<RunFinding>| {
            known.iter_mut().for_each(|found| found.is_abandoned = !is_on(&path, found.segment, found.finding.step));
            moments.iter().for_each(|moment| apply(known, moment));
        };
        self.change_findings(run, Some(checks), change).await
    }

    /// Dismisses a finding, or undoes that. `None`: the run has no finding of this number.
    pub async fn dismiss_finding(
        &self,
        run: &RunId,
        number: u64,
        is_dismissed: bool,
    ) -> Result<Option<Recorded>, StoreError> {
        self.change_finding(run, number, |found| found.is_dismissed = is_dismissed).await
    }

    /// Marks a finding as correct or as wrong, or removes that. `None`: the run has no finding of this number.
    pub async fn judge_finding(
        &self,
        run: &RunId,
        number: u64,
        judgement: Option<Judgement>,
    ) -> Result<Option<Recorded>, StoreError> {
        self.change_finding(run, number, |found| found.judgement = judgement).await
    }

    async fn change_finding(
        &self,
        run: &RunId,
        number: u64,
        change: impl Fn(&mut RunFinding) + Send,
    ) -> Result<Option<Recorded>, StoreError> {
        let is_known = self.findings(run).await?.iter().any(|stored| stored.found.id == number);
        if !is_known {
            return Ok(None);
        }
        let change_named = |known: &mut Vec<RunFinding>| {
            known.iter_mut().filter(|found| found.id == number).for_each(change);
        };
        self.change_findings(run, None, change_named).await.map(Some)
    }

    /// Gives all findings the labels that their rules have now, by the ids of the rules. Returns how many had the label of an earlier
    /// version.
    pub async fn set_finding_labels(&self, labels: &BTreeMap<&str, &str>) -> Result<u64, StoreError> {
        let mut transaction = self.database().write().await?;
        let changed = database::findings::set_labels(&mut transaction, labels).await?;
        commit(transaction).await?;
        Ok(changed)
    }

    /// Stores the state of a run's rules. Call it after the findings up to there are stored.
    pub async fn save_rule_state(&self, run: &RunId, state: &RuleState) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        self.known(database::runs::stored_seq(&mut transaction, run).await?, run)?;
        database::findings::put_state(&mut transaction, run, state).await?;
        commit(transaction).await
    }

    /// Stores the settings of a run's rules, and in the same transaction the event that `event` makes of the settings before. Returns the
    /// event with the run after it.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn set_rules(
        &self,
        run: &RunId,
        settings: &DiagnosisSettings,
        event: impl FnOnce(&DiagnosisSettings) -> Option<Report> + Send,
    ) -> Result<Option<(EventRecord, RunSummary)>, StoreError> {
        let mut transaction = self.database().write().await?;
        self.known(database::runs::stored_seq(&mut transaction, run).await?, run)?;
        let known = database::findings::record(&mut transaction, run).await?;
        let before = known.map(|(settings, _)| settings).unwrap_or_default();
        database::findings::put_settings(&mut transaction, run, settings).await?;
        let Some(report) = event(&before) else {
            commit(transaction).await?;
            return Ok(None);
        };
        let (record, summary, dropped) = self.journal(&mut transaction, run, report).await?;
        commit(transaction).await?;
        self.remove_folders(dropped).await;
        Ok(Some((record, summary)))
    }

    /// The stored values of the series that `is_read` names, along a path of the run, by step.
    ///
    /// # Errors
    /// [`StoreError::RunFolderMissing`].
    pub async fn path_rows(
        &self,
        run: &RunId,
        path: &[(u32, u64, Option<u64>)],
        steps: Range<u64>,
        is_read: fn(&str) -> bool,
    ) -> Result<Vec<Row>, StoreError> {
        let (files, id, parts) = (self.series_files().clone(), run.clone(), within(run, path, &steps));
        self.blocking(move || {
            let names = files.names(&id)?;
            let mut rows: Vec<Row> = vec![];
            for name in names.into_iter().filter(|name| is_read(name)) {
                for part in &parts {
                    let mut points = files.path_points(std::slice::from_ref(part), &name)?;
                    let failed = |source| StoreError::unreadable(format!("the series {name}"), source);
                    while let Some((step, value)) = points.next().map_err(failed)? {
                        rows.push(Row { segment: part.segment, step, values: vec![(name.clone(), value)] });
                    }
                }
            }
            Ok(by_step(rows))
        })
        .await
    }

    pub(crate) async fn change_findings(
        &self,
        run: &RunId,
        checks: Option<u32>,
        change: impl FnOnce(&mut Vec<RunFinding>),
    ) -> Result<Recorded, StoreError> {
        let mut transaction = self.database().write().await?;
        let recorded = self.change_findings_in(&mut transaction, run, checks, change).await?;
        commit(transaction).await?;
        Ok(recorded)
    }

    /// [`Store::change_findings`] inside a transaction.
    pub(crate) async fn change_findings_in(
        &self,
        connection: &mut Connection,
        run: &RunId,
        checks: Option<u32>,
        change: impl FnOnce(&mut Vec<RunFinding>),
    ) -> Result<Recorded, StoreError> {
        let before = self.summary_in(connection, run).await?;
        let stored = database::findings::of_run(connection, run).await?;
        let known: Vec<RunFinding> = stored.into_iter().map(|stored| stored.found).collect();
        let mut after = known.clone();
        change(&mut after);
        link_alerts(&mut after);
        let changed: Vec<_> = after.iter().filter(|found| !known.contains(found)).cloned().collect();
        for found in &changed {
            database::findings::put(connection, run, found).await?;
        }
        if before.ended_ms.is_none_or(|ended_ms| now_ms() - ended_ms < NEWS_MS) {
            let new = changed.iter().filter(|found| known.iter().all(|known| known.id != found.id));
            for alert in new.filter_map(|found| of_finding(run, found)) {
                database::alerts::insert(connection, &alert).await?;
            }
        }
        let health = health(&after, checks.unwrap_or(before.health.checks));
        self.set_health(connection, run, before.health, health).await?;
        let summary = self.summary_in(connection, run).await?;
        Ok(Recorded { is_news: after.len() > known.len(), changed, summary })
    }

    async fn set_health(
        &self,
        connection: &mut Connection,
        run: &RunId,
        before: Health,
        after: Health,
    ) -> Result<(), StoreError> {
        if before == after { Ok(()) } else { database::runs::set_health(connection, run, after).await }
    }
}

/// Whether a step of a segment is on a path.
fn is_on(path: &[(u32, u64, Option<u64>)], segment: u32, step: u64) -> bool {
    path.iter().any(|(of, from, to)| *of == segment && step >= *from && to.is_none_or(|to| step < to))
}

/// The parts of a path within some steps.
fn within(run: &RunId, path: &[(u32, u64, Option<u64>)], steps: &Range<u64>) -> Vec<PathSegment> {
    let part = |(segment, from, to): &(u32, u64, Option<u64>)| PathSegment {
        run: run.clone(),
        segment: *segment,
        from_step: (*from).max(steps.start),
        to_step: Some(to.map_or(steps.end, |to| to.min(steps.end))),
    };
    path.iter().map(part).filter(|part| part.to_step.is_some_and(|to| part.from_step < to)).collect()
}

/// One row for each step, in order.
fn by_step(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| row.step);
    rows.dedup_by(|row, before| {
        let is_same = row.step == before.step;
        if is_same {
            before.values.append(&mut row.values);
        }
        is_same
    });
    rows
}

/// Adds what was found, and ends what is no longer true.
fn apply(known: &mut Vec<RunFinding>, Moment { step, found, active }: &Moment) {
    let condition = |found: &RunFinding| {
        active.iter().find(|active| active.rule == found.finding.rule && active.subject == found.finding.subject)
    };
    for new in found {
        if known.len() < MAX_OF_RUN && !is_known(known, new, active) {
            let id = known.iter().map(|found| found.id).max().unwrap_or(0) + 1;
            known.push(RunFinding {
                id,
                segment: new.segment,
                at_ms: now_ms(),
                finding: new.finding.clone(),
                label: new.label.clone(),
                text: new.text.clone(),
                ended_step: None,
                became: None,
                is_abandoned: false,
                is_dismissed: false,
                judgement: None,
                action: new.action.clone(),
            });
        }
    }
    for found in known.iter_mut().filter(|found| !found.is_abandoned && found.finding.step <= *step) {
        match condition(found) {
            Some(active) if found.finding.step >= active.since_step => found.ended_step = None,
            _ if found.ended_step.is_none() => found.ended_step = Some(*step),
            _ => {}
        }
    }
}

/// Whether a finding is stored: the same one, or one of the same level of the same condition. Values that come late from a GPU may complete
/// a condition at another step when they are read again.
fn is_known(known: &[RunFinding], new: &NewFinding, active: &[Active]) -> bool {
    let Finding { rule, subject, level, step, .. } = &new.finding;
    let since = active.iter().find(|active| active.rule == *rule && active.subject == *subject);
    let since = since.map_or(*step, |active| active.since_step);
    known.iter().any(|found| {
        let other = &found.finding;
        let is_alike = other.rule == *rule && other.subject == *subject && other.level == *level;
        let is_same = found.segment == new.segment && other.step == *step;
        let is_of_condition = !found.is_abandoned && (since..=*step).contains(&other.step);
        is_alike && (is_same || is_of_condition)
    })
}

/// Links each note to the alert that its condition became, on the path of the run.
fn link_alerts(known: &mut [RunFinding]) {
    let alerts: Vec<(String, String, u64, u64)> = known
        .iter()
        .filter(|found| !found.is_abandoned && found.finding.level == Level::Alert)
        .map(|found| (found.finding.rule.clone(), found.finding.subject.clone(), found.finding.step, found.id))
        .collect();
    for note in known.iter_mut().filter(|found| !found.is_abandoned && found.finding.level == Level::Note) {
        let became = alerts.iter().filter(|(rule, subject, step, _)| {
            *rule == note.finding.rule
                && *subject == note.finding.subject
                && *step >= note.finding.step
                && note.ended_step.is_none_or(|ended| ended > *step)
        });
        note.became = became.min_by_key(|(_, _, step, _)| *step).map(|(.., id)| *id);
    }
}

fn health(known: &[RunFinding], checks: u32) -> Health {
    let count = |level| known.iter().filter(|found| found.counts() && found.finding.level == level).count() as u32;
    Health { checks, notes: count(Level::Note), alerts: count(Level::Alert) }
}

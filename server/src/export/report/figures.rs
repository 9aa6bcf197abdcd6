//! The loss curves of a report.

use figure::{Scene, Size};
use store::{SeriesQuery, Store, StoreError};
use wire::access::embed::LOSS;
use wire::control::event::EventRecord;
use wire::series::{Axis, SeriesWindow, name};
use wire::{RunId, RunView};

use crate::export::figures::{RunChart, scene};

const SIZE: Size = Size::new(840.0, 320.0);
/// Buckets of each curve: more are not visible in this width.
const POINTS: usize = 420;
/// Events that are read for the markers of a chart.
const EVENTS: u32 = 2_000;

/// The losses of a run, to be drawn.
pub(super) struct LossChart {
    view: RunView,
    windows: Vec<SeriesWindow>,
    events: Vec<EventRecord>,
}

impl LossChart {
    /// Reads the losses of a run; `None` for one without values, and for one that was deleted meanwhile.
    pub(super) async fn read(store: &Store, run: &RunId) -> Result<Option<Self>, StoreError> {
        let Some(view) = store.run(run).await? else { return Ok(None) };
        let names = vec![name::TRAIN.to_owned(), name::VALID.to_owned()];
        let query = SeriesQuery { names, axis: Axis::Step, from: None, to: None, points: POINTS };
        let windows = match store.series(run, query).await {
            Ok(windows) => windows,
            Err(StoreError::UnknownRun { .. } | StoreError::RunFolderMissing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let events = store.events(run, 0, EVENTS).await?;
        Ok((!windows.is_empty()).then_some(Self { view, windows, events }))
    }

    pub(super) fn draw(&self) -> Scene {
        let wanted = RunChart { series: LOSS.to_owned(), axis: Axis::Step, is_log: false };
        scene(&self.view, &wanted, SIZE, &self.windows, &self.events)
    }
}

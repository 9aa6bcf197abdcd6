//! Queries of a run's series.

use wire::RunId;
use wire::series::SeriesWindow;

use crate::database;
use crate::error::StoreError;
use crate::series::{Curve, SeriesQuery};
use crate::store::Store;

impl Store {
    /// Names of a run's series, sorted.
    pub async fn series_names(&self, run: &RunId) -> Result<Vec<String>, StoreError> {
        self.stored_seq(run).await?;
        let (series_files, id) = (self.series_files().clone(), run.clone());
        self.blocking(move || series_files.names(&id)).await
    }

    /// Series over a range: one window for each name and segment that has values; an unknown name has none. The cost does not depend
    /// on the length of the series.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], [`StoreError::RunFolderMissing`].
    pub async fn series(&self, run: &RunId, query: SeriesQuery) -> Result<Vec<SeriesWindow>, StoreError> {
        let definition = database::runs::definition(&mut *self.database().read().await?, run).await?;
        let plan = self.known(definition, run)?.plan;
        let (series_files, id) = (self.series_files().clone(), run.clone());
        self.blocking(move || series_files.query(&id, &query, &plan)).await
    }

    /// A run's series of these names, or all, with every point stored at this moment. Reading the points blocks the thread.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], [`StoreError::RunFolderMissing`].
    pub async fn curves(&self, run: &RunId, names: Option<Vec<String>>) -> Result<Vec<Curve>, StoreError> {
        let mut connection = self.database().read().await?;
        let definition = database::runs::definition(&mut connection, run).await?;
        let plan = self.known(definition, run)?.plan;
        let spans = self.history_in(&mut connection, run).await?.spans();
        let (series_files, id) = (self.series_files().clone(), run.clone());
        self.blocking(move || series_files.curves(&id, names, &plan, spans)).await
    }
}

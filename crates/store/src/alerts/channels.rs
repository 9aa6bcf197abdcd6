//! Channels, as they are stored.

use wire::alert::Channel;

use crate::clock::now_ms;
use crate::database::alerts::ChannelRecord;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

/// Channels of one person at most.
const MOST_OWN: u64 = 10;
/// Channels of the lab at most.
const MOST_OF_LAB: u64 = 50;

impl Store {
    /// Creates a channel of a person, or of the lab.
    ///
    /// # Errors
    /// [`StoreError::TooManyChannels`].
    pub async fn add_channel(
        &self,
        person: Option<i64>,
        channel: Channel,
        created_by: &str,
    ) -> Result<ChannelRecord, StoreError> {
        let mut record =
            ChannelRecord { id: 0, person, channel, created_by: created_by.to_owned(), created_ms: now_ms() };
        let mut transaction = self.database().write().await?;
        let most = if person.is_some() { MOST_OWN } else { MOST_OF_LAB };
        if database::alerts::count_channels(&mut transaction, person).await? >= most {
            return Err(StoreError::TooManyChannels { most });
        }
        record.id = database::alerts::insert_channel(&mut transaction, &record).await?;
        commit(transaction).await?;
        Ok(record)
    }

    /// All channels, oldest first.
    pub async fn channels(&self) -> Result<Vec<ChannelRecord>, StoreError> {
        database::alerts::channels(&mut *self.database().read().await?).await
    }

    /// Replaces what a channel does; false, and nothing changes, if it is no longer what it was `before`. Messages that wait for a channel that is
    /// turned off are given up.
    pub async fn change_channel(&self, before: &ChannelRecord, channel: &Channel) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        if database::alerts::channel(&mut transaction, before.id).await?.as_ref() != Some(before) {
            return Ok(false);
        }
        database::alerts::set_channel(&mut transaction, before.id, channel).await?;
        if !channel.is_enabled {
            database::alerts::give_up_waiting(&mut transaction, before.id, "The channel was turned off.").await?;
        }
        commit(transaction).await?;
        Ok(true)
    }

    /// Deletes a channel with its messages; false if it does not exist.
    pub async fn remove_channel(&self, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let existed = database::alerts::remove_channel(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(existed)
    }
}

//! Images of embeds, kept until what they show has changed. A change is drawn at most once per second, however many look at it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::access::embed::EmbedView;
use wire::run::Cursor;

use super::{Image, Look};
use crate::error::ApiError;

/// Images that are kept, and their total size.
const IMAGES: usize = 128;
const BYTES: usize = 64 << 20;
/// An image is shown for so long also after a change.
const FRESH: Duration = Duration::from_secs(1);

pub(super) type Key = (EmbedView, Look);

/// One image; it is locked while it is drawn.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<Option<Drawn>>);

struct Drawn {
    image: Image,
    cursors: Vec<Cursor>,
    at: Instant,
}

/// The slots with the time of their last use and the size of their image.
#[derive(Default)]
pub(super) struct KeptImages(Mutex<HashMap<Key, Used>>);

struct Used {
    slot: Arc<Slot>,
    last: Instant,
    bytes: usize,
}

impl KeptImages {
    /// The image of a key; `draw` is called if none is kept or what it shows has changed.
    pub(super) async fn get(
        &self,
        key: Key,
        cursors: Vec<Cursor>,
        draw: impl Future<Output = Result<Image, ApiError>>,
    ) -> Result<Image, ApiError> {
        let slot = self.slot(&key);
        let mut drawn = slot.0.lock().await;
        if let Some(Drawn { image, .. }) =
            drawn.as_ref().filter(|drawn| drawn.cursors == cursors || drawn.at.elapsed() < FRESH)
        {
            return Ok(image.clone());
        }
        let image = draw.await?;
        *drawn = Some(Drawn { image: image.clone(), cursors, at: Instant::now() });
        drop(drawn);
        self.note_size(&key, image.content.len());
        Ok(image)
    }

    fn slot(&self, key: &Key) -> Arc<Slot> {
        let mut kept = self.lock();
        let now = Instant::now();
        let used = kept.entry(key.clone()).or_insert_with(|| Used { slot: Arc::default(), last: now, bytes: 0 });
        used.last = now;
        let slot = used.slot.clone();
        make_room(&mut kept);
        slot
    }

    fn note_size(&self, key: &Key, bytes: usize) {
        let mut kept = self.lock();
        if let Some(used) = kept.get_mut(key) {
            used.bytes = bytes;
        }
        make_room(&mut kept);
    }

    // A map of plain values is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the images that were not used for the longest time. Those who wait for one still receive it.
fn make_room(kept: &mut HashMap<Key, Used>) {
    while kept.len() > IMAGES || kept.len() > 1 && kept.values().map(|used| used.bytes).sum::<usize>() > BYTES {
        let oldest = kept.iter().min_by_key(|(_, used)| used.last).map(|(key, _)| key.clone());
        match oldest {
            Some(key) => kept.remove(&key),
            None => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::lab::drawing::Format;

    fn key(width: u32) -> Key {
        let look = Look { width, height: 100, is_dark: false, format: Format::Svg };
        (EmbedView::of("/runs/amber-fox").unwrap(), look)
    }

    fn image(bytes: usize) -> Image {
        Image { content: Bytes::from(vec![0; bytes]), format: Format::Svg, etag: String::new(), is_growing: true }
    }

    #[tokio::test]
    async fn five_hundred_viewers_cost_one_drawing_per_change() {
        let kept = Arc::new(KeptImages::default());
        let count = Arc::new(AtomicU32::new(0));
        let view = |tick: u64| {
            let (kept, count) = (kept.clone(), count.clone());
            async move {
                let draw = async {
                    count.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok(image(10))
                };
                kept.get(key(300), vec![Cursor { epoch: 1, tick }], draw).await.unwrap();
            }
        };
        let viewers: Vec<_> = (0..500).map(|_| tokio::spawn(view(1))).collect();
        for viewer in viewers {
            viewer.await.unwrap();
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
        view(2).await;
        assert_eq!(count.load(Ordering::Relaxed), 1, "at most one drawing per second");
        tokio::time::sleep(FRESH).await;
        view(1).await;
        assert_eq!(count.load(Ordering::Relaxed), 1, "nothing has changed");
        view(2).await;
        assert_eq!(count.load(Ordering::Relaxed), 2);
        let failed = kept.get(key(301), vec![], async { Err(ApiError::not_found("no")) }).await;
        assert!(failed.is_err());
        kept.get(key(301), vec![], async { Ok(image(1)) }).await.unwrap();
    }

    #[tokio::test]
    async fn the_kept_images_are_bounded() {
        let kept = KeptImages::default();
        for width in 0..3 * IMAGES as u32 {
            kept.get(key(width), vec![], async { Ok(image(1000)) }).await.unwrap();
        }
        assert_eq!(kept.lock().len(), IMAGES);
        kept.get(key(9_999), vec![], async { Ok(image(BYTES)) }).await.unwrap();
        assert_eq!(kept.lock().len(), 1);
    }
}

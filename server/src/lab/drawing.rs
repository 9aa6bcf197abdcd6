//! Images: formats, sizes, and how many are drawn at a time. What they show is in [`crate::export::figures`], which reads it from the lab.

mod kept;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use figure::png::PngWriter;
use figure::{Scene, Size, Theme, svg};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wire::access::embed::EmbedView;
use wire::run::Cursor;

use crate::error::ApiError;
use kept::KeptImages;

/// Images that are drawn at a time. Drawing text takes milliseconds of CPU time, a PNG tens of them.
const AT_ONCE: usize = 2;
/// How long a request waits for its turn.
const WAIT: Duration = Duration::from_secs(10);

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Svg,
    Png,
}

impl Format {
    /// Splits a file name into its stem and its format; `None` for another ending.
    pub fn split(file: &str) -> Option<(&str, Self)> {
        match file.rsplit_once('.')? {
            (stem, "svg") => Some((stem, Self::Svg)),
            (stem, "png") => Some((stem, Self::Png)),
            _ => None,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Svg => "image/svg+xml",
            Self::Png => "image/png",
        }
    }
}

/// Size, background and file format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Look {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Whether the background is dark.
    pub is_dark: bool,
    pub format: Format,
}

impl Look {
    pub fn size(self) -> Size {
        Size::new(f64::from(self.width), f64::from(self.height))
    }

    pub fn theme(self) -> Theme {
        if self.is_dark { Theme::Dark } else { Theme::Light }
    }
}

/// A drawn image; cloning shares its bytes.
#[derive(Debug, Clone)]
pub struct Image {
    pub content: Bytes,
    pub format: Format,
    /// Value of the ETag header: a hash of the content.
    pub etag: String,
    /// Whether it shows a run that trains, so that a newer one follows soon.
    pub is_growing: bool,
}

/// The images of embeds that are kept, and the means to draw.
pub struct Drawings {
    at_once: Arc<Semaphore>,
    /// Loading the fonts of the system takes long.
    png: OnceLock<PngWriter>,
    kept: KeptImages,
}

impl Default for Drawings {
    fn default() -> Self {
        Self { at_once: Arc::new(Semaphore::new(AT_ONCE)), png: OnceLock::new(), kept: KeptImages::default() }
    }
}

impl Drawings {
    /// Writes a scene as a file. It blocks the thread.
    ///
    /// # Errors
    /// The machine has no font.
    pub fn image(&self, scene: &Scene, look: Look) -> Result<Image, ApiError> {
        let failed = |source| ApiError::internal("drawing a figure", source);
        let content = match look.format {
            Format::Svg => Bytes::from(svg(scene, look.theme())),
            Format::Png => {
                let writer = match self.png.get() {
                    Some(writer) => writer,
                    None => {
                        let writer = PngWriter::new().map_err(failed)?;
                        self.png.get_or_init(|| writer)
                    }
                };
                Bytes::from(writer.png(scene, look.theme(), 1.0).map_err(failed)?)
            }
        };
        let hash = blake3::hash(&content).to_hex();
        Ok(Image { etag: format!("\"{}\"", &hash[..32]), content, format: look.format, is_growing: false })
    }

    /// Draws an image, or a report with several, on its own thread, after the ones before it.
    ///
    /// # Errors
    /// 429 if too many images are drawn; the errors of `draw`.
    pub async fn draw<T: Send + 'static>(
        &self,
        draw: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let busy = || ApiError::busy("too many images are being drawn at once").hint("try again in a moment");
        let permit = timeout(WAIT, Arc::clone(&self.at_once).acquire_owned()).await.map_err(|_| busy())?;
        let permit = permit.map_err(|source| ApiError::internal("drawing a figure", source))?;
        // If the client disconnects, the thread draws on and keeps the permit until it has ended.
        let drawn = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            draw()
        });
        let drawn = drawn.await;
        drawn.map_err(|source| ApiError::internal("drawing a figure", source))?
    }

    /// The image of an embed: the kept one while it is new enough, else the result of `draw`. Of requests at the same time, one draws.
    /// `cursors` are the positions in the streams of its runs, read before what is drawn.
    ///
    /// # Errors
    /// Those of `draw`.
    pub async fn keep(
        &self,
        view: &EmbedView,
        look: Look,
        cursors: Vec<Cursor>,
        draw: impl Future<Output = Result<Image, ApiError>>,
    ) -> Result<Image, ApiError> {
        self.kept.get((view.clone(), look), cursors, draw).await
    }
}

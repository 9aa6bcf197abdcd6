//! Errors of PNG files.

/// The errors of PNG files. An SVG never fails.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The system has no font. A chart without its numbers would mislead, so none is drawn.
    #[error("no font was found on this machine: install one (Debian: fonts-dejavu-core), or request the SVG")]
    NoFonts,
    /// Too large or too small.
    #[error("an image of {width} × {height} pixels cannot be drawn; choose 1 to {most} on each side")]
    Size {
        /// Requested, in pixels.
        width: f64,
        /// Requested, in pixels.
        height: f64,
        /// The largest side.
        most: u32,
    },
    /// The intermediate SVG could not be parsed.
    #[error("the drawing could not be read back")]
    Svg(#[from] resvg::usvg::Error),
    /// The pixels could not be written as PNG.
    #[error("the image could not be written as PNG: {0}")]
    Encoding(String),
}

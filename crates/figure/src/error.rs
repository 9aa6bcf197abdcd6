//! Errors of PNG files.

/// Why there is no PNG. An SVG can always be made.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The system has no font. A chart without its numbers would mislead, so none is drawn.
    #[error("no font was found on this machine: install one (Debian: fonts-dejavu-core), or ask for the SVG")]
    NoFonts,
    /// Too large or too small.
    #[error("an image of {width} × {height} pixels cannot be drawn; choose 1 to {most} on each side")]
    Size {
        /// Asked for, in pixels.
        width: f64,
        /// Asked for, in pixels.
        height: f64,
        /// The largest side.
        most: u32,
    },
    /// The SVG between scene and pixels was not understood.
    #[error("the drawing could not be read back")]
    Svg(#[from] resvg::usvg::Error),
    /// The pixels could not be written as PNG.
    #[error("the image could not be written as PNG: {0}")]
    Encoding(String),
}

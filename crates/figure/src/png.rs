//! A scene as a PNG file, drawn with the system's fonts.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::error::FigureError;
use crate::scene::Scene;
use crate::svg::svg;
use crate::theme::Theme;

/// Maximum side of an image, pixels.
pub const MOST_PIXELS: u32 = 8192;

/// Writes PNG files. Loading fonts takes long, so keep one.
pub struct PngWriter {
    options: Options<'static>,
}

impl PngWriter {
    /// With the fonts of this machine.
    ///
    /// # Errors
    /// [`FigureError::NoFonts`] if there are none.
    pub fn new() -> Result<Self, FigureError> {
        let mut fonts = fontdb::Database::new();
        fonts.load_system_fonts();
        Self::with_fonts(fonts)
    }

    fn with_fonts(mut fonts: fontdb::Database) -> Result<Self, FigureError> {
        let words = family(&fonts, false).ok_or(FigureError::NoFonts)?;
        let numbers = family(&fonts, true).unwrap_or_else(|| words.clone());
        fonts.set_sans_serif_family(&words);
        fonts.set_serif_family(&words);
        fonts.set_monospace_family(&numbers);
        Ok(Self { options: Options { font_family: words, fontdb: Arc::new(fonts), ..Options::default() } })
    }

    /// The file, with `scale` pixels to each of the scene's.
    ///
    /// # Errors
    /// [`FigureError::Size`] for an image without pixels or beyond [`MOST_PIXELS`].
    pub fn png(&self, scene: &Scene, theme: Theme, scale: f64) -> Result<Vec<u8>, FigureError> {
        let (width, height) = ((scene.size.width * scale).round(), (scene.size.height * scale).round());
        let sides = 1.0..=f64::from(MOST_PIXELS);
        let too_large = || FigureError::Size { width, height, most: MOST_PIXELS };
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(too_large());
        }
        let tree = Tree::from_str(&svg(scene, theme), &self.options)?;
        let mut pixels = Pixmap::new(width as u32, height as u32).ok_or_else(too_large)?;
        resvg::render(&tree, Transform::from_scale(scale as f32, scale as f32), &mut pixels.as_mut());
        pixels.encode_png().map_err(|source| FigureError::Encoding(source.to_string()))
    }
}

/// A family to write with: a plain upright one, a well-known one before the others.
fn family(fonts: &fontdb::Database, is_monospace: bool) -> Option<String> {
    const KNOWN: [&str; 9] = [
        "Inter",
        "Segoe UI",
        "Helvetica Neue",
        "Roboto",
        "Noto Sans",
        "DejaVu Sans",
        "Liberation Sans",
        "Menlo",
        "DejaVu Sans Mono",
    ];
    let plain = |face: &&fontdb::FaceInfo| {
        face.monospaced == is_monospace
            && face.style == fontdb::Style::Normal
            && face.stretch == fontdb::Stretch::Normal
    };
    let name = |face: &fontdb::FaceInfo| face.families.first().map(|(name, _)| name.clone());
    let mut names: Vec<String> = fonts.faces().filter(plain).filter_map(name).collect();
    names.sort_by_key(|name| KNOWN.iter().position(|known| name == known).unwrap_or(KNOWN.len()));
    names.into_iter().next().or_else(|| fonts.faces().find_map(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Size;

    #[test]
    fn a_machine_without_fonts_gives_an_error() {
        assert!(matches!(PngWriter::with_fonts(fontdb::Database::new()), Err(FigureError::NoFonts)));
    }

    #[test]
    fn an_image_has_the_requested_size() {
        let Ok(writer) = PngWriter::new() else { return };
        let drawing = crate::chart(&crate::ChartSpec::default(), &[], Size::new(200.0, 100.0));
        let file = writer.png(&drawing.scene, Theme::Dark, 2.0).unwrap();
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!((&file[16..20], &file[20..24]), (&400u32.to_be_bytes()[..], &200u32.to_be_bytes()[..]));
        assert!(matches!(writer.png(&drawing.scene, Theme::Dark, 1e6), Err(FigureError::Size { .. })));
        assert!(matches!(writer.png(&drawing.scene, Theme::Dark, f64::NAN), Err(FigureError::Size { .. })));
    }
}

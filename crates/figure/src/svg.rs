//! A scene as an SVG file with the colours of one theme, or as an element of a page that has the colours of both. It uses the system's fonts,
//! fetches nothing and has no script.

use std::borrow::Cow;
use std::fmt::Write;

use crate::scene::{Anchor, Fill, Point, Rect, Role, Scene, Shape, Stroke, Text};
use crate::theme::Theme;

/// The file.
pub fn svg(scene: &Scene, theme: Theme) -> String {
    write(scene, Colours::Of(theme), "")
}

/// An element of a page that declares the custom properties of [`crate::theme::css`]: it follows the theme of the page. `id_prefix` begins the
/// ids in the element: the pictures of a page need different prefixes, because ids are unique in a page.
pub fn svg_element(scene: &Scene, id_prefix: &str) -> String {
    write(scene, Colours::OfPage, id_prefix)
}

fn write(scene: &Scene, colours: Colours, id_prefix: &str) -> String {
    let (width, height) = (brief(scene.size.width), brief(scene.size.height));
    let mut writer = Writer { out: String::with_capacity(16 * 1024), colours, id_prefix, clips: 0 };
    let head = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>{}</title>
<desc>{}</desc>
"#,
        escaped(&scene.title),
        escaped(&scene.summary)
    );
    writer.out.push_str(&head);
    writer.shapes(&scene.shapes);
    writer.out.push_str("</svg>\n");
    writer.out
}

/// Where colours come from: a theme, or the custom properties of the page.
#[derive(Clone, Copy)]
enum Colours {
    Of(Theme),
    OfPage,
}

impl Colours {
    fn color(self, role: Role) -> Cow<'static, str> {
        match self {
            Self::Of(theme) => theme.color(role).into(),
            Self::OfPage => format!("var({})", role.property()).into(),
        }
    }
}

struct Writer<'a> {
    out: String,
    colours: Colours,
    id_prefix: &'a str,
    clips: usize,
}

impl Writer<'_> {
    fn shapes(&mut self, shapes: &[Shape]) {
        for shape in shapes {
            self.shape(shape);
        }
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Polyline { points, stroke } => {
                let look = self.stroke(stroke);
                self.put(&format!("<path d=\"{}\" fill=\"none\"{look}/>\n", path(points, false)));
            }
            Shape::Area { points, fill } => {
                let look = self.fill(fill);
                self.put(&format!("<path d=\"{}\"{look}/>\n", path(points, true)));
            }
            Shape::Rect { rect, radius, fill } => {
                let (bounds, look) = (bounds(rect), self.fill(fill));
                let round = if *radius > 0.0 { format!(" rx=\"{}\"", brief(*radius)) } else { String::new() };
                self.put(&format!("<rect{bounds}{round}{look}/>\n"));
            }
            Shape::Circle { center, radius, fill } => self.circle(*center, *radius, fill),
            Shape::Marker { at, size, form, fill } => {
                let corners = form.corners(*at, *size);
                if corners.is_empty() {
                    return self.circle(*at, *size * 0.8, fill);
                }
                let look = self.fill(fill);
                self.put(&format!("<path d=\"{}\"{look}/>\n", path(&corners, true)));
            }
            Shape::Cells { rect, rows, columns, pixels } => self.cells(rect, *rows, *columns, pixels),
            Shape::Text(text) => self.text(text),
            Shape::Group { clip, shapes } => {
                self.clips += 1;
                let id = format!("{}clip{}", self.id_prefix, self.clips);
                self.put(&format!(
                    "<clipPath id=\"{id}\"><rect{}/></clipPath>\n<g clip-path=\"url(#{id})\">\n",
                    bounds(clip)
                ));
                self.shapes(shapes);
                self.put("</g>\n");
            }
        }
    }

    fn circle(&mut self, center: Point, radius: f64, fill: &Fill) {
        let look = self.fill(fill);
        self.put(&format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"{look}/>\n",
            brief(center.x),
            brief(center.y),
            brief(radius)
        ));
    }

    fn text(&mut self, text: &Text) {
        let anchor = match text.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if text.is_strong { " font-weight=\"600\"" } else { "" };
        let line = format!(
            "<text x=\"{}\" y=\"{}\" font-family=\"{}\" font-size=\"{}\"{weight}{anchor} fill=\"{}\">{}</text>\n",
            brief(text.at.x),
            brief(text.at.y),
            text.font.family(),
            brief(text.size),
            self.colours.color(text.role),
            escaped(&text.text)
        );
        self.put(&line);
    }

    /// Cells of one colour beside each other are one rectangle.
    fn cells(&mut self, rect: &Rect, rows: u32, columns: u32, pixels: &[u8]) {
        let (width, height) = (rect.width / f64::from(columns.max(1)), rect.height / f64::from(rows.max(1)));
        self.put("<g shape-rendering=\"crispEdges\">\n");
        for (row, line) in pixels.chunks_exact(4 * columns.max(1) as usize).take(rows as usize).enumerate() {
            let mut column = 0;
            let (cells, _) = line.as_chunks::<4>();
            for stretch in cells.chunk_by(|one, next| one == next) {
                let count = stretch.len();
                if let [red, green, blue, 1..=255] = stretch[0] {
                    let cell = Rect::new(
                        rect.x + column as f64 * width,
                        rect.y + row as f64 * height,
                        count as f64 * width,
                        height,
                    );
                    self.put(&format!("<rect{} fill=\"#{red:02x}{green:02x}{blue:02x}\"/>\n", bounds(&cell)));
                }
                column += count;
            }
        }
        self.put("</g>\n");
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn fill(&self, fill: &Fill) -> String {
        let opacity =
            if fill.opacity < 1.0 { format!(" fill-opacity=\"{}\"", brief(fill.opacity)) } else { String::new() };
        format!(" fill=\"{}\"{opacity}", self.colours.color(fill.role))
    }

    fn stroke(&self, stroke: &Stroke) -> String {
        let mut look =
            format!(" stroke=\"{}\" stroke-width=\"{}\"", self.colours.color(stroke.role), brief(stroke.width));
        if stroke.opacity < 1.0 {
            look += &format!(" stroke-opacity=\"{}\"", brief(stroke.opacity));
        }
        let pattern = stroke.dash.pattern();
        if pattern.is_empty() {
            return look + " stroke-linejoin=\"round\" stroke-linecap=\"round\"";
        }
        let lengths: Vec<String> = pattern.iter().map(|length| brief(*length)).collect();
        look + &format!(" stroke-dasharray=\"{}\"", lengths.join(" "))
    }
}

fn bounds(rect: &Rect) -> String {
    let Rect { x, y, width, height } = rect;
    format!(" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", brief(*x), brief(*y), brief(*width), brief(*height))
}

fn path(points: &[Point], is_closed: bool) -> String {
    let mut out = String::with_capacity(points.len() * 14);
    for (index, point) in points.iter().enumerate() {
        out.push(if index == 0 { 'M' } else { 'L' });
        // Writing to a String cannot fail.
        let _ = write!(out, "{} {}", brief(point.x), brief(point.y));
    }
    if is_closed {
        out.push('Z');
    }
    out
}

/// Hundredths of a pixel, no more digits than needed; a number SVG can read in any case.
fn brief(value: f64) -> String {
    let hundredths = if value.is_finite() { (value * 100.0).round() } else { 0.0 };
    format!("{}", hundredths / 100.0 + 0.0)
}

/// Safe inside an element or a quoted attribute. Characters that XML forbids are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Size;

    #[test]
    fn cells_of_one_colour_are_one_rectangle() {
        let pixels =
            [[1, 2, 3, 255], [1, 2, 3, 255], [9, 9, 9, 0], [9, 9, 9, 255], [1, 2, 3, 255], [9, 9, 9, 0]].concat();
        let cells = Shape::Cells { rect: Rect::new(0.0, 0.0, 30.0, 20.0), rows: 2, columns: 3, pixels };
        let scene =
            Scene { size: Size::new(30.0, 20.0), title: String::new(), summary: String::new(), shapes: vec![cells] };
        let file = svg(&scene, Theme::Light);
        assert_eq!(file.matches("<rect").count(), 3, "{file}");
        assert!(file.contains(r##"<rect x="0" y="0" width="20" height="10" fill="#010203"/>"##), "{file}");
    }

    #[test]
    fn elements_of_a_page_have_its_colours_and_ids_of_their_own() {
        let inside = Shape::Rect { rect: Rect::new(0.0, 0.0, 9.0, 9.0), radius: 0.0, fill: Fill::solid(Role::Accent) };
        let group = Shape::Group { clip: Rect::new(0.0, 0.0, 5.0, 5.0), shapes: vec![inside] };
        let scene =
            Scene { size: Size::new(9.0, 9.0), title: String::new(), summary: String::new(), shapes: vec![group] };
        let element = svg_element(&scene, "a-");
        assert!(element.contains(r#"fill="var(--accent)""#), "{element}");
        assert!(element.contains(r#"id="a-clip1""#) && element.contains("url(#a-clip1)"), "{element}");
        assert!(svg(&scene, Theme::Light).contains("url(#clip1)"));
    }

    #[test]
    fn text_is_escaped() {
        let text = Text::words(Point::new(0.0, f64::NAN), "<script>\u{0}\u{ffff}\"&", 11.0, Role::Ink);
        let scene = Scene {
            size: Size::new(10.0, 10.0),
            title: "</title><x>".into(),
            summary: "a & b".into(),
            shapes: vec![text.into()],
        };
        let file = svg(&scene, Theme::Light);
        assert!(file.contains("&lt;script&gt;&quot;&amp;</text>"), "{file}");
        assert!(file.contains("&lt;/title&gt;") && file.contains("a &amp; b") && !file.contains("NaN"), "{file}");
    }
}

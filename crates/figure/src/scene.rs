//! Shapes and the roles they are painted in. Lengths are CSS pixels; y grows downwards.

/// A position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

impl Point {
    /// At `x` from the left and `y` from the top.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }
}

/// Width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

impl Size {
    /// Width by height.
    pub const fn new(width: f64, height: f64) -> Self {
        Self { width, height }
    }
}

/// An upright rectangle.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width, never negative.
    pub width: f64,
    /// Height, never negative.
    pub height: f64,
}

impl Rect {
    /// From a corner and a size; negative sizes become 0.
    pub fn new(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self { x, y, width: width.max(0.0), height: height.max(0.0) }
    }

    /// Right edge.
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    /// Bottom edge.
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// Whether a position lies in it.
    pub fn contains(&self, at: Point) -> bool {
        (self.x..=self.right()).contains(&at.x) && (self.y..=self.bottom()).contains(&at.y)
    }

    /// Whether it has an area in common with another.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }

    /// The rectangle with `by` more on every side.
    pub fn grown(&self, by: f64) -> Self {
        Self::new(self.x - by, self.y - by, self.width + 2.0 * by, self.height + 2.0 * by)
    }
}

/// The meaning of a shape; [`crate::theme`] has its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Background of a chart.
    Surface,
    /// Primary text.
    Ink,
    /// Secondary text.
    InkSoft,
    /// Tick labels and notes.
    InkFaint,
    /// Lines of the grid.
    Grid,
    AxisLine,
    /// The live run, and the chosen item of a view.
    Accent,
    Alarm,
    /// A good state.
    Good,
    /// An abandoned segment of a run.
    Abandoned,
    /// The entropy floor.
    Floor,
    /// One of several runs or components, with the same colour everywhere: a colour-blind safe set of eight, then repeated with dashes.
    Run(u8),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    pub role: Role,
    /// 0 to 1.
    pub opacity: f64,
}

impl Fill {
    /// Opaque.
    pub const fn solid(role: Role) -> Self {
        Self { role, opacity: 1.0 }
    }

    /// Transparent.
    pub const fn faint(role: Role, opacity: f64) -> Self {
        Self { role, opacity }
    }
}

/// Dashes of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dash {
    #[default]
    Solid,
    /// A plan, or a bound.
    Dashed,
    /// A note.
    Dotted,
}

impl Dash {
    /// Lengths drawn and left out, in turn; none for a whole line.
    pub fn pattern(self) -> &'static [f64] {
        match self {
            Self::Solid => &[],
            Self::Dashed => &[5.0, 4.0],
            Self::Dotted => &[1.5, 3.0],
        }
    }
}

/// The style of a line. Corners and ends are round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    pub role: Role,
    /// 0 to 1.
    pub opacity: f64,
    pub width: f64,
    pub dash: Dash,
}

impl Stroke {
    /// Opaque and whole.
    pub const fn solid(role: Role, width: f64) -> Self {
        Self { role, opacity: 1.0, width, dash: Dash::Solid }
    }

    /// The stroke, transparent.
    pub const fn faint(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    /// The stroke, dashed.
    pub const fn dashed(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }
}

/// The end of a text that is at its position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Anchor {
    /// The left end.
    #[default]
    Start,
    Middle,
    /// The right end.
    End,
}

/// A font: for words or for numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Font {
    /// The system's font for words.
    #[default]
    Words,
    /// Monospace with tabular figures.
    Numbers,
}

impl Font {
    /// The CSS family list, the same on the page and in files.
    pub fn family(self) -> &'static str {
        match self {
            Self::Words => "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
            Self::Numbers => "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace",
        }
    }
}

/// Text at a position.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Position of the end `anchor` of the baseline.
    pub at: Point,
    /// Content.
    pub text: String,
    pub role: Role,
    /// Height of the font.
    pub size: f64,
    pub font: Font,
    /// The end that is at `at`.
    pub anchor: Anchor,
    /// Semi-bold.
    pub is_strong: bool,
}

impl Text {
    /// Words in the font for words, from `at` to the right.
    pub fn words(at: Point, text: impl Into<String>, size: f64, role: Role) -> Self {
        Self { at, text: text.into(), role, size, font: Font::Words, anchor: Anchor::Start, is_strong: false }
    }

    /// Figures in the font for numbers.
    pub fn numbers(at: Point, text: impl Into<String>, size: f64, role: Role) -> Self {
        Self { font: Font::Numbers, ..Self::words(at, text, size, role) }
    }

    /// The text, with another end at its position.
    pub fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    /// The text, semi-bold.
    pub fn strong(self) -> Self {
        Self { is_strong: true, ..self }
    }

    /// Its approximate width: fonts differ, so leave some room.
    pub fn width(&self) -> f64 {
        let factor = if self.is_strong { 1.15 } else { 1.0 };
        text_width(&self.text, self.size, self.font) * factor
    }
}

/// The approximate width of `text` at a font size.
pub fn text_width(text: &str, size: f64, font: Font) -> f64 {
    let width = |c: char| match (font, c) {
        (Font::Numbers, _) => 0.602,
        (_, 'i' | 'j' | 'l' | 't' | 'f' | 'r' | ' ' | '.' | ',' | '(' | ')' | '/' | '\u{202f}') => 0.34,
        (_, 'm' | 'w' | 'M' | 'W') => 0.9,
        (_, c) if c.is_uppercase() => 0.68,
        _ => 0.59,
    };
    text.chars().map(width).sum::<f64>() * size
}

/// Shapes of a marker, one per kind of author, so that colour is never the only difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Point up.
    Triangle,
    /// Point down.
    TriangleDown,
    /// Upright.
    Square,
    /// On its corner.
    Diamond,
    /// Round.
    Circle,
}

impl Form {
    /// The corners around `at`, reaching `size` from it; none for a circle.
    pub fn corners(self, at: Point, size: f64) -> Vec<Point> {
        let turns: &[(f64, f64)] = match self {
            Self::Triangle => &[(0.0, -1.0), (0.95, 0.75), (-0.95, 0.75)],
            Self::TriangleDown => &[(0.0, 1.0), (0.95, -0.75), (-0.95, -0.75)],
            Self::Square => &[(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
            Self::Diamond => &[(0.0, -1.1), (1.1, 0.0), (0.0, 1.1), (-1.1, 0.0)],
            Self::Circle => &[],
        };
        turns.iter().map(|(x, y)| Point::new(at.x + x * size, at.y + y * size)).collect()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A line through points.
    Polyline {
        /// At least two.
        points: Vec<Point>,
        /// Style.
        stroke: Stroke,
    },
    /// A closed outline, filled.
    Area {
        /// Corners in order; the last joins the first.
        points: Vec<Point>,
        /// Style.
        fill: Fill,
    },
    /// A rectangle.
    Rect {
        rect: Rect,
        /// Radius of its corners.
        radius: f64,
        /// Style.
        fill: Fill,
    },
    /// A dot.
    Circle {
        /// Middle.
        center: Point,
        radius: f64,
        /// Style.
        fill: Fill,
    },
    /// A marker of an event or of a clipped value.
    Marker {
        /// Middle.
        at: Point,
        /// Reach from the middle.
        size: f64,
        form: Form,
        /// Style.
        fill: Fill,
    },
    /// A rectangle of cells, a colour each.
    Cells {
        rect: Rect,
        rows: u32,
        columns: u32,
        /// Red, green, blue and opacity of each cell, row by row.
        pixels: Vec<u8>,
    },
    /// Words.
    Text(Text),
    /// Shapes clipped to `clip`.
    Group {
        /// The window.
        clip: Rect,
        /// In order of drawing.
        shapes: Vec<Shape>,
    },
}

impl Shape {
    /// A straight line.
    pub fn line(from: Point, to: Point, stroke: Stroke) -> Self {
        Self::Polyline { points: vec![from, to], stroke }
    }

    /// A filled circle.
    pub fn dot(center: Point, radius: f64, fill: Fill) -> Self {
        Self::Circle { center, radius, fill }
    }
}

impl From<Text> for Shape {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

/// A finished drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    pub size: Size,
    /// Its name, for screen readers and files.
    pub title: String,
    /// Description in words.
    pub summary: String,
    /// In order of drawing.
    pub shapes: Vec<Shape>,
}

impl Scene {
    /// Every shape, those in groups too, in order of drawing.
    pub fn walk(&self, visit: &mut dyn FnMut(&Shape)) {
        walk(&self.shapes, visit);
    }
}

fn walk(shapes: &[Shape], visit: &mut dyn FnMut(&Shape)) {
    for shape in shapes {
        visit(shape);
        if let Shape::Group { shapes, .. } = shape {
            walk(shapes, visit);
        }
    }
}

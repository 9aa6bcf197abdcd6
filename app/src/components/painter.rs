//! Draws shapes of the `figure` crate on a 2D canvas at the pixel ratio of the screen. Colours are the custom
//! properties of the style sheet, read once for each theme.

use std::cell::RefCell;
use std::collections::HashMap;

use figure::scene::{Anchor, Fill, Form, Point, Rect, Role, Shape, Size, Stroke, Text};
use leptos::prelude::*;
use wasm_bindgen::{Clamped, JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// The colours of one theme.
#[derive(Default)]
struct Palette {
    is_dark: bool,
    colours: HashMap<Role, String>,
}

thread_local! {
    // The page has one thread and one theme; all canvases share what was read from it.
    static PALETTE: RefCell<Palette> = RefCell::default();
    // Cells are written to this canvas, one pixel each, and drawn from it at their size: image data cannot be scaled.
    static SCRATCH: RefCell<Option<HtmlCanvasElement>> = const { RefCell::new(None) };
}

/// The colour of a role in the current theme.
fn colour(role: Role, is_dark: bool) -> String {
    PALETTE.with_borrow_mut(|palette| {
        if palette.is_dark != is_dark {
            *palette = Palette { is_dark, colours: HashMap::new() };
        }
        palette.colours.entry(role).or_insert_with(|| read_colour(role, is_dark)).clone()
    })
}

/// The custom property, or the colour of the `figure` crate if the style sheet has not loaded.
fn read_colour(role: Role, is_dark: bool) -> String {
    let theme = if is_dark { figure::Theme::Dark } else { figure::Theme::Light };
    let declared = document()
        .document_element()
        .and_then(|root| window().get_computed_style(&root).ok().flatten())
        .and_then(|style| style.get_property_value(role.property()).ok());
    let declared = declared.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    declared.unwrap_or_else(|| theme.color(role).to_owned())
}

/// Draws on a canvas.
pub(crate) struct Painter {
    context: CanvasRenderingContext2d,
    is_dark: bool,
}

impl Painter {
    /// Clears a canvas and resizes it to `size` CSS pixels. `None` if the browser provides no context (out of
    /// memory).
    pub(crate) fn start(canvas: &HtmlCanvasElement, size: Size, is_dark: bool) -> Option<Self> {
        Self::start_scaled(canvas, size, 1.0, is_dark)
    }

    /// As [`Painter::start`], with `scale` CSS pixels for each unit of `size` and of the shapes.
    pub(crate) fn start_scaled(canvas: &HtmlCanvasElement, size: Size, scale: f64, is_dark: bool) -> Option<Self> {
        let ratio = window().device_pixel_ratio().clamp(1.0, 4.0) * scale;
        let (width, height) = ((size.width * ratio).round() as u32, (size.height * ratio).round() as u32);
        if (canvas.width(), canvas.height()) != (width, height) {
            canvas.set_width(width);
            canvas.set_height(height);
        }
        let context = canvas.get_context("2d").ok()??.dyn_into::<CanvasRenderingContext2d>().ok()?;
        context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0).ok()?;
        context.clear_rect(0.0, 0.0, size.width, size.height);
        context.set_line_join("round");
        context.set_line_cap("round");
        Some(Self { context, is_dark })
    }

    /// Draws shapes in order.
    pub(crate) fn paint(&self, shapes: &[Shape]) {
        shapes.iter().for_each(|shape| self.shape(shape));
    }

    fn shape(&self, shape: &Shape) {
        match shape {
            Shape::Polyline { points, stroke } => self.polyline(points, stroke),
            Shape::Area { points, fill } => self.area(points, fill),
            Shape::Rect { rect, radius, fill } => self.rect(*rect, *radius, fill),
            Shape::Circle { center, radius, fill } => self.circle(*center, *radius, fill),
            Shape::Marker { at, size, form, fill } => match form {
                Form::Circle => self.circle(*at, *size * 0.85, fill),
                form => self.area(&form.corners(*at, *size), fill),
            },
            Shape::Cells { rect, rows, columns, pixels } => {
                self.cells(*rect, *rows, *columns, pixels);
            }
            Shape::Text(text) => self.text(text),
            Shape::Group { clip, shapes } => self.group(*clip, shapes),
        }
    }

    fn polyline(&self, points: &[Point], stroke: &Stroke) {
        let context = &self.context;
        context.set_global_alpha(stroke.opacity);
        context.set_stroke_style_str(&colour(stroke.role, self.is_dark));
        context.set_line_width(stroke.width);
        let pattern = stroke.dash.pattern();
        if !pattern.is_empty() {
            self.dash(pattern);
        }
        self.trace(points);
        context.stroke();
        if !pattern.is_empty() {
            self.dash(&[]);
        }
    }

    fn dash(&self, pattern: &[f64]) {
        let lengths: js_sys::Array = pattern.iter().map(|length| JsValue::from_f64(*length)).collect();
        // The browser refuses only values that are not numbers.
        let _ = self.context.set_line_dash(&lengths);
    }

    fn trace(&self, points: &[Point]) {
        self.context.begin_path();
        for (at, point) in points.iter().enumerate() {
            if at == 0 { self.context.move_to(point.x, point.y) } else { self.context.line_to(point.x, point.y) }
        }
    }

    fn fill_with(&self, fill: &Fill) {
        self.context.set_global_alpha(fill.opacity);
        self.context.set_fill_style_str(&colour(fill.role, self.is_dark));
    }

    fn area(&self, points: &[Point], fill: &Fill) {
        self.fill_with(fill);
        self.trace(points);
        self.context.close_path();
        self.context.fill();
    }

    fn rect(&self, rect: Rect, radius: f64, fill: &Fill) {
        self.fill_with(fill);
        let context = &self.context;
        if radius <= 0.0 {
            context.fill_rect(rect.x, rect.y, rect.width, rect.height);
            return;
        }
        context.begin_path();
        let _ = context.round_rect_with_f64(rect.x, rect.y, rect.width, rect.height, radius);
        context.fill();
    }

    fn circle(&self, center: Point, radius: f64, fill: &Fill) {
        self.fill_with(fill);
        self.context.begin_path();
        let _ = self.context.arc(center.x, center.y, radius, 0.0, std::f64::consts::TAU);
        self.context.fill();
    }

    /// Draws nothing if there are no cells, or no memory for them.
    fn cells(&self, rect: Rect, rows: u32, columns: u32, pixels: &[u8]) -> Option<()> {
        let data = ImageData::new_with_u8_clamped_array_and_sh(Clamped(pixels), columns, rows).ok()?;
        let scratch = SCRATCH.with_borrow_mut(|scratch| {
            if scratch.is_none() {
                *scratch = document().create_element("canvas").ok().and_then(|canvas| canvas.dyn_into().ok());
            }
            scratch.clone()
        })?;
        if (scratch.width(), scratch.height()) != (columns, rows) {
            scratch.set_width(columns);
            scratch.set_height(rows);
        }
        let context = scratch.get_context("2d").ok()??.dyn_into::<CanvasRenderingContext2d>().ok()?;
        context.put_image_data(&data, 0.0, 0.0).ok()?;
        self.context.set_global_alpha(1.0);
        // More cells than pixels are averaged; fewer stay squares with edges.
        self.context.set_image_smoothing_enabled(f64::from(columns) > rect.width || f64::from(rows) > rect.height);
        self.context
            .draw_image_with_html_canvas_element_and_dw_and_dh(&scratch, rect.x, rect.y, rect.width, rect.height)
            .ok()
    }

    fn text(&self, text: &Text) {
        self.fill_with(&Fill::solid(text.role));
        let weight = if text.is_strong { "600 " } else { "" };
        self.context.set_font(&format!("{weight}{}px {}", text.size, text.font.family()));
        self.context.set_text_align(match text.anchor {
            Anchor::Start => "left",
            Anchor::Middle => "center",
            Anchor::End => "right",
        });
        let _ = self.context.fill_text(&text.text, text.at.x, text.at.y);
    }

    fn group(&self, clip: Rect, shapes: &[Shape]) {
        let context = &self.context;
        context.save();
        context.begin_path();
        context.rect(clip.x, clip.y, clip.width, clip.height);
        context.clip();
        self.paint(shapes);
        context.restore();
    }
}

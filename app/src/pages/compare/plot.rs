//! A chart of several runs on a canvas: read with a crosshair, narrowed by dragging over a stretch, and there as a table.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use figure::scene::{Fill, Rect, Role, Shape, Size};
use figure::{ChartSpec, Curve, Furniture, Layout, Style, Table};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wire::series::Bucket;

use crate::canvas::Painter;
use crate::parts::Values;
use crate::theme::Theme;

/// The stretch in view; all of it where none.
pub(super) type Sight = Option<(f64, f64)>;

/// Pixels left of every plot of the page, so that their x axes are one.
const LEFT: f64 = 54.0;
/// A drag of fewer pixels is a click.
const DRAG: f64 = 6.0;

/// One curve.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Name.
    pub(super) name: String,
    /// Colour.
    pub(super) role: Role,
    /// Look.
    pub(super) style: Style,
    /// Its end glows.
    pub(super) is_live: bool,
    /// Length of a running mean drawn over it.
    pub(super) smoothing: Option<f64>,
    /// Values.
    pub(super) buckets: Vec<Bucket>,
}

/// All of a chart at one moment.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// All but the curves.
    pub(super) spec: ChartSpec,
    /// Curves.
    pub(super) lines: Vec<Line>,
}

impl Picture {
    fn curves<'a>(&'a self) -> Vec<Curve<'a>> {
        let curve = |line: &'a Line| Curve {
            style: line.style,
            is_live: line.is_live,
            smoothing: line.smoothing,
            ..Curve::new(&line.name, line.role, &line.buckets)
        };
        self.lines.iter().map(curve).collect()
    }
}

/// The canvases and what is on them.
struct Easel {
    canvas: NodeRef<html::Canvas>,
    overlay: NodeRef<html::Canvas>,
    is_dark: Memo<bool>,
    size: RwSignal<(f64, f64)>,
    drawn: RefCell<Option<(Picture, Layout)>>,
    crosshair: RwSignal<Option<f64>>,
    /// Where a drag began and where it is, pixels.
    boxed: Cell<Option<(f64, f64)>>,
}

impl Easel {
    fn draw(&self, picture: Picture) {
        let (width, height) = self.size.get_untracked();
        let Some(canvas) = self.canvas.get_untracked().filter(|_| width > 8.0 && height > 8.0) else { return };
        let size = Size::new(width, height);
        let furniture = Furniture {
            has_header: false,
            has_lane: false,
            has_x_labels: true,
            has_background: false,
            left_margin: Some(LEFT),
        };
        let spec = ChartSpec { furniture, ..picture.spec.clone() };
        let drawing = figure::chart(&spec, &picture.curves(), size);
        let Some(painter) = Painter::start(&canvas, size, self.is_dark.get_untracked()) else { return };
        painter.paint(&drawing.scene.shapes);
        let _ = canvas.set_attribute("aria-label", &format!("{}. {}", spec.title, drawing.scene.summary));
        *self.drawn.borrow_mut() = Some((picture, drawing.layout));
        self.read();
    }

    fn read(&self) {
        let drawn = self.drawn.borrow();
        let (Some(overlay), Some((picture, layout))) = (self.overlay.get_untracked(), drawn.as_ref()) else { return };
        let Some(painter) = Painter::start(&overlay, layout.size, self.is_dark.get_untracked()) else { return };
        if let Some((from, to)) = self.boxed.get() {
            let (left, right) = (from.min(to).max(layout.plot.x), from.max(to).min(layout.plot.right()));
            let rect = Rect::new(left, layout.plot.y, right - left, layout.plot.height);
            painter.paint(&[Shape::Rect { rect, radius: 0.0, fill: Fill::faint(Role::Ink, 0.12) }]);
        }
        if let Some(place) = self.crosshair.get_untracked() {
            painter.paint(&figure::crosshair(layout, &picture.curves(), place));
            painter.paint(&figure::place_label(&picture.spec, layout, place));
        }
    }

    fn place(&self, pixels: f64) -> Option<f64> {
        let drawn = self.drawn.borrow();
        let layout = &drawn.as_ref()?.1;
        (layout.plot.x - 4.0..=layout.plot.right() + 4.0).contains(&pixels).then(|| layout.from_x(pixels))
    }

    fn ends(&self) -> Option<(f64, f64)> {
        self.drawn.borrow().as_ref().map(|(_, layout)| (layout.x.from, layout.x.to))
    }

    fn table(&self) -> Option<Table> {
        let drawn = self.drawn.borrow();
        let (picture, _) = drawn.as_ref()?;
        Some(figure::table(&picture.spec, &picture.curves(), 60))
    }

    /// The stretch that a drag has gone over, where it was one.
    fn dragged(&self) -> Option<(f64, f64)> {
        let (from, to) = self.boxed.take().filter(|(from, to)| (to - from).abs() > DRAG)?;
        let drawn = self.drawn.borrow();
        let layout = &drawn.as_ref()?.1;
        Some((layout.from_x(from.min(to)).max(layout.x.from), layout.from_x(from.max(to)).min(layout.x.to)))
    }
}

/// A chart with its heading and tools.
#[component]
pub(super) fn Plot(
    /// What is shown.
    title: &'static str,
    /// Its unit.
    unit: &'static str,
    /// What it shows and the formula, on hover.
    meaning: &'static str,
    /// Style.
    #[prop(default = "")]
    class: &'static str,
    /// The chart at this moment; reads signals, and is drawn again when they change.
    picture: impl Fn() -> Picture + 'static,
    /// Where it is read.
    crosshair: RwSignal<Option<f64>>,
    /// The stretch in view.
    sight: RwSignal<Sight>,
    /// Tools in the heading.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let theme = expect_context::<Theme>();
    let field = NodeRef::<html::Div>::new();
    let easel = Rc::new(Easel {
        canvas: NodeRef::new(),
        overlay: NodeRef::new(),
        is_dark: Memo::new(move |_| theme.is_dark()),
        size: RwSignal::new((0.0, 0.0)),
        drawn: RefCell::default(),
        crosshair,
        boxed: Cell::new(None),
    });
    let (canvas, overlay) = (easel.canvas, easel.overlay);
    let drawing = easel.clone();
    Effect::new(move || {
        let _ = (drawing.is_dark.get(), drawing.size.get(), drawing.canvas.get());
        drawing.draw(picture());
    });
    let reading = easel.clone();
    Effect::new(move || {
        crosshair.track();
        reading.read();
    });
    measure(field, easel.size);
    let table = RwSignal::new(None::<Table>);
    let held = StoredValue::new_local(easel);
    let toggle = move |_| {
        table.update(|table| *table = if table.is_some() { None } else { held.with_value(|easel| easel.table()) })
    };
    let go = move |event: leptos::ev::PointerEvent| {
        held.with_value(|easel| {
            let pixels = f64::from(event.offset_x());
            if let Some((from, _)) = easel.boxed.get() {
                easel.boxed.set(Some((from, pixels)));
            }
            crosshair.set(easel.place(pixels));
        });
    };
    let release = move |_| {
        held.with_value(|easel| {
            if let Some(stretch) = easel.dragged() {
                sight.set(Some(stretch));
            }
            easel.read();
        });
    };
    let press = move |event: leptos::ev::PointerEvent| {
        // A finger scrolls the page; narrowing is for pointers and keys.
        if event.pointer_type() == "mouse" && event.button() == 0 {
            let pixels = f64::from(event.offset_x());
            held.with_value(|easel| easel.boxed.set(Some((pixels, pixels))));
        }
    };
    let key = move |event: leptos::ev::KeyboardEvent| {
        let Some((from, to)) = held.with_value(|easel| easel.ends()) else { return };
        let step = (to - from) / 100.0;
        let at = crosshair.get_untracked().unwrap_or(to);
        match event.key().as_str() {
            "ArrowLeft" => crosshair.set(Some((at - step).max(from))),
            "ArrowRight" => crosshair.set(Some((at + step).min(to))),
            "Escape" => crosshair.set(None),
            "0" => sight.set(None),
            "+" | "=" => sight.set(Some(((at - 25.0 * step).max(from), (at + 25.0 * step).min(to)))),
            "-" => sight.set(None),
            _ => return,
        }
        event.prevent_default();
    };
    view! {
        <figure class=format!("chart {class}")>
            <figcaption>
                <h2 title=meaning>{title}<span class="unit">{format!(" {unit}")}</span></h2>
                {children.map(|children| children())}
                <button class="quiet table-toggle" aria-pressed=move || table.read().is_some().to_string() title="Values as a table" on:click=toggle>"Table"</button>
            </figcaption>
            <div
                class="field"
                class:unseen=move || table.read().is_some()
                node_ref=field
                tabindex="0"
                role="group"
                aria-roledescription="chart"
                aria-label=format!("{title}: arrows read it, plus narrows, 0 shows all")
                on:pointerdown=press
                on:pointermove=go
                on:pointerup=release
                on:pointerleave=move |event: leptos::ev::PointerEvent| {
                    held.with_value(|easel| easel.boxed.set(None));
                    if event.pointer_type() == "mouse" { crosshair.set(None) }
                }
                on:dblclick=move |_| sight.set(None)
                on:keydown=key
            >
                <canvas node_ref=canvas role="img"></canvas>
                <canvas node_ref=overlay class="overlay" aria-hidden="true"></canvas>
            </div>
            {move || table.get().map(|table| view! { <Values table /> })}
        </figure>
    }
}

/// Keeps a size in step with an element's.
fn measure(field: NodeRef<html::Div>, size: RwSignal<(f64, f64)>) {
    Effect::new(move || {
        let Some(field) = field.get() else { return };
        let measured = field.clone();
        let on_size = Closure::<dyn Fn()>::new(move || {
            size.try_set((f64::from(measured.client_width()), f64::from(measured.client_height())));
        });
        let sizes = web_sys::ResizeObserver::new(on_size.as_ref().unchecked_ref()).ok();
        sizes.iter().for_each(|sizes| sizes.observe(&field));
        // The observer calls the closure, so they go together.
        let held = StoredValue::new_local((sizes, on_size));
        on_cleanup(move || held.with_value(|(sizes, _)| sizes.iter().for_each(web_sys::ResizeObserver::disconnect)));
    });
}

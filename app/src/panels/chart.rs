//! One chart on a canvas: drawn at most once a frame and only while in sight, read with a crosshair that all charts
//! share, moved by wheel, drag, touch and keys ([`super::gestures`]), and there as a table for who prefers one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use figure::scene::{Fill, Rect, Role, Shape, Size};
use figure::{ChartSpec, Curve, Layout, Style, Table};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wire::series::Bucket;

use super::Desk;
use super::gestures::Hands;
use super::legend::{Entry, Legend, entries};
use crate::canvas::Painter;
use crate::parts::Values;
use crate::run_state::Sight;
use crate::theme::Theme;

/// Pixels left of every plot, so that the x axes of charts under each other are one.
pub(super) const LEFT: f64 = 54.0;
/// Milliseconds between updates of the words for screen readers.
const WORDS_EVERY_MS: f64 = 3_000.0;

/// One curve of a chart, owned.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Name in the legend.
    pub(super) name: String,
    /// Unit and meaning, on hover.
    pub(super) meaning: String,
    /// Colour.
    pub(super) role: Role,
    /// Look.
    pub(super) style: Style,
    /// Its end glows.
    pub(super) is_live: bool,
    /// Length of a running mean drawn over it.
    pub(super) smoothing: Option<f64>,
    /// Trained by a run that this one came from, whose name stands at its end.
    pub(super) is_past: bool,
    /// Values.
    pub(super) buckets: Vec<Bucket>,
}

impl Line {
    /// As the drawing code takes it.
    pub(super) fn curve(&self) -> Curve<'_> {
        Curve {
            style: self.style,
            is_live: self.is_live,
            smoothing: self.smoothing,
            is_labelled: self.is_past,
            ..Curve::new(&self.name, self.role, &self.buckets)
        }
    }
}

/// All of a chart at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture {
    /// All but the curves.
    pub(super) spec: ChartSpec,
    /// Curves.
    pub(super) lines: Vec<Line>,
    /// Journal numbers of the marks, in their order.
    pub(super) marked: Vec<u64>,
}

/// What was last drawn, and where everything on it is.
pub(super) struct Drawn {
    /// What.
    pub(super) picture: Picture,
    /// Where.
    pub(super) layout: Layout,
    /// In words, for who cannot see it.
    words: String,
}

/// A chart's workings; shared by its closures.
pub(super) struct Easel {
    /// The desk it stands on.
    pub(super) desk: Desk,
    paint: Box<dyn Fn(Desk) -> Picture>,
    /// What the pointer moves over.
    pub(super) field: NodeRef<html::Div>,
    canvas: NodeRef<html::Canvas>,
    overlay: NodeRef<html::Canvas>,
    /// What was last drawn.
    pub(super) drawn: RefCell<Option<Drawn>>,
    /// The stretch being boxed in, in pixels.
    pub(super) boxed: Cell<Option<(f64, f64)>>,
    /// The marks under the pointer, by their journal numbers, and its place.
    pub(super) tip: RwSignal<Option<(f64, Vec<u64>)>>,
    is_dark: Memo<bool>,
    size: RwSignal<(f64, f64)>,
    is_seen: RwSignal<bool>,
    legend: RwSignal<Vec<Entry>>,
    /// Told where everything is, for what is laid over the chart.
    told: Option<RwSignal<Option<Layout>>>,
    is_due: Cell<bool>,
    is_reading_due: Cell<bool>,
    is_telling_due: Cell<bool>,
    told_ms: Cell<f64>,
}

impl Easel {
    /// Draws with the next frame.
    fn schedule(self: &Rc<Self>) {
        if self.is_due.replace(true) {
            return;
        }
        let easel = self.clone();
        request_animation_frame(move || {
            easel.is_due.set(false);
            untrack(|| easel.draw());
        });
    }

    /// Moves the crosshair with the next frame.
    pub(super) fn schedule_reading(self: &Rc<Self>) {
        if self.is_reading_due.replace(true) {
            return;
        }
        let easel = self.clone();
        request_animation_frame(move || {
            easel.is_reading_due.set(false);
            untrack(|| easel.read());
        });
    }

    fn draw(self: &Rc<Self>) {
        let canvas = self.canvas.try_get_untracked().flatten();
        let (Some(canvas), Some((width, height))) = (canvas, self.size.try_get_untracked()) else { return };
        if width < 8.0 || height < 8.0 {
            return;
        }
        let size = Size::new(width, height);
        // After a change of axis the old picture stands until the new curves are here.
        if self.drawn.borrow().is_some() && !self.desk.run.read_untracked().curves.has_overview() {
            return;
        }
        let picture = (self.paint)(self.desk);
        let (layout, words) = {
            let curves: Vec<Curve> = picture.lines.iter().map(Line::curve).collect();
            let drawing = figure::chart(&picture.spec, &curves, size);
            let Some(painter) = Painter::start(&canvas, size, self.is_dark.get_untracked()) else { return };
            painter.paint(&drawing.scene.shapes);
            (drawing.layout, format!("{}. {}", picture.spec.title, drawing.scene.summary))
        };
        if let Some(told) = self.told
            && told.with_untracked(|told| told.as_ref() != Some(&layout))
        {
            told.set(Some(layout.clone()));
        }
        *self.drawn.borrow_mut() = Some(Drawn { picture, layout, words });
        self.schedule_telling();
        self.read();
    }

    /// Puts what is drawn into words: at once, or a little later where that was done a moment ago, so that the last picture is
    /// always told.
    fn schedule_telling(self: &Rc<Self>) {
        if self.is_telling_due.replace(true) {
            return;
        }
        let easel = self.clone();
        let wait_ms = (self.told_ms.get() + WORDS_EVERY_MS - js_sys::Date::now()).clamp(0.0, WORDS_EVERY_MS);
        set_timeout(move || untrack(|| easel.tell()), Duration::from_millis(wait_ms as u64));
    }

    fn tell(&self) {
        self.is_telling_due.set(false);
        self.told_ms.set(js_sys::Date::now());
        let drawn = self.drawn.borrow();
        if let (Some(canvas), Some(drawn)) = (self.canvas.try_get_untracked().flatten(), drawn.as_ref()) {
            let _ = canvas.set_attribute("aria-label", &drawn.words);
        }
    }

    /// Crosshair, box and legend, over what was drawn.
    fn read(&self) {
        let drawn = self.drawn.borrow();
        let overlay = self.overlay.try_get_untracked().flatten();
        let (Some(overlay), Some(drawn)) = (overlay, drawn.as_ref()) else { return };
        let place = self.desk.crosshair.try_get_untracked().flatten();
        let curves: Vec<Curve> = drawn.picture.lines.iter().map(Line::curve).collect();
        if let Some(painter) = Painter::start(&overlay, drawn.layout.size, self.is_dark.get_untracked()) {
            if let Some((from, to)) = self.boxed.get() {
                painter.paint(&[boxed(&drawn.layout, from, to)]);
            }
            if let Some(place) = place {
                painter.paint(&figure::crosshair(&drawn.layout, &curves, place));
                painter.paint(&figure::place_label(&drawn.picture.spec, &drawn.layout, place));
            }
        }
        let entries = entries(drawn, &curves, place);
        if self.legend.with_untracked(|shown| *shown != entries) {
            self.legend.set(entries);
        }
    }

    fn table(&self) -> Option<Table> {
        let drawn = self.drawn.borrow();
        let drawn = drawn.as_ref()?;
        let curves: Vec<Curve> = drawn.picture.lines.iter().map(Line::curve).collect();
        Some(figure::table(&drawn.picture.spec, &curves, 60))
    }
}

fn boxed(layout: &Layout, from: f64, to: f64) -> Shape {
    let plot = layout.plot;
    let (left, right) = (from.min(to).max(plot.x), from.max(to).min(plot.right()));
    Shape::Rect {
        rect: Rect::new(left, plot.y, right - left, plot.height),
        radius: 0.0,
        fill: Fill::faint(Role::Ink, 0.12),
    }
}

/// A chart with its heading, legend and tools.
#[component]
pub(super) fn Chart(
    /// What is shown, with its unit.
    #[prop(into)]
    title: Signal<String>,
    /// The unit, after the title.
    #[prop(into)]
    unit: Signal<String>,
    /// What it shows and the formula, on hover.
    #[prop(into)]
    meaning: String,
    /// Style.
    #[prop(default = "")]
    class: &'static str,
    /// The chart at this moment; reads the desk untracked.
    paint: impl Fn(Desk) -> Picture + 'static,
    /// What it shows besides the desk: drawn anew when this changes.
    #[prop(into, default = Signal::stored(()))]
    also: Signal<()>,
    /// Told where everything is.
    #[prop(optional)]
    told: Option<RwSignal<Option<Layout>>>,
    /// Laid over the chart.
    #[prop(optional)]
    over: Option<Children>,
    /// Tools in the heading.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let theme = expect_context::<Theme>();
    let canvas = NodeRef::<html::Canvas>::new();
    let overlay = NodeRef::<html::Canvas>::new();
    let field = NodeRef::<html::Div>::new();
    let easel = Rc::new(Easel {
        desk,
        paint: Box::new(paint),
        field,
        canvas,
        overlay,
        drawn: RefCell::default(),
        boxed: Cell::new(None),
        tip: RwSignal::new(None),
        is_dark: Memo::new(move |_| theme.is_dark()),
        size: RwSignal::new((0.0, 0.0)),
        is_seen: RwSignal::new(false),
        legend: RwSignal::new(vec![]),
        told,
        is_due: Cell::new(false),
        is_reading_due: Cell::new(false),
        is_telling_due: Cell::new(false),
        told_ms: Cell::new(0.0),
    });
    follow(&easel, field, also);
    let held = StoredValue::new_local(Hands::new(easel.clone()));
    let hands = move |event: &leptos::ev::PointerEvent, act: fn(&Hands, &leptos::ev::PointerEvent)| {
        held.with_value(|hands| act(hands, event))
    };
    let table = RwSignal::new(None::<Table>);
    let (tip, legend) = (easel.tip, easel.legend);
    let shown = StoredValue::new_local(easel);
    let toggle = move |_| {
        table.update(|table| *table = if table.is_some() { None } else { shown.with_value(|easel| easel.table()) })
    };
    view! {
        <figure class=format!("chart {class}")>
            <figcaption>
                <h2 title=meaning>{title}<span class="unit">{move || format!(" {}", unit.get())}</span></h2>
                <Legend entries=legend />
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
                on:pointerdown=move |event| hands(&event, Hands::press)
                on:pointermove=move |event| hands(&event, Hands::go)
                on:pointerup=move |event| hands(&event, Hands::release)
                on:pointercancel=move |event| hands(&event, Hands::cancel)
                on:pointerleave=move |event| hands(&event, Hands::leave)
                on:wheel=move |event| held.with_value(|hands| hands.wheel(&event))
                on:dblclick=move |_| desk.sight.set(Sight::Whole)
                on:keydown=move |event| held.with_value(|hands| hands.key(&event))
                aria-label=move || format!("{}: arrows read it, plus and minus zoom, shift and arrows move it, 0 shows all", title.get())
            >
                <canvas node_ref=canvas role="img"></canvas>
                <canvas node_ref=overlay class="overlay" aria-hidden="true"></canvas>
                {over.map(|over| over())}
                {move || tip.get().map(|(x, numbers)| view! { <MarkTip x numbers /> })}
            </div>
            {move || table.get().map(|table| view! { <Values table /> })}
        </figure>
    }
}

/// Keeps an easel in step with its data, its size, the theme, and whether it can be seen.
fn follow(easel: &Rc<Easel>, field: NodeRef<html::Div>, also: Signal<()>) {
    let Easel { desk, is_dark, size, is_seen, .. } = **easel;
    let drawing = easel.clone();
    Effect::new(move || {
        let _ =
            (desk.version.get(), desk.sight.get(), desk.look.get(), desk.dials.read().clip, is_dark.get(), size.get());
        // Read and not only tracked: a memo that was never read has nothing to follow.
        let _ = (desk.ancestors.get(), also.get());
        if is_seen.get() {
            drawing.schedule();
        }
    });
    let reading = easel.clone();
    Effect::new(move || {
        desk.crosshair.track();
        if is_seen.get() {
            reading.schedule_reading();
        }
    });
    Effect::new(move || {
        let Some(field) = field.get() else { return };
        let measured = field.clone();
        let on_size = Closure::<dyn Fn()>::new(move || {
            size.try_set((f64::from(measured.client_width()), f64::from(measured.client_height())));
        });
        let on_sight = Closure::<dyn Fn(js_sys::Array)>::new(move |entries: js_sys::Array| {
            let last = entries.iter().last().map(JsCast::unchecked_into::<web_sys::IntersectionObserverEntry>);
            is_seen.try_set(last.is_some_and(|entry| entry.is_intersecting()));
        });
        let sizes = web_sys::ResizeObserver::new(on_size.as_ref().unchecked_ref()).ok();
        let sights = web_sys::IntersectionObserver::new(on_sight.as_ref().unchecked_ref()).ok();
        sizes.iter().for_each(|sizes| sizes.observe(&field));
        // With its heading: a legend in sight is kept up to date even where its curves lie below the edge.
        let whole = field.parent_element().unwrap_or_else(|| (*field).clone().into());
        sights.iter().for_each(|sights| sights.observe(&whole));
        // The observers call the closures, so they go together.
        let held = StoredValue::new_local((sizes, sights, on_size, on_sight));
        on_cleanup(move || {
            held.with_value(|(sizes, sights, ..)| {
                sizes.iter().for_each(web_sys::ResizeObserver::disconnect);
                sights.iter().for_each(web_sys::IntersectionObserver::disconnect);
            });
        });
    });
}

/// Who did what, and why, at some marks that stand together.
#[component]
fn MarkTip(x: f64, numbers: Vec<u64>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let run = desk.run.read_untracked();
    let records = numbers.iter().filter_map(|number| run.events.get(number).cloned());
    let lines = records.map(|record| {
        view! {
            <div>
                <strong>{super::phrase(&record.event)}</strong>
                <span>{format!(" step {} · {}", figure::number::whole(record.step), super::author(&record.author, None))}</span>
                {record.reason.map(|reason| view! { <em>{reason}</em> })}
            </div>
        }
    });
    view! { <div class="tip" style:left=format!("clamp(130px, {x:.0}px, calc(100% - 130px))") role="status">{lines.collect_view()}</div> }
}

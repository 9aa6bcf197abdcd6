//! The part of a matrix in view, and how wheel, drag and keys change it.

use figure::scene::{Point, Rect};
use leptos::prelude::*;
use wire::inspect::request::Window;
use wire::inspect::result::InspectionResult;

use super::window::{centre, moved, neighbour, whole, zoomed};
use crate::components::CanvasEvent;
use crate::pages::xray::subscription::Subscription;

/// Factors of one turn of the wheel and of one key press.
const WHEEL: (f64, f64) = (1.35, 0.74);
const KEYS: (f64, f64) = (1.6, 0.625);
/// Fraction of the view by which an arrow key moves it.
const ARROW_FRACTION: f64 = 1.0 / 8.0;

/// The part of a matrix in view.
#[derive(Clone, Copy)]
pub(super) struct Viewport {
    pub(super) subscription: Subscription,
    /// `None` for all of it.
    pub(super) window: RwSignal<Option<Window>>,
    /// The cell pointed at: row, column.
    pub(super) cell: RwSignal<Option<(u32, u32)>>,
    /// Where a drag started, and the window at that time.
    drag: StoredValue<Option<(Point, Window)>>,
}

impl Viewport {
    pub(super) fn new(subscription: Subscription, window: RwSignal<Option<Window>>) -> Self {
        Self { subscription, window, cell: RwSignal::new(None), drag: StoredValue::new(None) }
    }

    /// The window in view and the shape of the matrix; none before the first result.
    pub(super) fn shown(self) -> Option<(Window, [u32; 2])> {
        match &self.subscription.result.get()?.result {
            InspectionResult::Matrix { shape, .. } => Some((self.window.get().unwrap_or(whole(*shape)), *shape)),
            _ => None,
        }
    }

    /// Zooms in or out about the centre.
    pub(super) fn zoom(self, is_closer: bool) {
        let factor = if is_closer { KEYS.1 } else { KEYS.0 };
        self.change(|window, shape| zoomed(window, shape, centre(window), factor));
    }

    /// Shows all of the matrix.
    pub(super) fn reset(self) {
        self.window.set(None);
    }

    /// Whether the event did something; `rect` is where the matrix is drawn.
    pub(super) fn handle(self, event: CanvasEvent, rect: Rect) -> bool {
        match event {
            CanvasEvent::Wheel { at, by } => return self.wheel(at, by, rect),
            CanvasEvent::Press(at) => self.drag.set_value(untrack(|| self.shown()).map(|(window, _)| (at, window))),
            CanvasEvent::Over { at, is_held: true } => return self.drag_to(at, rect),
            CanvasEvent::Over { at, .. } => {
                self.cell.set(self.cell_at(at, rect).map(|(row, column)| (row as u32, column as u32)))
            }
            CanvasEvent::Release => self.drag.set_value(None),
            CanvasEvent::Away => self.cell.set(None),
            CanvasEvent::Key { name, is_shifted } => return self.press(&name, is_shifted),
        }
        false
    }

    fn change(self, change: impl Fn(Window, [u32; 2]) -> Window) {
        if let Some((window, shape)) = untrack(|| self.shown()) {
            self.window.set(Some(change(window, shape)));
        }
    }

    /// The cell at a point, with the fractions within it.
    fn cell_at(self, at: Point, rect: Rect) -> Option<(f64, f64)> {
        let (window, _) = untrack(|| self.shown())?;
        let share = |offset: f64, length: f64| (0.0..length).contains(&offset).then(|| offset / length);
        let (y, x) = (share(at.y - rect.y, rect.height)?, share(at.x - rect.x, rect.width)?);
        let row = f64::from(window.row) + y * f64::from(window.rows);
        Some((row, f64::from(window.column) + x * f64::from(window.columns)))
    }

    fn wheel(self, at: Point, by: f64, rect: Rect) -> bool {
        let about = self.cell_at(at, rect);
        if let Some(about) = about {
            let factor = if by > 0.0 { WHEEL.0 } else { WHEEL.1 };
            self.change(|window, shape| zoomed(window, shape, about, factor));
        }
        about.is_some()
    }

    fn drag_to(self, at: Point, rect: Rect) -> bool {
        if let Some((from, window)) = self.drag.get_value() {
            let rows = (from.y - at.y) / rect.height * f64::from(window.rows);
            let columns = (from.x - at.x) / rect.width * f64::from(window.columns);
            self.change(|_, shape| moved(window, shape, (rows, columns)));
        }
        true
    }

    fn press(self, key: &str, is_shifted: bool) -> bool {
        let by = match key {
            "ArrowUp" => (-1.0, 0.0),
            "ArrowDown" => (1.0, 0.0),
            "ArrowLeft" => (0.0, -1.0),
            "ArrowRight" => (0.0, 1.0),
            "+" | "=" | "-" => {
                self.zoom(key != "-");
                return true;
            }
            "0" => {
                self.reset();
                return true;
            }
            _ => return false,
        };
        if is_shifted {
            self.move_cell(by)
        } else {
            self.move_window(by)
        }
        true
    }

    fn move_window(self, by: (f64, f64)) {
        self.change(|window, shape| {
            let stride = |count: u32| (f64::from(count) * ARROW_FRACTION).max(1.0);
            moved(window, shape, (by.0 * stride(window.rows), by.1 * stride(window.columns)))
        });
    }

    fn move_cell(self, by: (f64, f64)) {
        if let Some((window, _)) = untrack(|| self.shown()) {
            let cell = self.cell.get_untracked().unwrap_or((window.row, window.column));
            self.cell.set(Some(neighbour(window, cell, by)));
        }
    }
}

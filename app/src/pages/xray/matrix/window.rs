//! Arithmetic on the window of a matrix that is in view.

use figure::scene::Rect;
use wire::inspect::request::Window;

/// Rows and columns that stay in view at the largest zoom.
const MIN_CELLS: u32 = 4;

/// All of a matrix.
pub(super) fn whole(shape: [u32; 2]) -> Window {
    Window { row: 0, column: 0, rows: shape[0], columns: shape[1] }
}

/// The centre, as row and column.
pub(super) fn centre(window: Window) -> (f64, f64) {
    (f64::from(window.row) + f64::from(window.rows) / 2.0, f64::from(window.column) + f64::from(window.columns) / 2.0)
}

/// A window scaled by `factor` about a cell, which keeps its place; within the matrix and never smaller than a few
/// cells.
pub(super) fn zoomed(window: Window, shape: [u32; 2], about: (f64, f64), factor: f64) -> Window {
    let side = |first: u32, count: u32, whole: u32, about: f64| {
        let wanted = ((f64::from(count) * factor).round() as u32).clamp(MIN_CELLS.min(whole), whole.max(1));
        let share = ((about - f64::from(first)) / f64::from(count.max(1))).clamp(0.0, 1.0);
        let from = (about - share * f64::from(wanted)).round().clamp(0.0, f64::from(whole - wanted.min(whole)));
        (from as u32, wanted)
    };
    let (row, rows) = side(window.row, window.rows, shape[0], about.0);
    let (column, columns) = side(window.column, window.columns, shape[1], about.1);
    Window { row, column, rows, columns }
}

/// A window moved by rows and columns, within the matrix.
pub(super) fn moved(window: Window, shape: [u32; 2], by: (f64, f64)) -> Window {
    let side = |first: u32, count: u32, whole: u32, by: f64| {
        (f64::from(first) + by).round().clamp(0.0, f64::from(whole.saturating_sub(count))) as u32
    };
    Window {
        row: side(window.row, window.rows, shape[0], by.0),
        column: side(window.column, window.columns, shape[1], by.1),
        ..window
    }
}

/// The cell `by` rows and columns from another, within the window.
pub(super) fn neighbour(window: Window, cell: (u32, u32), by: (f64, f64)) -> (u32, u32) {
    let within =
        |at: f64, first: u32, count: u32| at.clamp(f64::from(first), f64::from(first + count.saturating_sub(1))) as u32;
    (
        within(f64::from(cell.0) + by.0, window.row, window.rows),
        within(f64::from(cell.1) + by.1, window.column, window.columns),
    )
}

/// Where a window lies on a canvas that shows another one.
pub(super) fn placed(window: &Window, shown: &Window, rect: Rect) -> Rect {
    let (height, width) = (rect.height / f64::from(shown.rows.max(1)), rect.width / f64::from(shown.columns.max(1)));
    let offset = |at: u32, first: u32| f64::from(at) - f64::from(first);
    Rect::new(
        rect.x + offset(window.column, shown.column) * width,
        rect.y + offset(window.row, shown.row) * height,
        f64::from(window.columns) * width,
        f64::from(window.rows) * height,
    )
}

/// A window in words.
pub(super) fn words(window: &Window) -> String {
    format!(
        "Rows {} to {}, columns {} to {}",
        window.row,
        window.row + window.rows.saturating_sub(1),
        window.column,
        window.column + window.columns.saturating_sub(1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_stays_in_its_matrix_at_any_zoom() {
        let shape = [96, 7];
        let mut window = whole(shape);
        for turn in 0..400 {
            let about = (f64::from(turn * 37 % 110), f64::from(turn % 9));
            window = zoomed(window, shape, about, if turn % 3 == 0 { 1.6 } else { 0.7 });
            window = moved(window, shape, (f64::from(turn % 13) - 6.0, f64::from(turn % 5) - 2.0));
            assert!(window.rows >= 4 && window.columns >= 4, "{window:?}");
            assert!(window.row + window.rows <= 96 && window.column + window.columns <= 7, "{window:?}");
        }
        let small = zoomed(whole([1, 3]), [1, 3], (0.0, 0.0), 0.1);
        assert_eq!((small.rows, small.columns), (1, 3), "a matrix of fewer cells is shown whole");
        let near = zoomed(whole([100, 100]), [100, 100], (50.0, 20.0), 0.5);
        assert_eq!((near.row, near.column, near.rows), (25, 10, 50), "the cell under the pointer keeps its place");
    }

    #[test]
    fn a_neighbour_stays_in_the_window() {
        let window = Window { row: 2, column: 3, rows: 4, columns: 4 };
        assert_eq!(neighbour(window, (2, 3), (-1.0, 0.0)), (2, 3));
        assert_eq!(neighbour(window, (5, 5), (1.0, 1.0)), (5, 6));
        assert_eq!(centre(window), (4.0, 5.0));
        assert_eq!(words(&window), "Rows 2 to 5, columns 3 to 6");
    }
}

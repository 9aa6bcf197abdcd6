//! Compute saved against winners lost: a dot for each setting; the nearest one to a press is chosen.

use figure::scene::{Fill, Point, Role, Shape, Size, Stroke};
use figure::{Scale, ScaleKind};
use leptos::prelude::*;
use research::stopping::settings::{ReplayReport, ReplayedSetting, WINNERS};

use super::settings::Thresholds;
use crate::components::number::THIN;
use crate::components::plot::Plot;
use crate::components::{Canvas, CanvasEvent};

/// Distance from a dot within which a press chooses it, pixels.
const REACH: f64 = 24.0;

#[component]
pub(super) fn Tradeoff(
    report: StoredValue<ReplayReport>,
    thresholds: Thresholds,
    /// Place of the chosen setting.
    chosen: Memo<usize>,
) -> impl IntoView {
    let label = Signal::derive(move || {
        let setting = report.with_value(|report| report.settings.get(chosen.get()).cloned());
        setting.map(|setting| described(&setting)).unwrap_or_default()
    });
    let draw = move |size: Size, _: bool| report.with_value(|report| shapes(&report.settings, chosen.get(), size));
    let choose = move |(event, size): (CanvasEvent, Size)| {
        let place = report.with_value(|report| match event {
            CanvasEvent::Press(at) | CanvasEvent::Over { at, is_held: true } => nearest(&report.settings, at, size),
            CanvasEvent::Key { name, .. } => neighbour(&report.settings, chosen.get_untracked(), &name),
            _ => None,
        });
        if let Some(place) = place {
            thresholds.choose(place);
        }
        place.is_some()
    };
    view! {
        <Canvas
            class="plot"
            file="replay-settings"
            label
            draw
            on_event=Callback::new(choose)
            keys="Compute saved against winners lost: the left and right arrow keys choose the setting that saves less or more"
        />
    }
}

/// The setting whose dot is nearest to a position.
fn nearest(settings: &[ReplayedSetting], at: Point, size: Size) -> Option<usize> {
    let plot = plot(size);
    let distance = |setting: &ReplayedSetting| {
        let dot = plot.at(100.0 * setting.saved, setting.winners_lost as f64);
        (dot.x - at.x).hypot(dot.y - at.y)
    };
    let near = settings.iter().map(distance).enumerate().filter(|(_, distance)| *distance <= REACH);
    near.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
}

/// The setting that saves the next less or the next more compute, by an arrow key.
fn neighbour(settings: &[ReplayedSetting], chosen: usize, key: &str) -> Option<usize> {
    let mut order: Vec<usize> = (0..settings.len()).collect();
    order.sort_by(|a, b| settings[*a].saved.total_cmp(&settings[*b].saved));
    let at = order.iter().position(|place| *place == chosen)?;
    match key {
        "ArrowLeft" => at.checked_sub(1).map(|at| order[at]),
        "ArrowRight" => order.get(at + 1).copied(),
        _ => None,
    }
}

fn described(setting: &ReplayedSetting) -> String {
    format!(
        "Compute saved against winners lost: {} saves {:.0}{THIN}% and stops {} of the best {WINNERS}",
        setting.label,
        100.0 * setting.saved,
        setting.winners_lost
    )
}

fn plot(size: Size) -> Plot {
    let (x, y) = (Scale::new(ScaleKind::Linear, 0.0, 100.0), Scale::new(ScaleKind::Linear, 0.0, WINNERS as f64));
    Plot::new(x, y.padded(0.08), size)
}

fn shapes(settings: &[ReplayedSetting], chosen: usize, size: Size) -> Vec<Shape> {
    let plot = plot(size);
    let lost = format!("winners lost, of the best {WINNERS} trials");
    // Ticks of steps are whole numbers.
    let mut shapes = plot.frame(("compute saved, %", ""), (lost.as_str(), "steps"));
    let dot = |setting: &ReplayedSetting, radius: f64, fill: Fill| {
        plot.dot(100.0 * setting.saved, setting.winners_lost as f64, radius, fill)
    };
    shapes.extend(settings.iter().filter_map(|setting| dot(setting, 4.0, Fill::faint(Role::Run(0), 0.5))));
    let Some(setting) = settings.get(chosen) else { return shapes };
    let at = 100.0 * setting.saved;
    let dashed = Stroke::solid(Role::Accent, 1.0).faint(0.6);
    shapes.extend(plot.line([(at, 0.0), (at, setting.winners_lost as f64)].into_iter(), dashed));
    shapes.extend(dot(setting, 6.0, Fill::solid(Role::Accent)));
    shapes
}

#[cfg(test)]
mod tests {
    use wire::sweep::stopping::StoppingRule;

    use super::*;

    #[test]
    fn a_press_and_an_arrow_key_choose_a_setting() {
        let setting = |saved: f64, winners_lost: usize| ReplayedSetting {
            rule: StoppingRule::median(),
            label: "median".into(),
            saved,
            regret: None,
            winners_lost,
            stops: vec![],
        };
        let settings = [setting(0.5, 2), setting(0.1, 0), setting(0.3, 1)];
        let size = Size::new(400.0, 260.0);
        let dot = plot(size).at(30.0, 1.0);
        assert_eq!(nearest(&settings, Point::new(dot.x + 5.0, dot.y - 5.0), size), Some(2));
        assert_eq!(nearest(&settings, plot(size).at(90.0, 0.0), size), None);
        assert_eq!(neighbour(&settings, 2, "ArrowRight"), Some(0));
        assert_eq!(neighbour(&settings, 2, "ArrowLeft"), Some(1));
        assert_eq!((neighbour(&settings, 1, "ArrowLeft"), neighbour(&settings, 1, "Enter")), (None, None));
    }
}

//! Reliability diagram: the fraction of predictions that came true over the predicted probability. On the diagonal both are equal. The area of a
//! dot grows with the number of its predictions.

use crate::number::short;
use crate::scene::{Anchor, Dash, Fill, Point, Rect, Role, Scene, Shape, Size, Stroke, Text};

/// Predictions of similar probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// Mean of the predicted probabilities, 0 to 1.
    pub predicted: f64,
    /// Predictions that came true.
    pub came_true: u32,
    /// All predictions, at least 1.
    pub count: u32,
}

impl ReliabilityBin {
    fn fraction(self) -> f64 {
        f64::from(self.came_true) / f64::from(self.count.max(1))
    }
}

/// Left, top, right and bottom margins, pixels.
const MARGINS: [f64; 4] = [46.0, 30.0, 14.0, 40.0];
const FONT: f64 = 11.0;
const SMALLEST_DOT: f64 = 3.0;
const LARGEST_DOT: f64 = 9.0;

/// The diagram, in a size in pixels.
pub fn reliability(title: &str, bins: &[ReliabilityBin], size: Size) -> Scene {
    let [left, top, right, bottom] = MARGINS;
    let plot = Rect::new(left, top, size.width - left - right, size.height - top - bottom);
    let at = |x: f64, y: f64| Point::new(plot.x + x * plot.width, plot.bottom() - y * plot.height);
    let whole = Rect::new(0.0, 0.0, size.width, size.height);
    let mut shapes = vec![Shape::Rect { rect: whole, radius: 0.0, fill: Fill::solid(Role::Surface) }];
    shapes.push(Text::words(Point::new(left, 18.0), title, FONT + 1.0, Role::Ink).strong().into());
    for value in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let line = Stroke::solid(Role::Grid, 1.0);
        shapes.push(Shape::line(at(value, 0.0), at(value, 1.0), line));
        shapes.push(Shape::line(at(0.0, value), at(1.0, value), line));
        let label = |at: Point, anchor| Text::numbers(at, short(value), FONT, Role::InkFaint).anchored(anchor).into();
        shapes.push(label(Point::new(at(value, 0.0).x, plot.bottom() + 15.0), Anchor::Middle));
        shapes.push(label(Point::new(plot.x - 6.0, at(0.0, value).y + 4.0), Anchor::End));
    }
    shapes.push(Shape::line(at(0.0, 0.0), at(1.0, 1.0), Stroke::solid(Role::InkFaint, 1.0).dashed(Dash::Dashed)));
    let dot = |bin: &ReliabilityBin| {
        let radius = (SMALLEST_DOT * f64::from(bin.count).sqrt()).clamp(SMALLEST_DOT, LARGEST_DOT);
        Shape::dot(at(bin.predicted.clamp(0.0, 1.0), bin.fraction()), radius, Fill::solid(Role::Run(0)))
    };
    shapes.extend(bins.iter().map(dot));
    let below = Point::new(plot.x + plot.width / 2.0, size.height - 8.0);
    let axis = Text::words(below, "confirmed over predicted probability", FONT, Role::InkSoft);
    shapes.push(axis.anchored(Anchor::Middle).into());
    Scene { size, title: title.to_owned(), summary: summary(bins), shapes }
}

/// `Predicted 0.7, confirmed 2 of 3. Predicted 0.9, confirmed 1 of 1.`
fn summary(bins: &[ReliabilityBin]) -> String {
    let phrase = |bin: &ReliabilityBin| {
        format!("Predicted {}, confirmed {} of {}.", short(bin.predicted), bin.came_true, bin.count)
    };
    bins.iter().map(phrase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_at_the_predicted_and_the_confirmed_fraction() {
        let bins = [ReliabilityBin { predicted: 0.5, came_true: 1, count: 4 }];
        let scene = reliability("ada", &bins, Size::new(260.0, 270.0));
        let dots: Vec<(Point, f64)> = scene
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Circle { center, radius, .. } => Some((*center, *radius)),
                _ => None,
            })
            .collect();
        // The plot is 200 by 200 pixels and begins at (46, 30).
        assert_eq!(dots, [(Point::new(146.0, 180.0), 6.0)]);
        assert_eq!(scene.summary, "Predicted 0.5, confirmed 1 of 4.");
        assert_eq!(reliability("ada", &[], Size::new(10.0, 10.0)).summary, "");
    }
}

//! Heat maps: the byte of each cell becomes a colour through a table, in one pass. Cells without a value are transparent.

use wire::inspect::result::{HeatMap, Histogram};

use crate::number;
use crate::ramp::Ramp;
use crate::scene::{Anchor, Fill, Point, Rect, Role, Shape, Text};

/// A heat map in a rectangle, with a colour map between given ends.
pub fn heat(map: &HeatMap, rect: Rect, ramp: Ramp, (low, high): (f32, f32)) -> Shape {
    let span = f64::from(high) - f64::from(low);
    let colour = |byte: usize| {
        let value = f64::from(map.low) + (f64::from(map.high) - f64::from(map.low)) * (byte as f64 - 1.0) / 254.0;
        let fraction = if span > 0.0 { (value - f64::from(low)) / span } else { 0.5 };
        let [red, green, blue] = ramp.rgb(fraction);
        [red, green, blue, 255]
    };
    let mut table: Vec<[u8; 4]> = (0..256).map(colour).collect();
    table[0] = [0; 4];
    let count = map.rows as usize * map.columns as usize;
    let known = map.cells.iter().take(count).map(|cell| table[usize::from(*cell)]);
    let pixels = known.chain(std::iter::repeat([0; 4])).take(count).flatten().collect();
    Shape::Cells { rect, rows: map.rows, columns: map.columns, pixels }
}

/// A rectangle of a heat map, clipped to it.
pub fn part(map: &HeatMap, rows: std::ops::Range<u32>, columns: std::ops::Range<u32>) -> HeatMap {
    let (rows, columns) = (rows.start..rows.end.min(map.rows), columns.start..columns.end.min(map.columns));
    let row = |row: u32| {
        let from = (row * map.columns) as usize;
        map.cells.get(from + columns.start as usize..from + columns.end as usize).unwrap_or(&[])
    };
    HeatMap {
        rows: rows.len() as u32,
        columns: columns.len() as u32,
        cells: rows.flat_map(row).copied().collect(),
        ..*map
    }
}

/// An attention pattern without the keys after each query, to which no token can attend: these cells stay empty.
pub fn causal(pattern: &HeatMap) -> HeatMap {
    let columns = pattern.columns.max(1) as usize;
    let cell = |(at, cell): (usize, &u8)| if at % columns > at / columns { 0 } else { *cell };
    HeatMap { cells: pattern.cells.iter().enumerate().map(cell).collect(), ..*pattern }
}

/// A colour bar with its ends, and zero for signed values.
pub fn scale_bar(rect: Rect, ramp: Ramp, (low, high): (f32, f32), unit: &str) -> Vec<Shape> {
    let columns = 64;
    let cells = (0..columns).flat_map(|at| {
        let [red, green, blue] = ramp.rgb(f64::from(at) / f64::from(columns - 1));
        [red, green, blue, 255]
    });
    let label = |x: f64, value: f32, anchor| {
        let text =
            Text::numbers(Point::new(x, rect.bottom() + 12.0), number::short(f64::from(value)), 10.0, Role::InkSoft);
        Shape::Text(text.anchored(anchor))
    };
    let mut shapes = vec![
        Shape::Cells { rect, rows: 1, columns, pixels: cells.collect() },
        label(rect.x, low, Anchor::Start),
        label(rect.right(), high, Anchor::End),
    ];
    if ramp.is_signed() {
        shapes.push(label(rect.x + rect.width / 2.0, 0.0, Anchor::Middle));
    }
    let named = Text::words(Point::new(rect.x + rect.width / 2.0, rect.y - 4.0), unit, 10.0, Role::InkSoft);
    shapes.push(named.anchored(Anchor::Middle).into());
    shapes
}

/// The reach of a histogram, and its labels: its ends and its middle, each with its fraction of the width.
pub fn histogram_ticks(histogram: &Histogram) -> Vec<(f64, String)> {
    let last = |bins: &[u64]| bins.iter().rposition(|count| *count > 0);
    let Some(last) = last(&histogram.negative).max(last(&histogram.positive)) else { return vec![] };
    let end = match last as i32 + 1 + Histogram::LOWEST {
        exponent @ 0..=10 => (1 << exponent).to_string(),
        exponent => power_of_two(exponent),
    };
    vec![(0.0, format!("−{end}")), (0.5, "0".to_owned()), (1.0, end)]
}

/// Counts of values by magnitude, largest negative at the left, zero in the middle; heights are square roots, so that rare values are visible.
pub fn histogram(histogram: &Histogram, rect: Rect) -> Vec<Shape> {
    let sides = histogram.negative.iter().rev().map(|count| (*count, Role::Run(0)));
    let zeros = std::iter::once((histogram.zeros, Role::InkFaint));
    let bins: Vec<(u64, Role)> =
        sides.chain(zeros).chain(histogram.positive.iter().map(|count| (*count, Role::Run(5)))).collect();
    // Empty bins at the ends would narrow the others; both sides are cropped to the same bins.
    let middle = histogram.negative.len();
    let used = |at: usize| bins.get(at).is_some_and(|(count, _)| *count > 0);
    let reach = (1..=middle).rev().find(|far| used(middle - far) || used(middle + far)).unwrap_or(middle.min(1));
    let nearest = (1..=reach).find(|far| used(middle - far) || used(middle + far)).unwrap_or(1);
    let shown = (middle - reach..=middle + reach).filter(|at| *at == middle || at.abs_diff(middle) >= nearest);
    let shown: Vec<(u64, Role)> = shown.filter_map(|at| bins.get(at).copied()).collect();
    let most = shown.iter().map(|(count, _)| *count).max().unwrap_or(0).max(1) as f64;
    let width = rect.width / shown.len().max(1) as f64;
    let bar = |(at, (count, role)): (usize, &(u64, Role))| {
        let height = (*count as f64 / most).sqrt() * rect.height;
        let rect = Rect::new(rect.x + at as f64 * width + 0.5, rect.bottom() - height, (width - 1.0).max(0.5), height);
        Shape::Rect { rect, radius: 0.0, fill: Fill::solid(*role) }
    };
    shown.iter().enumerate().filter(|(_, (count, _))| *count > 0).map(bar).collect()
}

/// A histogram in a sentence.
pub fn describe_histogram(histogram: &Histogram) -> String {
    let sizes = |bins: &[u64]| -> Option<(i32, i32)> {
        let first = bins.iter().position(|count| *count > 0)?;
        let last = bins.iter().rposition(|count| *count > 0)?;
        Some((first as i32 + Histogram::LOWEST, last as i32 + 1 + Histogram::LOWEST))
    };
    let side = |bins: &[u64], name: &str| {
        let count: u64 = bins.iter().sum();
        sizes(bins).map(|(from, to)| {
            let (from, to) = (power_of_two(from), power_of_two(to));
            format!("{} {name} (magnitudes {from} to {to})", number::whole(count))
        })
    };
    let zeros = (histogram.zeros > 0).then(|| format!("{} exactly zero", number::whole(histogram.zeros)));
    let non_finite = (histogram.non_finite > 0).then(|| format!("{} not finite", number::whole(histogram.non_finite)));
    let phrases: Vec<String> =
        [side(&histogram.negative, "negative"), zeros, side(&histogram.positive, "positive"), non_finite]
            .into_iter()
            .flatten()
            .collect();
    if phrases.is_empty() { "no values".into() } else { phrases.join("; ") }
}

/// `2⁻¹⁹`
fn power_of_two(exponent: i32) -> String {
    let raised = |letter: char| match letter {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => digit.to_digit(10).and_then(|digit| char::from_u32(0x2070 + digit)).unwrap_or(digit),
    };
    format!("2{}", exponent.to_string().chars().map(raised).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(shape: &Shape) -> &[u8] {
        match shape {
            Shape::Cells { pixels, .. } => pixels,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_cell_gets_the_colour_of_its_value() {
        let map = HeatMap::of(2, 2, &[-2.0, 0.0, f32::NAN, 1.0]);
        let ramp = Ramp::Signed;
        let ends = ramp.ends(map.low, map.high);
        let shape = heat(&map, Rect::default(), ramp, ends);
        let cell = |at: usize| &pixels(&shape)[at * 4..at * 4 + 4];
        assert_eq!(cell(0)[..3], ramp.rgb(0.0));
        let middle = ramp.rgb(0.5);
        assert!((0..3).all(|part| cell(1)[part].abs_diff(middle[part]) <= 2), "{:?} for zero", cell(1));
        assert_eq!(cell(2), [0; 4], "a cell without a value is transparent");
        assert_eq!(cell(3)[..3], ramp.rgb(0.75));
    }

    #[test]
    fn heat_maps_with_a_wrong_size_are_drawn() {
        let short = HeatMap { rows: 3, columns: 2, low: 0.0, high: 0.0, cells: vec![1] };
        assert_eq!(pixels(&heat(&short, Rect::default(), Ramp::Cividis, (0.0, 0.0))).len(), 24);
        assert_eq!(part(&short, 1..9, 0..9).cells.len(), 0);
    }

    #[test]
    fn a_rectangle_has_the_same_cells() {
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let map = HeatMap::of(3, 4, &values);
        let some = part(&map, 1..3, 2..9);
        assert_eq!((some.rows, some.columns), (2, 2));
        assert_eq!(some.value(1, 1), map.value(2, 3));
    }

    #[test]
    fn a_histogram_shows_both_signs_at_one_scale() {
        let mut sizes = Histogram { negative: vec![0; 32], positive: vec![0; 32], zeros: 4, non_finite: 1 };
        (sizes.negative[20], sizes.positive[22]) = (16, 4);
        let bars = histogram(&sizes, Rect::new(0.0, 0.0, 70.0, 10.0));
        assert_eq!(bars.len(), 3);
        let rects: Vec<Rect> = bars
            .iter()
            .filter_map(|bar| match bar {
                Shape::Rect { rect, .. } => Some(*rect),
                _ => None,
            })
            .collect();
        assert!((rects[0].height - 10.0).abs() < 1e-9 && (rects[2].height - 5.0).abs() < 1e-9);
        assert!(rects.iter().all(|rect| rect.x >= 0.0 && rect.right() <= 70.0));
        assert_eq!(
            describe_histogram(&sizes),
            "16 negative (magnitudes 2⁻⁴ to 2⁻³); 4 exactly zero; 4 positive (magnitudes 2⁻² to 2⁻¹); 1 not finite"
        );
        assert!(histogram(&Histogram::default(), Rect::default()).is_empty());
    }
}

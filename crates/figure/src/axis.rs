//! Scales and ticks: the position of a value between two ends, and the values that get a label.

use crate::number::{self, Format, THIN};

/// Linear or logarithmic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ScaleKind {
    #[default]
    Linear,
    /// Logarithmic; values of 0 and less have no position.
    Log,
}

/// A range of values mapped to 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    pub kind: ScaleKind,
    /// Value at 0. Finite, and above 0 where `kind` is logarithmic.
    pub from: f64,
    /// Value at 1. Finite, and above `from`.
    pub to: f64,
}

/// Values are clamped to this, so that differences and ratios stay finite.
const BOUND: f64 = 1e150;

/// Positions are clamped to this many lengths of the scale, so that canvases and files can represent them.
const REACH: f64 = 1e4;

impl Scale {
    /// A scale that can be drawn, whatever the ends: they are swapped when reversed, spread when equal, replaced when not
    /// numbers or not positive on a logarithmic scale.
    pub fn new(kind: ScaleKind, from: f64, to: f64) -> Self {
        let (from, to) = match (from.is_finite(), to.is_finite()) {
            (true, true) => (from.min(to).clamp(-BOUND, BOUND), from.max(to).clamp(-BOUND, BOUND)),
            (true, false) => (from.clamp(-BOUND, BOUND), from.clamp(-BOUND, BOUND)),
            (false, true) => (to.clamp(-BOUND, BOUND), to.clamp(-BOUND, BOUND)),
            (false, false) => match kind {
                ScaleKind::Linear => (0.0, 1.0),
                ScaleKind::Log => (0.1, 1.0),
            },
        };
        match kind {
            ScaleKind::Linear => Self::linear(from, to),
            ScaleKind::Log => Self::log(from, to),
        }
    }

    fn linear(from: f64, to: f64) -> Self {
        let kind = ScaleKind::Linear;
        // Closer than the digits of a double carry is the same value.
        let least = from.abs().max(to.abs()) * 1e-12;
        if to - from > least {
            return Self { kind, from, to };
        }
        let spread = if from == 0.0 { 1.0 } else { from.abs() * 0.1 };
        Self { kind, from: from - spread, to: to + spread }
    }

    fn log(from: f64, to: f64) -> Self {
        let kind = ScaleKind::Log;
        let (from, to) = match (from > 1.0 / BOUND, to > 1.0 / BOUND) {
            (_, false) => (0.1, 1.0),
            (false, true) => (to * 1e-3, to),
            (true, true) => (from, to),
        };
        if to / from > 1.0 + 1e-12 { Self { kind, from, to } } else { Self { kind, from: from / 1.5, to: to * 1.5 } }
    }

    /// Position of a value: 0 at `from`, 1 at `to`, clamped far outside; NaN if it has none.
    pub fn position(&self, value: f64) -> f64 {
        let position = match self.kind {
            ScaleKind::Linear => (value - self.from) / (self.to - self.from),
            ScaleKind::Log if value > 0.0 => (value / self.from).ln() / (self.to / self.from).ln(),
            ScaleKind::Log => return f64::NAN,
        };
        position.clamp(-REACH, REACH)
    }

    /// The value at a position: the inverse of [`Self::position`].
    pub fn value(&self, position: f64) -> f64 {
        match self.kind {
            ScaleKind::Linear => self.from + position * (self.to - self.from),
            ScaleKind::Log => self.from * (position * (self.to / self.from).ln()).exp(),
        }
    }

    /// A scale that is longer by `fraction` of its length at each end.
    pub fn padded(&self, fraction: f64) -> Self {
        Self::new(self.kind, self.value(-fraction), self.value(1.0 + fraction))
    }

    /// Whether a value lies on it.
    pub fn contains(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }
}

/// A tick of an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub value: f64,
    /// Label; empty for minor lines.
    pub label: String,
}

/// Round values on `scale`, about `target` of them (at most half as many again), rising, with labels that differ. The
/// unit determines the number format: `s` gives minutes and hours.
pub fn ticks(scale: &Scale, target: usize, unit: &str) -> Vec<Tick> {
    let target = target.clamp(2, 30);
    let format = match Format::of(unit) {
        // Times beyond any calendar and below any clock are numbers like others.
        Format::Duration if !(1e-3..1e13).contains(&scale.from.abs().max(scale.to.abs())) => Format::Plain,
        format => format,
    };
    if scale.kind == ScaleKind::Log {
        let values = log_values(scale, target);
        if values.len() >= 2 {
            let label = |value: &f64| Tick { value: *value, label: log_label(*value, format) };
            return values.iter().map(label).collect();
        }
    }
    let unit = if unit == "B" { unit } else { "" };
    let step = match format {
        Format::Duration => time_step((scale.to - scale.from) / target as f64),
        Format::Count => round_step((scale.to - scale.from) / target as f64).max(1.0),
        _ => round_step((scale.to - scale.from) / target as f64),
    };
    let labels = Labels::new(scale, step, format, unit);
    multiples(scale, step).into_iter().map(|value| Tick { value, label: labels.write(value) }).collect()
}

/// The next of 1, 2, 2.5, 5 x 10^n from `rough` on.
fn round_step(rough: f64) -> f64 {
    // Slightly denser than requested: too few grid lines are harder to read than one too many.
    let rough = rough * 0.85;
    let power = 10f64.powf(rough.log10().floor()).max(f64::MIN_POSITIVE);
    let lead = rough / power;
    power * [1.0, 2.0, 2.5, 5.0].into_iter().find(|step| lead <= step * 1.000_001).unwrap_or(10.0)
}

/// Seconds that people divide time by.
fn time_step(rough: f64) -> f64 {
    const STEPS: [f64; 17] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0,
        43_200.0,
    ];
    if rough < 1.0 {
        return round_step(rough);
    }
    STEPS.into_iter().find(|step| rough <= *step).unwrap_or_else(|| 86_400.0 * round_step(rough / 86_400.0).max(1.0))
}

fn multiples(scale: &Scale, step: f64) -> Vec<f64> {
    let (first, last) = ((scale.from / step - 1e-9).ceil(), (scale.to / step + 1e-9).floor());
    // Beyond 2^53 neighbouring multiples are the same double.
    if !(first.abs() < 9e15 && last.abs() < 9e15 && last - first < 100.0) {
        return Vec::new();
    }
    let value = |index: i64| (index as f64 * step).clamp(scale.from, scale.to);
    (first as i64..=last as i64).map(value).collect()
}

/// Decades, with 2 and 5 or all digits between if there is room; fewer than two if the scale is shorter.
fn log_values(scale: &Scale, target: usize) -> Vec<f64> {
    let (low, high) = (scale.from.log10().floor() as i32, scale.to.log10().ceil() as i32);
    let between = |digits: &[f64], stride: usize| -> Vec<f64> {
        let decades = (low..=high).filter(|decade| decade.rem_euclid(stride as i32) == 0);
        let values = decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10f64.powi(decade)));
        values.filter(|value| scale.contains(*value)).collect()
    };
    let most = target + target / 2;
    let rich = [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0][..], &[1.0, 2.0, 5.0][..]];
    for digits in rich {
        let values = between(digits, 1);
        if values.len() <= most {
            return values;
        }
    }
    let stride = ((high - low) as usize).div_ceil(target).max(1);
    between(&[1.0], stride)
}

fn log_label(value: f64, format: Format) -> String {
    match format {
        Format::Duration => number::duration(value),
        Format::Count | Format::Prefixed if value >= 1e3 => {
            let (factor, letter) = number::prefix(value);
            format!("{}{THIN}{letter}", number::short(value / factor)).trim_end().to_owned()
        }
        // 1e-4 and not 1.0e-4: no label needs the decimal.
        _ if !(0.00995..1e6).contains(&value) => format!("{value:.0e}"),
        _ => number::short(value),
    }
}

/// How all labels of one axis are written, so that they share their prefix and decimals.
struct Labels<'a> {
    format: Format,
    /// Unit after the prefix: `MB`. Other units are in the title.
    unit: &'a str,
    step: f64,
    factor: f64,
    letter: &'static str,
    is_scientific: bool,
}

impl<'a> Labels<'a> {
    fn new(scale: &Scale, step: f64, format: Format, unit: &'a str) -> Self {
        let size = scale.from.abs().max(scale.to.abs());
        let (factor, letter) = match format {
            Format::Prefixed => number::prefix_of(size, unit),
            Format::Count if size >= 1e6 => number::prefix(size),
            _ => (1.0, ""),
        };
        let is_scientific = format != Format::Duration && (size / factor >= 1e7 || size / factor < 1e-2);
        Self { format, unit, step, factor, letter, is_scientific }
    }

    fn write(&self, value: f64) -> String {
        // Multiples of a step near 0 come out as 1e-17.
        let value = if value.abs() < self.step * 1e-6 { 0.0 } else { value };
        if value == 0.0 && self.format != Format::Duration {
            return "0".to_owned();
        }
        if self.format == Format::Duration {
            return clock(value, self.step);
        }
        if self.is_scientific {
            let digits = value.abs().log10().floor() as i32 + decimals(self.step);
            return number::scientific(value, digits.clamp(0, 15) as usize);
        }
        let digits = number::fixed(value / self.factor, decimals(self.step / self.factor));
        match (self.letter, self.unit) {
            ("", "") => digits,
            (letter, unit) => format!("{digits}{THIN}{letter}{unit}"),
        }
    }
}

/// Decimals that distinguish multiples of `step`; negative for tens and more.
fn decimals(step: f64) -> i32 {
    let power = step.log10().floor();
    let lead = step / 10f64.powf(power);
    let is_half = (lead - 2.5).abs() < 1e-6;
    -(power as i32) + i32::from(is_half)
}

/// Times with a common step: down to the smallest unit that makes neighbours differ.
fn clock(secs: f64, step: f64) -> String {
    if secs == 0.0 {
        return "0".to_owned();
    }
    let sign = if secs < 0.0 { "−" } else { "" };
    let secs = secs.abs();
    if step < 1.0 {
        return format!("{sign}{}{THIN}s", number::fixed(secs, decimals(step)));
    }
    let total = secs.round() as u64;
    let (days, hours, minutes, rest) = (total / 86_400, total / 3600 % 24, total / 60 % 60, total % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")];
    let told: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{}{THIN}{unit}", number::whole(*count)))
        .collect();
    format!("{sign}{}", told.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::Random;

    fn labels(scale: &Scale, target: usize, unit: &str) -> Vec<String> {
        ticks(scale, target, unit).into_iter().map(|tick| tick.label.replace(THIN, " ")).collect()
    }

    #[test]
    fn labels_are_as_expected() {
        let linear = |from, to| Scale::new(ScaleKind::Linear, from, to);
        let log = |from, to| Scale::new(ScaleKind::Log, from, to);
        assert_eq!(labels(&linear(1.4, 4.3), 5, "nats"), ["1.5", "2.0", "2.5", "3.0", "3.5", "4.0"]);
        assert_eq!(labels(&linear(0.0, 10_000.0), 5, "steps"), ["0", "2 000", "4 000", "6 000", "8 000", "10 000"]);
        assert_eq!(labels(&linear(0.0, 1e-3), 4, "per step"), ["0", "2.5e-4", "5e-4", "7.5e-4", "1e-3"]);
        assert_eq!(labels(&linear(0.0, 12_400.0), 3, "tok/s"), ["0", "5 k", "10 k"]);
        assert_eq!(labels(&linear(0.0, 2.4e8), 3, "B"), ["0", "100 MB", "200 MB"]);
        assert_eq!(labels(&linear(0.0, 400.0), 4, "s"), ["0", "2 min", "4 min", "6 min"]);
        assert_eq!(labels(&linear(0.0, 5400.0), 4, "s"), ["0", "30 min", "1 h", "1 h 30 min"]);
        assert_eq!(labels(&log(1e-5, 1e-2), 4, "ratio"), ["1e-5", "1e-4", "1e-3", "0.01"]);
        assert_eq!(labels(&log(1.4, 11.0), 5, "nats"), ["2", "5", "10"]);
    }

    #[test]
    fn ticks_cover_the_range_in_order_with_labels_that_differ() {
        let mut random = Random::new(7);
        for round in 0..20_000 {
            let kind = if random.below(3) == 0 { ScaleKind::Log } else { ScaleKind::Linear };
            let (one, two) = (random.wild(), random.wild());
            let scale = Scale::new(kind, one, two);
            let target = random.below(12);
            let unit = ["nats", "steps", "tok/s", "s", "B"][random.below(5)];
            let found = ticks(&scale, target, unit);
            let what = format!("round {round}: {scale:?} {target} {unit} {found:?}");
            assert!(found.len() <= target.clamp(2, 30) * 3 / 2 + 2, "{what}");
            assert!(found.windows(2).all(|pair| pair[0].value < pair[1].value), "{what}");
            assert!(found.windows(2).all(|pair| pair[0].label != pair[1].label), "{what}");
            assert!(found.iter().all(|tick| scale.contains(tick.value)), "{what}");
        }
    }

    #[test]
    fn a_scale_and_its_inverse_agree() {
        let mut random = Random::new(11);
        for _ in 0..20_000 {
            let kind = if random.below(2) == 0 { ScaleKind::Log } else { ScaleKind::Linear };
            let scale = Scale::new(kind, random.wild(), random.wild());
            assert!(scale.from.is_finite() && scale.to.is_finite() && scale.from < scale.to, "{scale:?}");
            let position = random.unit();
            let back = scale.position(scale.value(position));
            assert!((back - position).abs() < 1e-3, "{scale:?} {position} {back}");
        }
    }
}

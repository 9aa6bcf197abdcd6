//! What must hold of every chart: no spike is lost, nothing panics, and the picture of one small chart stays as it is.

use figure::curve::point;
use figure::{
    Aggregation, ChartSpec, Curve, Frame, Marker, Reference, Role, ScaleKind, Scene, Shape, Size, Style, Theme, chart,
};
use testing::Random;
use wire::control::author::Author;
use wire::series::{Axis, Bucket};

fn each_point(scene: &Scene, visit: &mut dyn FnMut(f64, f64)) {
    scene.walk(&mut |shape| match shape {
        Shape::Polyline { points, .. } | Shape::Area { points, .. } => points.iter().for_each(|at| visit(at.x, at.y)),
        Shape::Circle { center, .. } => visit(center.x, center.y),
        Shape::Marker { at, .. } => visit(at.x, at.y),
        Shape::Text(text) => visit(text.at.x, text.at.y),
        Shape::Rect { rect, .. } | Shape::Cells { rect, .. } => visit(rect.x + rect.width, rect.y + rect.height),
        Shape::Group { .. } => {}
    });
}

/// 400,000 steps in buckets of `width`, with one step of `spike` among values near 2.
fn long_run(width: u64, spike: f64) -> Vec<Bucket> {
    let bucket = |first: u64| {
        let holds = (first..first + width).contains(&234_567);
        let (max, mean) = if holds { (spike, 2.0 + (spike - 2.0) / width as f64) } else { (2.1, 2.0) };
        Bucket {
            step: first,
            last_step: first + width - 1,
            x: first as f64,
            last_x: (first + width - 1) as f64,
            min: 1.9,
            max,
            mean,
            count: width,
        }
    };
    (0..400_000).step_by(width as usize).map(bucket).collect()
}

#[test]
fn a_spike_one_step_wide_is_seen_among_400_000() {
    for (width, y_scale) in [(400, ScaleKind::Linear), (400, ScaleKind::Log), (16, ScaleKind::Linear)] {
        let buckets = long_run(width, 9.0);
        let spec = ChartSpec { y_scale, ..ChartSpec::default() };
        let drawing = chart(&spec, &[Curve::new("loss", Role::Accent, &buckets)], Size::new(600.0, 300.0));
        let (x, y) = (drawing.layout.to_x(234_567.0), drawing.layout.to_y(9.0));
        let (mut is_in_band, mut is_lined) = (false, false);
        drawing.scene.walk(&mut |shape| {
            let reaches =
                |points: &[figure::Point]| points.iter().any(|at| (at.x - x).abs() < 1.5 && (at.y - y).abs() < 0.5);
            match shape {
                Shape::Area { points, .. } => is_in_band |= reaches(points),
                Shape::Polyline { points, .. } => is_lined |= reaches(points),
                _ => {}
            }
        });
        assert!(is_in_band && is_lined, "buckets of {width}, {y_scale:?}");
    }
}

#[test]
fn a_gap_breaks_the_line_and_a_lone_point_is_a_dot() {
    let values = [1.0, 2.0, f64::NAN, 3.0, f64::NAN, 4.0, 5.0];
    let buckets: Vec<Bucket> =
        values.iter().enumerate().map(|(at, value)| point(at as u64, at as f64, *value)).collect();
    let drawing = chart(&ChartSpec::default(), &[Curve::new("loss", Role::Accent, &buckets)], Size::new(60.0, 300.0));
    let (mut lines, mut dots) = (0, 0);
    drawing.scene.walk(&mut |shape| match shape {
        Shape::Polyline { stroke, .. } if stroke.role == Role::Accent => lines += 1,
        Shape::Circle { fill, .. } if fill.role == Role::Accent => dots += 1,
        _ => {}
    });
    assert_eq!((lines, dots), (2, 1));
}

/// Values of every kind, mostly ones that no run has.
struct Dice(Random);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn wild(&mut self) -> f64 {
        let share = self.below(1 << 30) as f64 / f64::from(1 << 30);
        match self.below(14) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => 0.0,
            4 => f64::MAX,
            5 => f64::MIN,
            6 => f64::MIN_POSITIVE,
            7 => -share,
            8 => share * 1e-12,
            9 => 1e9 + share,
            _ => share * 100.0,
        }
    }

    fn perhaps(&mut self) -> Option<f64> {
        (self.below(3) == 0).then(|| self.wild())
    }

    fn is(&mut self) -> bool {
        self.below(2) == 0
    }

    fn scale(&mut self) -> ScaleKind {
        if self.is() { ScaleKind::Linear } else { ScaleKind::Log }
    }

    fn buckets(&mut self) -> Vec<Bucket> {
        let length = [0, 1, 2, 5, 300][self.below(5) as usize];
        let is_wild = self.is();
        let mut bucket = |at: u64| {
            let mut x = |tame: f64| if is_wild { self.wild() } else { tame };
            let (x, last_x) = (x(at as f64), x(at as f64 + 0.9));
            Bucket {
                step: at,
                last_step: at,
                x,
                last_x,
                min: self.wild(),
                max: self.wild(),
                mean: self.wild(),
                count: self.below(3),
            }
        };
        (0..length).map(&mut bucket).collect()
    }
}

const NAMES: [&str; 3] =
    ["", "curve", "train of a run whose name is as long as names may be, eighty characters, and then some more"];

#[test]
fn anything_can_be_drawn() {
    let mut dice = Dice(Random::new(testing::seed(5)));
    for round in 0..3000 {
        let data: Vec<Vec<Bucket>> = (0..dice.below(4)).map(|_| dice.buckets()).collect();
        let styles = [Style::Measured, Style::Abandoned, Style::Planned, Style::Stacked];
        let curve = |buckets| Curve {
            style: styles[dice.below(4) as usize],
            is_live: dice.is(),
            smoothing: dice.perhaps(),
            is_labelled: dice.is(),
            ..Curve::new(NAMES[dice.below(3) as usize], Role::Run(dice.below(256) as u8), buckets)
        };
        let curves: Vec<Curve> = data.iter().map(Vec::as_slice).map(curve).collect();
        let marker = |at: u64, x| Marker {
            x,
            phrase: "a phrase ü <&>".repeat(at as usize),
            author: Author::System,
            is_alarm: at == 1,
            is_change: at == 2,
        };
        let spec = ChartSpec {
            title: "chart".into(),
            x_name: None,
            unit: ["nats", "s", "steps", "tok/s", ""][dice.below(5) as usize].into(),
            aggregation: [Aggregation::Steps, Aggregation::StepsWithError, Aggregation::Time][dice.below(3) as usize],
            axis: [Axis::Step, Axis::Tokens, Axis::Secs, Axis::Flops][dice.below(4) as usize],
            x_scale: dice.scale(),
            from: dice.perhaps(),
            to: dice.perhaps(),
            y_scale: dice.scale(),
            y_from: dice.perhaps(),
            y_to: dice.perhaps(),
            y_fraction: dice.perhaps(),
            has_zero: dice.is(),
            references: (0..dice.below(4))
                .map(|_| Reference { label: "line".into(), value: dice.wild(), role: Role::Floor })
                .collect(),
            markers: (0..dice.below(4)).map(|at| marker(at, dice.wild())).collect(),
            crosshair: dice.perhaps(),
            frame: Frame {
                has_header: dice.is(),
                has_lane: dice.is(),
                left_margin: dice.perhaps(),
                ..Frame::default()
            },
        };
        let size = match dice.below(4) {
            0 => Size::new(0.0, 0.0),
            1 => Size::new(dice.wild(), dice.wild()),
            _ => Size::new(640.0, 240.0),
        };
        let drawing = chart(&spec, &curves, size);
        each_point(&drawing.scene, &mut |x, y| {
            assert!(x.is_finite() && y.is_finite(), "round {round}: {spec:?} {curves:?} {size:?}")
        });
        let layout = &drawing.layout;
        for pixels in [dice.wild(), 0.0, 320.0] {
            let at = layout.from_x(pixels);
            layout.readings(&curves, at);
            layout.cluster_near(figure::Point::new(pixels, pixels), 8.0);
            layout.zoomed(pixels, 2.0);
        }
        if round % 10 == 0 {
            assert!(!figure::svg(&drawing.scene, Theme::Dark).contains("NaN"));
            figure::table(&spec, &curves, 20);
        }
    }
}

#[test]
fn a_name_at_the_end_of_a_curve_overlaps_no_curve() {
    let line = |from: u64, to: u64, height: f64| -> Vec<Bucket> {
        (from..to).map(|step| point(step, step as f64, height - step as f64 * 0.01)).collect()
    };
    let (train, past) = (line(0, 200, 4.0), line(0, 120, 4.0));
    for gap in [-0.4, 0.1, 0.3] {
        let abandoned = line(60, 120, 4.0 + gap);
        let curves = [
            Curve { style: Style::Abandoned, ..Curve::new("abandoned at step 120", Role::Abandoned, &abandoned) },
            Curve { is_labelled: true, ..Curve::new("train of amber-fox", Role::InkFaint, &past) },
            Curve::new("train", Role::Accent, &train),
        ];
        let frame = Frame { has_header: false, ..Frame::default() };
        let drawing = chart(&ChartSpec { frame, ..ChartSpec::default() }, &curves, Size::new(800.0, 400.0));
        let mut labels = vec![];
        drawing.scene.walk(&mut |shape| match shape {
            Shape::Text(text) if text.text.contains("abandoned") || text.text.contains("amber-fox") => {
                labels.push((text.at.x - text.width(), text.at.x, text.at.y));
            }
            _ => {}
        });
        assert_eq!(labels.len(), 2);
        assert!((labels[0].2 - labels[1].2).abs() > 11.0, "one over the other, not on it");
        for (left, right, y) in labels {
            for bucket in curves.iter().flat_map(|curve| curve.buckets) {
                let (x, height) = (drawing.layout.to_x(bucket.x), drawing.layout.to_y(bucket.mean));
                assert!(x < left || x > right || height > y || height < y - 11.0, "{gap}: a label stands on a curve");
            }
        }
    }
}

#[test]
fn the_label_of_a_reference_and_the_name_of_a_curve_have_places_of_their_own() {
    let line = |from: u64, to: u64, height: f64| -> Vec<Bucket> {
        (from..to).map(|step| point(step, step as f64, height)).collect()
    };
    let train = line(0, 190, 3.0);
    for height in [0.05, 0.1, 0.3, 0.6, 1.0] {
        let abandoned = line(60, 200, height);
        let curves = [
            Curve {
                style: Style::Abandoned,
                ..Curve::new("abandoned branch, left at step 200", Role::Abandoned, &abandoned)
            },
            Curve::new("train", Role::Accent, &train),
        ];
        let references = [("entropy floor", 0.0844), ("uniform", 3.2)].map(|(label, value)| Reference {
            label: label.into(),
            value,
            role: Role::Floor,
        });
        let frame = Frame { has_header: false, ..Frame::default() };
        let spec = ChartSpec { frame, references: references.to_vec(), has_zero: true, ..ChartSpec::default() };
        let mut labels: Vec<(String, f64, f64, f64)> = vec![];
        chart(&spec, &curves, Size::new(640.0, 300.0)).scene.walk(&mut |shape| match shape {
            Shape::Text(text) if ["abandoned", "floor", "uniform"].iter().any(|word| text.text.contains(word)) => {
                labels.push((text.text.clone(), text.at.x - text.width(), text.at.x, text.at.y));
            }
            _ => {}
        });
        assert!(labels.len() >= 2, "{height}: {labels:?}");
        for (at, (one, left, right, y)) in labels.iter().enumerate() {
            for (other, from, to, below) in &labels[at + 1..] {
                let is_apart = right <= from || to <= left || (y - below).abs() >= 11.0;
                assert!(is_apart, "{height}: {one:?} and {other:?} overlap");
            }
        }
    }
}

#[test]
fn the_label_of_a_reference_is_not_on_a_steep_line_between_two_points() {
    let rising = [(0, 1.0), (500, 1.0), (590, 5.0), (599, 5.0)].map(|(step, loss)| point(step, step as f64, loss));
    let reference = Reference { label: "unigram entropy".into(), value: 3.0, role: Role::InkFaint };
    let frame = Frame { has_header: false, ..Frame::default() };
    let spec = ChartSpec { frame, references: vec![reference], has_zero: true, ..ChartSpec::default() };
    let mut rights = vec![];
    chart(&spec, &[Curve::new("val", Role::Run(0), &rising)], Size::new(640.0, 300.0)).scene.walk(&mut |shape| {
        match shape {
            Shape::Text(text) if text.text.starts_with("unigram entropy") => rights.push(text.at.x),
            _ => {}
        }
    });
    // The right edge, where the curve crosses the line, is at more than 600 pixels.
    assert!(rights.len() == 1 && rights[0] < 500.0, "{rights:?}");
}

#[test]
fn the_name_of_a_short_branch_is_near_its_end() {
    let line = |from: u64, to: u64, height: f64| -> Vec<Bucket> {
        (from..to).map(|step| point(step, step as f64, height)).collect()
    };
    let (train, abandoned) = (line(0, 3000, 2.0), line(450, 464, 9.5));
    let name = "abandoned branch, left at step 463";
    let branch = Curve { style: Style::Abandoned, ..Curve::new(name, Role::Abandoned, &abandoned) };
    let frame = Frame { has_header: false, ..Frame::default() };
    let spec = ChartSpec { y_from: Some(0.0), y_to: Some(14.0), frame, ..ChartSpec::default() };
    let mut heights = vec![];
    let scene = chart(&spec, &[branch, Curve::new("train", Role::Accent, &train)], Size::new(900.0, 400.0)).scene;
    scene.walk(&mut |shape| match shape {
        Shape::Text(text) if text.text == name => heights.push(text.at.y),
        _ => {}
    });
    // 9.5 of 14 is in the upper half of the plot; below the curve of 2 there is room, too.
    assert!(heights.len() == 1 && heights[0] < 200.0, "{heights:?}");
}

#[test]
fn a_series_without_planned_values_is_described_once() {
    let measured: Vec<Bucket> = (0..5).map(|step| point(step, step as f64, 0.1)).collect();
    let planned = Curve { style: Style::Planned, ..Curve::new("learning rate", Role::InkSoft, &[]) };
    let curves = [planned, Curve::new("learning rate", Role::InkSoft, &measured)];
    let summary = |curves: &[Curve]| chart(&ChartSpec::default(), curves, Size::new(300.0, 200.0)).scene.summary;
    let text = summary(&curves);
    assert!(text.contains("at step 4") && !text.contains("no values yet"), "{text}");
    assert!(summary(&curves[..1]).contains("learning rate: no values yet"));
}

#[test]
fn the_svg_of_a_small_chart_is_unchanged() {
    let buckets: Vec<Bucket> = (0..5)
        .map(|step| Bucket {
            max: 4.5 - step as f64 * 0.5,
            count: 2,
            ..point(step, step as f64, 4.0 - step as f64 * 0.5)
        })
        .collect();
    let spec = ChartSpec {
        title: "loss".into(),
        unit: "nats/token".into(),
        references: vec![Reference { label: "floor".into(), value: 1.5, role: Role::Floor }],
        markers: vec![Marker {
            x: 2.0,
            phrase: "rate × ½".into(),
            author: Author::Person("ada".into()),
            is_alarm: false,
            is_change: false,
        }],
        frame: Frame { has_lane: true, ..Frame::default() },
        ..ChartSpec::default()
    };
    let curves = [Curve { is_live: true, ..Curve::new("train", Role::Accent, &buckets) }];
    let drawn = figure::svg(&chart(&spec, &curves, Size::new(320.0, 160.0)).scene, Theme::Light);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/small.svg");
    if std::env::var_os("KINDLING_REDRAW").is_some() {
        std::fs::write(path, &drawn).unwrap();
    }
    assert_eq!(
        drawn,
        std::fs::read_to_string(path).unwrap(),
        "look at it, then set KINDLING_REDRAW=1 to keep the new one"
    );
}

//! Draws charts of made-up runs in both themes into a folder: `cargo run -p figure --features png --example gallery DIR`.

use std::path::Path;

use figure::curve::point;
use figure::png::PngWriter;
use figure::{ChartSpec, Curve, Drawing, Frame, Marker, Reference, Role, Scale, ScaleKind, Size, Style, Theme, chart};
use wire::control::author::Author;
use wire::series::Bucket;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder to draw into")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let writer = PngWriter::new()?;
    let noise = Noise(7);
    for (name, drawing) in [
        ("loss", loss(noise)),
        ("log", logarithmic(noise)),
        ("rate", rate()),
        ("phases", phases(noise)),
        ("many", many(noise)),
    ] {
        for (theme, suffix) in [(Theme::Light, "light"), (Theme::Dark, "dark")] {
            std::fs::write(folder.join(format!("{name}-{suffix}.svg")), figure::svg(&drawing.scene, theme))?;
            std::fs::write(folder.join(format!("{name}-{suffix}.png")), writer.png(&drawing.scene, theme, 1.5)?)?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Noise(u64);

impl Noise {
    /// About normal, around 0.
    fn next(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..4 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.0 >> 33) as f64 / (1u64 << 31) as f64 - 0.5;
        }
        sum * 1.7
    }
}

fn course(step: f64) -> f64 {
    1.42 + 2.75 * (1.0 + step / 90.0).powf(-0.62)
}

/// Buckets of `width` steps, as the store aggregates them.
fn fold(from: u64, to: u64, width: u64, value: &mut dyn FnMut(u64) -> f64) -> Vec<Bucket> {
    let bucket = |first: u64| {
        let last = (first + width - 1).min(to - 1);
        let all: Vec<f64> = (first..=last).map(&mut *value).collect();
        let (low, high) = all.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (v.min(low), v.max(high)));
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        Bucket {
            step: first,
            last_step: last,
            x: first as f64,
            last_x: last as f64,
            min: low,
            max: high,
            mean,
            count: all.len() as u64,
        }
    };
    (from..to).step_by(width as usize).map(bucket).collect()
}

fn marker(x: f64, phrase: &str, author: Author, is_alarm: bool) -> Marker {
    Marker { x, phrase: phrase.into(), author, is_alarm, is_change: !is_alarm }
}

fn references() -> Vec<Reference> {
    let line = |label: &str, value, role| Reference { label: label.into(), value, role };
    vec![line("ln V", 4.174, Role::InkFaint), line("unigram", 3.31, Role::InkFaint), line("floor", 1.28, Role::Floor)]
}

fn loss(mut noise: Noise) -> Drawing {
    let mut step_loss = |step: u64| match step {
        4310 => 3.9,
        _ => course(step as f64) + 0.055 * noise.next(),
    };
    let train = fold(0, 6200, 8, &mut step_loss);
    let abandoned = fold(4700, 5100, 8, &mut |step| course(step as f64) + ((step - 4700) as f64 / 400.0).powi(2) * 0.9);
    let valid: Vec<Bucket> =
        (0..=24).map(|at| point(at * 250, (at * 250) as f64, course((at * 250) as f64) + 0.06)).collect();
    let curves = [
        Curve { style: Style::Abandoned, ..Curve::new("", Role::Abandoned, &abandoned) },
        Curve { is_live: true, ..Curve::new("train", Role::Accent, &train) },
        Curve::new("valid", Role::Run(0), &valid),
    ];
    let spec = ChartSpec {
        title: "loss".into(),
        unit: "nats/token".into(),
        to: Some(8000.0),
        references: references(),
        markers: vec![
            marker(1500.0, "rate × ½", Author::Person("ada".into()), false),
            marker(3000.0, "clip 1 → 0.5", Author::Agent("second".into()), false),
            marker(4310.0, "spike z = 9", Author::Rule("spike".into()), true),
            marker(5100.0, "rolled back to 4 700", Author::Person("ada".into()), false),
        ],
        crosshair: Some(2200.0),
        frame: Frame { has_lane: true, ..Frame::default() },
        ..ChartSpec::default()
    };
    chart(&spec, &curves, Size::new(960.0, 380.0))
}

fn logarithmic(mut noise: Noise) -> Drawing {
    let train = fold(0, 400_000, 400, &mut |step| {
        if step == 250_000 { 9.5 } else { course(step as f64 / 20.0) + 0.05 * noise.next() }
    });
    let curves = [Curve { smoothing: Some(8000.0), ..Curve::new("train", Role::Run(2), &train) }];
    let spec = ChartSpec {
        title: "loss".into(),
        unit: "nats/token".into(),
        y_scale: ScaleKind::Log,
        references: references(),
        ..ChartSpec::default()
    };
    chart(&spec, &curves, Size::new(960.0, 300.0))
}

fn rate() -> Drawing {
    let cosine = |step: u64| {
        6e-4 * if step < 200 {
            step as f64 / 200.0
        } else {
            0.55 + 0.45 * (step as f64 / 8000.0 * std::f64::consts::PI).cos()
        }
    };
    let line = |from: u64, to: u64| -> Vec<Bucket> {
        (from..=to).step_by(20).map(|step| point(step, step as f64, cosine(step))).collect()
    };
    let (past, planned) = (line(0, 3000), line(3000, 8000));
    let curves = [
        Curve { is_live: true, ..Curve::new("rate", Role::Accent, &past) },
        Curve { style: Style::Planned, ..Curve::new("planned", Role::Accent, &planned) },
    ];
    let spec =
        ChartSpec { title: "learning rate".into(), unit: "per step".into(), has_zero: true, ..ChartSpec::default() };
    chart(&spec, &curves, Size::new(470.0, 200.0))
}

fn phases(mut noise: Noise) -> Drawing {
    let mut part = |mean: f64| fold(0, 2000, 5, &mut |_| mean * (1.0 + 0.05 * noise.next()));
    let parts = [part(1.2), part(18.0), part(4.0), part(0.8)];
    let names = ["batch", "gradient", "optimizer", "other"];
    let stacked = |(at, name): (usize, &'static str)| Curve {
        style: Style::Stacked,
        ..Curve::new(name, Role::Run(at as u8), &parts[at])
    };
    let curves: Vec<Curve> = names.into_iter().enumerate().map(stacked).collect();
    let spec = ChartSpec { title: "step time".into(), unit: "ms".into(), ..ChartSpec::default() };
    chart(&spec, &curves, Size::new(640.0, 220.0))
}

fn many(mut noise: Noise) -> Drawing {
    let run =
        |at: u64| fold(0, 4000, 8, &mut |step| course(step as f64 * (0.5 + at as f64 / 8.0)) + 0.03 * noise.next());
    let runs: Vec<Vec<Bucket>> = (0..10).map(run).collect();
    let names = [
        "amber-fox",
        "blue-heron",
        "calm-otter",
        "dusk-wren",
        "early-moth",
        "far-lynx",
        "gold-carp",
        "high-kite",
        "iron-crow",
        "jade-newt",
    ];
    let curves: Vec<Curve> =
        runs.iter().enumerate().map(|(at, buckets)| Curve::new(names[at], Role::Run(at as u8), buckets)).collect();
    let end = Scale::new(ScaleKind::Linear, 0.0, 4000.0).to;
    let spec = ChartSpec {
        title: "validation loss".into(),
        unit: "nats/token".into(),
        to: Some(end),
        y_fraction: Some(0.97),
        ..ChartSpec::default()
    };
    chart(&spec, &curves, Size::new(960.0, 320.0))
}

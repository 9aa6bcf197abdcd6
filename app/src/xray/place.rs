//! Where one is inside the model. The address carries it, so that a view can be sent to someone and the browser's back leads back.

use wire::look::{Of, Window};

/// A view of the inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The whole model, lit.
    Map,
    /// The patterns of a block's heads.
    Attention { layer: u32, head: u32 },
    /// What would be said after each block.
    Lens,
    /// A block's units.
    Mlp { layer: u32, unit: Option<u32> },
    /// All matrices in little.
    Weights { of: Of },
    /// One of them.
    Matrix { tensor: String, of: Of },
    /// Tokens on a plane.
    Embedding,
    /// Changes by hand.
    Hands,
    /// The text of a step's batch.
    Batch { step: Option<u64> },
    /// What forms over the steps.
    Emergence,
}

/// The views in the order of the tabs, with their words.
pub(crate) const TABS: [(&str, &str); 9] = [
    ("map", "Map"),
    ("attention", "Attention"),
    ("lens", "Lens"),
    ("mlp", "MLP"),
    ("weights", "Weights"),
    ("embedding", "Embedding"),
    ("hands", "Hands"),
    ("batch", "Batch"),
    ("emergence", "Emergence"),
];

/// The words of what of a parameter is shown.
pub(crate) const OF: [(Of, &str); 3] = [(Of::Weight, "weight"), (Of::Gradient, "gradient"), (Of::Update, "update")];

fn of_word(of: Of) -> &'static str {
    OF.iter().find(|(known, _)| *known == of).map_or("weight", |(_, word)| word)
}

impl Place {
    /// Reads an address's query; what it does not know is the map.
    pub(crate) fn parse(get: impl Fn(&str) -> Option<String>) -> Self {
        let number = |key: &str| get(key).and_then(|text| text.parse().ok());
        let of = || {
            let word = get("of").unwrap_or_default();
            OF.iter().find(|(_, known)| *known == word).map_or(Of::Weight, |(of, _)| *of)
        };
        let (layer, head) = (number("layer").unwrap_or(0), number("head").unwrap_or(0));
        match get("view").as_deref() {
            Some("attention") => Self::Attention { layer, head },
            Some("lens") => Self::Lens,
            Some("mlp") => Self::Mlp { layer, unit: number("unit") },
            Some("weights") => match get("tensor") {
                Some(tensor) => Self::Matrix { tensor, of: of() },
                None => Self::Weights { of: of() },
            },
            Some("embedding") => Self::Embedding,
            Some("hands") => Self::Hands,
            Some("emergence") => Self::Emergence,
            Some("map") => Self::Map,
            view => match get("batch").and_then(|step| step.parse().ok()) {
                Some(step) => Self::Batch { step: Some(step) },
                None if view == Some("batch") => Self::Batch { step: None },
                None => Self::Map,
            },
        }
    }

    /// The query that leads here; [`Place::parse`] reads it back.
    pub(crate) fn query(&self) -> String {
        match self {
            Self::Map => "view=map".into(),
            Self::Attention { layer, head } => format!("view=attention&layer={layer}&head={head}"),
            Self::Mlp { layer, unit } => {
                format!("view=mlp&layer={layer}{}", unit.map(|unit| format!("&unit={unit}")).unwrap_or_default())
            }
            Self::Weights { of } => format!("view=weights&of={}", of_word(*of)),
            Self::Matrix { tensor, of } => format!("view=weights&of={}&tensor={tensor}", of_word(*of)),
            Self::Batch { step: Some(step) } => format!("batch={step}"),
            other => format!("view={}", other.tab()),
        }
    }

    /// Its tab.
    pub(crate) fn tab(&self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Attention { .. } => "attention",
            Self::Lens => "lens",
            Self::Mlp { .. } => "mlp",
            Self::Weights { .. } | Self::Matrix { .. } => "weights",
            Self::Embedding => "embedding",
            Self::Hands => "hands",
            Self::Batch { .. } => "batch",
            Self::Emergence => "emergence",
        }
    }

    /// The first view of a tab.
    pub(crate) fn of_tab(tab: &str) -> Self {
        Self::parse(|key| (key == "view").then(|| tab.to_owned()))
    }

    /// One level up; none on the map.
    pub(crate) fn up(&self) -> Option<Self> {
        match self {
            Self::Map => None,
            Self::Mlp { layer, unit: Some(_) } => Some(Self::Mlp { layer: *layer, unit: None }),
            Self::Matrix { of, .. } => Some(Self::Weights { of: *of }),
            _ => Some(Self::Map),
        }
    }

    /// The way here from the map, each step with its words.
    pub(crate) fn path(&self) -> Vec<(Self, String)> {
        let mut path = vec![(Self::Map, "X-ray".to_owned())];
        let block = |layer: &u32, part: &str| format!("block {layer} {part}");
        match self {
            Self::Map => {}
            Self::Attention { layer, head } => {
                path.push((Self::Attention { layer: *layer, head: 0 }, block(layer, "attention")));
                path.push((self.clone(), format!("head {head}")));
            }
            Self::Mlp { layer, unit } => {
                path.push((Self::Mlp { layer: *layer, unit: None }, block(layer, "MLP")));
                path.extend(unit.map(|unit| (self.clone(), format!("unit {unit}"))));
            }
            Self::Matrix { tensor, of } => {
                path.push((Self::Weights { of: *of }, "Weights".into()));
                path.push((self.clone(), tensor.clone()));
            }
            Self::Batch { step: Some(step) } => {
                path.push((self.clone(), format!("batch of step {}", figure::number::whole(*step))));
            }
            other => {
                let word = TABS.iter().find(|(tab, _)| *tab == other.tab()).map_or("", |(_, word)| word);
                path.push((other.clone(), word.to_owned()));
            }
        }
        path
    }

    /// The place that a part of the map leads to.
    pub(crate) fn of_part(name: &str) -> Self {
        let mut parts = name.split('.');
        match (parts.next(), parts.next().and_then(|layer| layer.parse().ok()), parts.next()) {
            (Some("block"), Some(layer), Some("attention")) => Self::Attention { layer, head: 0 },
            (Some("block"), Some(layer), Some(_)) => Self::Mlp { layer, unit: None },
            (Some("embedding"), ..) => Self::Embedding,
            _ => Self::Lens,
        }
    }
}

/// A window of a matrix made `factor` times as large about a cell, within the matrix and never less than a few cells.
pub(crate) fn zoomed(window: Window, shape: [u32; 2], about: (f64, f64), factor: f64) -> Window {
    const LEAST: u32 = 4;
    let side = |first: u32, count: u32, whole: u32, about: f64| {
        let wanted = ((f64::from(count) * factor).round() as u32).clamp(LEAST.min(whole), whole.max(1));
        let share = ((about - f64::from(first)) / f64::from(count.max(1))).clamp(0.0, 1.0);
        let from = (about - share * f64::from(wanted)).round().clamp(0.0, f64::from(whole - wanted.min(whole)));
        (from as u32, wanted)
    };
    let (row, rows) = side(window.row, window.rows, shape[0], about.0);
    let (column, columns) = side(window.column, window.columns, shape[1], about.1);
    Window { row, column, rows, columns }
}

/// A window moved by cells, within the matrix.
pub(crate) fn moved(window: Window, shape: [u32; 2], by: (f64, f64)) -> Window {
    let side = |first: u32, count: u32, whole: u32, by: f64| {
        (f64::from(first) + by).round().clamp(0.0, f64::from(whole.saturating_sub(count))) as u32
    };
    Window {
        row: side(window.row, window.rows, shape[0], by.0),
        column: side(window.column, window.columns, shape[1], by.1),
        ..window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Place {
        let get = |key: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.to_owned())
        };
        Place::parse(get)
    }

    #[test]
    fn an_address_leads_back_to_its_place() {
        let places = [
            Place::Map,
            Place::Attention { layer: 2, head: 1 },
            Place::Lens,
            Place::Mlp { layer: 1, unit: None },
            Place::Mlp { layer: 1, unit: Some(77) },
            Place::Weights { of: Of::Gradient },
            Place::Matrix { tensor: "block.0.attention.query".into(), of: Of::Update },
            Place::Embedding,
            Place::Hands,
            Place::Batch { step: Some(4120) },
            Place::Batch { step: None },
            Place::Emergence,
        ];
        for place in places {
            assert_eq!(read(&place.query()), place);
            // Going up always ends on the map.
            let mut at = place.clone();
            let levels = std::iter::from_fn(|| at.up().inspect(|up| at = up.clone())).count();
            assert!(levels <= 2 && at == Place::Map, "{place:?}");
            assert_eq!(place.path()[0].0, Place::Map);
        }
        for (tab, _) in TABS {
            assert_eq!(Place::of_tab(tab).tab(), tab);
        }
        assert_eq!(read("view=mood&layer=x"), Place::Map);
        assert_eq!(read("batch=12"), Place::Batch { step: Some(12) }, "the Run page's link");
    }

    #[test]
    fn parts_of_the_map_lead_inside() {
        assert_eq!(Place::of_part("block.3.attention"), Place::Attention { layer: 3, head: 0 });
        assert_eq!(Place::of_part("block.0.mlp"), Place::Mlp { layer: 0, unit: None });
        assert_eq!(Place::of_part("embedding"), Place::Embedding);
        assert_eq!(Place::of_part("head"), Place::Lens);
    }

    #[test]
    fn a_window_stays_in_its_matrix_at_any_zoom() {
        let shape = [96, 7];
        let mut window = Window { row: 0, column: 0, rows: 96, columns: 7 };
        for turn in 0..400 {
            let about = (f64::from(turn * 37 % 110), f64::from(turn % 9));
            window = zoomed(window, shape, about, if turn % 3 == 0 { 1.6 } else { 0.7 });
            window = moved(window, shape, (f64::from(turn % 13) - 6.0, f64::from(turn % 5) - 2.0));
            assert!(window.rows >= 4 && window.columns >= 4, "{window:?}");
            assert!(window.row + window.rows <= 96 && window.column + window.columns <= 7, "{window:?}");
        }
        let small = zoomed(Window { row: 0, column: 0, rows: 1, columns: 3 }, [1, 3], (0.0, 0.0), 0.1);
        assert_eq!((small.rows, small.columns), (1, 3), "a matrix of fewer cells is shown whole");
        // What is under the pointer stays there.
        let near = zoomed(Window { row: 0, column: 0, rows: 100, columns: 100 }, [100, 100], (50.0, 20.0), 0.5);
        assert_eq!((near.row, near.column, near.rows), (25, 10, 50));
    }
}

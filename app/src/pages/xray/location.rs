//! Where in the model the page is. The address carries it, so that a view can be shared as a link and the browser's
//! back button works.

use wire::inspect::request::TensorValues;

/// A view of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// All components.
    Overview,
    /// The attention patterns of a block, one head large.
    Attention { layer: u32, head: u32 },
    /// The prediction after each block.
    LogitLens,
    /// The MLP neurons of a block.
    Neurons { layer: u32 },
    /// One of them.
    Neuron { layer: u32, neuron: u32 },
    /// All matrices, small.
    Weights { values: TensorValues },
    /// One of them, large.
    Matrix { tensor: String, values: TensorValues },
    /// The token embeddings on two principal components.
    Embedding,
    /// Ablations and scalings.
    Interventions,
    /// The sequences of a step's batch; `None` until a step is chosen. With a segment, the batch that was trained on the path to it: another
    /// than that of the run's path, if a rollback skipped batches.
    Batch { step: Option<u64>, segment: Option<u32> },
    /// Scores of heads over the steps.
    Emergence,
}

/// A tab: its word in the address, its label and its tooltip.
pub(crate) struct Tab {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    pub(crate) tooltip: &'static str,
}

const fn tab(id: &'static str, label: &'static str, tooltip: &'static str) -> Tab {
    Tab { id, label, tooltip }
}

/// The tabs in order.
pub(crate) const TABS: [Tab; 9] = [
    tab("overview", "Overview", "All components, and the inspected text colored by loss"),
    tab("attention", "Attention", "Attention patterns of all heads of a block"),
    tab("logit_lens", "Logit lens", "The model's prediction after each block"),
    tab("neurons", "Neurons", "Activations of a block's MLP neurons"),
    tab("weights", "Weights", "Every weight matrix, its gradient and its update"),
    tab("embedding", "Embedding", "Token embeddings on their first two principal components"),
    tab("interventions", "Interventions", "Ablate or scale components and measure the effect on the loss"),
    tab("batch", "Batch", "The training sequences of one step, colored by loss"),
    tab("emergence", "Emergence", "Scores of attention heads over the training steps"),
];

/// The values of a parameter, with their words in the address and on the page.
pub(crate) const VALUES: [(TensorValues, &str); 3] =
    [(TensorValues::Weight, "weight"), (TensorValues::Gradient, "gradient"), (TensorValues::Update, "update")];

fn values_word(values: TensorValues) -> &'static str {
    VALUES.iter().find(|(known, _)| *known == values).map_or("weight", |(_, word)| word)
}

fn values_of(word: Option<String>) -> TensorValues {
    let word = word.unwrap_or_default();
    VALUES.iter().find(|(_, known)| *known == word).map_or(TensorValues::Weight, |(values, _)| *values)
}

impl Location {
    /// Reads the query of an address; an unknown view is the overview.
    pub(crate) fn parse(get: impl Fn(&str) -> Option<String>) -> Self {
        let number = |key: &str| get(key).and_then(|text| text.parse::<u32>().ok());
        let layer = number("layer").unwrap_or(0);
        match get("view").as_deref() {
            Some("attention") => Self::Attention { layer, head: number("head").unwrap_or(0) },
            Some("logit_lens") => Self::LogitLens,
            Some("neurons") => match number("neuron") {
                Some(neuron) => Self::Neuron { layer, neuron },
                None => Self::Neurons { layer },
            },
            Some("weights") => match (get("tensor"), values_of(get("values"))) {
                (Some(tensor), values) => Self::Matrix { tensor, values },
                (None, values) => Self::Weights { values },
            },
            Some("embedding") => Self::Embedding,
            Some("interventions") => Self::Interventions,
            Some("emergence") => Self::Emergence,
            Some("overview") => Self::Overview,
            view => {
                let is_batch = view == Some("batch");
                // Links to the batch of a finding name its step as those to other views do.
                let step = get("batch").or_else(|| get("step").filter(|_| is_batch));
                match step.and_then(|step| step.parse().ok()) {
                    Some(step) => Self::Batch { step: Some(step), segment: number("segment") },
                    None if is_batch => Self::Batch { step: None, segment: None },
                    None => Self::Overview,
                }
            }
        }
    }

    /// The query of its address; [`Location::parse`] reads it back.
    pub(crate) fn query(&self) -> String {
        match self {
            Self::Attention { layer, head } => format!("view=attention&layer={layer}&head={head}"),
            Self::Neurons { layer } => format!("view=neurons&layer={layer}"),
            Self::Neuron { layer, neuron } => format!("view=neurons&layer={layer}&neuron={neuron}"),
            Self::Weights { values } => format!("view=weights&values={}", values_word(*values)),
            Self::Matrix { tensor, values } => format!("view=weights&values={}&tensor={tensor}", values_word(*values)),
            Self::Batch { step: Some(step), segment } => {
                let segment = segment.map(|segment| format!("&segment={segment}")).unwrap_or_default();
                format!("batch={step}{segment}")
            }
            other => format!("view={}", other.tab()),
        }
    }

    /// The id of its tab.
    pub(crate) fn tab(&self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Attention { .. } => "attention",
            Self::LogitLens => "logit_lens",
            Self::Neurons { .. } | Self::Neuron { .. } => "neurons",
            Self::Weights { .. } | Self::Matrix { .. } => "weights",
            Self::Embedding => "embedding",
            Self::Interventions => "interventions",
            Self::Batch { .. } => "batch",
            Self::Emergence => "emergence",
        }
    }

    /// Whether it shows one item of its tab: a neuron or a matrix.
    pub(crate) fn is_detail(&self) -> bool {
        matches!(self, Self::Neuron { .. } | Self::Matrix { .. })
    }

    /// The first view of a tab.
    pub(crate) fn of_tab(tab: &str) -> Self {
        Self::parse(|key| (key == "view").then(|| tab.to_owned()))
    }

    /// One level up; none from the overview.
    pub(crate) fn up(&self) -> Option<Self> {
        match self {
            Self::Overview => None,
            Self::Neuron { layer, .. } => Some(Self::Neurons { layer: *layer }),
            Self::Matrix { values, .. } => Some(Self::Weights { values: *values }),
            _ => Some(Self::Overview),
        }
    }

    /// The levels from the overview to here, with their labels.
    pub(crate) fn breadcrumbs(&self) -> Vec<(Self, String)> {
        let mut crumbs = vec![(Self::Overview, "X-ray".to_owned())];
        match self {
            Self::Overview => {}
            Self::Attention { layer, head } => {
                crumbs.push((Self::Attention { layer: *layer, head: 0 }, format!("block {layer} attention")));
                crumbs.push((self.clone(), format!("head {head}")));
            }
            Self::Neurons { layer } => crumbs.push((self.clone(), format!("block {layer} MLP"))),
            Self::Neuron { layer, neuron } => {
                crumbs.push((Self::Neurons { layer: *layer }, format!("block {layer} MLP")));
                crumbs.push((self.clone(), format!("neuron {neuron}")));
            }
            Self::Matrix { tensor, values } => {
                crumbs.push((Self::Weights { values: *values }, "Weights".into()));
                crumbs.push((self.clone(), tensor.clone()));
            }
            Self::Batch { step: Some(step), .. } => {
                crumbs.push((self.clone(), format!("batch of step {}", figure::number::whole(*step))));
            }
            other => crumbs.push((other.clone(), other.tab_label().to_owned())),
        }
        crumbs
    }

    fn tab_label(&self) -> &'static str {
        TABS.iter().find(|tab| tab.id == self.tab()).map_or("", |tab| tab.label)
    }

    /// The view of a component of the overview.
    pub(crate) fn of_component(name: &str) -> Self {
        let mut words = name.split('.');
        match (words.next(), words.next().and_then(|layer| layer.parse().ok()), words.next()) {
            (Some("block"), Some(layer), Some("attention")) => Self::Attention { layer, head: 0 },
            (Some("block"), Some(layer), Some(_)) => Self::Neurons { layer },
            (Some("embedding"), ..) => Self::Embedding,
            _ => Self::LogitLens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Location {
        let get = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
        };
        Location::parse(get)
    }

    #[test]
    fn the_query_of_a_location_is_read_back() {
        let locations = [
            Location::Overview,
            Location::Attention { layer: 2, head: 1 },
            Location::LogitLens,
            Location::Neurons { layer: 1 },
            Location::Neuron { layer: 1, neuron: 77 },
            Location::Weights { values: TensorValues::Gradient },
            Location::Matrix { tensor: "block.0.attention.query".into(), values: TensorValues::Update },
            Location::Embedding,
            Location::Interventions,
            Location::Batch { step: Some(4120), segment: None },
            Location::Batch { step: Some(651), segment: Some(0) },
            Location::Batch { step: None, segment: None },
            Location::Emergence,
        ];
        for location in locations {
            assert_eq!(read(&location.query()), location);
            let mut at = location.clone();
            let levels = std::iter::from_fn(|| at.up().inspect(|up| at = up.clone())).count();
            assert!(levels <= 2 && at == Location::Overview, "{location:?} leads up to the overview");
            assert_eq!(location.breadcrumbs()[0].0, Location::Overview);
        }
        for tab in &TABS {
            assert_eq!(Location::of_tab(tab.id).tab(), tab.id);
        }
        assert_eq!(read("view=mood&layer=x"), Location::Overview);
        let batch = |step| Location::Batch { step: Some(step), segment: None };
        assert_eq!(read("batch=12"), batch(12), "the link of the Run page");
        assert_eq!(read("view=batch&step=2267"), batch(2267), "the link of a finding");
        assert_eq!(read("batch=12&step=8"), batch(12), "a shared view at a past step");
        assert_eq!(read("view=overview&step=12"), Location::Overview);
    }

    #[test]
    fn components_lead_to_their_views() {
        assert_eq!(Location::of_component("block.3.attention"), Location::Attention { layer: 3, head: 0 });
        assert_eq!(Location::of_component("block.0.mlp"), Location::Neurons { layer: 0 });
        assert_eq!(Location::of_component("embedding"), Location::Embedding);
        assert_eq!(Location::of_component("head"), Location::LogitLens);
    }
}

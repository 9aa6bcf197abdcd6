//! What an embed shows, as it is chosen on the form, and the path that names it for the server.

use wire::RunId;
use wire::access::embed::EmbedView;
use wire::series::{Axis, describe, name};

use crate::components::axis_word;

/// A chart or an inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The view of the page as it is.
    Page,
    /// The losses of one run, or the training losses of several.
    Loss,
    /// A time series, by its name.
    Series(String),
    /// The attention pattern of a head.
    Attention,
    /// The prediction after each block.
    LogitLens,
}

impl What {
    /// Its value in a select element.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Page => "page".into(),
            Self::Loss => "loss".into(),
            Self::Attention => "attention".into(),
            Self::LogitLens => "logit_lens".into(),
            Self::Series(series) => format!("series:{series}"),
        }
    }

    /// Reads [`What::word`]; an unknown word is the loss.
    pub(super) fn of_word(word: &str) -> Self {
        match (word, word.strip_prefix("series:")) {
            (_, Some(series)) => Self::Series(series.to_owned()),
            ("page", _) => Self::Page,
            ("attention", _) => Self::Attention,
            ("logit_lens", _) => Self::LogitLens,
            _ => Self::Loss,
        }
    }

    /// Whether it is a chart, with an x axis.
    pub(super) fn is_chart(&self) -> bool {
        matches!(self, Self::Loss | Self::Series(_))
    }

    /// Its name, for those who cannot see it.
    pub(super) fn title(&self, of: &str) -> String {
        match self {
            Self::Page => format!("Inspection of {of}"),
            Self::Loss => format!("Loss of {of}"),
            Self::Series(series) => format!("{} of {of}", describe(series).label),
            Self::Attention => format!("Attention pattern of {of}"),
            Self::LogitLens => format!("Logit lens of {of}"),
        }
    }
}

/// The choices of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) what: What,
    pub(super) axis: Axis,
    pub(super) is_log: bool,
    pub(super) layer: u32,
    pub(super) head: u32,
}

impl Chosen {
    /// The path of the link. `page` is the path of the open page.
    pub(super) fn path(&self, runs: &[RunId], page: &str) -> String {
        let series = match (&self.what, runs.len()) {
            (What::Series(series), _) => Some(series.as_str()),
            (_, 0 | 1) => None,
            _ => Some(name::TRAIN),
        };
        match (&self.what, runs) {
            (What::Page, _) | (_, []) => page.to_owned(),
            (What::Attention, [run, ..]) => {
                format!("/runs/{run}/xray?view=attention&layer={}&head={}", self.layer, self.head)
            }
            (What::LogitLens, [run, ..]) => format!("/runs/{run}/xray?view=logit_lens"),
            (_, [run]) => self.chart(format!("/runs/{run}"), vec![], series),
            (_, runs) => {
                let runs: Vec<&str> = runs.iter().map(RunId::as_str).collect();
                self.chart("/compare".into(), vec![format!("runs={}", runs.join(","))], series)
            }
        }
    }

    fn chart(&self, path: String, mut query: Vec<String>, series: Option<&str>) -> String {
        query.extend(series.map(|series| format!("chart={}", encoded(series))));
        query.extend((self.axis != Axis::Step).then(|| format!("x={}", axis_word(self.axis))));
        query.extend(self.is_log.then(|| "log=1".to_owned()));
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }
}

/// A name as the value of a query. Names of series have letters, digits, dots, dashes and underscores; those of datasets may have others.
fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => text.push(byte.into()),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Whether the view of the page can be embedded as it is: an inspection of the X-ray page.
pub(super) fn is_inspection(page: &str) -> bool {
    matches!(EmbedView::of(page), Ok(EmbedView::Inspection(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_names_what_it_shows() {
        let chosen = |what, axis, is_log| Chosen { what, axis, is_log, layer: 1, head: 2 };
        let one: Vec<RunId> = vec!["amber-fox".parse().unwrap()];
        let two: Vec<RunId> = vec!["amber-fox".parse().unwrap(), "red-owl".parse().unwrap()];
        for (what, axis, is_log, runs, expected) in [
            (What::Loss, Axis::Step, false, &one, "/runs/amber-fox"),
            (What::Loss, Axis::Tokens, true, &one, "/runs/amber-fox?x=tokens&log=1"),
            (What::Series("grad_norm".into()), Axis::Secs, false, &one, "/runs/amber-fox?chart=grad_norm&x=secs"),
            (What::Loss, Axis::Step, false, &two, "/compare?runs=amber-fox,red-owl&chart=loss.train"),
            (What::Attention, Axis::Step, false, &one, "/runs/amber-fox/xray?view=attention&layer=1&head=2"),
            (What::LogitLens, Axis::Step, false, &one, "/runs/amber-fox/xray?view=logit_lens"),
        ] {
            assert_eq!(What::of_word(&what.word()), what);
            let path = chosen(what, axis, is_log).path(runs, "/");
            assert_eq!(path, expected);
            assert_eq!(EmbedView::of(&path).unwrap().runs(), &runs[..], "{path}");
        }
        assert!(is_inspection("/runs/amber-fox/xray?view=attention&layer=0&head=1&step=64"));
        assert!(!is_inspection("/runs/amber-fox"));
    }
}

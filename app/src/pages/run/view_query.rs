//! The view of the charts in the address: the range, the x axis and the options, as they are shared and presented. The words for the x axis
//! and the y axis are those of embeds.

use wire::series::Axis;

use super::context::ChartOptions;
use super::viewport::Viewport;
use crate::components::chart::Range;
use crate::components::{axis_of, axis_word};

/// What of the page is shared and presented.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct SharedView {
    pub(super) options: ChartOptions,
    pub(super) viewport: Viewport,
    /// The selected event of the journal.
    pub(super) picked: Option<u64>,
    /// The finding whose card is open.
    pub(super) finding: Option<u64>,
}

/// The query of a view; empty for the usual one.
pub(super) fn write(view: SharedView) -> String {
    let SharedView { options, viewport, picked, finding } = view;
    let ChartOptions { axis, is_log, in_bits, is_smooth, clips_spikes } = options;
    let switches = [(is_log, "log"), (in_bits, "bits"), (is_smooth, "smooth"), (clips_spikes, "clip")];
    let mut parts: Vec<String> = vec![];
    parts.extend((axis != Axis::Step).then(|| format!("x={}", axis_word(axis))));
    parts.extend(switches.into_iter().filter(|(is_on, _)| *is_on).map(|(_, word)| format!("{word}=1")));
    parts.extend(match viewport {
        Viewport::Whole => None,
        Viewport::Plan => Some("range=plan".to_owned()),
        Viewport::Newest { length } => Some(format!("range=newest,{length}")),
        Viewport::Fixed(Range { from, to }) => Some(format!("range={from},{to}")),
    });
    parts.extend(picked.map(|number| format!("event={number}")));
    parts.extend(finding.map(|number| format!("finding={number}")));
    parts.join("&")
}

/// Reads what [`write`] has written; what is missing or unreadable is as usual.
pub(super) fn read(get: impl Fn(&str) -> Option<String>) -> SharedView {
    let is_on = |key: &str| get(key).as_deref() == Some("1");
    let options = ChartOptions {
        axis: axis_of(&get("x").unwrap_or_default()),
        is_log: is_on("log"),
        in_bits: is_on("bits"),
        is_smooth: is_on("smooth"),
        clips_spikes: is_on("clip"),
    };
    let viewport = get("range").and_then(|text| viewport_of(&text)).unwrap_or_default();
    let number = |key: &str| get(key).and_then(|number| number.parse().ok());
    SharedView { options, viewport, picked: number("event"), finding: number("finding") }
}

fn viewport_of(text: &str) -> Option<Viewport> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    match text.split_once(',') {
        None => (text == "plan").then_some(Viewport::Plan),
        Some(("newest", length)) => {
            number(length).filter(|length| *length > 0.0).map(|length| Viewport::Newest { length })
        }
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to)?);
            (from < to).then_some(Viewport::Fixed(Range { from, to }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(query: &str) -> impl Fn(&str) -> Option<String> {
        move |key| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
        }
    }

    #[test]
    fn a_view_is_read_back() {
        let usual = ChartOptions::default();
        let all = ChartOptions { axis: Axis::Flops, is_log: true, in_bits: true, is_smooth: true, clips_spikes: true };
        for (options, viewport, picked, finding, query) in [
            (usual, Viewport::Whole, None, None, ""),
            (usual, Viewport::Plan, Some(41), None, "range=plan&event=41"),
            (usual, Viewport::Whole, Some(41), Some(3), "event=41&finding=3"),
            (
                ChartOptions { axis: Axis::Tokens, ..usual },
                Viewport::Newest { length: 250.0 },
                None,
                None,
                "x=tokens&range=newest,250",
            ),
            (
                all,
                Viewport::Fixed(Range { from: 10.5, to: 900.0 }),
                None,
                None,
                "x=flops&log=1&bits=1&smooth=1&clip=1&range=10.5,900",
            ),
        ] {
            let view = SharedView { options, viewport, picked, finding };
            assert_eq!(write(view), query);
            assert_eq!(read(get(query)), view);
        }
        for bad in ["range=1", "range=newest,-3", "range=9,1", "range=nan,1", "x=furlongs", "range=newest,inf"] {
            assert_eq!(read(get(bad)), SharedView::default(), "{bad}");
        }
    }
}

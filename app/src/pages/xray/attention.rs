//! Attention: the patterns of all heads of a block, one of them large, and what a token attends to.

mod head_stats;
mod pattern;
mod result;

use figure::Ramp;
use figure::heat::{causal, heat};
use figure::number;
use figure::scene::{Rect, Shape, Size};
use leptos::prelude::*;
use wire::inspect::request::Inspection;
use wire::inspect::result::{HeadStats, HeatMap};

use super::hook_point;
use super::inspected::inspected;
use super::inspections::result::Source;
use super::location::Location;
use super::state::XrayState;
use super::step::StepChoice;
use super::subscription::Subscription;
use super::timeline;
use super::token_text::token_text;
use super::tokens::percent;
use crate::components::{Canvas, clicks, says, shows};
use pattern::Pattern;
use result::Attention;

/// Above this induction score a head is marked.
const STRONG_INDUCTION: f32 = 0.5;

const INDUCTION: &str = "Induction score: mean attention weight on the token after the previous occurrence of the current \
                         token. Shown as “–” if no token occurs twice.";

const KIND: &str = "Induction head: induction score above 50 %. Previous-token head: previous-token score above 50 %. \
                    Uniform: attention entropy above 90 % of that of uniform attention. Sharp: below 10 % of it. Mixed: none of these.";

/// The view's subscription and the head chosen.
#[derive(Clone, Copy)]
struct Heads {
    xray: XrayState,
    subscription: Subscription,
    layer: Memo<u32>,
    head: Memo<u32>,
}

impl Heads {
    fn choose(self, head: u32) {
        self.xray.go(&Location::Attention { layer: self.layer.get_untracked(), head });
    }

    fn stats(self, head: u32) -> Option<HeadStats> {
        Attention::of(self.subscription.result.get().as_ref()).and_then(|shown| shown.heads.get(head as usize).copied())
    }

    /// Length of the text that the statistics are of; the patterns of a snapshot may have only its first tokens.
    fn text_tokens(self) -> usize {
        match self.subscription.result.get() {
            Some(result) if result.source == Source::Snapshot => self.xray.model.with_value(|model| model.seq),
            result => Attention::of(result.as_ref()).map_or(0, |shown| shown.tokens.len()),
        }
    }

    fn tokens(self) -> Vec<String> {
        Attention::of(self.subscription.result.get().as_ref()).map_or(vec![], |shown| shown.tokens.to_vec())
    }
}

pub(super) fn view(xray: XrayState, step: Signal<StepChoice>) -> AnyView {
    let chosen = move || match *xray.location.read() {
        Location::Attention { layer, head } => (layer, head),
        _ => (0, 0),
    };
    let (layer, head) = (Memo::new(move |_| chosen().0), Memo::new(move |_| chosen().1));
    let exists = Memo::new(move |_| layer.get() < xray.layers());
    let subscription =
        xray.subscribe(step, move |text| exists.get().then(|| Inspection::Attention { text, layer: layer.get() }));
    let heads = Heads { xray, subscription, layer, head };
    let to: fn(u32) -> Location = |layer| Location::Attention { layer, head: 0 };
    let block = move || match exists.get() {
        false => timeline::missing_block(xray, layer.get(), to),
        true => view! {
            <h2>{shows(move || format!("Attention patterns of block {}", layer.get()))}</h2>
            {hook_point::caption(move || hook_point::pattern(layer.get()))}
            {timeline::block_tabs(xray, move || layer.get(), to)}
            {inspected(xray, subscription, move || content(heads))}
        }
        .into_any(),
    };
    shows(block)
}

fn content(heads: Heads) -> AnyView {
    let Heads { subscription, head, .. } = heads;
    let count = Memo::new(move |_| {
        Attention::of(subscription.result.get().as_ref()).map_or(0, |shown| shown.patterns.len() as u32)
    });
    let cards = move || (0..count.get()).map(|each| view! { <HeadCard heads each /> }).collect_view();
    let table = move || {
        let result = subscription.result.get();
        let shown = Attention::of(result.as_ref());
        shown.map(|shown| {
            head_stats::table(shown.heads, heads.text_tokens(), head.get(), move |head| heads.choose(head))
        })
    };
    view! {
        <div class="heads" role="group" aria-label="Heads of the block">{shows(cards)}</div>
        <div class="attention-large">
            <Pattern xray=heads.xray subscription head />
            <Facts heads />
        </div>
        <AttendedText heads />
        <details><summary title="Statistics of every head of the block as a table">"Statistics of all heads"</summary>{shows(table)}</details>
    }
    .into_any()
}

/// A small pattern with the induction score; a button that enlarges it.
#[component]
fn HeadCard(heads: Heads, each: u32) -> impl IntoView {
    let stats = Memo::new(move |_| heads.stats(each));
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let result = heads.subscription.result.get();
        let pattern = Attention::of(result.as_ref()).and_then(|shown| shown.patterns.get(each as usize));
        let whole = Rect::new(0.0, 0.0, size.width, size.height);
        let drawn = |pattern: &HeatMap| heat(&causal(pattern), whole, Ramp::Shares, (0.0, pattern.high));
        pattern.map(drawn).into_iter().collect()
    };
    let label = Signal::derive(move || {
        stats.get().map_or(String::new(), |stats| format!("Pattern of head {each}: {}", head_stats::kind(&stats)))
    });
    let induction = move || {
        stats
            .get()
            .map(|stats| if stats.induction.is_nan() { "–".to_owned() } else { percent(f64::from(stats.induction)) })
    };
    let is_strong = move || stats.get().is_some_and(|stats| stats.induction > STRONG_INDUCTION);
    view! {
        <button
            class="head-card"
            class:strong=is_strong
            title="Enlarge the pattern of this head"
            aria-pressed=says(move || (heads.head.get() == each).to_string())
            on:click=clicks(move |_| heads.choose(each))> <Canvas
            class="thumb"
            label
            draw
        />
            <span class="row small">
                <b>{format!("head {each}")}</b>
                <span class="dim" title=INDUCTION>"induction "<span class="mono">{induction}</span></span>
            </span>
        </button>
    }
}

/// The text, coloured by the weights with which the chosen token attends to it.
#[component]
fn AttendedText(heads: Heads) -> impl IntoView {
    let tokens = Signal::derive(move || heads.tokens());
    let weights = move || {
        let result = heads.subscription.result.get();
        let shown = Attention::of(result.as_ref())?;
        let (pattern, row) = (shown.patterns.get(heads.head.get() as usize)?, heads.xray.token.get()?);
        let weight = |column: usize| pattern.value(row, column).filter(|_| column <= row).unwrap_or(f32::NAN);
        Some((0..shown.tokens.len()).map(weight).collect::<Vec<f32>>())
    };
    let tints = Signal::derive(move || weights().unwrap_or_default());
    let heading = move || match heads.xray.token.get() {
        Some(_) => format!("Tokens that the chosen token attends to, head {}", heads.head.get()),
        None => "Choose a token to see which tokens it attends to".to_owned(),
    };
    view! {
        <h3>{shows(heading)}</h3>
        {token_text(heads.xray, "The text, colored by attention weight", tokens, tints)}
    }
}

/// The statistics of the chosen head.
#[component]
fn Facts(heads: Heads) -> impl IntoView {
    let facts = move |stats: HeadStats| {
        let pairs = head_stats::facts(&stats, heads.text_tokens()).map(|(label, value, meaning)| {
            view! { <div title=meaning><dt>{label}</dt><dd class="mono">{value}</dd></div> }
        });
        view! {
            <div class="stack facts">
                <h3>{format!("Head {}", number::whole(u64::from(heads.head.get())))}</h3>
                <p title=KIND>{format!("kind: {}", head_stats::kind(&stats))}</p>
                <dl class="pairs">{pairs.collect_view()}</dl>
            </div>
        }
    };
    shows(move || heads.stats(heads.head.get()).map(facts))
}

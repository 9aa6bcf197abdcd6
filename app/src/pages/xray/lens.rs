//! The logit lens: what the model would say after each block, place by place, so that one sees where the answer appears.

use figure::Ramp;
use figure::heat::scale_bar;
use figure::number;
use figure::scene::{Anchor, Fill, Point, Rect, Role, Shape, Size, Stroke, Text};
use leptos::prelude::*;
use wire::look::Look;
use wire::sight::{LensCell, Sight};

use super::Inside;
use super::seat::{Seat, stand};
use super::text::loss_text;
use crate::parts::{OnTouch, Plate, Touch, says, shows};
use crate::xray::clock::When;
use crate::xray::tokens::{brief, percent, visible};

/// Most letters that are written of a token.
const LETTERS: usize = 9;
/// Pixels of a depth, of the names of depths, and of the button at the right that saves.
const DEPTH: f64 = 30.0;
const NAMES: f64 = 76.0;
const SAVE: f64 = 36.0;
/// Rows besides those of depths: the token read above, what comes next below, the scale.
const OVER: f64 = 22.0;
const UNDER: f64 = 64.0;

/// What a lens shows.
struct Lens<'a> {
    tokens: &'a [String],
    depths: &'a [String],
    cells: &'a [Vec<LensCell>],
    words: &'a [(u32, String)],
}

impl<'a> Lens<'a> {
    fn of(sight: &'a Sight) -> Option<Self> {
        match sight {
            Sight::Lens { tokens, depths, cells, words, .. } => Some(Self { tokens, depths, cells, words }),
            _ => None,
        }
    }

    fn word(&self, token: u32) -> &str {
        self.words.iter().find(|(known, _)| *known == token).map_or("?", |(_, word)| word)
    }

    fn cell(&self, depth: usize, place: usize) -> Option<&LensCell> {
        self.cells.get(depth)?.get(place)
    }

    /// Letters that are written of a word: as many as the longest token of the text has, so that single letters stand close.
    fn letters(&self) -> usize {
        self.tokens.iter().map(|token| brief(token, LETTERS).chars().count()).max().unwrap_or(1).max(2)
    }

    /// Pixels of a place.
    fn place(&self) -> f64 {
        14.0 + 6.6 * self.letters() as f64
    }

    /// The depth from which on the right token is the first guess, if it is at the end.
    fn appears(&self, place: usize) -> Option<usize> {
        let is_right = |depth: usize| self.cell(depth, place).is_some_and(|cell| cell.rank == 1);
        (0..self.depths.len()).rev().take_while(|depth| is_right(*depth)).last()
    }
}

/// The view.
pub(super) fn view(inside: Inside, when: Signal<When>) -> AnyView {
    let seat = inside.seat(when, |passage| Some(Look::Lens { passage }));
    stand(inside, seat, move || {
        view! {
            {loss_text(inside, seat)}
            <Table inside seat />
            <Column inside seat />
        }
        .into_any()
    })
}

/// The picture: columns of places, rows of depths.
#[component]
fn Table(inside: Inside, seat: Seat) -> impl IntoView {
    // The first place in sight; the chosen token is kept in sight.
    let first = RwSignal::new(0usize);
    let count = Memo::new(move |_| {
        seat.shown
            .get()
            .and_then(|shown| Lens::of(&shown.sight).map(|lens| (lens.tokens.len(), lens.depths.len())))
            .unwrap_or((0, 0))
    });
    let place = Memo::new(move |_| {
        seat.shown.get().and_then(|shown| Lens::of(&shown.sight).map(|lens| lens.place())).unwrap_or(DEPTH)
    });
    let width = RwSignal::new(0.0);
    let fits =
        move || (((width.get() - NAMES - SAVE) / place.get()).floor().max(1.0) as usize).min(count.get().0.max(1));
    Effect::new(move || {
        let Some(at) = inside.token.get() else { return };
        let from = first.get_untracked();
        let seen = untrack(fits);
        if at < from || at >= from + seen {
            first.set(at.saturating_sub(seen / 2).min(count.get_untracked().0.saturating_sub(seen)));
        }
    });
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        if width.get_untracked() != size.width {
            width.set(size.width);
        }
        let Some(shown) = seat.shown.get() else {
            return vec![];
        };
        Lens::of(&shown.sight).map_or(vec![], |lens| drawing(size, &lens, first.get(), inside.token.get()))
    };
    let on_touch: OnTouch = Callback::new(move |(touch, _): (Touch, Size)| {
        let last = count.get_untracked().0.saturating_sub(1);
        let seen = untrack(fits);
        let at = |x: f64| {
            (x >= NAMES).then(|| (first.get_untracked() + ((x - NAMES) / place.get_untracked()) as usize).min(last))
        };
        match touch {
            Touch::Over { at: point, .. } | Touch::Press(point) => {
                if let Some(at) = at(point.x).filter(|at| *at < first.get_untracked() + seen) {
                    inside.token.set(Some(at));
                }
                false
            }
            Touch::Wheel { by, .. } if seen <= last => {
                first.update(|first| {
                    *first = first.saturating_add_signed(if by > 0.0 { 2 } else { -2 }).min(last + 1 - seen)
                });
                true
            }
            Touch::Key { name, .. } => {
                let at = inside.token.get_untracked().unwrap_or(first.get_untracked());
                let next = match name.as_str() {
                    "ArrowLeft" => at.saturating_sub(1),
                    "ArrowRight" => (at + 1).min(last),
                    _ => return false,
                };
                inside.token.set(Some(next));
                true
            }
            _ => false,
        }
    });
    let label = Signal::derive(move || {
        let told = seat.shown.get().and_then(|shown| {
            let lens = Lens::of(&shown.sight)?;
            let found = (0..lens.tokens.len()).filter(|place| lens.appears(*place).is_some()).count();
            Some(format!("The right next token is the first guess at {found} of {} places", lens.tokens.len()))
        });
        told.unwrap_or_default()
    });
    let height = move || format!("{}px", OVER + UNDER + DEPTH * count.get().1 as f64);
    view! {
        <figure class="lens" style:--height=height>
            <Plate class="lens-table" file="logit-lens" label draw on_touch keys="Guesses by depth and place; left and right arrows go through the places" />
            {shows(move || (fits() < count.get().0).then(|| view! {
                <input type="range" class="scrub" aria-label="First place in sight" min="0" max=says(move || (count.get().0 - fits()).to_string()) prop:value=says(move || first.get().to_string()) on:input:target=move |event| first.set(event.target().value().parse().unwrap_or(0)) />
            }))}
            <figcaption class="small dim">{shows(move || label.get())}</figcaption>
        </figure>
    }
}

fn drawing(size: Size, lens: &Lens, first: usize, chosen: Option<usize>) -> Vec<Shape> {
    let (width, letters) = (lens.place(), lens.letters());
    let fits = ((size.width - NAMES - SAVE) / width).floor().max(1.0) as usize;
    let mut shapes = vec![];
    for (depth, name) in lens.depths.iter().enumerate() {
        let y = OVER + (depth as f64 + 0.62) * DEPTH;
        let name = name.replace("block.", "block ");
        shapes.push(Text::words(Point::new(NAMES - 8.0, y), name, 11.0, Role::InkSoft).anchored(Anchor::End).into());
    }
    let foot = OVER + lens.depths.len() as f64 * DEPTH;
    shapes.push(Text::words(Point::new(NAMES - 8.0, 14.0), "reads", 11.0, Role::InkSoft).anchored(Anchor::End).into());
    shapes.push(
        Text::words(Point::new(NAMES - 8.0, foot + 16.0), "comes next", 11.0, Role::InkSoft)
            .anchored(Anchor::End)
            .into(),
    );
    for (column, place) in (first..lens.tokens.len()).take(fits).enumerate() {
        let x = NAMES + column as f64 * width;
        let is_chosen = chosen == Some(place);
        let role = if is_chosen { Role::Ink } else { Role::InkSoft };
        let middle = x + width / 2.0;
        let word = |y: f64, text: &str| {
            Text::numbers(Point::new(middle, y), brief(text, letters), 11.0, role).anchored(Anchor::Middle)
        };
        shapes.push(word(14.0, &lens.tokens[place]).into());
        if let Some(next) = lens.tokens.get(place + 1) {
            shapes.push(word(foot + 16.0, next).strong().into());
        }
        for depth in 0..lens.depths.len() {
            let Some(cell) = lens.cell(depth, place) else {
                continue;
            };
            shapes.extend(guess(
                lens,
                cell,
                Rect::new(x + 1.0, OVER + depth as f64 * DEPTH + 1.0, width - 2.0, DEPTH - 2.0),
            ));
        }
        // From here on it knows.
        if let Some(depth) = lens.appears(place) {
            let y = OVER + depth as f64 * DEPTH;
            shapes.push(Shape::line(
                Point::new(x + 1.0, y),
                Point::new(x + width - 1.0, y),
                Stroke::solid(Role::Ember, 2.0),
            ));
        }
        if is_chosen {
            let (top, bottom) = (1.0, foot + 22.0);
            let corners = [(x, top), (x + width, top), (x + width, bottom), (x, bottom), (x, top)];
            let points = corners.map(|(x, y)| Point::new(x, y)).into();
            shapes.push(Shape::Polyline { points, stroke: Stroke::solid(Role::Ink, 1.0) });
        }
    }
    shapes.extend(scale_bar(Rect::new(NAMES, foot + 38.0, 120.0, 6.0), Ramp::Cividis, (0.0, 1.0), ""));
    let note = "probability of the right next token; a line: from here on it is the first guess";
    let note = Text::words(Point::new(NAMES + 132.0, foot + 45.0), note, 10.0, Role::InkSoft);
    if note.at.x + note.width() < size.width {
        shapes.push(note.into());
    }
    shapes
}

/// A cell: its first guess on the colour of the right token's probability.
fn guess(lens: &Lens, cell: &LensCell, rect: Rect) -> Vec<Shape> {
    let mut shapes = vec![];
    if cell.right.is_finite() {
        let [red, green, blue] = Ramp::Cividis.rgb(f64::from(cell.right));
        shapes.push(Shape::Cells { rect, rows: 1, columns: 1, pixels: vec![red, green, blue, 255] });
    }
    if let Some((token, _)) = cell.top.first() {
        let at = Point::new(rect.x + rect.width / 2.0, rect.y + rect.height / 2.0 + 4.0);
        let text =
            Text::numbers(at, brief(lens.word(*token), lens.letters()), 11.0, Role::Surface).anchored(Anchor::Middle);
        // Light cells need dark words in both themes: a chip of paper under them is always readable.
        let width = (text.width() + 8.0).min(rect.width - 2.0);
        let chip = Rect::new(at.x - width / 2.0, rect.y + 5.0, width, rect.height - 10.0);
        shapes.push(Shape::Rect { rect: chip, radius: 3.0, fill: Fill::faint(Role::Surface, 0.86) });
        let text = Text { role: Role::Ink, ..text };
        shapes.push(if cell.rank == 1 { text.strong() } else { text }.into());
    }
    shapes
}

/// The chosen place, depth by depth, as a table.
#[component]
fn Column(inside: Inside, seat: Seat) -> impl IntoView {
    shows(move || {
        let shown = seat.shown.get()?;
        let lens = Lens::of(&shown.sight)?;
        let place = inside.token.get().unwrap_or(0).min(lens.tokens.len().checked_sub(1)?);
        let next = lens
            .tokens
            .get(place + 1)
            .map_or("what comes is not known".to_owned(), |next| format!("“{}” comes next", visible(next)));
        let answer = match lens.appears(place) {
            Some(depth) => format!("the answer appears after {}", lens.depths[depth].replace("block.", "block ")),
            None => "the answer is not its first guess at the end".into(),
        };
        let rows = lens.depths.iter().enumerate().filter_map(|(depth, name)| {
            let cell = lens.cell(depth, place)?;
            let top: Vec<String> = cell
                .top
                .iter()
                .map(|(token, share)| format!("“{}”\u{a0}{}", visible(lens.word(*token)), percent(f64::from(*share))))
                .collect();
            let rank = if cell.rank == 0 { "–".to_owned() } else { number::whole(u64::from(cell.rank)) };
            Some(view! {
                <tr class:picked=cell.rank == 1>
                    <th scope="row">{name.replace("block.", "block ")}</th>
                    <td class="mono wrap">{top.join(", ")}</td>
                    <td class="right mono">{percent(f64::from(cell.right))}</td>
                    <td class="right mono">{rank}</td>
                </tr>
            })
        });
        Some(view! {
            <h3>{format!("At “{}” ({place}): {next}; {answer}", visible(&lens.tokens[place]))}</h3>
            <div class="scroll"><table class="dense">
                <thead><tr>
                    <th scope="col">"after"</th><th scope="col">"guesses"</th>
                    <th scope="col" class="right" title="Probability of the token that really comes next">"right token"</th>
                    <th scope="col" class="right" title="Place of the right token among all, 1 for the first guess">"rank"</th>
                </tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table></div>
        })
    })
}

//! Spots of the page, named by elements: windows differ in size, and guests see fewer panels, so that pixels of one page mean nothing on
//! another. The name of an element is its tag, its first class, and its number among the elements that have both.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::Element;
use wire::transport::presenting::Spot;

/// The elements that spots are relative to.
const ANCHORS: &str = "figure, .field, .drawing, .panel, section, aside, header, nav, table, main";
/// Parts of the content that stay in the window while it scrolls.
const STAYS: &str = ".controls";
/// The content of the page: what surrounds it is not presented.
const CONTENT: &str = "#page";

/// Pixels below the header at which the spot at the upper edge is read.
const BELOW_HEADER: f64 = 12.0;

/// The upper edge of what a reader sees, pixels.
pub(super) fn upper_edge() -> f64 {
    let header = document().query_selector("header.top").ok().flatten();
    // Above the window once a header that does not stay has scrolled away.
    header.map_or(0.0, |header| header.get_bounding_client_rect().bottom()).max(0.0) + BELOW_HEADER
}

/// The spot of the content at a place of the window, in pixels; `None` for one that is not over the content.
pub(super) fn spot_at(x: f64, y: f64) -> Option<Spot> {
    let under = document().element_from_point(x as f32, y as f32)?;
    let content = document().query_selector(CONTENT).ok()??;
    if content.contains(Some(&under)) { spot_on(&under, &content, x, y) } else { None }
}

/// As [`spot_at`], of the part that scrolls: also where the header, a bar, the controls or a dialog cover it.
pub(super) fn covered_spot_at(x: f64, y: f64) -> Option<Spot> {
    let content = document().query_selector(CONTENT).ok()??;
    let stack = document().elements_from_point(x as f32, y as f32);
    let mut elements = stack.iter().filter_map(|element| element.dyn_into::<Element>().ok());
    let scrolls = |element: &Element| element.closest(STAYS).ok().flatten().is_none();
    let under = elements.find(|element| content.contains(Some(element)) && scrolls(element))?;
    spot_on(&under, &content, x, y)
}

fn spot_on(under: &Element, content: &Element, x: f64, y: f64) -> Option<Spot> {
    let element = under.closest(ANCHORS).ok().flatten().filter(|element| content.contains(Some(element)))?;
    let rect = element.get_bounding_client_rect();
    if rect.width() <= 0.0 || rect.height() <= 0.0 {
        return None;
    }
    let fraction = |at: f64, from: f64, length: f64| ((at - from) / length).clamp(0.0, 1.0) as f32;
    let at = [fraction(x, rect.left(), rect.width()), fraction(y, rect.top(), rect.height())];
    Some(Spot { anchor: name_of(&element, content)?, at })
}

/// The place of a spot in this window, in pixels; `None` where this page does not have its element.
pub(super) fn place_of(spot: &Spot) -> Option<(f64, f64)> {
    let rect = element_of(&spot.anchor)?.get_bounding_client_rect();
    let [x, y] = spot.at.map(f64::from);
    Some((rect.left() + x * rect.width(), rect.top() + y * rect.height()))
}

/// `figure.chart:3`
fn name_of(element: &Element, content: &Element) -> Option<String> {
    let classes = element.get_attribute("class").unwrap_or_default();
    let class = classes.split_whitespace().next().filter(|class| is_plain(class));
    let tag = element.tag_name().to_lowercase();
    let selector = class.map_or_else(|| tag.clone(), |class| format!("{tag}.{class}"));
    let alike = content.query_selector_all(&selector).ok()?;
    let number =
        (0..alike.length()).find(|index| alike.item(*index).is_some_and(|node| node.is_same_node(Some(element))))?;
    Some(format!("{selector}:{number}"))
}

fn element_of(name: &str) -> Option<Element> {
    let (selector, number) = read(name)?;
    let content = document().query_selector(CONTENT).ok()??;
    content.query_selector_all(selector).ok()?.item(number)?.dyn_into().ok()
}

/// The selector and the number of a name. It comes from another page, so nothing else is passed on.
fn read(name: &str) -> Option<(&str, u32)> {
    let (selector, number) = name.rsplit_once(':')?;
    let (tag, class) = selector.split_once('.').unwrap_or((selector, "x"));
    (is_plain(tag) && is_plain(class)).then_some(())?;
    Some((selector, number.parse().ok()?))
}

fn is_plain(word: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    word.bytes().all(is_letter) && word.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn only_a_tag_a_class_and_a_number_are_read() {
        assert_eq!(read("figure.chart:3"), Some(("figure.chart", 3)));
        assert_eq!(read("main:0"), Some(("main", 0)));
        for bad in [
            "",
            "figure",
            "figure:",
            "figure:x",
            "a b:0",
            "*:0",
            "a.b.c:0",
            "a[href]:0",
            "a.:0",
            ".a:0",
            "a,b:1",
            "a:is(b):0",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

//! Reads Rust as tokens: the strings of a file, and the items and paths of its modules. Comments are not tokens; doc comments
//! are attributes and are skipped. Macros are not expanded: the tokens of a macro call are read as they are written.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::sources::Source;
use crate::shell::Outcome;

/// Keywords before the name of an item.
const ITEM_WORDS: [&str; 9] = ["const", "enum", "fn", "macro_rules", "mod", "static", "struct", "trait", "type"];

/// A string literal: the line on which it begins, and its text with escapes resolved.
pub(super) struct Text {
    pub(super) line: usize,
    pub(super) text: String,
}

/// The items, paths and imports of one module, in a file or inline.
#[derive(Default)]
pub(super) struct Module {
    /// Path of the module from the root of the crate: `["train", "replay"]`.
    pub(super) place: Vec<String>,
    /// Names of items that it defines.
    pub(super) items: Vec<String>,
    /// Paths that begin with `crate`, `self` or `super`, or follow `use`, with their lines.
    pub(super) paths: Vec<(usize, Vec<String>)>,
    /// Names that `use` imports, with their paths. A glob import has the name `*`.
    pub(super) imports: Vec<(String, Vec<String>)>,
}

/// The tokens of a file.
pub(super) fn tokens(file: &Source) -> Outcome<TokenStream> {
    file.text.parse().map_err(|error| format!("{} cannot be lexed: {error}", file.path))
}

/// All string literals except those of doc comments and of code that is compiled only for tests.
pub(super) fn strings(tokens: TokenStream) -> Vec<Text> {
    let mut found = vec![];
    collect_strings(&without_tests(tokens), &mut found);
    found
}

fn collect_strings(trees: &[TokenTree], found: &mut Vec<Text>) {
    for (index, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                found.extend(unquote(&literal.to_string()).map(|text| Text { line, text }));
            }
            TokenTree::Group(group) if !is_doc(trees, index) => {
                collect_strings(&without_tests(group.stream()), found);
            }
            _ => {}
        }
    }
}

/// Whether the group at this index is the `[doc = "..."]` of an attribute.
fn is_doc(trees: &[TokenTree], index: usize) -> bool {
    let TokenTree::Group(group) = &trees[index] else { return false };
    let follows_hash = trees[..index].iter().rev().find(|tree| !is_punct(tree, '!')).is_some_and(|t| is_punct(t, '#'));
    let first = group.stream().into_iter().next();
    follows_hash && group.delimiter() == Delimiter::Bracket && first.is_some_and(|tree| tree.to_string() == "doc")
}

/// The text of a string literal; `None` for numbers, characters and bytes.
fn unquote(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('r') {
        let inner = raw.trim_matches('#');
        return Some(inner.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    }
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    let mut rest = inner.chars().peekable();
    while let Some(letter) = rest.next() {
        match (letter, letter == '\\') {
            (_, false) => text.push(letter),
            // A backslash before a line end joins the lines without their indentation; other escapes become a space.
            (_, true) => match rest.next() {
                Some('\n') => while rest.next_if(|next| next.is_whitespace()).is_some() {},
                Some(quoted @ ('"' | '\'' | '\\')) => text.push(quoted),
                _ => text.push(' '),
            },
        }
    }
    Some(text)
}

/// The modules of a file: first the module of the file, then its inline modules. Tests are left out.
pub(super) fn modules(tokens: TokenStream, place: Vec<String>) -> Vec<Module> {
    let mut modules = vec![Module { place: place.clone(), ..Module::default() }];
    let mut inline = vec![];
    let trees = without_tests(tokens);
    read_module(&trees, &mut modules[0], &mut inline);
    for (name, body) in inline {
        let inner = [place.clone(), vec![name]].concat();
        modules.extend(self::modules(body, inner));
    }
    modules
}

/// Names of modules in other files that are compiled only for tests.
pub(super) fn test_modules(tokens: TokenStream) -> Vec<String> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let tested = (0..trees.len()).filter(|index| is_test_attribute(&trees, *index));
    let named = tested.filter_map(|index| {
        let words: Vec<String> = trees[index + 2..].iter().take(6).map(TokenTree::to_string).collect();
        let at = words.iter().position(|word| word == "mod")?;
        words.get(at + 1).cloned()
    });
    named.collect()
}

fn read_module(trees: &[TokenTree], module: &mut Module, inline: &mut Vec<(String, TokenStream)>) {
    let mut index = 0;
    while index < trees.len() {
        if let (true, Some(group)) = (is_word(trees.get(index), "mod"), body(trees.get(index + 2))) {
            inline.push((trees[index + 1].to_string(), group.stream()));
            index += 3;
            continue;
        }
        if is_word(trees.get(index), "use") {
            read_use(&trees[index + 1..], module);
        }
        if ITEM_WORDS.iter().any(|word| is_word(trees.get(index), word)) {
            module.items.extend(item_name(&trees[index + 1..]));
        }
        read_paths(trees, index, module);
        index += 1;
    }
}

/// The name after the keyword of an item, without the `!` of `macro_rules!`.
fn item_name(rest: &[TokenTree]) -> Option<String> {
    rest.iter().find(|tree| !is_punct(tree, '!')).map(TokenTree::to_string)
}

/// Adds the path that begins at this index, or the paths inside the group there.
fn read_paths(trees: &[TokenTree], index: usize, module: &mut Module) {
    if let TokenTree::Group(group) = &trees[index] {
        let inner = without_tests(group.stream());
        (0..inner.len()).for_each(|index| read_paths(&inner, index, module));
        // A `use` may be inside a function.
        let uses = (0..inner.len()).filter(|index| is_word(inner.get(*index), "use"));
        uses.for_each(|index| read_use(&inner[index + 1..], module));
    }
    let begins_path = ["crate", "self", "super"].iter().any(|word| is_word(trees.get(index), word));
    let is_within = index > 1 && is_path_separator(trees, index - 2);
    let follows_use = index > 0 && is_word(trees.get(index - 1), "use");
    if begins_path && !is_within && !follows_use && is_path_separator(trees, index + 1) {
        let line = trees[index].span().start().line;
        let mut ends = vec![];
        walk_use(&trees[index..], &[], &mut ends);
        module.paths.extend(ends.into_iter().map(|(_, path)| (line, path)));
    }
}

/// Reads the paths after `use` and the names that they are imported by.
fn read_use(rest: &[TokenTree], module: &mut Module) {
    let line = rest.first().map_or(0, |tree| tree.span().start().line);
    let mut ends = vec![];
    walk_use(rest, &[], &mut ends);
    for (name, path) in ends {
        module.paths.push((line, path.clone()));
        module.imports.push((name, path));
    }
}

/// Reads a use tree such as `a::{b, c as d, e::*}`: adds each path to `ends`, with the name that it is imported by.
fn walk_use(trees: &[TokenTree], start: &[String], ends: &mut Vec<(String, Vec<String>)>) {
    let mut path = start.to_vec();
    let mut index = 0;
    loop {
        match trees.get(index) {
            Some(TokenTree::Ident(segment)) => path.push(segment.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                inner.split(|tree| is_punct(tree, ',')).for_each(|branch| walk_use(branch, &path, ends));
                return;
            }
            Some(tree) if is_punct(tree, '*') => {
                ends.push(("*".to_owned(), path));
                return;
            }
            _ => break,
        }
        if !is_path_separator(trees, index + 1) {
            break;
        }
        index += 3;
    }
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
    }
    let renamed = is_word(trees.get(index + 1), "as").then(|| trees.get(index + 2)).flatten();
    let name = renamed.map(TokenTree::to_string).or_else(|| path.last().cloned());
    ends.extend(name.map(|name| (name, path)));
}

/// The token trees without each `#[cfg(test)]` and the item after it.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut kept = vec![];
    let mut index = 0;
    while index < trees.len() {
        if !is_test_attribute(&trees, index) {
            kept.push(trees[index].clone());
            index += 1;
            continue;
        }
        let ends = |tree: &TokenTree| is_punct(tree, ';') || body(Some(tree)).is_some();
        let length = trees[index + 2..].iter().position(ends).map_or(0, |at| at + 1);
        index += 2 + length;
    }
    kept
}

fn is_test_attribute(trees: &[TokenTree], index: usize) -> bool {
    let attribute = trees.get(index + 1).map(TokenTree::to_string).unwrap_or_default();
    let attribute = attribute.replace(' ', "");
    is_punct(&trees[index], '#') && (attribute == "[cfg(test)]" || attribute.starts_with("[cfg(all(test,"))
}

fn is_path_separator(trees: &[TokenTree], index: usize) -> bool {
    let is_colon = |index: usize| trees.get(index).is_some_and(|tree| is_punct(tree, ':'));
    is_colon(index) && is_colon(index + 1)
}

fn is_word(tree: Option<&TokenTree>, text: &str) -> bool {
    matches!(tree, Some(TokenTree::Ident(word)) if word == text)
}

fn is_punct(tree: &TokenTree, sign: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// A brace group: the body of an item.
fn body(tree: Option<&TokenTree>) -> Option<&Group> {
    match tree {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

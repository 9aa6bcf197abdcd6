//! A document as a list of blocks. Its texts are plain: the writers of formats escape them.

use figure::Scene;

/// A title and the blocks below it.
#[derive(Debug, Clone, Default)]
pub struct Document {
    pub title: String,
    pub blocks: Vec<Block>,
}

/// A part of a document.
#[derive(Debug, Clone)]
pub enum Block {
    /// A heading below the title: level 2 or 3.
    Heading(u8, String),
    Paragraph(String),
    /// Labels with their values.
    Facts(Vec<(&'static str, String)>),
    Table(Table),
    Figure(Scene),
}

/// A table. Each row has a cell for each head.
#[derive(Debug, Clone)]
pub struct Table {
    pub heads: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Document {
    pub(super) fn heading(&mut self, level: u8, text: impl Into<String>) {
        self.blocks.push(Block::Heading(level, text.into()));
    }

    pub(super) fn paragraph(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    pub(super) fn facts(&mut self, facts: Vec<(&'static str, String)>) {
        self.blocks.push(Block::Facts(facts));
    }

    pub(super) fn table(&mut self, heads: &[&'static str], rows: Vec<Vec<String>>) {
        self.blocks.push(Block::Table(Table { heads: heads.to_vec(), rows }));
    }

    pub(super) fn figure(&mut self, scene: Scene) {
        self.blocks.push(Block::Figure(scene));
    }
}

/// The characters of a text on one line: line breaks and tabs become spaces, other control characters are left out.
pub(super) fn on_one_line(text: &str) -> impl Iterator<Item = char> {
    text.trim().chars().filter_map(|letter| match letter {
        letter if letter.is_control() => letter.is_whitespace().then_some(' '),
        letter => Some(letter),
    })
}

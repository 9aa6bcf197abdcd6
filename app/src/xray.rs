//! The X-ray page's own model: what one is looking at and how one gets there and back, which step, what was seen. Pages and panels show
//! it; nothing here knows of the document.
//!
//! [`place`] where one is inside the model, [`clock`] which step, [`frames`] what is seen there and how it comes, [`quantity`] what lights
//! the map and what counts as a problem, [`plane`] embeddings that keep still, [`tokens`] how tokens read.

pub(crate) mod clock;
pub(crate) mod frames;
pub(crate) mod place;
pub(crate) mod plane;
pub(crate) mod quantity;
pub(crate) mod tokens;

//! Share links and embeds: a button for every page that can be shared, the dialog that creates and lists them, and the list of all links.
//! The dialog is loaded when it is first opened.

mod button;
mod dialog;
mod embed_form;
mod embed_text;
mod embed_view;
mod expiry;
mod form;
mod fresh;
mod links;
mod part;
mod scope;

pub(crate) use button::ShareButton;
pub(crate) use links::{LinkList, Links};

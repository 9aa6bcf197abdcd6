//! The WebSocket of the page, with the closures that it calls.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket};

use crate::base::at;

/// A socket and the closures that it calls, which live as long as the socket.
pub(super) struct Socket {
    pub(super) socket: WebSocket,
    _on_open: Closure<dyn Fn()>,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_close: Closure<dyn Fn()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

impl Socket {
    /// Opens the socket of the page; `None` where the browser refuses it.
    pub(super) fn open(
        opened: impl Fn() + 'static,
        received: impl Fn(MessageEvent) + 'static,
        closed: impl Fn() + 'static,
    ) -> Option<Self> {
        let location = window().location();
        let scheme = if location.protocol().as_deref() == Ok("https:") { "wss" } else { "ws" };
        let host = location.host().ok()?;
        let socket = WebSocket::new(&format!("{scheme}://{host}{}", at("/api/v1/live"))).ok()?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let on_open = Closure::<dyn Fn()>::new(opened);
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(received);
        let on_close = Closure::<dyn Fn()>::new(closed);
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Some(Self { socket, _on_open: on_open, _on_message: on_message, _on_close: on_close })
    }
}

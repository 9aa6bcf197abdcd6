//! TLS connections as a listener of axum. A handshake may take long or never end, so it does not keep the next connection waiting.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longest handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes at a time; further connections wait in the queue of the system.
const HANDSHAKES: usize = 256;
/// Pause after a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(500);
/// First byte of a TLS connection: the record of a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// Answer to a browser that speaks plain HTTP.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This server uses TLS: open the address with https:// instead of http://.\n";

type Connection = (TlsStream<TcpStream>, SocketAddr);

/// A listener whose connections have completed their handshake.
pub struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<Connection>,
}

impl TlsListener {
    /// Accepts the connections of `listener`.
    ///
    /// # Errors
    /// The address of the listener is unknown.
    pub fn new(listener: TcpListener, config: Arc<ServerConfig>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(HANDSHAKES);
        tokio::spawn(accept_all(listener, TlsAcceptor::from(config), done));
        Ok(Self { address, ready })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The task that accepts ends only with this listener.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn accept_all(listener: TcpListener, acceptor: TlsAcceptor, done: mpsc::Sender<Connection>) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = done.closed() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            let _slot = slot;
            if let Ok(Some(stream)) = tokio::time::timeout(HANDSHAKE_WITHIN, shake(stream, acceptor)).await {
                // A closed channel: the server stops.
                let _ = done.send((stream, peer)).await;
            }
        });
    }
}

/// The handshake; `None` if it fails, which only concerns its client.
async fn shake(mut stream: TcpStream, acceptor: TlsAcceptor) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 1 && first[0] != TLS_HANDSHAKE {
        let _ = stream.write_all(PLAIN).await;
        let _ = stream.shutdown().await;
        return None;
    }
    stream.set_nodelay(true).ok()?;
    acceptor.accept(stream).await.inspect_err(|error| tracing::debug!("a TLS handshake failed: {error}")).ok()
}

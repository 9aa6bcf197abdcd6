//! A network that misbehaves: a TCP proxy before a server, whose connections are delayed, throttled, stalled and cut on request or at random.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use testing::Random;

/// How the network treats what is sent through it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weather {
    Clear,
    /// Everything arrives this much later, ms.
    Delayed(u64),
    /// Bytes per second in each direction of each connection.
    Throttled(u64),
    /// Nothing arrives until it ends.
    Stalled,
}

/// The state that all connections share.
struct Shared {
    weather: Mutex<Weather>,
    /// Both ends of every connection.
    open: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

/// The proxy; its connections end when it is dropped.
pub struct Network {
    port: u16,
    shared: Arc<Shared>,
}

impl Network {
    /// A clear network before a server.
    pub fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, server) = (listener.local_addr().unwrap().port(), server.to_owned());
        let shared = Arc::new(Shared {
            weather: Mutex::new(Weather::Clear),
            open: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if of_thread.is_over.load(Ordering::Acquire) {
                    return;
                }
                let Ok(far) = TcpStream::connect(&server) else { continue };
                let _ = connect(&of_thread, &near, &far);
            }
        });
        Self { port, shared }
    }

    /// Address of the proxy.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap() = weather;
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Changes the weather and cuts connections at random for some time; then it is clear.
    pub fn misbehave(&self, mut random: Random, secs: u64) -> JoinHandle<u64> {
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            let (until, mut changes) = (Instant::now() + Duration::from_secs(secs), 0);
            while Instant::now() < until {
                let weather = match random.below(8) {
                    0..=2 => Weather::Clear,
                    3 => Weather::Delayed(20 + random.below(400)),
                    4 | 5 => Weather::Throttled(2_000 + random.below(200_000)),
                    _ => Weather::Stalled,
                };
                *shared.weather.lock().unwrap() = weather;
                if random.below(3) == 0 {
                    shared.cut();
                }
                changes += 1;
                sleep(
                    Duration::from_millis(100 + random.below(1500))
                        .min(until.saturating_duration_since(Instant::now())),
                );
            }
            *shared.weather.lock().unwrap() = Weather::Clear;
            changes
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.shared.cut();
        // The listener notices.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }
}

fn connect(shared: &Arc<Shared>, near: &TcpStream, far: &TcpStream) -> io::Result<()> {
    shared.open.lock().unwrap().extend([near.try_clone()?, far.try_clone()?]);
    for (from, into) in [(near.try_clone()?, far.try_clone()?), (far.try_clone()?, near.try_clone()?)] {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let _ = pass(&shared, &from, &into);
            let _ = from.shutdown(Shutdown::Both);
            let _ = into.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

/// Passes bytes on as the weather allows.
fn pass(shared: &Shared, mut from: &TcpStream, mut into: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        match shared.weather() {
            Weather::Clear | Weather::Stalled => {}
            Weather::Delayed(millis) => sleep(Duration::from_millis(millis)),
            Weather::Throttled(per_sec) => sleep(Duration::from_secs_f64(count as f64 / per_sec as f64)),
        }
        while shared.weather() == Weather::Stalled {
            if shared.is_over.load(Ordering::Acquire) {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            sleep(Duration::from_millis(10));
        }
        into.write_all(&buffer[..count])?;
    }
}

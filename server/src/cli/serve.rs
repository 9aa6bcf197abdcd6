//! `kindling serve`: the arguments of a server.

use std::net::SocketAddr;

use clap::Args;

use super::data::DataArgs;
use crate::api::server;
use crate::lab::open::ServeError;
use crate::lab::settings::{self, DEFAULT_LISTEN, QUEUE_LIMIT, Settings};

const EXAMPLES: &str = "\
Examples:
  Serve this machine only:
    kindling serve
  Serve the folder my-lab on another port:
    kindling serve --data my-lab --listen 8090
  Serve other machines too, under a name of your own behind a proxy:
    kindling serve --listen 0.0.0.0:7878 --allow-host lab.example.org";

/// Serves the lab in the browser and trains on this machine's devices; the first line printed is the address to open.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Address and port to listen on; a port alone listens on this machine only
    #[arg(long, value_name = "ADDRESS", env = "KINDLING_LISTEN", default_value = DEFAULT_LISTEN, value_parser = settings::parse_listen)]
    listen: SocketAddr,
    /// Host name, besides this machine's own, under which browsers may open the server; may be given several times [default: none]
    #[arg(long = "allow-host", value_name = "NAME")]
    allowed_hosts: Vec<String>,
    /// Start no workers on this machine's devices
    #[arg(long)]
    no_workers: bool,
    /// Maximum number of queued runs per device
    #[arg(long, value_name = "N", default_value_t = QUEUE_LIMIT)]
    queue_limit: u64,
}

impl ServeArgs {
    /// Serves until a signal stops it.
    ///
    /// # Errors
    /// The folder or the address cannot be used.
    pub async fn run(self) -> Result<(), ServeError> {
        server::serve(self.settings()).await
    }

    pub(super) fn settings(self) -> Settings {
        Settings {
            allowed_hosts: self.allowed_hosts,
            starts_workers: !self.no_workers,
            queue_limit: self.queue_limit,
            ..Settings::new(self.data.folder, self.listen)
        }
    }
}

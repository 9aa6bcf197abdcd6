//! `kindling completions`: scripts with which a shell completes the command line of this program.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::output::{self, OutputError};

const EXAMPLES: &str = "\
Examples:
  Complete in the running bash:
    source <(kindling completions bash)
  Install for zsh, in a folder of its $fpath:
    kindling completions zsh > ~/.zfunc/_kindling
  Install for fish:
    kindling completions fish > ~/.config/fish/completions/kindling.fish";

/// Prints a script that completes subcommands and options in a shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// Shell to complete in: bash, zsh, fish, elvish or powershell
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the script.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self) -> Result<(), OutputError> {
        output::bytes(&script(self.shell))
    }
}

/// The script, as a whole: clap panics if it cannot write, and writing to a vector never fails.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut script = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "kindling", &mut script);
    script
}

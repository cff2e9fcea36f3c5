//! `quarterdeck completions`: a script that a shell reads.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Arguments;
use crate::{Error, output};

/// Prints the script for `shell`.
pub fn print(shell: Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "quarterdeck", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end())
}

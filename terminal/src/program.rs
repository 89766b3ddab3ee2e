//! From arguments to an exit status.

use std::process::ExitCode;

use common::Error;

use crate::person::Terminal;
use crate::stop::Stop;

/// Parses the arguments, runs `program`, and turns its end into an exit status.
pub fn run<Args: clap::Parser>(
    program: impl FnOnce(&Args, &mut Terminal) -> Result<(), Stop>,
) -> ExitCode {
    let args = parse::<Args>();
    run_without_args(|terminal| program(&args, terminal))
}

/// As [`run`], for a program that looks at its arguments itself.
pub fn run_without_args(program: impl FnOnce(&mut Terminal) -> Result<(), Stop>) -> ExitCode {
    let mut terminal = match Terminal::new() {
        Ok(terminal) => terminal,
        Err(errno) => {
            let error = Error::new("sigaction", "this process", errno);
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = program(&mut terminal);
    ExitCode::from(terminal.conclude(ended))
}

fn parse<Args: clap::Parser>() -> Args {
    // The word after an option is its value, also in `-i -1s`: "invalid value '-1s'" helps more
    // than "unexpected argument '-1'".
    let command = Args::command().mut_args(|arg| match arg.get_action().takes_values() {
        true if !arg.is_positional() => arg.allow_hyphen_values(true),
        _ => arg,
    });
    let parsed = command.try_get_matches().and_then(|matches| Args::from_arg_matches(&matches));
    parsed.unwrap_or_else(|error| error.exit())
}

//! Parses the arguments, runs the command, prints its report. Exit codes: 0 done, 1 failed, 2 asked for wrongly.

use std::process::ExitCode;

use clap::Parser as _;
use rondo::arguments::Cli;
use rondo_shared::config::Reader;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(rondo::run(cli, Reader::from_environment(), &mut std::io::stdin().lock()));
    // A request that is still waiting for its answer does not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(report) => {
            println!("{}", report.rendered(json));
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

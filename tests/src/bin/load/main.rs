//! Load with misfortune: thousands of sessions of all four products are refreshed on function processes that are killed and
//! over a store that is paused and killed, and nothing that was acknowledged may be lost.
//!
//! `make load` runs it. Everything that matters is real: each function instance is a process of its own around the shipped
//! `handle`, reads the machine's clock, and speaks to the store over HTTP by the SDK with its retries; the store is another
//! process over a file. Only the gateway is not: an instance takes events, one JSON text a line, and answers a line each, as
//! many at once as come. (`cargo lambda watch` serves one at a time; `rondo smoke` goes that way.)

mod account;
mod client;
mod function;
mod processes;
mod store;
mod town;

use std::time::Duration;

use tokio::runtime::Builder;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, otherwise: u64| {
        let given = arguments.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
        given.map_or(otherwise, |number| number.parse().expect("a number"))
    };
    match arguments.first().map(String::as_str) {
        Some("store") => store::serve(&arguments[1], &arguments[2]),
        Some("function") => Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(function::serve(&arguments[1], &arguments[2])),
        _ => {
            let plan = town::Plan {
                sessions: u32::try_from(number("--sessions", 2_000)).unwrap(),
                span: Duration::from_secs(number("--secs", 180)),
                pause: Duration::from_secs(number("--pause", 20)),
                instances: usize::try_from(number("--instances", 3)).unwrap(),
            };
            let passed = Builder::new_current_thread().enable_all().build().unwrap().block_on(town::run(&plan));
            std::process::exit(i32::from(!passed));
        }
    }
}

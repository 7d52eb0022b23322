//! The operator's tool and the local stack in one: `rondo`.
//!
//! A command reads its arguments, does its work on a [`target::Target`] and hands back one [`report::Report`], which
//! `main` prints as a table or as JSON; nothing else is written to standard output, and progress goes to standard error.
//! Tokens and passwords are read from standard input and never from the command line, where other users of the machine
//! see them. Nothing here talks to AWS unless `--aws` says so.
//!
//! | module | what for |
//! |---|---|
//! | [`arguments`] | what can be asked for |
//! | [`target`], [`workspace`] | where it is done: the local stack that runs here, or a table on AWS |
//! | [`product`] | the products by name: tenants, variables, paths |
//! | [`session`], [`directory`], [`family`] | one file per noun of the command line |
//! | [`status`] | the last hour in figures |
//! | [`keys`] | the keyring and the life of its keys, in a file or in Secrets Manager |
//! | [`timeline`] | what happened to a family, as a value |
//! | [`exchange`], [`demo`] | a call over HTTP, and each product's story told with it |
//! | [`dev`] | the local stack: database, keyring, demo data, functions |
//! | [`report`], [`failure`] | how a command ends |
//!
//! A command is added as a variant in its noun's `…Command`, with one function that returns a report.

pub mod arguments;
pub mod demo;
pub mod dev;
pub mod directory;
pub mod exchange;
pub mod failure;
pub mod family;
pub mod keys;
pub mod product;
pub mod report;
pub mod session;
pub mod status;
pub mod target;
pub mod timeline;
pub mod workspace;

use std::io::BufRead;

use rondo_shared::config::Reader;

use crate::arguments::{Cli, Command, Operation};
use crate::failure::Failure;
use crate::report::Report;
use crate::target::Target;

/// Runs one command line; `input` is standard input.
///
/// # Errors
/// [`Failure`], with the exit code that it asks for.
pub async fn run(cli: Cli, reader: Reader, input: &mut dyn BufRead) -> Result<Report, Failure> {
    match cli.command {
        Command::Dev(arguments) => dev::run(&arguments, &cli.target, reader).await,
        Command::Smoke => dev::smoke(&cli.target, reader).await,
        Command::Keys(command) => keys::run(&command, &cli.target, reader).await,
        Command::Operate(operation) => {
            let target = Target::find(&cli.target, reader).await?;
            operate(&operation, &target, input).await
        }
    }
}

/// Runs one operation on a target.
///
/// # Errors
/// [`Failure`], with the exit code that it asks for.
pub async fn operate(operation: &Operation, target: &Target, input: &mut dyn BufRead) -> Result<Report, Failure> {
    match operation {
        Operation::Session(command) => session::run(command, target).await,
        Operation::User(command) => directory::user::run(command, target, input).await,
        Operation::Org(command) => directory::org::run(command, target).await,
        Operation::Member(command) => directory::member::run(command, target).await,
        Operation::Quota(command) => directory::quota::run(command, target).await,
        Operation::Project(command) => directory::project::run(command, target).await,
        Operation::Family(command) => family::run(command, target, input).await,
        Operation::Status(arguments) => status::run(arguments, target).await,
        Operation::Demo(arguments) => demo::run(arguments, target).await,
    }
}

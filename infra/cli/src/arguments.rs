//! What can be asked for. Each noun's own arguments stand in its module; here is what they share.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args, Parser, Subcommand};
use rondo_shared::identity::{FamilyId, Tenant};

use crate::demo::DemoArguments;
use crate::dev::DevArguments;
use crate::directory::member::MemberCommand;
use crate::directory::org::OrgCommand;
use crate::directory::project::ProjectCommand;
use crate::directory::quota::QuotaCommand;
use crate::directory::user::UserCommand;
use crate::family::FamilyCommand;
use crate::keys::KeysCommand;
use crate::session::SessionCommand;
use crate::status::StatusArguments;

/// Rondo's operator's tool and local stack.
///
/// Works on the local stack that runs in this checkout (`rondo dev`), or, with --aws, on a deployed table.
#[derive(Debug, Parser)]
#[command(name = "rondo", version, arg_required_else_help = true)]
pub struct Cli {
    /// Print JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where to work.
    #[command(flatten)]
    pub target: TargetArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where to work.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Where")]
pub struct TargetArguments {
    /// Work on AWS, with the credentials and the region of the default chain, instead of on the local stack.
    #[arg(long, global = true)]
    pub aws: bool,
    /// With --aws: the table.
    #[arg(long, global = true, value_name = "NAME")]
    pub table: Option<String>,
    /// With --aws or `keys`: the keyring, as a file.
    #[arg(long, global = true, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// With --aws or `keys`: the keyring, as a secret in Secrets Manager.
    #[arg(long, global = true, value_name = "ID")]
    pub secret: Option<String>,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the local stack: DynamoDB, keys, demo data and the functions over HTTP.
    Dev(DevArguments),
    /// Play every demo against a local stack of its own, in memory and on free ports; exit 1 as they do.
    Smoke,
    /// Make the keyring, list its keys, rotate them.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// What is done on a target.
    #[command(flatten)]
    Operate(Operation),
}

/// The commands that work on a target.
#[derive(Debug, Subcommand)]
pub enum Operation {
    /// Open, list, show and end sessions.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Put users, show, suspend and remove them.
    #[command(subcommand)]
    User(UserCommand),
    /// Put organizations, show and remove them.
    #[command(subcommand)]
    Org(OrgCommand),
    /// Say which organizations a user belongs to.
    #[command(subcommand)]
    Member(MemberCommand),
    /// Put quotas of organizations, show and remove them.
    #[command(subcommand)]
    Quota(QuotaCommand),
    /// Put projects, show and remove them.
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Show what happened to a family of tokens.
    #[command(subcommand)]
    Family(FamilyCommand),
    /// Show the last hour in figures, by product: what the dashboard draws and the alarms watch.
    Status(StatusArguments),
    /// Play each product's story against the running local stack; exit 1 if an answer is not what it should be.
    Demo(DemoArguments),
}

/// Whose items are meant.
#[derive(Args, Clone, Debug)]
pub struct TenantArgument {
    /// The tenant: a product, or `replyke:<project>`.
    #[arg(long, default_value = "uniqos", value_parser = |name: &str| Tenant::new(name))]
    pub tenant: Tenant,
}

/// Parses the name of a family. Unlike clap's own parsers it never repeats what it was given, since that may be a
/// token that was pasted into the wrong place.
#[derive(Clone, Copy, Debug)]
pub struct FamilyParser;

impl TypedValueParser for FamilyParser {
    type Value = FamilyId;

    fn parse_ref(&self, command: &clap::Command, _: Option<&Arg>, value: &OsStr) -> Result<FamilyId, clap::Error> {
        let rule = "a family is named by a ULID of 26 upper-case characters, as `rondo session list` shows it";
        parse_family(command, value, rule)
    }
}

/// A family by its name, or by a token on standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyOrToken {
    /// By its name.
    Family(FamilyId),
    /// `-`: by a token, which is read from standard input.
    TokenOnInput,
}

/// Parses a [`FamilyOrToken`], and never repeats what it was given either.
#[derive(Clone, Copy, Debug)]
pub struct FamilyOrTokenParser;

impl TypedValueParser for FamilyOrTokenParser {
    type Value = FamilyOrToken;

    fn parse_ref(&self, command: &clap::Command, _: Option<&Arg>, value: &OsStr) -> Result<FamilyOrToken, clap::Error> {
        if value == "-" {
            return Ok(FamilyOrToken::TokenOnInput);
        }
        let rule = "a family is named by a ULID of 26 upper-case characters; a token is never taken as an argument: \
                    write - and give it on standard input";
        parse_family(command, value, rule).map(FamilyOrToken::Family)
    }
}

/// `-`: what is meant is on standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnInput;

/// Parses an [`OnInput`], and never repeats what was given instead, since that is a secret.
#[derive(Clone, Copy, Debug)]
pub struct OnInputParser;

impl TypedValueParser for OnInputParser {
    type Value = OnInput;

    fn parse_ref(&self, command: &clap::Command, _: Option<&Arg>, value: &OsStr) -> Result<OnInput, clap::Error> {
        let rule = "a password is never taken as an argument: write - and give it on standard input\n";
        let refused = || clap::Error::raw(ErrorKind::ValueValidation, rule).with_cmd(command);
        if value == "-" { Ok(OnInput) } else { Err(refused()) }
    }
}

fn parse_family(command: &clap::Command, value: &OsStr, rule: &str) -> Result<FamilyId, clap::Error> {
    let parsed = value.to_str().and_then(|name| name.parse().ok());
    parsed.ok_or_else(|| clap::Error::raw(ErrorKind::ValueValidation, format!("{rule}\n")).with_cmd(command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_token_is_not_accepted_as_an_argument_and_not_repeated() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkZW1vIn0.c2lnbmF0dXJl";
        for line in [["rondo", "family", "show", token], ["rondo", "session", "revoke", token]] {
            let refused = Cli::try_parse_from(line).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            assert!(!refused.to_string().contains(token), "{refused}");
        }
        assert!(Cli::try_parse_from(["rondo", "family", "show", "-"]).is_ok());
    }

    #[test]
    fn a_password_is_not_accepted_as_an_argument_and_not_repeated() {
        for line in [["--password", "hunter2"].as_slice(), &["--password=hunter2"], &["--password", "-hunter2"]] {
            let line = ["rondo", "user", "put", "ada"].iter().chain(line);
            let refused = Cli::try_parse_from(line).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
        assert!(Cli::try_parse_from(["rondo", "user", "put", "ada", "--password", "-"]).is_ok());
    }

    #[test]
    fn no_option_takes_a_token() {
        fn names(command: &clap::Command, found: &mut Vec<String>) {
            found.extend(command.get_arguments().map(|argument| argument.get_id().to_string()));
            command.get_subcommands().for_each(|sub| names(sub, found));
        }
        let mut found = Vec::new();
        names(&Cli::command(), &mut found);
        assert!(!found.is_empty() && found.iter().all(|name| !name.contains("token")), "{found:?}");
    }
}

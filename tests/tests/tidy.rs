//! What prose cannot keep. Each test reads the checkout as it is on disk and says how to mend what it finds.
//!
//! A word that a test forbids is spelled here in halves, so that this file keeps the rules that it holds.

#[path = "tidy/checkout.rs"]
mod checkout;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/functions.rs"]
mod functions;
#[path = "tidy/markdown.rs"]
mod markdown;
#[path = "tidy/store.rs"]
mod store;

use std::collections::BTreeMap;

use checkout::{
    DYNAMO, TEST_MODULE, assert_none, files, has_extension, offending_lines, offending_shipped_lines, read, rust_files,
    shipped_lines,
};
use documents::has_test;
use functions::{names, stanza_of};
use markdown::{code_of, exists, without_braces};
use store::{as_dynamodb_spells, obligations_named};

const PRODUCTS: [&str; 4] = ["uniqos", "dreadnode", "elastic", "replyke"];

/// Long enough for a room of the walk with its unit tests; what is longer is two rooms.
const FILE_MAX_LINES: usize = 500;

/// What the rules below rely on when they cut a file at its test module.
#[test]
fn a_test_module_is_the_last_thing_in_its_file() {
    let mut findings = Vec::new();
    for path in files().into_iter().filter(|path| path.contains("/src/") && has_extension(path, &["rs"])) {
        let source = read(&path);
        let tests: Vec<_> = source.lines().skip_while(|line| line.trim() != TEST_MODULE).collect();
        let Some(opening) = tests.get(1) else { continue };
        let outside = |line: &&&str| line.starts_with(|first: char| first.is_ascii_alphabetic() || first == '#');
        if !opening.contains("mod ") || !opening.ends_with('{') || tests.iter().skip(2).any(|line| outside(&line)) {
            findings.push(path);
        }
    }
    assert_none(&findings, "Move the `mod tests` to the end of the file, and anything else for tests only into it.");
}

#[test]
fn the_shared_crate_names_no_product() {
    let names_one = |line: &str| PRODUCTS.iter().any(|product| line.to_lowercase().contains(product));
    assert_none(
        &offending_shipped_lines(&rust_files("shared/src/"), names_one),
        "Take the value as a setting, and let the function's policy.rs say it.",
    );
}

#[test]
fn the_shared_crate_chooses_no_status_code() {
    let constant = |line: &str| {
        line.split("StatusCode::").skip(1).any(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
    };
    let number = |line: &str| {
        let calls = ["from_u16(", ".status("].into_iter().flat_map(|call| line.split(call).skip(1));
        calls.into_iter().any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    assert_none(
        &offending_shipped_lines(&rust_files("shared/src/"), |line| constant(line) || number(line)),
        "Return an outcome, and choose its status in the function's response.rs.",
    );
}

#[test]
fn one_file_names_each_of_aws_sdks() {
    // Halved, as all that a test forbids.
    let adapters = [
        (concat!("aws_", "sdk_dynamodb"), DYNAMO),
        (concat!("aws_", "sdk_eventbridge"), "functions/events/src/bus.rs"),
        (concat!("aws_", "sdk_cloudwatch"), "infra/cli/src/status/cloudwatch.rs"),
        (concat!("aws_", "sdk_secretsmanager"), "shared/src/keyring/secret.rs"),
        (concat!("aws_", "config"), "shared/src/aws.rs"),
        (concat!("aws_", "smithy_"), "shared/src/aws.rs"),
    ];
    let shipped: Vec<_> = rust_files("shared/src/")
        .into_iter()
        .chain(rust_files("infra/cli/src/"))
        .chain(rust_files("functions/").into_iter().filter(|path| path.contains("/src/")))
        .collect();
    let mut findings = Vec::new();
    for (sdk, adapter) in adapters {
        let elsewhere: Vec<_> = shipped.iter().filter(|path| *path != adapter).cloned().collect();
        findings.extend(offending_lines(&elsewhere, |line| line.contains(sdk)));
        assert!(read(adapter).contains(sdk), "{adapter} is where {sdk} was; if it has moved, tell this test");
    }
    let known = |line: &str| adapters.iter().any(|(sdk, _)| line.contains(sdk));
    findings.extend(offending_lines(&shipped, |line| line.contains(concat!("aws_", "sdk_")) && !known(line)));
    assert_none(
        &findings,
        "Ask through a port, such as that of shared/src/store/mod.rs; one adapter speaks to each of AWS's services, and \
         shared/src/aws.rs makes the client that they share.",
    );
}

#[test]
fn no_source_file_outgrows_a_reader() {
    let sources = files().into_iter().filter(|path| has_extension(path, &["rs", "py"]));
    let long = sources.map(|path| (read(&path).lines().count(), path)).filter(|(lines, _)| *lines > FILE_MAX_LINES);
    let findings: Vec<_> = long.map(|(lines, path)| format!("{path} has {lines} lines")).collect();
    assert_none(&findings, "A file of more than 500 lines has two subjects: split it by them.");
}

#[test]
fn the_house_has_four_rooms() {
    let rooms = ["functions", "shared", "infra", "tests", ".ci", ".github"];
    let mut others: BTreeMap<String, String> = BTreeMap::new();
    for path in files() {
        if let Some((folder, _)) = path.split_once('/').filter(|(folder, _)| !rooms.contains(folder)) {
            others.entry(folder.to_owned()).or_insert_with(|| path.clone());
        }
    }
    let findings: Vec<_> = others.into_iter().map(|(folder, path)| format!("{folder}/ holds {path}")).collect();
    assert_none(&findings, "Move these into functions, shared, infra or tests, or name the folder in .gitignore.");
}

fn texts() -> Vec<String> {
    let extensions = ["rs", "toml", "md", "yaml", "yml", "json", "py", "sh"];
    files().into_iter().filter(|path| has_extension(path, &extensions) || path == "Makefile").collect()
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let folders = [
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/main"),
        concat!("/wo", "rk/shared"),
        concat!(":\\", "Users"),
    ];
    assert_none(
        &offending_lines(&texts(), |line| folders.iter().any(|folder| line.contains(folder))),
        "Name the path from the root of the checkout.",
    );
}

#[test]
fn nothing_is_left_to_be_done_later() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
    ];
    assert_none(
        &offending_lines(&texts(), |line| words.iter().any(|word| line.contains(word))),
        "Do it, or open an issue and leave no mark.",
    );
}

#[test]
fn no_test_is_skipped_or_waits_for_time_to_pass() {
    let words = [concat!("#[", "ignore"), concat!("sle", "ep("), concat!("sleep_", "until(")];
    let mut findings = Vec::new();
    for path in files().into_iter().filter(|path| has_extension(path, &["rs"])) {
        let source = read(&path);
        let is_test = path.starts_with("tests/") || path.contains("/tests/");
        let tests_begin = if is_test { 0 } else { source.lines().take_while(|l| l.trim() != TEST_MODULE).count() };
        for (n, line) in source.lines().enumerate().skip(tests_begin) {
            if words.iter().any(|word| line.contains(word)) {
                findings.push(format!("{path}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    assert_none(&findings, "Pass the time as a value, hold a call at a `Gate`, and mend a test or delete it.");
}

#[test]
fn these_rules_read_what_they_are_meant_to_read() {
    assert_eq!(without_braces("a/{b,c}/d.rs"), ["a/b/d.rs", "a/c/d.rs"]);
    assert!(exists("functions/<name>/src/lib.rs") && exists("shared/src/*.rs") && exists("tests/tests/"));
    assert!(!exists("functions/<name>/src/nothing.rs") && !exists("shared/src/lib.rs/"));
    assert_eq!(obligations_named("//! Obligations 1 to 3, for puts: 7 rounds"), [1, 2, 3]);
    assert_eq!(obligations_named("//! Obligations 3 and 6, for rate buckets"), [3, 6]);
    let template = "A:\n  One:\n    Binary: one\n  Two:\n    Binary: one-two\n    Type: HttpApi\n";
    assert_eq!(stanza_of(template, "one").unwrap(), "  One:\n    Binary: one\n");
    assert!(stanza_of(template, "one-two").unwrap().contains("HttpApi") && stanza_of(template, "two").is_none());
    assert!(names("[\"one\", two_refresh]", "one") && names("Two-refresh", "two") && !names("one2 anyone", "one"));
    let source = "#[test]\n// why\nfn one() {}\nfn two() {}\n    #[tokio::test(flavor = \"multi_thread\")]\n    async fn three() {}";
    assert!(has_test(source, "one") && has_test(source, "three") && !has_test(source, "two"));
    assert_eq!(as_dynamodb_spells("transact_write_items"), "TransactWriteItems");
    let source = "//! uniqos\nlet a = 1; // b\n#[cfg(test)]\nmod tests {}";
    assert_eq!(shipped_lines(source).collect::<Vec<_>>(), [(2, "let a = 1; // b")]);
    assert!(files().iter().all(|path| !path.starts_with("target/") && !path.starts_with(".git/")));
    let code = code_of("a `b c` d\n```sh\n$ make x\n```\n`e`");
    assert_eq!((code.spans, code.fenced_lines), (vec!["b c".to_owned(), "e".to_owned()], vec!["$ make x".to_owned()]));
}

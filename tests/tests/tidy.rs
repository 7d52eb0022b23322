//! What prose cannot keep. Each test reads the checkout as it is on disk and says how to mend what it finds.
//!
//! A word that a test forbids is spelled here in halves, so that this file keeps the rules that it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const PRODUCTS: [&str; 4] = ["uniqos", "dreadnode", "elastic", "replyke"];
/// Long enough for a room of the walk with its unit tests; what is longer is two rooms.
const FILE_MAX_LINES: usize = 500;
const MAP_MAX_LINES: usize = 150;
/// Where the port's operations are made.
const DYNAMO: &str = "shared/src/store/dynamo.rs";
/// Where they are documented.
const ACCESS_PATTERNS: &str = "infra/access-patterns.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}; it must exist"))
}

/// The folders at the top that git ignores, as .gitignore names them.
fn ignored_folders() -> BTreeSet<String> {
    let gitignore = read(".gitignore");
    let folders = gitignore.lines().filter_map(|line| line.strip_suffix('/'));
    folders.map(|folder| folder.trim_start_matches('/').to_owned()).chain([".git".to_owned()]).collect()
}

/// The names in a folder, sorted.
fn names_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every file of the checkout, by its path from the root, without what git ignores.
fn files() -> Vec<String> {
    let (ignored, mut found, mut folders) = (ignored_folders(), Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for name in names_in(&folder) {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !root().join(&path).is_dir() {
                found.push(path);
            } else if !ignored.contains(&path) && name != "__pycache__" {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Rust files whose path from the root begins with `prefix`.
fn rust_files(prefix: &str) -> Vec<String> {
    files().into_iter().filter(|path| path.starts_with(prefix) && has_extension(path, &["rs"])).collect()
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    Path::new(path).extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension))
}

fn functions() -> Vec<String> {
    names_in("functions").into_iter().filter(|name| root().join("functions").join(name).is_dir()).collect()
}

const TEST_MODULE: &str = "#[cfg(test)]";

/// The lines of a file that ship: those before its test module, without comments; each with its number.
fn shipped_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let before_tests = source.lines().take_while(|line| line.trim() != TEST_MODULE);
    before_tests.enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Fails with every finding at once, and with what to do.
#[track_caller]
fn assert_none(findings: &[String], remedy: &str) {
    assert!(findings.is_empty(), "\n  {}\n{remedy}\n", findings.join("\n  "));
}

/// The lines of `paths` in which `offends`, as findings.
fn offending_lines(paths: &[String], offends: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for path in paths {
        for (n, line) in read(path).lines().enumerate().filter(|(_, line)| offends(line)) {
            findings.push(format!("{path}:{}: {}", n + 1, line.trim()));
        }
    }
    findings
}

/// The same among the lines that ship.
fn offending_shipped_lines(paths: &[String], offends: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for path in paths {
        for (n, line) in shipped_lines(&read(path)).filter(|(_, line)| offends(line)) {
            findings.push(format!("{path}:{n}: {}", line.trim()));
        }
    }
    findings
}

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
fn every_function_has_the_same_files() {
    let mut findings = Vec::new();
    for function in functions() {
        let mut wanted = vec!["Cargo.toml", "src/main.rs", "src/lib.rs"];
        if function.ends_with("-refresh") {
            wanted.extend(["src/request.rs", "src/response.rs", "src/policy.rs"]);
        }
        let path = |file| format!("functions/{function}/{file}");
        findings.extend(wanted.into_iter().map(path).filter(|path| !root().join(path).is_file()));
    }
    assert_none(&findings, "These are missing. Learn one function folder, know all: add them.");
}

#[test]
fn every_function_is_deployed_and_served_locally() {
    let (template, manifest) = (read("template.yaml"), read("Cargo.toml"));
    let router = manifest.split("[workspace.metadata.lambda.watch.router]").nth(1).unwrap_or_default();
    let router: String = router.lines().take_while(|line| !line.starts_with('[')).collect();
    let mut findings = Vec::new();
    for function in functions() {
        let Some(stanza) = stanza_of(&template, &function) else {
            findings.push(format!("template.yaml has no stanza with `Binary: {function}`"));
            continue;
        };
        // What is called by something else than HTTP has no path.
        let is_routed = router.contains(&format!("\"{function}\""));
        match stanza.contains("Type: HttpApi") {
            true if !is_routed => findings.push(format!("Cargo.toml routes no path to \"{function}\"")),
            false if is_routed => {
                findings.push(format!("Cargo.toml routes a path to \"{function}\", which serves none"));
            }
            _ => {}
        }
    }
    assert_none(
        &findings,
        "A function is a folder, a stanza of template.yaml, and, if it serves an endpoint, a line of \
         [workspace.metadata.lambda.watch.router].",
    );
}

/// The resource of a template that a function's program belongs to: its lines, down to the next resource.
fn stanza_of(template: &str, function: &str) -> Option<String> {
    let is_key = |line: &str| line.starts_with("  ") && !line.starts_with("   ") && line.trim_end().ends_with(':');
    let mut stanzas: Vec<String> = Vec::new();
    for line in template.lines() {
        match stanzas.last_mut() {
            Some(stanza) if !is_key(line) => stanza.push_str(&format!("{line}\n")),
            _ => stanzas.push(format!("{line}\n")),
        }
    }
    let binary = format!("Binary: {function}");
    stanzas.into_iter().find(|stanza| stanza.lines().any(|line| line.trim() == binary))
}

/// The code of a Markdown text: its inline spans, and the lines of its fenced blocks.
struct Code {
    spans: Vec<String>,
    fenced_lines: Vec<String>,
}

fn code_of(markdown: &str) -> Code {
    let (mut code, mut fenced) = (Code { spans: Vec::new(), fenced_lines: Vec::new() }, false);
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            code.fenced_lines.push(line.trim().to_owned());
        } else {
            code.spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    code
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn without_braces(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (choices, after))) = parts else { return vec![path.to_owned()] };
    choices.split(',').flat_map(|choice| without_braces(&format!("{before}{}{after}", choice.trim()))).collect()
}

/// Whether something stands at `path`, in which `*` and `<name>` each stand for any text within one name.
fn exists(path: &str) -> bool {
    let mut places = vec![String::new()];
    for pattern in path.split('/').filter(|part| !part.is_empty()) {
        let fits = |place: &String| {
            let folder = if place.is_empty() { ".".to_owned() } else { place.clone() };
            if !root().join(&folder).is_dir() {
                return Vec::new();
            }
            let names = names_in(&folder).into_iter().filter(|name| matches(pattern, name));
            names.map(|name| format!("{place}/{name}").trim_start_matches('/').to_owned()).collect::<Vec<_>>()
        };
        places = places.iter().flat_map(fits).collect();
    }
    !places.is_empty() && (!path.ends_with('/') || places.iter().any(|place| root().join(place).is_dir()))
}

fn matches(pattern: &str, name: &str) -> bool {
    let any = |part: &str| {
        part.split_once('<').and_then(|(a, rest)| Some((a.to_owned(), rest.split_once('>')?.1.to_owned())))
    };
    let split = any(pattern).or_else(|| pattern.split_once('*').map(|(a, b)| (a.to_owned(), b.to_owned())));
    match split {
        None => pattern == name,
        Some((before, after)) => name
            .strip_prefix(&before)
            .is_some_and(|rest| rest.char_indices().any(|(n, _)| matches(&after, &rest[n..])) || after.is_empty()),
    }
}

#[test]
fn every_path_that_the_documents_name_exists() {
    let mut findings = Vec::new();
    let runbooks = names_in("infra/runbooks").into_iter().map(|name| format!("infra/runbooks/{name}"));
    let at_the_top = ["ARCHITECTURE.md", "README.md", "SECURITY.md"].map(str::to_owned);
    for document in at_the_top.into_iter().chain(runbooks) {
        let text = read(&document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link.to_owned()));
        for word in code_of(&text).spans.into_iter().chain(links) {
            let path = word.split(|c: char| c.is_whitespace() || c == '#').next().unwrap_or_default();
            let path = path.split("::").next().unwrap_or_default().split(':').next().unwrap_or_default();
            let path = path.trim_start_matches("./");
            if ["functions/", "shared/", "infra/", "tests/"].iter().any(|folder| path.starts_with(folder)) {
                let missing = without_braces(path).into_iter().filter(|path| !exists(path));
                findings.extend(missing.map(|path| format!("{document} names {path}")));
            }
        }
    }
    assert_none(&findings, "These do not exist. Correct the document, or bring them back.");
}

#[test]
fn every_test_that_the_sheet_of_behaviours_names_exists() {
    let sources: Vec<String> = rust_files("").iter().map(|path| read(path)).collect();
    let is_test = |name: &String| sources.iter().any(|source| source.contains(&format!("fn {name}(")));
    let names = code_of(&read("infra/behaviours.md")).spans.into_iter();
    let sentences: Vec<String> = names.filter(|name| name.matches('_').count() > 3 && !name.contains('/')).collect();
    assert!(sentences.len() > 80, "the sheet names {} tests", sentences.len());
    let missing: Vec<String> = sentences.into_iter().filter(|name| !is_test(name)).collect();
    assert_none(&missing, "No test has these names. Correct infra/behaviours.md, or bring them back.");
}

#[test]
fn every_test_that_the_security_promises_name_exists_in_its_file() {
    let spans = code_of(&read("SECURITY.md")).spans;
    let named: Vec<_> = spans.iter().filter_map(|span| span.split_once("::")).collect();
    assert!(named.len() > 40, "SECURITY.md names {} tests", named.len());
    let missing = named.iter().filter(|(path, name)| !read(path).contains(&format!("fn {name}(")));
    let missing: Vec<_> = missing.map(|(path, name)| format!("{path}::{name}")).collect();
    assert_none(&missing, "These promises have no test. Correct SECURITY.md, or bring it back.");
}

#[test]
fn the_map_is_short() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= MAP_MAX_LINES, "ARCHITECTURE.md has {lines} lines; a map has at most {MAP_MAX_LINES}: cut it");
}

#[test]
fn every_make_target_that_the_readme_names_exists() {
    let makefile = read("Makefile");
    let mut targets = BTreeSet::new();
    for line in makefile.lines().filter(|line| !line.starts_with(['\t', ' ', '#', '.'])) {
        if let Some((names, _)) = line.split_once(':').filter(|(_, rest)| !rest.starts_with('=')) {
            targets.extend(names.split_whitespace());
        }
    }
    let code = code_of(&read("README.md"));
    let mut findings = Vec::new();
    for command in code.spans.iter().chain(&code.fenced_lines).flat_map(|line| line.split(['&', ';', '|'])) {
        let Some(words) = command.trim().trim_start_matches("$ ").strip_prefix("make ") else { continue };
        let words = words.split('#').next().unwrap_or_default().split_whitespace();
        let named = words.filter(|word| !word.contains('=') && !word.starts_with(['-', '<', '[']));
        findings.extend(named.filter(|word| !targets.contains(word)).map(|word| format!("make {word}")));
    }
    assert_none(&findings, "README.md names these, and the Makefile has no such target.");
}

/// The client's operations that dynamo.rs calls, by their names in Rust.
fn operations() -> BTreeSet<String> {
    let source = read(DYNAMO);
    let shipped: Vec<_> = shipped_lines(&source).map(|(_, line)| line.trim()).collect();
    let calls = shipped.concat();
    let called = calls.split(".client.").skip(1).filter_map(|rest| rest.split_once("()")).map(|(name, _)| name);
    called.filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).map(str::to_owned).collect()
}

/// `put_item` as `PutItem`.
fn as_dynamodb_spells(operation: &str) -> String {
    let capitalized = |word: &str| word[..1].to_uppercase() + &word[1..];
    operation.split('_').filter(|word| !word.is_empty()).map(capitalized).collect()
}

#[test]
fn every_key_pattern_is_on_the_sheet_of_access_patterns() {
    let (sheet, keys) = (read(ACCESS_PATTERNS), read("shared/src/store/keys.rs"));
    let patterns = [
        "FAMILY#", "GEN#", "SEAL", "CLIENT#", "USER#", "SESSION#", "OPENED#", "ORG#", "QUOTA#", "RATE#", "PROFILE",
        "PASSWORD", "BUCKET",
    ];
    for pattern in patterns {
        assert!(keys.contains(pattern), "keys.rs has no {pattern}; take it from this test and from the sheet");
    }
    // And none is forgotten here: a key's words are capitals in quotes, up to a separator.
    let quoted = shipped_lines(&keys).flat_map(|(_, line)| line.split('"').skip(1).step_by(2).collect::<Vec<_>>());
    let heads = quoted.filter_map(|text| {
        let head = &text[..text.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(text.len())];
        (head.len() > 1).then(|| head.to_owned())
    });
    let known: BTreeSet<_> = patterns.iter().map(|pattern| pattern.trim_end_matches('#')).collect();
    let unknown: Vec<_> = heads.filter(|head| !known.contains(head.as_str())).collect();
    assert_none(&unknown, "keys.rs has these keys; add them to this test and to the sheet.");

    let missing: Vec<_> = patterns.into_iter().filter(|pattern| !sheet.contains(pattern)).map(str::to_owned).collect();
    assert_none(&missing, "A pattern that is not in infra/access-patterns.md is not in the code: write them down.");
}

#[test]
fn every_operation_is_on_the_sheet_of_access_patterns() {
    let (sheet, operations) = (read(ACCESS_PATTERNS), operations());
    let used_by_walk = ["put_item", "update_item", "query", "get_item", "transact_write_items"];
    for operation in used_by_walk {
        assert!(operations.contains(operation), "dynamo.rs was not seen to call {operation}; mend this test");
    }
    // The two that only the local stack makes: a deployment's table comes from its template.
    let for_local_tables = ["create_table", "update_time_to_live"];
    let documented = |operation: &&String| {
        for_local_tables.contains(&operation.as_str()) || sheet.contains(&as_dynamodb_spells(operation))
    };
    let missing: Vec<_> = operations.iter().filter(|operation| !documented(operation)).cloned().collect();
    assert_none(
        &missing,
        "dynamo.rs makes these calls; write them down in infra/access-patterns.md, or do not make them.",
    );
}

#[test]
fn the_store_neither_deletes_nor_scans_nor_speaks_partiql() {
    let forbidden = |line: &str| {
        let line = line.to_lowercase().replace("scan_index_forward", "");
        ["delete", "scan", "statement", "partiql"].iter().any(|word| line.contains(word))
    };
    assert_none(
        &offending_shipped_lines(&[DYNAMO.to_owned()], forbidden),
        "A deleted generation opens a replay, and a scan has no bound: put a seal, or query a collection.",
    );
}

#[test]
fn no_source_file_outgrows_a_reader() {
    let sources = files().into_iter().filter(|path| path.contains("/src/") && has_extension(path, &["rs"]));
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
fn the_contract_holds_every_obligation_of_the_store() {
    let port = read("shared/src/store/mod.rs");
    let numbered = port.lines().filter_map(|line| line.strip_prefix("//! ")?.split_once(". **")).map(|(n, _)| n);
    let numbers: Vec<u32> = numbered.map(|n| n.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    assert!(!numbers.is_empty(), "shared/src/store/mod.rs numbers no obligation; mend this test");
    let held: BTreeSet<u32> = rust_files("tests/tests/store_contract/")
        .iter()
        .flat_map(|path| obligations_named(read(path).lines().next().unwrap_or_default()))
        .collect();
    let missing: Vec<_> = numbers.iter().filter(|n| !held.contains(n)).map(|n| format!("obligation {n}")).collect();
    assert_none(&missing, "No file of tests/tests/store_contract/ names these in its first line: test them there.");
}

/// The numbers in `Obligations 3 and 6, …` and `Obligations 1 to 3, …`.
fn obligations_named(line: &str) -> Vec<u32> {
    let Some((_, rest)) = line.to_lowercase().split_once("obligation").map(|(a, b)| (a.to_owned(), b.to_owned()))
    else {
        return Vec::new();
    };
    let words: Vec<_> = rest.trim_start_matches('s').split([' ', ',', ':']).filter(|w| !w.is_empty()).collect();
    let mut numbers = Vec::new();
    for (n, word) in words.iter().enumerate() {
        match (word.parse::<u32>(), *word, n) {
            (Ok(number), _, _) if n > 0 && words[n - 1] == "to" => {
                numbers.extend(numbers.last().map_or(number, |last| last + 1)..=number);
            }
            (Ok(number), _, _) => numbers.push(number),
            (Err(_), "and" | "to", _) => {}
            (Err(_), ..) => break,
        }
    }
    numbers
}

/// The variables of README's settings table by whether the template has to set them: those of the local stack alone,
/// and those that say so, it must not. Where a row's name is `PRODUCT_…`, the names that follow are in its last cell.
fn settings() -> BTreeMap<String, bool> {
    let readme = read("README.md");
    let table = readme.split("### Settings").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let mut settings = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let names = |cell: &str| code_of(cell).spans;
        let is_deployed = !["local stack alone", "not by the template"].iter().any(|words| row.contains(words));
        for name in names(cells[1]) {
            match name.strip_suffix('…') {
                None => drop(settings.insert(name, is_deployed)),
                Some(prefix) => {
                    let ends = names(cells[3])
                        .into_iter()
                        .filter(|end| end.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
                    settings.extend(ends.map(|end| (format!("{prefix}{end}"), is_deployed)));
                }
            }
        }
    }
    settings
}

#[test]
fn every_setting_can_be_set_by_the_template() {
    let (template, settings) = (read("template.yaml"), settings());
    assert!(settings.len() > 45, "README.md was seen to have {} settings; mend this test", settings.len());
    let set: BTreeSet<_> = template.lines().filter_map(|line| Some(line.trim().split_once(": ")?.0)).collect();
    let wrong = settings.iter().filter(|(name, is_deployed)| set.contains(name.as_str()) != **is_deployed);
    let findings: Vec<_> = wrong.map(|(name, _)| name.clone()).collect();
    assert_none(
        &findings,
        "Give each a parameter of template.yaml and the function that reads it the variable; what is for the local stack alone has no place there.",
    );
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
    assert_eq!(as_dynamodb_spells("transact_write_items"), "TransactWriteItems");
    let source = "//! uniqos\nlet a = 1; // b\n#[cfg(test)]\nmod tests {}";
    assert_eq!(shipped_lines(source).collect::<Vec<_>>(), [(2, "let a = 1; // b")]);
    assert!(files().iter().all(|path| !path.starts_with("target/") && !path.starts_with(".git/")));
    let code = code_of("a `b c` d\n```sh\n$ make x\n```\n`e`");
    assert_eq!((code.spans, code.fenced_lines), (vec!["b c".to_owned(), "e".to_owned()], vec!["$ make x".to_owned()]));
}

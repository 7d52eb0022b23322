//! What the documents say is there.

use std::collections::{BTreeMap, BTreeSet};

use super::checkout::{assert_none, names_in, read, rust_files};
use super::markdown::{code_of, exists, without_braces};

pub const MAP_MAX_LINES: usize = 150;

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

/// Whether a file has a test of this name: a function of that name without the attribute is none.
pub fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let begins = |line: &&str| ["fn", "async fn"].iter().any(|kind| line.starts_with(&format!("{kind} {name}(")));
    let attributes =
        |n: usize| lines[..n].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    let is_test = |attribute: &&str| attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test");
    lines.iter().enumerate().any(|(n, line)| begins(line) && attributes(n).any(is_test))
}

/// Whether this is one of the store's obligations, of each of which the suite's macro makes a test for every store.
fn is_obligation(name: &str) -> bool {
    let suite = read("tests/tests/store_contract.rs");
    suite.lines().any(|line| line.trim().trim_end_matches([',', ';']) == name)
}

#[test]
fn every_test_that_the_sheet_of_behaviours_names_exists() {
    let sources: Vec<String> = rust_files("").iter().map(|path| read(path)).collect();
    let is_test = |name: &String| is_obligation(name) || sources.iter().any(|source| has_test(source, name));
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
    let is_there = |path: &str, name: &str| has_test(&read(path), name) || is_obligation(name);
    let missing = named.iter().filter(|(path, name)| !is_there(path, name));
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

/// The variables of README's settings table by whether the template has to set them: those of the local stack alone,
/// and those that say so, it must not. Where a row's name is `PRODUCT_…`, the names that follow are in its last cell.
pub fn settings() -> BTreeMap<String, bool> {
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

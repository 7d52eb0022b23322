//! What the store does is written down, and held by its contract.

use std::collections::BTreeSet;

use super::checkout::{DYNAMO, assert_none, offending_shipped_lines, read, rust_files, shipped_lines};

/// Where they are documented.
pub const ACCESS_PATTERNS: &str = "infra/access-patterns.md";

/// The client's operations that dynamo.rs calls, by their names in Rust.
pub fn operations() -> BTreeSet<String> {
    let source = read(DYNAMO);
    let shipped: Vec<_> = shipped_lines(&source).map(|(_, line)| line.trim()).collect();
    let calls = shipped.concat();
    let called = calls.split(".client.").skip(1).filter_map(|rest| rest.split_once("()")).map(|(name, _)| name);
    called.filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).map(str::to_owned).collect()
}

/// `put_item` as `PutItem`.
pub fn as_dynamodb_spells(operation: &str) -> String {
    let capitalized = |word: &str| word[..1].to_uppercase() + &word[1..];
    operation.split('_').filter(|word| !word.is_empty()).map(capitalized).collect()
}

#[test]
fn every_key_pattern_is_on_the_sheet_of_access_patterns() {
    let (sheet, keys) = (read(ACCESS_PATTERNS), read("shared/src/store/keys.rs"));
    let patterns = [
        "FAMILY#", "GEN#", "SEAL", "CLIENT#", "USER#", "SESSION#", "OPENED#", "ORG#", "QUOTA#", "PROJECT#", "RATE#",
        "PROFILE", "PASSWORD", "BUCKET",
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
pub fn obligations_named(line: &str) -> Vec<u32> {
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

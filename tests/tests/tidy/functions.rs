//! Every function is a folder of the same shape, deployed and served.

use super::checkout::{assert_none, functions, read, root};

#[test]
fn every_function_has_the_same_files() {
    let mut findings = Vec::new();
    for function in functions() {
        let mut wanted = vec!["Cargo.toml", "src/main.rs", "src/lib.rs"];
        if function.ends_with("-refresh") {
            wanted.extend(["src/request.rs", "src/response.rs", "src/policy.rs", "tests/gateway_events.rs"]);
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

/// What names every product, where no compiler misses a new one.
const LISTS_OF_PRODUCTS: [&str; 14] = [
    "functions/sessions/src/products.rs",
    "infra/cli/src/product.rs",
    "infra/behaviours.md",
    "tests/clients/run.py",
    "tests/deployment/policies.py",
    "tests/deployment/products.py",
    "tests/deployment/test_policies.py",
    "tests/deployment/test_template.py",
    "tests/fuzz/src/configuration.rs",
    "tests/fuzz/src/lib.rs",
    "tests/fuzz/src/ring.rs",
    // By this one the races and chaos reach every product.
    "tests/src/products.rs",
    "tests/tests/openapi/stage.rs",
    "tests/tests/tidy.rs",
];

#[test]
fn every_product_is_named_wherever_all_of_them_are() {
    let refreshes: Vec<String> = functions().into_iter().filter(|function| function.ends_with("-refresh")).collect();
    let products = refreshes.iter().map(|function| function.trim_end_matches("-refresh"));
    let mut findings = Vec::new();
    for product in products {
        let unnamed = LISTS_OF_PRODUCTS.iter().filter(|path| !names(&read(path), product));
        findings.extend(unnamed.map(|path| format!("{path} does not name {product}")));
        let own = [format!("tests/clients/{product}.py"), format!("infra/cli/src/demo/{product}.rs")];
        findings.extend(own.into_iter().filter(|path| !root().join(path).is_file()));
    }
    assert_none(&findings, "Every product has a client, a demo, and its place in each of these lists: add it there.");
}

/// Whether a text has this word, in any case, by itself or in a name of several.
pub fn names(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|found| found.eq_ignore_ascii_case(word))
}

/// The resource of a template that a function's program belongs to: its lines, down to the next resource.
pub fn stanza_of(template: &str, function: &str) -> Option<String> {
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
